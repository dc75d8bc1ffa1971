"""Cholesky factors of full posteriors: saved and loaded whatever number of coefficients has one."""

from vwlite import Workspace

# Crossing repeats features: capacity for more than 64 coefficients is reserved, and fewer are used.
LINES = ["1 |b W q:t |a p u^v n:-0.5", "1 | x n:-0.5 z z z", "0 |b W |a p", "1 | x"]
FLAGS = "--bayes_linear --noise 1 -q :: -q aa --permutations --cubic aab"


def test_a_model_of_few_coefficients_with_a_factor_is_loaded_and_goes_on(tmp_path):
    whole, first = Workspace(FLAGS), Workspace(FLAGS)
    whole.learn(LINES)
    first.learn(LINES[:2])
    first.save(tmp_path / "m")
    again = Workspace.load(tmp_path / "m")
    assert len(again.coefficients()) <= 64
    again.learn(LINES[2:])
    assert again.predict(LINES[0]) == whole.predict(LINES[0])
    assert str([*again.coefficients()]) == str([*whole.coefficients()])
