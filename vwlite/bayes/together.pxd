"""Joint update of the fixed part and all random effects from one example.

The joint posterior is  p(b) prod_e p(t_e | b):  b has the coefficients of the fixed part, t_e those of an entity. An
entity's posterior is conditional on the current b; the fixed part's is marginal over the entities. If both have a
coefficient of the same feature,  E(t_e | b) = m_e - A^-1 E (b - o): E is the data's precision of the entity, P its
prior precision, A = E + P, and o, its origin, is b at the time when m_e was computed. So

    s = initial + b'x + sum_e m_e'x_e - x_e' A^-1 E (b - o)         the score
    l = P A^-1 x_e / x_e, 1 of features that e does not have        the load: the share of a move of b that remains
    l = (x_o - G' A^-1 x_e) / x_o, of others in its CrossPrecision  the same, and - x_e' A^-1 G (b_o - o) in the score
    Z = (l x)' H^-1 (l x) + sum_e x_e' A_e^-1 x_e                   its variance; H is the precision of b

An example moves a score of variance Z by Z g and adds c to its precision (reductions/glm.pyx has g and c). b moves by
H^-1 (l x) g. m_e moves by A_e^-1 x_e g, and follows b with the dependence before this example. So the score moves by
exactly Z g even if the loads are approximate: the shares by which the parts follow b sum to 1 - l. Each part gets the
curvature that is marginal over the others: c / (1 + c sum of the z_e of other effects), with z_e = x_e' A_e^-1 x_e.

With one effect and squared loss this is exact, in any order of the data (Kalman filter; Kalman 1960), as long as all
posteriors are full and no entity has more than MOST_OTHERS features that only the fixed part has. With several effects,
1 / l - 1 of a feature is the sum over the effects that have it: exact for balanced designs. So an effect explains 1 - l
of a feature times its share, the part of its intercept's load that the others leave. Correlations between two effects
are ignored. marginal.pxd has the fixed part's precision under estimated variances.

Effects with coefficients of features do not lean if there are several: the shares would sum to more than 1, and scores
diverge in the first hundreds of examples. The posterior is then a product of one for each part (assumed density
filtering: Minka 2001; for users and items: Stern and others 2009, "Matchbox"). A score moves by Z g as above, Z being
the sum of the variances of all parts.
"""
from libc.stdint cimport uint32_t

from vwlite.bayes.marginal cimport Marginal
from vwlite.bayes.updates cimport Updates
from vwlite.core.example cimport MOST_PARTS, Example, Feature
from vwlite.core.learner cimport Learner
from vwlite.entities.record cimport Record

cdef class Together:
    cdef Learner base
    cdef Updates fixed                # the base, if it has a posterior
    cdef list effects
    cdef (void*)[MOST_PARTS] pointers  # to the effects
    cdef bint[MOST_PARTS] taken       # which effects take part in the current example
    cdef double[MOST_PARTS] of_intercept  # shares of the effects: what the others leave of their intercepts' loads
    cdef size_t n
    cdef bint anchored                # effects lean on the fixed part, and have origins
    cdef readonly Marginal marginal   # of the fixed part; None if it has no posterior
    cdef Feature* damped
    cdef size_t capacity
    cdef void begin(self) noexcept nogil
    cdef int glance(self, size_t r, Example ex) except -1 nogil
    cdef bint can_step(self, size_t r, Example ex) except -1 nogil
    cdef int look(self, size_t r, Example ex) except -1 nogil
    cdef int sum_ends(self) except -1 nogil
    cdef int follow(self, size_t r, Example ex) except -1 nogil
    cdef int step(self, Example ex, bint fixed_learns, double certain) except -1 nogil
    cdef void add_noise(self, double amount) noexcept nogil
    cdef int damp(self, Example ex, const Feature* others, size_t n_others) except -1 nogil
    cdef double load(self, uint32_t hash) noexcept nogil
    cdef void loads_of(self, uint32_t hash, double* loads) noexcept nogil
    cdef double share(self, size_t r, uint32_t hash) noexcept nogil
    cdef Record* full_fixed(self) noexcept nogil
    cdef double shift(self, size_t r, bint settles) except? -1e300 nogil
