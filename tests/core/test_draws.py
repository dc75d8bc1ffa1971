"""Random numbers by key and counter, against SciPy's distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vwlite.core.draws import at, quantile


@given(st.floats(min_value=1e-300, max_value=1, exclude_max=True))
def test_the_quantile_is_that_of_scipy(p):
    assert quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("p", [0, 1, -0.5, 2, float("nan")])
def test_a_quantile_outside_the_unit_interval_is_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(p)


def test_the_bits_are_those_of_the_published_generator():
    # the first outputs of SplitMix64 from the seed 1234567, as published with it and in Rosetta Code
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [at(1234567, i)[0] for i in range(4)] == published


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("axis", ["key", "counter"])
def test_draws_have_their_distribution_along_keys_and_counters(which, axis):
    draws = [at(*((i, 7) if axis == "key" else (7, i)))[which] for i in range(20_000)]
    assert stats.kstest(draws, ["uniform", "norm"][which - 1]).pvalue > 1e-4
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03


def test_a_draw_can_be_made_again():
    assert at(2**64 - 1, 2**63) == at(2**64 - 1, 2**63)
    assert at(1, 2) != at(2, 1)
