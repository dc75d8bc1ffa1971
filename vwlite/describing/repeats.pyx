"""Rows that come again. Design notes are in repeats.pxd."""
from libc.stdint cimport uint64_t

from vwlite.core.pages cimport free_pages, new_pages

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void* address)

cdef enum:
    AHEAD = 16                        # rows between prefetch and comparison
    FIRST_PLACES = 1 << 12
    GROWTH = 4


cdef class Repeats:
    """Counts of rows that come again.

    Args:
        most: Places of the largest table, a power of two; half as many different rows are told apart.
    """

    def __init__(self, size_t most):
        self.most = most
        self.places = min(<size_t>FIRST_PLACES, most)
        self.hashes = <uint64_t*>new_pages(2 * self.places, sizeof(uint64_t), b"for rows")
        self.again = self.hashes + self.places

    def __dealloc__(self):
        free_pages(self.hashes)

    cdef int see(self, const uint64_t* rows, size_t n) except -1 nogil:
        """Counts rows by their hashes, none of which is 0."""
        cdef size_t i, at
        for i in range(n):
            if i + AHEAD < n:
                prefetch(&self.hashes[home_of(rows[i + AHEAD], self.places)])
            if rows[i] & self.mask:
                continue
            at = place_of(self.hashes, self.places, rows[i])
            if self.hashes[at] == 0:
                self.insert(rows[i])
            else:
                self.again[at] += 1
                self.n_rows += 1
                self.n_again += 1
        return 0

    cdef int insert(self, uint64_t hash) except -1 nogil:
        """Stores a row that is new; a full table grows, or is halved."""
        if 2 * (self.n + 1) > self.places:
            if self.places == self.most:
                self.mask = 2 * self.mask + 1
            self.rebuild(min(GROWTH * self.places, self.most))
            if hash & self.mask:
                return 0
        self.hashes[place_of(self.hashes, self.places, hash)] = hash
        self.n += 1
        self.n_rows += 1
        return 0

    cdef int rebuild(self, size_t places) except -1 nogil:
        """Moves the rows that are in the sample to a table of so many places."""
        cdef uint64_t* hashes = <uint64_t*>new_pages(2 * places, sizeof(uint64_t), b"for rows")
        cdef size_t i, at
        cdef bint came_again = self.n_again > 0
        self.n = self.n_rows = self.n_again = 0
        for i in range(self.places):
            if self.hashes[i] == 0 or self.hashes[i] & self.mask:
                continue
            at = place_of(hashes, places, self.hashes[i])
            hashes[at] = self.hashes[i]
            self.n += 1
            self.n_rows += 1
            if came_again and self.again[i]:
                hashes[places + at] = self.again[i]
                self.n_rows += self.again[i]
                self.n_again += self.again[i]
        free_pages(self.hashes)
        self.hashes, self.again, self.places = hashes, hashes + places, places
        return 0


cdef inline size_t home_of(uint64_t hash, size_t places) noexcept nogil:
    """The first place of a row: by the first bits, as the last ones may all be 0."""
    return ((hash >> 32) * places) >> 32


cdef inline size_t place_of(const uint64_t* hashes, size_t places, uint64_t hash) noexcept nogil:
    """The place of a row, or the free one where it would be."""
    cdef size_t i = home_of(hash, places)
    while hashes[i] and hashes[i] != hash:
        i = (i + 1) & (places - 1)
    return i
