"""vwlite without scikit-learn and River: it works, and what needs them says what to install."""

import subprocess
import sys

import pytest


def python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "package", "extra"), [("sklearn", "scikit-learn", "sklearn"), ("river", "River", "river")]
)
def test_one_line_says_what_to_install(module, package, extra):
    done = python(f"import sys; sys.modules[{module!r}] = None; import vwlite.{module}")
    assert done.returncode == 1
    remedy = f"ImportError: vwlite.{module} needs {package}: pip install 'vwlite[{extra}]'"
    assert done.stderr.splitlines()[-1] == remedy
    assert "During handling" not in done.stderr


def test_an_old_scikit_learn_is_named():
    done = python("import sklearn; sklearn.__version__ = '1.5.2'; import vwlite.sklearn")
    assert "needs scikit-learn 1.6 or later, and this is 1.5.2" in done.stderr.splitlines()[-1]


def test_import_vwlite_brings_neither():
    program = "import sys, vwlite; vwlite.Workspace(); print(sorted({'sklearn', 'river', 'pandas'} & set(sys.modules)))"
    assert python(program).stdout == "[]\n"
