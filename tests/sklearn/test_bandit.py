"""ThompsonBandit: choices, probabilities and rewards."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from vwlite.sklearn import Choice, ThompsonBandit

DRINKS = ["tea", "wine"]


def taught(rounds=300, **parameters):
    bandit = ThompsonBandit(random_state=0, **parameters)
    for i in range(rounds):
        context = {"hour": "morning" if i % 2 else "evening", "warm": i % 3 / 2}
        action, probability = bandit.choose(context, DRINKS)
        bandit.reward(context, action, float((action == "tea") == bool(i % 2)), probability)
    return bandit


@pytest.mark.parametrize("parameters", [{}, {"separate": True}, {"outcome": "binary"}], ids=str)
def test_the_best_action_of_each_context_is_learned(parameters):
    bandit = taught(**parameters)
    contexts = [{"hour": "morning", "warm": 0.5}, {"hour": "evening", "warm": 0.5}]
    assert bandit.predict(contexts, DRINKS) == ["tea", "wine"]
    assert bandit.probabilities(contexts[0], DRINKS)[0] > 0.95
    assert bandit.probabilities(contexts[0], DRINKS).sum() == pytest.approx(1)


def test_at_first_all_actions_are_equally_probable():
    choice = ThompsonBandit(random_state=0).choose({"hour": 9}, DRINKS)
    assert isinstance(choice, Choice)
    assert choice == (choice.action, 0.5)


def test_choices_have_the_frequencies_of_their_probabilities():
    bandit = taught(10)
    wanted = bandit.probabilities(None, DRINKS)[0]
    found = np.mean([bandit.choose(None, DRINKS).action == "tea" for _ in range(2000)])
    assert found == pytest.approx(wanted, abs=0.05)


def test_a_share_is_spread_evenly():
    assert min(taught(explore=0.2).probabilities({"hour": "morning"}, DRINKS)) >= 0.0999


def test_features_of_actions_tell_of_actions_never_seen():
    bandit = ThompsonBandit(random_state=0)
    for i in range(200):
        prices = [{"price": float(i % 7)}, {"price": float(i % 5)}]
        action, _ = bandit.choose({}, prices)
        bandit.reward({}, action, -action["price"])
    assert bandit.predict([{}], [{"price": 30.0}, {"price": 1.5}, {"price": 9.0}]) == [{"price": 1.5}]


def test_rewards_may_come_later_and_in_a_log():
    bandit, log = ThompsonBandit(random_state=0), []
    for i in range(200):
        context = {"hour": "morning" if i % 2 else "evening"}
        log.append((context, *bandit.choose(context, DRINKS)))
    rewards = [float((action == "tea") == (context["hour"] == "morning")) for context, action, _ in log]
    contexts, actions, probabilities = zip(*log, strict=True)
    bandit.partial_fit(contexts, actions, rewards, probabilities)
    assert bandit.predict([{"hour": "morning"}, {"hour": "evening"}], DRINKS) == ["tea", "wine"]
    anew = clone(bandit).fit(contexts, actions, rewards)
    context = {"hour": "morning"}
    assert anew.probabilities(context, DRINKS).tolist() == bandit.probabilities(context, DRINKS).tolist()


def test_a_seed_and_a_copy_repeat_the_choices():
    bandit = taught(20)
    other = pickle.loads(pickle.dumps(bandit))
    assert [bandit.choose(None, DRINKS) for _ in range(50)] == [other.choose(None, DRINKS) for _ in range(50)]
    assert taught(20).choose(None, range(9)) == taught(20).choose(None, range(9))


def test_what_looks_like_the_text_format_is_only_text():
    bandit = ThompsonBandit(random_state=0)
    odd = {"x |a tea": "1:9 |b", "_label": "\n0:1:1 | z", "é": 1, "": True}
    actions = ["tea\n0:5:1 |a", "wine | b", 7]
    for action in actions:
        bandit.reward(odd, action, 0.0)
    assert len(bandit.probabilities(odd, actions)) == 3


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda bandit: bandit.choose({}, []), "no actions"),
        (lambda bandit: bandit.choose({}, "tea"), "a list of names"),
        (lambda bandit: bandit.choose([1], DRINKS), "a context is a dict"),
        (lambda bandit: bandit.choose({}, [1.5]), "an action is a text"),
        (lambda bandit: bandit.choose({"x": float("nan")}, DRINKS), "the feature 'x' is nan"),
        (lambda bandit: bandit.choose({"x": 1e300}, DRINKS), "the feature 'x' is 1e"),
        (lambda bandit: bandit.choose({"x": [1]}, DRINKS), "'x' is of type list"),
        (lambda bandit: bandit.reward({}, "tea", float("nan")), "reward nan"),
        (lambda bandit: bandit.reward({}, "tea", 1, probability=0), "probability 0"),
        (lambda bandit: bandit.partial_fit([{}], DRINKS, [1]), "1 contexts, 2 actions"),
        (lambda bandit: bandit.partial_fit([{}, {}], ["tea", 1.5], [1, 1]), "an action is a text"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_learned(call, why):
    bandit = taught(10)
    before = bandit.workspace_.to_bytes()
    with pytest.raises((ValueError, TypeError), match=why):
        call(bandit)
    assert bandit.workspace_.to_bytes() == before


@pytest.mark.parametrize(
    ("parameters", "action", "reward", "why"),
    [
        ({"outcome": "large"}, "tea", 1, "expected number or binary"),
        ({"outcome": "binary"}, "tea", 0.5, "neither 0 nor 1"),
        ({"separate": True}, {"price": 1}, 1, "a text or a whole number, not dict"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters, action, reward, why):
    with pytest.raises((ValueError, TypeError), match=why):
        ThompsonBandit(**parameters).reward({}, action, reward)
