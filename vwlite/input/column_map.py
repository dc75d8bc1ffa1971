"""Column map: what each column of a table is, in the words of --columns_in and --label.

    price:number city:category desc:text when:date(hour,dow,month) id:tag w:weight user:entity /^clk_/:number@ads
    /.*/:ignore

or @FILE, a TOML file with a table of roles by name:

    [columns]
    price = "number"
    "/^clk_/" = "number@ads"

A rule is NAME:ROLE, or /REGULAR EXPRESSION/:ROLE, with @NAMESPACE for the namespace of the features. The first rule
that matches a column holds. A name that contains blanks is put in quotes.
"""

from __future__ import annotations

import math
import re
import shlex
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vwlite.core.paths import explain
from vwlite.core.selectors import expression_of, split_rules
from vwlite.errors import OptionError

ROLES = {
    "auto": "a number, a category or true and false, by the type of the column or by its first value",
    "number": "a number: the feature name:value",
    "category": "a category: the feature name=text",
    "flag": "true and false: the feature name",
    "text": "words: a feature for each, in the namespace of the column",
    "date": "parts of a date: date(hour,dow,month)",
    "entity": "the name of an entity, in the namespace of the column",
    "label": "the label",
    "weight": "the importance weight",
    "initial": "the initial prediction (offset)",
    "tag": "the tag",
    "ignore": "no feature; --where, --by and the like may name it",
}
SINGLE = ("label", "weight", "initial", "tag")  # roles of one column at most
DATE_PARTS = ("year", "month", "day", "dow", "hour", "minute", "days")
RESPONSES = {
    "auto": "a number, or a class, as the stack learns",
    "number": "a number",
    "binary": "1 for the value in parentheses, -1 for others: binary(yes)",
    "above": "1 for numbers above that in parentheses, -1 for others: above(3.5)",
    "bins": "the class 1 for numbers up to the first border in parentheses, 2 up to the second, ...: bins(1,5,20)",
    "class": "a class, as it is written",
    "none": "no label: everything is predicted only",
}


@dataclass(frozen=True)
class Rule:
    """A rule of a column map.

    Args:
        name: The name of the column, or the regular expression.
        role: A key of ROLES.
        pattern: Whether the name is a regular expression.
        namespace: The namespace of its features; "" for none.
        arguments: What is in parentheses behind the role.
        response: Of a label: a key of RESPONSES.
    """

    name: str
    role: str
    pattern: bool = False
    namespace: str = ""
    arguments: tuple[str, ...] = ()
    response: str = "auto"

    def inside(self, outer: str) -> Rule:
        """The rule of a key in a record of this name, whose namespace it is in; the same for keys in no record."""
        of_features = self.role in ("number", "category", "flag", "date", "ignore")
        return replace(self, namespace=outer) if outer and not self.namespace and of_features else self

    def matches(self, column: str) -> bool:
        """Whether the rule is for a column of this name."""
        return bool(re.search(self.name, column)) if self.pattern else self.name == column

    def __str__(self) -> str:
        name = f"/{self.name}/" if self.pattern else self.name
        arguments = f"({','.join(self.arguments)})" if self.arguments else ""
        text = f"{name}:{self.role}{arguments}{'@' + self.namespace if self.namespace else ''}"
        return shlex.quote(text) if re.search(r"""[\s"'\\]""", text) else text


def _parts(text: str, what: str) -> tuple[str, tuple[str, ...]]:
    """A word and what is in parentheses behind it."""
    found = re.fullmatch(r"([a-z_]+)(?:\((.*)\))?", text, re.DOTALL)
    if found is None:
        raise OptionError(f"{what}: {text!r} is no role, such as number or date(hour,dow)")
    word, inside = found.groups()
    return word, tuple(part.strip() for part in inside.split(",")) if inside is not None else ()


def read_rule(text: str) -> Rule:  # noqa: DOC502
    """Reads a rule, NAME:ROLE or /REGULAR EXPRESSION/:ROLE, with @NAMESPACE.

    Args:
        text: The rule.

    Returns:
        The rule.

    Raises:
        OptionError: If it is none.

    >>> read_rule("/^clk_/:number@ads")
    Rule(name='^clk_', role='number', pattern=True, namespace='ads', arguments=(), response='auto')
    """
    what = f"--columns_in {text}"
    name, colon, rest = text.rpartition(":")
    if not colon or not name:
        raise OptionError(f"{what}: expected NAME:ROLE, such as price:number; roles are {', '.join(ROLES)}")
    role, at, namespace = rest.partition("@")
    word, arguments = _parts(role, what)
    if word not in ROLES:
        raise OptionError(f"{what}: there is no role {word!r}, only {', '.join(ROLES)}")
    if at and not namespace:
        raise OptionError(f"{what}: a namespace follows '@'")
    if at and word in (*SINGLE, "ignore"):
        raise OptionError(f"{what}: a column that is no feature has no namespace")
    if word == "date":
        unknown = [part for part in arguments if part not in DATE_PARTS]
        if unknown or not arguments:
            raise OptionError(f"{what}: expected parts of a date in parentheses, of {', '.join(DATE_PARTS)}")
    elif arguments:
        raise OptionError(f"{what}: {word} has nothing in parentheses")
    expression = expression_of(name, what)
    if expression is not None:
        name = expression.pattern
    return Rule(name, word, expression is not None, namespace, arguments)


def _require_borders(texts: Sequence[str], what: str) -> None:
    """Raises OptionError if texts are no borders of bins: numbers, each above the one before in single precision."""
    try:
        borders = array("f", map(float, texts))
    except ValueError:
        borders = array("f")
    in_order = all(one < two for one, two in pairwise(borders))
    if not borders or not in_order or not all(map(math.isfinite, borders)):
        raise OptionError(f"{what}: bins has numbers in parentheses, each above the one before: bins(1,5,20)")


def read_label(text: str) -> Rule:  # noqa: DOC502
    """Reads --label: NAME, or NAME:RESPONSE.

    Args:
        text: The value of the option.

    Returns:
        The rule.

    Raises:
        OptionError: If the response is none.

    >>> read_label("click:binary(yes)").arguments
    ('yes',)
    """
    what = f"--label {text}"
    name, colon, rest = text.rpartition(":")
    if not colon:
        return Rule(text, "label", response="none" if text == "none" else "auto")
    response, arguments = _parts(rest, what)
    if response not in RESPONSES:
        raise OptionError(f"{what}: a label is {', '.join(RESPONSES)}, not {response!r}")
    if response != "bins" and len(arguments) != (response in ("binary", "above")):
        raise OptionError(f"{what}: {response} is {RESPONSES[response]}")
    if response == "bins":
        _require_borders(arguments, what)
    if response == "above":
        try:
            float(arguments[0])
        except ValueError:
            raise OptionError(f"{what}: above needs a number in parentheses") from None
    return Rule(name, "label", arguments=arguments, response=response)


def remark_on_labels(text: str, weight: float, first: float, second: float) -> str:
    """The warning that --label has made no label, or one of all values, often because a name or value has a typo.

    Args:
        text: The value of the option.
        weight: The sum of the weights of examples with a label.
        first: The first label of the run; NaN if there was none, or they are no numbers.
        second: The first one that differs from it; NaN if there was none.

    Returns:
        The warning; "" if there were several labels, or one that is not one of two classes.

    >>> remark_on_labels("click:binary(Yes)", 9.0, -1.0, math.nan)
    "--label click:binary(Yes): no label is 'Yes', so all are -1"
    """
    rule = read_label(text)
    if not weight and rule.response != "none":
        return f"--label {text}: no example has a label"
    if rule.response not in ("binary", "above") or math.isnan(first) or not math.isnan(second):
        return ""
    value = repr(rule.arguments[0]) if rule.response == "binary" else f"above {rule.arguments[0]}"
    quantity = "no label is" if first < 0 else "every label is"
    return f"--label {text}: {quantity} {value}, so all are {first:g}"


@dataclass(frozen=True)
class ColumnMap:
    """The rules of a run, and how columns are found.

    Args:
        rules: The first that matches a column holds; without any, each column is `auto`.
        label: The rule of --label, or None.
        strict: Whether a column that no rule matches is an error, if there are rules; otherwise it is `auto`.
    """

    rules: tuple[Rule, ...] = ()
    label: Rule | None = None
    strict: bool = True

    def resolve(
        self, columns: Sequence[str], source: str, with_label: bool, entities: Sequence[str] = ()
    ) -> list[Rule]:
        """The rule of each column.

        Args:
            columns: The names of the columns.
            source: The name of the input, for messages.
            with_label: Whether a label is needed.
            entities: Namespaces of entities: a column of that name has their names.

        Returns:
            The rules, in the order of the columns.

        Raises:
            OptionError: If a column has no name, or one that another has, or no rule; if a rule has no column.
        """
        if len(set(columns)) < len(columns):
            twice = next(name for i, name in enumerate(columns) if name in columns[:i])
            raise OptionError(f"{source}: two columns are called {twice!r}: rename one")
        if "" in columns:
            raise OptionError(f"{source}: column {columns.index('') + 1} has no name")
        found = [self._rule_of(name, source) for name in columns]
        found = [
            Rule(name, "entity") if rule.role == "auto" and name in entities and not rule.namespace else rule
            for name, rule in zip(columns, found, strict=True)
        ]
        wanted = [rule for rule in (self.label, *self.rules) if rule is not None and rule.response != "none"]
        for rule in wanted:
            optional = rule.role == "label" and not with_label
            if not optional and not any(rule.matches(name) for name in columns):
                option = "--label" if rule is self.label else "--columns_in"
                raise OptionError(f"{source}: no column matches {option} {rule}; there are {listed(columns)}")
        for role in SINGLE:
            of_role = [name for name, rule in zip(columns, found, strict=True) if rule.role == role]
            if len(of_role) > 1:
                raise OptionError(f"{source}: the columns {' and '.join(of_role)} are both the {role}")
        return found

    def rule_of(self, key: str, entities: Sequence[str] = ()) -> Rule | None:
        """The rule of a key of JSON or of a dict; None if there are rules, and none matches."""
        try:
            rule = self._rule_of(key, "")
        except OptionError:
            return None
        return Rule(key, "entity") if rule.role == "auto" and key in entities else rule

    def _rule_of(self, column: str, source: str) -> Rule:
        if self.label is not None and self.label.response != "none" and self.label.matches(column):
            return self.label
        for rule in self.rules:
            if rule.matches(column):
                return rule
        if re.fullmatch(r"__index_level_\d+__", column):
            return Rule(column, "ignore")  # the rows' numbers, which pandas writes beside a frame's columns
        if self.rules and self.strict:
            raise OptionError(
                f"{source}: no rule of --columns_in matches the column {column!r}: add {column}:ROLE, or /.*/:auto or "
                "/.*/:ignore for all that are left"
            )
        return Rule(column, "auto")


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names, at most a few, for a message."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown or "none"


def read_map_file(path: str) -> list[str]:
    """The rules in a TOML file, in its table [columns].

    Args:
        path: The file.

    Returns:
        The rules, in the order of the file.

    Raises:
        OptionError: If the file can't be read, or has anything but roles by name.
    """
    import tomllib

    what = f"--columns_in @{path}"
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise OptionError(f"{what}: {explain(error, path)}") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{what}: not a TOML file: {error}") from error
    columns = content.pop("columns", None)
    if not isinstance(columns, dict) or content:
        extra = f", not {next(iter(content))!r}" if content else ""
        raise OptionError(f'{what}: expected one table, [columns], with lines such as price = "number"{extra}')
    for name, role in columns.items():
        if not isinstance(role, str):
            raise OptionError(f'{what}: the role of {name!r} is a text such as "number", not {role!r}')
    try:
        return [str(read_rule(f"{name}:{role}")) for name, role in columns.items()]
    except OptionError as error:
        raise OptionError(f"{what}: {str(error).removeprefix('--columns_in ')}") from None


def expand(texts: Iterable[str]) -> list[str]:  # noqa: DOC502
    """Texts of rules, with the rules of files in place of @FILE.

    Args:
        texts: The values of --columns_in.

    Returns:
        The texts.

    Raises:
        OptionError: If a file can't be read.
    """
    found = []
    for text in texts:
        path = text.strip()
        is_file = path.startswith("@") and not re.search(rf":({'|'.join(ROLES)})(\(.*\))?(@\S+)?$", path)
        found += read_map_file(path[1:]) if is_file else [text]
    return found


def read_map(  # noqa: DOC502
    rules: str | Iterable[str] | Mapping[str, str] | None, label: str | None = None
) -> ColumnMap:
    """Reads a column map.

    Args:
        rules: Rules in one text, separated by blanks, or @FILE; or several such texts; or roles by name.
        label: The value of --label.

    Returns:
        The map.

    Raises:
        OptionError: If a rule is none.

    >>> [rule.role for rule in read_map("a:number b:ignore").rules]
    ['number', 'ignore']
    """
    if isinstance(rules, Mapping):
        words = [f"{name}:{role}" for name, role in rules.items()]
    else:
        words = []
        for text in expand([rules] if isinstance(rules, str) else rules or ()):
            words += split_rules(text, "--columns_in")
    return ColumnMap(tuple(map(read_rule, words)), read_label(label) if label else None)
