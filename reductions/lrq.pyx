"""lrq: matrix factorisation by low-rank quadratic features.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Score: s = w.x + sum_k (sum_i u_ik x_i) (sum_j v_jk x_j) for --lrq abK, i over the features of namespace a, j over
those of b, k = 1 .. K. Of a user and a movie that is the bias of each and the product of two vectors of K factors
(Koren, Bell and Volinsky 2009, "Matrix factorization techniques for recommender systems").

The factors are K further weights of each feature, in the slots after its weight. The base learns them in turn, as VW
does: given the factors u, the score is linear in v, with features x_i x_j u_ik, and the other way round. An example is
learned twice, with the roles changed in between; the prediction and the loss are those of the first time. Which side is
held fixed first alternates with the examples that are learned. A fixed factor that is 0 is set to a random number
first, because the gradient of both is 0 at (0, 0): one from 0 to 1, as in VW, or one from -S to S with --lrq_start S.

--l1 and --l2 are applied to stored weights lazily (gd.pyx). The fixed factors are those with the penalty applied; VW
takes the stored ones, which grow without bound in a long run with --l2, and so does --vw_compat.

--lrqdropout leaves half of the terms out at random while learning, and halves them in predictions (Srivastava and
others 2014), also in those that are reported while learning.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from vwlite.bases.table_learner cimport TableLearner, vwl_slot
from vwlite.core.arrays cimport grow
from vwlite.core.draws cimport vw_random
from vwlite.core.example cimport PADDING, Example, Feature, extent_end, extent_index
from vwlite.core.learner cimport Learner
from vwlite.core.reasons cimport CROSSED_MANY, FINE
from vwlite.features.interactions cimport MAX_FEATURES, Interactions

from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError
from vwlite.features.terms import decode_names

OPTIONS = OptionGroup("lrq: matrix factorisation", (
    Option("lrq", str, "products of K factors of each feature of namespace a with those of each feature of namespace "
           "b, beside their weights (low-rank quadratic features); may be repeated", many=True, necessary=True,
           keep=True, fixed=True, metavar="abK", needs=("gd",)),
    Option("lrq_start", float, "factors begin as random numbers from -S to S (default: from 0 to 1)", above=0,
           keep=True, fixed=True, metavar="S", needs=("lrq",)),
    Option("lrqdropout", bool, "leave half of the products out at random while learning", keep=True, fixed=True,
           needs=("lrq",)),
), examples=(
    "vwlite ratings.vw --lrq ui4 -l 0.1 --passes 5 -c -f model",
    "vwlite ratings.vw --lrq ui4 --lrqdropout",
    "vwlite ratings.vw --sgd --power_t 0 -l 0.02 --l2 2e-4 --lrq ui8 --lrq_start 0.3",
))

cdef enum:
    MOST_FACTORS = 1 << 16


cdef struct Pair:
    uint8_t left, right               # letters of namespaces
    uint32_t rank                     # the number of factors
    bint come                         # an example had both


def setup(builder):
    """The learner, if --lrq is given, over gd."""
    base = builder.base
    if not isinstance(base, TableLearner):
        return None
    return LowRank(base, builder.options)


def read_pair(text):
    """Parse abK into the letters of two namespaces and the number of factors; raises OptionError."""
    raw = decode_names(text)
    rank = raw[2:].decode("ascii", "replace")
    if len(raw) < 3 or not (rank.isascii() and rank.isdigit()) or not 0 < int(rank) <= MOST_FACTORS:
        raise OptionError([f"--lrq {text}: expected the first letters of two namespaces and the number of factors, "
                           f"from 1 to {MOST_FACTORS}, for instance ui4"])
    return raw[0], raw[1], int(rank)


cdef class LowRank(Learner):
    """Adds the products of factors to the features that the base learns."""

    name = "lrq"
    holds_vectors = True
    finishes = True
    vets = True

    cdef TableLearner table
    cdef readonly uint32_t feature_width
    cdef Pair* pairs
    cdef size_t n_pairs
    cdef list texts
    cdef Interactions interactions    # of the driver, which has the limit of features
    cdef bint drops, looked
    cdef bint as_vw                   # --vw_compat: examples that are not learned, and ends of passes, count, too
    cdef bint learned, ended
    cdef Feature* features
    cdef size_t capacity, n
    # state
    cdef float start                  # --lrq_start; 0: from 0 to 1
    cdef readonly uint64_t examples   # learned so far: odd or even decides which side is fixed first
    cdef uint64_t dropped             # state of the random numbers of --lrqdropout

    def __init__(self, TableLearner base not None, options):
        cdef size_t i
        self.drops, self.as_vw = options["lrqdropout"], options["vw_compat"]
        self.start = options["lrq_start"] or 0
        super().__init__(base, {"lrq": options["lrq"], **({"lrqdropout": True} if self.drops else {}),
                                **({"lrq_start": options["lrq_start"]} if self.start else {})})
        self.table = base
        base.comes_shifted = True
        self.texts = list(options["lrq"])
        self.n_pairs = len(self.texts)
        self.pairs = <Pair*>calloc(self.n_pairs + 1, sizeof(Pair))
        if self.pairs == NULL:
            raise MemoryError
        for i, text in enumerate(self.texts):
            self.pairs[i].left, self.pairs[i].right, self.pairs[i].rank = read_pair(text)
            self.feature_width = max(self.feature_width, 1 + self.pairs[i].rank)
        self.dropped = options["random_seed"]

    def __dealloc__(self):
        free(self.pairs)
        free(self.features)

    def init_driver(self, driver):
        self.interactions = driver.interactions

    cdef size_t limit(self) noexcept nogil:
        """The most features of an example."""
        return MAX_FEATURES if self.interactions is None else self.interactions.limit

    cdef size_t count(self, Example ex) noexcept nogil:
        """The number of features with the products, or a number above the limit."""
        cdef size_t total = ex.n, i, left, right, limit = self.limit()
        for i in range(self.n_pairs):
            left, right = features_of(ex, self.pairs[i].left), features_of(ex, self.pairs[i].right)
            self.pairs[i].come |= left > 0 and right > 0
            if right and left > limit // self.pairs[i].rank // right:
                return limit + 1
            total += left * right * self.pairs[i].rank
        return total

    cdef int vet(self, Example ex) except -1 nogil:
        self.looked = True
        return FINE if self.count(ex) <= self.limit() else CROSSED_MANY

    cdef int expand(self, Example ex, uint64_t turn, bint learning) except -1 nogil:
        """Fill `features` with those of the example and the products; the left or the right side is fixed by turn."""
        cdef size_t i, j, k, f, rank
        cdef int shift = self.table.shifted, stride = self.table.table.stride_shift
        cdef uint32_t mask = self.table.table.mask
        cdef uint8_t fixed, free_side
        cdef uint64_t at, seed
        cdef float scale = 0.5 if self.drops and not learning else 1, factor
        cdef float* w
        grow(&self.features, &self.capacity, self.count(ex) + PADDING, sizeof(Feature))
        for i in range(ex.n):
            self.features[i].hash = ex.features[i].hash << shift
            self.features[i].value = ex.features[i].value
        self.n = ex.n
        for i in range(self.n_pairs):
            fixed, free_side = self.pairs[i].left, self.pairs[i].right
            if turn & 1:
                fixed, free_side = free_side, fixed
            rank = self.pairs[i].rank
            for j in range(ex.n_extents):
                if extent_index(&ex.extents[j]) != fixed:
                    continue
                for f in range(ex.extents[j].begin, extent_end(ex, j)):
                    at = (<uint64_t>(ex.linear[f].hash & mask) << shift) + ex.offset
                    for k in range(1, rank + 1):
                        if self.drops and learning and not vw_random(&self.dropped) > 0.5:
                            continue
                        w = vwl_slot(&self.table.where, (at + k) & mask)
                        if learning and w[0] == 0:
                            seed = (at + k) << stride
                            self.begin(w, vw_random(&seed), ex.offset)
                        factor = w[0] if self.as_vw else self.table.weight_in(w, ex.offset)
                        self.add(ex, free_side, k, scale * factor * ex.linear[f].value)
        memset(<void*>(self.features + self.n), 0, PADDING * sizeof(Feature))
        return 0

    cdef void begin(self, float* w, float random, uint32_t offset) noexcept nogil:
        """Set a factor that is 0; the one in force, after --l2, is the random number."""
        cdef float start = random if self.start == 0 else self.start * (2 * random - 1), in_force
        w[0] = start
        in_force = self.table.weight_in(w, offset)
        if not self.as_vw and in_force != 0:
            w[0] *= start / in_force

    cdef void add(self, Example ex, uint8_t side, size_t k, float factor) noexcept nogil:
        """Append the products of a factor with the k-th factors of a side."""
        cdef size_t j, f
        cdef int shift = self.table.shifted
        for j in range(ex.n_extents):
            if extent_index(&ex.extents[j]) != side:
                continue
            for f in range(ex.extents[j].begin, extent_end(ex, j)):
                self.features[self.n].hash = (ex.linear[f].hash << shift) + <uint32_t>k
                self.features[self.n].value = factor * ex.linear[f].value
                self.n += 1

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n
        cdef float prediction
        self.expand(ex, self.examples, False)
        ex.features, ex.n = self.features, self.n
        prediction = self.base.predict(ex)
        ex.features, ex.n = features, n
        return prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        """Learn one side with the other one fixed, then the other way round."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n
        cdef float prediction = 0, score = 0, loss = 0, age = ex.age
        cdef bint is_part = ex.is_part
        cdef uint64_t turn = self.examples + self.ended
        if not is_part:
            age = ex.weight
        self.learned = True
        if self.drops:
            prediction = self.predict(ex)
            score, loss = ex.score, self.loss.loss(prediction, ex.label)
        ex.is_part, ex.age = True, 0  # the time of one example passes in the second step
        self.expand(ex, turn, True)
        ex.features, ex.n = self.features, self.n
        self.base.learn(ex)
        if not self.drops:
            prediction, score, loss = ex.prediction, ex.score, ex.loss
        ex.features, ex.n = features, n
        ex.age = age
        self.expand(ex, turn + 1, True)
        ex.features, ex.n = self.features, self.n
        self.base.learn(ex)
        ex.features, ex.n = features, n
        ex.is_part = is_part
        ex.prediction, ex.score, ex.loss = prediction, score, loss
        return prediction

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n
        cdef float found
        self.expand(ex, self.examples, False)
        ex.features, ex.n = self.features, self.n
        found = self.base.sensitivity(ex)
        ex.features, ex.n = features, n
        return found

    cdef int finish_example(self, Example ex) except -1 nogil:
        self.examples += (self.learned or self.as_vw) + self.ended
        self.learned = self.ended = False
        return 0

    def end_pass(self):
        self.ended = self.as_vw

    def unmatched(self):
        if not self.looked:
            return []
        return [f"nothing matched --lrq {text}: no example has features in both namespaces"
                for i, text in enumerate(self.texts) if not self.pairs[i].come]

    def settings(self):
        return ["creating low rank quadratic features for pairs: " + "".join(f"{text} " for text in self.texts)]

    def save_load(self, io):
        self.examples = io.int64("examples", self.examples)
        if self.drops:
            self.dropped = io.int64("dropped", <long long>self.dropped) & <uint64_t>0xFFFFFFFFFFFFFFFF


cdef size_t features_of(Example ex, uint8_t letter) noexcept nogil:
    """The number of features in namespaces with a first letter."""
    cdef size_t j, n = 0
    for j in range(ex.n_extents):
        if extent_index(&ex.extents[j]) == letter:
            n += extent_end(ex, j) - ex.extents[j].begin
    return n
