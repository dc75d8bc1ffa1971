"""The language of --where: expressions about the features, label, weight and tag of an example.

    city == "Rome" and (price > 3 or not has sale) and user^age is not missing and day in ("mon", "tue")

    expression := conjunction ('or' conjunction)*
    conjunction := negation ('and' negation)*
    negation := 'not' negation | '(' expression ')' | 'has' name | name test
    test := comparison value | ['not'] 'in' '(' value (',' value)* ')' | 'is' ['not'] 'missing'
    comparison := '==' | '!=' | '<' | '<=' | '>' | '>='
    name := letters, digits, '_', '.', '-' and '^', beginning with a letter or '_'; or anything between backticks
    value := number | text between single or double quotes, in which a backslash precedes a quote or a backslash

An expression becomes a program in postfix order, which predicate.pyx runs for each example.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from vwlite.errors import OptionError

MOST = 10_000  # characters
DEEPEST = 50  # parentheses and negations inside each other: the stack of a program has twice as many places
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
KEYWORDS = ("and", "or", "not", "in", "is", "has", "missing")
RESERVED = ("label", "weight", "initial", "tag")  # names that are no features, unless they are in backticks

TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.^]))
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |`(?P<quoted>[^`]+)`
    |(?P<name>[^\W\d][\w.^-]*)
    |(?P<sign>==|!=|<=|>=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Name(NamedTuple):
    """What a test is about.

    Args:
        name: The name of a feature, or one of RESERVED.
        namespace: That of the feature; "" for none.
        reserved: Whether it is no feature but the label, weight, initial prediction or tag.
    """

    name: str
    namespace: str = ""
    reserved: bool = False

    def __str__(self) -> str:
        return f"{self.namespace}^{self.name}" if self.namespace else self.name


def name_of(text: str) -> Name:
    """What --by, --group, --time and the like name: a feature, as name or namespace^name, or one of RESERVED."""
    space, sign, name = text.partition("^")
    if text in RESERVED:
        return Name(text, reserved=True)
    return Name(name, space) if sign else Name(text)


def of_feature(text: str) -> str:
    """What --time and `vwlite split --by` name, as name_of() reads it: a feature, or the tag.

    Labels and weights are neither times nor what belongs together.
    """
    return f"^{text}" if text in RESERVED and text != "tag" else text


def looking_for(names: Sequence[str]) -> Program:
    """A program whose names are what texts name, as name_of() reads them."""
    return Program([name_of(name) for name in names], [Step("has", i) for i in range(len(names))])


class Step(NamedTuple):
    """A step of a program.

    Args:
        action: "and", "or" and "not" take their arguments from the stack; "has" and the comparisons put a result there.
        name: The number of the name that it tests.
        value: What the name is compared with.
    """

    action: str
    name: int = -1
    value: str | float | None = None


class Program(NamedTuple):
    """An expression, in postfix order.

    Args:
        names: The names that it tests.
        steps: Its steps.
    """

    names: list[Name]
    steps: list[Step]


class Token(NamedTuple):
    """A word of an expression: its kind, content, and place."""

    kind: str
    content: str
    at: int


def compile_where(text: str) -> Program:  # noqa: DOC502
    """Compiles an expression.

    Args:
        text: The value of --where.

    Returns:
        The program.

    Raises:
        OptionError: If it is no expression; the message marks the place.

    >>> [step.action for step in compile_where('a > 1 and not has b').steps]
    ['>', 'has', 'not', 'and']
    """
    return _Compiler(text).program()


class _Compiler:
    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[Name, int] = {}
        self.steps: list[Step] = []
        self.depth = 0
        self.tokens: list[Token] = []
        if len(text) > MOST:
            raise OptionError(f"--where: the expression has {len(text):,} characters, of at most {MOST:,}")
        at = 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if found is None:
                self._stop_at(at)
            kind = str(found.lastgroup)
            content = found[kind]
            start = found.start(kind)
            if kind == "name" and content.lower() in KEYWORDS:
                kind, content = "word", content.lower()
            self.tokens.append(Token(kind, content, start))
            at = found.end()
        self.tokens.append(Token("end", "", len(text.rstrip())))
        self.place = 0

    def _stop_at(self, at: int) -> NoReturn:
        """Raises the error of a character that begins no word."""
        at += len(self.text[at:]) - len(self.text[at:].lstrip())
        char = self.text[at]
        if char == "=":
            self._fail(at, "equal is written ==")
        if char in "\"'`":
            self._fail(at, f"this {char} has no second one")
        if char in "&|":
            self._fail(at, "write `and` and `or`")
        if char.isdigit():
            self._fail(at, "not a number (a name that begins with a digit is put between backticks)")
        self._fail(at, "no name, number or text begins like this")

    def _fail(self, at: int, reason: str) -> NoReturn:
        """Raises OptionError with a mark under the place."""
        start = max(at - 60, 0)
        shown = "".join(char if char.isprintable() else " " for char in self.text[start : at + 40])
        raise OptionError([f"--where: {reason}", f"  {shown}", f"  {' ' * (at - start)}^"])

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def _take(self, kind: str, *contents: str) -> Token | None:
        """The next token if it is of a kind and one of the contents."""
        token = self.next
        if token.kind == kind and (not contents or token.content in contents):
            self.place += 1
            return token
        return None

    def _need(self, sign: str, what: str) -> None:
        if self._take("sign", sign) is None:
            self._fail(self.next.at, f"expected {what} here")

    def program(self) -> Program:
        self._either()
        if self.next.kind != "end":
            self._fail(self.next.at, "expected `and`, `or` or the end here")
        return Program(list(self.names), self.steps)

    def _either(self) -> None:
        self._both()
        while self._take("word", "or"):
            self._both()
            self.steps.append(Step("or"))

    def _both(self) -> None:
        self._negated()
        while self._take("word", "and"):
            self._negated()
            self.steps.append(Step("and"))

    def _negated(self) -> None:
        token = self.next
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(token.at, f"more than {DEEPEST} parentheses and negations inside each other")
        if self._take("word", "not"):
            self._negated()
            self.steps.append(Step("not"))
        elif self._take("sign", "("):
            self._either()
            self._need(")", "`)`, `and` or `or`")
        elif self._take("word", "has"):
            self.steps.append(Step("has", self._name()))
        else:
            self._test()
        self.depth -= 1

    def _name(self) -> int:
        """Reads a name; returns its number."""
        token = self._take("name") or self._take("quoted")
        if token is None:
            self._fail(self.next.at, "expected the name of a feature here (one with other signs is put in backticks)")
        if token.kind == "name" and token.content in RESERVED:
            name = Name(token.content, reserved=True)
        else:
            before, sign, behind = token.content.partition("^")
            name = Name(behind, before) if sign else Name(token.content)
            if not name.name:
                self._fail(token.at, "no name of a feature behind '^'")
        return self.names.setdefault(name, len(self.names))

    def _value(self) -> str | float:
        """Reads a number or a text."""
        if token := self._take("number"):
            return float(token.content)
        if token := self._take("text"):
            return re.sub(r"\\(.)", r"\1", token.content[1:-1], flags=re.DOTALL)
        self._fail(self.next.at, 'expected a number, or a text in quotes such as "Rome", here')

    def _test(self) -> None:
        if self.next.kind in ("number", "text"):
            value = self._value()
            sign = self._take("sign", *COMPARISONS)
            if sign is None:
                self._fail(self.next.at, "expected a comparison (== != < <= > >=) here")
            self.steps.append(Step(MIRRORED.get(sign.content, sign.content), self._name(), value))
            return
        name = self._name()
        if sign := self._take("sign", *COMPARISONS):
            if self.next.kind in ("name", "quoted"):
                self._fail(self.next.at, "a name is compared with a number or a text in quotes, not with a name")
            self.steps.append(Step(sign.content, name, self._value()))
        elif self._take("word", "is"):
            negative = self._take("word", "not")
            if self._take("word", "missing") is None:
                self._fail(self.next.at, "expected `missing` here")
            self.steps += [Step("has", name)] + ([] if negative else [Step("not")])
        else:
            negative = self._take("word", "not")
            if self._take("word", "in") is None:
                self._fail(self.next.at, "expected a comparison (== != < <= > >=), `in` or `is missing` here")
            self._need("(", "`(`")
            self._among(name, negative is not None)
            self._need(")", "`,` or `)`")

    def _among(self, name: int, negative: bool) -> None:
        """Reads the values of a list: one of them is equal, or with `not` all differ."""
        action, join = ("!=", "and") if negative else ("==", "or")
        self.steps.append(Step(action, name, self._value()))
        while self._take("sign", ","):
            self.steps += [Step(action, name, self._value()), Step(join)]
