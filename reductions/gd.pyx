"""gd: online gradient descent with Vowpal Wabbit's update.        SIMPLE -> SCALAR, bottom learner

Prediction:  p = initial + sum_i w_i x_i, clipped to the range of labels.
Update, for a label y with importance weight h and loss L (h > 0, L > 0):

    G_i += h (dL/dp)^2 x_i^2                                 adaptive: Duchi, Hazan and Singer 2011
    N_i  = max(N_i, |x_i|); w_i shrinks as N_i grows         normalized: Ross, Mineiro and Langford 2013, Algorithm 2
    S   += h sum_i x_i^2 / N_i^2,   T += h                   each weight vector has its own
    r_i  = G_i^-1/2 / N_i                                    rate of the feature
    ppu  = sqrt(T / S) sum_i x_i^2 r_i                       what the prediction moves per unit of update
    w_i += U(p, y, eta h, ppu) sqrt(T / S) r_i x_i           U: the loss's importance-invariant update (losses.pyx)

With another --power_t the exponents -1/2 become -power_t. Without adaptive the rate decays as t^-power_t instead.
L1 and L2 are lazy: two scalars (Langford, Li and Zhang 2009, truncated gradient), gravity g and contraction c. The
weight in force, which predicts and is exported, is  c sign(w) max(|w| - g, 0).
"""
from array import array

from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, copysignf, fabs, fabsf, isfinite, isnan, sqrt, sqrtf
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from vwlite.bases.table_learner cimport TableLearner, finish, judge, slot_at, vwl_slot, vwl_table
from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport powf
from vwlite.core.equations cimport FEW, evaluate_logistic, evaluate_squared, logistic_flow, squared_flow
from vwlite.core.example cimport CONSTANT_HASH, Example, Feature, SimpleExample
from vwlite.core.learner cimport Learner, Scored
from vwlite.core.losses cimport Logistic, Squared
from vwlite.core.point cimport Point

from vwlite.bases.table_learner import Column
from vwlite.core.options import Option, OptionGroup

# under -t these options have no effect; scripts for VW give them, so they are no error there
LEARNING, MILD = ("gd & learning",), ("learning",)
REGULARIZED = (*LEARNING, "ftrl & learning")

OPTIONS = OptionGroup("gd: gradient descent (the default learner)", (
    Option("learning_rate", float, "learning rate", short="l", default=0.5, above=0, keep=True,
           needs=LEARNING, mild=MILD, task="learn"),
    Option("power_t", float, "exponent of the rate's decay", default=0.5, keep=True, needs=LEARNING, mild=MILD),
    Option("initial_t", float, "initial t, the clock of the decay", default=0.0, least=0, keep=True, vw_forgets=True,
           needs=LEARNING, mild=MILD),
    Option("decay_learning_rate", float, "factor on the learning rate after each pass", default=1.0, above=0,
           keep=True, needs=("gd & passes>1 & learning", "gd & library & learning"), mild=MILD),
    Option("sgd", bool, "plain gradient descent, without those of the next three not given", keep=True, fixed=True),
    Option("adaptive", bool, "a learning rate of each feature by its gradients (on by default)", keep=True, fixed=True),
    Option("normalized", bool, "a learning rate of each feature by its scale (on by default)", keep=True, fixed=True),
    Option("invariant", bool, "importance-invariant updates (on by default)", keep=True, fixed=True),
    Option("l1", float, "L1 regularization", default=0.0, least=0, keep=True, vw_forgets=True, needs=REGULARIZED,
           mild=MILD),
    Option("l2", float, "L2 regularization", default=0.0, least=0, keep=True, vw_forgets=True,
           needs=(*REGULARIZED, "glm"), mild=MILD),
    Option("sparse_l2", float, "L2 regularization of the features of each example only", default=0.0, least=0,
           keep=True, vw_forgets=True, needs=LEARNING, mild=MILD),
    Option("constant_rate", float, "learning rate of the constant; --learning_rate by default", above=0, keep=True,
           fixed=True, needs=("gd & learning & !noconstant",), mild=MILD, metavar="RATE"),
    Option("constant", float, "initial weight of the constant", short="C", default=0.0,
           needs=("gd & !noconstant",)),
), needs=("gd",), examples=(
    "vwlite data.vw --learning_rate 0.3 --power_t 0.4 --initial_t 1 --constant 0.5",
    "vwlite data.vw --sgd --adaptive --invariant -l 0.1 --l1 1e-6 --l2 1e-6",
    "vwlite data.vw --normalized --sparse_l2 1e-6",
    "vwlite data.vw --scale --sgd -l 0.01 --power_t 0 --constant_rate 0.1",
    "vwlite data.vw -c --passes 5 --decay_learning_rate 0.8",
))

ALWAYS_SHOWN = ("learning_rate", "power_t")

cdef enum:
    W = 0
    G = 1                             # adaptive: sum of squared gradients
    N = 2                             # normalizer: largest |x|
    R = 3                             # learning rate in the last update

cdef enum Equations:
    OWN                               # of the loss, called
    SQUARED                           # compiled in
    LOGISTIC                          # compiled into learn_many

cdef float TINY = 1.084202e-19        # |x| below this counts as this in the norms: its square is the smallest float

# bounds of the lazy scalars, with a margin to the limits of single precision
cdef double SMALLEST = 1e-25, LARGEST = 1e25

cdef extern from "vwlite/bases/slots.h" nogil:
    float vwl_dot(const vwl_table* table, const void* features, size_t n)
    int vwl_add(const vwl_table* table, const void* features, size_t n, float u)
    void vwl_usual_rates(const vwl_table* table, const void* features, size_t n, float g2, float* ppu, float* norm)

cdef extern from "vwlite/bases/vectors.h" nogil:
    enum:
        VWL_MOST_LANES
    ctypedef struct vwl_lanes:
        float* g2
        int32_t* active
    bint vwl_are_apart(const vwl_table* table, uint32_t count, uint32_t step)
    uint32_t vwl_lanes_of(const vwl_table* table, uint32_t step, bint wide)
    void vwl_find(const vwl_table* table, const void* features, size_t n, size_t bytes, float** at)
    void vwl_rates_of_lanes(uint32_t lanes, float** at, int group, const void* features, size_t n, size_t place,
                            const vwl_lanes* each, float* ppu, float* norm)
    void vwl_step_lanes(uint32_t lanes, float** at, int group, const void* features, size_t n, size_t place,
                        const vwl_lanes* each, const float* u, int32_t* left_out)

cdef extern from "vwlite/bases/squared.h" nogil:
    enum:
        VWL_CHUNK
    ctypedef struct Scales "vwl_scales":
        double* t
        double* normalized_sum
        double* total_weight
        double* multiplier
    ctypedef struct vwl_squared:
        float weight, rate, low, high, few
    int vwl_learn_squared(float** at, int group, const void* features, size_t n, size_t place, const vwl_squared* how,
                          const float* scored, const float* labels, uint32_t count, const Scales* scales,
                          size_t offset)

IN_WORDS = "gradient descent (gd)"
KINDS_OF_LEARNERS = ("table",)


def setup(builder):
    """The default bottom learner."""
    return GD(builder.options)


def in_force(number, weights):
    """Apply the lazy L1 and L2 regularization in a model file to its weights.

    Args:
        number: Returns a number of the learner in the file, by its name and type; None if the file has none.
        weights: A numpy array.
    """
    import numpy as np
    gravity, contraction = number("gravity", "F64"), number("contraction", "F64")
    if gravity is None or (gravity, contraction) == (0, 1):
        return weights
    moved = np.where(np.abs(weights) > np.float32(gravity), weights - np.copysign(1, weights) * np.float32(gravity), 0)
    return (moved * np.float32(contraction)).astype(np.float32)


cdef class GD(TableLearner):
    """Gradient descent over a dense table of hashed weights."""

    name = "gd"
    in_planes = True

    cdef bint adaptive, normalized, invariant, usual_power, usual
    cdef bint regularizes, truncates, contracts
    cdef Equations equations
    cdef bint forgets                 # --vw_compat: VW continues training of a model with gravity 0
    cdef object shown_decay
    cdef bint has_constant_rate
    cdef float constant_more          # how much more than the others the constant moves: ratio of the rates - 1
    cdef bint whole_initial           # L2 shrinks weights only; without an offset, when learning, initial ones too: VW
    cdef public float learning_rate
    cdef float power_t, norm_power, initial_t, sparse_l2, rate_decay, constant
    cdef float l1, l2
    # state
    cdef public double gravity, contraction
    cdef float decayed
    cdef Scales scales                # of all weight vectors

    def __init__(self, options):
        taken = {option.name: options[option.name] for option in OPTIONS.options
                 if option.name in ALWAYS_SHOWN or options.given(option.name)}
        named = [name for name in ("sgd", "adaptive", "normalized", "invariant") if options[name]]
        self.adaptive = options["adaptive"] or not named
        self.normalized = options["normalized"] or not named
        self.invariant = options["invariant"] or not named
        self.power_t = options["power_t"]
        self.usual_power = options["power_t"] == 0.5
        self.usual = self.adaptive and self.normalized and self.usual_power
        self.norm_power = self.power_t - 1
        self.initial_t = options["initial_t"]
        self.learning_rate = options["learning_rate"]
        if not options.given("learning_rate") and not (self.adaptive and self.normalized):
            self.learning_rate = 10
        self.has_constant_rate = options["constant_rate"] is not None
        if self.has_constant_rate:
            self.constant_more = options["constant_rate"] / self.learning_rate - 1
        if not self.adaptive and not self.normalized:
            if not options.given("initial_t"):
                self.initial_t = 1
            self.learning_rate = min(self.learning_rate * powf(self.initial_t, self.power_t), FLT_MAX)
        self.rate_decay = options["decay_learning_rate"]
        self.l1, self.l2, self.sparse_l2 = options["l1"], options["l2"], options["sparse_l2"]
        columns = (Column("adaptive", self.initial_t if self.adaptive else 0.0, False, self.adaptive),
                   Column("normalizer", 0.0, False, self.normalized))
        super().__init__(options, taken, columns if self.adaptive or self.normalized else ())
        self.equations = LOGISTIC if type(self.loss) is Logistic else SQUARED if type(self.loss) is Squared else OWN
        self.forgets = options["vw_compat"] and not options["testonly"]
        self.whole_initial = options["testonly"]
        self.contraction = self.decayed = 1
        self.make_scales(1)
        self.truncates = self.l1 > 0
        self.contracts = self.l2 > 0
        self.regularizes = self.truncates or self.contracts
        self.constant = options["constant"]
        self.shown_decay = options["decay_learning_rate"] if options["passes"] > 1 else None

    def __dealloc__(self):
        free(self.scales.t)

    cdef int make_scales(self, size_t width) except -1:
        """Allocate and initialize the scales of the weight vectors, and of a few that are processed with the last."""
        cdef size_t i, whole = width + VWL_MOST_LANES
        free(self.scales.t)
        self.scales.t = <double*>malloc(4 * whole * sizeof(double))
        if self.scales.t == NULL:
            raise MemoryError
        self.scales.normalized_sum = self.scales.t + whole
        self.scales.total_weight = self.scales.t + 2 * whole
        self.scales.multiplier = self.scales.t + 3 * whole
        for i in range(whole):
            self.scales.t[i] = self.scales.normalized_sum[i] = self.scales.total_weight[i] = self.initial_t
            self.scales.multiplier[i] = 1
        return 0

    @property
    def t(self):
        """t of the first weight vector."""
        return self.scales.t[0]

    @property
    def normalized_sum(self):
        """S of the first weight vector."""
        return self.scales.normalized_sum[0]

    @property
    def total_weight(self):
        """T of the first weight vector."""
        return self.scales.total_weight[0]

    def set_width(self, width):
        cdef uint32_t i
        TableLearner.set_width(self, width)
        self.make_scales(width)
        if self.constant:
            for i in range(width):
                slot_at(self, CONSTANT_HASH << self.shifted, i)[W] = self.constant

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef float score = 0 if self.whole_initial else ex.initial, gravity
        if not self.truncates:
            self.where.offset = ex.offset
            score += vwl_dot(&self.where, feature, ex.n)
        else:
            gravity = <float>self.gravity
            while feature < end:
                score += truncated(slot_at(self, feature.hash, ex.offset)[W], gravity) * feature.value
                feature += 1
        if self.contracts:
            score *= <float>self.contraction
        if self.whole_initial:
            score += ex.initial
        return finish(self, ex, score)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        cdef uint32_t i
        cdef float score
        if self.truncates:
            return Learner.multipredict(self, ex, count, step, to)
        self.dot_many(ex, count, step)
        for i in range(count):
            score = (0 if self.whole_initial else ex.initial) + self.sums[i]
            if self.contracts:
                score *= <float>self.contraction
            if self.whole_initial:
                score += ex.initial
            to[i].score = score
            to[i].prediction = 0 if isnan(score) else self.loss.clip(score)
        return 0

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef Point at
        cdef float h = ex.weight, ppu = 1, scale, u = 0
        if not ex.labelled or not 0 < h <= FLT_MAX:
            return ex.prediction
        self.scales.t[ex.offset] += h
        self.where.offset = ex.offset
        if not judge(self, ex, &at):
            return at.p
        if at.loss > 0:
            if not (self.adaptive or self.normalized):
                ppu = squared_length(ex)
            elif at.square != 0:
                ppu = self.usual_rates(ex, h * at.square, h) if self.usual else self.rates(ex, h * at.square, h)
            if self.has_constant_rate:
                ppu += self.constant_more * self.rate_of_constant(ex.offset)
            scale = self.learning_rate * h
            if not self.adaptive:
                scale *= powf(<float>self.scales.t[ex.offset], -self.power_t)
            u = self.loss.update(&at, scale, ppu) if self.invariant else self.loss.plain_update(&at, scale)
            if self.regularizes and fabsf(u) > 1e-8:
                u = self.regularize(u, at.derivative)
        if self.sparse_l2:
            u -= self.sparse_l2 * at.p
        if not fabsf(u) <= FLT_MAX:
            self.left_out += 1
        elif u != 0:
            self.left_out += vwl_add(&self.where, ex.features, ex.n, u * <float>self.scales.multiplier[ex.offset])
            if self.has_constant_rate:
                self.move_constant(ex.offset, u * self.constant_more)
        if self.regularizes and (self.contraction < 1e-9 or self.gravity > 1e3):
            self.materialize()
        if ex.is_part:
            self.scales.t[ex.offset] += ex.age - h
        return at.p

    cdef Py_ssize_t predict_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        cdef size_t i
        if self.truncates or self.contracts:
            return 0
        self.where.offset = 0
        for i in range(n):
            examples[i].score = 0 + vwl_dot(&self.where, examples[i].features, examples[i].n)
            examples[i].prediction = 0 if isnan(examples[i].score) else self.loss.clip(examples[i].score)
        return n

    cdef Py_ssize_t learn_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        """As learn() for each, by the usual rule, up to the first score that is not finite."""
        cdef SimpleExample* example
        cdef vwl_table where = self.where
        cdef Point at
        cdef float ppu, norm, rate, u, sign, low = 0, width = 2
        cdef bint of_class            # the label is that of one of two classes
        cdef size_t i, left_out = 0
        cdef Equations equations = self.equations
        if (not (self.usual and self.invariant) or self.has_constant_rate or self.regularizes or self.truncates
                or self.contracts or self.sparse_l2):
            return 0
        if equations == LOGISTIC:
            low, width = (<Logistic>self.loss).low, (<Logistic>self.loss).width
        where.offset = 0
        for i in range(n):
            example = &examples[i]
            at.y = example.label
            if not self.loss.min_label <= at.y <= self.loss.max_label or equations == OWN:
                self.loss.see(at.y)
            example.score = 0 + vwl_dot(&where, example.features, example.n)
            if not fabsf(example.score) <= FLT_MAX:
                n = i
                break
            at.p = example.prediction = self.loss.clip(example.score)
            sign = 2 * (at.y - low) / width - 1
            of_class = equations == LOGISTIC and sign * sign == 1
            if of_class:
                evaluate_logistic(&at, sign)
            else:
                evaluate(self, &at)
            example.loss = at.loss
            self.scales.t[0] += example.weight
            if not at.loss > 0:
                continue
            ppu, norm = 1, 0
            if at.square != 0:
                ppu = 0
                vwl_usual_rates(&where, example.features, example.n, example.weight * at.square, &ppu, &norm)
                ppu *= note_norm(&self.scales, 0, example.weight, norm)
            rate = self.learning_rate * example.weight
            u = logistic_flow(at.p, sign, at.exponential, rate, ppu) if of_class else update_of(self, &at, rate, ppu)
            if not fabsf(u) <= FLT_MAX:
                left_out += 1
            elif u != 0:
                left_out += vwl_add(&where, example.features, example.n, u * <float>self.scales.multiplier[0])
        self.left_out += left_out
        return n

    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
            except -1 nogil:
        """Update of several weight vectors by the usual rule, four or eight at a time if they lie in planes."""
        cdef uint32_t k = 0, lanes, end
        cdef vwl_squared how
        cdef int got
        self.where.offset = ex.offset
        lanes = vwl_lanes_of(&self.where, step, self.wide)
        if (not self.usual or self.has_constant_rate or self.regularizes or self.sparse_l2 or ex.is_part or lanes == 1
                or not vwl_are_apart(&self.where, count, step)):
            return Learner.multiupdate(self, ex, count, step, labels, at)
        if not ex.labelled or not 0 < ex.weight <= FLT_MAX:
            return 0
        grow(&self.at, &self.n_at, ex.n, sizeof(float*))
        vwl_find(&self.where, ex.features, ex.n, 0, self.at)
        if lanes == 8 and self.invariant and self.equations == SQUARED:
            how.weight, how.rate, how.few = ex.weight, self.learning_rate * ex.weight, FEW
            how.low, how.high = self.loss.min_label, self.loss.max_label
            while k < count:
                end = min(k + VWL_CHUNK, count)
                got = vwl_learn_squared(self.at, self.where.group, ex.features, ex.n, k, &how, &at[k].score,
                                        &labels[k], end - k, &self.scales, ex.offset + k)
                if got < 0:
                    break
                self.left_out += got
                k = end
        while k < count:
            self.update_lanes(ex, lanes, k, min(lanes, count - k), &labels[k], &at[k])
            k += lanes
        return 0

    cdef int update_lanes(self, Example ex, uint32_t lanes, uint32_t first, uint32_t n, const float* labels,
                          Scored* at) except -1 nogil:
        """Update of the n weight vectors from the first on."""
        cdef Point[VWL_MOST_LANES] points
        cdef vwl_lanes each
        cdef float[VWL_MOST_LANES] ppu, norm, u
        cdef int32_t[VWL_MOST_LANES] left_out
        cdef float h = ex.weight, rate = self.learning_rate * ex.weight
        cdef uint32_t i, offset = ex.offset + first
        cdef bint some = False
        memset(&each, 0, sizeof(each))
        for i in range(n):
            points[i].p, points[i].y = at[i].prediction, labels[i]
            evaluate(self, &points[i])
            if not fabsf(at[i].score) <= FLT_MAX or (points[i].loss > 0 and points[i].square == 0):
                ex.offset += first + i
                Learner.multiupdate(self, ex, 1, 1, &labels[i], &at[i])
                ex.offset -= first + i
                continue
            self.scales.t[offset + i] += h
            if points[i].loss > 0:
                each.active[i], each.g2[i], some = -1, h * points[i].square, True
        if not some:
            return 0
        vwl_rates_of_lanes(lanes, self.at, self.where.group, ex.features, ex.n, first, &each, ppu, norm)
        memset(u, 0, sizeof(u))
        for i in range(n):
            if not each.active[i]:
                continue
            u[i] = update_of(self, &points[i], rate, ppu[i] * note_norm(&self.scales, offset + i, h, norm[i]))
            if fabsf(u[i]) <= FLT_MAX and u[i] != 0:
                u[i] *= <float>self.scales.multiplier[offset + i]
            else:
                self.left_out += u[i] != 0
                each.active[i] = 0
        vwl_step_lanes(lanes, self.at, self.where.group, ex.features, ex.n, first, &each, u, left_out)
        for i in range(n):
            self.left_out += left_out[i] != 0
        return 0

    cdef inline float usual_rates(self, Example ex, float g2, float h) noexcept nogil:
        """rates() for adaptive, normalized and power_t 0.5 (the usual rule), for the weight vector at self.where."""
        cdef float ppu = 0, norm = 0
        vwl_usual_rates(&self.where, ex.features, ex.n, g2, &ppu, &norm)
        return ppu * note_norm(&self.scales, self.where.offset, h, norm)

    cdef float rates(self, Example ex, float g2, float h) noexcept nogil:
        """Update G, N, S and T, store each feature's rate in its slot, return ppu, the prediction's move per update.

        The result is infinite or NaN where a weight or a rate would be.
        """
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef float* at
        cdef float x, x2, rate, shrunk, ppu = 0, norm = 0
        cdef Scales* scales = &self.scales
        cdef size_t g = <size_t>G << self.where.group, n = <size_t>N << self.where.group
        cdef size_t r = <size_t>R << self.where.group
        while feature < end:
            at = slot_at(self, feature.hash, ex.offset)
            x = fabsf(feature.value)
            if x < TINY:
                x = TINY
            x2 = x * x
            rate = 1
            if self.adaptive:
                at[g] = min(at[g] + g2 * x2, FLT_MAX)
                rate = 1 / sqrtf(at[g]) if self.usual_power else powf(at[g], -self.power_t)
            if self.normalized:
                if x > at[n]:
                    if at[n] > 0:
                        shrunk = at[W] * self.shrinkage(x / at[n])
                        if fabsf(shrunk) <= FLT_MAX:
                            at[W] = shrunk
                        else:
                            ppu += shrunk
                    at[n] = x
                norm += (x / at[n]) * (x / at[n])
                rate *= self.shrinkage(at[n])
            at[r] = rate
            ppu += x2 * rate
            feature += 1
        if self.normalized:
            scales.normalized_sum[ex.offset] += <double>h * norm
            scales.total_weight[ex.offset] += h
            x = self.shrinkage_of_square(<float>(scales.normalized_sum[ex.offset] / scales.total_weight[ex.offset]))
            if fabsf(x) <= FLT_MAX:
                scales.multiplier[ex.offset] = x
            ppu *= x
        return ppu

    cdef float rate_of_constant(self, uint32_t offset) noexcept nogil:
        """The factor of a step for the constant, by the rates of the last rates()."""
        cdef float rate = <float>self.scales.multiplier[offset]
        if self.adaptive or self.normalized:
            rate *= slot_at(self, CONSTANT_HASH << self.shifted, offset)[<size_t>R << self.where.group]
        return rate

    cdef void move_constant(self, uint32_t offset, float u) noexcept nogil:
        """Step of the constant alone."""
        cdef float* at = slot_at(self, CONSTANT_HASH << self.shifted, offset)
        cdef float w = at[W] + u * self.rate_of_constant(offset)
        if fabsf(w) <= FLT_MAX:
            at[W] = w
        else:
            self.left_out += 1

    cdef inline float shrinkage(self, float ratio) noexcept nogil:
        """Factor on a weight or rate when the feature's scale N grows by a ratio."""
        if self.usual_power:
            return 1 / ratio if self.adaptive else 1 / (ratio * ratio)
        return powf(ratio * ratio, self.norm_power)

    cdef inline float shrinkage_of_square(self, float square) noexcept nogil:
        if self.usual_power:
            return 1 / sqrtf(square) if self.adaptive else 1 / square
        return powf(square, self.norm_power)

    cdef float regularize(self, float u, float derivative) noexcept nogil:
        """Move the lazy scalars by the size of the step; returns the update in the contracted space.

        As in VW (compute_update in gd.cc) the weights take the step before materialize() can reset the scalars.
        """
        cdef double step = -<double>u / derivative if fabsf(derivative) > 1e-8 else 0
        cdef double contraction = self.contraction * (1 - self.l2 * step), gravity = self.gravity + step * self.l1
        if not (fabs(contraction) < LARGEST and fabs(gravity) < LARGEST):
            return INFINITY
        self.contraction, self.gravity = contraction, gravity
        if fabs(contraction) < SMALLEST:
            self.materialize()        # the contraction is 0, and the step can't be divided by it
        return u / <float>self.contraction

    cdef void materialize(self) noexcept nogil:
        """Apply the lazy regularization to the stored weights, which stay finite, and reset the scalars."""
        cdef size_t i
        cdef float* at
        cdef float w
        for i in range(self.table.count()):
            at = vwl_slot(&self.where, i)
            if at[W] != 0:
                w = self.in_force(at[W])
                at[W] = w if fabsf(w) <= FLT_MAX else copysignf(FLT_MAX, w)
        self.gravity = 0
        self.contraction = 1

    cdef inline float in_force(self, float w) noexcept nogil:
        """Regularized weight, from the stored one: contraction and truncation (gravity)."""
        if self.truncates:
            w = truncated(w, <float>self.gravity)
        return w * <float>self.contraction if self.contracts else w

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        """Learning rate times ppu; ex.score is that of a predict just made."""
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef float* at
        cdef float x, n, g, g2, rate, ppu = 0
        cdef Point point
        point.p = self.loss.clip(ex.score)
        point.y = ex.label
        self.loss.evaluate(&point)
        g2 = point.square
        if self.weights_only or not ex.labelled or g2 == 0:
            return 0
        while feature < end:
            x = max(fabsf(feature.value), TINY)
            at = slot_at(self, feature.hash, ex.offset)
            rate = 1
            if self.adaptive:
                g = at[<size_t>G << self.where.group] + g2 * x * x
                rate = powf(g, -self.power_t)
            if self.normalized:
                n = max(at[<size_t>N << self.where.group], x)
                rate *= self.shrinkage(n)
            if self.has_constant_rate and feature.hash == CONSTANT_HASH:
                rate *= 1 + self.constant_more
            ppu += x * x * rate
            feature += 1
        if self.normalized and self.scales.total_weight[ex.offset] > 0:
            ppu *= self.shrinkage_of_square(
                <float>(self.scales.normalized_sum[ex.offset] / self.scales.total_weight[ex.offset]))
        rate = self.learning_rate
        if not self.adaptive:
            rate *= powf(<float>self.scales.t[ex.offset] + 1, -self.power_t)
        return rate * ppu

    def settings(self):
        """VW's lines of the header."""
        lines = [f"Num weight bits = {self.table.bits}", f"learning rate = {self.learning_rate:g}",
                 f"initial_t = {self.t or self.initial_t:g}", f"power_t = {self.power_t:g}"]
        return lines + ([f"decay_learning_rate = {self.shown_decay:g}"] if self.shown_decay is not None else [])

    def spare_initial(self):
        self.whole_initial = True

    def end_pass(self):
        self.learning_rate = min(self.learning_rate * self.rate_decay, FLT_MAX)
        self.decayed = min(self.decayed * self.rate_decay, FLT_MAX)

    def save_load(self, io):
        TableLearner.save_load(self, io)
        exports = io.saving and io.weights_only
        gravity = io.float64("gravity", 0 if exports else self.gravity)
        contraction = io.float64("contraction", 1 if exports else self.contraction)
        if not io.saving:
            self.gravity, self.contraction = gravity, contraction
            self.learning_rate = min(self.learning_rate * self.decayed, FLT_MAX)
            self.truncates = self.l1 > 0 or (self.gravity != 0 and not self.forgets)
            self.contracts = self.l2 > 0 or self.contraction != 1
            self.regularizes = self.l1 > 0 or self.l2 > 0 or ((self.truncates or self.contracts) and not self.forgets)
            if self.weights_only:
                if self.truncates or self.contracts:
                    self.materialize()
                self.gravity, self.contraction = 0, 1
                self.regularizes = self.truncates = self.contracts = False

    def is_whole(self, io):
        return io.has("t")

    def save_load_sums(self, io):
        """Save or load the scales and the decayed learning rate."""
        self.save_load_scales(io)
        self.decayed = io.float32("decayed", self.decayed)

    def save_load_scales(self, io):
        """Save or load the scales of all weight vectors; those of the first are numbers, as in models with one."""
        cdef uint32_t i
        cdef Scales* scales = &self.scales
        scales.t[0] = io.float64("t", scales.t[0])
        scales.normalized_sum[0] = io.float64("normalized_sum", scales.normalized_sum[0])
        scales.total_weight[0] = io.float64("total_weight", scales.total_weight[0])
        scales.multiplier[0] = io.float32("multiplier", scales.multiplier[0])
        if self.width == 1:
            return
        others = array("d")
        for i in range(1, self.width if io.saving else 1):
            others.extend((scales.t[i], scales.normalized_sum[i], scales.total_weight[i], scales.multiplier[i]))
        others = io.array("scales", "F64", others.tobytes())
        if not io.saving:
            if len(others) != 4 * (self.width - 1) or not all(isfinite(number) and number >= 0 for number in others):
                io.refuse("its scales don't fit the number of weight vectors in the stack")
            for i in range(1, self.width):
                at = 4 * i - 4
                scales.t[i], scales.normalized_sum[i] = others[at], others[at + 1]
                scales.total_weight[i], scales.multiplier[i] = others[at + 2], others[at + 3]

    def weight_at(self, unsigned int hash, unsigned int offset=0):
        """(weight in force, adaptive, normalizer) of a slot, for audits and tests."""
        cdef float* at = slot_at(self, hash << self.shifted, offset)
        if self.table.stride_shift:
            return self.in_force(at[W]), at[<size_t>G << self.where.group], at[<size_t>N << self.where.group]
        return self.in_force(at[W]), 0.0, 0.0

    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil:
        return self.in_force(at[W])

    def vw_state(self, in_force):
        lazy = {} if in_force else {"l1_state": self.gravity, "l2_state": self.contraction}
        return {"initial_t": self.initial_t, "norm normalizer": self.normalized_sum, "t": self.t,
                "total_weight": self.total_weight, **lazy}


cdef inline void evaluate(GD learner, Point* at) noexcept nogil:
    """Loss.evaluate(), compiled in for the squared loss."""
    if learner.equations == SQUARED:
        evaluate_squared(at, learner.loss.min_label, learner.loss.max_label)
    else:
        learner.loss.evaluate(at)


cdef inline float update_of(GD learner, const Point* at, float scale, float ppu) noexcept nogil:
    """The update of the loss, invariant or plain, compiled in for the squared loss."""
    if not learner.invariant:
        return learner.loss.plain_update(at, scale)
    if learner.equations == SQUARED:
        return squared_flow(at.p, at.y, scale, ppu)
    return learner.loss.update(at, scale, ppu)


cdef inline float note_norm(Scales* scales, size_t i, float h, float norm) noexcept nogil:
    """Add sum x^2/N^2 of an example of weight h to S of a weight vector, and h to T; returns sqrt(T / S)."""
    scales.normalized_sum[i] += <double>h * norm
    scales.total_weight[i] += h
    if scales.normalized_sum[i] > 0:  # else no example has had a feature
        scales.multiplier[i] = <float>sqrt(scales.total_weight[i] / scales.normalized_sum[i])
    return <float>scales.multiplier[i]


cdef inline float truncated(float w, float gravity) noexcept nogil:
    """Truncated gradient: moves w towards 0 by the gravity, at most to 0; a negative one moves it away, as in VW."""
    if not gravity < fabsf(w):
        return 0
    return w + gravity if w < 0 else w - gravity


cdef float squared_length(Example ex) noexcept nogil:
    cdef float total = 0
    cdef size_t i
    for i in range(ex.n):
        total += ex.features[i].value * ex.features[i].value
    return total
