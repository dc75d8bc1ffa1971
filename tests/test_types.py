"""Types: what a type checker knows of a program that uses vwlite, as an installed package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
FOLDERS = {"vwlite": "vwlite", "parsers": "vwlite/parsers", "reductions": "vwlite/reductions"}

PROGRAM = """
from typing import Any, assert_type

import vwlite
from vwlite.core.hashing import feature_hash
from vwlite.core.options import Options
from vwlite.engine.coefficients import Coefficients
from vwlite.model import model_file
from vwlite.report.off_policy import OffPolicy

workspace = vwlite.Workspace("--bayes_logistic --random_effect user")
workspace.learn({"user": "ann", "price": 2.5}, y=1.0, weight=2.0, tag="t")
workspace.learn(["1 | a", "-1 | b"])
workspace.save("a.model")
assert_type(workspace.report(), dict[str, float | None])
assert_type(workspace.unmatched(), list[str])
assert_type(workspace.sensitivity("1 | a"), float | None)
assert_type(workspace.to_bytes(), bytes)
assert_type(vwlite.Workspace.from_bytes(b""), vwlite.Workspace)
assert_type(vwlite.Workspace.load("a.model", "-t"), vwlite.Workspace)
assert_type(workspace.load("a.model"), vwlite.Workspace)
assert_type(workspace.coefficients("user"), Coefficients)
assert_type(workspace.metadata(), dict[str, Any])
assert_type(model_file.open("a.model"), model_file.ModelReader)
assert_type(feature_hash(b"price"), int)
assert_type(OffPolicy().estimates().ips.low, float | None)
with vwlite.Workspace() as other:
    assert_type(other, vwlite.Workspace)
try:
    vwlite.Workspace("--no_such")
except vwlite.errors.OptionError as error:
    assert_type(error.errors, list[str])


@vwlite.register
class Clip(vwlite.Reduction):
    name = "clip"
    options = (vwlite.Option("clip_at", float, "largest label", necessary=True, keep=True),)

    def __init__(self, options: Options) -> None:
        self.at: float = options["clip_at"]

    def learn(self, example: Any) -> float:
        example.label = min(example.label, self.at)
        return self.base.learn(example)


{more}
"""

MISTAKES = (
    ("workspace.learn()", "Missing positional argument"),
    ("vwlite.Workspace(flags=7)", 'Argument "flags" to "Workspace" has incompatible type "int"'),
    ("vwlite.Workspace.load(7)", 'Argument 1 to "__call__" of "LoadFunction" has incompatible type "int"'),
    ('feature_hash("price")', 'Argument 1 to "feature_hash" has incompatible type "str"'),
    ("workspace.teach([])", '"Workspace" has no attribute "teach"'),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a type checker reads of the installed package."""
    site = tmp_path_factory.mktemp("site")
    for folder, place in FOLDERS.items():
        for path in (SOURCE / folder).rglob("*"):
            if path.suffix in (".py", ".pyi") or path.name == "py.typed":
                to = site / place / path.relative_to(SOURCE / folder)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
    (site / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    return site


def test_a_program_is_checked_by_its_types(installed, tmp_path):
    pytest.importorskip("mypy")
    program = PROGRAM.replace("{more}", "\n".join(text for text, _ in MISTAKES))
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--config-file", str(installed / "mypy.ini"), "program.py"]
    found = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(installed)}, capture_output=True, text=True
    )
    lines = [line for line in found.stdout.splitlines() if line.startswith("program.py") and ": error: " in line]
    first = program[: program.index(MISTAKES[0][0])].count("\n") + 1
    assert len(lines) == len(MISTAKES), found.stdout
    for i, (line, (_, message)) in enumerate(zip(lines, MISTAKES, strict=True)):
        assert line.startswith(f"program.py:{first + i}: error: {message}"), line
