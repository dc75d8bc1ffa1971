"""What is installed: every compiled module, under its own name, of one version, and nothing else."""

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import vwlite

# The tests also run away from the sources, against an installed wheel; then VWLITE_SOURCE says where the sources are.
SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
PACKAGE_OF = {"vwlite": "vwlite", "parsers": "vwlite.parsers", "reductions": "vwlite.reductions"}
COMPILED = sorted(
    ".".join([package, *path.relative_to(SOURCE / folder).with_suffix("").parts])
    for folder, package in PACKAGE_OF.items()
    for path in (SOURCE / folder).rglob("*.pyx")
)


def test_there_are_compiled_modules_in_each_folder():
    for package in PACKAGE_OF.values():
        assert any(name.startswith(f"{package}.") for name in COMPILED)


@pytest.mark.parametrize("name", COMPILED)
def test_module_is_compiled(name):
    assert str(importlib.import_module(name).__file__).endswith(tuple(EXTENSION_SUFFIXES))


def test_no_compiled_module_is_left_of_a_removed_source():
    installed = {
        ".".join([package, *path.relative_to(folder).parent.parts, path.name.partition(".")[0]])
        for package in PACKAGE_OF.values()
        for folder in importlib.import_module(package).__path__
        for path in Path(folder).rglob("*")
        if path.name.endswith(tuple(EXTENSION_SUFFIXES))
    }
    assert sorted(installed) == COMPILED, "`make clean` removes what was left of an older build"


@pytest.mark.parametrize("scheme", ["purelib", "platlib"])
def test_parsers_and_reductions_are_no_top_level_names(scheme):
    taken = [path.name for path in Path(sysconfig.get_path(scheme)).iterdir()]
    assert not {"parsers", "reductions", "parsers.py", "reductions.py"}.intersection(taken)


def test_contracts_are_declared_in_vwlite_alone():
    assert not [path for folder in ("parsers", "reductions") for path in (SOURCE / folder).rglob("*.pxd")]


def test_installed_contracts_are_those_of_the_sources():
    installed = Path(vwlite.__file__).parent
    contracts = [path.relative_to(SOURCE / "vwlite") for path in (SOURCE / "vwlite").rglob("*.pxd")]
    assert len(contracts) > 20
    for path in contracts:
        assert (installed / path).read_bytes() == (SOURCE / "vwlite" / path).read_bytes()


def test_version_is_the_same_everywhere():
    version = importlib.metadata.version("vwlite")
    assert vwlite.__version__ == version
    shown = subprocess.run([sys.executable, "-m", "vwlite", "--version"], capture_output=True, text=True, check=True)
    assert version in shown.stdout


# What a user of these modules has installed; nothing else imports them.
OPTIONAL = {"pyspark": "vwlite/spark/", "river": "vwlite/river.py", "sklearn": "vwlite/sklearn/"}


@pytest.mark.parametrize("oracle", ["vowpalwabbit", "river", "sklearn", "pytest", "hypothesis"])
def test_what_tests_compare_with_is_never_imported_at_run_time(oracle):
    imports = re.compile(rf"^\s*(from|import|cimport)\s+{oracle}\b|import_module\(.{oracle}", re.MULTILINE)
    users = [
        str(path)
        for folder in PACKAGE_OF
        for path in (SOURCE / folder).rglob("*.p*")
        if path.suffix in {".py", ".pyx", ".pxd", ".pyi"}
        and not path.relative_to(SOURCE).as_posix().startswith(OPTIONAL.get(oracle, "nowhere"))
        and imports.search(path.read_text())
    ]
    assert not users


@pytest.mark.parametrize("compiler", ["/nonexistent/cc", "false"])
def test_build_without_a_compiler_says_what_to_install(tmp_path, compiler):
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(SOURCE / name, tmp_path)
    (tmp_path / "README.md").touch()
    for folder in PACKAGE_OF:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text('__version__ = "0"\n')
    (tmp_path / "vwlite" / "module.pyx").touch()
    build = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext"],
        cwd=tmp_path,
        env=os.environ | {"CC": compiler},
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 1
    assert build.stderr.startswith("vwlite needs a C compiler")
    assert "apt-get install gcc" in build.stderr
    assert build.stderr.count("\n") == 1
