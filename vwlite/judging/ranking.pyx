"""Ranking: examples in the order of their scores, for areas under ROC curves, calibration and lift.

Design:
a) Scores are sorted once, by their bits, 11 at a time (LSD radix sort, stable). Digits that all scores share take no
   pass: single-precision scores, as learners have them, need four of six.
b) Labels and weights are stored in that order, so that what follows goes through memory from one end to the other.
c) Examples with the same score are ties: half of each pair of them is in order, they are in one bin, and any share of
   them has their mean label.
"""
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport resize

cdef enum:
    DIGIT = 11                        # bits
    DIGITS = 6                        # of 64 bits
    VALUES = 1 << DIGIT

cdef uint64_t SIGN = <uint64_t>1 << 63

cdef struct Ranked:
    uint64_t key                      # of the score: keys ascend as scores do
    uint32_t place                    # of the example

cdef struct Half:
    # what is known of a group at a score
    double score
    double up, down                   # weights of the labels 1 and of others with this score
    double total_up, total_down       # of those with lower scores
    double pairs                      # the weight of pairs in order


cdef inline uint64_t key_of(double score) noexcept nogil:
    """The key of a score; that of -0 is that of 0."""
    cdef uint64_t bits
    score += 0.0
    memcpy(&bits, &score, sizeof(bits))
    # negative numbers grow the other way than their bits: turned, they are below the others, whose sign is set
    return ~bits if bits & SIGN else bits | SIGN


cdef inline double score_of(uint64_t key) noexcept nogil:
    """The score of a key."""
    cdef double score
    key = key & ~SIGN if key & SIGN else ~key
    memcpy(&score, &key, sizeof(score))
    return score


cdef class Ranking:
    """Examples from the lowest to the highest score.

    Args:
        scores: float64 (n,), finite.
        labels: float64 (n,). Those above 0 are positive.
        weights: float64 (n,), positive.
    """

    cdef readonly size_t n
    cdef Ranked* ranked
    cdef double* labels
    cdef double* weights

    def __init__(self, const double[::1] scores not None, const double[::1] labels not None,
                 const double[::1] weights not None):
        cdef size_t i
        self.n = len(scores)
        if self.n != <size_t>len(labels) or self.n != <size_t>len(weights) or self.n >= <size_t>1 << 32:
            raise ValueError("scores, labels and weights have different lengths")
        resize(&self.ranked, self.n + 1, sizeof(Ranked))
        for i in range(self.n):
            self.ranked[i].key, self.ranked[i].place = key_of(scores[i]), <uint32_t>i
        self.sort()
        resize(&self.labels, self.n + 1, sizeof(double))
        resize(&self.weights, self.n + 1, sizeof(double))
        for i in range(self.n):
            self.labels[i], self.weights[i] = labels[self.ranked[i].place], weights[self.ranked[i].place]

    def __dealloc__(self):
        free(self.ranked)
        free(self.labels)
        free(self.weights)

    cdef int sort(self) except -1:
        cdef uint32_t[DIGITS][VALUES] begins
        cdef uint32_t count, before
        cdef Ranked* other = NULL
        cdef size_t i
        cdef int digit, value
        memset(begins, 0, sizeof(begins))
        for i in range(self.n):
            for digit in range(DIGITS):
                begins[digit][(self.ranked[i].key >> (digit * DIGIT)) & (VALUES - 1)] += 1
        resize(&other, self.n + 1, sizeof(Ranked))
        for digit in range(DIGITS):
            if self.n == 0 or begins[digit][(self.ranked[0].key >> (digit * DIGIT)) & (VALUES - 1)] == self.n:
                continue
            before = 0
            for value in range(VALUES):
                count = begins[digit][value]
                begins[digit][value] = before
                before += count
            for i in range(self.n):
                value = (self.ranked[i].key >> (digit * DIGIT)) & (VALUES - 1)
                other[begins[digit][value]] = self.ranked[i]
                begins[digit][value] += 1
            self.ranked, other = other, self.ranked
        free(other)
        return 0

    def places(self):
        """The places of the examples, from the lowest to the highest score; those of equal scores in their order."""
        return [self.ranked[i].place for i in range(self.n)]

    cdef size_t end_of_ties(self, size_t i) noexcept nogil:
        """The end of the examples that have the same score as the i-th."""
        cdef size_t end = i + 1
        while end < self.n and self.ranked[end].key == self.ranked[i].key:
            end += 1
        return end

    cdef void weights_of(self, size_t begin, size_t end, double* up, double* down) noexcept nogil:
        """The weights of the positive and of the other examples of a range."""
        cdef size_t i
        up[0] = down[0] = 0
        for i in range(begin, end):
            if self.labels[i] > 0:
                up[0] += self.weights[i]
            else:
                down[0] += self.weights[i]

    def area(self, double[::1] influence not None):
        """The area under the ROC curve, and its influence: see figures.py.

        Args:
            influence: float64 (n,), is filled; zeros without an area.

        Returns:
            The area; None if all examples have one class.
        """
        cdef double total_up, total_down, up, down, below, above, area = 0, of_up, of_down
        cdef size_t begin = 0, end, i
        if <size_t>len(influence) != self.n:
            raise ValueError("one influence for each example")
        self.weights_of(0, self.n, &total_up, &total_down)
        influence[:] = 0
        if not (total_up > 0 and total_down > 0):
            return None
        below = 0
        while begin < self.n:
            end = self.end_of_ties(begin)
            self.weights_of(begin, end, &up, &down)
            # shares, as products of tiny weights are 0
            area += up / total_up * ((below + down / 2) / total_down)
            below += down
            begin = end
        begin, below, above = 0, 0, total_up
        while begin < self.n:
            end = self.end_of_ties(begin)
            self.weights_of(begin, end, &up, &down)
            of_up = (below + down / 2) / total_down - area
            of_down = (above - up / 2) / total_up - area
            for i in range(begin, end):
                influence[self.ranked[i].place] = (self.weights[i] / total_up * of_up if self.labels[i] > 0
                                                   else self.weights[i] / total_down * of_down)
            below += down
            above -= up
            begin = end
        return area

    def areas(self, const int64_t[::1] groups not None, double[::1] found not None):
        """The area under the ROC curve of each group.

        Args:
            groups: int64 (n,): the group of each example.
            found: float64 (groups,), is filled; NaN for a group with one class only.
        """
        cdef size_t i, n = len(found)
        cdef double score, of_all
        cdef Half* halves = NULL
        cdef Half* half
        if <size_t>len(groups) != self.n:
            raise ValueError("one group for each example")
        resize(&halves, n + 1, sizeof(Half))
        try:
            memset(halves, 0, (n + 1) * sizeof(Half))
            for i in range(self.n):
                if not 0 <= groups[self.ranked[i].place] < <int64_t>n:
                    raise ValueError("a group has no number")
                half, score = &halves[groups[self.ranked[i].place]], score_of(self.ranked[i].key)
                if score != half.score:
                    pass_ties(half)
                    half.score = score
                if self.labels[i] > 0:
                    half.up += self.weights[i]
                else:
                    half.down += self.weights[i]
            for i in range(n):
                half = &halves[i]
                pass_ties(half)
                of_all = half.total_up * half.total_down
                found[i] = half.pairs / of_all if of_all > 0 else NAN
        finally:
            free(halves)

    def bins(self, const double[::1] predictions not None, double[:, ::1] found not None):
        """Sums over bins of about equal weight of examples, from the lowest to the highest prediction.

        Args:
            predictions: float64 (n,), which ascend as the scores do. Examples with equal ones are in one bin, that of
                the first.
            found: float64 (bins, 5), is filled: the number of examples, and the sums of w, w w, w prediction and
                w label, of the weights w.

        Returns:
            Whether the predictions ascend; if not, found is not what it should be.
        """
        cdef size_t i, bin = 0, n_bins = found.shape[0]
        cdef double up, down, total, before = 0, prediction, last = NAN  # nothing is equal to NaN, or below it
        if <size_t>len(predictions) != self.n or found.shape[1] != 5 or n_bins == 0:
            raise ValueError("one prediction for each example, and five sums for each bin")
        self.weights_of(0, self.n, &up, &down)
        total = up + down
        found[:, :] = 0
        for i in range(self.n):
            prediction = predictions[self.ranked[i].place]
            if prediction < last:
                return False
            if prediction != last:
                bin = min(<size_t>(before / total * n_bins), n_bins - 1)
                last = prediction
            before += self.weights[i]
            found[bin, 0] += 1
            found[bin, 1] += self.weights[i]
            found[bin, 2] += self.weights[i] * self.weights[i]
            found[bin, 3] += self.weights[i] * prediction
            found[bin, 4] += self.weights[i] * self.labels[i]
        return True

    def lift(self, double[::1] found not None):
        """The weight of the labels among the best-scored shares of all weight, in equal steps up to all.

        Args:
            found: float64 (shares,), is filled: the sum of w label. Ties that a share cuts count in proportion.
        """
        cdef size_t k = 0, n = len(found), begin, end = self.n
        cdef double up, down, total, weight = 0, hits = 0, more, of_ties, wanted
        self.weights_of(0, self.n, &up, &down)
        total = up + down
        while end > 0 and k < n:
            begin, more, of_ties = end, 0, 0
            while begin > 0 and self.ranked[begin - 1].key == self.ranked[end - 1].key:
                begin -= 1
                more += self.weights[begin]
                of_ties += self.weights[begin] * self.labels[begin]
            while k < n:
                wanted = total * (k + 1) / n
                if wanted > weight + more and begin > 0:
                    break
                found[k] = hits + of_ties * min(1.0, (wanted - weight) / more)
                k += 1
            weight += more
            hits += of_ties
            end = begin


cdef void pass_ties(Half* half) noexcept nogil:
    """Counts the pairs of a group's examples with one score."""
    half.pairs += half.up * (half.total_down + half.down / 2)
    half.total_up += half.up
    half.total_down += half.down
    half.up = half.down = 0
