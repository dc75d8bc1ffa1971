"""vwlite sweep: each model is that of a run with its setting alone, and the ranking is that of its losses."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import VWLITE
from tests.support.models import Arrays, arrays
from tests.support.multiline import decisions
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.judging.crew import Crew
from vwlite.judging.grid import read_grid, settings_of
from vwlite.judging.intervals import Resampling
from vwlite.judging.sweeping import differences, sweep

RANDOM = np.random.default_rng(5)


def lines(n: int, two: tuple[str, str] = ("-1", "1"), seed: int = 0) -> list[str]:
    """Examples of two classes; one in nine without a label, in eleven malformed, and some with weights."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(n):
        a, b, x = random.integers(0, 9), random.integers(0, 30), random.normal()
        up = random.random() < 1 / (1 + np.exp(-(x + (a % 3) - 1)))
        label = "" if i % 9 == 4 else f"{two[int(up)]} {1 + i % 3 * 0.5:g}"
        found.append("1 | a:nan" if i % 11 == 7 else f"{label} t{i}|a a{a} x:{x:.3f} |b b{b}")
    return found


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "d.vw"
    path.write_text("".join(f"{line}\n" for line in lines(5000)))
    return str(path)


def plain(folder: Path, *words: str) -> tuple[float, Arrays]:
    """The average loss of a run with these flags alone, and the arrays of its model."""
    model = folder / "plain.model"
    done = subprocess.run([*VWLITE, *words, "-f", str(model)], capture_output=True, text=True, check=True)
    found = re.search(r"average loss = (\S+)", done.stderr)
    assert found
    return float(found[1]), arrays(model)


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["sweep", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


SHARED = {
    "logistic": ("--loss_function logistic", "l=.1,.5 b=16,18 q=none,ab"),
    "squared": ("--noconstant", "l=.05,.5 power_t=.3,.5 l1=none,1e-5"),
    "regularized": ("--loss_function logistic -q ab", "l2=none,1e-5 ftrl=on,off"),
    "holdout": ("--loss_function logistic --holdout 0.2", "l=.1,.5 q=none,aa,ab+aa"),
    "holdout_after": ("--holdout_after 4000", "l=.1,.5"),
    "posterior": ("--bayes_logistic", "l2=.5,1 posterior=full,diagonal"),
    "effects": ("--bayes_linear --random_effect b", "effect_l2=.5,3 shrink=mean,zero"),
}


@pytest.mark.parametrize("kind", sorted(SHARED))
def test_each_setting_learns_as_a_run_of_its_own(kind, data, tmp_path, capsys):
    flags, grid = SHARED[kind]
    found = as_json(capsys, data, *flags.split(), "--grid", grid, "-f", str(tmp_path / "best.model"))
    assert found["results"][0]["rank"] == 1
    for setting in settings_of(read_grid([grid])):
        loss, model = plain(tmp_path, data, *flags.split(), *setting.words)
        result = next(one for one in found["results"] if one["name"] == setting.name)
        assert result["value"] == pytest.approx(loss, abs=1e-6)
        if result["rank"] == 1:
            assert arrays(tmp_path / "best.model") == model
    values = [result["value"] for result in found["results"]]
    assert values == sorted(values)


def test_several_passes_stop_early_each_for_itself_and_the_best_pass_is_saved(data, tmp_path, capsys):
    flags = "--loss_function logistic --passes 12 -q ab"
    words = [data, *flags.split()]
    found = as_json(capsys, *words, "--grid", "l=.02,.5,3", "-f", str(tmp_path / "best.model"))
    assert found["side"] == "holdout"
    assert len({result["passes"] for result in found["results"]}) > 1
    for result in found["results"]:
        loss, model = plain(tmp_path, *words, "-l", result["values"]["l"], "--cache_file", str(tmp_path / "cache"))
        assert result["value"] == pytest.approx(loss, abs=1e-6)
        if result["rank"] == 1:
            assert arrays(tmp_path / "best.model") == model
    # without -f, too: the best is handed to Python
    without = as_json(capsys, *words, "--grid", "l=.02,.5,3")
    for result in (*found["results"], *without["results"]):
        del result["seconds"]
    assert without["results"] == found["results"]
    best = sweep([*words, "--quiet"], "l=.02,.5,3").best
    best.save(tmp_path / "from_python.model")
    assert arrays(tmp_path / "from_python.model") == arrays(tmp_path / "best.model")


def test_results_are_the_same_with_any_number_of_threads(data, capsys):
    words = (data, "--grid", "l=.1,.2,.5,1 loss_function=logistic,squared", "-q", "ab", "--report", "auc")
    alone, many = (as_json(capsys, *words, "--threads", threads) for threads in ("1", "5"))
    for found in (alone, many):
        for result in found["results"]:
            del result["seconds"]
    assert alone["results"] == many["results"]
    assert (alone["threads"], many["threads"]) == (1, 5)


def test_losses_of_different_functions_are_compared_by_the_share_of_wrong_classes(data, tmp_path, capsys):
    found = as_json(capsys, data, "--grid", "loss_function=logistic,hinge,squared l=.3")
    assert found["metric"] == "error"
    for result in found["results"]:
        words = ["--loss_function", result["values"]["loss_function"], "-l", ".3", "-r", str(tmp_path / "p"), "--quiet"]
        assert main([data, *words]) == 0
        scores = {line.split()[1]: float(line.split()[0]) for line in (tmp_path / "p").read_text().splitlines() if line}
        total = wrong = 0.0
        for line in Path(data).read_text().splitlines():
            head = line.split("|")[0].split()
            if len(head) == 3 and head[2] in scores:
                total += float(head[1])
                wrong += float(head[1]) * ((scores[head[2]] > 0) != (float(head[0]) > 0))
        assert result["value"] == pytest.approx(wrong / total, abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "formula"),
    [
        ("mse", lambda y, p: (y - p) ** 2),
        ("mae", lambda y, p: abs(y - p)),
        ("logloss", lambda y, p: np.log1p(np.exp(-y * p))),
    ],
)
def test_metrics_are_those_of_the_progressive_predictions(metric, formula, tmp_path, capsys):
    labelled = [line for line in lines(2000) if line[0] in "-1" and "nan" not in line]
    (tmp_path / "d.vw").write_text("\n".join(labelled) + "\n")
    flags = ["--loss_function", "logistic"] if metric == "logloss" else ["--link", "identity"]
    found = as_json(capsys, str(tmp_path / "d.vw"), *flags, "--grid", "l=.5", "--metric", metric)
    assert main([str(tmp_path / "d.vw"), *flags, "-p", str(tmp_path / "p"), "--quiet"]) == 0
    p = np.array([float(line.split()[0]) for line in (tmp_path / "p").read_text().splitlines()])
    y, w = np.array([[float(word) for word in line.split()[:2]] for line in labelled]).T
    assert found["results"][0]["value"] == pytest.approx(np.average(formula(y, p), weights=w), rel=1e-5)


def test_an_interval_of_a_difference_is_that_of_pairs_of_pieces():
    random = np.random.default_rng(0)
    base = random.normal(5, 2, 400)  # pieces differ far more than the models
    models = [np.column_stack([base + shift + random.normal(0, 0.1, 400), np.ones(400)]) for shift in (0, 0.02, 1)]
    found = differences(models, 0, Resampling(2000))
    assert found[0] is None
    for model, ends in zip(models[1:], found[1:], strict=True):
        apart = model[:, 0] - models[0][:, 0]
        half = 1.96 * apart.std(ddof=1) / 20
        assert ends == pytest.approx((apart.mean() - half, apart.mean() + half), abs=0.1 * half)


@pytest.mark.parametrize("stack", ["--oaa 3", "--csoaa_ldf m", "--cb_explore_adf --cb_type mtr"])
def test_stacks_of_other_labels_are_ranked_by_their_loss(stack, tmp_path, capsys):
    if "ldf" in stack:
        text = "".join(f"1:{i % 2} |a x{i % 5} y\n2:{(i + 1) % 2} |a x{i % 5} z\n\n" for i in range(600))
    elif "cb" in stack:
        text = "".join(f"{line}\n" for line in decisions(600))
    else:
        text = "".join(f"{1 + (i * 7 % 10) % 3} |a x{i * 7 % 10}\n" for i in range(600))
    (tmp_path / "d.vw").write_text(text)
    words = [str(tmp_path / "d.vw"), *stack.split()]
    found = as_json(capsys, *words, "--grid", "l=.1,1")
    assert found["metric"] == "loss"
    for result in found["results"]:
        loss, _ = plain(tmp_path, *words, "-l", result["values"]["l"])
        assert result["value"] == pytest.approx(loss, abs=2e-6)


REFUSED = [
    ("", "--grid is empty"),
    ("l", "'l' gives no values"),
    ("l=", "gives no values"),
    ("lrate=.1", "unknown flag 'lrate'"),
    ("learning_rat=.1", "did you mean learning_rate"),
    ("l=.1,fast", "--learning_rate wants a number, not 'fast'"),
    ("l=.1,,1", "--learning_rate wants a number, not ''"),
    ("l=.1,.1", "has .1 twice"),
    ("l=.1 learning_rate=.2", "is there twice"),
    ("loss_function=logistic,hing", "--loss_function must be one of"),
    ("adaptive=yes", "whose values are on and off"),
    ("passes=1,2", "--passes is not of the model"),
    ("data=a,b", "--data is not of the model"),
    ("l=" + ",".join(map(str, range(1, 20))) + " power_t=" + ",".join(f".{i}" for i in range(10, 30)), "380 settings"),
    ("hash=all,strings", "--hash is not of the model"),
]


@pytest.mark.parametrize(("grid", "message"), REFUSED)
def test_a_grid_that_makes_no_sense_is_refused_in_a_line(grid, message, data, capsys):
    assert main(["sweep", data, "--grid", grid, "-f", f"{data}.model"]) == 1
    out, err = capsys.readouterr()
    assert message in err and not out and err.count("\n") == 1
    assert not os.path.exists(f"{data}.model")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "l=.1", "-l", ".5"], "--learning_rate was given twice"),
        (["--grid", "quantile_tau=.1,.2"], "--quantile_tau has no effect"),
        (["--grid", "l=.1", "-t"], "--testonly has no effect in vwlite sweep"),
        (["--grid", "l=.1", "--by_loss", "holdout"], "no example was held out"),
        (["--grid", "l=.1", "--by_loss", "best"], "--by_loss must be one of"),
        (["--grid", "l=.1", "--metric", "logloss"], "log-odds"),
        (["--grid", "loss_function=logistic,hinge", "--metric", "loss"], "can't be compared"),
        (["--grid", "oaa=none,3"], "learn from the same labels"),
        (["--grid", "b=18,29,28 l=" + ",".join(map(str, range(1, 40)))], "GB"),
        (["--grid"], "--grid needs a value"),
        (["--grid", "l=.1", "--no_such"], "unknown flag '--no_such'"),
        ([], "--grid is empty"),
    ],
)
def test_flags_that_do_not_fit_are_refused_in_a_line(words, message, data, capsys):
    assert main(["sweep", data, *words]) == 1
    out, err = capsys.readouterr()
    assert message in err and not out and "Traceback" not in err


def test_settings_too_large_for_memory_leave_nothing_behind(data, capsys):
    def reserved():
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
        assert found
        return int(found[1]) / 1e6

    before = reserved()
    assert main(["sweep", data, "--grid", "b=28,29 l=" + ",".join(map(str, range(1, 40)))]) == 1
    assert " of 78 settings may take " in capsys.readouterr().err
    # with more than its memory reserved, a process can't fork: the system refuses it
    assert reserved() - before < 1


@pytest.mark.parametrize("text", ["| a b\n| c\n", "", "\n\n", "1 | a:nan\n"])
def test_data_without_labels_is_refused_and_no_model_is_written(text, tmp_path, capsys):
    (tmp_path / "d.vw").write_text(text)
    (tmp_path / "m").write_text("old")
    assert main(["sweep", str(tmp_path / "d.vw"), "--grid", "l=.1,.5", "-f", str(tmp_path / "m")]) == 1
    assert re.search("no example (has a label|with a feature)", capsys.readouterr().err)
    assert (tmp_path / "m").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.vw", "m"]


def test_examples_are_as_many_as_are_asked_for_in_each_pass(data, tmp_path, capsys):
    words = [data, "--examples", "700", "--passes", "3", "--holdout_off"]
    found = as_json(capsys, *words, "--grid", "l=.1,.5", "-f", str(tmp_path / "best.model"))
    best = found["results"][0]["values"]["l"]
    assert (
        arrays(tmp_path / "best.model") == plain(tmp_path, *words, "-l", best, "--cache_file", str(tmp_path / "c"))[1]
    )


def test_a_setting_that_diverges_is_the_last(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(f"{i % 7} | x:{1 + i % 5}\n" for i in range(3000)))
    found = as_json(capsys, str(tmp_path / "d.vw"), "--grid", "l=1e30,.1", "--sgd", "--power_t", "0")
    assert [result["values"]["l"] for result in found["results"]] == [".1", "1e30"]


@pytest.mark.parametrize("format_", ["csv", "pipe", "cache"])
def test_any_source_is_read_once(format_, data, tmp_path):
    words = ["--grid", "l=.1,.5", "--json", "--quiet"]
    text = Path(data).read_bytes()
    if format_ == "csv":
        rows = "".join(f"{i % 5},{i % 3},c{i % 7}\n" for i in range(3000))
        (tmp_path / "d.csv").write_text("y,x,c\n" + rows)
        words += [str(tmp_path / "d.csv"), "--label", "y", "--passes", "2"]
    elif format_ == "cache":
        words += [data, "-c", "--passes", "3"]
    done = subprocess.run([*VWLITE, "sweep", *words], input=text, capture_output=True, check=True)
    assert len(json.loads(done.stdout)["results"]) == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_behind(number, status, tmp_path):
    (tmp_path / "d.vw").write_text("".join(f"{line}\n" for line in lines(20000)) * 20)
    (tmp_path / "tmp").mkdir()
    words = ["--grid", "l=.1,.2,.3,.4,.5,.6 b=18,20", "--passes", "50", "--loss_function", "logistic"]
    process = subprocess.Popen(
        [*VWLITE, "sweep", str(tmp_path / "d.vw"), *words, "-f", str(tmp_path / "m")],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "tmp").rglob("*.model")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.vw", "tmp"]
    assert not list((tmp_path / "tmp").iterdir())


def test_the_door_in_python_gives_the_best_workspace(data):
    found = sweep(f"{data} --loss_function logistic --quiet", "l=.1,.5", how=Resampling(100))
    assert found.best.options["learning_rate"] == float(found.results[0].values["l"])
    best, second = (result.value for result in found.results)
    assert best is not None and second is not None and found.results[1].difference == pytest.approx(second - best)
    with pytest.raises(OptionError, match="unknown flag"):
        sweep(f"{data}", "nothing=.1")


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_each_worker_gets_all_blocks_in_order_and_no_more_than_the_window_at_once(threads):
    alive: list[int] = []
    got: list[list[int]] = [[] for _ in range(5)]

    def blocks():
        for i in range(100):
            alive.append(i)
            del alive[:-12]
            yield i

    def worker(k):
        def take(block):
            assert block in alive
            got[k].append(block)
            time.sleep(0.0005 * (k % 3))

        return take

    Crew([worker(k) for k in range(5)], threads).run(blocks(), lambda: 12)
    assert got == [list(range(100))] * 5


def test_an_error_of_a_worker_ends_the_crew():
    def worker(block):
        if block == 30:
            raise ValueError("bad block")

    with pytest.raises(ValueError, match="bad block"):
        Crew([worker, lambda block: None], 3).run(iter(range(1000)), lambda: 12)
