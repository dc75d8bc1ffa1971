"""Transforms of features: the language of --transform, SELECTOR:STEP,STEP.

    price:log,scale   user^age:bins(10)   title^*:idf   /^clk_/:clip(0,50)   *:scale

A selector is the name of a feature, `namespace^name` for one in a namespace, `namespace^*` for all of a namespace, a
regular expression between slashes, which is searched in `name` or `namespace^name`, or `*` for all. A feature has the
steps of one rule: of its own name or of a regular expression, otherwise of its namespace, otherwise those of `*`. Two
rules of the first kind that match one feature are an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.core.selectors import expression_of, split_rules
from vwlite.errors import OptionError

OPTIONS = OptionGroup(
    "Transforms",
    (
        Option(
            "transform",
            str,
            "change the values of features by statistics that are learned on the way: 'price:log,scale *:scale'; steps "
            "are scale, minmax, maxabs, log, clip(LOW,HIGH), bins(N), onehot, idf, ngrams(N), drop, keep",
            many=True,
            keep=True,
            fixed=True,
            metavar="RULES",
        ),
        Option(
            "scale",
            bool,
            "subtract the mean of each number and divide by its standard deviation, as '*:scale' of --transform",
            keep=True,
            fixed=True,
        ),
    ),
    examples=(
        "vwlite data.vw --transform 'a^x:log,scale /^w1/:clip(0,5) *:scale' -f model",
        "vwlite data.vw --scale --sgd -l 0.01 --power_t 0",
    ),
)


class Step(NamedTuple):
    """A kind of step.

    Args:
        help: What it does.
        arguments: What is in parentheses behind it.
        state: How many numbers it keeps for each feature.
        renames: Whether its result is a feature of another name.
        of_all: Whether it is also for features without a value, such as words and categories.
    """

    help: str
    arguments: tuple[str, ...] = ()
    state: int = 0
    renames: bool = False
    of_all: bool = False


STEPS = {
    "scale": Step("minus the mean so far, divided by the standard deviation so far", state=3),
    "minmax": Step("moved to the range from 0 to 1 by the least and the largest value so far", state=3),
    "maxabs": Step("divided by the largest absolute value so far", state=1),
    "log": Step("log(1 + x), and -log(1 - x) below 0"),
    "clip": Step("moved to the nearer end of a range", ("LOW", "HIGH")),
    "bins": Step("the category of its quantile among N, name=binK", ("N",), state=1, renames=True),
    "onehot": Step("the category of its value, name=value", renames=True),
    "idf": Step("times the inverse document frequency, 1 + log((1 + n) / (1 + df))", state=2, of_all=True),
    "drop": Step("left out", of_all=True),
    "keep": Step("as it is, whatever other rules say", of_all=True),
    "ngrams": Step("with the sequences of up to N neighbours in a namespace, a_b", ("N",), renames=True, of_all=True),
}
MOST_RULES = 250
MOST_BINS = 1000
MOST_NGRAMS = 8


class Rule(NamedTuple):
    """A rule of --transform.

    Args:
        selector: As it was written.
        namespace: The namespace of a named feature or of all its features; "" for none.
        name: The name of a feature; "" for all of the namespace.
        pattern: The regular expression; None if it has none.
        steps: Names of steps, each with its arguments.
    """

    selector: str
    namespace: str
    name: str
    pattern: re.Pattern[str] | None
    steps: tuple[tuple[str, tuple[float, ...]], ...]

    @property
    def is_own(self) -> bool:
        """Whether the rule is for single features, by their names."""
        return self.pattern is not None or bool(self.name)

    def __str__(self) -> str:
        return f"{self.selector}:{','.join(map(in_words, self.steps))}"


def in_words(step: tuple[str, tuple[float, ...]]) -> str:
    """A step as it is written."""
    name, arguments = step
    return f"{name}({','.join(f'{value:g}' for value in arguments)})" if arguments else name


def read_steps(text: str, what: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Reads the steps of a rule. Raises OptionError for one that doesn't exist, or can't be at its place."""
    steps = []
    for word in re.findall(r"[^,(]*(?:\([^)]*\)?)?(?:,|$)", text)[:-1] if text else []:
        found = re.fullmatch(r"([a-z]+)(?:\((.*)\))?,?", word)
        if found is None or found[1] not in STEPS:
            raise OptionError(f"{what}: {word.rstrip(',')!r} is no step; steps are {', '.join(STEPS)}")
        name, inside = found.groups()
        wanted = STEPS[name].arguments
        written = name + (f"({','.join(wanted)})" if wanted else "")
        try:
            numbers = tuple(float(part) for part in inside.split(",")) if inside is not None else ()
        except ValueError:
            raise OptionError(f"{what}: expected {written}, with numbers") from None
        if len(numbers) != len(wanted):
            raise OptionError(f"{what}: expected {written}")
        steps.append((name, require_sense(name, numbers, what)))
    if not steps or text.endswith(","):
        raise OptionError(f"{what}: expected SELECTOR:STEP,STEP, such as price:log,scale; steps are {', '.join(STEPS)}")
    names = [name for name, _ in steps]
    if "ngrams" in names[1:]:
        raise OptionError(f"{what}: ngrams is the first step: the others are of its features, too")
    for name in ("drop", "keep"):
        if name in names and len(names) > 1:
            raise OptionError(f"{what}: {name} is the only step of its rule")
    for name in ("bins", "onehot"):
        if name in names[:-1]:
            raise OptionError(f"{what}: {name} is the last step: what it makes has no value to change")
    if any(STEPS[name].of_all for name in names) and any(not STEPS[name].of_all for name in names):
        few = next(name for name in names if not STEPS[name].of_all)
        raise OptionError(f"{what}: {few} is of numbers, and the other steps are of words, too: give two rules")
    if len(set(names)) < len(names):
        raise OptionError(f"{what}: a step is given twice")
    return tuple(steps)


def require_sense(name: str, numbers: tuple[float, ...], what: str) -> tuple[float, ...]:
    """Returns the arguments of a step. Raises OptionError if they make no sense."""
    if name == "clip" and not -3.4e38 < numbers[0] < numbers[1] < 3.4e38:
        raise OptionError(f"{what}: expected clip(LOW,HIGH), the lower number first")
    if name == "bins" and not (2 <= numbers[0] <= MOST_BINS and numbers[0] == int(numbers[0])):
        raise OptionError(f"{what}: expected bins(N) with a whole number from 2 to {MOST_BINS}")
    if name == "ngrams" and numbers[0] not in range(2, MOST_NGRAMS + 1):
        raise OptionError(f"{what}: expected ngrams(N) with a whole number from 2 to {MOST_NGRAMS}")
    return numbers


def read_rule(text: str) -> Rule:  # noqa: DOC502
    """Reads a rule, SELECTOR:STEPS.

    Args:
        text: The rule.

    Returns:
        The rule.

    Raises:
        OptionError: If it is none.

    >>> read_rule("user^age:clip(0,99),scale").steps
    (('clip', (0.0, 99.0)), ('scale', ()))
    """
    what = f"--transform {text}"
    selector, colon, rest = text.rpartition(":")
    if not colon or not selector:
        raise OptionError(f"{what}: expected SELECTOR:STEP,STEP, such as price:log,scale; steps are {', '.join(STEPS)}")
    steps = read_steps(rest, what)
    pattern = expression_of(selector, what)
    if pattern is not None:
        return Rule(selector, "", "", pattern, steps)
    namespace, caret, name = selector.rpartition("^")
    if caret and not (namespace and name):
        raise OptionError(f"{what}: expected namespace^name, or namespace^* for all of a namespace")
    return Rule(selector, namespace, "" if name == "*" else name, None, steps)


def read_rules(options: Options) -> list[Rule]:  # noqa: DOC502
    """Reads --transform and --scale.

    Args:
        options: The options of a run.

    Returns:
        The rules; none without these options.

    Raises:
        OptionError: If a rule is none, or two have the same selector.
    """
    return rules_of(options["transform"], options["scale"])


def rules_of(texts: Iterable[str], scale: bool = False) -> list[Rule]:
    """Reads rules in several texts. Raises OptionError if one is none, or two have the same selector."""
    words = [word for text in texts for word in split_rules(text, "--transform")]
    rules = [read_rule(word) for word in words]
    if scale:
        rules.append(read_rule("*:scale"))
    selectors = [rule.selector for rule in rules]
    twice = next((selector for i, selector in enumerate(selectors) if selector in selectors[:i]), None)
    if twice is not None:
        and_scale = " (--scale is *:scale)" if scale and twice == "*" else ""
        raise OptionError(f"--transform has two rules for {twice}{and_scale}: write its steps in one, separated by ','")
    if len(rules) > MOST_RULES:
        raise OptionError(f"--transform has {len(rules)} rules; at most {MOST_RULES} are possible")
    return rules


def transforms(options: Options) -> bool:
    """Whether features are transformed."""
    return "transform" in options and bool(options["transform"] or options["scale"])
