"""Fits of all parts to the examples of a pass; coordinate descent. Design notes are in sweeps.pxd."""
from cpython.exc cimport PyErr_CheckSignals
from libc.limits cimport INT_MAX
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport resize
from vwlite.core.elementary cimport pow
from vwlite.core.example cimport PADDING

from vwlite.core.learner import walk


cdef double entity_score(Learners effects, size_t effect, Example ex, double least) except? -1e10 nogil:
    """Score of the example's entity; that of a new entity until it has `least` examples."""
    ex.initial = 0
    ex.known.newcomer = least > 0 and effects.experience(effect, ex) < least
    effects.predict(effect, ex)
    ex.known.newcomer = False
    return ex.score


cdef class Sweeps:
    """Stored examples of a pass, for a base and effects.

    Args:
        base: The learner below.
        effects: The learners of the effects.
        frozen: For each part, whether it learns nothing; part 0 is the base.
        least: Number of examples of an entity below which it counts as new.
    """

    def __cinit__(self, Learner base not None, Learners effects not None, list frozen, double least):
        self.base = base
        self.effects = effects
        self.frozen = frozen
        self.least = least
        self.n_parts = effects.n + 1
        self.most = INT_MAX
        self.loss = NAN

    def __dealloc__(self):
        self.forget()

    # storing examples

    cdef int keep(self, Example ex) except -1 nogil:
        """Store an example; its pieces for effects follow."""
        cdef size_t wanted
        cdef Kept* kept
        if self.n == self.capacity:
            wanted = 2 * self.capacity + 1024
            resize(&self.kept, wanted, sizeof(Kept), b"to store examples for --sweeps")
            resize(&self.pieces, wanted * self.n_parts, sizeof(Piece), b"to store examples for --sweeps")
            self.capacity = wanted
        kept = &self.kept[self.n]
        kept.label, kept.weight, kept.initial = ex.label, ex.weight, ex.initial
        self.n += 1
        memset(self.piece(self.n - 1, 0), 0, self.n_parts * sizeof(Piece))
        self.base.meet(ex)
        return self.copy(self.piece(self.n - 1, 0), ex.features, ex.n)

    cdef int keep_piece(self, size_t part, uint64_t entity, const Feature* features, size_t n) except -1 nogil:
        """Store the features that a part learns from the last example."""
        cdef Piece* piece = self.piece(self.n - 1, part)
        piece.entity = entity
        return self.copy(piece, features, n)

    cdef void keep_whole(self, size_t part, uint64_t entity) noexcept nogil:
        """Store that a part learns from all features of the last example."""
        cdef Piece* piece = self.piece(self.n - 1, part)
        piece[0] = self.piece(self.n - 1, 0)[0]
        piece.entity = entity

    cdef int copy(self, Piece* piece, const Feature* features, size_t n) except -1 nogil:
        cdef size_t wanted
        if self.n_features + n + PADDING > self.feature_capacity:
            wanted = 2 * (self.n_features + n) + PADDING
            resize(&self.features, wanted, sizeof(Feature), b"to store examples for --sweeps")
            memset(<void*>(self.features + wanted - PADDING), 0, PADDING * sizeof(Feature))
            self.feature_capacity = wanted
        memcpy(self.features + self.n_features, features, n * sizeof(Feature))
        piece.begin, piece.n = self.n_features, <uint32_t>n
        self.n_features += n
        return 0

    cdef inline Piece* piece(self, size_t i, size_t part) noexcept nogil:
        return &self.pieces[i * self.n_parts + part]

    # fitting

    def begin(self, list powers):
        """Begin the fit, after the last example: compute weights and the scores of frozen parts.

        Args:
            powers: For each effect, the power of an entity's number of examples in the weight of its examples.
        """
        cdef Example ex = Example()
        self.fitting = True
        self.scores = <double*>calloc(self.n * self.n_parts + 1, sizeof(double))
        if self.scores == NULL:
            raise MemoryError
        self.weigh(powers)
        for part in range(self.n_parts):
            if self.frozen[part]:
                self.score_part(ex, part)

    def end(self):
        """End the fit: compute the loss, and free the examples."""
        cdef Example ex = Example()
        for part in range(self.n_parts):
            self.score_part(ex, part)
        self.loss = self.mean_loss()
        self.forget()

    def descend(self, int times):
        """Coordinate descent: fit each part in turn, at most `times` times, until convergence."""
        cdef Example ex = Example()
        below = list(walk(self.base))
        effects = self.effects.each
        for learner in [*below, *effects]:
            learner.mark()
        for part in range(self.n_parts):
            self.score_part(ex, part)
        totals, told = self.totals(), [learner.metrics() for learner in effects]
        for _ in range(min(times, self.most)):
            for part in range(self.n_parts):
                PyErr_CheckSignals()  # otherwise Python handles no signals until the end
                if self.stopping:
                    break
                if self.frozen[part]:
                    continue
                learners = [effects[part - 1]] if part else below
                for learner in learners:
                    learner.return_to_mark()
                self.fit_part(ex, part)
                for learner in learners:
                    learner.close_batches()
                self.score_part(ex, part)
            self.done += not self.stopping
            totals_before, told_before = totals, told
            totals, told = self.totals(), [learner.metrics() for learner in effects]
            if not self.stopping and are_near(totals, totals_before) and are_alike(told, told_before):
                self.converged = True
                break
        for learner in [*below, *effects]:
            learner.unmark()

    def totals(self):
        """Scores of all examples."""
        import numpy as np
        cdef size_t i, r
        found = np.zeros(self.n)
        cdef double[::1] view = found
        for i in range(self.n):
            for r in range(self.n_parts):
                view[i] += self.scores[i * self.n_parts + r]
        return found

    def targets(self):
        """(labels, weights, offsets) of the examples; offsets include the scores of frozen parts."""
        import numpy as np
        cdef size_t i, r
        y, w, o = np.empty(self.n), np.empty(self.n), np.empty(self.n)
        cdef double[::1] labels = y, weights = w, offsets = o
        cdef uint8_t[::1] frozen = bytearray(self.frozen)
        for i in range(self.n):
            labels[i], weights[i] = self.kept[i].label, max(self.kept[i].weight, 0)
            offsets[i] = self.kept[i].initial if not frozen[0] else 0
            for r in range(self.n_parts):
                if frozen[r]:
                    offsets[i] += self.scores[i * self.n_parts + r]
        return y, w, o

    def piece_of(self, size_t part):
        """(entities, index of the first feature, hashes, values) of a part in each example; no features: absent."""
        import numpy as np
        cdef size_t i, k, at = 0
        cdef Piece* piece
        for i in range(self.n):
            at += self.piece(i, part).n
        entities, begins = np.empty(self.n, np.uint64), np.empty(self.n + 1, np.int64)
        hashes, values = np.empty(at, np.uint32), np.empty(at)
        cdef uint64_t[::1] entity_view = entities
        cdef int64_t[::1] begin_view = begins
        cdef uint32_t[::1] hash_view = hashes
        cdef double[::1] value_view = values
        at = 0
        for i in range(self.n):
            piece = self.piece(i, part)
            entity_view[i] = piece.entity
            begin_view[i] = at
            for k in range(piece.n):
                hash_view[at] = self.features[piece.begin + k].hash
                value_view[at] = self.features[piece.begin + k].value
                at += 1
        begin_view[self.n] = at
        return entities, begins, hashes, values

    def is_stopping(self):
        """Whether a signal requests the end of the fit."""
        return self.stopping

    def interrupt(self):
        """Limit the fit to one sweep, or stop a running one after the current part."""
        self.most = 1
        self.stopping = self.fitting

    cdef int weigh(self, list powers) except -1:
        """Weights by the entities' counts in the whole pass, with mean 1."""
        import numpy as np
        cdef size_t i, r
        cdef double total = 0
        cdef uint8_t[::1] present
        cdef uint64_t[::1] entities
        cdef double[::1] view
        if not any(powers):
            return 0
        weights = np.ones(self.n)
        for r in range(1, self.n_parts):
            if powers[r - 1] == 0:
                continue
            here, keys = np.zeros(self.n, np.uint8), np.zeros(self.n, np.uint64)
            present, entities = here, keys
            for i in range(self.n):
                present[i], entities[i] = self.piece(i, r).n > 0, self.piece(i, r).entity
            chosen = here.astype(bool)
            _, number, counts = np.unique(keys[chosen], return_inverse=True, return_counts=True)
            weights[chosen] *= np.array([pow(count, powers[r - 1]) for count in counts])[number]
        view = weights
        for i in range(self.n):
            total += view[i]
        for i in range(self.n):
            self.kept[i].weight *= <float>(view[i] * self.n / total)
        return 0

    cdef void load(self, Example ex, size_t i, size_t part) noexcept nogil:
        """Load example i for a part, with the scores of the others as its offset."""
        cdef Kept* kept = &self.kept[i]
        cdef Piece* piece = self.piece(i, part)
        cdef double* scores = self.scores + i * self.n_parts
        cdef double offset = scores[0] if part else kept.initial
        cdef size_t r
        for r in range(1, self.n_parts):
            if r != part:
                offset += scores[r]
        ex.features, ex.n = self.features + piece.begin, piece.n
        ex.entity = piece.entity
        ex.label, ex.weight, ex.initial = kept.label, kept.weight, <float>offset
        ex.labelled = True

    cdef int fit_part(self, Example ex, size_t part) except -1 nogil:
        """Fit a part to all examples."""
        cdef size_t i
        for i in range(self.n):
            if (part and not self.piece(i, part).n) or self.kept[i].weight <= 0:
                continue
            self.load(ex, i, part)
            if part == 0:
                self.base.predict(ex)
                self.base.update(ex)
            else:
                self.effects.predict(part - 1, ex)
                self.effects.update(part - 1, ex)
        return 0

    cdef int score_part(self, Example ex, size_t part) except -1 nogil:
        """Compute the scores of a part for all examples."""
        cdef size_t i
        cdef double* score
        for i in range(self.n):
            score = self.scores + i * self.n_parts + part
            if part and not self.piece(i, part).n:
                continue
            self.load(ex, i, part)
            if part == 0:
                ex.initial = self.kept[i].initial
                self.base.predict(ex)
                score[0] = ex.score
            else:
                score[0] = entity_score(self.effects, part - 1, ex, self.least)
        return 0

    cdef double mean_loss(self) noexcept nogil:
        cdef size_t i, r
        cdef double total = 0, weight = 0, score
        for i in range(self.n):
            score = 0
            for r in range(self.n_parts):
                score += self.scores[i * self.n_parts + r]
            total += self.kept[i].weight * self.base.loss.loss(self.base.loss.clip(<float>score), self.kept[i].label)
            weight += self.kept[i].weight
        return total / weight if weight > 0 else NAN

    cdef void forget(self) noexcept nogil:
        free(self.kept)
        free(self.pieces)
        free(self.scores)
        free(self.features)
        self.kept, self.pieces, self.scores, self.features = NULL, NULL, NULL, NULL
        self.n = self.capacity = self.n_features = self.feature_capacity = 0


def are_near(totals, before):
    """Convergence of scores: whether they moved by less than 1e-5 of their spread."""
    import numpy as np
    with np.errstate(all="ignore"):
        return len(totals) == 0 or bool(abs(totals - before).max() <= 1e-5 * totals.std())


def are_alike(told, before):
    """Convergence of metrics: whether they moved by less than 1e-5."""
    return all(
        abs(now[name] - then.get(name, 0)) <= 1e-5 * abs(now[name])
        for now, then in zip(told, before, strict=True) for name in now
    )
