"""``vwlite residual`` puts predictions into the lines that they were made for, and changes nothing else."""

import gzip
import math
import os
import random
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import VWLITE
from vwlite import Workspace
from vwlite.cli import main
from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace as Engine
from vwlite.input.residual import Residual


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def residual(data: bytes, scores: bytes, *words: str) -> bytes:
    Path("data.txt").write_bytes(data)
    Path("scores.txt").write_bytes(scores)
    assert main(["residual", "data.txt", "scores.txt", "-o", "out.txt", *words]) == 0
    return Path("out.txt").read_bytes()


def refusal(capsys, data: bytes, scores: bytes, *words: str) -> str:
    """What is said about input that is refused; whatever was in the output before is left there."""
    Path("data.txt").write_bytes(data)
    Path("scores.txt").write_bytes(scores)
    Path("out.txt").write_text("from before")
    assert main(["residual", "data.txt", "scores.txt", "-o", "out.txt", *words]) == 1
    assert Path("out.txt").read_text() == "from before"
    assert sorted(path.name for path in Path().iterdir()) == ["data.txt", "out.txt", "scores.txt"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return str(err.removeprefix("vwlite: error: ").rstrip("\n"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1 |a b", b"1 1 0.25 |a b"),
        (b"1 2 |a b", b"1 2 0.25 |a b"),
        (b"1 2 -7.5 |a b", b"1 2 0.25 |a b"),
        (b"-1.5e1 0.5 3 tag|a b:2", b"-1.5e1 0.5 0.25 tag|a b:2"),
        (b"1 'tag |a b", b"1 1 0.25 'tag |a b"),
        (b"1 ''tag |a b", b"1 1 0.25 ''tag |a b"),
        (b"1 2 '|a b", b"1 2 0.25 '|a b"),
        (b"1 it's|a b", b"1 1 0.25 it's|a b"),
        (b"  1   2   3   'tag  |a  b ", b"  1   2   0.25   'tag  |a  b "),
        (b"  1   |a", b"  1 1 0.25   |a"),
        (b"dropped\t1 |a b", b"dropped\t1 1 0.25 |a b"),
        (b"9 9 9\t1 2 3 tag|a\tb", b"9 9 9\t1 2 0.25 tag|a\tb"),
        (b"it's'\t1 x|a b", b"it's'\t1 1 0.25 x|a b"),
        (b"1 |a b | c |d:2 e:0.5", b"1 1 0.25 |a b | c |d:2 e:0.5"),
        (b"1 2 'tag", b"1 2 0.25 'tag"),
        (b"\xef\xbb\xbf1 |a b", b"\xef\xbb\xbf1 1 0.25 |a b"),
        (b"1 |\xff\xfe\x01", b"1 1 0.25 |\xff\xfe\x01"),
        (b"1 |a b\r", b"1 1 0.25 |a b\r"),
        (b"1 2 3 'tag\r", b"1 2 0.25 'tag\r"),
    ],
)
def test_the_prediction_becomes_the_third_number_of_the_head(line, expected):
    assert residual(line + b"\n", b"0.25\n") == expected + b"\n"


@pytest.mark.parametrize("score", [b"0.25", b"-3", b"1e-20", b"+.5", b"123456789.123456789", b"0x1p3"])
def test_the_prediction_is_written_as_it_is(score):
    assert residual(b"1 |a\n", score + b" tag\n") == b"1 1 " + score + b" |a\n"


@pytest.mark.parametrize("line", [b"0.5 tag", b"0.5\ttag", b"0.5 0.7 0.9", b"0.5\r"])
def test_the_prediction_is_the_first_word_of_its_line(line):
    assert residual(b"1 |a\n", line + b"\n") == b"1 1 0.5 |a\n"


def test_empty_and_malformed_lines_pass_through(capsys):
    data = b"\n1 |a\n\r\nx y |a\n1 |a:1:2\n1 |b\n\n"
    assert residual(data, b"0.5\n0.75\n") == b"\n1 1 0.5 |a\n\r\nx y |a\n1 |a:1:2\n1 1 0.75 |b\n\n"
    assert re.fullmatch(
        r"data.txt: malformed lines copied unchanged = 2, the first at line 4: .* is not a number\n",
        capsys.readouterr().err,
    )


def test_malformed_lines_that_were_used_have_predictions():
    data = b"1x |a\n1 2 3 4 |a\n1 |b:c d\n"
    assert (
        residual(data, b"0.5\n0.75\n1\n", "--vw_compat", "--dummy_label", "0")
        == b"1x 1 0.5 |a\n0 0 0.75 |a\n1 1 1 |b:c d\n"
    )


def test_a_last_line_without_an_end_gets_one():
    assert residual(b"1 |a\n2 |b", b"0.5\n0.75") == b"1 1 0.5 |a\n2 1 0.75 |b\n"
    assert residual(b"", b"") == b""


# Any lines

WORD = st.sampled_from(["1", "-1", "0.5", "2", "1e3", ".", "-", "7x", "nan", "'", "'tag", "tag", "''", "a'b", "it's"])
HEAD = st.lists(st.sampled_from([" ", "  ", "\t", "1 ", "2 0.5 "]) | WORD, max_size=7).map("".join)
BODY = st.sampled_from(["", "|a b", "| x:2 y", "|a:2 b |c", "|a b:1:1", "|a\tb ", "|", "|a 'x |b"])
LINE = st.tuples(st.sampled_from(["", "\ufeff"]), HEAD, BODY, st.sampled_from(["\n", "\r\n"])).map("".join)


@given(lines=st.lists(LINE, max_size=8), dummy=st.booleans(), compat=st.booleans())
def test_the_parser_sees_the_same_lines_with_other_initial_predictions(lines, dummy, compat):
    parser = Engine("--vw_compat" if compat else "").parser
    text = "".join(lines).encode()
    before = parse(parser, text).examples()
    examples = [row for row in before if row["kind"] == "example"]
    unlabelled = any(math.isnan(row["label"]) for row in examples)
    words = [*(["--vw_compat"] if compat else []), *(["--dummy_label", "-1"] if dummy else [])]
    scores = [round(1.5 * i - 3.25, 2) for i in range(len(examples))]
    Path("out.txt").unlink(missing_ok=True)
    if unlabelled and not dummy:
        Path("data.txt").write_bytes(text)
        Path("scores.txt").write_text("".join(f"{score}\n" for score in scores))
        assert main(["residual", "data.txt", "scores.txt", "-o", "out.txt", *words]) == 1
        assert not Path("out.txt").exists()
        return
    out = residual(text, "".join(f"{score} t\n" for score in scores).encode(), *words)
    after = parse(parser, out).examples()
    assert len(after) == len(before)
    left = iter(scores)
    for old, new in zip(before, after, strict=True):
        if old["kind"] == "example":
            assert new["initial"] == np.float32(next(left))
            bare = math.isnan(old["label"])
            assert (new["label"], new["weight"]) == ((-1, 0) if bare else (old["label"], old["weight"]))
        assert {key: new[key] for key in ("kind", "line", "tag", "namespaces")} == {
            key: old[key] for key in ("kind", "line", "tag", "namespaces")
        }
    # all but the heads stays byte for byte, and so does every line that is no example
    for old, was, new_line in zip(before, text.splitlines(True), out.splitlines(True), strict=True):
        if old["kind"] == "example":
            assert new_line.partition(b"|")[1:] == was.partition(b"|")[1:]
        else:
            assert new_line == was


def test_lines_and_predictions_may_be_cut_into_any_blocks():
    source = random.Random(3)
    data, scores, expected = [], [], []
    for i in range(30_000):
        rest = f"|a f{i} " + "x" * source.choice([1, 10, 100]) + " |b " + "y" * source.randrange(5)
        if source.random() < 0.1:
            data.append("")
            expected.append("")
        data.append(f"{i % 7} {rest}")
        score = f"{source.gauss(0, 1):.6f}"
        scores.append(score + " tag" * source.randrange(20))
        expected.append(f"{i % 7} 1 {score} {rest}")
    out = residual("".join(f"{x}\n" for x in data).encode(), "".join(f"{x}\n" for x in scores).encode())
    assert out.decode().splitlines() == expected


# Where input comes from and output goes


def test_both_may_be_compressed():
    Path("data.txt.gz").write_bytes(gzip.compress(b"1 |a\n"))
    Path("scores.txt.gz").write_bytes(gzip.compress(b"0.5\n"))
    assert main(["residual", "data.txt.gz", "scores.txt.gz", "-o", "out.txt"]) == 0
    assert Path("out.txt").read_bytes() == b"1 1 0.5 |a\n"


@pytest.mark.parametrize("slow", ["data", "scores"])
def test_other_threads_go_on_while_it_waits_for_input(slow):
    # such as the thread that unpacks a compressed file: its end comes late
    texts = {"data": b"1 |a\n", "scores": b"0.5\n"}
    Path("data" if slow == "scores" else "scores").write_bytes(texts["data" if slow == "scores" else "scores"])
    os.mkfifo(slow)

    def feed() -> None:
        with open(slow, "wb", buffering=0) as pipe:
            pipe.write(texts[slow])
            time.sleep(0.3)

    thread = threading.Thread(target=feed)
    thread.start()
    assert main(["residual", "data", "scores", "-o", "out.txt"]) == 0
    thread.join()
    assert Path("out.txt").read_bytes() == b"1 1 0.5 |a\n"


@pytest.mark.parametrize("words", [["-", "scores.txt"], ["data.txt", "-"]])
def test_either_may_be_standard_input_and_the_output_is_standard_output(words):
    Path("data.txt").write_text("1 |a\n")
    Path("scores.txt").write_text("0.5\n")
    text = Path("data.txt" if words[0] == "-" else "scores.txt").read_bytes()
    done = subprocess.run([*VWLITE, "residual", *words], input=text, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"1 1 0.5 |a\n", b"")


def test_both_can_not_be_standard_input(capsys):
    assert main(["residual", "-", "-"]) == 1
    assert "can't both be standard input" in capsys.readouterr().err


def test_the_data_itself_may_be_replaced():
    Path("data.txt").write_text("1 |a\n")
    Path("scores.txt").write_text("0.5\n")
    assert main(["residual", "data.txt", "scores.txt", "-o", "data.txt"]) == 0
    assert Path("data.txt").read_text() == "1 1 0.5 |a\n"


@pytest.mark.parametrize("missing", ["data.txt", "scores.txt"])
def test_a_file_that_is_not_there_is_named(missing, capsys):
    for name in ("data.txt", "scores.txt"):
        if name != missing:
            Path(name).write_text("1 |a\n")
    assert main(["residual", "data.txt", "scores.txt", "-o", "out.txt"]) == 1
    assert f"vwlite: error: {missing}: no such file" in capsys.readouterr().err
    assert not Path("out.txt").exists()


def test_a_folder_is_no_place_for_the_output(capsys, tmp_path):
    Path("data.txt").write_text("")
    Path("scores.txt").write_text("")
    assert main(["residual", "data.txt", "scores.txt", "-o", str(tmp_path)]) == 1
    assert "can't write examples: is a folder" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_data():
    lines = 200_000
    Path("data.txt").write_text("1 |a some features of a line\n" * lines)
    Path("scores.txt").write_text("0.123456\n" * lines)
    parser = Workspace("").parser
    parser = type(parser)(Workspace("").options, ["data.txt"])
    sizes = [len(text) for text in Residual(parser, "data.txt", "scores.txt", "scores.txt", 1 << 26, None).blocks()]
    assert sum(sizes) == lines * len("1 1 0.123456 |a some features of a line\n")
    assert max(sizes) < 1 << 20


# What is refused


def test_too_few_predictions(capsys):
    assert refusal(capsys, b"1 |a\n\n1 |b\n1 |c\n", b"1\n2\n") == (
        "scores.txt: has 2 predictions and no more for the example at data.txt:4; "
        "give the predictions of one pass over the same data"
    )


def test_too_many_predictions(capsys):
    assert refusal(capsys, b"1 |a\n1 |b\n", b"1\n2\n3\n4\n") == (
        "scores.txt:3: a prediction too many: data.txt has 2 examples; "
        "give the predictions of one pass over the same data"
    )


@pytest.mark.parametrize("word", ["abc", "", "nan", "inf", "-inf", "1e999", "-", ".", "e", "1:0.5", "0.5x", "0.5,1"])
def test_a_prediction_that_is_no_finite_number(word, capsys):
    assert refusal(capsys, b"1 |a\n1 |b\n", f"1\n{word} tag\n".encode()) == (
        f"scores.txt:2: expected a finite number, not {word!r}"
    )


@pytest.mark.parametrize("line", [b"|a b", b"'tag |a b", b"tag|a", b"1|a", b"dropped\t|a", b"'12"])
def test_a_line_without_a_label_is_refused_unless_it_is_given_one(line, capsys):
    reason = refusal(capsys, b"1 |a\n\n" + line + b"\n", b"1\n2\n")
    assert reason.startswith("data.txt:3:1: the line has no label")
    assert "--dummy_label 0" in reason
    done = residual(b"1 |a\n\n" + line + b"\n", b"1\n2\n", "--dummy_label", "-1").splitlines()
    head, _, rest = line.rpartition(b"\t")
    assert done[2] == head + (b"\t" if head else b"") + b"-1 0 2 " + rest


@pytest.mark.parametrize("label", ["x", "nan", "inf", "1e999"])
def test_a_dummy_label_is_a_finite_number(label, capsys):
    assert f"--dummy_label expects a finite number, not {label!r}" in refusal(
        capsys, b"1 |a\n", b"1\n", f"--dummy_label={label}"
    )


@pytest.mark.parametrize("size", [2000, 400_000])
def test_a_line_over_the_limit_can_not_be_passed_through(size, capsys):
    reason = refusal(capsys, b"1 |a\n1 |" + b"a" * size + b"\n", b"1\n2\n", "--max_line_bytes", "1024")
    assert reason.startswith("data.txt:2:1: the line is longer than --max_line_bytes")


# What it is for


def train(*words: str) -> None:
    assert main([*words, "--quiet"]) == 0


def examples(seed: int, count: int) -> str:
    source = random.Random(seed)
    lines = []
    for i in range(count):
        user, ad = source.randrange(9), source.randrange(7)
        label = user * 0.3 - ad * 0.2 + (user * ad % 5) * 0.4 + source.gauss(0, 0.1)
        lines.append(f"{label:.3f} {source.choice([1, 2])} 't{i}|user u{user} |ad a{ad}\n")
    return "".join(lines)


def test_models_chained_by_files_learn_the_same_as_models_chained_by_fixed_effect():
    Path("train.txt").write_text(examples(1, 400))
    Path("test.txt").write_text(examples(2, 50))
    wide = ["--min_prediction", "-100", "--max_prediction", "100"]
    flags = {"a": ["--ignore", "a"], "b": ["--ignore", "u", "-b", "10"], "c": ["-q", "ua", "--noconstant"]}
    train("-d", "train.txt", "-f", "a.model", *wide, *flags["a"])
    plain = "a.model"
    for data in ("train", "test"):
        train("-t", "-i", "a.model", "-d", f"{data}.txt", "-r", f"a.{data}.scores")
    before, fixed = "a", "a.model"
    for name in ("b", "c"):
        for data in ("train", "test"):
            # the second time an initial prediction is there and is replaced
            source = f"{data}.txt" if before == "a" else f"{before}.{data}.txt"
            train_residual = ["residual", source, f"{before}.{data}.scores", "-o", f"{name}.{data}.txt"]
            assert main(train_residual) == 0
        plain = f"{name}.model"
        train("-d", f"{name}.train.txt", "-f", plain, *wide, *flags[name])
        for data in ("train", "test"):
            train("-t", "-i", plain, "-d", f"{name}.{data}.txt", "-r", f"{name}.{data}.scores")
        train("-d", "train.txt", "-f", f"{name}.chain", "--fixed_effect", fixed, *wide, *flags[name])
        train("-t", "-i", f"{name}.chain", "-d", "test.txt", "-r", f"{name}.chain.scores")
        by_file, by_model = (
            [float(line.split()[0]) for line in Path(path).read_text().splitlines()]
            for path in (f"{name}.test.scores", f"{name}.chain.scores")
        )
        # predictions in files have six decimals
        assert by_model == pytest.approx(by_file, abs=1e-4)
        before, fixed = name, f"{name}.chain"
    # and it is worth it
    losses = []
    labels = [float(line.split()[0]) for line in Path("test.txt").read_text().splitlines()]
    for name in ("a", "b", "c"):
        scores = [float(line.split()[0]) for line in Path(f"{name}.test.scores").read_text().splitlines()]
        losses.append(np.mean((np.array(scores) - labels) ** 2))
    assert losses[0] > 2 * losses[1] > 4 * losses[2]


def test_a_dummy_label_teaches_nothing_and_is_predicted_with_its_offset():
    Path("data.txt").write_text("1 |a x\n|a y\n2 |a z\n")
    Path("scores.txt").write_text("0.5\n0.25\n0.75\n")
    assert main(["residual", "data.txt", "scores.txt", "-o", "both.txt", "--dummy_label", "1"]) == 0
    assert main(["residual", "data.txt", "scores.txt", "-o", "other.txt", "--dummy_label", "2"]) == 0
    for name in ("both", "other"):
        train("-d", f"{name}.txt", "-p", f"{name}.out", "--min_prediction=-9", "--max_prediction=9", "--noconstant")
    assert Path("both.out").read_text() == Path("other.out").read_text()
    assert Path("both.out").read_text().splitlines()[1] == "0.250000"
