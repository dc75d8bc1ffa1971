"""Deals the records of an entity table to several tables, one of each thread, and gathers them again.

Design:
a) An entity belongs to a thread by a hash of its name alone, so that a row can be dealt before its entity is known.
b) Records move by their pointers. Each has a serial, the number of the row that the entity was first named in, so the
   gathered table has them in the order of the input, whatever the number of threads.
c) Hashes that records share (Sequence in table.pxd) are in the memory of a table: a moved record gets those of its new
   table, or hashes of its own. A file does not show which.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.hashing cimport hash_all
from vwlite.entities.table cimport EntityTable

cdef inline uint32_t thread_of(const char* name, uint32_t length, uint32_t namespace, uint32_t n) noexcept nogil:
    """The number of the thread, of n, that has the entity of this name; the name must be readable past its end."""
    return <uint32_t>(<uint64_t>hash_all(<const uint8_t*>name, length, namespace) * n >> 32)

cdef int deal(EntityTable table, list tables, uint32_t namespace) except -1
cdef int gather(EntityTable table, list tables) except -1
