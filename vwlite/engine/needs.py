"""Detects options that would have no effect in a run, by `Option.needs`.

`needs` lists alternatives, of which one has to hold. An alternative is a term, or several joined by " & ", which all
have to hold:

    predictions          this option is given, or stored in the model
    explore=ucb          this option has this value, given or default
    passes>1             this option is above this number
    gd                   a learner of this module is in the main chain of the stack
    table, classes       a learner with a table of weights is in the stack; its predictions are of classes
    command, library,    it is a run of the command line over files, of Python (`Workspace`), of the daemon
    serving
    learning             something is learned or a model is written: no -t, or one with -f
    !quiet               the opposite of a term

An option without `needs`, in a group without, always has an effect.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from vwlite.core.options import Option, Options
from vwlite.engine import registry
from vwlite.report.outputs import pages_of

Use = Literal["command", "library", "serving"]
USES = {"command": "a run of the command line", "library": "a Workspace", "serving": "a daemon (--daemon)"}
KINDS = {  # of learners, declared in their modules as KINDS_OF_LEARNERS
    "table": "a learner with a table of weights",
    "classes": "a learner of classes",
    "probable": "a learner that gives probabilities",
    "decisions": "a learner of decisions",
}
NO_CHOICE: tuple[str, dict[str, str]] = ("", {})
MODELS = ("final_regressor", "readable_model", "invert_hash")


def unmet(options: Options, learners: Collection[str], use: Use) -> tuple[list[str], list[str]]:
    """Finds options that were given for this run and have no effect in it.

    Args:
        options: The options of the run, with those of a loaded model.
        learners: The names of the modules of the learners in the stack, from top to bottom.
        use: The kind of run.

    Returns:
        Error messages, and messages for `mild` cases that are only logged.
    """
    errors: list[str] = []
    remarks: list[str] = []
    for option in options.declared.values():
        given = options.given(option.name) and options.source(option.name) != "model"
        if given and not acts(option, options, learners, use):
            mild = any({*failing(entry, options, learners, use)} <= {*option.mild} for entry in option.needs)
            (remarks if mild else errors).append(why_not(option, options, learners, use))
    return errors, remarks


def acts(option: Option, options: Options, learners: Collection[str], use: Use) -> bool:
    """Whether an option has an effect, given the others."""
    if option.name == "report" and len(pages_of(options["report"])) == len(options["report"]):
        return True  # a page is written by a quiet run, too
    return not option.needs or any(not failing(entry, options, learners, use) for entry in option.needs)


def failing(alternative: str, options: Options, learners: Collection[str], use: Use) -> list[str]:
    """The terms of an alternative that don't hold."""
    return [term for term in alternative.split(" & ") if not holds(term, options, learners, use)]


def holds(term: str, options: Options, learners: Collection[str], use: Use) -> bool:
    """Whether a term holds in the run."""
    if term.startswith("!"):
        return not holds(term[1:], options, learners, use)
    if term == "learning":
        return not options["testonly"] or any(options.given(name) for name in MODELS)
    name, equals, value = term.partition("=")
    if equals:
        return str(options[name]) == value
    name, above, value = term.partition(">")
    if above:
        return float(options[name]) > float(value)
    return options.given(term) if term in options else term in (*learners, use)


def why_not(option: Option, options: Options, learners: Collection[str], use: Use) -> str:
    """A message of one line: the option without effect, the reason, and what to do."""
    flag = f"--{option.name}"
    if option.needs == ("serving",) and option.name == "daemon":
        return f"{flag} has no effect in {USES[use]}: leave it out, or give it to the command vwlite"
    if any(failing(entry, options, learners, use) == ["learning"] for entry in option.needs):
        return f"{flag} has no effect with -t, under which nothing is learned: leave one of them out"
    missing, against = [], []
    # an alternative that others stand in the way of, and that lacks nothing, is the better advice
    barred = [
        terms
        for terms in (failing(one, options, learners, use) for one in option.needs)
        if all(term.startswith("!") for term in terms)
    ]
    if barred:
        against = [in_words(term[1:], options) for term in barred[0]]
        return f"{flag} has no effect with {' and '.join(against)}: leave one of them out"
    for alternative in option.needs:
        terms = failing(alternative, options, learners, use)
        lacking = [in_words(term, options) for term in terms if not term.startswith("!")]
        # another kind of run is no advice
        if lacking and not any(term in USES and len(option.needs) > 1 for term in terms):
            missing.append(" and ".join(lacking))
        against += [in_words(term[1:], options) for term in terms if term.startswith("!")]
    if not missing:
        return f"{flag} has no effect with {' and '.join(dict.fromkeys(against))}: leave one of them out"
    terms = [term for alternative in option.needs for term in alternative.split(" & ")]
    for module in registry.modules():
        # a learner that chooses the learner below it
        chooses, ways = getattr(module, "CHOOSES", NO_CHOICE)
        wanted = dict.fromkeys(ways[term] for term in terms if term in ways)
        name = module.__name__.rpartition(".")[2]
        if wanted and name in learners:
            return f"{flag} with --{name} needs --{chooses} {' or '.join(wanted)}: add that or leave it out"
    without = " or ".join(missing)
    of_learner = any(term in KINDS or has_words(term) for term in terms)
    advice = "leave it out" if of_learner else "add that or leave it out"
    modules = [name for name in learners if name not in KINDS]
    here = f" (here: {', '.join(modules)})" if of_learner else ""
    return f"{flag} has no effect without {without}{here}: {advice}"


def in_words(term: str, options: Options) -> str:
    """A term in words, as arguments of a command line where possible."""
    name, equals, value = term.partition("=")
    if equals:
        return f"--{name} {value}"
    name, above, value = term.partition(">")
    if above:
        return f"--{name} above {value}"
    if term in options:
        return f"--{term}"
    if term in KINDS:
        return f"{KINDS[term]} ({', '.join(flags_of_kind(term))})"
    return str(registry.module(term).IN_WORDS) if has_words(term) else USES.get(term) or term


def has_words(term: str) -> bool:
    """Whether a term is a module that describes its learner as IN_WORDS."""
    return term in registry.names() and hasattr(registry.module(term), "IN_WORDS")


def flags_of_kind(kind: str) -> list[str]:
    """The flags that request learners of a kind; the name of a learner that needs no flag."""
    flags = []
    for module in registry.modules():
        if kind in getattr(module, "KINDS_OF_LEARNERS", ()):
            necessary = [option.name for option in module.OPTIONS.options if option.necessary]
            flags += [f"--{name}" for name in necessary] or [module.IN_WORDS]
    return flags
