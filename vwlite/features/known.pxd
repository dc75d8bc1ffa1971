"""Known features: names and statistics of the features that a model has learned from.

Design:
a) Features are identified by their hash of 32 bits, before it is masked to the size of a table. So one index serves
   tables of weights, whose slots follow from the hash, and learners that store hashes. Two names of one hash are one.
b) One probe of a hash table per feature: open addressing, at most half full. The name is looked at only the first time.
c) Numbers are in order of appearance: frequent features come early, so that their statistics share cache lines. And
   everything is saved in that order: two runs make the same index as one.
d) Nothing is allocated per feature: names are adjacent in one text, and end where the next one begins.
e) `limit` bounds the number of features; those that come later are neither named nor counted.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Feature

cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>
    #ifndef VWL_KNOWN_AHEAD
    #define VWL_KNOWN_AHEAD 32 /* features between prefetch and use; at most the padding of an example */

    typedef struct { uint32_t hash, number; } vwl_known_entry; /* number + 1; 0: free */

    typedef struct {
        uint64_t count, last;
        float low, high;
    } vwl_seen;

    typedef struct { uint32_t hash; float value; } vwl_one;

    typedef struct {
        vwl_known_entry *places;
        vwl_seen *seen; /* by number; NULL: no statistics */
        size_t mask;
        int shift; /* 32 - log2 of the places */
    } vwl_known;

    /* Fibonacci hashing: numeric ids are their own hashes. */
    static inline size_t vwl_known_home(const vwl_known *known, uint32_t hash) {
        return (size_t)((hash * 0x9E3779B1u) >> known->shift);
    }

    /* The place of a feature, or the free one where it would be. */
    static inline vwl_known_entry *vwl_known_place(const vwl_known *known, uint32_t hash) {
        size_t i = vwl_known_home(known, hash);
        while (known->places[i].number && known->places[i].hash != hash) i = (i + 1) & known->mask;
        return &known->places[i];
    }

    static inline void vwl_see(vwl_seen *seen, float value, uint64_t example) {
        seen->count += 1;
        seen->last = example;
        if (value < seen->low) seen->low = value;
        if (value > seen->high) seen->high = value;
    }

    /* Find the features of an example: their numbers + 1, 0 of those that are not known, whose indices go to `missed`.
     * Returns how many are not known. Features must be readable VWL_KNOWN_AHEAD past the end. */
    static inline size_t vwl_find(const vwl_known *known, const void *features, size_t n, uint32_t *numbers,
                                  uint32_t *missed) {
        const vwl_one *f = (const vwl_one *)features;
        size_t j, k = 0;
        for (j = 0; j < n; j++) {
            __builtin_prefetch(&known->places[vwl_known_home(known, f[j + VWL_KNOWN_AHEAD].hash)]);
            numbers[j] = vwl_known_place(known, f[j].hash)->number;
            missed[k] = (uint32_t)j;
            k += numbers[j] == 0;
            if (known->seen) __builtin_prefetch(&known->seen[numbers[j] - 1], 1);
        }
        return k;
    }

    /* Count features by their numbers, those that are known. */
    static inline void vwl_count(const vwl_known *known, const void *features, size_t n, const uint32_t *numbers,
                                 uint64_t example) {
        const vwl_one *f = (const vwl_one *)features;
        size_t j;
        for (j = 0; j < n; j++)
            if (numbers[j]) vwl_see(&known->seen[numbers[j] - 1], f[j].value, example);
    }

    /* How many features of an example are not known. */
    static inline size_t vwl_unknown(const vwl_known *known, const void *features, size_t n) {
        const vwl_one *f = (const vwl_one *)features;
        size_t j, k = 0;
        for (j = 0; j < n; j++) {
            __builtin_prefetch(&known->places[vwl_known_home(known, f[j + VWL_KNOWN_AHEAD].hash)]);
            k += vwl_known_place(known, f[j].hash)->number == 0;
        }
        return k;
    }
    #endif
    """
    ctypedef struct vwl_known_entry:
        uint32_t hash, number
    ctypedef struct vwl_seen:
        uint64_t count, last
        float low, high
    ctypedef struct vwl_known:
        vwl_known_entry* places
        vwl_seen* seen
        size_t mask
        int shift

cdef extern from * nogil:
    size_t vwl_find(const vwl_known* known, const void* features, size_t n, uint32_t* numbers, uint32_t* missed)
    void vwl_count(const vwl_known* known, const void* features, size_t n, const uint32_t* numbers, uint64_t example)
    size_t vwl_unknown(const vwl_known* known, const void* features, size_t n)
    vwl_known_entry* vwl_known_place(const vwl_known* known, uint32_t hash)

cdef class KnownFeatures:
    cdef vwl_known table
    cdef readonly size_t n, limit
    cdef readonly bint whole          # the index began with the model, and no feature was left out
    cdef readonly bint full           # the limit was reached
    cdef readonly bint counts         # with statistics
    cdef readonly uint64_t examples   # learned
    cdef readonly uint64_t looked, unknown               # features of examples that were only predicted
    cdef bytes salt                   # of digests, or None
    cdef bint digests
    cdef uint32_t* hashes             # by number
    cdef uint64_t* ends               # of each name in the text, by number
    cdef char* text
    cdef size_t capacity, end_capacity, seen_capacity, text_capacity
    # of the examples at hand: the numbers + 1 of their features; indices of the features of one that are new
    cdef uint32_t* numbers
    cdef uint32_t* missed
    cdef size_t n_numbers, n_missed, number_capacity, missed_capacity
    # look up the features of an example, whose numbers are appended; count those from an index on
    cdef int find(self, const Feature* features, size_t n) except -1 nogil
    cdef int count(self, const Feature* features, size_t n, size_t first, uint64_t example) noexcept nogil
    # count the features of an example that is only predicted
    cdef int look(self, const Feature* features, size_t n) noexcept nogil
    # store the name of the feature `i` of the example just looked up
    cdef int add(self, const Feature* features, size_t n, size_t i, const char* name, size_t length) except -1 nogil
    cdef int insert(self, uint32_t hash, const char* name, size_t length) except -1 nogil
    cdef int insert_digest(self, uint32_t hash, bytes name) except -1
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int widen(self, size_t n) except -1 nogil
