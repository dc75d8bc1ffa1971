"""Terms of a score. Design notes are in terms.pxd."""
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free

from vwlite.core.arrays cimport resize


cdef class Terms:
    """The terms of a score."""

    def __dealloc__(self):
        free(self.terms)

    cdef void clear(self) noexcept nogil:
        self.n = 0
        self.part = 0

    cdef int add(self, uint32_t hash, int32_t place, double value, double weight, double sd) except -1 nogil:
        cdef Term* term
        if self.n == self.capacity:
            resize(&self.terms, 2 * (self.n + 8), sizeof(Term))
            self.capacity = 2 * (self.n + 8)
        term = &self.terms[self.n]
        self.n += 1
        term.part, term.hash, term.place = self.part, hash, place
        term.value, term.weight, term.sd = value, weight, sd
        return 0

    cdef double total(self) noexcept nogil:
        """The sum of all terms."""
        cdef double total = 0
        cdef size_t i
        for i in range(self.n):
            total += self.terms[i].value * self.terms[i].weight
        return total
