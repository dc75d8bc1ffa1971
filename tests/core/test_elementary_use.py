"""Exponentials, logarithms and powers come from elementary.h: other libraries' last digits depend on the processor."""

import os
import re
from pathlib import Path

ROOT = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[2]))

NAMES = "acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp2 expm1 hypot lgamma log log10 log1p log2"
NAMES += " logaddexp logaddexp2 pow power sin sinh tan tanh tgamma"
FUNCTION = rf"(?:{'|'.join(NAMES.split())})[fl]?"

# simulations draw from NumPy's generators, whose logarithms are NumPy's; the daemon's are those of its statistics
OTHER_PYTHON = ("vwlite/bandit", "vwlite/daemon")


def sources(*kinds: str) -> list[tuple[str, str]]:
    """(path, text without comments) of all that is installed."""
    paths = [path for folder in ("vwlite", "parsers", "reductions") for path in sorted((ROOT / folder).rglob("*"))]
    texts = [(path.relative_to(ROOT).as_posix(), path) for path in paths if path.suffix in kinds]
    assert texts
    return [(name, re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)) for name, path in texts]


def test_cython_takes_none_from_libc():
    taken = re.compile(r"from libc\.math cimport (\([^)]*\)|[^\n]*)")
    wrong = [
        (name, function)
        for name, text in sources(".pyx", ".pxd")
        for names in taken.findall(text)
        for function in re.findall(rf"\b{FUNCTION}\b", names)
    ]
    assert wrong == []
    assert [name for name, text in sources(".pyx", ".pxd") if "cimport libc.math" in text] == []


def test_c_calls_none():
    assert [(name, found) for name, text in sources(".h") for found in re.findall(rf"\b{FUNCTION}\(", text)] == []


def test_python_calls_none():
    calls = re.compile(rf"\b(?:np|math|numpy)\.{FUNCTION}\b")
    wrong = [(name, found) for name, text in sources(".py", ".pyx") for found in calls.findall(text)]
    assert [each for each in wrong if not each[0].startswith(OTHER_PYTHON)] == []
