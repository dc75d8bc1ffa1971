"""Statistics of transformed features. Design notes are in transforms.pxd."""
from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef enum:
    MOST_STEPS = 8
    MOST_STATE = 16
    EMPTY = -3                        # no slot

cdef enum Op:
    SCALE, MINMAX, MAXABS, LOG, CLIP, BINS, ONEHOT, IDF, DROP, KEEP

cdef struct Step:
    Op op
    double low, high

cdef struct Chain:
    # the steps of a rule
    Step[MOST_STEPS] steps
    size_t n, n_state
    bint of_all                       # for features without a value, too
    bint renames                      # the last step makes a name
    uint32_t ngrams                   # longest sequence of neighbours; 0: none are added

cdef struct Slot:
    uint32_t hash
    int32_t rule                      # EMPTY, NONE, or its number
    uint64_t state                    # place + 1 of its state; 0: nothing was learned

cdef class Statistics:
    cdef Chain* chains                # of the rules
    cdef size_t n_rules
    cdef Slot* slots
    cdef size_t n_slots, mask, n_guests           # guests: slots that have learned nothing
    cdef double* states
    cdef size_t n_states, state_capacity
    cdef readonly list sketches
    cdef readonly double examples
    cdef double* state_of(self, uint32_t hash, int32_t rule, bint learns) except? NULL nogil
    cdef double flow(self, const Chain* chain, double* state, double x, bint learns) except? -1e300 nogil
    cdef double bin_of(self, double* state, double n, double x, bint learns) except? -1e300 nogil
    cdef Slot* find(self, uint32_t hash) noexcept nogil
    cdef Slot* insert(self, uint32_t hash, int32_t rule) except NULL nogil
    cdef int resize_slots(self, size_t n) except -1 nogil
