"""Labels and weights that must not be written to: those of memory maps, of Parquet files, of worker processes."""

import numpy as np

from vwlite import Workspace


def test_arrays_that_are_read_only_are_learned_from():
    x, y, weight = np.eye(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0])
    expected = Workspace().learn(x, y, weight)
    for array in (x, y, weight):
        array.flags.writeable = False
    assert Workspace().learn(x, y, weight).tolist() == expected.tolist()
