"""Models of random_effect: the same in however many runs, always finite, and refused when damaged."""

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.effects import line, people
from tests.support.models import arrays, rewrite
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError

# Runs


KINDS = [
    "--bayes_logistic",
    "--bayes_logistic --posterior diagonal --forget 0.9",
    "--bayes_logistic --posterior identity --batch_size 10",
    "--bayes_logistic --batch_size 10 --forget 0.8 --shrink mean",
    "--bayes_logistic --posterior diagonal --batch_size 10 --forget 0.8",
    "--bayes_logistic --posterior diagonal --forget 0.5 --forget_time t",
    "--bayes_linear --posterior diagonal --entity_min 2 --count_weight user=-0.5",
    "--bayes_linear --batch_size 10 --fixed same --intercept_l2 0.01",
    "--bayes_linear --shrink mean --fixed none",
    "--logistic --batch_size 10",
    "--square --batch_size 3 --posterior diagonal",
]


def timed_lines(n: int, logistic: bool) -> list[str]:
    return [f"{line(row)} |t :{i // 3}" for i, row in enumerate(people(10, n, logistic))]


@pytest.mark.parametrize("flags", KINDS)
def test_two_runs_are_one_in_every_bit_and_so_are_threads_and_caches(flags, run, tmp_path):
    lines = timed_lines(150, "logistic" in flags)
    words = ["--random_effect", "user:c", "--random_effect", "item", *flags.split()]
    whole = run(lines, *words)
    assert run(lines, *words, "--onethread") == whole
    for cut in (7, 90):
        head, _ = run(lines[:cut], *words)
        (tmp_path / "run.model").rename(tmp_path / "first")
        tail, model = run(lines[cut:], *words, "-i", str(tmp_path / "first"))
        assert (head + tail, model) == whole
    twice = run([*lines, *lines], *words)
    words += ["--passes", "2", "--holdout_off"]
    assert run(lines, *words) == twice
    assert run(lines, *words, "--cache_file", str(tmp_path / "c")) == twice
    assert (tmp_path / "c").exists()
    assert run(lines, *words, "--cache_file", str(tmp_path / "c")) == twice
    Workspace.load(tmp_path / "run.model").save(tmp_path / "again")
    assert arrays(tmp_path / "again") == twice[1]


def test_examples_that_wait_for_their_batch_are_in_the_model(tmp_path):
    lines = [line(row) for row in people(11, 40)]
    first = Workspace("--bayes_linear --random_effect user:* --batch_size 30")
    first.learn(lines)
    first.save(tmp_path / "m")
    waiting = memoryview(arrays(tmp_path / "m")["random_effect.user.waiting"][2]).cast("I").tolist()
    assert sum(waiting) == 40
    assert Workspace.load(tmp_path / "m").predict(lines) == first.predict(lines)


EXTREMES = st.sampled_from(
    ["1", "-2.5", "1e20", "-1e20", "3e38", "-3e38", "1e-38", "1e-45", "-1e-40", "0", "1e10", "1e-10", "16777217"]
)

LABELS = EXTREMES.map(lambda text: max(-1e18, min(float(text), 1e18))).map(repr)  # larger ones are refused


@st.composite
def extreme_lines(draw: Any, logistic: bool) -> str:
    label = draw(st.sampled_from(["1", "-1"])) if logistic else draw(LABELS)
    weight = draw(st.sampled_from(["1", "1e30", "3e38", "1e-38", "1e-45", "0"]))
    words = " ".join(f"{name}:{draw(EXTREMES)}" for name in draw(st.lists(st.sampled_from("pqr"), max_size=4)))
    user = draw(st.sampled_from(["|user a ", "|user b ", ""]))
    return f"{label} {weight} {draw(EXTREMES)} {user}|c {words} |t :{draw(EXTREMES)}"


@pytest.mark.parametrize(
    "flags",
    [
        "--bayes_logistic",
        "--bayes_linear",
        "--bayes_linear --posterior diagonal --forget 0.5 --forget_time t",
        "--bayes_logistic --forget 0.5 --forget_time t --batch_size 2",
        "--bayes_logistic --posterior diagonal --batch_size 2 --forget 0.9",
        "--bayes_linear --batch_size 2 --fixed same",
        "--bayes_logistic --moments --fixed same",
        "--bayes_linear --shrink mean --effect_l2 auto",
        "--bayes_logistic --batch_size 3 --effect_l2 auto --posterior identity",
        "--square --sweeps 2",
        "--logistic --sweeps 2 --fixed same --effect_l2 auto",
        "--bayes_linear --count_weight user=300",
        "--bayes_linear --count_weight user=-300 --sweeps 1",
    ],
)
@settings(max_examples=60)
@given(data=st.data())
def test_numbers_at_the_ends_of_float32_never_make_a_model_that_is_not_finite(flags, data):
    workspace = Workspace(f"--random_effect user:* {flags}")
    lines = data.draw(st.lists(extreme_lines("logistic" in flags), min_size=1, max_size=8))
    assert all(map(math.isfinite, workspace.learn(lines)))
    workspace.end_pass()
    assert all(map(math.isfinite, workspace.predict(lines)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m")
        workspace.save(path)
        for name, (dtype, _, content) in arrays(path).items():
            if dtype in ("F32", "F64"):
                assert all(map(math.isfinite, memoryview(content).cast(CODES[dtype]))), name
        assert Workspace.load(path).predict(lines) == workspace.predict(lines)


def test_an_estimate_of_the_prior_that_is_beyond_double_precision_is_not_taken(tmp_path):
    usual = "1 1 1 |user a |c |t :1"
    lines = [
        *(usual, usual, "1 1e30 1 |user a |c p:1 p:1 p:1 p:-3e38 |t :1"),
        *("-1 1e30 1 |user a |c q:3e38 p:1 r:1 p:1e20 |t :1e-38", usual, "-1 3e38 0 |user a |c |t :1e10"),
        *("-1 1 1e10 |user a |c p:1 p:1 r:-1e-40 q:3e38 |t :1e-45", "1 1 1 |user a |c r:1 r:-1e20 |t :1e-45"),
    ]
    workspace = Workspace("--random_effect user:* --logistic --sweeps 2 --fixed same --effect_l2 auto")
    workspace.learn(lines)
    workspace.end_pass()
    workspace.save(tmp_path / "model")
    assert Workspace.load(tmp_path / "model").predict(lines) == workspace.predict(lines)


@pytest.mark.parametrize("flags", ["--bayes_logistic", "--bayes_linear", "--bayes_logistic --moments --fixed same"])
def test_a_feature_that_comes_with_values_that_cancel_makes_a_model_that_loads(tmp_path, flags):
    lines = ["1 |user a |c p:-1e20 p:1e20 p:-2.5", "-1 |user b |c p:1e10 p:-1e10 p:0.5 q"]
    workspace = Workspace(f"--random_effect user:* {flags}")
    workspace.learn(lines)
    workspace.save(tmp_path / "model")
    assert Workspace.load(tmp_path / "model").predict(lines) == workspace.predict(lines)


# Damaged models


FIELDS = (
    "key", "coefficients", "name_length", "waiting", "count", "clock", "prior", "spread", "name", "hash", "mean",
    "precision", "coefficient_clock", "waiting_example", "waiting_n", "waiting_feature", "dof",
)  # fmt: skip
SIZES = {"U8": 1, "U32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}
CODES: dict[str, Any] = {"U8": "B", "U32": "I", "U64": "Q", "I64": "q", "F32": "f", "F64": "d"}
TRAIN = [
    ("--bayes_logistic --posterior diagonal --forget 0.9 --batch_size 4", ("name", "waiting_feature")),
    ("--bayes_logistic --shrink mean", ()),
]


@pytest.fixture(params=[text for text, _ in TRAIN])
def model(request, tmp_path):
    workspace = Workspace(f"{request.param} --random_effect user:c --fixed none")
    workspace.learn([line(row) for row in people(13, 33, logistic=True)])
    workspace.save(tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("cut", ["shorter", "longer", "empty"])
def test_tables_of_the_wrong_length_are_refused(field, cut, model):
    name = f"random_effect.user.{field}"

    def change(content: dict[str, Any]) -> None:
        dtype, _, data = content[name]
        size = SIZES[dtype]
        data = {"shorter": data[:-size], "longer": data + b"\1" * size, "empty": b""}[cut]
        content[name] = (dtype, [len(data) // size], data)

    before = arrays(model)[name]
    if not before[2] and cut != "longer":
        return  # nothing to take away
    rewrite(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


INSANE: dict[str, list[float]] = {
    "coefficients": [0xFFFFFFFF, 1 << 20],
    "name_length": [0xFFFFFFFF],
    "waiting": [0xFFFFFFFF, 5],
    "count": [-1],
    "clock": [math.nan, math.inf],
    "prior": [math.nan, math.inf, 0.0, -1.0],
    "spread": [math.nan, math.inf],
    "dof": [math.nan, math.inf, -0.5, 100.0],
    "mean": [math.nan, -math.inf],
    "precision": [math.nan, math.inf, -1e6],
    "coefficient_clock": [math.nan, math.inf],
    "waiting_example": [math.nan, math.inf],
    "waiting_n": [0xFFFFFFFF],
    "waiting_feature": [],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in INSANE for value in INSANE[field]])
def test_tables_of_numbers_that_make_no_sense_are_refused(field, value, model):
    name = f"random_effect.user.{field}"
    if not arrays(model)[name][2]:
        return

    def change(content: dict[str, Any]) -> None:
        dtype, shape, data = content[name]
        room = bytearray(data)
        memoryview(room).cast(CODES[dtype])[0] = value
        content[name] = (dtype, shape, bytes(room))

    rewrite(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


def test_a_model_with_one_entity_twice_is_refused(model):
    def change(content: dict[str, Any]) -> None:
        dtype, shape, data = content["random_effect.user.key"]
        content["random_effect.user.key"] = (dtype, shape, data[:8] + data[:8] + data[16:])

    rewrite(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


def test_a_model_of_effects_that_leaned_as_none_do_any_more_is_refused():
    with pytest.raises(ModelError, match="an earlier vwlite made it"):
        Workspace.load(Path(__file__).parents[1] / "data" / "leaning_1.model")


def test_a_model_without_the_mean_of_its_effects_is_refused(tmp_path):
    workspace = Workspace("--bayes_linear --shrink mean --random_effect user --fixed none")
    workspace.learn("1 |user a")
    workspace.save(tmp_path / "m")

    def change(content: dict[str, Any]) -> None:
        for name, (dtype, _, _) in content.items():
            if ".mean." in name:
                content[name] = (dtype, [0], b"")

    rewrite(tmp_path / "m", change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(tmp_path / "m")


def test_the_header_tells_an_estimated_ridge_from_a_given_one(tmp_path, capsys):
    (tmp_path / "data.vw").write_text("2 |user a\n1 |user b\n3 |user a\n1 |user b\n")
    data, model = str(tmp_path / "data.vw"), str(tmp_path / "m.model")
    assert main([data, "--bayes_linear", "--random_effect", "user", "-f", model]) == 0
    said = capsys.readouterr().err
    assert "glm: bayes_linear, ridge = 0, " in said
    assert "random_effect.user: bayes_linear, ridge = auto, " in said
    assert main([data, "-i", model, "-f", model]) == 0
    assert re.search(r"random_effect.user: bayes_linear, ridge = auto, [\d.]+ by now, ", capsys.readouterr().err)
    assert main([data, "--bayes_linear", "--random_effect", "user", "--effect_l2", "3"]) == 0
    assert "random_effect.user: bayes_linear, ridge = 3, " in capsys.readouterr().err


def test_a_namespace_may_be_called_as_a_part_of_the_model_is(tmp_path):
    """What is summed for the fixed part is saved, too, and once had the name of this effect."""
    lines = [f"{i % 5} |marginal u{i % 7} |w w{i % 3} |f x:{i % 4}" for i in range(100)]
    workspace = Workspace("--bayes_linear --random_effect marginal --random_effect w")
    workspace.learn(lines)
    workspace.save(tmp_path / "model")
    assert Workspace.load(tmp_path / "model").predict(lines) == workspace.predict(lines)
