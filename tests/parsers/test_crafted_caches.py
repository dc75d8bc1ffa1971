"""A cache with right checksums and wrong content is refused: nothing that no text parses into is learned or saved."""

import math
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import caches
from tests.support.command import run
from vwlite.cli import main
from vwlite.model.model_file import open as open_model
from vwlite.parsers.cache import SIZES

LINES = ["1 |a x:0.3333 y:2.5e9", "-1 2 0.25 'tag|a x z:7.125 |b u", "broken |a", "", "0.5 |b v:3.00001"] * 40
DECISIONS = [
    "shared |u x:0.3333",
    "0:-1:0.5 |i y",
    "|i z:4.56789",
    "",
    "|i y",
    "1:0.25:0.125 |i z",
    "",
    "|i",
    "2:1:1 |i",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cached(lines, *flags):
    """Makes the cache `kept` of lines; what a run over it gives."""
    Path("data.txt").write_text("".join(f"{line}\n" for line in lines))
    words = ["data.txt", "--cache_file", "kept", *flags]
    assert main([*words, "--quiet", "-k"]) == 0
    return words


@pytest.fixture
def refused(capsys):
    """Asserts that a run over the cache is over in one line, and leaves no model."""

    def run_it(words):
        capsys.readouterr()
        assert main([*words, "-f", "out.model", "--quiet"]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == "vwlite: error: kept: the cache is damaged; rebuild it with --kill_cache\n"
        assert not Path("out.model").exists()

    return run_it


def replacing(old, new):
    """Puts other bytes in the place of some that are there."""

    def change(head, block):
        assert old in block
        return head, block.replace(old, new)

    return change


ODD = [math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("number", ODD)
@pytest.mark.parametrize("names", [False, True])
def test_features_that_are_not_finite(number, names, refused):
    words = cached(LINES, *(["--random_effect", "b", "--bayes_linear"] if names else []), "--allow_empty")
    assert caches.blocks("kept")[1][0][0].kind == (caches.AS_IT_LIES if names else caches.PACKED)
    caches.rewrite("kept", replacing(struct.pack("<f", 2.5e9), struct.pack("<f", number)))
    refused(words)


@pytest.mark.parametrize("number", [*ODD, -1.0])
def test_weights_that_no_example_has(number, refused):
    words = cached(["1 0.3333 |a x"] * 5)
    caches.rewrite("kept", replacing(struct.pack("<f", 0.3333), struct.pack("<f", number)))
    refused(words)


@pytest.mark.parametrize("number", ODD)
def test_initial_predictions_that_are_not_finite(number, refused):
    words = cached(["1 1 0.3333 |a x"] * 5)
    caches.rewrite("kept", replacing(struct.pack("<f", 0.3333), struct.pack("<f", number)))
    refused(words)


@pytest.mark.parametrize("number", ODD[:2])
def test_labels_that_are_infinite(number, refused):
    words = cached(["0.3333 |a x"] * 5)
    caches.rewrite("kept", replacing(struct.pack("<f", 0.3333), struct.pack("<f", number)))
    refused(words)


def test_a_changed_number_that_could_be_one_is_read():
    words = cached(["0.3333 |a x"] * 5)
    caches.rewrite("kept", replacing(struct.pack("<f", 0.3333), struct.pack("<f", 0.25)))
    assert "best constant = 0.250000" in run(*words).stderr


FIELDS = ("n_rows", "n_extents", "n_features", "text_length", "form", "source", "first_line")
NUMBERS = (2**31 - 1, 2**32, 2**63, 2**64 - 1, 10**6, 1)
ABSURD = [(field, number) for field in FIELDS for number in NUMBERS if field != "first_line" or number >= 2**63]


@pytest.mark.parametrize(("field", "number"), ABSURD)
@pytest.mark.parametrize("names", [False, True])
def test_counts_and_places_that_are_absurd(field, number, names, refused):
    words = cached(LINES, *(["--random_effect", "b", "--bayes_linear"] if names else []), "--allow_empty")
    start, ((head, block), *_) = caches.blocks("kept")
    if getattr(head, field) == number:
        number = 0
    changed = head._replace(**{field: number})
    signed = head._replace(checksum=0)
    with suppress(IndexError):
        signed = caches.sign(changed, block)
    Path("kept").write_bytes(start + caches.HEAD.pack(*signed) + block + caches.HEAD.pack(caches.LAST, *[0] * 9))
    refused(words)


TIMED = ["--delay", "2s", "--time", "t"]


def test_what_is_noted_is_in_a_cache():
    lines = [f"{i % 2} |a x:{i % 3} | t:{i // 40}" for i in range(80)]  # the time 0 is no feature
    words = cached(lines, *TIMED)
    assert caches.blocks("kept")[1][0][0].form >> 1 == 40 + 27  # and x:0
    again, alone = run(*words).stderr, run("data.txt", *TIMED).stderr
    assert "using cache_file" in again or "kept" in again
    assert losses_of(again) == losses_of(alone)


def losses_of(said: str) -> list[str]:
    return [line for line in said.splitlines() if "loss" in line]


@pytest.mark.parametrize(
    ("place", "value"), [(0, 10**6), (2, 2**31), (3, 2**31), (4, 2**31), (6, math.inf), (6, math.nan)]
)
def test_places_of_what_is_noted(place, value, refused):
    words = cached([f"{i % 2} |a x:{i % 3} | t:{i // 40}" for i in range(80)], *TIMED)
    __, ((head, _block), *_) = caches.blocks("kept")
    at = sum(caches.parts_of(head)[:5]) + SIZES[5] * 20 + 4 * place
    caches.rewrite("kept", lambda head, block: (head, block[:at] + as_bytes(value) + block[at + 4 :]))
    refused(words)


def as_bytes(value: float) -> bytes:
    return struct.pack("<f", value) if isinstance(value, float) else struct.pack("<I", value)


def test_a_probability_that_is_none(refused):
    words = cached(DECISIONS, "--thompson", "--bayes_linear")
    for number in (*ODD, 0.0, -0.5, 1.5):
        assert main([*words, "-k", "--quiet"]) == 0
        caches.rewrite("kept", replacing(struct.pack("<f", 0.125), struct.pack("<f", number)))
        refused(words)


SHARED = 1 << 9  # of the flags of a packed row: its kind, and whether it is shared, follow


def test_decisions_that_are_none(refused):
    """A line with shared features alone is no decision."""
    lonely = cached(["|u x", ""], "--thompson", "--bayes_linear", "--allow_empty")
    _, ((_, block), *_) = caches.blocks("kept")
    assert struct.unpack("<H", block[:2])[0] & SHARED == 0
    flags = struct.pack("<H", struct.unpack("<H", block[:2])[0] | SHARED)
    caches.rewrite(
        "kept",
        lambda head, block: (
            head._replace(text_length=head.text_length + 4, form=head.form + 4),
            flags + bytes([0, 0, 1, 1]) + block[2:],  # an example, no reason, shared, column
        ),
    )
    refused(lonely)


def test_what_vw_takes_for_a_number_is_in_a_cache_of_compatible_mode():
    words = cached(["1 |a x:inf y", "1 |a y"], "--vw_compat")
    assert "using cache_file = kept" in run(*words).stderr
    assert run(*words, "-f", "out.model", "--quiet").stderr == ""
    assert open_model("out.model").names()
