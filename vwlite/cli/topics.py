"""``vwlite help``: the overview by task, and pages about a topic, learner or flag, made from their declarations."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import click

from vwlite.cli.help import HELP_NAMES, METAVARS, SENTENCE, bounds, has_default, parameter
from vwlite.core.options import Option, OptionGroup, Options
from vwlite.engine import registry
from vwlite.engine.needs import in_words
from vwlite.engine.vw_flags import answer
from vwlite.errors import OptionError

WIDEST = 100  # columns

# The tasks in the order of the overview: the value of Option.task, a heading, and an example.
TASKS = (
    ("learn", "Learn from data, and save a model", "vwlite data.vw --loss_function logistic -f model"),
    ("predict", "Predict with a saved model", "vwlite new.vw -i model -t -p predictions"),
    ("personal", "Learn a model for each user or item, with its uncertainty", ""),
    ("choose", "Choose classes or actions", ""),
    ("serve", "Serve a model", "vwlite --daemon -i model --port 26542"),
    ("look", "Judge models, tune them, look inside", "vwlite eval model -d test.vw"),
)
# Subcommands of the last task, by what they answer.
QUESTIONS = (
    (("describe", "split"), "what is in the data; parts of it"),
    (("eval", "compare", "curve", "plot"), "how good is it?"),
    (("cv", "sweep", "tune"), "which flags are best?"),
    (("inspect", "explain", "diff"), "what is in it, and why does it predict that?"),
    (("card", "replay", "export"), "document it, train it again, use it elsewhere"),
    (("policies", "simulate"), "what would another policy cost?"),
)


def slug(group: OptionGroup) -> str:
    """The word after `vwlite help` for the page of a group: `gd`, `text_input`."""
    return group.title.partition(":")[0].lower().replace(" ", "_")


class Pages:
    """The pages of the help.

    Args:
        groups: All groups of options.
        subcommands: The subcommands by name.
        width: The width in columns; None for the terminal's.
    """

    def __init__(
        self, groups: Iterable[OptionGroup], subcommands: Mapping[str, click.Command], width: int | None = None
    ) -> None:
        self.groups = {slug(group): group for group in groups}
        self.subcommands = subcommands
        self.width = width
        self.options = Options(self.groups.values())

    def formatter(self) -> click.HelpFormatter:
        """A formatter of the terminal's width."""
        return click.HelpFormatter(width=self.width, max_width=WIDEST)

    def words(self) -> list[str]:
        """The words that have a page, except flags."""
        return sorted({*self.groups, *registry.names(), *self.subcommands})

    def overview(self) -> str:
        """The overview: the most used options by task, on one screen."""
        page = self.formatter()
        page.write_usage("vwlite", "[FLAGS] [DATA]")
        page.write_text("")
        page.write_text(
            "Learns from examples, one line of text at a time, or predicts with a model learned before. DATA is a file "
            "of examples; without it they come from standard input."
        )
        for task, heading, example in TASKS:
            with page.section(heading):
                chosen = [option for group in self.groups.values() for option in group.options if option.task == task]
                if example:
                    page.write_text(example)
                rows = [(flag_of(option), brief(option.help)) for option in chosen]
                if task == TASKS[-1][0]:
                    rows += [(", ".join(names), question) for names, question in QUESTIONS]
                write_list(page, rows)
        with page.section("More"):
            write_list(
                page,
                [
                    ("vwlite help WORD", "about a command, a learner, a topic or a flag"),
                    ("vwlite help topics", "the words that have a page"),
                    ("vwlite --help-all", "every flag"),
                ],
            )
        return page.getvalue()

    def topics(self) -> str:
        """The list of words that have a page, each with its title."""
        page = self.formatter()
        learners = set(registry.names())
        with page.section("Topics"):
            write_list(page, [(name, group.title) for name, group in self.groups.items() if name not in learners])
        with page.section("Learners"):
            write_list(page, [(name, first_line(registry.module(name).__doc__)) for name in registry.names()])
        with page.section("Commands"):
            write_list(
                page, [(name, command.get_short_help_str(SENTENCE)) for name, command in self.subcommands.items()]
            )
        page.write_paragraph()
        page.write_text("Each flag has a page, too: vwlite help --passes")
        return page.getvalue()

    def about(self, word: str) -> str:
        """The page of a word. Raises OptionError with suggestions if there is none."""
        name = word.lstrip("-").replace("-", "_")
        if word.startswith("-") and len(word) == 2:
            name = next((o.name for o in self.options.declared.values() if o.short == word[1]), name)
        if name == "topics":
            return self.topics()
        if name in self.options.declared and (word.startswith("-") or name not in self.words()):
            return self.of_flag(self.options.declared[name])
        if word in self.subcommands or name in self.subcommands:
            name = word if word in self.subcommands else name
            command = self.subcommands[name]
            context = click.Context(
                command, info_name=f"vwlite {name}", max_content_width=WIDEST, help_option_names=HELP_NAMES
            )
            return command.get_help(context) + "\n"
        if name in self.words():
            return self.of_group(name)
        raise OptionError(self.unknown(word, name))

    def unknown(self, word: str, name: str) -> str:
        """The error message for a word that has no page."""
        if words := answer(name):
            return f"vwlite help {word}: there is no --{name}{words}"
        known = {**{name: f"--{name}" for name in self.options.declared}, **{name: name for name in self.words()}}
        near = [known[one] for one in get_close_matches(name, known, n=3, cutoff=0.6)]
        hint = f"did you mean {' or '.join(near)}?" if near else "vwlite help topics lists what there is"
        return f"vwlite help {word}: there is no such topic, learner or flag; {hint}"

    def of_group(self, name: str) -> str:
        """The page of a topic or learner: description, options, examples."""
        page = self.formatter()
        text = registry.module(name).__doc__ if name in registry.names() else None
        if text:
            page.write(text.strip() + "\n")
        group = self.groups.get(name)
        if group is None:
            return page.getvalue()
        if not text:
            page.write(f"{group.title}\n")
        if group.help:
            page.write_paragraph()
            page.write_text(group.help)
        with click.Context(click.Command("vwlite")) as ctx, page.section("Flags"):
            write_list(page, [record for one in group.options if (record := parameter(one).get_help_record(ctx))])
        write_examples(page, group.examples)
        return page.getvalue()

    def of_flag(self, option: Option) -> str:
        """The page of a flag: description, values, needs, and whether a model stores it."""
        page = self.formatter()
        name, group = next(
            (name, group)
            for name, group in self.groups.items()
            if any(one.name == option.name for one in group.options)
        )
        page.write(f"{flag_of(option, long=True)}\n")
        page.indent()
        page.write_text(option.help)
        page.dedent()
        facts = [("accepts", accepted(option))]
        if has_default(option):
            facts.append(("default", str(option.default)))
        facts.append(("in a model", stored(option)))
        if ways := self.ways(option, group):
            facts.append(("has an effect with", ways))
        with page.section("Facts"):
            write_list(page, facts)
        write_examples(page, [one for one in group.examples if mentions(one, option)])
        with page.section("See also"):
            page.write_text(f"vwlite help {name}")
        return page.getvalue()

    def ways(self, option: Option, group: OptionGroup) -> str:
        """The conditions under which an option of a group has an effect, in words; "" if there are none."""
        needs = option.needs or group.needs
        return "; or ".join(" and ".join(self.in_words(term) for term in one.split(" & ")) for one in needs)

    def in_words(self, term: str) -> str:
        """A term of `Option.needs` in words."""
        words = {"learning": "a run that learns, or writes a model", "command": "a run of the command line"}
        if term.startswith("!"):
            return f"no {self.in_words(term[1:])}"
        return words.get(term) or in_words(term, self.options)


def first_line(text: str | None) -> str:
    """The first line of a module's docstring, without its types of labels."""
    return re.split(r"\s{3,}|\n", (text or "").strip())[0].partition(": ")[2]


def brief(text: str) -> str:
    """The first clause of a help text."""
    return re.split(r"; |: | \(", text)[0]


def flag_of(option: Option, long: bool = False) -> str:
    """A flag with its short form and value, as on a command line."""
    name = f"-{option.short}, --{option.name}" if option.short else f"--{option.name}"
    value = option.metavar or ("|".join(option.choices) if long else "") or METAVARS[option.type] or ""
    return f"{name} {value}".rstrip()


def accepted(option: Option) -> str:
    """The values of a flag."""
    if option.type is bool:
        return "no value"
    kinds = {int: "a whole number", float: "a number", str: "text"}
    words = [", ".join(option.choices) if option.choices else kinds[option.type]]
    words += bounds(option)
    words += [f"or {' or '.join(option.words)}"] if option.words else []
    words += ["may be given several times"] if option.many else []
    return ", ".join(words)


def stored(option: Option) -> str:
    """Whether a model stores a flag, and what happens when the model is loaded."""
    if option.fixed:
        return "stored; a loaded model keeps its value"
    if option.keep or option.vw_forgets or option.necessary:
        return "stored; used when the model is loaded, unless given again"
    return "not stored"


def mentions(line: str, option: Option) -> bool:
    """Whether a command line gives a flag."""
    names = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
    return any(word.partition("=")[0] in names for word in line.split())


def write_list(page: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Writes two columns, with a narrower first one on a narrow terminal."""
    if rows:
        page.write_dl(rows, col_max=min(30, page.width // 3))


def write_examples(page: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Writes a section with command lines, each on one line whatever the terminal's width."""
    if examples:
        with page.section("Examples"):
            for line in examples:
                page.write(f"{'':>{page.current_indent}}{line}\n")


def show(text: str) -> None:
    """Prints a page, with bold headings if standard output is a terminal and NO_COLOR is not set."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        text = re.sub(r"(?m)^(?=\S)(.*):$", lambda line: click.style(line[0], bold=True), text)
    click.echo(text.rstrip("\n"))
