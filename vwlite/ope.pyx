"""What would another policy have cost? Estimates from logged decisions, with intervals, in constant memory.

A decision has a cost c, the probability p with which the logging policy took its action, and the probability pi with
which the new policy takes that action; w = pi / p. With a model of costs also q, its prediction for the logged action,
and v = sum_a pi(a) q(a), what it expects of the new policy. Means are over n decisions.

    IPS    mean(w c)                   unbiased, of high variance (Horvitz and Thompson 1952)
    SNIPS  mean(w c) / mean(w)         a little biased, calmer; moves with the costs (Swaminathan and Joachims 2015)
    DR     mean(v + w (c - q))         unbiased if p or the model is right (Dudik, Langford and Li 2011)

Intervals are normal: IPS and DR are means of independent terms, with the sample variance over n; SNIPS is a ratio of
two means, with the delta method's variance mean(w^2 (c - SNIPS)^2) / (n mean(w)^2) (Owen 2013, "Monte Carlo theory,
methods and examples", 9.2). They need no bounds on costs, which a cost need not have, and nothing but running moments;
they are too narrow while few decisions carry most of the weight. The effective sample size (sum w)^2 / sum w^2
(Kong 1992) says so: below some dozens an interval is not to be trusted.

All moments are updated about the running mean (West 1979), so a large constant in the costs cancels nothing.
"""
from typing import NamedTuple

from libc.math cimport fabs, isnan, sqrt

from vwlite.random cimport normal_quantile

cdef double ROUNDING = 1e-6           # probabilities in single precision may sum to a little over 1
cdef double GREATEST = 1e39           # of costs and weights: their squares' products can still be summed


class Estimate(NamedTuple):
    """A mean cost and its confidence interval; None where there are too few decisions."""

    value: float | None
    low: float | None
    high: float | None


class Estimates(NamedTuple):
    """What the log says about the new policy.

    n             decisions
    n_predicted   of them, those with predicted costs, which the doubly robust estimate is of
    effective_n   decisions of equal weight that would say as much
    mean_weight   near 1 if the logged probabilities are right
    max_weight    None without decisions, as is the mean
    """

    n: int
    n_predicted: int
    level: float
    ips: Estimate
    snips: Estimate
    dr: Estimate
    effective_n: float
    mean_weight: float | None
    max_weight: float | None


cdef inline void gather(Moments* m, double x, double weight) noexcept nogil:
    """One more value; West (1979), of which Welford's update is the case of equal weights."""
    cdef double step
    if weight <= 0:
        return
    m.weight += weight
    step = (x - m.mean) * (weight / m.weight)
    m.square += weight * (x - m.mean) * (x - m.mean - step)
    m.mean += step


cdef object estimate(double value, double variance, double z, bint enough):
    """A value with its interval, `variance` being that of the value."""
    if not enough:
        return Estimate(value, None, None)
    return Estimate(value, value - z * sqrt(variance), value + z * sqrt(variance))


cdef class OffPolicy:
    """Accumulates logged decisions.

    >>> policy = OffPolicy()
    >>> policy.note(cost=-1, probability=0.5, policy=1)
    >>> policy.note(cost=0, probability=0.5, policy=0)
    >>> policy.estimates().ips.value
    -1.0
    """

    cdef void add(self, double cost, double probability, double policy,
                  double predicted_logged, double predicted_policy) noexcept nogil:
        """One decision; predictions are NaN where there are none. A bad one is counted as refused and left out."""
        cdef double w
        if fault(cost, probability, policy, predicted_logged, predicted_policy) != NULL:
            self.refused += 1
            return
        w = policy / probability
        if w < 1 / GREATEST:
            w = 0  # its square would vanish
        self.n += 1
        self.n_weighted += w > 0
        self.weights += w
        self.squared_weights += w * w
        self.greatest = max(self.greatest, w)
        gather(&self.plain, w * cost, 1)
        gather(&self.by_weight, cost, w)
        gather(&self.by_square, cost, w * w)
        if not isnan(predicted_logged):
            self.n_predicted += 1
            gather(&self.corrected, predicted_policy + w * (cost - predicted_logged), 1)

    def note(self, double cost, double probability, double policy,
             double predicted_logged=float("nan"), double predicted_policy=float("nan"), *, bint strict=True):
        """Count a decision in.

        A bad one does not count: ValueError says what is wrong with it, or if not strict, `refused` grows by one.
        """
        cdef const char* wrong = fault(cost, probability, policy, predicted_logged, predicted_policy)
        if strict and wrong != NULL:
            raise ValueError(f"{wrong.decode()}: cost {cost:g}, logged probability {probability:g}, probability under "
                             f"the new policy {policy:g}, predicted costs {predicted_logged:g} and "
                             f"{predicted_policy:g}")
        self.add(cost, probability, policy, predicted_logged, predicted_policy)

    def estimates(self, double level=0.95):
        """Estimates with intervals that hold the truth with probability `level`, if there are decisions enough.

        There is no interval until two decisions have weight: without, every term is 0, and so would be its variance.
        Raises ValueError unless 0 < level < 1.
        """
        cdef double z, ratio, spread, gap
        cdef bint enough = self.n_weighted >= 2
        if not 0 < level < 1:
            raise ValueError(f"an interval of level {level:g} is asked for; it lies between 0 and 1")
        z = normal_quantile(0.5 + level / 2)
        nothing = Estimate(None, None, None)
        ips = snips = dr = nothing
        if self.n:
            ips = estimate(self.plain.mean, variance_of_mean(&self.plain), z, enough)
        if self.weights > 0:
            ratio = self.by_weight.mean
            # sum w^2 (c - ratio)^2, about its own mean and the gap from there to the ratio
            gap = self.by_square.mean - ratio
            spread = self.by_square.square + self.by_square.weight * gap * gap
            snips = estimate(ratio, spread / (self.weights * self.weights), z, enough)
        if self.n_predicted:
            dr = estimate(self.corrected.mean, variance_of_mean(&self.corrected), z,
                          enough and self.n_predicted >= 2)
        return Estimates(
            self.n, self.n_predicted, level, ips, snips, dr,
            self.weights * self.weights / self.squared_weights if self.squared_weights > 0 else 0.0,
            self.weights / self.n if self.n else None,
            self.greatest if self.n else None,
        )

    def figures(self, double level=0.95):
        """The estimates as name -> number, for Learner.metrics(); what is not known is left out."""
        found = self.estimates(level)
        figures = {"decisions": float(found.n)}
        for name, each in (("ips", found.ips), ("snips", found.snips), ("dr", found.dr)):
            figures |= {name: each.value, f"{name} low": each.low, f"{name} high": each.high}
        figures["effective decisions"] = found.effective_n
        figures["mean weight"] = found.mean_weight
        figures["max weight"] = found.max_weight
        if self.refused:
            figures["refused decisions"] = float(self.refused)
        return {name: value for name, value in figures.items() if value is not None}


cdef double variance_of_mean(const Moments* m) noexcept nogil:
    """The sample variance (over n - 1) divided by n."""
    return m.square / (m.weight - 1) / m.weight if m.weight > 1 else 0


cdef const char* fault(double cost, double probability, double policy,
                       double predicted_logged, double predicted_policy) noexcept nogil:
    """What is wrong with a decision, NULL if nothing is."""
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
    return NULL
