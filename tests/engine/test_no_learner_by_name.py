"""The engine names no learner: what it says of them, the learners say themselves."""

import re
from pathlib import Path

import pytest

import vwlite
from vwlite.engine import registry

FOLDER = Path(vwlite.__file__).parent
# tools for bandits play policies by name, and one table says what stands for flags of Vowpal Wabbit
TOOLS = {
    *("bandit/simulation.py", "bandit/replay.py", "bandit/worlds.py", "bandit/regret.py", "cli/simulate.py"),
    *("engine/vw_flags.py", "engine/fixed.py"),
    "describing/advice.py",  # the flags that data suggest
    # flags of a kind of models that is asked for over HTTP without any, and what stands for models of River
    *("http/engines.py", "http/river_models.py", "http/uploads.py"),
}
# keys of data that happen to be called like a learner
KEYS = {each: {"offset"} for each in ("input/bags.pyx", "http/batches.py", "http/problems.py")}
# estimators choose learners by name, as their users do
ESTIMATORS = {"sklearn", "river.py", "spark", "wrappers"}
SOURCES = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in (".py", ".pyx")]


def named() -> set[str]:
    """How one could name a learner: the flags that ask for it, and its module."""
    flags = {
        f"--{option.name}"
        for module in registry.modules()
        if hasattr(module, "OPTIONS")
        for option in module.OPTIONS.options
        if option.necessary
    }
    return flags | {f"reductions.{name}" for name in registry.names()} | {*registry.names()} - {"binary"}


def texts(path: Path) -> list[str]:
    """Literals and imported modules of a source, without comments and docstrings."""
    source = path.read_text()
    source = re.sub(r'(?m)^[ ]*[rf]?"""(?s:.*?)"""', "", source)
    source = re.sub(r"(?m)(^|\s)#.*$", "", source)
    source = re.sub(r"examples=\((?s:.*?)^ *\)", "", source, flags=re.MULTILINE)  # command lines for people
    literals = re.findall(r'"((?:[^"\\\n]|\\.)*)"', source)
    return literals + re.findall(r"(?:from|import)\s+([\w.]+)", source)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_nothing_in_the_engine_names_a_learner(path):
    place = path.relative_to(FOLDER)
    if place.as_posix() in TOOLS or {"reductions", "parsers", *ESTIMATORS} & {*place.parts}:
        return
    found = {
        name
        for text in texts(path)
        for name in named()
        if (re.search(rf"{re.escape(name)}(?![\w])", text) if name.startswith(("--", "reductions.")) else name == text)
    }
    found -= KEYS.get(place.as_posix(), set())
    assert not found, f"{path} names {found}"


def test_the_search_would_find_one(tmp_path):
    source = tmp_path / "a.py"
    source.write_text('"""--oaa"""\nx = 1  # gd\nraise ValueError("give --oaa 3")\nfrom reductions.gd import GD\n')
    assert texts(source) == ["give --oaa 3", "reductions.gd", "GD"]
