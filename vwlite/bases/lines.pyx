"""Base class of reductions that learn multi-line examples by a learner of single lines."""
from libc.float cimport FLT_MAX
from libc.math cimport NAN, fabsf, isnan
from libc.stdlib cimport free

from vwlite.core.arrays cimport grow, grow_together
from vwlite.core.example cimport Example, SimpleExample
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport Line, MultiExample

cdef float LARGEST = 1e18             # of labels: beyond, losses overflow


cdef class LineLearner(Learner):
    """Reduction of multi-line examples to single lines: scores them, and updates the base by their labels."""

    multiline = True

    def __dealloc__(self):
        free(self.scores)
        free(self.variances)
        free(self.costs)
        free(self.ranked)
        free(self.together)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        """Abstract: Learner.predict would pass a multi-line example to the base, which accepts single lines only."""
        with gil:
            raise NotImplementedError

    cdef float learn(self, Example ex) except? -1e10 nogil:
        """Abstract, like predict."""
        with gil:
            raise NotImplementedError

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate arrays for n lines."""
        cdef void** arrays = [&self.scores, &self.variances, &self.costs, &self.ranked]
        return grow_together(arrays, 4, &self.capacity, n, sizeof(float))

    cdef int score_lines(self, MultiExample lines, Example line) except -1 nogil:
        """Compute the base's score of each line (`line` is lines.line), and what a learner above requests of it."""
        cdef size_t i, n = lines.n_lines
        cdef bint unsure = lines.known.wants_variance
        self.reserve(n)
        lines.scores, lines.variances, lines.costs_predicted = self.scores, self.variances, self.costs
        if lines.offset == 0 and not unsure and lines.joint is None and self.score_together(lines):
            return 0
        if lines.joint is not None:
            lines.joint.clear()
        for i in range(n):
            lines.select(i)
            line.known.wants_variance = unsure
            self.base.predict(line)
            self.scores[i] = 0 if isnan(line.score) else line.score
            if unsure:
                self.variances[i] = <float>line.known.variance
            if lines.joint is not None:
                lines.joint.begin(self.scores[i] if lines.rewards else -self.scores[i])
                if lines.draws and n > 1:
                    self.base.uncertainty(line, lines.joint)
        line.known.wants_variance = False
        return 0

    cdef bint score_together(self, MultiExample lines) except -1 nogil:
        """Compute the scores by one call of the base; returns whether it takes several examples."""
        cdef SimpleExample* each
        cdef const Line* line
        cdef size_t i, n = lines.n_lines
        grow(&self.together, &self.n_together, n, sizeof(SimpleExample))
        each = self.together
        for i in range(n):
            line = &lines.lines[i]
            if not line.kept:
                return False
            each[i].features = lines.features_kept + line.features
            each[i].n, each[i].n_counted = <uint32_t>line.n, <uint32_t>line.n_counted
            each[i].label, each[i].weight = NAN, 1
        if self.base.predict_many(each, n) < <Py_ssize_t>n:
            return False
        for i in range(n):
            self.scores[i] = 0 if isnan(each[i].score) else each[i].score
        return True

    cdef float teach(self, MultiExample lines, Example line, size_t i, float label, float weight, float age) \
            except? -1e10 nogil:
        """Update the base by the label of a line; returns the prediction before the update.

        As in VW, the clock of each weight vector counts examples, not lines: `age` is 1 with the last line learned of
        an example, 0 with the others. Both count as often as the weight of the whole says.
        """
        if not (fabsf(label) <= LARGEST and weight * lines.weight <= FLT_MAX):
            self.left_out += 1
            return 0
        lines.select(i)
        if not weight * lines.weight > 0:
            self.loss.see(label)          # as in VW, the label widens the range of predictions
            return 0
        line.label, line.weight, line.age = label, weight * lines.weight, age * lines.weight
        line.labelled, line.test_only = True, False
        return self.base.learn(line)
