"""--drift: the detectors are those of their papers, rarely alarm without a change, and say when the loss has risen."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from river import drift as river_drift
from scipy.stats import ks_2samp

from tests.support.command import VWLITE
from tests.support.daemon import serving
from tests.support.models import arrays
from vwlite.cli import main
from vwlite.report.drift import DETECTORS, Adwin, Kswin, PageHinkley, critical_distance, tail
from vwlite.report.watching import KNOWN, MOST_SAVED


def streams() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    random = np.random.default_rng(0)
    return {
        "errors": np.r_[random.random(1500) < 0.2, random.random(1500) < 0.4, random.random(2000) < 0.1].astype(float),
        "numbers": np.r_[random.normal(0, 1, 1000), random.normal(1, 1, 1500), random.normal(-1, 3, 2000)],
        "nothing": random.random(5000),
        "slowly": np.cumsum(random.normal(0, 0.02, 8000)) + random.normal(0, 1, 8000),
        "constant": np.r_[np.zeros(500), np.ones(500)],
        "long": np.r_[random.random(60000) < 0.3, random.random(3000) < 0.35].astype(float),
    }


def detections(detector: river_drift.ADWIN, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    found = []
    for i, value in enumerate(values):
        detector.update(float(value))
        if detector.drift_detected:
            found.append(i)
    return found


@pytest.mark.parametrize("kind", sorted(streams()))
@pytest.mark.parametrize("delta", [0.002, 0.05, 1e-5])
def test_adwin_finds_what_that_of_river_finds(kind, delta):
    values = streams()[kind]
    assert Adwin(delta).feed(values) == detections(river_drift.ADWIN(delta=delta), values)


@pytest.mark.parametrize("kind", sorted(streams()))
@pytest.mark.parametrize("threshold", [10, 50])
def test_page_hinkley_finds_what_that_of_river_finds(kind, threshold):
    values = streams()[kind]
    theirs = detections(river_drift.PageHinkley(threshold=threshold, mode="up"), values)
    assert PageHinkley(threshold, 0.005, 0.9999).feed(values) == theirs


@pytest.mark.filterwarnings("ignore:ks_2samp")
@pytest.mark.parametrize("n", [5, 30])
def test_the_significance_of_kswin_is_that_of_scipy(n):
    for k in range(1, n + 1):
        a = np.arange(n, dtype=float)
        b = a + k - 0.5  # k values of a lie below all of b
        found = ks_2samp(a, b, method="exact")
        assert found.statistic == pytest.approx(k / n)
        assert tail(n, k) == pytest.approx(found.pvalue, rel=1e-9)
    assert tail(n, critical_distance(n, 0.005)) <= 0.005 < tail(n, critical_distance(n, 0.005) - 1)
    assert critical_distance(n, 1e-300) == n + 1


def test_kswin_finds_a_change_as_soon_as_that_of_river():
    """Both draw at random, so single detections differ."""
    ours, theirs = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = np.r_[random.normal(0, 1, 300), random.normal(3, 1, 200)]
        ours.append(next(i for i in Kswin(1e-4, seed).feed(values) if i >= 300))
        theirs.append(next(i for i in detections(river_drift.KSWIN(alpha=1e-4, seed=seed), values) if i >= 300))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4)


LOSSES = {
    "errors": lambda random, n: (random.random(n) < 0.15).astype(float),
    "logistic": lambda random, n: np.log1p(np.exp(random.normal(-1, 1.5, n))),
    "squared": lambda random, n: random.normal(0, 1, n) ** 2,
    "absolute": lambda random, n: abs(random.normal(0, 1, n)),
}


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_losses_that_stay_the_same_rarely_alarm(name, kind):
    losses = LOSSES[kind](np.random.default_rng(7), 200_000)
    parameter, _, scaled = KNOWN[name]
    assert len(DETECTORS[name](parameter).feed(losses / losses.std() if scaled else losses)) <= 1


def data(folder: Path, unit: float = 1, change: int = 6000, classes: bool = True) -> str:
    random = np.random.default_rng(3)
    rows = []
    for i in range(9000):
        x = random.integers(10)
        up = (x < 5) == (i < change)
        if classes:
            rows.append(f"{1 if random.random() < (0.9 if up else 0.1) else -1} | x{x}")
        else:
            rows.append(f"{unit * ((4 if up else 1) + random.normal())!r} | x{x}")
    path = folder / "d.vw"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def said(*words: str) -> list[tuple[int, float, float]]:
    """The drifts that a run reports."""
    done = subprocess.run([*VWLITE, *words], capture_output=True, text=True, check=True)
    pattern = r"^\[drift\] at example (\d+): loss (\S+) -> (\S+)$"
    found = [(int(n), float(a), float(b)) for n, a, b in re.findall(pattern, done.stderr, re.M)]
    assert f"drifts = {len(found)}" in done.stderr
    return found


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize("more", ["", "--report auc", "--delay 5", "-q ::"])
def test_a_run_reports_the_change_and_the_losses_around_it(name, more, tmp_path):
    found = said(data(tmp_path), "--loss_function", "logistic", "--drift", name, *more.split())
    assert len(found) == 1
    number, before, after = found[0]
    assert 6000 < number < 6200
    assert 0.25 < before < 0.45 < after


@pytest.mark.parametrize("unit", [1e-6, 1, 1e6])
@pytest.mark.parametrize("name", sorted(KNOWN))
def test_the_unit_of_the_labels_does_not_matter(name, unit, tmp_path):
    found = said(data(tmp_path, unit, classes=False), "--bayes_linear", "--drift", name)
    assert [6000 < number < 6300 for number, _, _ in found] == [True]


def test_a_loss_that_falls_is_no_drift(tmp_path):
    (tmp_path / "d.vw").write_text("".join(f"{(i * 7 % 100) / 100} | x:{(i * 7 % 100) / 100}\n" for i in range(8000)))
    for name in KNOWN:
        assert said(str(tmp_path / "d.vw"), "--drift", name) == []


def test_a_model_that_does_not_learn_is_watched_with_t(tmp_path):
    path = data(tmp_path)
    assert main([path, "--loss_function", "logistic", "--examples", "5000", "-f", str(tmp_path / "m"), "--quiet"]) == 0
    found = said(path, "-t", "-i", str(tmp_path / "m"), "--drift", "adwin")
    assert len(found) == 1 and 6000 < found[0][0] < 6200


def test_predictions_and_models_are_the_same(tmp_path):
    path, words = data(tmp_path), ["--loss_function", "logistic", "--passes", "2", "--holdout_off", "--cache_file"]
    found = []
    for more in ([], ["--drift", "adwin"], ["--drift", "kswin"]):
        files = ["-p", str(tmp_path / "p"), "-f", str(tmp_path / "m")]
        assert main([path, *words, str(tmp_path / "c"), "-k", *files, *more]) == 0
        found.append(((tmp_path / "p").read_text(), arrays(tmp_path / "m")))
    assert found[0] == found[1] == found[2]


def test_a_daemon_logs_it(tmp_path):
    text = Path(data(tmp_path)).read_bytes()
    with serving(tmp_path, "--loss_function", "logistic", "--drift", "adwin", "--log", "json") as daemon:
        daemon.talk(text)
        event = json.loads(daemon.wait_for('"drift"'))
    assert event["event"] == "drift" and event["level"] == "warning" and 6000 < event["example"] < 6200
    assert event["loss_before"] < event["loss_after"]


STACKS = {
    "plain": "",
    "crossed": "-q ::",
    "delayed": "--delay 7",
    "reported": "--report auc --names on",
    "effects": "--bayes_logistic --random_effect u",
    "transformed": "--transform /x/:scale",
    "passes": "--passes 2 -c -k --holdout_off",
    "held out": "--holdout 0.2",
}


@pytest.mark.parametrize("stack", sorted(set(STACKS) - {"delayed", "transformed", "passes", "held out"}))
def test_on_drift_saves_the_model_of_the_moment_and_goes_on(stack, tmp_path, capsys):
    path, m = data(tmp_path), str(tmp_path / "m")
    words = [path, *("" if "bayes" in STACKS[stack] else "--loss_function logistic").split(), *STACKS[stack].split()]
    assert main([*words, "--drift", "adwin", "--on_drift", "save", "-f", m, "-p", f"{m}.p"]) == 0
    (number,) = re.findall(r"at example (\d+): .*, model saved to \S+/m\.drift-\d+", capsys.readouterr().err)
    assert main([*words, "--examples", number, "-f", f"{m}1"]) == 0
    assert arrays(Path(f"{m}.drift-{number}")) == arrays(Path(f"{m}1"))
    assert main([*words, "-f", f"{m}2", "-p", f"{m}2.p"]) == 0
    assert arrays(Path(m)) == arrays(Path(f"{m}2"))
    assert Path(f"{m}.p").read_text() == Path(f"{m}2.p").read_text()


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_on_drift_stops_the_run_after_the_example(stack, tmp_path, capsys):
    path, m = data(tmp_path), str(tmp_path / "m")
    words = [path, *("" if "bayes" in STACKS[stack] else "--loss_function logistic").split(), *STACKS[stack].split()]
    assert main([*words, "--drift", "adwin", "--on_drift", "stop", "-f", m, "-p", f"{m}.p"]) == 3
    said = capsys.readouterr().err
    (number,) = re.findall(r"stopped by --on_drift at example (\d+), model saved to ", said)
    assert f"[drift] at example {number}: loss " in said and "drifts = 1" in said
    words = [word for word in words if word not in ("--passes", "2")]
    assert main([*words, "--examples", number, "-f", f"{m}1", "-p", f"{m}1.p"]) == 0
    assert Path(f"{m}.p").read_text() == Path(f"{m}1.p").read_text()
    assert arrays(Path(m)) == arrays(Path(f"{m}1"))
    assert main(["inspect", m, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["journal"][-1]["stopped"] == "--on_drift"


def test_on_drift_stops_a_run_of_decisions(tmp_path, capsys):
    random = np.random.default_rng(1)
    rows = []
    for i in range(6000):
        action = random.integers(2).item()
        cost = -int(random.random() < (0.9 if i < 4000 else 0.1))
        labels = [f"{k}:{cost}:0.5 " if k == action else "" for k in (0, 1)]
        rows.append(f"{labels[0]}| a\n{labels[1]}| b\n\n")
    (tmp_path / "d").write_text("".join(rows))
    words = [str(tmp_path / "d"), "--cb_adf", "--drift", "adwin", "--on_drift", "stop", "-p", str(tmp_path / "p")]
    assert main(words) == 3
    (number,) = re.findall(r"stopped by --on_drift at example (\d+)", capsys.readouterr().err)
    assert 4000 < int(number) < 5000
    assert (tmp_path / "p").read_text().strip("\n").count("\n\n") == int(number) - 1


def test_on_drift_stops_while_the_pipe_is_still_open_and_without_words(tmp_path):
    with open(data(tmp_path), "rb") as file, subprocess.Popen(
        [*VWLITE, "--loss_function", "logistic", "--drift", "adwin", "--on_drift", "stop", "--quiet"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as run:  # fmt: skip
        assert run.stdin is not None and run.stderr is not None
        run.stdin.write(file.read())
        run.stdin.flush()
        assert run.wait(60) == 3
        assert run.stderr.read() == b""


def test_on_drift_saves_few_models_of_a_loss_that_swings(tmp_path, capsys):
    random = np.random.default_rng(1)
    rows = [f"{random.normal() * (30 if i // 300 % 2 else 1)!r} | x\n" for i in range(30000)]
    (tmp_path / "d").write_text("".join(rows))
    words = [str(tmp_path / "d"), "--drift", "adwin:0.5", "--on_drift", "save", "-f", str(tmp_path / "m")]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert said.count("[drift]") > MOST_SAVED
    assert said.count("model saved to") == len([*tmp_path.glob("m.drift-*")]) == MOST_SAVED


def test_a_daemon_stops_learning_and_goes_on_predicting_also_after_its_journal_was_read(tmp_path):
    text = Path(data(tmp_path)).read_bytes()
    flags = ["--loss_function", "logistic", "--drift", "adwin", "--on_drift", "stop", "--journal", str(tmp_path / "j")]
    with serving(tmp_path, *flags) as daemon:
        answers = daemon.talk(text)
        daemon.wait_for("drift")
        refused = [answer for answer in answers.splitlines() if answer.startswith(b"!error")]
        assert refused[0].startswith(b"!error not learned: the loss has risen (--on_drift stop, at example 60")
        learned = 9000 - len(refused)
        assert 6000 < learned < 6200 and set(answers.splitlines()[learned:]) == {refused[0]}
        assert not daemon.talk(b"| x1\n").startswith(b"!")
        assert json.loads(daemon.talk(b"!stats\n"))["learns"] is False
        daemon.kill()
    with serving(tmp_path, *flags) as daemon:  # learns its journal again, and then more
        assert not daemon.talk(b"1 | x1\n").startswith(b"!")
        assert json.loads(daemon.talk(b"!stats\n"))["examples"] == learned + 1


def test_a_daemon_saves_the_model(tmp_path):
    text = Path(data(tmp_path)).read_bytes()
    flags = ["--loss_function", "logistic", "--drift", "adwin", "--on_drift", "save", "-f", str(tmp_path / "m")]
    with serving(tmp_path, *flags) as daemon:
        daemon.talk(text)
        daemon.wait_for("saved")
        (path,) = tmp_path.glob("m.drift-*")
        assert 6000 < int(path.name.removeprefix("m.drift-")) < 6200
    assert main(["-t", "-i", str(path), "--no_stdin", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--drift adwin --on_drift save", "--on_drift save needs -f FILE"),
        ("--drift adwin --on_drift save -t -f x", "--on_drift save and -t: nothing is learned"),
        ("--drift adwin --on_drift 'rm x'", "--on_drift must be one of save, stop"),
        ("--on_drift stop", "--on_drift has no effect without --drift"),
        ("--drift adwin --on_drift stop --threads 2", "--on_drift has no effect with --threads above 1"),
        ("--drift adwin --quiet", "--drift has no effect with --quiet: leave one of them out"),
        ("--drift adwin --on_drift save -f x -p x.drift-5", "--predictions x.drift-5: --on_drift would save a model"),
    ],
)
def test_what_on_drift_can_not_do_is_refused(words, message, tmp_path, capsys, monkeypatch):
    import shlex

    path = data(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main([path, *shlex.split(words)]) == 1
    assert message in capsys.readouterr().err
    assert [*Path().iterdir()] == [Path("d.vw")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ddm", "there is no detector 'ddm'; there are adwin, page_hinkley, kswin"),
        ("adwin:0", "above 0 and at most 1"),
        ("adwin:2", "above 0 and at most 1"),
        ("kswin:few", "expected a number after the colon"),
        ("page_hinkley:nan", "above 0 and finite"),
        ("page_hinkley:", "expected a number after the colon"),
    ],
)
def test_another_detector_or_parameter_is_refused(value, message, tmp_path, capsys):
    assert main([data(tmp_path), "--drift", value]) == 1
    assert message in capsys.readouterr().err
