"""Detectors of drift in the losses of a run: whether they have risen for good.

ADWIN (Bifet and Gavalda 2007, "Learning from time-changing data with adaptive windowing", ADWIN2): a window of values,
of which the old part is dropped when its mean differs from that of the rest by more than

    sqrt(2 m v L) + 2/3 m L,    L = log(2 log(n) / delta),  1/m = the harmonic sum of the parts' sizes,  v the variance

The window is stored as buckets of 1, 2, 4, ... values, at most MOST_BUCKETS + 1 of each size.

Page-Hinkley (Page 1954, "Continuous inspection schemes"; Gama et al. 2013): s = a s + (x - mean - d) is compared with
its minimum; drift if it is more than the threshold above it.

KSWIN (Raab, Heusinger and Schleif 2020, "Reactive soft prototype computing for concept drift streams"): the last values
of a window are compared with as many drawn from the older ones, by the test of Kolmogorov and Smirnov. Of two samples
of n values the probability of a distance of at least k / n is 2 sum_i (-1)^(i - 1) C(2n, n - i k) / C(2n, n) (Gnedenko
and Korolyuk 1951).

Losses have any unit, so ADWIN and Page-Hinkley see them in standard deviations, those of the losses since the last
drift, from the mean of the first WARM_UP of them, so that a better estimate of the deviation is no change of the mean.
A detector that has found a change begins anew; a change is reported only if the losses have risen: those of a model
that learns fall.
"""
from libc.math cimport fabs, isfinite, sqrt
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, qsort
from libc.string cimport memmove, memset

from vwlite.core.arrays cimport grow
from vwlite.core.draws cimport mix
from vwlite.core.elementary cimport log
from vwlite.core.example cimport Block, Example, Row, SimpleExample
from vwlite.core.observer cimport Observer

cdef enum:
    MOST_BUCKETS = 5                  # of a size, before two are joined
    ROWS = 48                         # sizes: 2^47 values
    CLOCK = 32                        # ADWIN looks for a change every so many values
    SHORTEST = 5                      # part of ADWIN's window
    GRACE = 10                        # values before it looks
    WINDOW = 100                      # of KSWIN
    RECENT = 30                       # the values of it that are compared
    FEW = 30                          # values before Page-Hinkley looks
    WARM_UP = 100                     # losses before their standard deviation is used
    LATEST = 100                      # losses whose mean is reported as the new one
    MOST_EVENTS = 1000

cdef double LEAST_DISTANCE = 0.1      # of KSWIN

cdef struct Bucket:
    double total, variance            # variance: sum of squares about the mean


cdef class Detector:
    """A detector of changes in a stream of numbers."""

    cdef bint update(self, double x) noexcept nogil:
        """Adds a number; returns whether a change was found."""
        return False

    cdef void reset(self) noexcept nogil:
        """Begins anew."""

    def feed(self, xs):
        """Adds numbers, and begins anew after each change; returns the places of changes, for tests."""
        found = []
        for i, x in enumerate(xs):
            if self.update(x):
                found.append(i)
                self.reset()
        return found


cdef class Adwin(Detector):
    """ADWIN.

    Args:
        delta: The significance.
    """

    cdef Bucket[ROWS][MOST_BUCKETS + 1] buckets   # by log2 of the size; the oldest of a size first
    cdef int[ROWS] counts
    cdef int last                     # the largest size
    cdef double delta, width, total, variance
    cdef uint64_t ticks

    def __init__(self, double delta=0.002):
        self.delta = delta
        self.reset()

    cdef void reset(self) noexcept nogil:
        memset(self.counts, 0, sizeof(self.counts))
        self.last = 0
        self.width = self.total = self.variance = 0
        self.ticks = 0

    cdef bint update(self, double x) noexcept nogil:
        cdef bint changed = False
        cdef Bucket* bucket = &self.buckets[0][self.counts[0]]
        if self.width > 0:
            self.variance += self.width * (x - self.total / self.width) ** 2 / (self.width + 1)
        self.width += 1
        self.total += x
        bucket.total, bucket.variance = x, 0
        self.counts[0] += 1
        self.compress()
        self.ticks += 1
        if self.ticks % CLOCK or self.width <= GRACE:
            return False
        while self.cuts():
            changed = True
            self.drop_oldest()
        return changed

    cdef void compress(self) noexcept nogil:
        """Joins the two oldest buckets of each size that has too many."""
        cdef int row = 0
        cdef Bucket* a
        cdef Bucket* b
        cdef Bucket* to
        cdef double size
        while self.counts[row] > MOST_BUCKETS and row + 1 < ROWS:
            size = <double>(<uint64_t>1 << row)
            a, b = &self.buckets[row][0], &self.buckets[row][1]
            to = &self.buckets[row + 1][self.counts[row + 1]]
            to.total = a.total + b.total
            to.variance = a.variance + b.variance + size / 2 * ((a.total - b.total) / size) ** 2
            self.counts[row + 1] += 1
            self.counts[row] -= 2
            memmove(a, a + 2, self.counts[row] * sizeof(Bucket))
            row += 1
            self.last = max(self.last, row)

    cdef bint cuts(self) noexcept nogil:
        """Whether the window has an old part whose mean differs from that of the rest."""
        cdef double n0 = 0, u0 = 0, n1 = self.width, u1 = self.total, size, m, bound
        cdef double level = log(2 * log(self.width) / self.delta), v = self.variance / self.width
        cdef int row = self.last, k
        while row >= 0:
            size = <double>(<uint64_t>1 << row)
            for k in range(self.counts[row]):
                n0 += size
                n1 -= size
                u0 += self.buckets[row][k].total
                u1 -= self.buckets[row][k].total
                if row == 0 and k == self.counts[0] - 1:
                    return False
                if n0 < SHORTEST or n1 < SHORTEST:
                    continue
                m = 1 / (n0 - SHORTEST + 1) + 1 / (n1 - SHORTEST + 1)
                bound = sqrt(2 * m * v * level) + 2.0 / 3 * m * level
                if fabs(u0 / n0 - u1 / n1) > bound:
                    return True
            row -= 1
        return False

    cdef void drop_oldest(self) noexcept nogil:
        """Drops the oldest bucket."""
        cdef Bucket* oldest = &self.buckets[self.last][0]
        cdef double size = <double>(<uint64_t>1 << self.last)
        self.width -= size
        self.total -= oldest.total
        if self.width > 0:
            self.variance -= oldest.variance + size * self.width * (
                oldest.total / size - self.total / self.width) ** 2 / (size + self.width)
        else:
            self.variance = 0
        self.variance = max(self.variance, 0)
        self.counts[self.last] -= 1
        memmove(oldest, oldest + 1, self.counts[self.last] * sizeof(Bucket))
        while self.last > 0 and self.counts[self.last] == 0:
            self.last -= 1


cdef class PageHinkley(Detector):
    """The test of Page and Hinkley for a rise.

    Args:
        threshold: Of the sum above its minimum.
        delta: A rise of the mean that is tolerated.
        fading: The factor a of the sum. With less than 1 the sum has an end that it swings about, and false alarms
            never stop; River and MOA have 0.9999.
    """

    cdef double threshold, delta, fading, mean, sum, least
    cdef uint64_t n

    def __init__(self, double threshold=100, double delta=0.05, double fading=1):
        self.threshold, self.delta, self.fading = threshold, delta, fading
        self.reset()

    cdef void reset(self) noexcept nogil:
        self.mean = self.sum = self.n = 0
        self.least = 1e300

    cdef bint update(self, double x) noexcept nogil:
        self.n += 1
        self.mean += (x - self.mean) / self.n
        self.sum = self.fading * self.sum + (x - self.mean) - self.delta
        self.least = min(self.least, self.sum)
        if self.n < FEW or self.sum - self.least <= self.threshold:
            return False
        self.reset()
        return True


cdef class Kswin(Detector):
    """KSWIN.

    Args:
        alpha: The significance of each test.
        seed: Of the draws.
    """

    cdef double[WINDOW] window        # the oldest first, from `begin` on in a circle
    cdef size_t begin, n
    cdef int critical                 # the least distance, in values, that is significant
    cdef uint64_t seed, tests

    def __init__(self, double alpha=0.005, unsigned long long seed=0):
        self.critical = critical_distance(RECENT, alpha)
        self.seed = seed
        self.reset()

    cdef void reset(self) noexcept nogil:
        self.begin = self.n = 0

    cdef bint update(self, double x) noexcept nogil:
        cdef double[WINDOW] older
        cdef double[RECENT] drawn
        cdef double[RECENT] recent
        cdef size_t i, j, old = WINDOW - RECENT
        self.window[(self.begin + self.n) % WINDOW] = x
        if self.n < WINDOW:
            self.n += 1
        else:
            self.begin = (self.begin + 1) % WINDOW
        if self.n < WINDOW:
            return False
        for i in range(old):
            older[i] = self.window[(self.begin + i) % WINDOW]
        for i in range(RECENT):
            recent[i] = self.window[(self.begin + old + i) % WINDOW]
        # without replacement (Fisher and Yates 1938)
        for i in range(RECENT):
            j = i + mix(mix(self.seed, self.tests), i) % (old - i)
            drawn[i] = older[j]
            older[j] = older[i]
        self.tests += 1
        if distance(drawn, recent) < self.critical:
            return False
        for i in range(RECENT):
            self.window[i] = recent[i]
        # distance() has sorted them: their order among each other doesn't matter for tests of a full window
        self.begin, self.n = 0, RECENT
        return True


cdef int compare(const void* a, const void* b) noexcept nogil:
    cdef double x = (<const double*>a)[0], y = (<const double*>b)[0]
    return (x > y) - (x < y)


cdef int distance(double* a, double* b) noexcept nogil:
    """The greatest difference of the counts of values up to each value, of two samples of RECENT, which are sorted."""
    cdef int i = 0, j = 0, found = 0
    cdef double x
    qsort(a, RECENT, sizeof(double), compare)
    qsort(b, RECENT, sizeof(double), compare)
    while i < RECENT and j < RECENT:
        x = min(a[i], b[j])
        while i < RECENT and a[i] == x:
            i += 1
        while j < RECENT and b[j] == x:
            j += 1
        found = max(found, i - j, j - i)
    return found


def tail(int n, int k):
    """The probability that two samples of n values of one distribution are k / n apart, or more."""
    from math import comb
    whole = comb(2 * n, n)
    found, i = 0, 1
    while k * i <= n:
        found += (-1) ** (i - 1) * comb(2 * n, n - i * k)
        i += 1
    return min(2 * found / whole, 1.0) if k > 0 else 1.0


def critical_distance(int n, double alpha):
    """The least k of which `tail` is at most alpha; n + 1 without one."""
    for k in range(1, n + 1):
        if tail(n, k) <= alpha and k > LEAST_DISTANCE * n:
            return k
    return n + 1


DETECTORS = {"adwin": Adwin, "page_hinkley": PageHinkley, "kswin": Kswin}

cdef struct Event:
    uint64_t number
    double before, after


cdef class Drift(Observer):
    """Watches the losses of a run; passes examples on to another observer.

    Args:
        detector: The detector.
        scaled: Whether it sees losses in standard deviations.
        tests: Whether losses of examples that are not learned are watched, too.
        other: Another observer, or None.
        act: A function of the number of an example, called as soon as a drift is found there; or None.
    """

    cdef Detector detector
    cdef object act
    cdef bint scaled, tests, later
    cdef Observer other
    cdef uint64_t number              # of examples
    cdef uint64_t n                   # losses since the last change; their mean, and sum of squares about it
    cdef double mean, square, middle
    cdef double[LATEST] latest        # in a circle
    cdef double sum_latest
    cdef Event* found
    cdef size_t n_found, capacity
    cdef readonly size_t total        # drifts of the run

    def __init__(self, Detector detector not None, bint scaled, bint tests=False, Observer other=None, act=None):
        self.detector, self.scaled, self.tests, self.other, self.act = detector, scaled, tests, other, act
        # examples of a group have all been learned when they are noted
        self.takes_many = act is None and (other is None or other.takes_many)

    def __dealloc__(self):
        free(self.found)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        self.number += 1
        if ex.labelled and ex.weight > 0 and (not tested or self.tests):
            self.see(ex.loss / ex.weight)
        return 0 if self.other is None else self.other.note(ex, block, row, tested)

    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil:
        cdef size_t i
        for i in range(n):
            self.number += 1
            if examples[i].label == examples[i].label and (not tested or self.tests):
                self.see(examples[i].loss / examples[i].weight)
        return 0 if self.other is None else self.other.note_many(examples, n, tested)

    cdef int see(self, double loss) except -1 nogil:
        """Watches a loss."""
        cdef double deviation, before, after
        cdef uint64_t latest, older
        if self.later or not isfinite(loss):
            return 0
        if self.n >= LATEST:
            self.sum_latest -= self.latest[self.n % LATEST]
        self.latest[self.n % LATEST] = loss
        self.sum_latest += loss
        self.n += 1
        deviation = loss - self.mean
        self.mean += deviation / self.n
        self.square += deviation * (loss - self.mean)
        if self.scaled:
            if self.n <= WARM_UP:
                self.middle = self.mean
            if self.n < WARM_UP or not self.square > 0:
                return 0
            loss = (loss - self.middle) / sqrt(self.square / self.n)
        if not self.detector.update(loss):
            return 0
        latest = min(self.n, <uint64_t>LATEST)
        older = self.n - latest
        after = self.sum_latest / latest
        before = (self.mean * self.n - self.sum_latest) / older if older else after
        if after > before:
            self.total += 1
            if self.n_found < MOST_EVENTS:
                grow(&self.found, &self.capacity, self.n_found + 1, sizeof(Event))
                self.found[self.n_found] = Event(self.number, before, after)
                self.n_found += 1
            self.begin_anew()
            if self.act is not None:
                with gil:
                    self.act(self.number)
        return 0

    cdef void begin_anew(self) noexcept nogil:
        self.n = 0
        self.mean = self.square = self.sum_latest = 0
        self.detector.reset()

    def end_pass(self):
        """Ends the first pass: losses of later ones are of examples that were learned."""
        self.later = True

    def events(self):
        """The drifts since the last call: the number of the example, the mean loss before, and the latest one."""
        cdef size_t i
        events = [(self.found[i].number, self.found[i].before, self.found[i].after) for i in range(self.n_found)]
        self.n_found = 0
        return events

    def figures(self):
        """The number of drifts, for the summary."""
        return {"drifts": self.total}
