"""The examples run as they stand, beat a constant prediction, and leave their folder as it was."""

import gzip
import re

import pytest

from tests.support.scripts import EXAMPLES, complaint, play


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return play("", "demo.sh", tmp_path_factory.mktemp("demo") / "out")


def scores(printed):
    """All (value, that of a constant) of each measure, in the order in which they were printed."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name, value, constant in re.findall(r"^(\w[\w ]*?) +([\d.]+)  \(a constant: ([\d.]+)\)$", printed, re.M):
        found.setdefault(name, []).append((float(value), float(constant)))
    return found


def test_every_score_beats_a_constant(demo):
    found = scores(demo.printed)
    assert {name: len(values) for name, values in found.items()} == {
        "log loss": 2,
        "accuracy": 2,
        "AUC": 2,
        "RMSE": 1,
        "MAE": 1,
    }
    for name in ("log loss", "RMSE", "MAE"):
        assert all(value < 0.7 * constant for value, constant in found[name])
    for name in ("accuracy", "AUC"):
        assert all(value > constant + 0.2 for value, constant in found[name])


def test_strongest_features_are_named(demo):
    rows = re.findall(r"^page\^([\w=.]+):\d+:(\S+)", demo.printed, re.MULTILINE)
    weights = [float(row[1].split()[0]) for row in rows]
    assert len(rows) == 5
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0


def test_models_and_predictions_go_where_they_were_told_to(demo):
    assert {path.name for path in demo.out.iterdir()} >= {
        "phishing.safetensors",
        "phishing.predictions",
        "phishing.txt",
    }


@pytest.mark.parametrize(
    ("name", "lines", "positives"),
    [
        ("phishing_train", 875, 393),
        ("phishing_test", 375, 155),
        ("breast_cancer_train", 398, 144),
        ("breast_cancer_test", 171, 68),
    ],
)
def test_data_is_what_its_readme_says(name, lines, positives):
    with gzip.open(EXAMPLES / "data" / f"{name}.vw.gz", "rt") as file:
        labels = [line.split(maxsplit=1)[0] for line in file]
    assert len(labels) == lines
    assert labels.count("1") == positives
    assert labels.count("-1") == lines - positives


def test_score_names_files_of_different_lengths(tmp_path):
    (tmp_path / "data").write_text("1 | a\n-1 | b\n")
    (tmp_path / "predictions").write_text("0.5\n")
    said = complaint("score.py", ["logistic", "data", "predictions"], tmp_path)
    assert said == "data has 2 lines, predictions has 1\n"
