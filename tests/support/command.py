"""The command in a process of its own."""

import subprocess
import sys

VWLITE = [sys.executable, "-m", "vwlite"]


def run(*words: str, text: str | bytes = b"", status: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs it on `text`; asserts that it ends with `status`."""
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run([*VWLITE, *words], input=data, capture_output=True, check=False)
    assert done.returncode == status, done.stderr.decode()
    return subprocess.CompletedProcess(words, status, done.stdout.decode(), done.stderr.decode())


def predictions(*words: str, text: str | bytes = b"") -> list[str]:
    """The lines it predicts, which are all that it says."""
    done = run(*words, "--quiet", "-p", "/dev/stdout", text=text)
    assert done.stderr == ""
    return done.stdout.splitlines()
