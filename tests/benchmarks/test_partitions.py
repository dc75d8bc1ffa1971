"""The simulation of partitions at scale: its sums are right, and a large entity decides when a job ends."""

import numpy as np
import pytest

from benchmarks.partitions import ROWS_A_SECOND, TASK, Plan, last_end, power_sums, simulate

PLAN = Plan(10_000_000, 1_000_000, 100_000_000, 512, 50, 0.8, 0)


@pytest.mark.parametrize("exponent", [0.5, 0.8, 1.0])
def test_sums_of_powers_beyond_what_is_added_one_by_one(exponent):
    exact = sum(r**-exponent for r in range(1, 3_000_001))
    assert power_sums(3_000_000, exponent) == pytest.approx(exact, rel=1e-9)


def test_all_rows_are_somewhere():
    found = simulate(PLAN)
    assert found.mean * PLAN.partitions == pytest.approx(PLAN.rows, rel=1e-6)
    assert found.dropped == 0
    assert found.entities >= PLAN.entities / PLAN.partitions


def test_without_a_limit_the_largest_entity_decides_when_the_job_ends():
    free, limited = simulate(PLAN._replace(exponent=1.0)), simulate(PLAN._replace(exponent=1.0, max_rows=10_000))
    assert free.seconds > free.largest / ROWS_A_SECOND
    assert limited.dropped > 0.1
    assert limited.worst < free.worst / 10
    assert limited.seconds < free.seconds / 2


def test_tasks_take_the_first_core_that_is_free():
    assert last_end(np.array([3.0, 1.0, 1.0, 1.0]), 2) == 3.0
    assert last_end(np.full(5, TASK), 2) == 3 * TASK
