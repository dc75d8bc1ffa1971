"""Caches are never wrong: pipes, two runs at once, empty data, and files of other programs."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command import VWLITE, predictions, run
from tests.support.daemon import wait_until
from vwlite.cli import main
from vwlite.core import files
from vwlite.core.types import LabelType
from vwlite.engine import feed
from vwlite.engine.command_line import option_groups, parse
from vwlite.features.interactions import Interactions

TEXT = "".join(f"{1 if i % 3 else -1} 'tag{i} |a x{i % 5} y:{i % 7 + 0.5} |b z{i % 2}\n" for i in range(40))
CACHE = "data.txt.vwlite_cache"
DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(TEXT)
    return tmp_path


@pytest.mark.parametrize("words", [["-c"], ["-c", "--passes", "2", "--holdout_off"], ["--cache_file", "kept"]])
@pytest.mark.parametrize("name", [[], ["-d", "-"], ["/dev/stdin"]])
def test_what_comes_through_a_pipe_is_never_taken_from_a_cache(name, words):
    one, three = TEXT.splitlines(keepends=True)[0], "".join(TEXT.splitlines(keepends=True)[:3])
    run(*name, *words, text=one)
    assert predictions(*name, *words, text=three) == predictions(*name, *words[2 * ("kept" in words) :], text=three)
    assert [line for line in os.listdir() if line != "data.txt"] == []


def test_a_pipe_leaves_the_cache_of_a_file_alone():
    run("data.txt", "--cache_file", "kept")
    before = Path("kept").read_bytes()
    run("--cache_file", "kept", text=TEXT[:50])
    assert Path("kept").read_bytes() == before
    assert "using cache_file = kept" in run("data.txt", "--cache_file", "kept").stderr


def lines(seed: int, sign: int) -> str:
    numbers = random.Random(seed)
    return "".join(
        f"{sign * (1 + numbers.random()):.4f} |n a:{numbers.random():.4f} |c k{numbers.randrange(20)}\n"
        for _ in range(20000)
    )


def result(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith(("average loss", "weighted label sum"))]


def test_two_runs_that_name_one_cache_both_learn_their_own_data():
    texts = {"a": lines(1, 1), "b": lines(2, -1)}
    words = ["--cache_file", "shared", "--passes", "2", "--holdout_off"]
    wanted, processes = {}, {}
    for name, text in texts.items():
        Path(name).write_text(text)
        wanted[name] = result(run(name, "--passes", "2", "--holdout_off").stderr)
        assert len(wanted[name]) == 2
    # both read a part, then both end
    ends: dict[str, int] = {}
    for name in texts:
        os.mkfifo(f"more_{name}")
        command = [*VWLITE, "-d", name, "-d", f"more_{name}", *words]
        processes[name] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        ends[name] = os.open(f"more_{name}", os.O_WRONLY)  # as soon as the run has come so far
    for name in texts:
        os.close(ends[name])
    for name, process in processes.items():
        _, stderr = process.communicate()
        assert process.returncode == 0 and result(stderr) == wanted[name]


def test_two_runs_over_files_that_name_one_cache_both_learn_their_own_data():
    """The one that began first ends last, and has its cache replaced between its passes."""
    Path("a").write_text(lines(1, 1))
    Path("b").write_text(lines(2, -1))
    wanted = predictions("a", "--passes", "3", "--holdout_off")
    os.mkfifo("out")
    words = ["--cache_file", "shared", "--passes", "3", "--holdout_off", "--quiet"]
    first = subprocess.Popen([*VWLITE, "a", *words, "-p", "out"], stderr=subprocess.PIPE)
    with open("out") as out:
        got = [out.readline()]  # it has begun, and waits until more is read
        run("b", *words)
        got += out.readlines()
    assert first.wait() == 0
    assert [line.rstrip("\n") for line in got] == wanted


def test_a_cache_replaced_between_passes_of_its_reader_is_not_taken():
    Path("a").write_text(lines(1, 1))
    Path("b").write_text(lines(2, -1))
    words = ["--cache_file", "shared", "--passes", "3", "--holdout_off", "--quiet"]
    wanted = predictions("a", *words)
    os.mkfifo("out")
    first = subprocess.Popen([*VWLITE, "a", *words, "-p", "out"], stderr=subprocess.PIPE)
    with open("out") as out:
        got = [out.readline()]
        run("b", *words)
        got += out.readlines()
    assert first.wait() == 0
    assert [line.rstrip("\n") for line in got] == wanted


@pytest.mark.parametrize("text", ["", "\n\n", "1 |a x:y:z\n"])
def test_data_without_an_example_replace_no_cache(text):
    Path("empty").write_text(text)
    run("data.txt", "--cache_file", "kept")
    before = Path("kept").read_bytes()
    subprocess.run([*VWLITE, "empty", "--cache_file", "kept", "--passes", "2"], capture_output=True, check=False)
    assert Path("kept").read_bytes() == before
    subprocess.run([*VWLITE, "empty", "--cache_file", "new"], capture_output=True, check=False)
    assert not Path("new").exists()


@pytest.mark.parametrize("content", [b"\x0e\0\0\x009.11.0\0\x0c\0\0\0\x12", b"anything else", b"vwlite", TEXT.encode()])
@pytest.mark.parametrize("words", [["--cache_file", "theirs"], ["--cache_file", "theirs", "-k"]])
def test_a_file_of_another_program_is_neither_taken_nor_replaced(words, content):
    Path("theirs").write_bytes(content)
    done = run("data.txt", *words, status=1)
    assert done.stderr == (
        "vwlite: error: theirs: is no cache of vwlite, and would be replaced; name another --cache_file\n"
    )
    assert Path("theirs").read_bytes() == content


def test_vws_own_cache_beside_the_data_stays():
    Path("data.txt.cache").write_bytes(b"\x0e\0\0\x009.11.0\0\x0c\0\0\0\x12")
    assert predictions("data.txt", "-c") == predictions("data.txt")
    assert predictions("data.txt", "-c", "-k") == predictions("data.txt")
    assert Path("data.txt.cache").read_bytes() == b"\x0e\0\0\x009.11.0\0\x0c\0\0\0\x12"
    assert Path(CACHE).exists()


def test_an_empty_file_becomes_a_cache():
    Path("new").touch(mode=0o600)
    run("data.txt", "--cache_file", "new")
    assert "using cache_file = new" in run("data.txt", "--cache_file", "new").stderr


def test_a_run_that_is_killed_leaves_the_old_cache():
    run("data.txt", "--cache_file", "kept")
    before = Path("kept").read_bytes()
    Path("big").write_text(lines(1, 1))
    os.mkfifo("out")
    process = subprocess.Popen([*VWLITE, "big", "--cache_file", "kept", "-p", "out", "--quiet"])
    with open("out") as out:
        out.readline()
        wait_until(lambda: any(name.startswith(files.PREFIX) for name in os.listdir()))
        process.kill()
        process.wait()
    assert Path("kept").read_bytes() == before
    assert "using cache_file = kept" in run("data.txt", "--cache_file", "kept", "-p", "p").stderr
    assert sorted(os.listdir()) == ["big", "data.txt", "kept", "out", "p"]


# Formats


def format_1(path: str, data: str) -> None:
    """The cache that 0.1.0 made, as one of `data`."""
    content = (DATA / "format_1" / "cached.blocks").read_bytes()
    start = len(b"vwlite cache 1\n\0")
    length = int.from_bytes(content[start : start + 8], "little")
    key = json.loads(content[start + 8 :][:length])
    found = os.stat(data)
    key["sources"] = [[os.path.abspath(data), found.st_size, found.st_mtime_ns]]
    header = json.dumps(key).encode()
    records = content[start + 8 + length :]
    Path(path).write_bytes(content[:start] + len(header).to_bytes(8, "little") + header + records)


def test_a_cache_of_format_1_is_read_and_not_taken_from_another_parser(monkeypatch):
    text = (DATA / "format_1" / "cached.vw").read_text()
    Path("true").write_text(text)
    wanted = predictions("true")
    Path("data").write_text(text.replace("2 0.5 |a", "2 0.7 |a"))  # what would be predicted if it was read
    format_1("kept", "data")
    words = ["data", "--quiet", "-p", "p", "--cache_file", "kept"]
    monkeypatch.setattr(feed, "PARSER_VERSION", 1)
    assert main(words) == 0
    assert Path("p").read_text().splitlines() == wanted
    monkeypatch.setattr(feed, "PARSER_VERSION", 2)
    assert main(words) == 0
    assert Path("p").read_text().splitlines() == predictions("data") != wanted


FLOATS = st.sampled_from(
    [
        *("0", "-0", "1", "-1", "127", "-128", "128", "0.5", "3.2699", "3.27", "32.767", "-32.768", "327.67", "3276.7"),
        *("32767", "32768", "0.1234567", "1e-30", "-1e30", "3.4e38", "1.4e-45", "0.00001", "99999.9"),
    ]
) | st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.9g}")
NAMES = st.sampled_from(["a", "b", "c", "17", "18", "99999", "long_name"]) | st.integers(0, 10**6).map(str)
NAMESPACE = st.builds(
    lambda name, features: f"|{name} " + " ".join(f"{f}:{v}" if v != "1" else f for f, v in features),
    st.sampled_from(["", "a", "b", "ab", "c:0.5"]),
    st.lists(st.tuples(NAMES, FLOATS), max_size=4),
)
HEADS = st.sampled_from(["", "1", "-1", "0", "2.5", "128", "1e30", "1 2", "1 0.5 0.25", "3 1 -0.5", "0 0"])
GOOD = st.builds(
    lambda head, tag, spaces: f"{head} {tag}{' '.join(spaces)}",
    HEADS,
    st.sampled_from(["", "'t", "'a_tag"]),
    st.lists(NAMESPACE, min_size=1, max_size=3),
)
LINES = st.lists(GOOD | st.sampled_from(["", "broken |a", "1 |a x:y:z", "1 |b x |b y"]), max_size=30)
DECISION = st.sampled_from(
    [
        "shared |u x\n0:1:0.5 |a b\n|a c\n",
        "|a b:0.3\n1:-0.25:0.125 |a c\n",
        "shared |u\n|a\n|a\n0:0:0.75 |a x\n",
        "1:1:0.5 |a\n7:1 |a\n",
    ]
)


def read_back(text: str, *words: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """What the parser makes of a text, and what comes back from its cache; of good lines, and where others are."""
    Path("fuzz").write_text(text)
    options = parse(["fuzz", "--cache_file", "fuzz.cache", *words], option_groups())
    labels = LabelType.CONTEXTUAL_BANDIT if "--thompson" in words else LabelType.SIMPLE
    found = []
    Path("fuzz.cache").unlink(missing_ok=True)
    for _ in range(2):
        source = feed.Feed(options, labels=labels)
        rows: list[dict[str, object]] = []
        for block in source.blocks(Interactions(options, 18, {})):
            for row in block.examples():
                if row["kind"] == "example":
                    row["column"] = 0  # only of warnings, which a cache doesn't repeat
                rows.append(row)
        source.close()
        found.append(rows)
    assert not text.strip() or os.path.exists("fuzz.cache") or not any(row["kind"] == "example" for row in rows)
    return found[0], found[1]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_what_comes_out_of_a_cache_is_what_was_parsed(lines):
    parsed, cached = read_back("".join(f"{line}\n" for line in lines))
    assert repr(parsed) == repr(cached)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DECISION, max_size=8))
def test_decisions_come_out_of_a_cache_as_they_were_parsed(decisions):
    parsed, cached = read_back("\n".join(decisions), "--thompson", "--bayes_linear")
    assert repr(parsed) == repr(cached)


def test_a_cache_is_smaller_than_its_text():
    Path("text").write_text(lines(1, 1))
    run("text", "--cache_file", "kept")
    assert os.path.getsize("kept") < 0.6 * os.path.getsize("text")
