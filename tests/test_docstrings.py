"""Examples in docstrings do what they say, and those of the public interface document every argument and result."""

import doctest
import importlib
import inspect
import pkgutil
import re
from importlib.util import find_spec

import pytest

import vwlite
from vwlite.daemon.session import Session


def is_source(name: str) -> bool:
    """Whether a module is one of Python's, and no compiled one."""
    spec = find_spec(name)
    return spec is not None and str(spec.origin).endswith(".py") and not name.endswith("__main__")


# The classes of pyspark.ml need it to be defined; all other modules of vwlite.spark import it when they are used.
ABSENT = () if find_spec("pyspark") else ("vwlite.spark.ml",)
MODULES = [
    name for _, name, _ in pkgutil.walk_packages(vwlite.__path__, "vwlite.") if is_source(name) and name not in ABSENT
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 10


# The names that vwlite exports, its exceptions, and the Python client of the daemon.
PUBLIC = {
    **{name: getattr(vwlite, name) for name in vwlite.__all__ if callable(getattr(vwlite, name))},
    **{
        name: error
        for name, error in vars(vwlite.errors).items()
        if inspect.isclass(error) and error.__module__ == "vwlite.errors" and "__init__" in vars(error)
    },
    "Session": Session,
}
METHODS = {
    f"{name}.{method}": getattr(cls, method)
    for name, cls in PUBLIC.items()
    if inspect.isclass(cls)
    for method in vars(cls)
    if not method.startswith("_") and inspect.isroutine(getattr(cls, method))
}


def sections(text):
    """The lines of a docstring's sections by their titles, as "Args"."""
    parts = re.split(r"(?m)^(Args|Attributes|Class attributes|Returns|Yields|Raises):$", inspect.cleandoc(text or ""))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parameters(function):
    """The names of a function's parameters without self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_the_public_interface_documents_each_argument_and_what_is_returned(name):
    documented = {**PUBLIC, **METHODS}[name]
    text = documented.__doc__
    if inspect.isclass(documented) and "Args:" not in text:
        text = documented.__init__.__doc__
    args = re.findall(r"(?m)^    (\w+): \S", sections(text).get("Args", ""))
    assert args == parameters(documented)
    if not inspect.isclass(documented) and inspect.signature(documented).return_annotation not in (None, "None"):
        assert {"Returns", "Yields"} & sections(text).keys()


def test_the_public_interface_is_not_empty():
    assert {"Option", "Reduction", "Workspace", "register", "ParseError", "Session"} <= PUBLIC.keys()
    assert {"Workspace.learn", "Workspace.load", "Reduction.predict", "Session.stream"} <= METHODS.keys()
