"""--ftrl, --pistol and --coin: beside Vowpal Wabbit, beside the equations, and what they refuse."""

import math
import random
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import arrays, rewrite
from tests.support.multiclass import Outcome, against, both, differences, ours, scores
from tests.support.multiclass import examples as of_classes
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError

KINDS = ("--ftrl", "--pistol", "--coin")
LABELS = {
    "real": lambda source: round(source.uniform(-2, 3), 2),
    "sign": lambda source: source.choice([-1, 1]),
    "count": lambda source: source.randrange(5),
}
ANY = "--min_prediction -1e9 --max_prediction 1e9"


def examples(kind: str = "real", count: int = 200, initial: bool = True, seed: int = 3) -> list[str]:
    """Lines with tags, of which some have no label, a weight, no weight, or an initial prediction."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        head = f"{LABELS[kind](source):g}"
        if source.random() < 0.5:
            head += f" {source.choice([1, 2, 0.5, 3, 0]):g}"
            head += f" {source.choice([1, -0.5, 0.25]):g}" if initial and source.random() < 0.4 else ""
        head = "" if source.random() < 0.1 else f"{head} "
        words = [
            f"f{k}{source.choice(['', f':{source.uniform(-2, 2):.2f}'])}"
            for k in source.sample(range(30), source.randrange(1, 5))
        ]
        more = [f"g{k}" for k in source.sample(range(9), source.randrange(3))]
        lines.append(f"{head}'t{i} |a {' '.join(words)} |b {' '.join(more)} |{source.choice(['', ' x'])}")
    return lines


def tolerance(flags: str) -> float:
    """PiSTOL's exponential makes more of the last bits, which VW rounds in an order of its own."""
    return 2e-3 if "pistol" in flags else 1e-4


def tamed(kind: str, forgotten: str, others: str) -> str:
    """Flags that keep PiSTOL's weights small: its exponential magnifies rounding in weights of thousands."""
    if kind == "--pistol" and re.search("alpha|-b|poisson", f"{forgotten} {others}"):
        return re.sub("--ftrl_alpha [0-9.]+", "", forgotten) + " --ftrl_alpha 5"
    return forgotten


def alike(found: Outcome, expected: Outcome, within: float) -> None:
    assert found.status == 0
    assert not differences(found.predictions, expected.predictions, within)
    assert not differences(found.raw, expected.raw, within)
    mine, theirs = ([": ".join(item) for item in sorted(one.summary.items())] for one in (found, expected))
    assert not differences(mine, theirs, within)
    assert not differences(found.rows, expected.rows, 2 * within)


def readable(path: Path, program: str) -> list[str]:
    """The lines of a readable model, but those about versions and options, and t: VW's has what is held out, too."""
    lines = (path / program / "text").read_text().splitlines()
    return [line for line in lines if not line.startswith(("Version", "Id", "options", "Checksum", "t "))]


def folder(path: Path, name: str) -> Path:
    (path / name).mkdir(exist_ok=True)
    return path / name


# Beside Vowpal Wabbit

# labels, flags that VW does not keep in a model, other flags
FLAGS = [
    ("real", "", ""),
    ("real", "", "-q ab"),
    ("real", "--ftrl_alpha 0.3 --ftrl_beta 1.5", ""),
    ("real", "", "-b 4"),
    ("real", "", "-b 8 -q ab --cubic aab"),
    ("real", "", "--noconstant --ignore b"),
    ("real", "", "--passes 3 -c -k --holdout_off"),
    ("real", "", "--passes 4 -c -k"),
    ("real", "", "--holdout_after 150 -P 1"),
    ("real", "--loss_function quantile", ""),
    ("real", "--loss_function classic --min_prediction -1 --max_prediction 2", ""),
    ("sign", "--loss_function logistic", ""),
    ("sign", "--loss_function logistic", "--link logistic"),
    ("sign", "--loss_function hinge", ""),
    ("count", "--loss_function poisson", "--link poisson"),
]
PENALTIES = [
    ("real", "--l1 0.5 --l2 0.3", ""),
    ("real", "--l1 2", "--passes 2 -c -k --holdout_off"),
    ("sign", "--loss_function logistic --l1 0.3", "-q ab"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("labels", "forgotten", "others"), FLAGS)
def test_a_run_its_model_and_what_comes_of_it_are_those_of_vowpal_wabbit(tmp_path, kind, labels, forgotten, others):
    forgotten, lines, within = tamed(kind, forgotten, others), examples(labels), tolerance(kind)
    runs = [
        f"{kind} {forgotten} {others} -f model --readable_model text",
        f"-t -i model {forgotten}",
        f"-i model {forgotten}",
    ]
    for run in runs:
        found = ours(folder(tmp_path, "ours"), f"{run} --vw_compat", lines)
        alike(found, ours(folder(tmp_path, "vw"), run, lines, vw=True), within)
    assert not differences(readable(tmp_path, "ours"), readable(tmp_path, "vw"), within)


@pytest.mark.parametrize(("labels", "forgotten", "others"), FLAGS + PENALTIES)
def test_ftrl_needs_no_compatible_mode(tmp_path, labels, forgotten, others):
    runs = f"--ftrl {forgotten} {others} -f model --readable_model text", f"-i model {forgotten} -f more"
    for n in (1, 2):
        alike(*both(tmp_path, examples(labels), *runs[:n]), 1e-4)
    found, expected = both(tmp_path, examples(labels), "-t -i more")
    assert not differences([*found.predictions, *found.raw], [*expected.predictions, *expected.raw])
    assert not differences(readable(tmp_path, "ours"), readable(tmp_path, "vw"))


@pytest.mark.parametrize("kind", ["--pistol", "--coin"])
@pytest.mark.parametrize(
    ("labels", "forgotten", "others"),
    # VW predicts what is held out with other weights, and collisions let a weight change within an example
    [row for row in FLAGS if not re.search("-b|passes 4|holdout_after", row[2])],
)
def test_without_initial_predictions_all_that_is_judged_is_as_in_vowpal_wabbit(
    tmp_path, kind, labels, forgotten, others
):
    lines = [line for line in examples(labels, initial=False) if line[0] != "'" and line.split()[1] != "0"]
    found, expected = both(tmp_path, lines, f"{kind} {tamed(kind, forgotten, others)} {others}")
    assert not differences(found.raw, expected.raw, tolerance(kind))
    assert found.loss == pytest.approx(expected.loss, abs=tolerance(kind))
    if kind == "--pistol":
        assert not differences(found.predictions, expected.predictions, tolerance(kind))
    else:
        assert differences(found.predictions, expected.predictions)  # VW's is another one than it judges


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", ["", "--l1 0.3", "--predict_only_model"])
def test_names_stand_beside_the_weights_of_vowpal_wabbit(tmp_path, kind, more):
    if more == "--l1 0.3" and kind != "--ftrl":
        more = "-q ab"
    both(tmp_path, examples(), f"{kind} {more} --invert_hash text")
    columns = slice(None) if kind == "--ftrl" else slice(1, None)  # of the others VW's weights lack an update
    found, expected = (
        {
            name: [float(number) for number in numbers.split()][columns]
            for name, numbers in re.findall(r"^([^:\n]+):\d+:(.*)$", "\n".join(readable(tmp_path, program)), re.M)
        }
        for program in ("ours", "vw")
    )
    if kind == "--ftrl":
        assert found.keys() == expected.keys()
        for name, numbers in expected.items():
            assert found[name] == pytest.approx(numbers, rel=2e-4, abs=1e-5)
    assert {"a^f1", "Constant"} <= found.keys()
    assert any(found[name] != [0.0] for name in found)


def test_an_audit_shows_the_weights_of_vowpal_wabbit(tmp_path, capsys):
    both(tmp_path, examples(), "--ftrl -f model")
    capsys.readouterr()
    ours(tmp_path / "ours", "-t -i model --audit")
    shown = capsys.readouterr().out.splitlines()[1::2]
    weights = {int(slot): float(weight) for line in shown for slot, weight in re.findall(r":(\d+):[^:]+:(\S+)", line)}
    both(tmp_path, examples(), "--ftrl --predict_only_model --readable_model text")
    text = "\n".join(readable(tmp_path, "vw"))
    for slot, weight in re.findall(r"^(\d+):(\S+)$", text, re.MULTILINE):
        assert weights.get(int(slot), float(weight)) == pytest.approx(float(weight), abs=1e-4)
    assert "@" not in "".join(shown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", ["", "--loss_function logistic -b 6", "-q ab --passes 2 -c -k --holdout_off"])
def test_classes_are_predicted_as_by_vowpal_wabbit(tmp_path, kind, flags):
    compat = "" if kind == "--ftrl" else " --vw_compat"
    lines = of_classes(200)
    found = ours(folder(tmp_path, "ours"), f"--oaa 3 {kind} {flags} -f model{compat}", lines)
    expected = ours(folder(tmp_path, "vw"), f"--oaa 3 {kind} {flags} -f model", lines, vw=True)
    assert not differences(found.predictions, expected.predictions)
    assert not differences(found.raw, expected.raw, tolerance(kind))
    assert found.loss == pytest.approx(expected.loss, abs=1e-4)


# Beside the equations


def replay(kind: str, lines: list[str], loss: str, a: float, b: float, l1: float = 0, l2: float = 0) -> list[float]:
    """The scores of lines, each before it is learned, by the equations of the module in double precision."""
    slots: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys("wzGMRL", 0.0))
    told, low, high, s, t = [], -50.0 if loss == "logistic" else 0.0, 50.0 if loss == "logistic" else 0.0, 0.0, 0.0
    for line in lines:
        head, *parts = line.split("|")
        words = head.split()[:-1]
        label, h, initial = (float(word) for word in (*words, *("0", "1", "0")[len(words) :]))
        features = [("constant", 1.0)]
        for part in parts:
            space, _, names = part.partition(" ")
            pairs = [word.partition(":") for word in names.split()]
            features += [(f"{space}^{name}", float(value or 1)) for name, _, value in pairs if float(value or 1)]
        score, norm = 0.0, 0.0
        for name, x in features:
            at = slots[name]
            m = max(at["M"], abs(x))
            score += x * weight(kind, at, m, a, b)
            norm += (x / m) ** 2
        mean = 1.0
        if kind == "--coin":
            mean = (s + h * norm + 1e-6) / (t + h) if t + h else 1.0
        score = initial + score / mean
        told.append(score)
        if not words or h == 0:
            low, high = (min(low, label), max(high, label)) if words else (low, high)
            continue
        low, high, s, t = min(low, label), max(high, label), s + h * norm, t + h
        p = min(max(score, low), high)
        u = h * (2 * (p - label) if loss == "squared" else -label / (1 + math.exp(label * p)))
        for name, x in features:
            at, g = slots[name], u * x
            at["M"] = max(at["M"], abs(x))
            if kind == "--ftrl":
                at["z"] += g - (math.hypot(math.sqrt(at["G"]), g) - math.sqrt(at["G"])) / a * at["w"]
                at["G"] += g * g
                excess = math.copysign(l1, at["z"]) - at["z"]
                at["w"] = 0 if abs(at["z"]) <= l1 else excess / (l2 + (b + math.sqrt(at["G"])) / a)
                continue
            if abs(u) > at["L"]:
                at["L"] = max(abs(u), b)
            at["R"] -= g * (weight(kind, at, at["M"], a, b) if kind == "--coin" else 0)
            at["z"], at["G"] = at["z"] - g, at["G"] + abs(g)
    return told


def weight(kind: str, at: dict[str, float], m: float, a: float, b: float) -> float:
    if kind == "--ftrl":
        return at["w"]
    if kind == "--pistol":
        k = 1 / (a * m * (at["G"] + m))
        return b * math.sqrt(at["G"]) * at["z"] * k * math.exp(k * at["z"] ** 2 / 2)
    bound = at["L"] * m
    return (a + at["R"]) / (bound * (bound + at["G"])) * at["z"] if bound else 0


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("--ftrl", (0.5, 1)),
        ("--ftrl", (0.05, 0.2, 0.3, 0.1)),
        ("--pistol", (1, 0.5)),
        ("--pistol", (3, 0.2)),
        ("--coin", (4, 1)),
        ("--coin", (0.5, 0.1)),
    ],
)
def test_scores_follow_from_the_equations(tmp_path, kind, numbers, loss):
    lines = examples("real" if loss == "squared" else "sign")
    names = ("--ftrl_alpha", "--ftrl_beta", "--l1", "--l2")
    flags = " ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=False))
    found = ours(tmp_path, f"{kind} {flags} --loss_function {loss}", lines)
    expected = replay(kind, lines, loss, *numbers)
    assert [float(line.split()[0]) for line in found.raw] == pytest.approx(expected, rel=5e-3, abs=5e-4)


# What is kept, and what they are good for


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_keeps_the_numbers_of_the_command_line(tmp_path, kind):
    numbers = "--ftrl_alpha 2 --ftrl_beta 0.3" + (" --l1 0.2 --l2 0.1" if kind == "--ftrl" else "")
    lines = examples("sign")
    whole = ours(tmp_path, f"{kind} {numbers} --loss_function logistic", lines).raw
    ours(tmp_path, f"{kind} {numbers} --loss_function logistic -f model", lines[:90])
    found = ours(tmp_path, "-i model", lines[90:])
    assert found.raw == whole[90:]
    assert "ftrl_alpha = 2\nftrl_beta = 0.3\n" in found.said


def test_l1_leaves_weights_at_exactly_0(tmp_path):
    for l1, least, most in ((0, 0, 0), (5, 5, 35), (1e6, 41, 99)):
        ours(tmp_path, f"--ftrl --l1 {l1} -f model", examples())
        zeros = np.frombuffer(arrays(tmp_path / "model")["ftrl.weight"][2], "<f4") == 0
        assert least <= zeros.sum() <= most


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_seen_once_counts_at_once(kind):
    workspace = Workspace(kind)
    workspace.learn("1 | once")
    assert workspace.predict("| once") > 0


def test_coin_betting_does_not_mind_the_scale_of_a_feature():
    lines = [f"{label} | x:{{}} y:{y}" for label, y in zip([1, 0.5, 2, 3] * 9, [1, -1, 0.5, 2, -3, 1] * 6, strict=True)]
    one, other = (Workspace("--coin").learn([line.format(x) for line in lines]) for x in (1, 4096))
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_each_class_has_the_model_that_it_would_have_alone(tmp_path, kind):
    lines, flags = of_classes(120), "--loss_function logistic"
    found = scores(ours(tmp_path, f"--oaa 3 {kind} {flags}", lines).raw)
    for label in (1, 2, 3):
        alone = [float(line.split()[0]) for line in ours(tmp_path, f"{kind} {flags}", against(label, lines)).raw]
        assert [line[str(label)] for line in found] == pytest.approx(alone, rel=2e-5, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_over_classes_are_one(kind, run, tmp_path):
    lines = of_classes(90)
    words = ["--oaa", "3", kind, "-q", "ab"]
    predictions, model = run(lines, *words)
    head, _ = run(lines[:37], *words)
    (tmp_path / "run.model").rename(tmp_path / "first")
    tail, resumed = run(lines[37:], "-i", str(tmp_path / "first"))
    assert (head + tail, resumed) == (predictions, model)


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivity_tells_how_far_learning_a_line_moves_its_prediction(kind):
    workspace = Workspace(f"{kind} {ANY}")
    workspace.learn([line for line in examples(initial=False) if line[0] != "'"])
    line = "3 |a f1 f2:0.5"
    before, sensitivity = workspace.predict(line), workspace.sensitivity(line)
    assert workspace.sensitivity(line) == sensitivity is not None
    workspace.learn(line)
    assert workspace.predict(line) - before == pytest.approx(2 * (3 - before) * sensitivity, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_not_be_finite_is_left_out_and_counted(tmp_path, kind):
    said = ours(tmp_path, f"{kind} -f model {ANY}", ["1 | a", "1 3e38 | a:3e38 b", "0 | a"]).said
    assert "updates left out = 1" in said
    for dtype, _, content in arrays(tmp_path / "model").values():
        if dtype in ("F32", "F64"):
            assert np.isfinite(np.frombuffer(content, {"F32": "<f4", "F64": "<f8"}[dtype])).all()


def test_weights_of_a_long_run_shrink_as_more_is_learned():
    workspace = Workspace("--ftrl --loss_function logistic")
    lines = ["1 | a", "-1 | a"] * 50
    steps = [abs(second - first) for first, second in pairwise(workspace.learn(lines))]
    assert steps[-1] < steps[0] / 3


def test_norms_that_all_weight_vectors_shared_are_those_of_each_from_then_on(tmp_path):
    lines = of_classes(90)
    ours(tmp_path, "--oaa 3 --coin --vw_compat -f model", lines)
    assert len(arrays(tmp_path / "model")["ftrl.norms"][2]) == 16
    ours(tmp_path, "-i model -f again", lines)
    assert len(arrays(tmp_path / "again")["ftrl.norms"][2]) == 48
    assert ours(tmp_path, "-i again --vw_compat", lines).status == 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_in_compatible_mode_are_one(kind, run, tmp_path):
    lines = examples()
    predictions, model = run(lines, kind, "--vw_compat")
    head, _ = run(lines[:70], kind, "--vw_compat")
    (tmp_path / "run.model").rename(tmp_path / "first")
    tail, resumed = run(lines[70:], "-i", str(tmp_path / "first"), "--vw_compat")
    assert (head + tail, resumed) == (predictions, model)


# What is refused


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--ftrl --pistol", "--ftrl and --pistol are two bottom learners"),
        ("--coin --pistol", "--pistol and --coin are two bottom learners"),
        ("--ftrl --sgd", "--sgd has no effect without gradient descent"),
        ("--coin -l 0.1", "--learning_rate has no effect without gradient descent"),
        ("--ftrl --bayes_linear", "--ftrl has no effect with --bayes_linear"),
        ("--ftrl --random_effect user --bayes_linear --fixed gd", "--ftrl has no effect with --random_effect"),
        ("--ftrl --ftrl_alpha 0", "--ftrl_alpha must be above 0"),
        ("--ftrl --ftrl_alpha -1", "--ftrl_alpha must be above 0"),
        ("--coin --ftrl_beta -1", "--ftrl_beta must be at least 0"),
        ("--pistol --ftrl_beta 0", "--ftrl_beta 0: --pistol"),
        ("--pistol --l1 1", "--l1 has no effect without"),
        ("--coin --l2 1", "--l2 has no effect without"),
        ("--coin --initial_weight 1", "--initial_weight has no effect with --coin"),
        ("--ftrl_alpha 1", "--ftrl_alpha has no effect without --ftrl"),
        ("--ftrl --l1 -1", "--l1 must be at least 0"),
    ],
)
def test_flags_that_do_not_fit_are_refused_with_what_would(flags, told):
    with pytest.raises(OptionError, match=told):
        Workspace(flags)


def test_a_model_is_of_one_learner(tmp_path):
    ours(tmp_path, "--ftrl -f model", examples())
    for flags in ("--pistol", "--sgd", "--bayes_linear"):
        assert "error" in ours(tmp_path, f"-i model {flags}").said
    ours(tmp_path, "-f other", examples())
    assert "--coin" in ours(tmp_path, "-i other --coin").said


def test_weights_alone_are_no_model_of_pistol_but_in_compatible_mode(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours(tmp_path, "--pistol --vw_compat --predict_only_model -f weights", examples())
    assert main(["-t", "-i", "weights", "-d", "data", "--vw_compat", "--quiet"]) == 0
    with pytest.raises(ModelError, match="weights only"):
        Workspace.load("weights")
    ours(tmp_path, "--pistol --predict_only_model -f whole", examples())
    assert Workspace.load("whole", "-t").predict("|a f1") == Workspace.load("whole").predict("|a f1")


@pytest.mark.parametrize("values", [[1.0], [1.0, -1.0], [math.nan, 1.0], [1.0, 2.0, 3.0, 4.0], [1.0, math.inf]])
def test_norms_that_do_not_hold_together_are_refused(tmp_path, values):
    ours(tmp_path, "--coin -f model", examples())
    content = np.array(values, "<f8").tobytes()
    rewrite(tmp_path / "model", lambda found: found.update({"ftrl.norms": ("F64", [len(values)], content)}))
    with pytest.raises(ModelError, match="norms"):
        Workspace.load(tmp_path / "model")


@pytest.mark.parametrize(("kind", "column"), [("--ftrl", "squared_gradients"), ("--pistol", "scale")])
def test_sums_below_0_are_refused(tmp_path, kind, column):
    ours(tmp_path, f"{kind} -f model", examples())
    n = len(arrays(tmp_path / "model")["ftrl.index"][2]) // 4
    content = np.full(n, -1, "<f4").tobytes()
    rewrite(tmp_path / "model", lambda found: found.update({f"ftrl.{column}": ("F32", [n], content)}))
    with pytest.raises(ModelError, match="not all finite"):
        Workspace.load(tmp_path / "model")
