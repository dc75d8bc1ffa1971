"""What tests that mount and start things leave behind, also when they fail: nothing."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 60.0  # seconds that a killed process may take to end


@contextlib.contextmanager
def all_ended(folder: Path) -> Iterator[None]:
    """Afterwards no process has its working folder in this one, but the tests' own. (Elsewhere than on Linux, no-op.)

    What was started in the background has no parent that could be asked for it.
    """
    try:
        yield
    finally:
        for number in working_in(folder):
            with contextlib.suppress(ProcessLookupError):
                process = os.pidfd_open(number)
                try:
                    if number in working_in(folder):  # it is still the one that was found
                        signal.pidfd_send_signal(process, signal.SIGKILL)
                        select.select([process], [], [], PATIENCE)
                finally:
                    os.close(process)


def working_in(folder: Path) -> set[int]:
    """The processes whose working folder is this one or inside it, but the one that asks."""
    found = set()
    place = f"{folder.resolve()}/"
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if f"{os.readlink(link)}/".startswith(place):
                found.add(int(link.parent.name))
    return found - {os.getpid()}


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes at a place, which is made; skips the test where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a small file system, and not everywhere")
        yield place
    finally:
        # lazily: a process, or a thread of a test that failed, may still use it
        while place.is_mount():
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leaves no room on a small disk; returns the file that takes it."""
    filler = place / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler
