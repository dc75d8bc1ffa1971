"""Outcomes of the updates of one thread's entities. Design notes are in dealt.pxd."""
from libc.string cimport memcpy

from vwlite.bayes.batches cimport Batches
from vwlite.bayes.updates cimport MUCH
from vwlite.core.outcome cimport Outcome
from vwlite.entities.record cimport Record, triangle


cdef void begin_outcome(Batches learner, Outcome* outcome) noexcept nogil:
    """Begin an update: what it adds to sums is the sums themselves."""
    learner.noise_sum = learner.noise_count = 0
    learner.added = learner.watched = 0
    outcome.bytes = <long long>learner.table.bytes
    outcome.n_known = learner.table.n_diagonal


cdef void end_outcome(Batches learner, Outcome* outcome) noexcept nogil:
    """Write what the update has added."""
    outcome.residual, outcome.n_residuals = learner.noise_sum, learner.noise_count
    outcome.added, outcome.watched = learner.added, learner.watched
    outcome.bytes = <long long>learner.table.bytes - outcome.bytes
    outcome.narrowed = learner.table.n_diagonal > outcome.n_known


cdef int recall_outcome(Batches learner, const Outcome* outcome) except -1 nogil:
    """Add what an update has added, and log the remarks that are due."""
    cdef long long bytes_then = learner.all_bytes + 16 * <long long>triangle(outcome.watched)
    learner.noise_sum += outcome.residual
    learner.noise_count += outcome.n_residuals
    if outcome.narrowed:
        if not (learner.told_diagonal or learner.table.strict):
            learner.told_diagonal = True
            with gil:
                name = <bytes>outcome.name[:outcome.name_length]
                learner.tell_diagonal(name.decode("utf-8", "replace"))
    elif outcome.watched and not learner.told_size and bytes_then > MUCH:
        learner.told_size = True
        with gil:
            learner.tell_size(learner.all_coefficients + outcome.watched)
    learner.all_bytes += outcome.bytes
    learner.all_coefficients += outcome.added
    return 0


cdef int share_settings(Batches learner, list others) except -1:
    """Give the threads' learners the settings and what was estimated; records are dealt by themselves."""
    cdef Batches other
    cdef Record* record = learner.table.oldest
    learner.version += 1
    learner.all_bytes, learner.all_coefficients = <long long>learner.table.bytes, 0
    while record != NULL:
        learner.all_coefficients += record.n
        record = record.newer
    for other in others:
        other.version += 1
        other.l2, other.first_l2 = learner.l2, learner.first_l2
        other.n_prior = learner.n_prior
        memcpy(other.prior_hashes, learner.prior_hashes, sizeof(learner.prior_hashes))
        memcpy(other.prior, learner.prior, sizeof(learner.prior))
        other.table_of_means, other.center, other.center_fixed = learner.table_of_means, learner.center, True
        other.table_of_scales, other.squares, other.scales = learner.table_of_scales, learner.squares, learner.scales
        other.scaled = learner.scaled
        other.spread_sum, other.dof_sum = learner.spread_sum, learner.dof_sum
        other.spread_count = learner.spread_count
        other.noise, other.estimates_noise = 1, False
        other.told_diagonal = other.told_size = True
    return 0


cdef int add_counts(Batches learner, list others) except -1:
    """Add what the threads' learners have counted since share_settings()."""
    cdef Batches other
    cdef double before = learner.spread_count
    learner.version += 1
    for other in others:
        learner.spread_count += other.spread_count - before
        learner.left_out += other.left_out
        other.left_out = 0
    return 0
