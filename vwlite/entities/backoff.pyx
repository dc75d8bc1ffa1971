"""Patience with a disk that is full: when to try again, and when nothing more can be learned."""
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef enum:
    SPARE = 1 << 26

cdef double FIRST_PAUSE = 0.1, LONGEST_PAUSE = 10     # seconds


cdef double now() noexcept nogil:
    """Seconds on a clock that nobody sets."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + 1e-9 * time.tv_nsec


cdef class Backoff:
    """Of a store and its tables: whether entities can be written, and when that is worth the next try.

    Each try that fails doubles the pause to the next, up to ten seconds.
    """

    def __init__(self):
        self.spare = SPARE
        self.first_pause = FIRST_PAUSE

    cdef bint is_time(self) noexcept nogil:
        return self.pause == 0 or now() >= self.next_try

    def failed(self, trouble):
        """Entities could not be written."""
        self.trouble = trouble
        self.pause = min(LONGEST_PAUSE, max(self.first_pause, 2 * self.pause))
        self.next_try = now() + self.pause

    def wrote(self):
        """They could."""
        self.pause = 0


cdef class EntityGate(Gate):
    """Shut while one of the tables has as many entities in memory as it may ever have, and can write none of them."""

    def __init__(self, backoff, tables):
        self.backoff = backoff
        self.tables = tables

    cdef bint is_shut(self) except -1 nogil:
        if self.backoff.beyond == 0:
            return False
        return self.any_is_out()

    cdef bint any_is_out(self) except -1 with gil:
        return any([table.is_out() for table in self.tables])

    def why(self):
        return f"{self.backoff.trouble}; until then memory holds no more of them"
