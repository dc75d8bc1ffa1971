"""Limit BLAS to one thread during vwlite's calls.

The problems are small and sequential: several threads are much slower for them than one, most of all on a loaded
machine, and they change the order of sums. The command sets environment variables before numpy is loaded; a program
that uses vwlite keeps its own number of threads for its own calls.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# In the wheels of numpy and scipy, the functions of OpenBLAS have a prefix and a suffix.
NAMES = [
    *(
        (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
        for prefix in ("", "scipy_")
        for suffix in ("", "64_", "_64")
    ),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
]


class Library(NamedTuple):
    """A BLAS library loaded by this process."""

    get_threads: Callable[[], int]
    set_threads: Callable[[int], Any]


def paths() -> list[str]:
    """Files of the BLAS libraries that numpy and scipy have loaded."""
    try:
        with open("/proc/self/maps") as file:
            mapped = {words[5] for words in (line.split(maxsplit=5) for line in file) if len(words) > 5}
        files = [path.rstrip("\n") for path in mapped]
    except OSError:
        files = [
            path
            for name in ("numpy", "scipy")
            if (module := sys.modules.get(name)) is not None and module.__file__ is not None
            for folder in (f"{os.path.dirname(module.__file__)}.libs", f"{os.path.dirname(module.__file__)}/.dylibs")
            for path in glob.glob(f"{glob.escape(folder)}/*")
        ]
    return sorted(path for path in files if any(kind in os.path.basename(path) for kind in ("openblas", "mkl_rt")))


@functools.cache
def libraries() -> list[Library]:
    """The libraries whose number of threads can be set; call it after numpy and scipy are loaded."""
    found = []
    for path in paths():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for getter, setter in NAMES:
            if hasattr(library, getter) and hasattr(library, setter):
                found.append(Library(getattr(library, getter), getattr(library, setter)))
                break
    return found


_lock = threading.Lock()
_inside = 0  # active calls of one_thread()
_before: list[int] = []  # threads of each library before the first of them


@contextmanager
def one_thread() -> Iterator[None]:
    """Context manager: BLAS has one thread inside, and the previous number afterwards. Reentrant and thread-safe."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = [library.get_threads() for library in libraries()]
            _set([1] * len(_before))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_before)


def _set(threads: list[int]) -> None:
    for library, number, before in zip(libraries(), threads, _before, strict=True):
        if before != 1:
            library.set_threads(number)


def in_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: BLAS has one thread inside the function."""

    @functools.wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with one_thread():
            return function(*args, **kwargs)

    return limited
