"""Models and predictions have the same bits, whichever instructions the processor has.

Where the C library, NumPy and OpenBLAS heed no environment variables about that, the runs are trivially the same.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.support.models import arrays
from tests.support.processors import ABOUT_THE_SAME, RUNS, less_of_a_processor, run_apart

EVERY = [*RUNS, *ABOUT_THE_SAME]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("all"), tmp_path_factory.mktemp("less")
    run_apart(folders[0], EVERY, {})
    run_apart(folders[1], EVERY, less_of_a_processor())
    return folders


@pytest.mark.parametrize("name", RUNS)
def test_same_bits(folders, name):
    """A model within a model has an id and a time, which differ."""
    one, other = (arrays(folder / f"{name}.model") for folder in folders)
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key] and not key.endswith(".metadata")] == []
    assert (folders[0] / f"{name}.txt").read_text() == (folders[1] / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", ABOUT_THE_SAME)
def test_same_to_many_digits(folders, name):
    one, other = (arrays(folder / f"{name}.model") for folder in folders)
    assert one.keys() == other.keys()
    for key, (kind, shape, content) in one.items():
        assert other[key][:2] == (kind, shape)
        if kind == "F64":
            found, expected = (np.frombuffer(each, np.float64) for each in (content, other[key][2]))
            assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(initial=0)), key
