"""Ordinary rows run together: the same results, to the last bit, as one by one.

A reduction in Python that hands everything on has no learn_many, so the driver runs its rows one by one.
"""

import random
import re

import pytest

import vwlite
from tests.support.reductions import Through
from vwlite import Workspace
from vwlite.cli import main
from vwlite.engine import plugins

FLAGS = [
    "",
    "--loss_function logistic",
    "--loss_function logistic --link logistic",
    "--loss_function hinge",
    "--loss_function quantile --quantile_tau 0.3",
    "--loss_function logistic -q ab",
    "-q ab --min_prediction 0 --max_prediction 0.8",
    "--loss_function logistic --vw_compat",
    "--noconstant",
    "--loss_function logistic -b 4",  # several features in a slot
]


def made(seed: int, count: int = 400, malformed: str = "1") -> list[str]:
    """Lines of which some are not ordinary: importance weights, initial predictions, no label, malformed ones."""
    drawn = random.Random(seed)
    heads = ["1", "-1", "1", "-1", "1 2", "-1 0.3", "1 0", "1 2 0.5", "", "-1 1 0.1 'tag", "1 'tag", malformed]
    return [
        f"{drawn.choice(heads) if i % 3 else drawn.choice(['1', '-1'])} |a "
        + " ".join(f"f{drawn.randrange(30)}:{drawn.random():.4g}" for _ in range(drawn.randrange(9)))
        + f" |b {' '.join(f'g{drawn.randrange(9)}' for _ in range(drawn.randrange(4)))}"
        for i in range(count)
    ]


@pytest.fixture(autouse=True)
def through(monkeypatch):
    monkeypatch.setattr(plugins, "_known", {})
    vwlite.register(Through)


@pytest.mark.parametrize("flags", FLAGS)
def test_the_same_models_and_predictions(flags, state):
    lines = made(1)
    together, alone = Workspace(flags), Workspace(f"{flags} --through")
    assert together.learn(lines) == alone.learn(lines)
    assert together.predict(lines) == alone.predict(lines)
    assert state(together) == state(alone)
    assert together.metadata()["figures"] == alone.metadata()["figures"]


@pytest.mark.parametrize(
    "flags",
    [
        "-P 7",
        "-P 1.3",
        "--examples 100",
        "--passes 4 --cache_file {}/cache -k --holdout_period 7",
        "--passes 3 --cache_file {}/cache -k --holdout_after 150",
        "--passes 2 --cache_file {}/cache -k --holdout_off",
        "-t",
        "-r {}/raw",
    ],
)
def test_the_same_tables_and_files_of_the_command(flags, tmp_path, capsys):
    data = tmp_path / "data"
    data.write_text("\n".join(made(2, malformed="x y z")) + "\n")
    found = []
    for more in ([], ["--through"]):
        predictions, words = tmp_path / "predictions", flags.format(tmp_path).split()
        assert main([str(data), "--loss_function", "logistic", "-p", str(predictions), *words, *more]) == 0
        shown = re.sub(
            r"(?m)^(Enabled|vwlite through|.*examples per second|.*reduction).*\n", "", capsys.readouterr().err
        )
        raw = (tmp_path / "raw").read_bytes() if "-r" in words else b""
        found.append((predictions.read_bytes(), raw, shown))
    assert found[0][0].count(b"\n") > 50
    assert found[0] == found[1]


def test_a_score_that_is_not_finite_is_left_to_the_learner(state):
    """Features of 3e38 with weights that grow: some scores are infinite, in the middle of ordinary rows."""
    lines = [f"{5 * (-1) ** i} |a x:{3e38 if i % 5 == 3 else 1} y:{i % 3}" for i in range(200)]
    together, alone = Workspace("--sgd --adaptive -l 1e30"), Workspace("--sgd --adaptive -l 1e30 --through")
    usual, other = Workspace("-l 1e30"), Workspace("-l 1e30 --through")
    for one, two in ((together, alone), (usual, other)):
        assert one.learn(lines) == two.learn(lines)
        assert state(one) == state(two)


def test_a_daemon_answers_as_a_run_predicts(tmp_path):
    """Pieces grow with the time that is left: answers don't depend on where they end."""
    from tests.support.daemon import serving

    lines = made(3, 3000)
    text = "".join(f"{line}\n" for line in lines).encode()
    expected = Workspace("--loss_function logistic").learn(lines)
    with serving(tmp_path, "--loss_function", "logistic") as daemon:
        answers = daemon.talk(text).decode().split("\n")[:-1]
    assert [float(answer.split()[0]) for answer in answers] == pytest.approx(expected, abs=1e-6)
