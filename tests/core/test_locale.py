"""Numbers are read and written the same in a program that has set a locale with a decimal comma."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOST = """
import locale, sys
from vwlite import Workspace
from vwlite.cli import main
if sys.argv[1] != "C":
    locale.setlocale(locale.LC_ALL, sys.argv[1])
    assert locale.localeconv()["decimal_point"] == ","
open("data", "w").write("0.12345678901234567 |a x:0.12345678901234567 y:1.5e-30 z:12345678901234567890.5\\n"
                        "1.5e-30 1.25 0.0000000001 |a:0.30000000000000004 x:1e-05 inf:0.1\\n" * 9)
open("decisions", "w").write("0:1.5:0.12345678901234567 |a x\\n|a y:0.10000000000000001\\n\\n" * 5)
for flags in (
    "data -f m -p - -r raw --readable_model /dev/stdout -P 1",
    "data -i m -p - --audit",
    "data --bayes_linear --columns prediction,sd -p - --l2 0.1",
    "decisions --explore thompson --bayes_linear -p - -r /dev/stdout",
):
    print(flags, main(["-d", *flags.split()]), flush=True)
workspace = Workspace("--loss_function logistic --logistic_min 0 --logistic_max 1 -l 0.1")
print(workspace.learn(["0.12345678901234567 |a x:0.12345678901234567 y:1.5e-30"] * 20))
print(workspace.driver.counters.weighted_labels)
"""


@pytest.fixture(scope="module")
def comma(tmp_path_factory):
    """A folder with the locale de_DE.UTF-8, made where the machine has none."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("needs localedef and the sources of locales")
    folder = tmp_path_factory.mktemp("locales")
    subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], check=True, capture_output=True
    )
    return folder


def test_a_decimal_comma_changes_nothing(tmp_path, comma):
    said = []
    for name in ("C", "de_DE.UTF-8"):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", HOST, name],
            cwd=tmp_path / name,
            capture_output=True,
            text=True,
            env={**os.environ, "LOCPATH": str(comma)},
            check=True,
        )
        said.append(done.stdout + done.stderr)
    assert said[0] == said[1]
    assert "0.123457" in said[0]
