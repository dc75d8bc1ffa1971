"""Examples whose crossed features are too many: left out like malformed lines, and no concern of any other example."""

import itertools
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ParseError
from vwlite.features import interactions

LIMIT = 1 << 24
BEFORE, AFTER = ["1 |a x y |b z", "-1 |a x |b y |c q"], ["1 |c q |b u v |a x", "-1 |a y |b z |c r"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def line(head: str = "1 ", **namespaces: int) -> str:
    """A line with so many features in each namespace."""
    return head + " ".join(f"|{name} " + " ".join(f"{i:x}" for i in range(n)) for name, n in namespaces.items())


def run(lines: Sequence[str], *words: str) -> str:
    """What a run over a file predicts."""
    Path("data.txt").write_text("\n".join(lines) + "\n")
    assert main(["data.txt", "-p", "p.txt", "--allow_empty", *words]) == 0
    return Path("p.txt").read_text()


@pytest.mark.parametrize("flags", [(), ("--onethread",), ("--ignore", "d"), ("--passes", "2", "-c", "--holdout_off")])
@pytest.mark.parametrize("crossing", ["abc", ":::"])
def test_a_run_leaves_the_line_out_and_says_where_it_is(crossing, flags, capsys):
    words = ["--interactions", crossing, *flags]
    expected = run([*BEFORE, *AFTER], *words)
    assert run([*BEFORE, line(a=300, b=300, c=300), *AFTER], *words) == expected
    said = capsys.readouterr().err
    assert "skipped data.txt:3:" in said and "more than 16,777,216 features" in said and "--feature_limit" in said
    assert "skipped malformed lines = 1 of 5" in said


def test_the_place_is_the_first_namespace_of_the_crossing_that_is_too_much(capsys):
    run([line("", q=2, a=300, b=300, c=300)], "--interactions", "qa", "--interactions", "abc")
    assert "skipped data.txt:1:9: " in capsys.readouterr().err


def test_a_strict_run_stops_there(capsys):
    Path("data.txt").write_text(f"{BEFORE[0]}\n{line(a=6000, b=6000)}\n")
    assert main(["data.txt", "--quiet", "-q", "ab", "--strict_parse"]) == 1
    assert "data.txt:2:4: more than 16,777,216 features" in capsys.readouterr().err


def test_a_workspace_raises_and_goes_on_as_if_the_line_had_not_been_there():
    workspace, other = Workspace("-q ab"), Workspace("-q ab")
    with pytest.raises(ParseError, match="more than 16,777,216 features") as error:
        workspace.learn([*BEFORE, line(a=6000, b=6000), *AFTER])
    assert (error.value.line, error.value.column) == (3, 4)
    other.learn(BEFORE)
    assert workspace.learn(AFTER) == other.learn(AFTER)
    assert workspace.sensitivity(line(a=6000, b=6000)) is None


@pytest.mark.parametrize("flags", ["-q aa", "-q aa --permutations", "--cubic aaa", "--cubic aaa -q aa --noconstant"])
def test_exactly_so_many_features_are_crossed(flags):
    def count(n):
        ordered = "--permutations" in flags
        pairs = n * n if ordered else math.comb(n + 1, 2)
        products = pairs * ("-q" in flags) + math.comb(n + 2, 3) * ("--cubic" in flags)
        return n + products + ("--noconstant" not in flags)

    most = next(n for n in itertools.count() if count(n + 1) > LIMIT)
    workspace = Workspace(flags)
    workspace.learn(line(a=most))
    assert workspace.driver.counters.total_features == count(most)
    with pytest.raises(ParseError):
        workspace.learn(line(a=most + 1))


def products(term: str, sizes: dict[str, int], in_every_order: bool) -> int:
    """How many crossed features a term gives, by making them."""
    if in_every_order:
        return len(list(itertools.product(*(range(sizes.get(letter, 0)) for letter in term))))
    runs = [(letter, len(list(same))) for letter, same in itertools.groupby(sorted(term))]
    choices = [list(itertools.combinations_with_replacement(range(sizes.get(name, 0)), n)) for name, n in runs]
    return math.prod(len(choice) for choice in choices)


@given(
    st.lists(
        st.text("abc", min_size=2, max_size=4), min_size=1, max_size=3, unique_by=lambda term: "".join(sorted(term))
    ),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1),
    st.booleans(),
)
def test_as_many_features_are_crossed_as_there_are_ways_to_choose_them(terms, sizes, in_every_order):
    flags = [word for term in terms for word in ("--interactions", term)] + ["--permutations"] * in_every_order
    workspace = Workspace(flags)
    workspace.learn(line(**sizes))
    made = sum(products(term, sizes, in_every_order) for term in terms)
    assert workspace.driver.counters.total_features == sum(sizes.values()) + 1 + made


def test_many_features_times_none_are_none():
    workspace = Workspace("--interactions aabbc")
    workspace.learn(line(a=30_000, b=30_000))  # 10^17 if they were gone through
    assert workspace.driver.counters.total_features == 60_001


DECISION = ["shared |a x |b y", "0:-1:0.5 |b z", "|b u", ""]


@pytest.mark.parametrize("policy", ["--explore epsilon", "--thompson --bayes_linear"])
@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ([line("shared ", a=6000), "0:1:0.5 |b z", line("", b=6000)], (5, 8)),
        (["shared |b x", "0:1:0.5 |b z", line("", q=1, a=6000, b=6000)], (7, 6)),
        ([line("", a=6000, b=6000), "|b z"], (5, 1)),
    ],
)
def test_a_decision_is_refused_for_one_of_its_actions(policy, bad, place, capsys):
    words = ["-q", "ab", *policy.split()]
    expected = run([*DECISION * 3], *words)
    assert run([*DECISION, *bad, "", *DECISION * 2], *words) == expected
    line_number, column = place
    assert f"skipped data.txt:{line_number}:{column + 1}: more than" in capsys.readouterr().err
    workspace = Workspace(words)
    with pytest.raises(ParseError):
        workspace.learn([*bad, ""])
    assert workspace.learn(DECISION) == Workspace(words).learn(DECISION)


def test_what_a_fixed_effect_cannot_cross_is_left_out():
    fixed = Workspace("-q ab")
    fixed.learn(BEFORE * 5)
    fixed.save("fixed")
    flags = "--bayes_linear --fixed_effect fixed"
    workspace, other = Workspace(flags), Workspace(flags)
    with pytest.raises(ParseError, match="more than 16,777,216 features") as error:
        workspace.learn([*BEFORE, line(a=6000, b=6000)])
    assert (error.value.line, error.value.column) == (3, 4)
    other.learn(BEFORE)
    assert workspace.learn(AFTER) == other.learn(AFTER)


WITHOUT_MEMORY = """
import resource, sys
from vwlite import Workspace
workspace = Workspace("-q ab")
large = "1 |a " + " ".join(f"{i:x}" for i in range(4000)) + " |b " + " ".join(f"{i:x}" for i in range(4000))
workspace.learn("1 |a x |b y")
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), -1))
try:
    workspace.learn(large)
except MemoryError:
    print(*workspace.learn(["1 |c q |b y", "1 |a x |b y"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory it has")
def test_an_example_for_which_there_is_no_memory_leaves_nothing_behind():
    done = subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], capture_output=True, text=True, check=True)
    other = Workspace("-q ab")
    other.learn("1 |a x |b y")
    assert [float(word) for word in done.stdout.split()] == other.learn(["1 |c q |b y", "1 |a x |b y"])


def test_wildcards_that_could_not_be_filled_are_filled_later(monkeypatch):
    def fail(*_):
        raise MemoryError

    workspace, other = Workspace("-q ::"), Workspace("-q ::")
    with monkeypatch.context() as patch:
        patch.setattr(interactions, "terms_of", fail)
        with pytest.raises(MemoryError):
            workspace.learn(BEFORE[1])
    assert workspace.learn(BEFORE * 2) == other.learn(BEFORE * 2)
