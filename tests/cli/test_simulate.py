"""``vwlite simulate``: what it prints and writes, and what it refuses."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vwlite.cli import main

VWLITE = [sys.executable, "-m", "vwlite"]
SHORT = ["--rounds", "300", "--seeds", "3", "--jobs", "1", "--quiet"]
LOG = "".join(
    f"shared |u {'xy'[i % 2]}\n{'0:-1:0.5 ' if i % 3 else ''}|a p\n{'' if i % 3 else '1:0:0.5 '}|a q\n\n"
    for i in range(60)
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.vw").write_text(LOG)
    return tmp_path


@pytest.fixture
def simulate(capsys):
    """What goes to standard output."""

    def run(*words):
        status = main(["simulate", *words])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return run


@pytest.fixture
def refusal(capsys, folder):
    """The one line that is said about a command that is refused; nothing is written."""

    def run(*words):
        before = sorted(path.name for path in folder.iterdir())
        assert main(["simulate", *words]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1, err
        assert sorted(path.name for path in folder.iterdir()) == before
        return err.removeprefix("vwlite: error: ").rstrip("\n")

    return run


def rows(out):
    """The table, by policy."""
    lines = out.split("\n\n")[1].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines[1:]}


def test_every_policy_has_a_row(simulate):
    out = simulate("arms", *SHORT)
    assert list(rows(out)) == ["thompson", "ucb", "epsilon", "greedy", "random"]
    assert rows(out)["random"][2] == "100.0%"
    assert out.startswith("10 actions, one rewarded with probability 0.5, the others with 0.4\nagain: vwlite simulate")


@pytest.mark.parametrize("problem", ["arms", "pool", "ads", "log.vw"])
def test_the_line_that_is_printed_gives_the_same_figures_again(problem, simulate):
    rounds = "60" if problem == "log.vw" else "200"
    out = simulate(problem, "--rounds", rounds, "--seeds", "2", "--seed", "4", "--quiet", "--", "--ts_alpha", "0.5")
    (again,) = re.findall("^again: vwlite simulate (.*)$", out, re.M)
    assert simulate("--quiet", "--jobs", "2", *shlex.split(again)) == out


def test_the_number_of_processes_and_the_clock_change_nothing(simulate):
    words = [word for word in SHORT if word not in ("--jobs", "1")]
    assert len({simulate("arms", *words, "--jobs", jobs) for jobs in ("1", "2", "3")}) == 1


def test_another_seed_plays_another_world(simulate):
    assert rows(simulate("arms", *SHORT, "--seed", "1")) != rows(simulate("arms", *SHORT, "--seed", "9"))


def test_seeds_are_counted_from_the_first(simulate):
    def regrets(*words):
        return json.loads(simulate("pool", "--rounds", "300", "--quiet", "--json", *words))["policies"]

    both = regrets("--seeds", "2", "--seed", "7")
    one, other = (regrets("--seeds", "1", "--seed", seed) for seed in ("7", "8"))
    for a, b, c in zip(both, one, other, strict=True):
        assert a["regret"] == pytest.approx((b["regret"] + c["regret"]) / 2)
        assert a["regret_error"] == pytest.approx(abs(b["regret"] - c["regret"]) / 2)
        assert a["more"] == pytest.approx(a["regret"] - both[0]["regret"])


def test_a_single_seed_has_no_standard_error(simulate):
    out = rows(simulate("arms", "--rounds", "100", "--seeds", "1", "--quiet"))
    assert {cells[1] for cells in out.values()} == {"n/a"}
    found = json.loads(simulate("arms", "--rounds", "100", "--seeds", "1", "--quiet", "--json"))
    assert {each["regret_error"] for each in found["policies"]} == {None}


def test_policies_are_compared_with_the_first(simulate):
    out = simulate("arms", *SHORT, "--policies", "greedy,thompson:0.5")
    assert "above greedy" in out
    assert "of random" not in out
    assert len(rows(out)["greedy"]) == 3
    assert len(rows(out)["thompson:0.5"]) == 5


def test_json_has_the_figures_of_the_table(simulate):
    table, found = rows(simulate("arms", *SHORT)), json.loads(simulate("arms", *SHORT, "--json"))
    assert found["rounds"] == 300
    assert found["command"].startswith("vwlite simulate arms --arms 10 --gap 0.1 --rounds 300")
    for each in found["policies"]:
        assert f"{each['regret']:.1f}" == table[each["policy"]][0]
        assert f"{each['regret_error']:.1f}" == table[each["policy"]][1]


def test_curves_end_with_the_regret(simulate):
    found = json.loads(simulate("arms", *SHORT, "--json", "--curves", "curves.tsv"))
    header, *lines = Path("curves.tsv").read_text().splitlines()
    assert header == "policy\tround\tregret\tstandard_error"
    ends = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}  # the last of each
    for each in found["policies"]:
        end, regret, error = ends[each["policy"]]
        assert end == "300"
        assert float(regret) == pytest.approx(each["regret"])
        assert float(error) == pytest.approx(each["regret_error"])


def test_a_replay_tells_costs(simulate):
    out = simulate("log.vw", "--quiet", "--", "-q", "ua")
    assert out.startswith("log.vw: 60 logged decisions;")
    assert "mean cost" in out and "regret" not in out
    for cells in rows(out).values():
        assert 10 < float(cells[0]) < 50
        assert -1 <= float(cells[2]) <= 0
    found = json.loads(simulate("log.vw", "--quiet", "--json", "--rounds", "30"))
    assert found["rounds"] == 30
    assert set(found["policies"][0]) == {"policy", "mean_cost", "mean_cost_error", "counted"}


def test_a_log_may_be_packed_or_come_from_a_pipe(simulate, folder):
    import gzip

    plain = simulate("log.vw", "--quiet")
    (folder / "log.vw.gz").write_bytes(gzip.compress(LOG.encode()))
    assert rows(simulate("log.vw.gz", "--quiet")) == rows(plain)
    piped = subprocess.run([*VWLITE, "simulate", "-", "--quiet"], input=LOG, capture_output=True, text=True, check=True)
    assert rows(piped.stdout) == rows(plain)


def test_a_log_with_nothing_that_counts_says_so(simulate, folder):
    (folder / "log.vw").write_text("0:-1:1 |a p\n")
    out = simulate("log.vw", "--quiet", "--seeds", "2", "--policies", "greedy")
    assert rows(out)["greedy"] == ["1.0", "100.0%", "-1.0000", "n/a"]
    (folder / "log.vw").write_text("0:-1:0.001 |a p\n" + "|a q\n" * 200)
    out = simulate("log.vw", "--quiet", "--seeds", "1", "--policies", "greedy", "--accept", "0.001", "--curves", "c")
    assert rows(out)["greedy"] in (["0.0", "0.0%", "n/a", "n/a"], ["1.0", "100.0%", "-1.0000", "n/a"])


def test_what_is_said_besides_goes_to_standard_error(capsys):
    assert main(["simulate", "arms", *SHORT[:-1]]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"4,500 decisions in [\d.]+ s, [\d.]+ microseconds of a processor each\n", err)
    assert "second" not in out


# The plot


def test_a_plot_is_a_picture(simulate, folder):
    pytest.importorskip("matplotlib")
    for name, problem in (("a.png", "arms"), ("b.png", "log.vw")):
        simulate(problem, "--rounds", "50", "--seeds", "2", "--quiet", "--plot", name)
        picture = (folder / name).read_bytes()
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(picture) > 10_000


def test_without_matplotlib_that_is_said_before_anything_is_played(refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = refusal("arms", "--rounds", "1000000000", "--plot", "regret.png")
    assert message == "--plot needs matplotlib: pip install 'vwlite[plot]'"


# What is refused, before anything is played

LONG = ["--rounds", "1000000000"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arms", "--policies", "thompson,best"], "no policy 'best', only thompson, optimistic, ucb"),
        (["arms", "--policies", ","], "no policy ''"),
        (["arms", "--policies", "greedy,greedy"], "greedy is given twice"),
        (["arms", "--policies", "greedy:1"], "greedy takes no number"),
        (["arms", "--policies", "ucb:wide"], "ucb:wide: expected a number"),
        (["arms", "--policies", "epsilon:2"], "--explore_rate must be at most 1"),
        (["arms", "--policies", "thompson:nan"], "thompson:nan"),
        (["arms", "--rounds", "0"], "'--rounds': 0 is not in the range"),
        (["arms", "--seeds", "0"], "'--seeds': 0"),
        (["arms", "--delay", "0"], "'--delay': 0"),
        (["arms", "--arms", "1"], "'--arms': 1"),
        (["arms", "--gap", "0"], "'--gap': 0"),
        (["arms", "--gap", "0.6"], "'--gap': 0.6"),
        (["arms", "--eligible", "3"], "--eligible is for ads; not for arms"),
        (["pool", "--accept", "0.1"], "--accept is for FILE; not for pool"),
        (["log.vw", "--gap", "0.1"], "--gap is for arms; 'log.vw' is read as a file"),
        (["ads", "--eligible", "51"], "--eligible 51: up to 101 ads"),
        (["arms", "--plot", "regret.pdf"], "ends in .png"),
        (["arms", "--plot", "log.vw/regret.png"], "can't write the plot"),
        (["arms", "--curves", "log.vw/curves"], "can't write curves"),
        (["arms", "--ts_alpha", "0.5"], "follow --: vwlite simulate arms -- --ts_alpha"),
        (["arms", "--", "greedy"], "'greedy' is not a flag"),
        (["arms", "--", "--ts_alfa", "1"], "did you mean --ts_alpha"),
        (["arms", "--", "--explore", "ucb"], "use --policies"),
        (["arms", "--", "--random_seed", "4"], "use --seed"),
        (["arms", "--", "-t"], "learn"),
        (["arms", "--", "-f", "model"], "--final_regressor"),
        (["arms", "--", "--loss_function", "logistic"], "needs a learner with a posterior"),
        (["arms", "--", "--cost_range", "1"], "LOW,HIGH"),
        (["lag.vw"], "lag.vw: no such file; did you mean log.vw"),
        (["."], "is a folder"),
        (["empty"], "empty: contains no decisions"),
        (["plain"], "plain:1:1: "),
        (["unlabelled"], "unlabelled:3: a decision without action:cost:probability"),
        (["costs", "--", "--bayes_logistic"], "costs:3:1: the cost is neither of the two"),
    ],
)
def test_what_cannot_be_played_is_refused_in_a_line(words, message, refusal, folder):
    (folder / "empty").write_text("\n\n")
    (folder / "plain").write_text("-1 |a b\n")
    (folder / "unlabelled").write_text("0:-1:1 |a\n\n|a\n|b\n")
    (folder / "costs").write_text("\n\n0:0.5:1 |a\n\n\n0:0.25:1 |a\n\n0:0:1 |a\n")
    split = words.index("--") if "--" in words else len(words)
    words = [*words[:split], *([] if "--rounds" in words else LONG), *words[split:]]
    assert message in refusal(*words)


# Interrupted


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")
@pytest.mark.parametrize(
    ("content", "what"),
    [(b"\x1f\x8b\x08rest", "bytes compressed by gzip"), (LOG.encode("utf-16"), "UTF-16 text")],
)
def test_a_log_that_is_no_text_is_told_by_its_format(content, what, refusal, folder):
    (folder / "log").write_bytes(content)
    assert f"log: not lines of text but {what}" in refusal("log")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_interrupts_a_long_play_leaves_nothing_behind(number, status, folder):
    command = [*VWLITE, "simulate", "arms", *LONG, "--jobs", "2", "--curves", "curves.tsv"]
    play = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers = []
    for _ in range(300):
        time.sleep(0.1)
        workers = children(play.pid)
        if len(workers) == 2:
            break
    assert len(workers) == 2
    time.sleep(0.5)
    play.send_signal(number)
    out, err = play.communicate(timeout=30)
    assert (play.returncode, out, err) == (status, "", "")
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker}")
    assert [path.name for path in folder.iterdir()] == ["log.vw"]


def test_help_teaches(capsys):
    assert main(["simulate", "--help"]) == 0
    text = capsys.readouterr().out
    for word in ("PROBLEM is one of", "arms", "pool", "ads", "FILE", "vwlite simulate log.vw.gz -- --bayes_linear"):
        assert word in text
