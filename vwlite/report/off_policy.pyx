"""Off-policy evaluation: the cost of a policy, estimated from decisions logged under another one, with intervals.

A decision has a cost c, the probability p with which the logging policy took its action, and the probability pi with
which the new policy takes that action; w = pi / p. With a model of costs also q, its prediction for the logged action,
and v = sum_a pi(a) q(a), what it expects of the new policy. Means are over n decisions.

    IPS    mean(w c)                   unbiased, of high variance (Horvitz and Thompson 1952)
    SNIPS  mean(w c) / mean(w)         slightly biased, of lower variance (Swaminathan and Joachims 2015)
    DR     mean(v + w (c - q))         unbiased if p or the model is right (Dudik, Langford and Li 2011)

A decision also has a weight g, 1 unless the log says otherwise: g = 1 / (1 - pdrop) in a log that left each decision
out with probability pdrop, as decision services do with those that have no reward (Agarwal et al. 2016, "Making
contextual decisions with low technical debt"). Each decision stands for g of them, and all means are weighted: mean(x)
is sum(g x) / sum(g) (Hajek 1971). IPS is then the average loss that Vowpal Wabbit reports for such a log.

Intervals have at least their nominal coverage, also with few decisions and rare rewards, where normal ones are far too
narrow (a log without any reward has no variance at all). To the terms of an estimate, each end adds the worst possible
one: the largest weight seen, at least 1, times the worst possible cost; mean and variance are of these n + 1, and the
quantile is Student's with n degrees of freedom. The intervals of Karampatziakis, Langford and Mineiro (2020, "Empirical
likelihood for contextual bandits") add the worst observation, too.
SNIPS is a ratio of two means, its terms are w (c - SNIPS) / mean(w) (the delta method, Owen 2013, "Monte Carlo theory,
methods and examples", 9.2). A weighted mean is such a ratio, too: its terms are g (x - mean) / (sum(g) / n), the worst
one has the largest g, and the degrees of freedom are (sum g)^2 / sum g^2. The range of costs is the given one, or else
that of the costs seen; without a range there are no intervals. The effective sample size is
(sum g w)^2 / sum (g w)^2 (Kong 1992).

An interval can't cover missing support: if the logging policy never takes an action that the new policy takes, the
mean weight is below its expectation, 1. remarks() tests that.

All moments are updated about the running mean (West 1979), so a large constant in the costs causes no cancellation.
"""
from typing import NamedTuple

from libc.math cimport INFINITY, NAN, fabs, fmax, fmin, isnan, sqrt

from vwlite.core.draws cimport normal_quantile
from vwlite.core.multiline cimport MultiExample

cdef double ROUNDED = 1e-3            # a mean weight as near to 1 comes from logged probabilities of few digits
cdef double ROUNDING = 1e-6           # probabilities in single precision may sum to a little over 1
cdef double GREATEST = 1e39           # of costs and weights: their squares' products can still be summed


class Estimate(NamedTuple):
    """A mean cost and its confidence interval; None if there are too few decisions."""

    value: float | None
    low: float | None
    high: float | None


class Estimates(NamedTuple):
    """The off-policy estimates of a new policy.

    n             number of decisions, whatever their weights
    logged        mean cost of the logging policy
    n_predicted   number of decisions with predicted costs, used by the doubly robust estimate
    effective_n   effective sample size
    mean_weight   near 1 if the logged probabilities are right
    max_weight    None without decisions, as is the mean
    """

    n: int
    logged: float | None
    n_predicted: int
    level: float
    ips: Estimate
    snips: Estimate
    dr: Estimate
    effective_n: float
    mean_weight: float | None
    max_weight: float | None


cdef inline void gather(Moments* m, double x, double weight) noexcept nogil:
    """Adds a value to the moments (West 1979; with equal weights this is Welford's update)."""
    cdef double step
    if weight <= 0:
        return
    m.weight += weight
    step = (x - m.mean) * (weight / m.weight)
    m.square += weight * (x - m.mean) * (x - m.mean - step)
    m.mean += step


cdef inline void weigh(WeightedMean* m, double x, double weight) noexcept nogil:
    """Adds a value to a weighted mean."""
    gather(&m.once, x, weight)
    gather(&m.twice, x, weight * weight)


cdef inline double squares_of(const WeightedMean* m) noexcept nogil:
    """The sum of squares weight^2 (x - mean)^2, about the weighted mean."""
    cdef double gap = m.twice.mean - m.once.mean
    return m.twice.square + m.twice.weight * gap * gap


cdef double end_of(double mean, double squares, size_t n, double worst, double t, int side) noexcept nogil:
    """The lower (side -1) or upper (1) end of an interval for a mean of n terms; squares are summed about it.

    The worst further term is at mean + worst: mean and variance are of all n + 1.
    """
    cdef double reach = t * sqrt((squares + worst * worst * n / (n + 1)) / n / (n + 1))
    return mean + worst / (n + 1) + side * reach


cdef double cotangent(double x) noexcept nogil:
    """Cotangent, 0 < x < pi/2, by Lambert's continued fraction: the C library's depends on the processor."""
    cdef double below = 23
    cdef int k
    for k in range(21, 0, -2):
        below = k - x * x / below
    return below / x


cdef double student_quantile(double p, double n) noexcept nogil:
    """The p-quantile (p > 0.5) of Student's distribution with n degrees of freedom, to about 3 digits from n = 3.

    Abramowitz and Stegun 26.7.5; exact for 1 and 2. Below 3, n is rounded down, which makes quantiles larger.
    """
    cdef double z, z2
    if n < 2:
        return cotangent(3.14159265358979323846 * (1 - p))
    if n < 3:
        return (p - 0.5) * sqrt(2 / (p * (1 - p)))
    z = normal_quantile(p)
    z2 = z * z
    return z * (1 + (z2 + 1) / (4 * n) + ((5 * z2 + 16) * z2 + 3) / (96 * n * n)
                + (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * n * n * n)
                + ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / (92160 * n * n * n * n))


cdef class OffPolicy:
    """Accumulates logged decisions for off-policy estimates.

    Args:
        low, high: The range of costs; NaN for that of the costs seen.

    >>> policy = OffPolicy()
    >>> policy.note(cost=-1, probability=0.5, policy=1)
    >>> policy.note(cost=0, probability=0.5, policy=0)
    >>> policy.estimates().ips.value
    -1.0
    """

    def __cinit__(self, double low=NAN, double high=NAN):
        self.low, self.high = low, high
        self.is_known = not isnan(low)
        if not self.is_known:
            self.low, self.high = INFINITY, -INFINITY

    cdef void add(self, double cost, double probability, double policy,
                  double predicted_logged, double predicted_policy, double weight) noexcept nogil:
        """Adds a decision; predictions are NaN if there are none. An invalid one is counted as refused and ignored."""
        cdef double w, both
        if fault(cost, probability, policy, predicted_logged, predicted_policy, weight) != NULL:
            self.refused += 1
            return
        w = policy / probability
        if w < 1 / GREATEST:
            w = 0  # its square would vanish
        self.n += 1
        self.n_weighted += w > 0
        self.greatest, self.heaviest = fmax(self.greatest, w), fmax(self.heaviest, weight)
        self.low, self.high = fmin(self.low, cost), fmax(self.high, cost)
        gather(&self.logged, cost, weight)
        weigh(&self.weight, w, weight)
        weigh(&self.plain, w * cost, weight)
        both = w * weight
        self.weights += both
        self.squared_weights += both * both
        gather(&self.by_weight, cost, both)
        gather(&self.by_square, cost, both * both)
        if not isnan(predicted_logged):
            self.n_predicted += 1
            weigh(&self.corrected, predicted_policy + w * (cost - predicted_logged), weight)

    def note(self, double cost, double probability, double policy,
             double predicted_logged=float("nan"), double predicted_policy=float("nan"), *, bint strict=True,
             double weight=1):
        """Adds a decision, which stands for `weight` of them.

        An invalid one is not added: it raises ValueError or, if not strict, is counted in `refused`.
        """
        cdef const char* wrong = fault(cost, probability, policy, predicted_logged, predicted_policy, weight)
        if strict and wrong != NULL:
            raise ValueError(f"{wrong.decode()}: cost {cost:g}, logged probability {probability:g}, probability under "
                             f"the new policy {policy:g}, predicted costs {predicted_logged:g} and "
                             f"{predicted_policy:g}, weight {weight:g}")
        self.add(cost, probability, policy, predicted_logged, predicted_policy, weight)

    def note_all(self, const double[:, ::1] decisions not None):
        """Adds decisions, rows of the arguments of note() in its order; invalid ones are counted in `refused`."""
        cdef Py_ssize_t i
        if decisions.shape[1] != 6:
            raise ValueError(f"decisions have 6 columns, not {decisions.shape[1]}")
        for i in range(decisions.shape[0]):
            self.add(decisions[i, 0], decisions[i, 1], decisions[i, 2], decisions[i, 3], decisions[i, 4],
                     decisions[i, 5])

    def estimates(self, double level=0.95):
        """The estimates, with intervals of coverage `level`.

        There is no interval until two decisions have weight, nor without a range of costs: not given, and all costs are
        equal. Raises ValueError unless 0 < level < 1.
        """
        cdef double ratio, spread, gap, mean_weight, heaviest
        cdef double worst = fmax(self.greatest, 1)
        cdef bint enough = self.n_weighted >= 2 and self.low < self.high
        if not 0 < level < 1:
            raise ValueError(f"the level of an interval has to be between 0 and 1, not {level:g}")
        nothing = Estimate(None, None, None)
        ips = snips = dr = nothing
        if self.n:
            ips = self.mean_of(&self.plain, self.n, level,
                               fmin(worst * self.low, 0) - self.plain.once.mean,
                               fmax(worst * self.high, 0) - self.plain.once.mean, enough)
        if self.weights > 0:
            ratio = self.by_weight.mean
            mean_weight = self.weights / self.n
            # sum (g w)^2 (c - ratio)^2, about its own mean and the gap from there to the ratio
            gap = self.by_square.mean - ratio
            spread = self.by_square.square + self.by_square.weight * gap * gap
            heaviest = worst * self.heaviest
            snips = self.estimate(ratio, spread / (mean_weight * mean_weight), self.n,
                                  self.quantile(&self.plain, level),
                                  heaviest * (self.low - ratio) / mean_weight,
                                  heaviest * (self.high - ratio) / mean_weight, enough)
        if self.n_predicted:
            gap = worst * (self.high - self.low)
            dr = self.mean_of(&self.corrected, self.n_predicted, level, -gap, gap, enough and self.n_predicted >= 2)
        return Estimates(
            self.n, self.logged.mean if self.n else None, self.n_predicted, level, ips, snips, dr,
            self.weights * self.weights / self.squared_weights if self.squared_weights > 0 else 0.0,
            self.weights / self.weight.once.weight if self.n else None,
            self.greatest if self.n else None,
        )

    cdef double quantile(self, const WeightedMean* m, double level):
        """Student's quantile, with as many degrees of freedom as there are decisions of equal weight."""
        return student_quantile(0.5 + level / 2, m.once.weight * m.once.weight / m.twice.weight)

    cdef object mean_of(self, const WeightedMean* m, size_t n, double level, double low, double high, bint enough):
        """A weighted mean of n decisions with its interval; low and high are the differences of the worst values."""
        cdef double mean_weight = m.once.weight / n, worst = self.heaviest / mean_weight
        return self.estimate(m.once.mean, squares_of(m) / (mean_weight * mean_weight), n, self.quantile(m, level),
                             low * worst, high * worst, enough)

    cdef object estimate(self, double value, double squares, size_t n, double t, double low, double high, bint enough):
        """A value with its interval; low and high are the differences of the worst terms from the value."""
        if not enough:
            return Estimate(value, None, None)
        return Estimate(value, end_of(value, squares, n, low, t, -1), end_of(value, squares, n, high, t, 1))

    def mean_weight(self, double level=0.99):
        """The mean weight with its interval, as an Estimate."""
        if not self.n:
            return Estimate(None, None, None)
        return self.mean_of(&self.weight, self.n, level, -self.weight.once.mean,
                            fmax(self.greatest, 1) - self.weight.once.mean, self.n >= 2)

    def remarks(self):
        """Warnings about the log: a mean weight that differs significantly from 1."""
        weight = self.mean_weight()
        if weight.low is None or weight.low <= 1 <= weight.high or fabs(weight.value - 1) <= ROUNDED:
            return []
        reason = (
            "the log lacks actions that this policy takes, so nothing is known of their costs, or its probabilities "
            "are too large" if weight.value < 1 else "the log's probabilities are too small"
        )
        return [f"the mean importance weight is {weight.value:.3g} (99% interval {weight.low:.3g} to "
                f"{weight.high:.3g}), not 1: {reason}; don't rely on ips, snips and dr"]

    def figures(self, double level=0.95):
        """The estimates as name -> number, for Learner.metrics(); omits undefined ones."""
        found = self.estimates(level)
        figures = {"decisions": float(found.n), "logged cost": found.logged}
        if self.logged.weight != self.n:
            figures["weighted decisions"] = self.logged.weight
        for name, each in (("ips", found.ips), ("snips", found.snips), ("dr", found.dr)):
            figures |= {name: each.value, f"{name} low": each.low, f"{name} high": each.high}
        figures["effective decisions"] = found.effective_n
        figures["mean weight"] = found.mean_weight
        figures["max weight"] = found.max_weight
        if self.refused:
            figures["refused decisions"] = float(self.refused)
        return {name: value for name, value in figures.items() if value is not None}


cdef const char* fault(double cost, double probability, double policy,
                       double predicted_logged, double predicted_policy, double weight) noexcept nogil:
    """The error of an invalid decision, NULL if it is valid."""
    if not fabs(cost) <= GREATEST:
        return b"the cost must be a finite number, at most 1e39"
    if not 0 < probability <= 1 + ROUNDING:
        return b"the logged probability must be above 0 and at most 1"
    if not 0 <= policy <= 1 + ROUNDING:
        return b"the new policy's probability must lie between 0 and 1"
    if policy / probability > GREATEST:
        return b"the logged probability is too small to divide by"
    if isnan(predicted_logged) != isnan(predicted_policy):
        return b"predicted costs go together: that of the logged action and that of the policy"
    if fabs(predicted_logged) > GREATEST or fabs(predicted_policy) > GREATEST:
        return b"predicted costs must be finite numbers, at most 1e39"
    if not 1 / GREATEST <= weight <= GREATEST:
        return b"the weight must be positive, at most 1e39"
    return NULL


cdef class PolicyTally:
    """The off-policy estimates of a run.

    Only the first pass counts: in later ones the policy has learned the cost of each decision. Held-out decisions have
    a new estimate in each pass; `held_out` is that of the last pass that had some, or of the best one after go_back().
    """

    def __init__(self, double low, double high):
        self.costs = low, high
        self.off_policy = OffPolicy(low, high)
        self.tests = self.last = OffPolicy(low, high)

    cdef void note(self, MultiExample ex, bint held_out) noexcept nogil:
        """Adds a decision with a known cost, after the policy's prediction."""
        if isnan(ex.policy):
            return
        if held_out:
            self.tests.add(ex.cost, ex.probability, ex.policy, ex.predicted_cost, ex.policy_cost, ex.weight)
        elif not self.later_pass:
            self.off_policy.add(ex.cost, ex.probability, ex.policy, ex.predicted_cost, ex.policy_cost, ex.weight)

    @property
    def held_out(self):
        """The estimates from decisions held out."""
        return self.tests if self.tests.n else self.last

    def figures(self):
        """The estimates as name -> number."""
        held_out = self.held_out
        found = self.off_policy.figures() if self.off_policy.n or not held_out.n else {}
        if held_out.n:
            found |= {f"{name} held out": value for name, value in held_out.figures().items()}
        return found

    def remarks(self):
        """Warnings about the log, from the importance weights."""
        return [remark for policy in (self.off_policy, self.held_out) for remark in policy.remarks()][:1]

    def end_pass(self):
        """Ends a pass: later predictions of learned decisions don't count."""
        self.later_pass = True
        if self.tests.n:
            self.last = self.tests
            self.tests = OffPolicy(*self.costs)

    def mark_best(self):
        """Marks the pass that has just ended as the best so far."""
        self.best = self.last

    def go_back(self):
        """Returns to the estimates of the best pass, whose model was saved."""
        if self.best is not None:
            self.last = self.best
            self.tests = OffPolicy(*self.costs)
