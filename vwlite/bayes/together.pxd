"""All parts of a score learn from an example at once: a fixed part, and the models of the entities that it names.

What is known of the parts together is  p(b) prod_e p(t_e | b):  b, the coefficients of the fixed part, t_e those of an
entity. An entity's posterior is the one for b as it is now, and says nothing of b; the fixed part's counts in that the
entities are not known. Where both have a coefficient of the same feature,  E(t_e | b) = m_e - A^-1 E (b - o): E is what
data say of the entity, A its precision, P its prior's, A = E + P, and o, its origin, is b as it was when m_e was worked
out. So

    s = initial + b'x + sum_e m_e'x_e - x_e' A^-1 E (b - o)         the score
    l = P A^-1 x_e / x_e, 1 of features that e does not have        the load: what is left of a move of b
    l = (x_o - G' A^-1 x_e) / x_o, of others in its CrossPrecision  the same, and - x_e' A^-1 G (b_o - o) in the score
    Z = (l x)' H^-1 (l x) + sum_e x_e' A_e^-1 x_e                   its variance; H is the precision of b

An example moves a score of variance Z by Z g and adds c to its precision (reductions/glm.pyx says how much): b moves
by H^-1 (l x) g, and m_e by A_e^-1 x_e g while it follows b, as far as it was known to lean on it before this example.
So the score moves by Z g whatever is approximate in the loads: the sum of what the parts follow by is 1 - l. Of the
curvature each part takes what is left of it when the others are not known: c / (1 + c sum of the z_e of other effects),
with z_e = x_e' A_e^-1 x_e.

With one effect and squared loss that is exact, in any order of the data (Kalman 1960), as long as all posteriors are
full and no entity meets more than MOST_OTHERS features that only the fixed part has. With several, 1 / l - 1 of a
feature that effects have is the sum of those of each effect: exact for balanced designs; so an effect explains 1 - l of
a feature times its share, which is what the others leave of its intercept's load. What is left out: that two effects
are correlated. marginal.pxd says how the fixed part follows variances that are estimated.

Of several effects with coefficients of features that is too much to leave out: sums of shares go beyond 1, and scores
ran away from the labels in the first hundreds of examples. So these do not lean, and the posterior is a product of one
for each part (assumed density filtering: Minka 2001; with users and items: Stern and others 2009, "Matchbox"). A score
moves as above, by Z g with the variances of all parts.
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
    cdef bint[MOST_PARTS] taken       # of the example at hand, which effects take part
    cdef double[MOST_PARTS] of_intercept  # and what the others leave of their intercepts' loads
    cdef size_t n
    cdef bint anchored                # effects lean on the fixed part, and have origins
    cdef readonly Marginal marginal   # of the fixed part; None if it knows nothing of how sure it is
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
