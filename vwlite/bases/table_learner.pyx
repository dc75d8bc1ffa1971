"""Base class of bottom learners with a dense table of hashed weights. Design notes are in table_learner.pxd."""
from typing import NamedTuple

from libc.float cimport FLT_MAX
from libc.math cimport NAN, fabsf, isfinite, isnan
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Scored
from vwlite.core.terms cimport Terms

from vwlite.core.losses import make_loss
from vwlite.core.options import Option, OptionGroup

OPTIONS = OptionGroup("Table of weights", (
    Option("bit_precision", int, "bits of the weight table: 2^b slots", short="b", default=18, least=1, most=32,
           keep=True, fixed=True, needs=("table", "feature_limit")),
    Option("initial_weight", float, "initial value of all weights", default=0.0, keep=True, fixed=True),
), needs=("table",), examples=(
    "vwlite data.vw -b 22 --initial_weight 0.01",
))

# with -t, only the weights of a model are loaded, unless one of these options needs all columns
NEEDS_ALL = ("final_regressor", "readable_model", "invert_hash", "audit")

BYTES_OF_TEXT = 16                    # for each feature of a line, about

cdef extern from "vwlite/bases/slots.h" nogil:
    float vwl_dot(const vwl_table* table, const void* features, size_t n)

cdef extern from "vwlite/bases/vectors.h" nogil:
    const int VWL_MOST_LANES
    void vwl_dot_many(const vwl_table* table, const void* features, size_t n, uint32_t count, uint32_t step, bint wide,
                      float** at, float* sums)

cdef extern from "vwlite/core/cpu.h" nogil:
    bint vwl_has_avx2()


class Column(NamedTuple):
    """Column of the weight table: one float of each slot.

    Attributes:
        name: Name of its array in model files.
        start: Initial value.
        signed: Whether it may be negative.
        shown: Whether a readable model has it, in Vowpal Wabbit's order.
    """

    name: str
    start: float = 0.0
    signed: bool = True
    shown: bool = True


cdef class TableLearner(Bottom):
    """Bottom learner with a table of weights, named columns in each slot, and one or several weight vectors.

    Args:
        options: The options of the run.
        taken: The options that the learner uses, for the card.
        others: The Columns after the weight.
        linear: Whether scores are sums of weights times values: then -t needs the weights only.
    """

    has_slots = True
    holds_vectors = True
    in_planes = False                 # columns of several weight vectors may lie in planes
    lists_sums = False                # VW: readable models also list slots of weight 0 with another column

    def __init__(self, options, taken, others=(), bint linear=True):
        cdef int i
        read = {"bit_precision": options["bit_precision"]}
        if options.given("initial_weight"):
            read["initial_weight"] = options["initial_weight"]
        super().__init__(None, {**read, **taken, "loss_function": options["loss_function"]})
        self.loss = make_loss(options, options["testonly"])
        self.initial_weight = options["initial_weight"]
        self.linear = linear
        self.weights_only = linear and options["testonly"] and not any([options[name] for name in NEEDS_ALL])
        self.layout = (Column("weight", self.initial_weight), *others)
        for i, column in enumerate(self.layout):
            self.start[i] = column.start
        wide = 1 if self.weights_only else len(self.layout)
        self.table = DenseTable(options["bit_precision"], (wide - 1).bit_length())
        self.where.values = self.table.values
        self.where.mask = self.table.mask
        self.where.stride = self.table.stride_shift
        self.wide = vwl_has_avx2()
        self.fill()

    def __dealloc__(self):
        free(self.sums)
        free(self.at)

    def fill(self):
        """Set all slots to their initial values, unless these are 0."""
        cdef size_t i
        cdef int j, n = len(self.layout) if self.table.stride_shift else 1
        cdef float* at
        if not any([self.start[j] for j in range(n)]):
            return
        with nogil:
            for i in range(self.table.count()):
                at = vwl_slot(&self.where, i)
                for j in range(n):
                    at[<size_t>j << self.where.group] = self.start[j]

    def set_width(self, width):
        """Set the slots of weight vectors: hash * width + offset, adjacent for a feature; width is a power of 2: VW."""
        self.width_shift = self.where.width = (width - 1).bit_length()
        if self.comes_shifted:
            self.shifted, self.width_shift, self.where.width = self.width_shift, 0, 0
            return
        if self.in_planes and self.table.stride_shift and width >= 4:
            self.where.group = min(self.width_shift, self.table.bits)
            self.fill()

    def slot_of(self, unsigned int hash, unsigned int offset=0):
        """Slot of a hash, of the weight vector at an offset."""
        return ((hash << (self.width_shift + self.shifted)) + offset) & self.table.mask

    def weight_at(self, unsigned int hash, unsigned int offset=0):
        """(effective weight,) of a slot, for audits and tests; audits also show a second number, if any."""
        return (self.weight_in(slot_at(self, hash << self.shifted, offset), offset),)

    cdef float dot(self, Example ex) noexcept nogil:
        self.where.offset = ex.offset
        return vwl_dot(&self.where, ex.features, ex.n)

    cdef int dot_many(self, Example ex, uint32_t count, uint32_t step) except -1 nogil:
        grow(&self.sums, &self.n_sums, <size_t>count + VWL_MOST_LANES, sizeof(float))
        grow(&self.at, &self.n_at, ex.n, sizeof(float*))
        self.where.offset = ex.offset
        vwl_dot_many(&self.where, ex.features, ex.n, count, step, self.wide, self.at, self.sums)
        return 0

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return finish(self, ex, ex.initial + self.dot(ex))

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        """Scores of several weight vectors of a linear learner, in one pass over the features."""
        cdef uint32_t i
        self.dot_many(ex, count, step)
        for i in range(count):
            to[i].score = ex.initial + self.sums[i]
            to[i].prediction = 0 if isnan(to[i].score) else self.loss.clip(to[i].score)
        return 0

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        cdef size_t i
        if not self.linear:
            return Bottom.terms(self, ex, to)
        for i in range(ex.n):
            to.add(ex.features[i].hash, <int32_t>i, ex.features[i].value,
                   self.weight_in(slot_at(self, ex.features[i].hash, ex.offset), ex.offset), NAN)
        return 0

    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil:
        return at[0]

    def expect(self, n_bytes):
        self.table.expect(n_bytes / BYTES_OF_TEXT)

    def vw_state(self, in_force):
        """Numbers in the header of VW's readable models, by VW's names."""
        return {}

    def save_load(self, io):
        self.loss.save_load(io)
        exports = io.saving and io.weights_only and self.linear
        names = [column.name for column in self.layout] if self.table.stride_shift else ["weight"]
        found = self.columns(exports or self.derived, exports) if io.saving else [None] * (1 + len(names))
        index = io.array("index", "U32", found[0])
        columns = [io.array("weight", "F32", found[1])]
        if not exports if io.saving else self.is_whole(io):
            self.save_load_sums(io)
            columns += [io.array(name, "F32", column) for name, column in zip(names[1:], found[2:], strict=True)]
        if not io.saving:
            self.place(io, index, columns)

    def is_whole(self, io):
        """Whether the model to load has more than weights."""
        return io.has(self.layout[1].name)

    def save_load_sums(self, io):
        """Save or load the state beside the table, of models that have more than weights."""

    def columns(self, bint in_force=True, bint alone=False):
        """[index, weight, other columns ...] of the slots that differ from their initial values, as bytearrays.

        Weights are effective (`in_force`) or as stored; `alone`: weights only, without slots that differ only in other
        columns.
        """
        cdef size_t i, n = 0, k = 0
        cdef int j, m = 1 if alone or self.table.stride_shift == 0 else len(self.layout)
        cdef bint still = not in_force or self.weight_in(self.start, 0) == self.initial_weight
        cdef float* at
        cdef float w
        cdef float* to[MOST_COLUMNS]
        with nogil:
            for i in range(self.table.count()):
                at = vwl_slot(&self.where, i)
                if not still or differs(self, at, at[0], m):
                    n += not in_force or differs(self, at, in_force_at(self, i), m)
        index, columns = bytearray(4 * n), [bytearray(4 * n) for _ in range(m)]
        cdef uint32_t* to_index = <uint32_t*><char*>index
        for j in range(m):
            to[j] = <float*><char*>columns[j]
        with nogil:
            for i in range(self.table.count()):
                at = vwl_slot(&self.where, i)
                if still and not differs(self, at, at[0], m):
                    continue
                w = in_force_at(self, i) if in_force else at[0]
                if in_force and not differs(self, at, w, m):
                    continue
                to_index[k] = <uint32_t>i
                to[0][k] = w
                for j in range(1, m):
                    to[j][k] = at[<size_t>j << self.where.group]
                k += 1
        return [index, *columns]

    def shown_columns(self, weights_only):
        """The columns() that a readable model has after the slot."""
        return [i for i, column in enumerate(self.layout) if column.shown and not (weights_only and i)]

    def place(self, io, const uint32_t[::1] index, columns):
        """Load columns(): [weight, ...], or all columns.

        Raises ModelError for slots outside the table, columns of different lengths, or numbers that are not finite.
        """
        cdef size_t i, n = index.shape[0]
        cdef int j
        cdef const float[::1] column
        cdef float value
        cdef bint sound = True, signed
        if self.table.is_filled_by(n):
            self.table.use_huge_pages()
        for values in columns:
            if len(values) != n:
                io.refuse("its weight columns differ in length")
        for i in range(n):
            if index[i] > self.table.mask:
                io.refuse(f"slot {index[i]} is outside the table of 2^{self.table.bits} slots")
        for j, values in enumerate(columns):
            column, signed = values, self.layout[j].signed
            for i in range(n):
                value = column[i]
                vwl_slot(&self.where, index[i])[<size_t>j << self.where.group] = value
                sound = sound and isfinite(value) and (signed or value >= 0)
        if not sound:
            io.refuse("its weights are not all finite numbers")


cdef inline float in_force_at(TableLearner learner, size_t i) noexcept nogil:
    """Effective weight of a slot."""
    cdef int shift = learner.width_shift + learner.shifted
    return learner.weight_in(vwl_slot(&learner.where, i), <uint32_t>(i & ((<size_t>1 << shift) - 1)))


cdef inline bint differs(TableLearner learner, const float* at, float w, int m) noexcept nogil:
    """Whether the first m columns of a slot with the effective weight w differ from the initial values."""
    cdef int j
    if w != learner.start[0]:
        return True
    for j in range(1, m):
        if at[<size_t>j << learner.where.group] != learner.start[j]:
            return True
    return False


cdef bint has_finite_features(Example ex) noexcept nogil:
    cdef size_t i
    for i in range(ex.n):
        if not fabsf(ex.features[i].value) <= FLT_MAX:
            return False
    return True
