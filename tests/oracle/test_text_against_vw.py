"""Any line that Vowpal Wabbit accepts gives the same features, label, weight, initial prediction and tag here."""

import itertools
import math
import os
import tempfile
from dataclasses import dataclass

import pytest
import vowpalwabbit
from hypothesis import event, example, given, note, settings
from hypothesis import strategies as st

from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace

BITS = 18
UNLABELLED = 3.4028234663852886e38
# VW adds up digits in single precision
TOLERANCE = 1e-6

Features = list[tuple[int, list[tuple[int, float]]]]


@dataclass
class Line:
    """What a program makes of a line."""

    features: Features
    tag: bytes
    label: float
    weight: float
    initial: float
    complaint: bool

    def finite(self) -> bool:
        """Whether each of its numbers is."""
        values = [value for _, group in self.features for _, value in group]
        return all(map(math.isfinite, [self.label, self.weight, self.initial, *values]))


class Oracle:
    """Vowpal Wabbit in this process; its log tells whether it complained about a line."""

    def __init__(self, flags: str) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.flags = flags
        self.workspace = self.quietly(
            lambda: vowpalwabbit.Workspace(f"-b {BITS} --noconstant --log_output stderr {flags}")
        )

    def quietly(self, action):
        stderr = os.dup(2)
        os.dup2(self.log.fileno(), 2)
        try:
            return action()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

    def parse(self, line: str) -> Line:
        before = os.fstat(self.log.fileno()).st_size
        # what reads files for VW takes the byte order mark away before it parses
        seen = self.quietly(lambda: self.workspace.parse(line.removeprefix("\ufeff")))
        groups = []
        for n in range(seen.num_namespaces()):
            namespace = seen.get_ns(n)
            features = range(seen.num_features_in(namespace))
            groups.append(
                (seen.namespace(n), [(seen.feature(namespace, i), seen.feature_weight(namespace, i)) for i in features])
            )
        label = seen.get_simplelabel_label()
        found = Line(
            merged(groups),
            seen.get_tag().encode(),
            math.nan if label == UNLABELLED else label,
            seen.get_simplelabel_weight(),
            seen.get_simplelabel_initial(),
            os.fstat(self.log.fileno()).st_size > before,
        )
        self.quietly(lambda: self.workspace.finish_example(seen))
        return found


def merged(groups: Features) -> Features:
    """Features by namespace: the parts of a namespace that is named twice together, hashes as the table sees them."""
    return [
        (index, [(hash_ % 2**BITS, value) for _, part in parts for hash_, value in part])
        for index, parts in itertools.groupby((group for group in groups if group[1]), key=lambda group: group[0])
    ]


def ours(workspace: Workspace, line: str) -> Line:
    (row,) = parse(workspace.parser, line.encode() + b"\r\n").examples()
    groups = [(index, features) for index, _, features in row["namespaces"]]
    return Line(merged(groups), row["tag"], row["label"], row["weight"], row["initial"], row["kind"] == "problem")


def near(one: float, other: float) -> bool:
    smallest = 1.2e-38  # of normal numbers in single precision: VW is compiled to make smaller ones 0
    if max(abs(one), abs(other)) < smallest:
        return True
    return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=TOLERANCE)


def is_number(word: str) -> bool:
    """Whether all of a word is one, in single precision: VW takes 1x for 1 and 01e131 for 0 without a word."""
    try:
        value = float.fromhex(word) if "x" in word.lower() else float(word)
    except ValueError:
        return False
    return not math.isfinite(value) or abs(value) <= 3.4028235e38


def assert_same(found: Line, wanted: Line) -> None:
    assert [index for index, _ in found.features] == [index for index, _ in wanted.features]
    for (_, group), (_, wanted_group) in zip(found.features, wanted.features, strict=True):
        assert [hash_ for hash_, _ in group] == [hash_ for hash_, _ in wanted_group]
        assert all(near(value, other) for (_, value), (_, other) in zip(group, wanted_group, strict=True)), (
            group,
            wanted_group,
        )
    assert found.tag == wanted.tag
    assert near(found.label, wanted.label)
    assert near(found.weight, wanted.weight)
    assert near(found.initial, wanted.initial)


def joined(*parts) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


def some(strategy, most=4) -> st.SearchStrategy[str]:
    return st.lists(strategy, max_size=most).map("".join)


DIGITS = st.text("0123456789", max_size=6)
DECIMAL = joined(
    st.sampled_from(("", "", "-")), st.text("0123456789", min_size=1, max_size=6), st.sampled_from(("", ".")), DIGITS
)
EXPONENT = joined(st.sampled_from("eE"), st.sampled_from(("", "-", "+")), st.integers(0, 20).map(str))
NUMBER = st.one_of(
    st.sampled_from(("1", "0", "2", "0.5", "-1", "-0", "3.", ".5", "1e-2", "1e3", "1E-3", "00012", "1.50", "-.25")),
    DECIMAL,
    joined(DECIMAL, EXPONENT),
    st.floats(-1e6, 1e6, width=32)
    .map("{:.7g}".format)
    .filter(lambda number: "e-3" not in number and "e-4" not in number),
)
ODD_NUMBER = st.sampled_from(
    (
        "-",
        ".",
        "e",
        "e5",
        "-e",
        "+1",
        "1e+2",
        "0x1F",
        "0x1p-2",
        "inf",
        "-inf",
        "nan",
        "infinity",
        "1x",
        "1-2",
        "--1",
        "1e",
        "1e-",
    )
)
LETTERS = st.text("abxyzAZ_-.'^=/\\é☃ß", min_size=1, max_size=6)
WHOLE = st.one_of(
    st.sampled_from(("0", "007", "123456789", "4294967295", "4294967296", "99999999999", "18446744073709551616")),
    st.text("0123456789", min_size=1, max_size=22),
)
CONTROL = st.text("ab01\x01\x07\x0b\x0c\x1b\x1f\x7f", min_size=1, max_size=4)
NAME = st.one_of(LETTERS, LETTERS, WHOLE, CONTROL)
TEXT_VALUE = st.one_of(LETTERS, st.sampled_from(("abc", "e", "-", "e-x", ".", "inf", "-abc")))
FEATURE = st.one_of(
    NAME,
    joined(NAME, ":", NUMBER),
    joined(NAME, ":", ODD_NUMBER),
    joined(NAME, ":", TEXT_VALUE),
    joined(":", NUMBER),
    joined(":", TEXT_VALUE),
    st.sampled_from(("", ":1:2", "a:1:2")),
)
BLANK = st.sampled_from((" ", " ", " ", "  ", "\t", " \t"))
PERHAPS_BLANK = st.one_of(st.just(""), BLANK)
NAMESPACE_NAME = st.one_of(
    st.sampled_from(("a", "b", "alpha", "", "", "7", "é")),
    NAME,
    joined(NAME, ":", NUMBER),
    joined(NAME, ":", ODD_NUMBER),
)
# VW takes a '|' right behind a value that is text into the value
NAMESPACE = st.one_of(
    joined("|", NAMESPACE_NAME, some(joined(BLANK, FEATURE), 5), BLANK),
    joined("|", NAMESPACE_NAME, some(joined(BLANK, NAME, ":", NUMBER), 3), PERHAPS_BLANK),
)
TAG = st.one_of(st.sampled_from(("", "", "'tag", "'", "''", "tag", "a'b", "1")), joined("'", LETTERS))
HEAD = st.one_of(
    st.just(""),
    joined(TAG, PERHAPS_BLANK),
    joined(NUMBER, " ", TAG, PERHAPS_BLANK),
    joined(NUMBER, " ", NUMBER, PERHAPS_BLANK, TAG, PERHAPS_BLANK),
    joined(NUMBER, " ", NUMBER, " ", NUMBER, BLANK, TAG, PERHAPS_BLANK),
    joined(ODD_NUMBER, BLANK, TAG, PERHAPS_BLANK),
    joined(NUMBER, " ", NUMBER, " ", NUMBER, " ", NUMBER, BLANK),
)
# Workspace.parse strips lines
LINE = (
    joined(st.sampled_from(("",) * 9 + ("\ufeff",)), HEAD, some(NAMESPACE))
    .map(str.strip)
    .filter(lambda line: line.strip("\ufeff"))
)  # VW leaves the label as it was for an empty line
FLAGS = ("", "--hash all", "--hash_seed 42", "--hash all --hash_seed 42", "--redefine x:=ab --redefine a:=y")


@pytest.fixture(scope="module")
def oracles():
    return [Oracle(flags) for flags in FLAGS]


@pytest.fixture(scope="module")
def strict(oracles):
    return [(oracle, Workspace(oracle.flags)) for oracle in oracles]


@pytest.fixture(scope="module")
def compatible(oracles):
    return [(oracle, Workspace(f"--vw_compat {oracle.flags}")) for oracle in oracles]


# A line takes a hundred times longer to draw than to parse, so each goes through all flags.


@settings(deadline=None, max_examples=800)
@given(line=LINE)
@example(line="1 2 0.5 tag|a x:2 | :3 :4|a 007 4294967296")
@example(line="1\t2 |a x")
@example(line="\ufeff'tag |\t:1\tx")
def test_same_as_vw_or_refused_with_reason(strict, line):
    line = line if "|" in line else f"{line}|"  # of lines without a bar VW takes the last word for a tag
    for oracle, workspace in strict:
        note(f"flags: {oracle.flags}")
        found, wanted = ours(workspace, line), oracle.parse(line)
        event(f"refused {found.complaint}, VW complains {wanted.complaint}")
        if found.complaint:
            assert (
                wanted.complaint
                or not wanted.finite()
                or "inf" in line
                or not all(map(is_number, line.partition("|")[0].split()))
            )
        else:
            assert_same(found, wanted)


@settings(deadline=None, max_examples=800)
@given(line=LINE)
@example(line="1 | a:1:2 b")
@example(line="abc |a x")
@example(line="1 2 3 4 |a x")
@example(line="1 |a:nan x")
def test_under_vw_compat_malformed_lines_are_used_as_far_as_vw_uses_them(compatible, line):
    for oracle, workspace in compatible:
        note(f"flags: {oracle.flags}")
        assert_same(ours(workspace, line), oracle.parse(line))


VALUES_MISSING = [
    "|a x: 3 y",
    "|a x:  -0.5",
    "|a x:",
    "|a x: y z",
    "|a:2 x:",
    "|n: 3 y",
    "| age: city",
    "| x:|b y",
    "|a :",
]


@pytest.mark.parametrize(
    "line",
    [
        *VALUES_MISSING,
        "|a:2 x: y",
        "|a x: |b y",
        "|a x:  y:2 z",
        "|a x: y: 2",
        "| : y",
        "| x:\t2\ty",
        "| x: \t2 y",
        "| x: a\tb c",
        "| x:a|b c",
        "| x:a:b:c d",
        "|a:2 : 3 z",
        "|a: x y",
        "hello",
        "1",
        "1 2",
        "1 2 tag",
        "1 'tag",
    ],
)
def test_under_vw_compat_blanks_at_a_colon_and_lines_without_a_bar_are_vws(compatible, line):
    for oracle, workspace in compatible:
        assert_same(ours(workspace, line), oracle.parse(line))


@pytest.mark.parametrize("line", VALUES_MISSING)
def test_a_missing_value_is_malformed(strict, line):
    for _, workspace in strict:
        assert ours(workspace, line).complaint
