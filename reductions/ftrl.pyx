"""ftrl: FTRL-Proximal, PiSTOL and coin betting.        SIMPLE -> SCALAR, bottom learner

Prediction:  p = initial + sum_i w_i x_i, clipped to the range of labels. An update uses u = h dL/dp, the derivative of
the loss at the prediction times the importance weight, and g_i = u x_i, the gradient of a weight. Each feature has its
own sums, and its weight is a function of them. a is --ftrl_alpha, b is --ftrl_beta.

--ftrl: follow the regularized leader, proximal (McMahan and others 2013, "Ad Click Prediction", Algorithm 1; a = 0.5,
b = 1). With --l1 most weights are exactly 0:

    s = (sqrt(G + g^2) - sqrt(G)) / a,   z += g - s w,   G += g^2
    w = 0 where |z| <= l1, else (sign(z) l1 - z) / (l2 + (b + sqrt(G)) / a)

--pistol: parameter-free, nothing to tune (Orabona 2014, "Simultaneous Model Selection and Optimization through
Parameter-free Stochastic Learning", Algorithm 1; a = 1, b = 0.5):

    M = max(M, |x|),   k = 1 / (a M (G + M)),   w = b sqrt(G) z k exp(k z^2 / 2)
    z -= g,   G += |g|

--coin: coin betting, parameter-free and indifferent to the scale of features (Orabona and Pal 2016, "Coin Betting and
Parameter-Free Online Learning"; Orabona and Tommasi 2017, "Training Deep Networks without Learning Rates Through Coin
Betting", Algorithm 2; a = 4, the initial wealth, b = 1). S and T are of the whole weight vector, c is the mean norm:

    M = max(M, |x|),   S += h sum_i x_i^2 / M_i^2,   T += h,   c = (S + 1e-6) / T
    w = (a + R) / (L M (L M + G)) z,   p = initial + sum_i w_i x_i / c
    L = max(|u|, b) where |u| > L, and w once more with this L
    z -= g,   G += |g|,   R -= g w

None of them makes the importance-invariant update of gd: an example of weight 2 is not the same as two of weight 1.

Weights, sums and losses are those of Vowpal Wabbit. Only --vw_compat imitates these accidents of VW:
- a model of --pistol or --coin predicts with weights that lack each feature's last update (of a feature seen once: 0)
  and don't depend on the current value. Here the weight is always computed from the current sums, the prediction is the
  one that learning starts from, and a prediction of --coin adds its own norm, with the example's weight, to S and T;
- while learning, --pistol and --coin ignore an example's initial prediction;
- with --coin, -p and the table show another prediction than the one whose loss is counted; with --ftrl, the one before
  the range of labels includes the label;
- all weight vectors of --coin share S and T.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabsf
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from vwlite.bases.table_learner cimport MOST_COLUMNS, TableLearner, finish, judge, slot_at, vwl_table
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner, Scored
from vwlite.core.point cimport Point

from vwlite.bases.table_learner import Column
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError

# these options choose another bottom learner
ALONE = ("!random_effect & !bayes_linear & !bayes_logistic & !square & !logistic",)
MILD = ("learning",)

OPTIONS = OptionGroup("ftrl: learners with a rate for each feature", (
    Option("ftrl", bool, "follow the regularized leader (FTRL-Proximal): with --l1 most weights are exactly 0",
           necessary=True, keep=True, fixed=True, needs=ALONE),
    Option("pistol", bool, "PiSTOL: parameter-free, no learning rate to tune", necessary=True, keep=True, fixed=True,
           needs=ALONE),
    Option("coin", bool, "coin betting: parameter-free, no learning rate to tune, and features may have any scale",
           necessary=True, keep=True, fixed=True, needs=ALONE),
    Option("ftrl_alpha", float, "--ftrl: the learning rate (default: 0.5); --pistol: larger is more cautious (default: "
           "1); --coin: the wealth to bet at the start (default: 4)", above=0, keep=True, vw_forgets=True,
           needs=("ftrl & learning", "pistol", "coin"), mild=MILD),
    Option("ftrl_beta", float, "--ftrl: larger is slower at first (default: 1); --pistol: factor on all weights "
           "(default: 0.5); --coin: least bound on gradients (default: 1)", least=0, keep=True, vw_forgets=True,
           needs=("ftrl & learning", "pistol", "coin & learning"), mild=MILD),
), examples=(
    "vwlite data.vw --ftrl --ftrl_alpha 0.1 --ftrl_beta 1 --l1 1",
    "vwlite data.vw --pistol",
    "vwlite data.vw --coin",
))

KINDS = ("ftrl", "pistol", "coin")

cdef extern from "reductions/ftrl.h" nogil:
    ctypedef struct vwl_proximal:
        float inverse_alpha, beta, l1, l2
    ctypedef struct vwl_betting:
        float alpha, beta
    int vwl_proximal_step(float* slot, float x, float u, const vwl_proximal* by)
    int vwl_proximal_learn(const vwl_table* table, const void* features, size_t n, float u, const vwl_proximal* by)
    float vwl_pistol_weight(const float* slot, float x, const vwl_betting* by)
    int vwl_pistol_step(float* slot, float x, float u, const vwl_betting* by)
    float vwl_pistol_score(const vwl_table* table, const void* features, size_t n, const vwl_betting* by, bint as_vw)
    int vwl_pistol_learn(const vwl_table* table, const void* features, size_t n, float u, const vwl_betting* by,
                         bint as_vw)
    float vwl_coin_weight(const float* slot, float x, const vwl_betting* by)
    int vwl_coin_step(float* slot, float x, float u, float norm, const vwl_betting* by)
    float vwl_coin_score(const vwl_table* table, const void* features, size_t n, const vwl_betting* by, float* norm)
    int vwl_coin_learn(const vwl_table* table, const void* features, size_t n, float u, float norm,
                       const vwl_betting* by)
    float vwl_mean_norm(double sum, double weight)
    float vwl_normed(float score, float norm)

KINDS_OF_LEARNERS = ("table",)


def setup(builder):
    """The learner of one of the three flags; raises OptionError for two of them."""
    options = builder.options
    given = [kind for kind in KINDS if options[kind]]
    if not given:
        return None
    if len(given) > 1:
        raise OptionError([f"--{given[0]} and --{given[1]} are two bottom learners: give one of them"])
    return {"ftrl": Proximal, "pistol": Pistol, "coin": CoinBetting}[given[0]](options)


cdef class Ftrl(TableLearner):
    """Base class of FTRL-Proximal, PiSTOL and coin betting.

    Args:
        options: The options of the run.
        kind: The flag of the algorithm.
        defaults: --ftrl_alpha and --ftrl_beta if they are not given.
        columns: The columns of a slot after the weight.
        linear: See TableLearner.
    """

    lists_sums = True

    cdef float alpha, beta
    cdef bint as_vw
    cdef str algorithm                # VW's name of it

    def __init__(self, options, kind, defaults, columns, bint linear):
        taken = {kind: True} | {name: options[name] for name in ("ftrl_alpha", "ftrl_beta", "l1", "l2")
                                if options.given(name) and (kind == "ftrl" or name not in ("l1", "l2"))}
        super().__init__(options, taken, columns, linear)
        self.as_vw = options["vw_compat"]
        self.algorithm = self.name.partition("-")[2]
        self.alpha, self.beta = (default if options[name] is None else options[name]
                                 for name, default in zip(("ftrl_alpha", "ftrl_beta"), defaults, strict=True))
        if kind != "ftrl" and options["initial_weight"] and not self.as_vw:
            raise OptionError([f"--initial_weight has no effect with --{kind}, whose weights follow from gradients "
                               "alone: leave one of them out"])

    def settings(self):
        """VW's lines of the header."""
        return ["Enabling FTRL based optimization", f"Algorithm used: {self.algorithm}",
                f"ftrl_alpha = {self.alpha:g}", f"ftrl_beta = {self.beta:g}", f"Num weight bits = {self.table.bits}"]

    def is_whole(self, io):
        whole = TableLearner.is_whole(self, io)
        if not whole and not self.linear:
            io.refuse("it has weights only, as --vw_compat saves them with --predict_only_model, and predictions need "
                      "the sums they come from")
        return whole

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef Point at
        cdef float h = ex.weight, u
        if not teaches(ex) or not judge(self, ex, &at):
            return ex.prediction
        u = h * at.derivative
        if not fabsf(u) <= FLT_MAX:
            self.left_out += 1
            return at.p
        self.where.offset = ex.offset
        self.left_out += self.step_all(ex, u)
        return at.p

    cdef int step_all(self, Example ex, float u) noexcept nogil:
        """Update all features of an example; returns whether an update was skipped (not finite)."""
        return 0

    cdef float moved(self, const float* at, float x, float u, uint32_t offset) noexcept nogil:
        """Change of the weight of a feature with the value x by an update u."""
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        """Sensitivity of the prediction to an update of weight 1; ex.score is that of a predict just made."""
        cdef Point at
        cdef size_t i
        cdef float moved = 0, u, x
        if self.weights_only or not ex.labelled:
            return 0
        at.p = self.loss.clip(ex.score)
        at.y = ex.label
        self.loss.evaluate(&at)
        u = at.derivative
        if u == 0:
            return 0
        for i in range(ex.n):
            x = ex.features[i].value
            moved += x * self.moved(slot_at(self, ex.features[i].hash, ex.offset), x, u, ex.offset)
        return -moved / u


cdef inline bint teaches(Example ex) noexcept nogil:
    """Whether an example has a label and a weight to learn from."""
    return ex.labelled and 0 < ex.weight <= FLT_MAX


cdef class Proximal(Ftrl):
    """FTRL-Proximal: --ftrl."""

    name = "ftrl-Proximal-FTRL"
    predicts_first = True
    cdef vwl_proximal by

    def __init__(self, options):
        super().__init__(options, "ftrl", (0.5, 1), (Column("z"), Column("squared_gradients", signed=False)), True)
        self.by.inverse_alpha = <float>(1 / <double>self.alpha)
        self.by.beta, self.by.l1, self.by.l2 = self.beta, options["l1"], options["l2"]

    cdef int step_all(self, Example ex, float u) noexcept nogil:
        return vwl_proximal_learn(&self.where, ex.features, ex.n, u, &self.by)

    cdef float moved(self, const float* at, float x, float u, uint32_t offset) noexcept nogil:
        cdef float[MOST_COLUMNS] after
        memcpy(after, at, 3 * sizeof(float))
        vwl_proximal_step(after, x, u, &self.by)
        return after[0] - at[0]


cdef class Betting(Ftrl):
    """Base class of --pistol and --coin, where a weight also depends on the value of its feature."""

    cdef vwl_betting by

    def __init__(self, options, kind, defaults, columns):
        super().__init__(options, kind, defaults, columns, options["vw_compat"])
        self.derived = not self.as_vw
        self.by.alpha, self.by.beta = self.alpha, self.beta

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        if self.linear:
            return TableLearner.multipredict(self, ex, count, step, to)
        return Learner.multipredict(self, ex, count, step, to)


cdef class Pistol(Betting):
    """PiSTOL: --pistol."""

    name = "ftrl-PiSTOL"

    def __init__(self, options):
        super().__init__(options, "pistol", (1, 0.5), (
            Column("z"), Column("absolute_gradients", signed=False), Column("scale", signed=False)))
        if self.beta == 0:
            raise OptionError(["--ftrl_beta 0: --pistol multiplies all weights by it: give a number above 0"])

    cdef float predict(self, Example ex) except? -1e10 nogil:
        if self.linear:
            return TableLearner.predict(self, ex)
        self.where.offset = ex.offset
        return finish(self, ex, ex.initial + vwl_pistol_score(&self.where, ex.features, ex.n, &self.by, False))

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction
        if self.as_vw and teaches(ex):
            self.where.offset = ex.offset
            prediction = finish(self, ex, vwl_pistol_score(&self.where, ex.features, ex.n, &self.by, True))
            Ftrl.update(self, ex)
            return prediction
        return Ftrl.learn(self, ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        return self.learn(ex) if self.as_vw and teaches(ex) else Ftrl.update(self, ex)

    cdef int step_all(self, Example ex, float u) noexcept nogil:
        return vwl_pistol_learn(&self.where, ex.features, ex.n, u, &self.by, self.as_vw)

    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil:
        return at[0] if self.linear else vwl_pistol_weight(at, 0, &self.by)

    cdef float moved(self, const float* at, float x, float u, uint32_t offset) noexcept nogil:
        cdef float[MOST_COLUMNS] after
        memcpy(after, at, 4 * sizeof(float))
        vwl_pistol_step(after, x, u, &self.by)
        return vwl_pistol_weight(after, x, &self.by) - vwl_pistol_weight(at, x, &self.by)


cdef struct Norms:
    # sums over the examples that a weight vector has learned
    double sum, weight                # S and T


cdef class CoinBetting(Betting):
    """Coin betting: --coin."""

    name = "ftrl-Coin Betting"
    predicts_first = True
    cdef Norms* norms                 # of each weight vector
    cdef size_t n_norms

    def __init__(self, options):
        super().__init__(options, "coin", (4, 1), (
            Column("z"), Column("absolute_gradients", signed=False), Column("scale", signed=False), Column("reward"),
            Column("largest_gradient", signed=False)))
        self.make_norms(1)

    def __dealloc__(self):
        free(self.norms)

    cdef int make_norms(self, size_t n) except -1:
        free(self.norms)
        self.norms = <Norms*>calloc(n, sizeof(Norms))
        self.n_norms = n
        if self.norms == NULL:
            raise MemoryError
        return 0

    def set_width(self, width):
        TableLearner.set_width(self, width)
        self.make_norms(1 if self.as_vw else width)

    cdef inline Norms* norms_of(self, uint32_t offset) noexcept nogil:
        return &self.norms[offset if offset < self.n_norms else 0]

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef float norm, score, h = ex.weight if 0 < ex.weight <= FLT_MAX else 0
        cdef Norms* norms = self.norms_of(ex.offset)
        if self.linear:
            return TableLearner.predict(self, ex)
        self.where.offset = ex.offset
        score = vwl_coin_score(&self.where, ex.features, ex.n, &self.by, &norm)
        return finish(self, ex, ex.initial + vwl_normed(score, mean_with(norms, h, norm)))

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float norm, score, prediction = self.predict(ex)
        if not self.as_vw or not teaches(ex):
            self.update(ex)
            return prediction
        self.where.offset = ex.offset
        score = vwl_coin_score(&self.where, ex.features, ex.n, &self.by, &norm)
        finish(self, ex, vwl_normed(score, mean_with(self.norms_of(ex.offset), ex.weight, norm)))
        Ftrl.update(self, ex)
        ex.prediction = prediction
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        return self.learn(ex) if self.as_vw and teaches(ex) else Ftrl.update(self, ex)

    cdef int step_all(self, Example ex, float u) noexcept nogil:
        cdef float norm
        cdef Norms* norms = self.norms_of(ex.offset)
        vwl_coin_score(&self.where, ex.features, ex.n, &self.by, &norm)
        norms.sum += <double>ex.weight * norm
        norms.weight += ex.weight
        return vwl_coin_learn(&self.where, ex.features, ex.n, u, vwl_mean_norm(norms.sum, norms.weight), &self.by)

    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil:
        if self.linear:
            return at[0]
        return vwl_normed(vwl_coin_weight(at, 0, &self.by), mean_with(self.norms_of(offset), 0, 0))

    cdef float moved(self, const float* at, float x, float u, uint32_t offset) noexcept nogil:
        cdef float[MOST_COLUMNS] after
        cdef float norm = mean_with(self.norms_of(offset), 0, 0)
        memcpy(after, at, 6 * sizeof(float))
        vwl_coin_step(after, x, u, norm, &self.by)
        return vwl_normed(vwl_coin_weight(after, x, &self.by) - vwl_coin_weight(at, x, &self.by), norm)

    def vw_state(self, in_force):
        return {"norm normalizer": self.norms[0].sum, "total_weight": self.norms[0].weight}

    def save_load_sums(self, io):
        """Save or load S and T of each weight vector."""
        cdef size_t i
        found = io.array("norms", "F64", <bytes>(<char*>self.norms)[:self.n_norms * sizeof(Norms)])
        if io.saving:
            return
        if len(found) % 2 or not all([0 <= number < float("inf") for number in found]):
            io.refuse("its norms are not pairs of finite numbers")
        shared = len(found) == 2      # shared by all weight vectors, under --vw_compat
        if len(found) != 2 * self.n_norms and not shared and not self.as_vw or len(found) == 0:
            io.refuse("its norms don't fit the number of weight vectors in the stack")
        for i in range(self.n_norms):
            at = 0 if shared else 2 * i
            self.norms[i].sum, self.norms[i].weight = found[at], found[at + 1]


cdef inline float mean_with(const Norms* norms, float h, float norm) noexcept nogil:
    """Mean norm after one more norm of the weight h."""
    return vwl_mean_norm(norms.sum + <double>h * norm, norms.weight + h)
