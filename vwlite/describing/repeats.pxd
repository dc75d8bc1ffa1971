"""Repeats: which rows come again, among those in a sample whose size is bounded.

Design:
a) A row is told apart by a hash of 64 bits. Those whose hash is a multiple of a power of two are in the sample: all of
   them until the table is full, then half of them, and so on. So the counts don't depend on the order of the rows.
b) Places are by the first bits of the hash, in order: a larger table is filled from front to back. They hold the hash
   alone. How often a row came again is in a second half of the memory, which stays untouched where no row does.
"""
from libc.stdint cimport uint64_t

cdef class Repeats:
    cdef readonly uint64_t mask       # of the hashes in the sample, these bits are 0
    cdef readonly uint64_t n_rows, n_again  # in the sample; those that came before
    cdef uint64_t* hashes             # 0: free
    cdef uint64_t* again              # times that the row of a place came again
    cdef size_t n, places, most       # different rows; of the table, a power of two, which is at most half full
    cdef int see(self, const uint64_t* rows, size_t n) except -1 nogil
    cdef int insert(self, uint64_t hash) except -1 nogil
    cdef int rebuild(self, size_t places) except -1 nogil
