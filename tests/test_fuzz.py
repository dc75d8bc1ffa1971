"""The fuzzer itself: it finds what it should find, and a few of its cases for each target."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def fuzz(folder, *words, before=""):
    """Runs it in a process of its own, with some Python before."""
    code = f"{textwrap.dedent(before)}\nimport sys\nfrom tests.fuzz.__main__ import main\nsys.exit(main())"
    command = [sys.executable, "-c", code, "--workers", "1", "--folder", str(folder / "fuzz"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_each_reader_withstands_some_random_input(tmp_path):
    done = fuzz(tmp_path, "--seed", "1", "--cases", "48")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "48 cases, 0 failed" in done.stdout


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ("raise KeyError('oops')", "an error"),
        ("os.abort()", f"signal {int(signal.SIGABRT)}"),
        ("print('Traceback (most recent call last):')", "an error"),
        ("targets.main = lambda words: open('stranger', 'w').close() or 0; targets.command('x')()", "an error"),
    ],
)
def test_a_reader_that_fails_is_found_and_the_others_go_on(tmp_path, fault, shown):
    before = f"""
        import os
        from tests.fuzz import targets
        def bad(r):
            def read():
                {fault}
            return read
        def good(r):
            return lambda: None
        targets.TARGETS = (bad, good)
        targets.make_samples = lambda folder: folder.mkdir(parents=True)
    """
    done = fuzz(tmp_path, "--seed", "2", "--cases", "4", before=before)
    assert done.returncode == 1
    assert f"bad 2: {shown}" in done.stdout
    assert f"bad 4: {shown}" in done.stdout
    assert "4 cases, 2 failed" in done.stdout
    assert (tmp_path / "fuzz" / "found-bad-2" / "said").exists()
    assert os.listdir(tmp_path / "fuzz" / "worker-0")
