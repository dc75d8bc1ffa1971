"""vwlite tune: what it finds, beside formulas and beside runs of the command line with the same flags."""

import json
import math
import random
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import spsolve

from tests.support.command import VWLITE, run
from tests.support.models import arrays
from vwlite.core.sides import side
from vwlite.errors import OptionError
from vwlite.model import model_file
from vwlite.tuning.data import ordinals
from vwlite.tuning.search import search
from vwlite.tuning.tuner import Request, Tuned, tune

BIASES = "--bayes_linear --fixed none --shrink mean --random_effect user --random_effect item --sweeps 1"
RIDGES = "effect_l2.user=.1..100 effect_l2.item=.1..100"
WEIGHTS = "count_weight.user=-1..1 count_weight.item=-1..1"


def ratings(n: int = 3000, users: int = 60, items: int = 40, seed: int = 1) -> list[tuple[float, str, str]]:
    source = random.Random(seed)
    of_user = [source.gauss(0, 0.5) for _ in range(users)]
    of_item = [source.gauss(0, 0.8) for _ in range(items)]
    rows = []
    for _ in range(n):
        user, item = int(users * source.random() ** 2), int(items * source.random() ** 2)
        rows.append((round(3.5 + of_user[user] + of_item[item] + source.gauss(0, 1), 3), f"u{user}", f"i{item}"))
    return rows


def text_of(rows: Sequence[tuple[float, str, str]]) -> str:
    return "".join(f"{label:g} |user {user} |item {item}\n" for label, user, item in rows)


@pytest.fixture
def data(tmp_path: Path) -> str:
    (tmp_path / "data.vw").write_text(text_of(ratings()))
    return str(tmp_path / "data.vw")


def tuned(flags: str, ranges: str, **given: Any) -> Tuned:
    return tune(flags.split(), Request([ranges], **given))


def fitted(
    rows: Sequence[tuple[float, str, str]], ridges: Sequence[float], powers: Sequence[float] = (0, 0)
) -> dict[str, Any]:
    """Crossed biases by weighted least squares: sum w (y - m - u - i)^2 + lu sum u^2 + li sum i^2, w of mean 1."""
    y = np.array([row[0] for row in rows])
    codes = [np.unique([row[k] for row in rows], return_inverse=True) for k in (1, 2)]
    w = np.ones(len(y))
    for (_, code), power in zip(codes, powers, strict=True):
        w *= np.bincount(code)[code].astype(float) ** power
    w *= len(w) / w.sum()
    z = [
        sparse.csr_array((np.ones(len(y)), (np.arange(len(y)), code)), shape=(len(y), len(names)))
        for names, code in codes
    ]
    x = sparse.hstack([np.ones((len(y), 1)), *z]).tocsr()
    ridge = np.r_[0, np.full(len(codes[0][0]), ridges[0]), np.full(len(codes[1][0]), ridges[1])]
    b = spsolve((x.T @ sparse.diags_array(w) @ x + sparse.diags_array(ridge.astype(float))).tocsc(), x.T @ (w * y))
    k = 1 + len(codes[0][0])
    return {
        "mean": b[0],
        "user": dict(zip(codes[0][0], b[1:k], strict=True)),
        "item": dict(zip(codes[1][0], b[k:], strict=True)),
        "range": (y.min(), y.max()),
    }


def rmse(model: dict[str, Any], rows: Sequence[tuple[float, str, str]]) -> float:
    scores = [model["mean"] + model["user"].get(user, 0) + model["item"].get(item, 0) for _, user, item in rows]
    return math.sqrt(np.mean((np.clip(scores, *model["range"]) - [row[0] for row in rows]) ** 2))


def test_held_out_losses_of_crossed_biases_are_those_of_least_squares(data):
    found = tuned(f"{data} {BIASES} --holdout_after 2400", f"{RIDGES} {WEIGHTS}", evaluations=40, metric="rmse")
    rows = ratings()
    for evaluation in found.evaluations:
        model = fitted(rows[:2400], evaluation.values[:2], evaluation.values[2:])
        assert evaluation.loss == pytest.approx(rmse(model, rows[2400:]), abs=2e-6)


def test_tuning_is_about_as_good_as_searching_the_formula(data):
    found = tuned(
        f"{data} {BIASES} --holdout_after 2400 --effect_l2 user=1,item=1", RIDGES, evaluations=100, metric="rmse"
    )
    rows = ratings()
    assert found.start == {"effect_l2.user": 1, "effect_l2.item": 1}
    assert found.start_loss == pytest.approx(rmse(fitted(rows[:2400], (1, 1)), rows[2400:]), abs=2e-6)
    best = minimize(
        lambda x: rmse(fitted(rows[:2400], np.exp(np.clip(x, np.log(0.1), np.log(100)))), rows[2400:]),
        [0, 0],
        method="Nelder-Mead",
    )
    assert found.loss < found.start_loss
    assert found.loss == pytest.approx(best.fun, abs=1e-5)


@pytest.mark.parametrize("flags", ["", "--passes 4 --holdout_after 2000", "--bayes_linear --random_effect user"])
def test_losses_are_those_that_a_run_reports(data, flags):
    name = "l2" if "bayes" in flags else "l"
    found = tuned(f"{data} {flags}", f"{name}=0.1..1", method="grid", evaluations=3)
    for evaluation in found.evaluations:
        words = [data, *flags.split(), f"--{'l2' if name == 'l2' else 'learning_rate'}={evaluation.values[0]!r}"]
        report = run(*words).stderr
        told = next(line for line in report.splitlines() if line.startswith("average loss"))
        assert evaluation.loss == pytest.approx(float(told.split()[3]), abs=1e-6)


def test_the_flags_that_are_printed_make_the_model(data, tmp_path):
    said = run(
        "tune", data, *BIASES.split(), "--holdout", "0.2", "--tune", RIDGES, "--evaluations", "12", "-f",
        str(tmp_path / "tuned.model"),
    ).stdout  # fmt: skip
    flags = next(line for line in said.splitlines() if line.startswith("flags = ")).removeprefix("flags = ")
    run(data, *flags.split(), "--quiet", "-f", str(tmp_path / "again.model"))
    assert arrays(tmp_path / "tuned.model") == arrays(tmp_path / "again.model")
    tuning = model_file.open(tmp_path / "tuned.model").metadata["tuning"]
    assert set(tuning["values"]) == {"effect_l2.user", "effect_l2.item"}
    assert tuning["evaluations"] == 12
    card = run("inspect", str(tmp_path / "tuned.model")).stdout
    assert "\ntuned\n  values = effect_l2.user=" in card
    assert "\n  measured = loss held out\n  method = nelder-mead\n  evaluations = 12\n  passes = 1\n" in card
    run("-i", str(tmp_path / "tuned.model"), data, "--quiet", "-f", str(tmp_path / "more.model"))
    assert model_file.open(tmp_path / "more.model").metadata["tuning"] == tuning


def lines_of(trace: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in trace.read_text().splitlines()]
    for entry in found:
        entry.pop("seconds", None)
    return found


@pytest.mark.parametrize("method", ["nelder-mead", "grid", "optuna"])
def test_a_search_goes_on_where_it_was_killed(data, tmp_path, method):
    if method == "optuna":
        pytest.importorskip("optuna")
    flags = f"{data} {BIASES} --holdout 0.2 --random_seed 3"
    whole = tuned(flags, RIDGES, evaluations=16, method=method, trace=str(tmp_path / "whole"))
    text = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(text[: len(text) // 2])
    other = tuned(flags, RIDGES, evaluations=16, method=method, resume=str(tmp_path / "cut"))
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "cut")
    assert (other.loss, other.values, other.flags) == (whole.loss, whole.values, whole.flags)


def test_a_killed_process_leaves_a_trace_to_go_on_from_and_no_model(tmp_path):
    (tmp_path / "data.vw").write_text(text_of(ratings(20000)))
    words = [*VWLITE, "tune", "data.vw", *BIASES.split(), "--holdout", "0.2", "--tune", RIDGES, "-f", "m"]
    words += ["--evaluations", "25"]
    for end in (signal.SIGKILL, signal.SIGINT):
        trace = tmp_path / f"trace{end}"
        process = subprocess.Popen([*words, "--trace", str(trace)], cwd=tmp_path, stderr=subprocess.PIPE)
        while not trace.exists() or trace.read_text().count("\n") < 5:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
        _, said = process.communicate()
        assert process.returncode == (130 if end == signal.SIGINT else -end)
        assert not (tmp_path / "m").exists()
        assert end == signal.SIGKILL or f"--resume {trace} goes on" in said.decode()
        assert len(lines_of(trace)) < 26
        assert subprocess.run([*words, "--resume", str(trace)], cwd=tmp_path, check=False).returncode == 0
        model_file.open(tmp_path / "m")
        (tmp_path / "m").unlink()
    assert lines_of(tmp_path / "trace9") == lines_of(tmp_path / "trace2")


def test_the_search_never_sees_the_test(tmp_path):
    rows = [(label, user, item, f"t{i}") for i, (label, user, item) in enumerate(ratings())]
    found = []
    for change in (0, 1000):
        lines = [
            f"{label + change * (side(tag.encode()) >= 0.7):g} {tag}|user {user} |item {item}\n"
            for label, user, item, tag in rows
        ]
        (tmp_path / "data.vw").write_text("".join(lines))
        found.append(
            tuned(f"{tmp_path}/data.vw {BIASES} --holdout 0.2", RIDGES, evaluations=10, test="0.3", metric="rmse")
        )
    plain, changed = found
    assert [one.loss for one in plain.evaluations] == [one.loss for one in changed.evaluations]
    assert plain.values == changed.values
    assert plain.test is not None and changed.test is not None
    assert plain.test < 1.5 < 900 < changed.test
    learned = [row[:3] for row in rows if side(row[3].encode()) < 0.7]
    tested = [row[:3] for row in rows if side(row[3].encode()) >= 0.7]
    assert plain.test == pytest.approx(rmse(fitted(learned, list(plain.values.values())), tested), abs=2e-6)


def test_a_share_of_the_entities_is_all_that_the_search_uses(tmp_path):
    rows = ratings()
    some = [row for row in rows if side(row[1].encode()) < 0.3]
    assert 0 < len(some) < 1500
    (tmp_path / "all").write_text(text_of(rows))
    (tmp_path / "some").write_text(text_of(some))
    flags = f"{BIASES} --holdout_period 5"
    of_all = tuned(f"{tmp_path}/all {flags}", RIDGES, evaluations=8, by="user", entities=0.3)
    of_some = tuned(f"{tmp_path}/some {flags}", RIDGES, evaluations=8)
    assert [one.loss for one in of_all.evaluations] == [one.loss for one in of_some.evaluations]


def test_the_cold_start_curve_is_that_of_the_formula(data):
    values = {"effect_l2.user": 2.0, "effect_l2.item": 3.0}
    found = tuned(
        f"{data} {BIASES} --holdout 0.1 --effect_l2 user=2,item=3", RIDGES, evaluations=1, by="user", cold=0.5,
        metric="rmse",
    )  # fmt: skip
    assert found.values == values
    rows = ratings()
    new = np.array([side(row[1].encode()) >= 0.5 for row in rows])
    before = ordinals(np.unique([row[1] for row in rows], return_inverse=True)[1])
    warm = fitted([row for row, is_new in zip(rows, new, strict=True) if not is_new], (2, 3))
    later = [row for row, is_new, n in zip(rows, new, before, strict=True) if is_new and n >= 15]
    assert found.cold is not None and found.cold.examples == len(later)
    assert [most for most, _ in found.cold.curve] == [0, 1, 3, 5, 10, 15]
    for most, loss in found.cold.curve:
        first = [row for row, is_new, n in zip(rows, new, before, strict=True) if is_new and n < most]
        users: dict[str, list[float]] = {}
        for label, user, item in first:
            users.setdefault(user, []).append(label - warm["mean"] - warm["item"].get(item, 0))
        effects = {user: sum(left) / (len(left) + 2) for user, left in users.items()}
        assert loss == pytest.approx(rmse({**warm, "user": effects}, later), abs=1e-4)
    assert found.cold.curve[-1][1] < found.cold.curve[0][1]


def test_passes_stop_early_and_the_final_model_has_the_best_number_of_them(tmp_path):
    source = random.Random(5)
    lines = [
        f"{source.gauss(0, 1):.3f} t{i}| " + " ".join(f"f{source.randrange(300)}" for _ in range(20))
        for i in range(400)
    ]
    (tmp_path / "d").write_text("\n".join(lines) + "\n")
    flags = f"{tmp_path}/d --passes 30 --early_terminate 2 --holdout 0.3"
    found = tuned(flags, "l=0.5..2", evaluations=4)
    best = found.evaluations[[one.loss for one in found.evaluations].index(found.loss)]
    assert 1 <= best.passes < 5
    assert found.final_passes == best.passes
    assert f"--passes={best.passes}" in found.flags
    # the loss after each pass is that of a run with as many passes
    sides = {line: side(f"t{i}".encode()) for i, line in enumerate(lines)}
    held = [line for line in lines if sides[line] >= 0.7]
    kept = [line for line in lines if sides[line] < 0.7]
    (tmp_path / "kept").write_text("\n".join(kept) + "\n")
    (tmp_path / "held").write_text("\n".join(held) + "\n")
    rate = f"--learning_rate={best.values[0]!r}"
    run(f"{tmp_path}/kept", rate, "--passes", str(best.passes), "--holdout_off", "-f", f"{tmp_path}/m", "-c", "--quiet")
    report = run("-t", "-i", f"{tmp_path}/m", f"{tmp_path}/held").stderr
    told = next(line for line in report.splitlines() if line.startswith("average loss"))
    assert best.loss == pytest.approx(float(told.split()[3]), abs=2e-6)
    looser = tuned(flags, "l=0.5..2", evaluations=4, final=["--passes", "60", "--early_terminate", "20"])
    assert looser.values == found.values
    assert looser.final_passes >= 1


def test_decisions_are_tuned_by_their_costs(tmp_path):
    source = random.Random(2)
    lines = []
    for _ in range(300):
        user, taken = source.choice("ab"), source.randrange(2)
        cost = float((user == "a") != (taken == 0))
        actions = [f"0:{cost}:0.5 |a x{i}" if i == taken else f"|a x{i}" for i in range(2)]
        lines += [f"shared |u {user}", *actions, ""]
    (tmp_path / "d").write_text("\n".join(lines) + "\n")
    found = tuned(f"{tmp_path}/d --cb_adf -q ua", "l=0.01..10", evaluations=6)
    for evaluation in found.evaluations:
        report = run(f"{tmp_path}/d", "--cb_adf", "-q", "ua", f"-l{evaluation.values[0]!r}").stderr
        told = next(line for line in report.splitlines() if line.startswith("average loss"))
        assert evaluation.loss == pytest.approx(float(told.split()[3]), abs=1e-6)


def test_a_refit_at_the_end_is_that_of_the_command_line_and_is_kept_in_the_model(data, tmp_path):
    flags = f"{data} {BIASES} --holdout 0.2 --effect_l2 user=2,item=3 -f {tmp_path}/m"
    found = tuned(flags, RIDGES, evaluations=2, refit="user", by="user", cold=0.5)
    assert found.refit == 1
    assert found.new_flags == ["--freeze=item"]
    run(data, *found.flags, "-f", f"{tmp_path}/whole", "--quiet")
    run("-i", f"{tmp_path}/whole", data, "--refit", "user", "--sweeps", "1", "-f", f"{tmp_path}/again", "--quiet")
    assert arrays(tmp_path / "m") == arrays(tmp_path / "again")
    assert model_file.open(tmp_path / "m").metadata["tuning"]["refit"] == {"effect": "user", "passes": 1}
    assert "\n  refit = effect=user passes=1\n" in run("inspect", f"{tmp_path}/m").stdout
    (tmp_path / "new").write_text("5 |user eve |item i1\n")
    run("-i", f"{tmp_path}/m", f"{tmp_path}/new", *found.new_flags, "-f", f"{tmp_path}/served", "--quiet")
    plain = tuned(flags, RIDGES, evaluations=2, by="user", cold=0.5)
    assert (plain.cold, plain.refit, plain.loss) == (found.cold, None, found.loss)


def test_the_passes_that_refit_are_those_with_the_lowest_held_out_loss(data, tmp_path):
    flags = "--bayes_linear --fixed none --random_effect user --random_effect item --forget 0.999"
    base = f"{data} {flags} --passes 4 --early_terminate 4 --effect_l2 user=20,item=20 --holdout_after 2400"
    found = tuned(base, RIDGES, evaluations=1, refit="user", metric="rmse")
    lines = Path(data).read_text().splitlines(keepends=True)
    (tmp_path / "train").write_text("".join(lines[:2400]))
    (tmp_path / "held").write_text("".join(lines[2400:]))
    more = f"--passes {found.final_passes} --holdout_off" if found.final_passes > 1 else ""
    run(f"{tmp_path}/train", *flags.split(), "--effect_l2=user=20,item=20", *more.split(), "-k", "--cache_file",
        f"{tmp_path}/c", "--quiet", "-f", f"{tmp_path}/whole")  # fmt: skip
    losses = []
    for passes in range(1, 5):
        words = ["--passes", str(passes), "--holdout_off"] if passes > 1 else []
        run("-i", f"{tmp_path}/whole", "--refit", "user", f"{tmp_path}/train", *words, "-k", "--cache_file",
            f"{tmp_path}/c", "--quiet", "-f", f"{tmp_path}/r")  # fmt: skip
        said = run("-t", "-i", f"{tmp_path}/r", f"{tmp_path}/held", "--report", "rmse").stderr
        losses.append(float(next(line for line in said.splitlines() if line.startswith("rmse")).split("=")[1]))
    assert found.refit == 1 + losses.index(min(losses))
    assert ("--holdout_off" in found.new_flags) == (found.refit > 1)


def test_metrics_that_rise_are_maximised(tmp_path):
    source = random.Random(3)
    lines = []
    for _ in range(500):
        x = source.gauss(0, 1)
        lines.append(f"{1 if x + source.gauss(0, 1) > 0 else -1} | x:{x:.3f}")
    (tmp_path / "d").write_text("\n".join(lines) + "\n")
    found = tuned(f"{tmp_path}/d --loss_function logistic", "l=1e-4..10", metric="auc", evaluations=8)
    assert found.loss >= found.start_loss > 0.5
    assert found.loss == pytest.approx(max(-one.loss for one in found.evaluations))


def test_tables_are_read_and_the_model_knows_their_columns(tmp_path):
    text = "y,user,x\n" + "".join(f"{row[0]},{row[1]},{i % 7}\n" for i, row in enumerate(ratings(300)))
    (tmp_path / "d.csv").write_text(text)
    run("tune", f"{tmp_path}/d.csv", "--label", "y", "--tune", "l=.1..1", "--evaluations", "3", "-f", f"{tmp_path}/m")
    run("-t", "-i", f"{tmp_path}/m", f"{tmp_path}/d.csv")


def test_validation_files_and_weights(tmp_path):
    rows = ratings()
    (tmp_path / "one").write_text(text_of(rows[:2400]))
    (tmp_path / "two").write_text(text_of(rows[2400:]))
    (tmp_path / "both").write_text(text_of(rows))
    apart = tuned(f"{tmp_path}/one {BIASES}", RIDGES, evaluations=5, validation=[f"{tmp_path}/two"])
    together = tuned(f"{tmp_path}/both {BIASES} --holdout_after 2400", RIDGES, evaluations=5)
    assert [one.loss for one in apart.evaluations] == [one.loss for one in together.evaluations]


def test_searches_find_the_minimum_of_a_bowl():
    def bowl(place: Sequence[float]) -> float:
        seen.append(tuple(place))
        return (place[0] - 0.3) ** 2 + 3 * (place[1] - 0.8) ** 2

    for method, most in (("nelder-mead", 100), ("grid", 121)):
        seen: list[tuple[float, ...]] = []
        search(method, bowl, [0.5, 0.5], most, 0)
        best = min(seen, key=lambda place: (place[0] - 0.3) ** 2 + 3 * (place[1] - 0.8) ** 2)
        assert best == pytest.approx((0.3, 0.8), abs=0.01)
        assert all(0 <= x <= 1 for place in seen for x in place)


def test_a_minimum_at_an_end_of_the_range_is_found_and_said(tmp_path):
    (tmp_path / "d").write_text("".join(f"{3 + i % 2} |user u{i % 5}\n" for i in range(200)))
    said = run("tune", f"{tmp_path}/d", "--tune", "l=0.001..0.01 power_t=0..1", "--evaluations", "60", "--quiet").stdout
    assert re.search(r"learning_rate=0\.0(1|09\d+) is at the high end of its range: a longer range may have", said)


def test_a_search_without_improvement_ends(data):
    found = tuned(f"{data} {BIASES} --holdout 0.2", RIDGES, evaluations=100, patience=5, improvement=0.01)
    assert found.why == "5 evaluations without a better one"
    assert len(found.evaluations) < 20


def test_losses_in_other_units_give_the_same_values(tmp_path):
    found = []
    for unit in (1, 1e-3, 1e3):
        (tmp_path / "d").write_text(text_of([(label * unit, user, item) for label, user, item in ratings()]))
        found.append(tuned(f"{tmp_path}/d {BIASES} --holdout_after 2400", RIDGES, evaluations=25))
    for other in found[1:]:
        assert list(other.values.values()) == pytest.approx(list(found[0].values.values()), rel=0.02)


REFUSED = {
    "l=1..1": "the range has no width",
    "l=2..1": "the range has no width",
    "nonsense=1..2": "there is no option --nonsense",
    "learning_rat=1..2": "did you mean learning_rate",
    "loss_function=1..2": "--loss_function is no number",
    "holdout=0.1..0.2": "doesn't change what is learned",
    "l": "expected OPTION=LOW..HIGH",
    "l=a..b": "expected OPTION=LOW..HIGH",
    "l=0..1": "--learning_rate must be above 0",
    "passes=1.5..3": "is a whole number",
    "l=.1..1 learning_rate=.1..2": "is there twice",
    "l.user=.1..1": "has no part",
    "effect_l2=1..2": "--effect_l2 has no effect",
    "power_t=0..1 effect_l2.user=1..2": "--effect_l2 has no effect",
    "": "--tune says which options are tuned",
}


@pytest.mark.parametrize("ranges", REFUSED)
def test_bad_ranges_are_refused_in_one_line(data, ranges):
    with pytest.raises(OptionError) as error:
        tuned(data, ranges)
    assert REFUSED[ranges] in str(error.value)
    assert "\n" not in str(error.value)


BAD = {
    "--passes 3": "hold some out",
    BIASES: "learns when a pass ends",
    "-t": "--testonly has no effect in vwlite tune",
    "--vw_compat": "--vw_compat has no effect",
    "--method=grid --evaluations=1": "need 2 evaluations",
    "--entities=0.1": "--entities needs --by",
    "--by=user": "--by has no effect without",
    "--by=user --cold=.2": "--cold needs a model of each user",
    "--refit=user": "--refit needs a model of each user",
    "--refit=user --freeze=user": "leave one of them out",
    "--by=nothing --entities=.5": "no example has a feature, namespace or column",
    "--test=1.5": "above 0 and below 1",
    "--test=nowhere.vw": "nowhere.vw: can't read",
    "--metric=nonsense": "there is no such metric",
    "--metric=logloss": "not a finite number",
    "--validation=nowhere.vw": "nowhere.vw: can't read",
    "--holdout=.2 --validation=x": "leave one of them out",
    "--resume=nowhere": "can't open the trace",
    "--nonsense": "unknown flag '--nonsense'",
    "--final=--nonsense": "unknown flag '--nonsense'",
    "--evaluations=0": "0 is not in the range",
    "-f /dev/null/m": "/dev/null/m: can't",
    "--trace /dev/null/t": "/dev/null/t: can't",
}


@pytest.mark.parametrize("flags", BAD)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(data, tmp_path, flags):
    words = ["tune", data, "--tune", "l=.1..1" if flags != BIASES else RIDGES, "--quiet"]
    if "-f " not in flags:
        words += ["-f", str(tmp_path / "m")]
    said = run(*words, "--evaluations=4" if "--evaluations" not in flags else "--json", *flags.split(), status=1).stderr
    assert BAD[flags] in said
    assert said.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_data_without_labels_are_refused(tmp_path):
    (tmp_path / "d").write_text("|user u1\n|user u2\n")
    said = run("tune", f"{tmp_path}/d", "--tune", "l=.1..1", "-f", f"{tmp_path}/m", status=1).stderr
    assert "no example has a label" in said
    (tmp_path / "e").write_text("")
    assert "no example to tune with" in run("tune", f"{tmp_path}/e", "--tune", "l=.1..1", status=1).stderr


def test_a_trace_of_other_data_or_flags_is_refused(data, tmp_path):
    trace = str(tmp_path / "t")
    tuned(data, "l=.1..1", evaluations=3, trace=trace)
    text = (tmp_path / "t").read_bytes()
    with pytest.raises(OptionError, match="there is such a file"):
        tuned(data, "l=.1..1", evaluations=3, trace=trace)
    for flags, ranges, given, words in (
        (f"{data} -b 20", "l=.1..1", {}, "other flags"),
        (data, "l=.1..2", {}, "other ranges"),
        (data, "l=.1..1", {"method": "grid"}, "other method"),
    ):
        with pytest.raises(OptionError, match=words):
            tuned(flags, ranges, resume=trace, **given)
    Path(data).write_text(text_of(ratings(seed=9)))
    with pytest.raises(OptionError, match="other data"):
        tuned(data, "l=.1..1", resume=trace)
    assert (tmp_path / "t").read_bytes() == text
    (tmp_path / "t").write_text('{"evaluation": 1}\n')
    assert "is not a line of a trace" in run(
        "tune", data, "--tune", "l=.1..1", "--resume", trace, status=1
    ).stderr  # fmt: skip


def test_malformed_lines_are_named_once(tmp_path):
    (tmp_path / "d").write_text(text_of(ratings(50)) + "x |\n1 |user u1\n")
    said = run("tune", f"{tmp_path}/d", "--tune", "l=.1..1", "--evaluations", "3").stderr
    assert said.count("malformed lines are left out = 1, the first is") == 1
    assert f"{tmp_path}/d:51:1" in said
    said = run("tune", f"{tmp_path}/d", "--tune", "l=.1..1", "--strict_parse", status=1).stderr
    assert f"{tmp_path}/d:51:1" in said


def test_json_has_all_that_was_found(data):
    found = json.loads(run("tune", data, "--tune", "l=.1..1", "--evaluations", "3", "--json", "--quiet").stdout)
    assert [one["evaluation"] for one in found["evaluations"]] == [1, 2, 3]
    assert found["loss"] == min(one["loss"] for one in found["evaluations"])
    assert found["values"]["learning_rate"] == float(found["flags"][-1].partition("=")[2])


def test_a_part_of_a_loaded_model_is_tuned_with_the_others_frozen(data, tmp_path):
    run(data, *BIASES.split(), "--effect_l2", "user=2,item=3", "-f", f"{tmp_path}/m", "--quiet")
    flags = f"{data} -i {tmp_path}/m --sweeps 1 --freeze item --holdout 0.2 -f {tmp_path}/n"
    found = tuned(flags, "effect_l2.user=.1..100", evaluations=3)
    assert len(found.evaluations) == 3
    mine, theirs = arrays(tmp_path / "n"), arrays(tmp_path / "m")
    assert all(mine[name] == theirs[name] for name in theirs if ".item" in name)
