"""The order of actions is that of a stable sort by score, for a few actions and for many."""

import random

import pytest

from vwlite import Workspace


@pytest.mark.parametrize("flags", ["", "--loss_function logistic"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 24, 25, 60])
def test_actions_are_ranked_as_by_a_stable_sort(n, flags):
    source = random.Random(n)
    workspace = Workspace(f"--cb_adf --rank_all --noconstant {flags}")
    workspace.learn(["0:-1:0.5 |a x:1", "|a x:-1", ""])
    for _ in range(20):
        values = [source.choice((-2, -1, -0.5, 0.5, 1, 1.5, 2)) for _ in range(n)]
        (ranked,) = workspace.predict([*(f"|a x:{value}" for value in values), ""])
        scores = dict(ranked)
        assert len({*scores.values()}) == len({*values})
        sign = -1 if flags else 1
        assert [action for action, _ in ranked] == sorted(range(n), key=lambda i: (sign * scores[i], i))
