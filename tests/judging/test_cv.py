"""vwlite cv: each model is that of a run without its fold, and each example is predicted by the model without it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.support.command import VWLITE
from tests.support.models import arrays
from tests.support.multiline import decisions
from vwlite.cli import main
from vwlite.core.sides import side


def lines(n: int, tags: bool = True, seed: int = 3) -> list[str]:
    random = np.random.default_rng(seed)
    found = []
    for i in range(n):
        user, x = random.integers(0, 40), random.normal()
        up = random.random() < 1 / (1 + np.exp(-x - (user % 3) + 1))
        weight = f" {1 + i % 3}"
        found.append(f"{1 if up else -1}{weight} {f't{i}' * tags}|a x:{x:.3f} c{i % 5} |user u{user}")
    return found


def fold_of(text: str, k: int) -> int:
    return min(int(side(text.encode()) * k), k - 1)


def write(path: Path, found: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in found))
    return str(path)


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["cv", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


FLAGS = {
    "logistic": "--loss_function logistic -q au",
    "squared": "--noconstant",
    "several passes": "--loss_function logistic --passes 6 -q au --holdout_period 7",
    "no holdout": "--passes 3 --holdout_off",
    "effects": "--bayes_logistic --random_effect user",
    "ftrl": "--ftrl --loss_function logistic --l1 0.01",
}


@pytest.mark.parametrize("kind", sorted(FLAGS))
@pytest.mark.parametrize("threads", ["1", "3"])
def test_each_model_is_that_of_a_run_without_its_fold_and_predicts_the_fold(kind, threads, tmp_path, capsys):
    text = lines(1500)
    words = FLAGS[kind].split()
    data = write(tmp_path / "d.vw", text)
    assert (
        main(
            ["cv", data, *words, "-f", str(tmp_path / "m"), "-p", str(tmp_path / "p"), "-k", "4", "--threads", threads]
        )
        == 0
    )
    predicted = (tmp_path / "p").read_text().splitlines()
    assert [line.split()[1] for line in predicted] == [f"t{i}" for i in range(1500)]
    for fold in range(4):
        inside = [fold_of(f"t{i}", 4) == fold for i in range(1500)]
        rest = write(tmp_path / "rest.vw", [line for line, is_in in zip(text, inside, strict=True) if not is_in])
        held = write(tmp_path / "held.vw", [line for line, is_in in zip(text, inside, strict=True) if is_in])
        (tmp_path / "c").unlink(missing_ok=True)
        assert main([rest, *words, "-f", str(tmp_path / "one"), "--cache_file", str(tmp_path / "c"), "--quiet"]) == 0
        assert arrays(tmp_path / f"m.{fold + 1}") == arrays(tmp_path / "one")
        assert main([held, "-t", "-i", str(tmp_path / "one"), "-p", str(tmp_path / "q"), "--quiet"]) == 0
        mine = [line for line, is_in in zip(predicted, inside, strict=True) if is_in]
        assert mine == (tmp_path / "q").read_text().splitlines()


def test_metrics_are_those_of_scikit_learn(tmp_path, capsys):
    text = lines(2000)
    data = write(tmp_path / "d.vw", text)
    flags = ["--loss_function", "logistic", "--link", "logistic"]
    found = as_json(capsys, data, *flags, "-p", str(tmp_path / "p"))
    p = np.array([float(line.split()[0]) for line in (tmp_path / "p").read_text().splitlines()])
    y, w = np.array([[float(word) for word in line.split()[:2]] for line in text]).T
    folds = np.array([fold_of(f"t{i}", 5) for i in range(2000)])
    assert found["pooled"]["metrics"]["auc"]["value"] == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-4)
    assert found["loss"] == pytest.approx(log_loss(y, p, sample_weight=w), abs=1e-4)
    each = [roc_auc_score(y[folds == i], p[folds == i], sample_weight=w[folds == i]) for i in range(5)]
    assert [fold["metrics"]["auc"] for fold in found["folds"]] == pytest.approx(each, abs=1e-4)
    assert found["spreads"]["auc"]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
    assert found["spreads"]["auc"]["sd"] == pytest.approx(np.std(each, ddof=1), abs=1e-4)
    assert [fold["n"] for fold in found["folds"]] == np.bincount(folds).tolist()


def test_examples_without_a_tag_go_by_their_number(tmp_path):
    text = lines(600, tags=False)
    data = write(tmp_path / "d.vw", text)
    assert main(["cv", data, "-f", str(tmp_path / "m"), "-k", "3"]) == 0
    rest = [line for i, line in enumerate(text, 1) if fold_of(str(i), 3) != 1]
    assert main([write(tmp_path / "rest.vw", rest), "-f", str(tmp_path / "one"), "--quiet"]) == 0
    assert arrays(tmp_path / "m.2") == arrays(tmp_path / "one")


def test_few_different_examples_are_judged_without_bias(tmp_path, capsys):
    """If equal examples were in one fold, the models would learn the opposite of what they predict."""
    random = np.random.default_rng(0)
    rates = [0.2, 0.4, 0.6, 0.8]
    text = [f"{2 * int(random.random() < rates[i % 4]) - 1} | c{i % 4}" for i in range(8000)]
    found = as_json(capsys, write(tmp_path / "d.vw", text), "--loss_function", "logistic")
    entropy = -np.mean([r * np.log(r) + (1 - r) * np.log(1 - r) for r in rates])
    assert found["loss"] == pytest.approx(entropy, abs=0.01)


def test_whole_groups_are_held_out_in_each_format(tmp_path, capsys):
    text = lines(1200)
    data = write(tmp_path / "d.vw", text)
    found = as_json(
        capsys, data, "--group", "user", "-k", "3", "-f", str(tmp_path / "m"), "--loss_function", "logistic"
    )
    users = [re.search(r"\|user (\S+)", line)[1] for line in text]  # type: ignore[index]
    rest = [line for line, user in zip(text, users, strict=True) if fold_of(user, 3) != 0]
    assert (
        main([write(tmp_path / "r.vw", rest), "-f", str(tmp_path / "one"), "--loss_function", "logistic", "--quiet"])
        == 0
    )
    assert arrays(tmp_path / "m.1") == arrays(tmp_path / "one")
    assert [fold["n"] for fold in found["folds"]] == np.bincount([fold_of(user, 3) for user in users]).tolist()
    assert found["pooled"]["resampled"] == "user"
    rows = "".join(f"{line.split()[0]},{user}\n" for line, user in zip(text, users, strict=True))
    (tmp_path / "d.csv").write_text("y,user\n" + rows)
    table = as_json(capsys, str(tmp_path / "d.csv"), "--label", "y", "--group", "user", "-k", "3")
    assert [fold["n"] for fold in table["folds"]] == [fold["n"] for fold in found["folds"]]


@pytest.mark.parametrize(
    "stack", ["--oaa 3", "--oaa 3 --probabilities --loss_function logistic", "--csoaa_ldf m", "--cb_explore_adf"]
)
def test_stacks_of_other_labels(stack, tmp_path, capsys):
    if "ldf" in stack:
        text = "".join(f"1:{i % 2} t{i}|a x{i % 5} y\n2:{(i + 1) % 2} |a x{i % 5} z\n\n" for i in range(600))
    elif "cb" in stack:
        text = "".join(f"{line}\n" for line in decisions(600))
    else:
        text = "".join(f"{1 + (i * 7 % 10) % 3} t{i}|a x{i * 7 % 10}\n" for i in range(600))
    (tmp_path / "d.vw").write_text(text)
    words = ["-f", str(tmp_path / "m"), "-p", str(tmp_path / "p"), "-k", "3"]
    found = as_json(capsys, str(tmp_path / "d.vw"), *stack.split(), *words)
    assert found["loss"] is not None and len(found["folds"]) == 3
    if "oaa " in stack:
        assert found["pooled"]["metrics"]["accuracy"]["value"] > 0.95
        rest = [line for i, line in enumerate(text.splitlines()) if fold_of(f"t{i}", 3) != 2]
        one = write(tmp_path / "r.vw", rest)
        assert main([one, *stack.split(), "-f", str(tmp_path / "one"), "--quiet"]) == 0
        assert arrays(tmp_path / "m.3") == arrays(tmp_path / "one")
    if "ldf" in stack:
        blocks = text.split("\n\n")[:-1]
        rest = [f"{block}\n" for i, block in enumerate(blocks) if fold_of(f"t{i}", 3) != 2]
        one = write(tmp_path / "r.vw", rest)
        assert main([one, *stack.split(), "-f", str(tmp_path / "one"), "--quiet"]) == 0
        assert arrays(tmp_path / "m.3") == arrays(tmp_path / "one")
        assert len((tmp_path / "p").read_text().split("\n\n")) == 601


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (["-k", "1"], None, "--folds must be at least 2"),
        (["-k", "many"], None, "--folds wants a whole number"),
        (["-k", "9"], "1 | a\n-1 | b\n1 | c\n", "of 9 is empty, as there are 3 examples"),
        (["--group", "user", "-k", "8"], "1 |user a\n-1 |user b\n" * 20, "whose folds go by user: give a smaller -k"),
        (["--group", "user", "-k", "2"], "1 |user a\n-1 |user a\n" * 50, "vwlite split --seed 0"),
        (["--group", "user"], "1 |user a\n-1 |user b\n" * 60, "as there are 120 examples, whose folds go by user"),
        (["--group", "city"], None, "no example has a feature, namespace or column city"),
        (["--by", "city"], None, "city: no example has a feature"),
        ([], "| a\n| b\n| c d\n" * 20, "no example has a label and a weight"),
        ([], "", "no example with a feature"),
        (["-t"], None, "--testonly has no effect in vwlite cv"),
        (["--holdout", ".1"], None, "its folds are held out"),
        (["--examples", "9"], None, "--examples has no effect in vwlite cv"),
        (["--nothing"], None, "unknown flag '--nothing'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line_and_nothing_is_written(words, text, message, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(f"{line}\n" for line in lines(300)) if text is None else text)
    files = ["-f", str(tmp_path / "m"), "-p", str(tmp_path / "p")]
    assert main(["cv", str(tmp_path / "d.vw"), *files, *words]) == 1
    out, err = capsys.readouterr()
    assert message in err and not out and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["d.vw"]


def test_one_class_has_no_area_and_says_so(tmp_path):
    text = "".join(f"1 t{i}| a{i % 3}\n" for i in range(100))
    words = ["cv", "--loss_function", "logistic"]
    done = subprocess.run([*VWLITE, *words], input=text, capture_output=True, text=True, check=True)
    assert re.search(r"^loss +\d", done.stdout, re.M) and re.search(
        r"^auc +n/a +defined in 0 folds$", done.stdout, re.M
    )


def test_slices_and_entities_are_those_of_eval(tmp_path, capsys):
    data = write(tmp_path / "d.vw", lines(1000))
    found = as_json(
        capsys, data, "--loss_function", "logistic", "--by", "user", "--entity", "a", "-p", str(tmp_path / "p")
    )
    assert main(["eval", str(tmp_path / "p"), "-d", data, "--by", "user", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    mine, theirs = (
        {group["name"]: group["metrics"]["auc"]["value"] for group in one["slices"]["user"]}
        for one in (found["pooled"], other)
    )
    assert mine == pytest.approx(theirs, abs=1e-3)
    assert found["pooled"]["entities"]["a"]["entities"] > 1


@pytest.mark.parametrize("flags", ["--loss_function logistic", "-q ab", "--bayes_linear", "--loss_function hinge"])
def test_predictions_in_groups_are_judged_as_those_in_order(flags, tmp_path, capsys):
    """Without -p each model predicts the examples of its fold in groups, several models at once."""
    text = lines(3000)
    text[5:5] = ["| unlabelled", "", "what is this", "1 0 | weightless"]
    data = write(tmp_path / "d.vw", text)
    found = [
        as_json(capsys, data, *flags.split(), *more) for more in ([], ["--threads", "1"], ["-p", str(tmp_path / "p")])
    ]
    for each in found:
        del each["seconds"], each["threads"]
    assert found[0] == found[1] == found[2]


def test_a_refused_example_is_left_out_however_predictions_are_made(tmp_path, capsys):
    text = [f"{1 if i % 3 else -1} t{i}| x{i % 5}" for i in range(2000)]
    text[700] = "0.5 t700| x1"  # no label of this loss
    data = write(tmp_path / "d.vw", text)
    found = [as_json(capsys, data, "--loss_function", "logistic", *more) for more in ([], ["-p", str(tmp_path / "p")])]
    for each in found:
        del each["seconds"]
    assert found[0] == found[1] and found[0]["pooled"]["examples"] == 1999
