"""Names hashed and numbers read eight at a time: what plain code makes of them, wherever they are in a block."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace
from vwlite.parsers import text as text_parser

DIGITS = st.text("0123456789", min_size=1, max_size=11)
NAMES = st.one_of(
    DIGITS,
    st.text("abcxyzABC_=0129\x01\x7fé", min_size=1, max_size=20),
    st.builds(lambda n: "n" * n, st.integers(1, 18)),
)
NUMBERS = st.one_of(
    st.builds("{}.{}".format, st.sampled_from("0123456789-x"), DIGITS),
    st.builds("{}.{}e-{:02d}".format, st.sampled_from("0189"), DIGITS, st.integers(0, 45)),
    st.floats(-1e6, 1e6, width=32).map("{:.7e}".format),
    st.floats(0, 1, width=32).map("{:.8f}".format),
    st.sampled_from(["0", "0.0", "0.00000000", "1e3", "5", "-", ".", "1.", "", "nan", "x"]),
)
FEATURES = st.one_of(NAMES, st.builds("{}:{}".format, NAMES, NUMBERS), st.builds("{}:{}".format, DIGITS, NUMBERS))
LINES = st.builds(
    "{}|{} {}".format,
    st.sampled_from(["", "1 ", "-1 ", "1 2 'tag"]),
    st.sampled_from(["", "a", "abc", "a:2", "a:0", "0"]),
    st.lists(FEATURES, max_size=30).map(" ".join),
)


@pytest.fixture(scope="module", params=["", "--vw_compat", "--hash all", "--hash_seed 7"])
def parser(request):
    return Workspace(request.param).parser


def bits(examples):
    """Examples with the bits of their numbers."""
    return [
        (row["kind"], row["reason"], row["column"], [
            (*space[:2], [(hash, struct.pack("f", value)) for hash, value in space[2]]) for space in row["namespaces"]
        ])
        for row in examples
    ]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(lines=st.lists(LINES, max_size=12))
def test_the_same_features(parser, lines):
    text = "".join(f"{line}\n" for line in lines).encode()
    fast = bits(parse(parser, text).examples())
    before = text_parser.use_eight(False)
    try:
        plain = bits(parse(parser, text).examples())
    finally:
        text_parser.use_eight(before)
    assert fast == plain


@pytest.mark.parametrize("decimals", range(1, 9))
def test_decimals_are_read_as_python_reads_them(decimals):
    """To single precision: the nearest number, but for one unit in the last place once in 2^28."""
    values = [f"{i % 10}.{(i * 7919) % 10**decimals:0{decimals}d}" for i in range(1, 4000)]
    found = parse(Workspace("").parser, ("| " + " ".join(f"{i}:{v}" for i, v in enumerate(values))).encode()).examples()
    features = dict(found[0]["namespaces"][0][2])
    expected = {i: struct.unpack("f", struct.pack("f", float(v)))[0] for i, v in enumerate(values) if float(v)}
    assert features == expected
