"""Whatever the bytes: every line comes back as an example, an empty line or a problem, wherever blocks are cut."""

import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace
from vwlite.errors import ParseError

SMALL = ["-b", "10"]
BLOCK = 1 << 18  # about what the reader takes at once
PIECES = st.sampled_from(
    [
        *b"1 -1 0.5 | |a |b:2 : :3 :e 'tag nan inf 1e999 0x1p3 - . 007 4294967296 abcdefgh".split(),
        *[b" ", b" x", b"\t", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\x00", b"\xff"],
    ]
)
ANYTHING = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join))
WORD = st.text("abcxyz0123456789", min_size=1, max_size=9)
GOOD_LINE = st.builds(
    lambda label, names: f"{label} |a " + " ".join(names),
    st.sampled_from(("1", "-1", "0.5", "1 2", "1 2 0.5", "'tag", "")),
    st.lists(st.one_of(WORD, st.builds("{}:{}".format, WORD, st.integers(-9, 9))), max_size=8),
)


@pytest.fixture(scope="module", params=["", "--vw_compat"], ids=["plain", "compatible"])
def parser(request):
    return Workspace(request.param).parser


def lines_of(text: bytes) -> int:
    return text.count(b"\n") + (text != b"" and not text.endswith(b"\n"))


def rows_of(examples):
    """Rows without their line numbers, NaN made comparable."""
    return [repr({key: value for key, value in row.items() if key not in ("line", "column")}) for row in examples]


def run(words, text: bytes | list[bytes], folder):
    """The command on text, all at once or in pieces through a pipe: exit status, predictions, complaints."""
    predictions = folder / "predictions"
    command = [sys.executable, "-m", "vwlite", *SMALL, "-p", str(predictions), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        for piece in [text] if isinstance(text, bytes) else text:
            process.stdin.write(piece)
            process.stdin.flush()
        _, errors = process.communicate(timeout=60)
    complaints = "\n".join(line for line in errors.decode().splitlines() if re.search(r":\d+:\d+: ", line))
    return process.returncode, predictions.read_bytes() if predictions.exists() else b"", complaints


@settings(deadline=None, max_examples=1000)
@given(text=ANYTHING)
@example(text=b"")
@example(text=b"|")
@example(text=b"\xef\xbb\xbf")
@example(text=b"\r")
@example(text=b"|a:")
@example(text=b"|a \xff:")
def test_rows_account_for_every_line(parser, text):
    found = parse(parser, text).examples()
    assert [row["line"] for row in found] == list(range(lines_of(text)))
    for row in found:
        assert row["kind"] in ("example", "empty", "problem")
        assert (row["kind"] == "problem") == (row["reason"] != 0)
        assert row["kind"] != "problem" or (row["column"] >= 1 and not row["namespaces"])


@settings(deadline=None, max_examples=500)
@given(text=ANYTHING)
def test_a_line_is_parsed_alike_alone_and_among_others(parser, text):
    lines = [line + b"\n" for line in text.split(b"\n")]
    together = parse(parser, b"".join(lines)).examples()
    alone = [row for line in lines for row in parse(parser, line).examples()]
    assert rows_of(together) == rows_of(alone)


@settings(deadline=None)
@given(line=GOOD_LINE)
def test_line_ends_do_not_matter(parser, line):
    rows = [rows_of(parse(parser, line.encode() + end).examples()) for end in (b"", b"\n", b"\r\n")]
    assert rows[0] == rows[1] == rows[2]


@settings(deadline=None)
@given(line=GOOD_LINE)
def test_a_byte_order_mark_before_a_line_does_not_matter(parser, line):
    with_mark = parse(parser, b"\xef\xbb\xbf" + line.encode()).examples()
    without = parse(parser, line.encode()).examples()
    assert rows_of(with_mark) == rows_of(without)


@settings(deadline=None)
@given(lines=st.lists(GOOD_LINE, min_size=1, max_size=20), features=st.integers(1, 200), name=WORD)
def test_features_keep_their_order_however_many(parser, lines, features, name):
    text = "\n".join([*lines, f"| {name}:0.5 " + " ".join(map(str, range(features)))])
    last = parse(parser, text.encode()).examples()[-1]
    ((_, _, found),) = last["namespaces"]
    assert [value for _, value in found] == [0.5] + [1.0] * features
    assert [hash_ for hash_, _ in found[1:]] == list(range(features))


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (b"abc |a x", 1),
        (b"1 2 0 5 |a x", 7),
        (b"1 |a x:1:2", 9),
        (b"1 |a x y:nan", 8),
        (b"1 |:3 x", 4),
        (b"1 |a:b x", 6),
        (b"1 |a:1:2 x", 7),
        (b"inf |a x", 1),
        (b"1 -2 |a x", 3),
        (b"\xef\xbb\xbf1 |a x y:inf", 11),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 7])
def test_a_problem_has_its_line_and_column(line, column, before):
    with pytest.raises(ParseError) as caught:
        Workspace("").learn([b"1 |a x"] * before + [line, b"1 |a y"])
    assert (caught.value.line, caught.value.column) == (before + 1, column)


def test_strict_parse_names_the_place_and_ends_with_status_1(tmp_path):
    status, _, errors = run(["--strict_parse"], b"1 |a x\n\n1 |a x:1:2\n1 |a y\n", tmp_path)
    assert status == 1
    assert "stdin:3:9:" in errors


def test_without_strict_parse_other_lines_are_used(tmp_path):
    status, predictions, _ = run(["-t"], b"1 'one|a x\n1 |a x:1:2\n1 'two|a y\n", tmp_path)
    assert (status, predictions) == (0, b"0 one\n0 two\n")


def long_text() -> bytes:
    """More than a block of lines of many lengths, some malformed, some empty."""
    lines = []
    for i in range(12000):
        line = f"{i % 3 - 1} 'tag{i}|a " + " ".join(f"f{(i * 7 + j) % 501}:{j % 5 + 1}" for j in range(i * i % 23))
        lines.append({97: "", 211: "x " + line, 499: line + ":1:2"}.get(i % 500, line))
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    (folder / "data").write_bytes(long_text())
    status, predictions, errors = run(["-d", str(folder / "data")], b"", folder)
    assert status == 0
    return predictions, errors.replace(str(folder / "data"), "stdin")


@pytest.mark.parametrize("words", [[], ["--onethread"]], ids=["threads", "onethread"])
@pytest.mark.parametrize("size", [997, 4096, 65537, BLOCK - 1, BLOCK, BLOCK + 1])
def test_it_does_not_matter_how_input_arrives(reference, tmp_path, words, size):
    text = long_text()
    assert len(text) > 2 * BLOCK
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    status, predictions, errors = run(words, pieces, tmp_path)
    assert status == 0
    assert (predictions, errors) == reference


def test_threads_do_not_change_a_run_over_a_file(reference, tmp_path):
    (tmp_path / "data").write_bytes(long_text())
    _, predictions, _ = run(["-d", str(tmp_path / "data"), "--onethread"], b"", tmp_path)
    assert predictions == reference[0]


@pytest.mark.parametrize("size", [BLOCK - 3, BLOCK, BLOCK + 5, 3 * BLOCK])
@pytest.mark.parametrize("words", [[], ["--onethread"]], ids=["threads", "onethread"])
def test_lines_longer_than_a_block_are_whole(tmp_path, size, words):
    long = b"0 'long|a" + b" 12345" * (size // 6) + b" z"
    text = b"1 'first|a 12345\n" + long + b"\n0 'last|a z\n"
    status, predictions, errors = run(["--audit", "-t", *words], text, tmp_path)
    assert (status, errors) == (0, "")
    assert predictions.split() == [b"0", b"first", b"0", b"long", b"0", b"last"]
    ((_, _, features),) = parse(Workspace("").parser, long).examples()[0]["namespaces"]
    assert len(features) == size // 6 + 1


@pytest.mark.parametrize("length", [3000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("words", [[], ["--onethread"]], ids=["threads", "onethread"])
def test_a_line_beyond_the_limit_is_skipped_with_a_message(tmp_path, length, end, words):
    text = end.join([b"1 'first|a x", b"1 'long|a " + b"x" * length, b"0 'last|a x", b"bad |a x", b""])
    status, predictions, errors = run(["--max_line_bytes", "2048", "-t", *words], text, tmp_path)
    assert (status, predictions) == (0, b"0 first\n0 last\n")
    assert "stdin:2:1: the line is longer than --max_line_bytes" in errors
    assert "stdin:4:1:" in errors


@pytest.mark.parametrize("length", [3000, 2 * BLOCK])
def test_a_last_line_beyond_the_limit_without_an_end(tmp_path, length):
    status, predictions, errors = run(["--max_line_bytes", "2048", "-t"], b"1 'one|a x\n" + b"y" * length, tmp_path)
    assert (status, predictions) == (0, b"0 one\n")
    assert "stdin:2:1: the line is longer than --max_line_bytes" in errors


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_input_without_examples_is_fine_where_it_is_meant(tmp_path, text):
    assert run(["--allow_empty"], text, tmp_path) == (0, b"", "")
