"""Imports point one way: from package to package, and without a circle of modules; late and type-only ones count."""

import os
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

# The tests also run away from the sources.
ROOT = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))

# Each may import those before it. `vwlite` itself is the door for Python: it imports what it hands out when asked.
PACKAGES = (
    *("errors", "core", "features", "input", "model", "entities", "bayes", "mixed", "bases", "report"),
    *("reductions", "parsers", "engine", "tables", "judging", "journal", "explaining", "exporting", "cards"),
    *("describing", "tuning", "recommending", "pictures", "bandit", "daemon", "http", "cli"),
    *("wrappers", "sklearn", "river", "spark"),
)
DOORS = ("vwlite", "vwlite.__main__")

IMPORT = re.compile(
    r"""^\s*(?:from\s+(?P<source>vwlite[\w.]*)\s+c?import\s+(?P<names>\([^)]*\)|[^\n]*)|c?import\s+(?P<module>vwlite[\w.]*))""",
    re.MULTILINE,
)


def module_of(path: Path) -> str:
    """The name that a source file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "vwlite" else ("vwlite", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    """All source files of what is installed."""
    folders = [ROOT / name for name in ("vwlite", "parsers", "reductions")]
    return [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".pyi", ".pyx", ".pxd")]


def imported(text: str, modules: set[str]) -> Iterator[str]:
    """The modules that a source names in its imports, wherever they stand."""
    for found in IMPORT.finditer(text):
        if found["module"]:
            yield found["module"]
            continue
        names = [name.split()[0] for name in found["names"].partition("#")[0].strip("()\n ").split(",") if name.split()]
        inner = [f"{found['source']}.{name}" for name in names if f"{found['source']}.{name}" in modules]
        yield from inner
        if len(inner) < len(names) or not names:
            yield found["source"]


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What each module imports."""
    files = sources()
    modules = {module_of(path) for path in files}
    assert len(modules) > 100
    found: dict[str, set[str]] = {module: set() for module in modules}
    for path in files:
        module = module_of(path)
        if module not in DOORS:
            names = set(imported(path.read_text(), modules)) - {module, "vwlite"}
            assert names <= modules, f"{path} imports {names - modules}"
            found[module] |= names
    return found


def package(module: str) -> str:
    return module.split(".")[1]


def test_packages_import_only_those_below_them(graph):
    wrong = [
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if PACKAGES.index(package(other)) > PACKAGES.index(package(module))
    ]
    assert not wrong


def test_the_page_and_the_picture_have_all_packages():
    page = (ROOT / "docs" / "develop" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", page, re.M)
    assert tuple(row for row in rows if row in PACKAGES) == PACKAGES
    picture = (ROOT / "docs" / "develop" / "packages.svg").read_text()
    assert set(PACKAGES) <= set(re.findall(r"<text [^>]*>(\w+)", picture))


def test_packages_are_drawn_above_those_they_import(graph):
    picture = (ROOT / "docs" / "develop" / "packages.svg").read_text()
    places = {name: int(y) for y, name in re.findall(r'<text x="\d+" y="(\d+)"[^>]*>(\w+)', picture)}
    wrong = {
        (package(module), package(other))
        for module, others in graph.items()
        for other in others
        if package(module) != package(other) and places[package(module)] >= places[package(other)]
    }
    assert not wrong


def test_no_modules_import_each_other_in_a_circle(graph):
    packages = {module for module in graph if any(other.startswith(f"{module}.") for other in graph)}
    modules = {module: others - packages for module, others in graph.items() if module not in packages}
    list(TopologicalSorter(modules).static_order())  # raises CycleError


@pytest.mark.parametrize(
    "line",
    [
        "from vwlite.engine.run import Run",
        "from vwlite.engine import run, stack",
        "    from vwlite.engine.run import (\n    Run,\n)",
        "import vwlite.engine.run",
        "from vwlite.engine.run cimport Run",
        "cimport vwlite.engine.run",
        "if TYPE_CHECKING:\n    from vwlite.engine import run as again",
    ],
)
def test_an_import_is_found_however_it_is_written(line):
    modules = {"vwlite.engine", "vwlite.engine.run", "vwlite.engine.stack"}
    assert "vwlite.engine.run" in set(imported(line, modules))
