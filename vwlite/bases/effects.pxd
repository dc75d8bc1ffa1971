"""Random effects in an example: the entity of each effect, and its features.

A learner with effects has a learner for each of them. point() sets the example to the entity and to the features that
the effect has coefficients of; unpoint() restores the whole example.

Before each example, the driver shows the row of the next one to look_ahead(), which prefetches the slots of its
entities in their tables: those of a million entities are in no cache. (Prefetching the records, too, gains nothing.)
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport PADDING, Block, Example, Feature, Row
from vwlite.core.learner cimport Learner, Learners

cdef enum:
    MOST_EFFECTS = 15                         # leaning.pxd has as many
    MOST_NAMESPACES = 32              # of one effect
    MOST_NAMED = 16                   # features whose names are stored

cdef enum Kind:
    INTERCEPT
    NAMED
    ALL

cdef struct Effect:
    uint32_t namespace
    Kind kind
    uint32_t[MOST_NAMESPACES] named   # namespaces whose features are used
    size_t n_named
    uint32_t[MOST_NAMED] known        # features whose names are known
    size_t n_known
    double power                      # of --count_weight
    bint frozen
    uint64_t n_of_known, n_of_new, n_of_none      # examples of the first pass with a known, a new, and no entity
    # of the current example
    bint present, known_before        # known_before: the entity has a record
    uint64_t entity
    const char* name
    uint32_t name_length
    Feature* features
    size_t n, capacity
    double score

cdef class Effects(Learner):
    cdef Effect[MOST_EFFECTS] effects
    cdef readonly size_t n_effects
    cdef readonly list names
    cdef Learners learners            # of the effects
    cdef bint later_pass              # entities are counted in the first pass only
    cdef bint bounded                 # full posteriors have a limit
    cdef Feature[PADDING + 1] intercept
    cdef (void*)[MOST_EFFECTS] posteriors         # of the learners; NULL for those without
    cdef void look_ahead(self, Block block, const Row* row) noexcept nogil
    cdef int vet_entities(self, Example ex) except -1 nogil
    cdef int resolve(self, Example ex) except -1 nogil
    cdef int key_of(self, size_t r, Example ex) except -1 nogil
    cdef void count_entities(self) noexcept nogil
    cdef int gather(self, Effect* effect, Example ex) except -1 nogil
    cdef double sum_of_effects(self) noexcept nogil
    cdef int name_features(self, Effect* effect, Example ex, size_t r) except -1 nogil
    cdef int name_entity(self, Effect* effect, Example ex, size_t r) except -1 nogil

    cdef inline void point(self, Example ex, const Effect* effect, const Feature* features, size_t n) noexcept nogil:
        """Set the example to an effect's entity and features; the whole example has the n features."""
        ex.entity = effect.entity
        ex.entity_name = effect.name
        ex.entity_name_length = effect.name_length
        if effect.kind == INTERCEPT:
            ex.features, ex.n = self.intercept, 1
        elif effect.kind == NAMED:
            ex.features, ex.n = effect.features, effect.n
        else:
            ex.features, ex.n = features, n

    cdef inline void unpoint(self, Example ex, const Feature* features, size_t n, float initial) noexcept nogil:
        ex.features, ex.n, ex.initial = features, n, initial
        ex.entity = 0
        ex.entity_name_length = 0
