"""The threads of BLAS while vwlite calls it, in a program that lets it have several."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from vwlite.bayes import blas, solve

PROGRAM = """
import numpy as np, scipy.linalg
from vwlite import Workspace
from vwlite.bayes import blas, solve
libraries = blas.libraries()
for library in libraries:
    library.set_threads(3)
seen = []
factor = solve.factor
solve.factor = lambda a: seen.append([library.get_threads() for library in libraries]) or factor(a)
workspace = Workspace("--bayes_linear --noise 1")
workspace.learn(["1 | " + " ".join("f%d" % i for i in range(100))] * 3)
{end}
print(len(libraries) > 0, bool(seen), {{number for numbers in seen for number in numbers}},
      {{library.get_threads() for library in libraries}})
"""


def test_a_program_keeps_its_threads_and_vwlite_takes_one():
    program = PROGRAM.format(
        end="one, none = np.ones(1), np.zeros(100)\n"
        "solve.minimise(np.ones((1, 100)), one, one, 0 * one, False, solve.pack(np.eye(100)), none)"
    )
    environment = os.environ | {"PATH": "", "OPENBLAS_NUM_THREADS": "4"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "{1}", "{3}"]


def test_threads_come_back_after_an_error_and_from_several_callers():
    libraries = blas.libraries()
    before = [library.get_threads() for library in libraries]
    for library in libraries:
        library.set_threads(2)
    try:
        one, bad = np.ones(1), solve.pack(np.full((3, 3), np.nan))
        with pytest.raises(FloatingPointError):
            solve.minimise(np.ones((1, 3)), one, one, 0 * one, False, bad, np.zeros(3))
        assert {library.get_threads() for library in libraries} <= {2}
        inside, leave = threading.Barrier(3), threading.Event()

        def call() -> None:
            with blas.one_thread():
                inside.wait(30)
                leave.wait(30)

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        inside.wait(30)
        assert {library.get_threads() for library in libraries} <= {1}
        leave.set()
        for thread in threads:
            thread.join()
        assert {library.get_threads() for library in libraries} <= {2}
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_threads(number)


def test_a_bootstrap_and_a_recommender_take_one_thread(monkeypatch):
    # with two, some products of a bootstrap took thirty times as long, and their last bits depended on the number
    from vwlite.judging import intervals
    from vwlite.recommending import softmax

    libraries, seen = blas.libraries(), []

    def counted(function):
        def counting(*args):
            seen.append([library.get_threads() for library in libraries])
            return function(*args)

        return counting

    monkeypatch.setattr(intervals, "draws", counted(intervals.draws))
    monkeypatch.setattr(softmax, "groups", counted(softmax.groups))
    before = [library.get_threads() for library in libraries]
    for library in libraries:
        library.set_threads(2)
    try:
        intervals.sampled(np.ones((5, 3)), intervals.Resampling(10))
        user, one = np.zeros(2, int), np.ones(2)
        pairs = softmax.Pairs(user, np.arange(2), one, one / 2, 1, 2)
        softmax.fit(pairs, softmax.begin(pairs, 1, 0), softmax.Penalty(1.0, 1.0, 0.0), 2)
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_threads(number)
    assert len(seen) > 1
    assert {number for numbers in seen for number in numbers} == {1}
