"""Nothing infinite or NaN is ever saved: an update that would make a weight so is left out, counted and reported."""

import re
import struct

import pytest

from tests.support.command import run
from vwlite import Workspace
from vwlite.errors import ModelError
from vwlite.model import model_file
from vwlite.model.model_io import Saver

# flags that throw weights about, on ordinary data
EXTREME = (
    "--l2 10",
    "--l2 10 --sgd",
    "--l2 1e30",
    "--l1 1e38",
    "--l1 1e38 --l2 1e38",
    "--power_t 100",
    "--power_t -100",
    "--power_t 100 --initial_t 1e-30",
    "--sgd -l 1e30",
    "--sgd -l 1e30 --l2 1",
    "--adaptive -l 1e38",
    "--normalized -l 1e38 --power_t 2",
    "--invariant -l 1e38",
    "-l 3e38",
    "--initial_weight 3e38",
    "--sparse_l2 1e38",
    "--decay_learning_rate 1e30 --passes 4 --holdout_off",
    "--loss_function logistic --l2 10",
    "--loss_function poisson -l 1e30",
    "--loss_function hinge --sgd -l 1e38",
)
WILD = (
    *(f"{label} 1 |f a:{x} b" for label, x in ((1, 1), (-1, 1e30), (1, -1e38), (-1, 1e-38), (1, 3))),
    "1 1e38 |f a c:1e20",
    "-1 1e-38 |f b:1e-30",
)
LEARNERS = (
    "",
    "--sgd",
    "--loss_function logistic",
    "--l1 .01 --l2 .01",
    "--bayes_linear",
    "--bayes_logistic",
    "--bayes_logistic --moments",
    "--bayes_linear --posterior diagonal",
    "--bayes_linear --random_effect f --fixed same",
    "--random_effect g --bayes_linear",
    "--bayes_linear --batch_size 2",
)
INFINITE = ("inf 1 |f a", "1 1 |f a:inf b", "1 1 |f a:-inf", "-1 1 |f a:nan b:1e39", "1 1 inf |f b", "1 1 |f:inf a")


def arrays_are_finite(path) -> None:
    reader = model_file.open(path)
    for name in reader.names():
        kind = reader.dtype(name)
        if kind in ("F32", "F64"):
            values = memoryview(bytes(reader.array(name, kind))).cast("f" if kind == "F32" else "d")
            assert all(value - value == 0 for value in values), name


def sound(model: str, *flags: str) -> None:
    """It can be loaded, to predict and to go on learning."""
    arrays_are_finite(model)
    run("-i", model, "-t", *flags, text="| a\n")
    run("-i", model, *flags, text="1 |f a\n")


@pytest.mark.parametrize("flags", EXTREME)
def test_extreme_options_leave_a_model_that_can_be_loaded(tmp_path, flags):
    text = "".join(
        f"{2 * (i % 2) - 1 if 'poisson' not in flags else i % 3} |f a{i % 2}:{1 + i % 5} b\n" for i in range(200)
    )
    model = str(tmp_path / "m")
    run("-b", "8", *flags.split(), "-f", model, text=text)
    sound(model)


@pytest.mark.parametrize("flags", LEARNERS)
def test_extreme_data_leave_a_model_that_can_be_loaded(tmp_path, flags):
    model = str(tmp_path / "m")
    text = "".join(line.replace("|f", f"|g u{i % 2} |f") + "\n" for i, line in enumerate(WILD * 10))
    if "random_effect f" in flags:
        text = text.replace("|f", "|h").replace("|g", "|f")
    run("-q", "ff", *flags.split(), "-f", model, text=text)
    sound(model)


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--sgd",
        "--loss_function logistic",
        "--loss_function hinge",
        "--l1 .01 --l2 .1",
        "--adaptive",
        "--normalized",
        "--power_t .3",
        "--bayes_linear",
        "--bayes_logistic",
    ],
)
def test_infinite_input_under_vw_compat_is_left_out_and_counted(tmp_path, flags):
    good = "1 1 |f a b\n-1 1 |f b\n"
    plain, model = str(tmp_path / "plain"), str(tmp_path / "m")
    run("--vw_compat", *flags.split(), "-f", plain, "--readable_model", f"{plain}.txt", text=good * 2)
    text = good + "".join(line + "\n" for line in INFINITE) + good
    done = run("--vw_compat", *flags.split(), "-f", model, "--readable_model", f"{model}.txt", text=text)
    found = re.search(r"^updates left out = (\d+)", done.stderr, re.MULTILINE)
    assert found and int(found[1]) >= 4, done.stderr
    sound(model, "--vw_compat")


def test_an_update_that_is_left_out_is_said_in_the_summary():
    done = run("--power_t", "100", text="1 |f a:2 b\n-1 |f a:3\n" * 20)
    assert re.search(r"^updates left out = \d+ \(weights would not have been finite", done.stderr, re.MULTILINE)
    assert "left out" not in run(text="1 |f a:2 b\n-1 |f a:3\n" * 20).stderr


@pytest.mark.parametrize("place", [0, 7, 9])
@pytest.mark.parametrize(("kind", "letter"), [("F32", "f"), ("F64", "d")])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
def test_a_model_that_could_not_be_loaded_is_not_saved(kind, letter, place, value):
    """Whatever a learner of one's own lets through."""
    saver = Saver()
    saver.owner = "mine"
    numbers = [0.0, -1e30, 3.4e38, 1e-45, -0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    saver.array("w", kind, struct.pack(f"10{letter}", *numbers))
    saver.float64("t", 1e300)
    saver.require_finite()
    numbers[place] = value
    saver.array("w", kind, struct.pack(f"10{letter}", *numbers))
    with pytest.raises(ModelError, match=r"any older one is unchanged: numbers in mine\.w are infinite or NaN"):
        saver.require_finite()


def test_a_workspace_goes_on_after_an_example_that_is_left_out(tmp_path):
    workspace = Workspace("-q ff --noconstant")
    workspace.learn(["1 |f a b"] * 3)
    before = workspace.predict("|f a b")
    workspace.learn("1 |f x:1e30 y:1e30")  # their product is infinite
    assert workspace.predict("|f a b") == before
    workspace.save(tmp_path / "m")
    assert Workspace.load(tmp_path / "m").predict("|f a b") == before
