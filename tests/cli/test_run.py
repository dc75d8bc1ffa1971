"""Runs of the command line: where examples come from and where predictions, figures and words go."""

import bz2
import gzip
import lzma
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import VWLITE, predictions, run
from vwlite.cli import main
from vwlite.report import outputs

LINES = [f"{1 if i % 3 else -1} {1 + i % 2} 'tag{i} |a x{i % 5} y:{i % 7 + 0.5} |b z{i % 2}" for i in range(40)]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own with the data in it."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(TEXT)
    return tmp_path


@pytest.fixture
def expected():
    found = predictions("data.txt")
    assert len(found) == len(LINES)
    assert len({line.split()[0] for line in found}) > 20
    return found


# Where examples come from


@pytest.mark.parametrize("words", [[], ["-d", "-"], ["-d", "/dev/stdin"], ["--data=-"]])
def test_examples_come_from_standard_input(expected, words):
    assert predictions(*words, text=TEXT) == expected


@pytest.mark.parametrize("words", [["data.txt"], ["-d", "data.txt"], ["--data=data.txt"], ["-d", "./data.txt"]])
def test_examples_come_from_a_file_named_with_and_without_a_flag(expected, words):
    assert predictions(*words) == expected
    assert predictions(*words, text="1 | standard input is not read\n") == expected


def test_several_files_are_read_one_after_the_other(expected):
    for name, part in (("one.txt", LINES[:7]), ("two.txt", LINES[7:8]), ("three.txt", LINES[8:])):
        Path(name).write_text("\n".join(part))  # without a last line end, too
    assert predictions("-d", "one.txt", "-d", "two.txt", "-d", "three.txt") == expected
    assert predictions("one.txt", "-d", "-", "-d", "three.txt", text=LINES[7]) == expected


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".lzma", lzma.compress)],
)
def test_compressed_files_are_unpacked(expected, suffix, pack):
    Path(f"packed{suffix}").write_bytes(pack(TEXT.encode()))
    assert predictions("-d", f"packed{suffix}") == expected


def test_zstd_files_are_unpacked(expected):
    zstandard = pytest.importorskip("zstandard")
    Path("packed.zst").write_bytes(zstandard.compress(TEXT.encode()))
    assert predictions("-d", "packed.zst") == expected


def test_process_substitution_is_read_like_a_file(expected):
    words = [*VWLITE, "--quiet", "-p", "/dev/stdout", "-d"]
    done = subprocess.run(["bash", "-c", '"$@" <(cat data.txt)', "bash", *words], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == expected


@pytest.mark.parametrize(
    "text", [TEXT[:-1], TEXT.replace("\n", "\r\n"), TEXT.replace("\n", "\r\n")[:-2], "\ufeff" + TEXT, TEXT + "\n\n\n"]
)
def test_line_ends_of_every_kind_are_the_same(expected, text):
    assert predictions(text=text) == expected


@pytest.mark.parametrize(
    "words", [["--allow_empty"], ["--no_stdin"], ["-d", "empty.txt", "--allow_empty"], ["-d", "/dev/null"]]
)
def test_no_examples_are_no_error_where_that_is_meant(words):
    Path("empty.txt").touch()
    done = run(*words, "-f", "m.model", "-p", "p.txt")
    assert "number of examples = 0\n" in done.stderr
    assert "average loss = n.a.\n" in done.stderr
    assert Path("p.txt").read_bytes() == b""
    run("-i", "m.model", "data.txt")


def test_no_stdin_leaves_standard_input_alone():
    assert predictions("--no_stdin", text=TEXT) == []


def test_examples_limit_each_pass(expected):
    assert predictions("data.txt", "--examples", "3") == expected[:3]
    assert predictions("data.txt", "--examples", "0") == []
    assert predictions("data.txt", "--examples", "1000") == expected
    twice = predictions("data.txt", "--examples", "3", "--passes", "2", "--holdout_off")
    assert twice[:3] == expected[:3] and len(twice) == 6


# Where predictions, figures and words go


def test_predictions_in_a_file_are_those_in_a_pipe(expected):
    assert run("data.txt", "-p", "new/folder/p.txt", "--quiet").stdout == ""
    assert Path("new/folder/p.txt").read_text().splitlines() == expected
    for name in ("stdout", "-"):
        assert run("data.txt", "-p", name, "--quiet").stdout.splitlines() == expected


def test_tags_follow_their_predictions(expected):
    assert [line.split()[1] for line in expected] == [f"tag{i}" for i in range(len(LINES))]


def test_whole_predictions_are_bare_and_others_have_six_decimals():
    found = predictions(text="1 | a\n1 | a\n|\n1 2 3 |\n")
    assert found[0] == "0"
    assert all(len(line.partition(".")[2]) in (0, 6) for line in found)


def test_raw_predictions_are_neither_clipped_nor_linked():
    words = ["--link", "logistic", "--loss_function", "logistic", "-r", "raw.txt"]
    linked = [float(line) for line in predictions(*words, text="1 | a\n1 | a\n|\n1 1 2 |\n1 1 100 | b\n")]
    raw = [float(line) for line in Path("raw.txt").read_text().splitlines()]
    assert raw[-1] > 100 and linked[-1] <= 1
    assert linked[1:3] == pytest.approx([1 / (1 + 2.718281828**-score) for score in raw[1:3]], abs=1e-5)


def test_header_table_and_summary_go_to_stderr():
    done = run("data.txt", "-q", "ab", "-f", "m.model")
    assert done.stdout == ""
    header, table, summary = (
        done.stderr[: done.stderr.index("average  since")],
        done.stderr[done.stderr.index("average  since") : done.stderr.index("\nfinished run")],
        done.stderr[done.stderr.index("\nfinished run") :],
    )
    for line in (
        "creating quadratic features for pairs: ab",
        "final_regressor = m.model",
        "using no cache",
        "Reading datafile = data.txt",
        "num sources = 1",
        "Num weight bits = 18",
        "learning rate = 0.5",
        "initial_t = 0",
        "power_t = 0.5",
        "Enabled learners: gd, scorer-identity",
        "Input label = SIMPLE",
        "Output pred = SCALAR",
    ):
        assert f"{line}\n" in header
    assert [row.split()[2] for row in table.splitlines()[2:] if row] == ["1", "2", "4", "8", "16", "32"]
    assert "number of examples = 40\nweighted example sum = 60.000000\n" in summary


def test_rows_come_when_the_weight_has_doubled_or_as_progress_says():
    text = "1 | a\n" * 12

    def counters(*words: str) -> list[str]:
        lines = run(*words, text=text).stderr.split("predict features\n")[1].split("\n\nfinished")[0].splitlines()
        return [line.split()[2] for line in lines]

    assert counters() == ["1", "2", "4", "8"]
    assert counters("-P", "5") == ["5", "10"]
    assert counters("-P", "3.0") == ["1", "3", "9"]


@pytest.mark.parametrize("text", ["often", "", "-3", "1e3", "nan", "0x1"])
def test_a_progress_that_is_no_number_is_an_error(text):
    done = run(f"--progress={text}", "data.txt", "-f", "m.model", status=1)
    assert done.stderr.startswith("vwlite: error: ") and done.stderr.count("\n") == 1
    assert "--progress" in done.stderr
    assert not Path("m.model").exists()


def test_quiet_says_nothing_at_all():
    done = run("data.txt", "--quiet", "--passes", "2", "--save_resume", text="")
    assert (done.stdout, done.stderr) == ("", "")
    done = run("--quiet", text="not an example |\n1 | a\n")
    assert (done.stdout, done.stderr) == ("", "")
    assert "error" in run("--quiet", "-d", "none.txt", status=1).stderr


def test_testing_learns_nothing_and_predicts_with_the_model(expected):
    run("data.txt", "-f", "m.model")
    first = predictions("-t", "-i", "m.model", "-d", "data.txt")
    assert first != expected
    assert predictions("-t", "-i", "m.model", "-d", "data.txt") == first
    assert "only testing\n" in run("-t", "-i", "m.model", "-d", "data.txt").stderr


def test_lines_without_a_label_are_predicted():
    lines = predictions(text="1 | a\n| a\n'mine | a\nnamed| a\n")
    assert len(lines) == 4 and float(lines[1]) > 0
    assert lines[2] == f"{lines[1]} mine" and lines[3] == f"{lines[1]} named"


@pytest.mark.parametrize("words", 10 * [["-p", "/dev/stdout"]] + [["-p", "stdout", "--onethread"], ["-p", "-", "-t"]])
def test_each_line_is_answered_before_the_next_is_written(words):
    process = subprocess.Popen(
        [*VWLITE, "--quiet", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None and process.stdout is not None
    for i in range(20):
        # in two pieces: the thread that has read the first must not block the others
        process.stdin.write(f"1 'n{i} |")
        process.stdin.flush()
        process.stdin.write(" a b\n")
        process.stdin.flush()
        assert process.stdout.readline().split()[1] == f"n{i}"
    process.stdin.close()
    assert process.stdout.read() == ""
    process.stdout.close()
    assert process.wait() == 0


# The bar


def test_the_bar_shows_share_rate_and_time_left():
    text = outputs.bar(50, 200, 1_000_000, 2.0)
    assert text == "[#######                       ]  25%  500,000 examples/s  6 s left"
    assert outputs.bar(0, 200, 0, 0.0).startswith("[" + " " * 30 + "]   0%")
    assert outputs.bar(300, 200, 5, 1.0).startswith("[" + "#" * 30 + "] 100%")


# a clock that goes a second further whenever it is looked at, so that the bar is always due
HASTY = """
import itertools, sys, types
from vwlite.report import outputs
from vwlite.cli import main
from vwlite.cli import main
outputs.time = types.SimpleNamespace(monotonic=itertools.count().__next__)
sys.exit(main(sys.argv[1:]))
"""


def on_a_terminal(*words: str) -> str:
    """What vwlite writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", HASTY, *words], stdin=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux tells that nobody has the other end any more
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait() == 0
    return b"".join(parts).decode()


def test_a_terminal_gets_a_bar_and_no_trace_of_it_stays():
    shown = on_a_terminal("-d", "data.txt")
    bar = shown[shown.index("[#") :]
    assert "100%" in bar and "examples/s" in bar
    # the summary starts on a line that was wiped
    assert "\r " in bar[: bar.index("finished run")]


def test_a_pipe_gets_no_bar():
    done = subprocess.run([sys.executable, "-c", HASTY, "-d", "data.txt"], capture_output=True, text=True, check=True)
    assert "finished run" in done.stderr and "examples/s" not in done.stderr


@pytest.mark.parametrize("words", [["--quiet", "-d", "data.txt"], ["-d", "/dev/null"], ["--no_stdin"]])
def test_quiet_runs_and_input_of_unknown_size_have_no_bar(words):
    assert "examples/s" not in on_a_terminal(*words)


@pytest.mark.parametrize("names", [["data.txt"], ["data.txt", "more.txt"], ["data.gz"], ["data.gz", "more.txt"]])
def test_the_bar_grows_to_the_whole_of_all_files(monkeypatch, names):
    Path("data.gz").write_bytes(gzip.compress(TEXT.encode()))
    Path("more.txt").write_text(TEXT)
    seen = []
    monkeypatch.setattr(outputs.Progress, "update", lambda self, progress, _: seen.append(progress() / self.total))
    assert main([word for name in names for word in ("-d", name)] + ["--quiet"]) == 0
    assert seen == sorted(seen)
    assert seen[-1] == 1
