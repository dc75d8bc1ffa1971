"""What all tests of the daemon share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.leftovers import all_ended


@pytest.fixture(autouse=True)
def no_daemon_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test has started in its folder has ended after it, also if it failed."""
    with all_ended(tmp_path):
        yield
