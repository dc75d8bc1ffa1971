"""gd: online gradient descent with Vowpal Wabbit's update.        SIMPLE -> SCALAR, bottom learner

Prediction:  p = initial + sum_i w_i x_i, clipped to the range of labels.
Update, for a label y with importance weight h and loss L (h > 0, L > 0):

    G_i += h (dL/dp)^2 x_i^2                                 adaptive: Duchi, Hazan and Singer 2011
    N_i  = max(N_i, |x_i|); w_i shrinks as N_i grows         normalized: Ross, Mineiro and Langford 2013, Algorithm 2
    S   += h sum_i x_i^2 / N_i^2,   T += h
    r_i  = G_i^-1/2 / N_i                                    rate of the feature
    ppu  = sqrt(T / S) sum_i x_i^2 r_i                       what the prediction moves per unit of update
    w_i += U(p, y, eta h, ppu) sqrt(T / S) r_i x_i           U: the loss's importance-invariant update (losses.pyx)

With another --power_t the exponents -1/2 become -power_t. Without adaptive the rate decays as t^-power_t instead.
L1 and L2 are lazy: two scalars (Langford, Li and Zhang 2009, truncated gradient), gravity g and contraction c. The
weight in force, which predicts and is exported, is  c sign(w) max(|w| - g, 0).
"""
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, copysignf, fabs, fabsf, isfinite, isnan, powf, sqrt, sqrtf
from libc.stdint cimport uint32_t

from vwlite.example cimport CONSTANT_HASH, Example, Feature
from vwlite.learner cimport Learner
from vwlite.losses cimport Point
from vwlite.parameters cimport DenseTable, slot

from vwlite.losses import make_loss
from vwlite.options import Option, OptionGroup

# what scripts for VW leave there under -t
LEARNING, MILD = ("gd & learning",), ("learning",)

OPTIONS = OptionGroup("gd: gradient descent (the default learner)", (
    Option("bit_precision", int, "bits of the weight table: 2^b slots", short="b", default=18, least=1, most=32,
           keep=True, fixed=True, needs=("gd", "feature_limit")),
    Option("learning_rate", float, "learning rate", short="l", default=0.5, above=0, keep=True,
           needs=LEARNING, mild=MILD),
    Option("power_t", float, "exponent of the rate's decay", default=0.5, keep=True, needs=LEARNING, mild=MILD),
    Option("initial_t", float, "where the clock of the decay starts", default=0.0, least=0, keep=True, vw_forgets=True,
           needs=LEARNING, mild=MILD),
    Option("decay_learning_rate", float, "factor on the learning rate after each pass", default=1.0, above=0,
           keep=True, needs=("gd & passes>1 & learning", "gd & library & learning"), mild=MILD),
    Option("sgd", bool, "plain gradient descent: none of the next three unless named too", keep=True, fixed=True),
    Option("adaptive", bool, "a rate for each feature by its gradients (on by default)", keep=True, fixed=True),
    Option("normalized", bool, "a rate for each feature by its scale (on by default)", keep=True, fixed=True),
    Option("invariant", bool, "importance-invariant updates (on by default)", keep=True, fixed=True),
    Option("l1", float, "L1 regularization", default=0.0, least=0, keep=True, vw_forgets=True, needs=LEARNING,
           mild=MILD),
    Option("l2", float, "L2 regularization", default=0.0, least=0, keep=True, vw_forgets=True,
           needs=(*LEARNING, "glm"), mild=MILD),
    Option("sparse_l2", float, "L2 regularization of the features of each example only", default=0.0, least=0,
           keep=True, vw_forgets=True, needs=LEARNING, mild=MILD),
    Option("initial_weight", float, "what all weights start at", default=0.0, keep=True, fixed=True),
    Option("constant", float, "what the constant's weight starts at", short="C", default=0.0,
           needs=("gd & !noconstant",)),
), needs=("gd",))

ALWAYS_SHOWN = ("bit_precision", "learning_rate", "power_t")

# with -t alone a model is read for its weights; what of these is given needs the rest of it
NEEDS_ALL = ("final_regressor", "readable_model", "invert_hash", "audit")

cdef enum:
    W = 0
    G = 1                             # adaptive: sum of squared gradients
    N = 2                             # normalizer: largest |x|
    R = 3                             # rate of the last update

cdef float TINY = 1.084202e-19        # |x| below this counts as this in the norms: its square is the smallest float

# the lazy scalars stay between these, with room to single precision's ends
cdef double SMALLEST = 1e-25, LARGEST = 1e25

cdef extern from "slots.h" nogil:
    ctypedef struct vwl_table:
        float* values
        size_t mask
        uint32_t offset
        int width, stride
    float vwl_dot(const vwl_table* table, const void* features, size_t n)
    int vwl_add(const vwl_table* table, const void* features, size_t n, float u)
    void vwl_usual_rates(const vwl_table* table, const void* features, size_t n, float g2, float* ppu, float* norm)


def setup(options, base):
    """gd is there whenever no other bottom learner was asked for."""
    return GD(options)


cdef class GD(Learner):
    """Gradient descent over a dense table of hashed weights."""

    name = "gd"
    base_label = None
    base_prediction = None
    has_slots = True

    cdef readonly DenseTable table
    cdef bint adaptive, normalized, invariant, usual_power, usual
    cdef bint regularizes, truncates, contracts
    cdef bint forgets                 # --vw_compat: VW goes on from a model as if it had no gravity
    cdef object shown_decay
    cdef readonly bint weights_only   # a table of nothing but weights: predictions only
    cdef int width_shift
    cdef vwl_table where              # the table as slots.h sees it
    cdef bint whole_initial           # L2 shrinks weights only; without an offset, when learning, initial ones too: VW
    cdef public float learning_rate
    cdef float power_t, norm_power, initial_t, initial_weight, sparse_l2, rate_decay, constant
    cdef float l1, l2
    # state
    cdef public double t, normalized_sum, total_weight, gravity, contraction
    cdef float decayed
    cdef float multiplier             # sqrt(T / S) of the last update

    def __init__(self, options):
        taken = {option.name: options[option.name] for option in OPTIONS.options
                 if option.name in ALWAYS_SHOWN or options.given(option.name)}
        taken["loss_function"] = options["loss_function"]
        super().__init__(None, taken)
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
        if not self.adaptive and not self.normalized:
            if not options.given("initial_t"):
                self.initial_t = 1
            self.learning_rate = min(self.learning_rate * powf(self.initial_t, self.power_t), FLT_MAX)
        self.rate_decay = options["decay_learning_rate"]
        self.l1, self.l2, self.sparse_l2 = options["l1"], options["l2"], options["sparse_l2"]
        self.initial_weight = options["initial_weight"]
        self.weights_only = options["testonly"] and not any(options[name] for name in NEEDS_ALL)
        self.loss = make_loss(options, options["testonly"])
        self.forgets = options["vw_compat"] and not options["testonly"]
        self.whole_initial = options["testonly"]
        self.t = self.normalized_sum = self.total_weight = self.initial_t
        self.contraction = self.multiplier = 1
        self.decayed = 1
        self.truncates = self.l1 > 0
        self.contracts = self.l2 > 0
        self.regularizes = self.truncates or self.contracts
        plain = self.weights_only or not (self.adaptive or self.normalized)
        self.table = DenseTable(options["bit_precision"], 0 if plain else 2)
        self.where.values = self.table.values
        self.where.mask = self.table.mask
        self.where.stride = self.table.stride_shift
        self.fill()
        self.constant = options["constant"]
        self.shown_decay = options["decay_learning_rate"] if options["passes"] > 1 else None

    @property
    def initial_clock(self):
        """initial_t as the header shows it."""
        return self.initial_t

    def spread(self, width):
        """The weight vectors of a feature are neighbours: slot hash * width + offset, width a power of two as in VW."""
        cdef uint32_t i
        self.width_shift = self.where.width = (width - 1).bit_length()
        if self.constant:
            for i in range(width):
                self.at(CONSTANT_HASH, i)[W] = self.constant

    def slot_of(self, unsigned int hash):
        """The slot of a hash."""
        return (hash << self.width_shift) & self.table.mask

    cdef int fill(self) except -1:
        """What weights and adaptive terms start at, where that is not zero."""
        cdef size_t i
        cdef float* at
        cdef float g = self.starting_adaptive()
        if self.initial_weight == 0 and g == 0:
            return 0
        for i in range(self.table.count()):
            at = self.table.values + (i << self.table.stride_shift)
            at[W] = self.initial_weight
            if self.table.stride_shift:
                at[G] = g
        return 0

    cdef float starting_adaptive(self) noexcept nogil:
        return self.initial_t if self.adaptive else 0

    cdef inline float* at(self, uint32_t hash, uint32_t offset) noexcept nogil:
        return slot(self.table, (hash << self.width_shift) + offset)

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
                score += truncated(self.at(feature.hash, ex.offset)[W], gravity) * feature.value
                feature += 1
        if self.contracts:
            score *= <float>self.contraction
        if self.whole_initial:
            score += ex.initial
        ex.score = score
        ex.prediction = self.loss.clip(score)
        if isnan(score):
            ex.prediction = 0
        return ex.prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef Point at
        cdef float h = ex.weight, ppu = 1, scale, u = 0
        if not ex.labelled or not 0 < h <= FLT_MAX:
            return ex.prediction
        at.p = ex.prediction
        at.y = ex.label
        self.t += h
        self.loss.evaluate(&at)
        ex.loss = at.loss
        if not fabsf(ex.score) <= FLT_MAX and not has_finite_features(ex):
            self.left_out += 1
            return at.p
        if at.loss > 0:
            if not (self.adaptive or self.normalized):
                ppu = squared_length(ex)
            elif at.square != 0:
                ppu = self.usual_rates(ex, h * at.square, h) if self.usual else self.rates(ex, h * at.square, h)
            scale = self.learning_rate * h
            if not self.adaptive:
                scale *= powf(<float>self.t, -self.power_t)
            u = self.loss.update(&at, scale, ppu) if self.invariant else self.loss.plain_update(&at, scale)
            if self.regularizes and fabsf(u) > 1e-8:
                u = self.regularize(u, at.derivative)
        if self.sparse_l2:
            u -= self.sparse_l2 * at.p
        if not fabsf(u) <= FLT_MAX:
            self.left_out += 1
        elif u != 0:
            self.where.offset = ex.offset
            self.left_out += vwl_add(&self.where, ex.features, ex.n, u * self.multiplier)
        if self.regularizes and (self.contraction < 1e-9 or self.gravity > 1e3):
            self.materialize()
        return at.p

    cdef float usual_rates(self, Example ex, float g2, float h) noexcept nogil:
        """rates() for adaptive, normalized and power_t 0.5, see slots.h."""
        cdef float ppu = 0, norm = 0
        self.where.offset = ex.offset
        vwl_usual_rates(&self.where, ex.features, ex.n, g2, &ppu, &norm)
        self.normalized_sum += <double>h * norm
        self.total_weight += h
        if self.normalized_sum > 0:   # else no example has had a feature
            self.multiplier = <float>sqrt(self.total_weight / self.normalized_sum)
        return ppu * self.multiplier

    cdef float rates(self, Example ex, float g2, float h) noexcept nogil:
        """Update G, N, S and T, leave each feature's rate in its slot, return the prediction's move per update.

        That is infinite or NaN where a weight or a rate would be.
        """
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef float* at
        cdef float x, x2, rate, shrunk, ppu = 0, norm = 0
        while feature < end:
            at = self.at(feature.hash, ex.offset)
            x = fabsf(feature.value)
            if x < TINY:
                x = TINY
            x2 = x * x
            rate = 1
            if self.adaptive:
                at[G] = min(at[G] + g2 * x2, FLT_MAX)
                rate = 1 / sqrtf(at[G]) if self.usual_power else powf(at[G], -self.power_t)
            if self.normalized:
                if x > at[N]:
                    if at[N] > 0:
                        shrunk = at[W] * self.shrinkage(x / at[N])
                        if fabsf(shrunk) <= FLT_MAX:
                            at[W] = shrunk
                        else:
                            ppu += shrunk
                    at[N] = x
                norm += (x / at[N]) * (x / at[N])
                rate *= self.shrinkage(at[N])
            at[R] = rate
            ppu += x2 * rate
            feature += 1
        if self.normalized:
            self.normalized_sum += <double>h * norm
            self.total_weight += h
            x = self.shrinkage_of_square(<float>(self.normalized_sum / self.total_weight))
            if fabsf(x) <= FLT_MAX:
                self.multiplier = x
            ppu *= x
        return ppu

    cdef inline float shrinkage(self, float ratio) noexcept nogil:
        """How a weight or rate scales when the feature's scale grows by a ratio."""
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
            self.materialize()        # nothing is left of the weights, and the step can't be divided by it
        return u / <float>self.contraction

    cdef void materialize(self) noexcept nogil:
        """Write the lazy regularization into the weights, which stay finite."""
        cdef size_t i
        cdef float* at
        cdef float w
        for i in range(self.table.count()):
            at = self.table.values + (i << self.table.stride_shift)
            if at[W] != 0:
                w = self.in_force(at[W])
                at[W] = w if fabsf(w) <= FLT_MAX else copysignf(FLT_MAX, w)
        self.gravity = 0
        self.contraction = 1

    cdef inline float in_force(self, float w) noexcept nogil:
        """What a weight is worth in predictions, given what its slot holds."""
        if self.truncates:
            w = truncated(w, <float>self.gravity)
        return w * <float>self.contraction if self.contracts else w

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        """Rate times what the prediction moves per unit of update; ex.score is that of a predict just made."""
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
            at = self.at(feature.hash, ex.offset)
            rate = 1
            if self.adaptive:
                g = at[G] + g2 * x * x
                rate = powf(g, -self.power_t)
            if self.normalized:
                n = max(at[N], x)
                rate *= self.shrinkage(n)
            ppu += x * x * rate
            feature += 1
        if self.normalized and self.total_weight > 0:
            ppu *= self.shrinkage_of_square(<float>(self.normalized_sum / self.total_weight))
        rate = self.learning_rate
        if not self.adaptive:
            rate *= powf(<float>self.t + 1, -self.power_t)
        return rate * ppu

    def settings(self):
        """VW's lines of the header."""
        lines = [f"Num weight bits = {self.table.bits}", f"learning rate = {self.learning_rate:g}",
                 f"initial_t = {self.t or self.initial_t:g}", f"power_t = {self.power_t:g}"]
        return lines + ([f"decay_learning_rate = {self.shown_decay:g}"] if self.shown_decay is not None else [])

    def spare_initial(self):
        self.whole_initial = True

    def long_run(self):
        self.table.use_huge_pages()

    def end_pass(self):
        self.learning_rate = min(self.learning_rate * self.rate_decay, FLT_MAX)
        self.decayed = min(self.decayed * self.rate_decay, FLT_MAX)

    def save_load(self, io):
        self.loss.save_load(io)
        exports = io.saving and io.weights_only
        columns = self.columns(exports, exports) if io.saving else (None,) * 4
        index = io.array("index", "U32", columns[0])
        weight = io.array("weight", "F32", columns[1])
        adaptive = normalizer = None
        whole = not exports if io.saving else io.has("t")
        if whole:
            self.t = io.float64("t", self.t)
            self.normalized_sum = io.float64("normalized_sum", self.normalized_sum)
            self.total_weight = io.float64("total_weight", self.total_weight)
            self.multiplier = io.float32("multiplier", self.multiplier)
            self.decayed = io.float32("decayed", self.decayed)
            if self.table.stride_shift:
                adaptive = io.array("adaptive", "F32", columns[2])
                normalizer = io.array("normalizer", "F32", columns[3])
        gravity = io.float64("gravity", 0 if exports else self.gravity)
        contraction = io.float64("contraction", 1 if exports else self.contraction)
        if not io.saving:
            self.gravity, self.contraction = gravity, contraction
            self.learning_rate = min(self.learning_rate * self.decayed, FLT_MAX)
            self.place(io, index, weight, adaptive, normalizer)
            self.truncates = self.l1 > 0 or (self.gravity != 0 and not self.forgets)
            self.contracts = self.l2 > 0 or self.contraction != 1
            self.regularizes = self.l1 > 0 or self.l2 > 0 or ((self.truncates or self.contracts) and not self.forgets)
            if self.weights_only:
                self.materialize()
                self.regularizes = self.truncates = self.contracts = False

    def columns(self, bint in_force=True, bint alone=False):
        """(index, weight, adaptive, normalizer) of the slots that differ from how they started, as bytearrays.

        Weights are those in force, or as they lie in the table with the lazy regularization beside; `alone`: of slots
        that differ in nothing but adaptive and normalizer there is no need.
        """
        cdef size_t i, n = 0, k = 0
        cdef float* at
        cdef float w, g = self.starting_adaptive()
        cdef bint wide = self.table.stride_shift > 0 and not alone
        cdef bint lazy = in_force and (self.gravity != 0 or self.contraction != 1)
        with nogil:
            for i in range(self.table.count()):
                at = self.table.values + (i << self.table.stride_shift)
                w = self.in_force(at[W]) if lazy else at[W]
                n += w != self.initial_weight or (wide and (at[G] != g or at[N] != 0))
        index, weight = bytearray(4 * n), bytearray(4 * n)
        adaptive, normalizer = (bytearray(4 * n), bytearray(4 * n)) if wide else (bytearray(4), bytearray(4))
        cdef uint32_t* to_index = <uint32_t*><char*>index
        cdef float* to_weight = <float*><char*>weight
        cdef float* to_adaptive = <float*><char*>adaptive
        cdef float* to_normalizer = <float*><char*>normalizer
        with nogil:
            for i in range(self.table.count()):
                at = self.table.values + (i << self.table.stride_shift)
                w = self.in_force(at[W]) if lazy else at[W]
                if w != self.initial_weight or (wide and (at[G] != g or at[N] != 0)):
                    to_index[k] = <uint32_t>i
                    to_weight[k] = w
                    if wide:
                        to_adaptive[k] = at[G]
                        to_normalizer[k] = at[N]
                    k += 1
        return index, weight, adaptive, normalizer

    def own_columns(self, columns):
        """Of (adaptive, normalizer) those that this variant of the update uses."""
        return [column for column, used in zip(columns, (self.adaptive, self.normalized)) if used]

    def place(self, io, const uint32_t[::1] index, const float[::1] weight, adaptive, normalizer):
        """The opposite of columns().

        Raises ModelError for slots outside the table, columns of different lengths, or numbers that are not finite.
        """
        cdef size_t i, n = index.shape[0]
        cdef const float[::1] g, largest
        cdef float* at
        cdef bint wide = adaptive is not None, sound = True
        if wide:
            g, largest = adaptive, normalizer
            sound = g.shape[0] == n and largest.shape[0] == n
        if weight.shape[0] != n or not sound:
            io.refuse("its weight columns differ in length")
        for i in range(n):
            if index[i] > self.table.mask:
                io.refuse(f"slot {index[i]} is outside the table of 2^{self.table.bits} slots")
            at = self.table.values + (<size_t>index[i] << self.table.stride_shift)
            at[W] = weight[i]
            sound = sound and isfinite(weight[i])
            if wide:
                at[G] = g[i]
                at[N] = largest[i]
                sound = sound and isfinite(g[i]) and isfinite(largest[i]) and g[i] >= 0 and largest[i] >= 0
        if not sound:
            io.refuse("its weights are not all finite numbers")

    def weight_at(self, unsigned int hash):
        """(weight in force, adaptive, normalizer) of a slot, for audit and tests."""
        cdef float* at = self.at(hash, 0)
        if self.table.stride_shift:
            return self.in_force(at[W]), at[G], at[N]
        return self.in_force(at[W]), 0.0, 0.0


cdef inline float truncated(float w, float gravity) noexcept nogil:
    """Moved towards 0 by the gravity, no further than there; a gravity below 0 moves away from it, as in VW."""
    if not gravity < fabsf(w):
        return 0
    return w + gravity if w < 0 else w - gravity


cdef bint has_finite_features(Example ex) noexcept nogil:
    cdef size_t i
    for i in range(ex.n):
        if not fabsf(ex.features[i].value) <= FLT_MAX:
            return False
    return True


cdef float squared_length(Example ex) noexcept nogil:
    cdef float total = 0
    cdef size_t i
    for i in range(ex.n):
        total += ex.features[i].value * ex.features[i].value
    return total
