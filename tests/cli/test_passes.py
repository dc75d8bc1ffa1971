"""Several passes over the data: caches, held-out examples, when to stop, and models on the way."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.command import predictions, run
from tests.support.models import arrays
from vwlite.cli import main
from vwlite.model import model_file

LINES = [f"{1 if i % 3 else -1} 'tag{i} |a x{i % 5} y:{i % 7 + 0.5} |b z{i % 2}" for i in range(40)]
TEXT = "".join(f"{line}\n" for line in LINES)
CACHE = "data.txt.vwlite_cache"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own with the data in it."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(TEXT)
    return tmp_path


def figure(stderr: str, name: str) -> str:
    return re.findall(f"^{re.escape(name)} = (.*)$", stderr, re.MULTILINE)[0]


# Where later passes come from


@pytest.mark.parametrize("words", [[], ["-c"], ["--cache"], ["-k", "-c"], ["--cache_file", "kept"], ["--onethread"]])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_passes_are_the_same_from_everywhere(source, words):
    expected = predictions("-d", "data.txt", "-d", "data.txt", "-d", "data.txt")
    given = {"file": ["data.txt"], "stdin": []}[source]
    assert predictions(*given, "--passes", "3", "--holdout_off", *words, text=TEXT) == expected


def test_without_a_cache_flag_nothing_is_left_behind():
    run("data.txt", "--passes", "2")
    assert os.listdir() == ["data.txt"]


def test_every_pass_is_predicted_in_order():
    lines = predictions("data.txt", "--passes", "2")
    assert [line.split()[1] for line in lines] == [f"tag{i}" for i in range(40)] * 2


# The cache


def state_of_cache(*words: str) -> str:
    """Whether a run makes its cache or uses one."""
    return re.findall(r"^(creating|using) cache_file = ", run(*words).stderr, re.MULTILINE)[0]


def test_a_cache_is_used_again_when_nothing_has_changed():
    expected = predictions("data.txt", "-c")
    assert state_of_cache("data.txt", "-c") == "using"
    assert predictions("data.txt", "-c") == expected
    # it holds for other learners, too
    assert state_of_cache("data.txt", "-c", "--loss_function", "logistic", "-q", "ab", "-b", "10") == "using"


def test_a_cache_is_read_instead_of_the_data():
    run("data.txt", "-c")
    Path(CACHE).write_bytes(Path(CACHE).read_bytes()[:-200])
    run("data.txt", "-c", status=1)  # the data are as good as before
    assert predictions("data.txt", "-c", "-k") == predictions("data.txt")


def test_data_that_only_look_the_same_get_a_new_cache():
    run("data.txt", "-c")
    stamp = os.stat("data.txt")
    Path("data.txt").write_text(TEXT.replace(":0.5", ":3.5"))
    os.utime("data.txt", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert predictions("data.txt", "-c") == predictions("data.txt")


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("data.txt").write_text(TEXT + "1 | one more\n"),
        lambda: os.utime("data.txt", (1, 1)),
        lambda: Path(CACHE).write_bytes(b""),
        lambda: Path(CACHE).write_bytes(Path(CACHE).read_bytes()[:20]),
    ],
)
def test_a_cache_is_remade_when_it_does_not_fit_the_data(change):
    run("data.txt", "-c")
    change()
    assert state_of_cache("data.txt", "-c") == "creating"
    assert predictions("data.txt", "-c") == predictions("data.txt")


@pytest.mark.parametrize(
    "words", [["--hash", "all"], ["--hash_seed", "3"], ["--redefine", "c:=a"], ["--vw_compat"], ["-d", "more.txt"]]
)
def test_a_cache_is_remade_when_parsing_differs(words):
    Path("more.txt").write_text(TEXT)
    run("data.txt", "-c")
    assert predictions("data.txt", "-c", *words) == predictions("data.txt", *words)
    assert state_of_cache("data.txt", "-c", *words) == "using"
    assert state_of_cache("data.txt", "-c") == "creating"


def test_killing_the_cache_makes_it_anew():
    run("data.txt", "-c")
    assert state_of_cache("data.txt", "-c", "-k") == "creating"


def test_a_cache_is_whole_or_not_there():
    run("data.txt", "-c", "--examples", "3")
    assert state_of_cache("data.txt", "-c") == "creating"
    Path("bad.txt").write_text(TEXT + "not an example |\n")
    run("bad.txt", "-c", "--strict_parse", status=1)
    assert sorted(os.listdir()) == ["bad.txt", "data.txt", CACHE]


def test_a_cache_remembers_that_lines_were_malformed():
    Path("data.txt").write_text("1 | a\nnot an example |\n0 | b\n")
    first = run("data.txt", "-c").stderr
    assert "malformed" in first
    assert "malformed" in run("data.txt", "-c").stderr
    run("data.txt", "-c", "--strict_parse", status=1)


def test_a_cache_in_an_unwritable_place_is_one_line():
    done = run("data.txt", "--cache_file", "/proc/none/cache", "-f", "m.model", status=1)
    assert done.stderr.splitlines()[-1].startswith("vwlite: error: /proc/none/cache: ")
    assert not Path("m.model").exists()


def runs_or_refuses(capfd, damaged: bytes) -> None:
    """A damaged cache is remade, refused in one line, or (where no check could see it) used: it never crashes."""
    Path(CACHE).write_bytes(damaged)
    status = main(["data.txt", "-c", "--quiet", "-f", "m.model"])
    out, err = capfd.readouterr()
    assert out == ""
    if status:
        assert status == 1
        foreign = f"vwlite: error: {CACHE}: is no cache of vwlite, and would be replaced; name another --cache_file\n"
        damage = f"vwlite: error: {CACHE}: the cache is damaged; rebuild it with --kill_cache\n"
        assert err == (damage if damaged.startswith(b"vwlite cache ") else foreign)
    else:
        assert err == ""
        model_file.open("m.model")


harmless = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@harmless
@given(st.floats(0, 1, exclude_max=True))
def test_a_cache_cut_short_is_refused(capfd, share):
    run_once()
    whole = Path(CACHE + ".whole").read_bytes()
    length = int(share * len(whole))
    runs_or_refuses(capfd, whole[:length])


@harmless
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
@example([(0.999, 255)])
def test_a_cache_with_flipped_bytes_never_crashes(capfd, flips):
    run_once()
    damaged = bytearray(Path(CACHE + ".whole").read_bytes())
    for share, mask in flips:
        damaged[int(share * len(damaged))] ^= mask
    runs_or_refuses(capfd, bytes(damaged))


@harmless
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_flipped_byte_never_goes_unnoticed(capfd, share, mask):
    run_once()
    expected = arrays("whole.model")
    damaged = bytearray(Path(CACHE + ".whole").read_bytes())
    damaged[int(share * len(damaged))] ^= mask
    Path(CACHE).write_bytes(damaged)
    if main(["data.txt", "-c", "--quiet", "-f", "m.model"]) == 0:
        assert arrays("m.model") == expected
    capfd.readouterr()


def run_once() -> None:
    """Makes the cache that examples damage."""
    if not Path("whole.model").exists():
        assert main(["data.txt", "-c", "--quiet", "-f", "whole.model"]) == 0
        Path(CACHE + ".whole").write_bytes(Path(CACHE).read_bytes())


# Held-out examples, and when to stop


def test_holding_out_is_said_aloud():
    assert "holding out every 10th example" in run("data.txt", "--passes", "2").stderr
    assert "holding out every 4th example" in run("data.txt", "--passes", "2", "--holdout_period", "4").stderr
    assert "holding out all examples after the first 30" in (
        run("data.txt", "--passes", "2", "--holdout_after", "30").stderr
    )
    assert "holding out" not in run("data.txt", "--passes", "2", "--holdout_off").stderr
    assert "holding out" not in run("data.txt").stderr


def test_held_out_examples_are_not_learned():
    rest = [line for i, line in enumerate(LINES, 1) if i % 10]
    run("data.txt", "--passes", "1", "--holdout_after", "30", "-f", "after.model", "--quiet")
    run("--quiet", "-f", "first.model", text="\n".join(LINES[:30]))
    assert arrays("after.model") == arrays("first.model")
    stderr = run("data.txt", "--passes", "2", "-f", "period.model").stderr
    run("--passes", "2", "--holdout_off", "--quiet", "-f", "rest.model", text="\n".join(rest))
    assert figure(stderr, "number of examples per pass") == "36"
    assert figure(stderr, "average loss").endswith(" h")
    assert arrays("period.model") == arrays("rest.model")


def test_nothing_held_out_is_said():
    assert figure(run("--passes", "2", text="1 | a\n").stderr, "average loss") == "undefined (no holdout)"


def overfitting() -> None:
    """Labels of the held-out lines are the opposite of what the others teach: the loss grows from pass to pass."""
    lines = [f"{-1 if i % 10 == 0 else 1} | a b" for i in range(1, 41)]
    Path("data.txt").write_text("\n".join(lines))


def test_passes_end_early_when_the_holdout_loss_does_not_fall():
    overfitting()
    words = ["data.txt", "--passes", "20", "--loss_function", "logistic", "-f", "m.model"]
    stderr = run(*words).stderr
    assert figure(stderr, "passes used") == "4"
    # the model is that of the best pass, the first
    run(*words[:1], "--passes", "2", *words[3:-1], "best.model", "--save_per_pass", "--quiet")
    assert arrays("m.model") == arrays("best.model.0")
    assert figure(run(*words, "--early_terminate", "1").stderr, "passes used") == "2"
    assert figure(run(*words, "--early_terminate", "50").stderr, "passes used") == "20"
    assert figure(run(*words, "--holdout_off").stderr, "passes used") == "20"


def test_the_model_of_each_pass_is_kept():
    run("data.txt", "--passes", "3", "--holdout_off", "--save_per_pass", "-f", "m.model", "--quiet")
    assert sorted(os.listdir()) == ["data.txt", "m.model", "m.model.0", "m.model.1", "m.model.2"]
    assert arrays("m.model.2") == arrays("m.model")
    run("data.txt", "-f", "one.model", "--quiet")
    assert arrays("m.model.0")["gd.weight"] == arrays("one.model")["gd.weight"]
    run("data.txt", "-i", "m.model.0", "-f", "two.model", "--quiet")
    assert arrays("m.model.1")["gd.weight"] == arrays("two.model")["gd.weight"]


def test_the_learning_rate_decays_after_each_pass():
    words = ["data.txt", "--passes", "2", "--holdout_off", "--quiet", "-f"]
    run(*words, "decayed.model", "--decay_learning_rate", "0.5")
    run("data.txt", "-f", "one.model", "--quiet", "-l", "0.5")
    run("data.txt", "-i", "one.model", "-l", "0.25", "-f", "two.model", "--quiet")
    assert arrays("decayed.model")["gd.weight"] == arrays("two.model")["gd.weight"]
