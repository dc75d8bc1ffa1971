"""Labels that a loss can't take are skipped with place and reason; 0 and 1 are the two classes as well as -1 and 1."""

import random
import re
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.models import saved
from vwlite import Workspace
from vwlite.errors import ParseError

TWO_CLASSES = (
    "--loss_function logistic",
    "--loss_function hinge",
    "--bayes_logistic",
    "--logistic --batch_size 10",
    "--bayes_logistic --random_effect user --fixed same",
    "--loss_function logistic --binary",
    "--loss_function hinge --binary",
    "--binary",
    "--binary --loss_function quantile",
    "--loss_function logistic --offset_scale fit",
)


def lines(n: int, negative: str, first: str = "") -> list[str]:
    choose = random.Random(5)
    made = []
    for i in range(n):
        x = choose.choice("abcdef")
        label = first if i == 0 and first else "1" if choose.random() < (0.9 if x in "abc" else 0.15) else negative
        made.append(f"{label} |f {x} |user u{choose.randrange(4)}")
    return made


def figure(said: str, name: str) -> float:
    found = re.search(rf"^{name} = (\S+)", said, re.MULTILINE)
    assert found, said
    return float(found[1])


@pytest.mark.parametrize("flags", TWO_CLASSES)
@pytest.mark.parametrize("first", ["", "1", "negative"])
def test_0_and_1_teach_what_signs_teach(flags, first):
    said = {}
    for negative in ("-1", "0"):
        text = "\n".join(lines(400, negative, negative if first == "negative" else first)) + "\n"
        done = run(*flags.split(), "-p", "-", text=text)
        said[negative] = (figure(done.stderr, "average loss"), done.stdout)
        assert ("[info] the labels 0 and 1 are the two classes" in done.stderr) == (negative == "0")
        assert done.stderr.count("two classes") == (negative == "0")
        assert "skipped" not in done.stderr
    assert said["0"] == said["-1"]


def test_the_case_of_the_report():
    """Vowpal Wabbit takes a 0 for probability 1/2 and gets a loss of .65 for one of .47."""
    text = "\n".join(lines(1000, "0")) + "\n"
    done = run("--loss_function", "logistic", "--report", "accuracy", text=text)
    assert figure(done.stderr, "average loss") < 0.47
    assert figure(done.stderr, "accuracy") > 0.8


@pytest.mark.parametrize("flags", TWO_CLASSES)
@pytest.mark.parametrize(("good", "bad"), [("0", "-1"), ("-1", "0"), ("0", "0.5"), ("-1", "2"), ("0", "7")])
def test_a_third_value_is_a_skipped_line(tmp_path, flags, good, bad):
    made = lines(30, good)
    (tmp_path / "plain").write_text("\n".join([*made[:20], *made[21:]]) + "\n")
    (tmp_path / "data").write_text("\n".join([*made[:20], f"{bad} |f a |user u1", *made[21:]]) + "\n")
    done = run("-d", str(tmp_path / "data"), *flags.split(), "-p", "-")
    assert re.search(
        r"skipped \S+data:21:1: the labels of the two classes are -?\d and 1 here.* third value", done.stderr
    )
    assert "skipped malformed lines = 1 of 30" in done.stderr
    assert done.stdout == run("-d", str(tmp_path / "plain"), *flags.split(), "-p", "-").stdout
    stopped = run("-d", str(tmp_path / "data"), *flags.split(), "--strict_parse", status=1)
    assert "data:21:1" in stopped.stderr


def test_labels_that_are_neither_are_skipped_from_the_first_line():
    done = run("--loss_function", "logistic", text="7 | a\n0.5 | a\n1 | a\n-1 | b\n")
    assert "stdin:1:1: the labels of two classes are -1 and 1, or 0 and 1" in done.stderr
    assert "skipped malformed lines = 2 of 4" in done.stderr


def test_the_coding_is_kept_in_the_model(tmp_path):
    model = str(tmp_path / "m")
    run("--loss_function", "logistic", "-f", model, text="0 | a\n1 | b\n")
    done = run("-i", model, text="0 | a\n-1 | a\n")
    assert "third value" in done.stderr and "[info] the labels" not in done.stderr
    run("--loss_function", "logistic", "-f", model, text="1 | b\n")  # says nothing about the coding
    assert "third value" not in run("-i", model, text="0 | a\n").stderr


def test_two_runs_over_0_and_1_are_one(tmp_path):
    made = lines(200, "0")
    whole = Workspace("--loss_function logistic -b 8")
    whole.learn(made)
    first = Workspace("--loss_function logistic -b 8")
    first.learn(made[:90])
    first.save(tmp_path / "m")
    second = Workspace.load(tmp_path / "m")
    second.learn(made[90:])
    assert saved(second, tmp_path) == saved(whole, tmp_path)


def test_a_workspace_says_so_too():
    workspace = Workspace("--loss_function logistic")
    workspace.learn(["1 | a", "0 | b"])
    assert any("0 and 1 are the two classes" in note for note in workspace.notes)
    with pytest.raises(ParseError, match=r"third value"):
        workspace.learn("-1 | a")


def test_a_prediction_settles_nothing():
    workspace = Workspace("--loss_function logistic")
    workspace.predict("0 | a")
    workspace.learn(["-1 | a", "1 | b"])
    with pytest.raises(ParseError, match=r"third value"):
        workspace.learn("0 | a")


def test_labels_between_are_shares_where_the_ends_are_named():
    flags = ("--loss_function", "logistic", "--logistic_min", "0", "--logistic_max", "1")
    done = run(*flags, text="0.25 | a\n1 | a\n0 | a\n1.5 | a\n-1 | a\n")
    assert "stdin:4:1: the label is outside --logistic_min and --logistic_max" in done.stderr
    assert "skipped malformed lines = 2 of 5" in done.stderr


def test_poisson_takes_no_negative_label():
    done = run("--loss_function", "poisson", "--link", "poisson", text="3 | a\n-3 | a\n2.5 | b\n0 | b\n")
    assert "stdin:2:1: --loss_function poisson needs counts: labels of 0 or more" in done.stderr
    assert figure(done.stderr, "average loss") > 0


@pytest.mark.parametrize("loss", ["squared", "classic", "quantile", "poisson", "expectile --expectile_q .3"])
def test_a_label_that_overflows_is_skipped(loss):
    done = run("--loss_function", *loss.split(), text="1 | a\n3e38 | a\n1e18 | b\n")
    assert "stdin:2:1: the label is larger than 1e18" in done.stderr
    assert "inf" not in done.stderr and "nan" not in done.stderr.replace("n.a.", "")


@pytest.mark.parametrize("flags", ["--loss_function logistic", "--loss_function hinge", "--binary"])
def test_vw_compat_takes_every_label(flags):
    done = run(*flags.split(), "--vw_compat", text="0 | a\n-1 | a\n7 | a\n1 | a\n")
    assert figure(done.stderr, "number of examples") == 4
    assert "two classes" not in done.stdout + done.stderr


def test_weights_of_classes_go_by_the_labels_of_the_data(tmp_path: Path):
    outputs = []
    for negative in ("-1", "0"):
        text = "\n".join(lines(200, negative)) + "\n"
        for flags in (["--binary"], ["--loss_function", "logistic"]):
            outputs.append(run(*flags, "--classweight", f"{negative}:3", "-p", "-", text=text).stdout)
    assert outputs[:2] == outputs[2:]
    assert outputs[0] != run("--binary", "-p", "-", text="\n".join(lines(200, "0")) + "\n").stdout


@pytest.mark.parametrize("label", ["0:1.5:0.25", "1:0.5 2:1", "1,3", "2:0.5"])
def test_a_label_of_another_kind_is_said_to_be_one(label):
    done = run(text=f"1 | a\n{label} | b\n0 | a\n")
    assert re.search(
        r"skipped \S+:2:1: the stack accepts one number as the label, and this looks like costs", done.stderr
    )
    assert "skipped malformed lines = 1 of 3" in done.stderr
