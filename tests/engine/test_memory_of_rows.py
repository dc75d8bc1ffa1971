"""What Python hands over takes no memory once it is learned, however many calls there are."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from vwlite import Workspace

CALLS = 20
LONG = "x" * 1000
FLAGS = "--random_effect user --bayes_linear"  # whose names are kept beside the features


def resident():
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def dicts(workspace):
    for _ in range(1000):
        workspace.predict({"user": {"u1": True}, "city": LONG})


def lists(workspace):
    workspace.predict([{"user": {"u1": True}, "city": LONG}] * 1000)


def arrow(workspace):
    workspace.predict(pa.table({"user": ["u1"] * 1000, "city": [LONG] * 1000}))


def arrays(workspace):
    workspace.predict(np.ones((600, 1000), np.float32), columns=[f"{LONG}{i}" for i in range(1000)])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.skipif("VWLITE_SANITIZED" in os.environ, reason="the sanitizer keeps what is freed")
@pytest.mark.parametrize("door", [dicts, lists, arrow, arrays])
def test_texts_of_examples_are_not_kept(door):
    workspace = Workspace(FLAGS)
    for _ in range(3):
        door(workspace)
    before = resident()
    for _ in range(CALLS):
        door(workspace)
    assert resident() - before < 8e6  # of 20 MB of texts that were handed over


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
@pytest.mark.skipif("VWLITE_SANITIZED" in os.environ, reason="the sanitizer keeps what is freed")
def test_texts_of_a_database_are_not_kept(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "big.db")) as database, database:
        database.execute("create table t (y, user, city)")
        database.executemany("insert into t values (1, 'u1', ?)", ((f"{LONG}{i % 100}",) for i in range(40_000)))

    def peak(rows):
        query = f"sqlite:{tmp_path / 'big.db'}?select * from t limit {rows}"
        script = (
            "import resource, subprocess, sys\n"
            "subprocess.run([sys.executable, '-m', 'vwlite', *sys.argv[1:]], check=True)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        words = [*FLAGS.split(), "--label", "y", "--quiet", "-d", query]
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
        return 1e3 * float(done.stdout)

    assert peak(40_000) - peak(5_000) < 15e6  # of 35 MB of texts more
