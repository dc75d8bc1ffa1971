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
from vwlite.report.watching import KNOWN


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
