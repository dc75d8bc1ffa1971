"""Exported, inspected and audited weights are those that predict, as in VW; and where --vw_compat does as VW."""

import contextlib
import io
import json
import random
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from vwlite.cli import main

REPORTED = "1 | a\n-1 | a b\n1 | a\n"
PROGRAMS = ("ours", "theirs")
PENALTIES = ("--l1 .01 --l2 .01", "--l1 .02", "--l2 .1", "--l1 .02 --l2 .1 --sgd", "--l1 .01 --noconstant")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choose = random.Random(2)
    lines = []
    for i in range(300):
        features = " ".join(f"{choose.choice(string.ascii_lowercase)}:{choose.choice((1, 2, 0.5))}" for _ in range(4))
        lines.append(f"{choose.choice((-1, 1))} {choose.choice(('', '1 0.25 '))}t{i}| {features}")
    Path("data").write_text("\n".join(lines) + "\n")
    Path("reported").write_text(REPORTED)
    Path("few").write_text("".join(f"{label} | a b\n" for label in (1, 0, 1, 0, 1)))
    return tmp_path


def vw(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vowpalwabbit", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def ours(*words: str) -> str:
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert main([*words]) == 0
    return said.getvalue()


def weights(path: str) -> dict[int, float]:
    text = Path(path).read_text().partition("Checksum")[2]
    found = re.finditer(r"^(?:[^:\n]*:)?(\d+):(\S+)(?: \S+)*$", text, re.MULTILINE)
    return {int(match[1]): float(match[2]) for match in found}


@pytest.mark.parametrize("data", ["reported", "data", "data --loss_function logistic", "data -b 4", "data -q ::"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_readable_models_have_the_weights_of_vw(penalty, data):
    words = ["-d", *data.split(), "--quiet", *penalty.split(), "--predict_only_model", "--readable_model"]
    vw(*words, "theirs")
    ours(*words, "ours", "--invert_hash", "inverted")
    assert weights("ours") == pytest.approx(weights("theirs"), rel=2e-4, abs=1e-6)
    assert weights("inverted") == weights("ours")


def test_the_weight_of_the_report():
    ours("-d", "reported", "--quiet", *["--l1", ".01", "--l2", ".01", "--predict_only_model", "--readable_model", "m"])
    assert weights("m")[92594] == pytest.approx(0.165683, abs=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    "more", ["", "--loss_function logistic", "-q ::", "--initial_weight .2", "--predict_only_model"]
)
def test_every_export_predicts(capsys, penalty, more):
    """An outsider adds up the exported weights: that is the prediction of the saved model."""
    flags = ["--quiet", *penalty.split(), *more.split()]
    ours("-d", "data", *flags, "-f", "m", "--readable_model", "r", "--min_prediction", "-50", "--max_prediction", "50")
    ours("-d", "data", "--quiet", "-t", "-i", "m", "-r", "raw", "--audit")
    predictions = [float(line.split()[0]) for line in Path("raw").read_text().splitlines()]
    exported = weights("r")
    initial = [float(line.split(" ")[2]) if "0.25" in line else 0 for line in Path("data").read_text().splitlines()]
    audited = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()[1::2]]
    for prediction, cells, start in zip(predictions, audited, initial, strict=True):
        terms = [cell.rsplit(":", 3)[1:] for cell in cells]
        total = sum(float(value) * float(weight.split("@")[0]) for _, value, weight in terms)
        assert total + start == pytest.approx(prediction, rel=1e-3, abs=1e-3)  # of weights in six digits
        if "initial_weight" not in more:  # an untouched weight is not listed
            total = sum(float(value) * exported.get(int(slot), 0.0) for slot, value, _ in terms)
            assert total + start == pytest.approx(prediction, rel=1e-3, abs=1e-3)  # of weights in six digits
    assert main(["inspect", "m", "--json", "--top", "10000"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["weights"]
    shown = {row["slot"]: row["weight"] for row in table["top"]}
    if "initial_weight" not in more:
        assert shown == pytest.approx(exported, rel=1e-4, abs=1e-6)


def test_only_what_counts_is_exported():
    words = ["-d", "data", "--quiet", *["--loss_function", "logistic", "--l1", ".02", "--predict_only_model"]]
    vw(*words, "--readable_model", "theirs")
    ours(*words, "--readable_model", "ours", "-f", "m")
    assert weights("ours").keys() == weights("theirs").keys()


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--l2 .1",
        "--l1 .01 --l2 .1",
        "--initial_weight .1 --initial_t .3",
        "--binary",
        "--loss_function logistic --link logistic",
        "-q :: --l1 .01",
    ],
)
def test_an_audit_shows_the_predictions_of_vw(capsys, flags):
    words = ["-d", "data", "--quiet", *flags.split(), "--audit"]
    theirs = vw(*words).stdout.splitlines()
    capsys.readouterr()
    ours(*words, "-p", "p")
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[::2]] == [line.split()[0] for line in Path("p").read_text().splitlines()]
    for one, other in zip(shown, theirs, strict=True):
        if one.startswith("\t"):
            assert cells(one) == pytest.approx(cells(other), rel=1e-3, abs=1e-4)


def cells(line: str) -> dict[str, float]:
    """name:slot -> weight."""
    return {cell.rsplit(":", 1)[0]: float(cell.rsplit(":", 1)[1].split("@")[0]) for cell in line.split("\t")[1:]}


@pytest.mark.parametrize(
    "flags",
    [
        "few -c -k --passes 10",
        "few -c -k --passes 10 --early_terminate 2",
        "few -c -k --passes 2",
        "data --loss_function logistic --min_prediction -2",
        "data --loss_function logistic --max_prediction 2",
        "data --loss_function logistic --max_prediction .2 --sgd",
        "data --classweight 1:5,-1:.3",
        "few --classweight 0:2",
        "data --examples -1",
    ],
)
def test_vw_compat_does_as_vw(flags):
    words = ["-d", *flags.split(), "-p"]
    said = vw(*words, "theirs").stderr
    say = ours(*words, "ours", "--vw_compat")
    one, other = (
        [float(line.split()[0]) for line in Path(name).read_text().splitlines()] for name in ("ours", "theirs")
    )
    assert one == pytest.approx(other, abs=2e-5)
    for name in ("passes used", "average loss", "number of examples"):
        assert [line for line in say.splitlines() if line.startswith(name)] == [
            line for line in said.splitlines() if line.startswith(name)
        ]


def test_labels_are_cut_by_classweight_under_vw_compat():
    Path("cut").write_text("0.5 | a\n1.7 | b\n0.25 | a b\n1 | b\n1.2 | a\n" * 4)
    for flags in ("--classweight 0:3", "--classweight 1:2,0:5", "--classweight 1:3 --noconstant"):
        words = ["-d", "cut", *flags.split(), "--quiet", "-p"]
        vw(*words, "theirs")
        ours(*words, "ours", "--vw_compat")
        one, other = ([float(line) for line in Path(name).read_text().split()] for name in ("ours", "theirs"))
        assert one == pytest.approx(other, abs=2e-5)


@pytest.mark.parametrize(
    "flags",
    [
        "--l1 .01",
        "--l2 .05",
        "--l1 .005 --l2 .05",
        "--initial_t 3",
        "--feature_limit 2",
        "-q :: --permutations",
        "--sparse_l2 .01",
        "--sgd -l .1 --l2 .01",
        "-q :: -q :: --leave_duplicate_interactions",
    ],
)
@pytest.mark.parametrize("second", ["", "-t"])
def test_vw_compat_forgets_what_vw_forgets(flags, second):
    one: list[float] = []
    other: list[float] = []
    for program, found, more in ((vw, other, []), (ours, one, ["--vw_compat"])):
        program("-d", "data", "--quiet", *flags.split(), "-f", "m", *more)
        program("-d", "data", "--quiet", "-i", "m", "-p", "p", *second.split(), *more)
        found += [float(line.split()[0]) for line in Path("p").read_text().splitlines()]
    assert one == pytest.approx(other, abs=1e-4)


def test_a_cache_has_another_name_than_that_of_vw():
    vw("-d", "data", "-c", "-k", "--quiet")
    before = Path("data.cache").read_bytes()
    ours("-d", "data", "-c", "--quiet")
    assert Path("data.cache").read_bytes() == before
    vw("-d", "data", "-c", "--quiet")  # it still reads its own


def test_minus_one_example_is_no_limit():
    assert "number of examples = 300" in ours("-d", "data", "--examples", "-1")
    assert "number of examples = 300" in vw("-d", "data", "--examples", "-1").stderr
