"""A PostgreSQL server for tests: its own, in a new folder, reached by a socket there."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

USER = "postgres"


def programs() -> Path | None:
    """The folder of the newest server's programs; None without one."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if found:
        return Path(found[-1]).parent
    here = shutil.which("initdb")
    return Path(here).parent if here else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Starts a server; yields the URL of its database for SQLAlchemy.

    PostgreSQL refuses to run as root: then it runs as the user whom Debian's package makes.
    """
    folder = programs()
    assert folder is not None
    place = Path(tempfile.mkdtemp(prefix="vwlite-postgres-"))
    own: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam(USER)
        os.chown(place, account.pw_uid, account.pw_gid)
        own = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def run(*words: str) -> None:
        subprocess.run([str(folder / words[0]), *words[1:]], check=True, capture_output=True, cwd=place, **own)

    try:
        run("initdb", "-D", "data", "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        run(
            "pg_ctl", "-D", "data", "-w", "-t", "120", "-l", "log", "-o", f"-k {place} -c listen_addresses= -F", "start"
        )
        try:
            yield f"postgresql+psycopg://{USER}@/postgres?host={place}"
        finally:
            run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)
