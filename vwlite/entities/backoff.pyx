"""Exponential backoff on a full disk, and the gate that stops learning."""
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef enum:
    SPARE = 1 << 26

cdef double FIRST_PAUSE = 0.1, LONGEST_PAUSE = 10     # seconds


cdef double now() noexcept nogil:
    """Seconds on a monotonic clock."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + 1e-9 * time.tv_nsec


cdef class Backoff:
    """Exponential backoff of a store's writes, shared by its tables.

    Each failed write doubles the pause before the next, up to ten seconds.
    """

    def __init__(self):
        self.spare = SPARE
        self.first_pause = FIRST_PAUSE

    cdef bint is_time(self) noexcept nogil:
        return self.pause == 0 or now() >= self.next_try

    def failed(self, trouble):
        """Record a failed write."""
        self.trouble = trouble
        self.pause = min(LONGEST_PAUSE, max(self.first_pause, 2 * self.pause))
        self.next_try = now() + self.pause

    def wrote(self):
        """Record a successful write."""
        self.pause = 0


cdef class EntityGate(Gate):
    """Gate that stops learning while a table has reached its hard limit of memory and can't write to disk."""

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
