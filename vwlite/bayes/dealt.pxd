"""A learner of entities whose entities are dealt to threads, each with a learner of its own (--threads).

What one example adds to estimates of all examples goes into its Outcome; the main thread adds it up in the order of the
input. Means and precisions don't depend on the noise, so the threads work in its units.
"""
from vwlite.bayes.batches cimport Batches
from vwlite.core.outcome cimport Outcome

# in a thread, around an update
cdef void begin_outcome(Batches learner, Outcome* outcome) noexcept nogil
cdef void end_outcome(Batches learner, Outcome* outcome) noexcept nogil
# in the main thread
cdef int recall_outcome(Batches learner, const Outcome* outcome) except -1 nogil
cdef int share_settings(Batches learner, list others) except -1
cdef int add_counts(Batches learner, list others) except -1
