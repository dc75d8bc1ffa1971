"""Members of objects in Vowpal Wabbit's JSON: reads an example, or a decision with its actions, into rows."""
cimport cython
from libc.stdint cimport uint32_t
from vwlite.core.reasons cimport Reason
from vwlite.input.rows cimport Space
from vwlite.input.vw_names cimport Names


@cython.final
cdef class VwMembers(Names):
    cdef bint enveloped               # dsjson: the features are in "c"
    cdef bint chained                 # --chain_hash
    cdef bint met_actions, met_context, is_observation
    cdef bint learned                 # no _skipLearn
    cdef double weight
    cdef size_t n_actions
    cdef int example(self, size_t at, size_t line, size_t start, size_t stop) except -1 nogil
    cdef int refuse(self, Reason reason, size_t at, size_t line, size_t start, size_t stop) except -1 nogil
    cdef int finish(self, size_t start) except -1 nogil
    cdef int reweigh(self) except -1 nogil
    cdef size_t envelope(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t envelope_member(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t context(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t members(self, size_t at, int depth, const Space* space, bint entity=*) except? 0xFFFFFFFF nogil
    cdef size_t value(self, size_t key, size_t n, size_t at, int depth, const Space* space) except? 0xFFFFFFFF nogil
    cdef size_t inner(self, size_t key, size_t n, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t list(self, size_t at, int depth, const Space* space) except? 0xFFFFFFFF nogil
    cdef size_t put_place(self, uint32_t place) noexcept nogil
    cdef size_t special_key(self, size_t key, size_t n, size_t at, int depth, const Space* space) \
        except? 0xFFFFFFFF nogil
    cdef size_t actions(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t entity_member(self, size_t key, size_t n, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef int number_feature(self, size_t key, size_t n, double value, size_t at, const Space* space) except -1 nogil
    cdef int plain_feature(self, size_t key, size_t n, const Space* space) except -1 nogil
    cdef int text_feature(self, size_t key, size_t n, size_t begin, size_t m, const Space* space) except -1 nogil
