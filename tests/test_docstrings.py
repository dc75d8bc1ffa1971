"""Examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil
from importlib.util import find_spec

import pytest

import vwlite


def is_source(name: str) -> bool:
    """Whether a module is one of Python's, and no compiled one."""
    spec = find_spec(name)
    return spec is not None and str(spec.origin).endswith(".py") and not name.endswith("__main__")


MODULES = [name for _, name, _ in pkgutil.walk_packages(vwlite.__path__, "vwlite.") if is_source(name)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 10
