"""Outcome: what another thread has found out about an example (--threads).

A thread that has an example's entity predicts and learns, and writes the outcome. Afterwards the main thread passes the
examples through the stack once more, in the order of the input: there a learner that needs the entity's coefficients
reads the outcome (`recalls` of the Example). So whatever depends on the order is done by one thread: the range of
labels, the estimate of the noise, counts, sums of losses.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    NO_THREAD = -1                    # of a row that is no example

cdef struct Outcome:
    # set by the main thread
    uint64_t serial                   # number of the row among all that were dealt, and of an entity that begins there
    int32_t thread
    uint8_t test_only
    # set by the thread
    uint8_t reason                    # why the features can't be used (reasons.pxd), FINE if they can
    uint8_t present, known_before     # whether it names an entity, and whether that had a record
    uint8_t narrowed                  # the entity's posterior has become diagonal
    uint32_t name_length              # the entity's name
    const char* name
    int64_t column                    # of the reason
    uint32_t n_counted                # features, as in an Example
    uint32_t added                    # new coefficients
    uint32_t watched                  # coefficients of the entity, if it is about to need more memory
    float score, fixed, effect        # the score and its parts
    double variance                   # of the score, in units of the noise
    double residual, n_residuals      # what the example adds to the estimate of the noise
    int64_t bytes                     # change of the memory of all entities
    uint64_t n_known                  # of the thread's entities with a diagonal posterior, before
