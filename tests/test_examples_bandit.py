"""The example of decisions runs as it stands, and what it prints is true."""

import re

import pytest

from tests.support.scripts import play


@pytest.fixture(scope="module")
def bandit(tmp_path_factory):
    """Where bandit.sh wrote to, and what it printed."""
    return play("bandit", "bandit.sh", tmp_path_factory.mktemp("bandit") / "out")


def column(path, name):
    """A column of the table in a file, by policy."""
    header, *rows = path.read_text().split("\n\n")[1].splitlines()
    place = re.split(r"  +", header).index(name)
    return {row.split()[0]: float(row.split()[place].rstrip("%")) for row in rows}


def figures(path):
    return {name: float(value) for name, value in re.findall(r"^(\w[\w ]*) = (-?[\d.]+)$", path.read_text(), re.M)}


def worth(path):
    """(expected cost, that of the best choices) of each line."""
    return [
        (float(cost), float(best))
        for cost, best in re.findall(r"^expected cost = (\S+) \(the best choices: (\S+)\)$", path.read_text(), re.M)
    ]


def test_thompson_loses_less_than_the_others(bandit):
    regret = column(bandit[0] / "arms.table", "regret")
    assert regret["thompson"] == min(regret.values())
    assert regret["thompson"] < 0.3 * regret["random"]
    regret = column(bandit[0] / "ads.table", "regret")
    assert regret["thompson:0.5"] < 0.5 * regret["random"]


def test_the_plots_are_there_if_they_can_be(bandit):
    pytest.importorskip("matplotlib")
    for name in ("arms", "ads"):
        assert (bandit[0] / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_learned_is_worth_more_than_chance(bandit):
    ((cost, best),) = worth(bandit[0] / "decided.worth")
    ((chance, _),) = worth(bandit[0] / "choices.worth")
    assert best < cost < 0.9 * best < chance


def test_estimates_from_a_log_hold_the_truth(bandit):
    ((cost, _),) = worth(bandit[0] / "decided.worth")
    found = figures(bandit[0] / "tested.summary")
    for name in ("ips", "snips", "dr"):
        assert found[f"{name} low"] < cost < found[f"{name} high"]
        assert found[f"{name} low"] < found[name] < found[f"{name} high"]
    assert 500 < found["effective decisions"] < 3000


def test_a_decision_is_made_again(bandit):
    again = (bandit[0] / "again").read_text().strip()
    assert again.endswith(" v4321")
    assert again in (bandit[0] / "decided").read_text().splitlines()


def test_going_on_is_as_if_it_had_never_stopped(bandit):
    assert (bandit[0] / "decided").read_bytes() == (bandit[0] / "decided_again").read_bytes()
    assert "\nidentical\n" in bandit[1]


def test_decisions_get_better_by_the_hour(bandit):
    hours = worth(bandit[0] / "hours.worth")
    assert len(hours) == 6
    shares = [cost / best for cost, best in hours]
    assert shares[0] < 0.65
    assert max(shares[1:3]) > 0.8
    assert min(shares[4:]) > 0.9


def test_the_replay_tells_who_learns(bandit):
    cost = column(bandit[0] / "replay.table", "mean cost")
    assert all(cost[policy] < cost["random"] - 0.04 for policy in cost if policy != "random")
    truth = worth(bandit[0] / "choices.worth")[0][0]
    errors = column(bandit[0] / "replay.table", "+-")
    assert cost["random"] == pytest.approx(truth, abs=3 * errors["random"])
