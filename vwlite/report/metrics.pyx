"""Records the predictions of a run for --report; vwlite/report/figures.py computes the metrics.

Design:
a) Progressive predictions (made before learning from the example) and held-out ones are tallied separately.
b) A Tally has a Grouping for all examples and one for each namespace whose entities are distinguished. A grouping holds
   one row of sums per entity, so the metrics of all examples and of entities use the same formula. Entities are
   identified by name: their hashes are only used for the lookup.
c) Means are summed in double precision: 88 bytes in all, and as many per entity. The area under the curve is exact, so
   each score is stored: 8 bytes per example (float32 score, float32 weight whose sign encodes which of the two labels),
   and 4 more for each namespace of an `auc:namespace`.
"""
from libc.math cimport NAN, fabs, isnan
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cpython.memoryview cimport PyMemoryView_FromMemory

from vwlite.core.arrays cimport grow, resize
from vwlite.core.elementary cimport exp, log1p
from vwlite.core.example cimport Block, Example, Extent, Row
from vwlite.core.name_index cimport NameIndex, free_index, number_of
from vwlite.core.observer cimport Observer

cdef enum:
    FIRST_CAPACITY = 64
    PYBUF_READ = 0x100

# the columns of a row, in the order of the struct
COLUMNS = ("weight", "label", "prediction", "positive", "probability", "square", "absolute", "log_loss", "brier",
           "right_at_zero", "right_at_half")

cdef struct Sums:
    # all times the importance weight
    double weight, label, prediction
    double positive, probability      # labels above 0 count 1; the score as log-odds
    double square, absolute, log_loss, brier
    double right_at_zero, right_at_half

cdef struct Grouping:
    uint32_t hash                     # of the namespace's name
    NameIndex entities                # by number of the row
    Sums* rows
    size_t n_rows, row_capacity
    uint32_t* scored                  # the row of each stored score
    bint keeps_scores


cdef class Tally:
    """Sums and scores of progressive or of held-out examples.

    ``namespaces`` are pairs (hash of the name, whether scores are stored for it); ``keeps_scores`` is whether any
    scores are stored.
    """

    cdef readonly size_t noted                   # labelled examples of positive weight
    cdef readonly double first, second           # the first two different labels, NaN while there are none
    cdef readonly bint more_labels
    cdef bint keeps_scores
    cdef size_t n_scores, score_capacity
    cdef float* scores
    cdef float* weights                          # of examples with another label than the first: negative
    cdef Grouping* groupings                     # the first is of all examples
    cdef size_t n_groupings

    def __cinit__(self, bint keeps_scores, list namespaces):
        cdef size_t i
        self.first = self.second = NAN
        self.keeps_scores = keeps_scores
        self.groupings = <Grouping*>calloc(1 + len(namespaces), sizeof(Grouping))
        if self.groupings == NULL:
            raise MemoryError
        self.n_groupings = 1 + len(namespaces)
        self.groupings[0].rows = <Sums*>calloc(1, sizeof(Sums))
        if self.groupings[0].rows == NULL:
            raise MemoryError
        self.groupings[0].n_rows = 1
        for i in range(1, self.n_groupings):
            self.groupings[i].hash, self.groupings[i].keeps_scores = namespaces[i - 1]

    def __dealloc__(self):
        cdef size_t i
        if self.groupings != NULL:
            for i in range(self.n_groupings):
                free(self.groupings[i].rows)
                free_index(&self.groupings[i].entities)
                free(self.groupings[i].scored)
        free(self.groupings)
        free(self.scores)
        free(self.weights)

    cdef int note(self, Example ex, Block block, const Row* row) except -1 nogil:
        cdef double weight = ex.weight, label = ex.label, score = ex.score, prediction = ex.prediction
        cdef double positive = label > 0
        # log(1 + e^-m) = max(-m, 0) + log(1 + e^-|m|), m the score in the label's favour, never overflows
        cdef double small = exp(-fabs(score)), favour = score if label > 0 else -score
        cdef double probability = (1 if score >= 0 else small) / (1 + small)
        cdef double difference = prediction - label
        cdef Sums sums
        cdef size_t i
        cdef int64_t entity
        sums.weight = weight
        sums.label = weight * label
        sums.prediction = weight * prediction
        sums.positive = weight * positive
        sums.probability = weight * probability
        sums.square = weight * difference * difference
        sums.absolute = weight * fabs(difference)
        sums.log_loss = weight * ((-favour if favour < 0 else 0) + log1p(small))
        sums.brier = weight * (probability - positive) * (probability - positive)
        sums.right_at_zero = weight * ((score > 0) == (label > 0))
        sums.right_at_half = weight * ((score > 0.5) == (label > 0))
        if label != self.first and label != self.second:
            self.see_label(label)
        if self.keeps_scores and not self.more_labels:
            self.reserve()
            self.scores[self.n_scores] = ex.score
            self.weights[self.n_scores] = ex.weight if label == self.first else -ex.weight
        add(&self.groupings[0].rows[0], &sums)
        for i in range(1, self.n_groupings):
            entity = row_of(&self.groupings[i], block, row)
            if entity >= 0:
                add(&self.groupings[i].rows[entity], &sums)
            if self.groupings[i].keeps_scores and not self.more_labels:
                self.groupings[i].scored[self.n_scores] = <uint32_t>entity
        self.n_scores += self.keeps_scores and not self.more_labels
        self.noted += 1
        return 0

    cdef void see_label(self, double label) noexcept nogil:
        """Stores a label that differs from the first two; with three different labels, frees the scores."""
        cdef size_t i
        if isnan(self.first):
            self.first = label
        elif isnan(self.second):
            self.second = label
        elif not self.more_labels:
            self.more_labels = True
            free(self.scores)
            free(self.weights)
            self.scores = self.weights = NULL
            for i in range(self.n_groupings):
                free(self.groupings[i].scored)
                self.groupings[i].scored = NULL
            self.n_scores = self.score_capacity = 0

    cdef int reserve(self) except -1 nogil:
        """Allocates memory for one more score."""
        cdef size_t i, n = 2 * self.score_capacity or FIRST_CAPACITY
        if self.n_scores < self.score_capacity:
            return 0
        resize(&self.scores, n, sizeof(float), b"for --report")
        resize(&self.weights, n, sizeof(float), b"for --report")
        for i in range(self.n_groupings):
            if self.groupings[i].keeps_scores:
                resize(&self.groupings[i].scored, n, sizeof(uint32_t), b"for --report")
        self.score_capacity = n
        return 0

    # read by figures.py; the views are valid until the next example is noted

    def rows(self, size_t grouping):
        """A view of the sums, float64 (entities, columns); grouping 0 has one row, of all examples."""
        cdef Grouping* g = &self.groupings[grouping]
        return view(g.rows, g.n_rows * sizeof(Sums))

    def kept_scores(self):
        """Views of scores and weights, float32 (scores,); weights of the second label are negative."""
        return view(self.scores, self.n_scores * sizeof(float)), view(self.weights, self.n_scores * sizeof(float))

    def kept_entities(self, size_t grouping):
        """A view of the row of each stored score, uint32 (scores,); 0xFFFFFFFF for none."""
        return view(self.groupings[grouping].scored, self.n_scores * sizeof(uint32_t))


cdef object view(void* begin, size_t n):
    return PyMemoryView_FromMemory(<char*>begin, n, PYBUF_READ) if n else memoryview(b"")


cdef inline void add(Sums* to, const Sums* sums) noexcept nogil:
    cdef size_t i
    for i in range(sizeof(Sums) // sizeof(double)):
        (<double*>to)[i] += (<const double*>sums)[i]


cdef int64_t row_of(Grouping* g, Block block, const Row* row) except -2 nogil:
    """The row of the example's entity, the first feature of the namespace; -1 if it has no such namespace."""
    cdef const Extent* extents = block.extents + row.extent
    cdef const char* name = NULL
    cdef uint32_t length = 0
    cdef size_t i, feature
    cdef int64_t number
    for i in range(row.n_extents):
        if extents[i].hash == g.hash:
            break
    else:
        return -1
    feature = row.feature + extents[i].begin
    if block.names != NULL and block.names[feature].length:
        name, length = block.text + block.names[feature].begin, block.names[feature].length
    number = number_of(&g.entities, name, length, block.features[feature].hash)
    if <size_t>number == g.n_rows:
        grow(&g.rows, &g.row_capacity, g.n_rows + 1, sizeof(Sums))
        memset(&g.rows[g.n_rows], 0, sizeof(Sums))
        g.n_rows += 1
    return number


cdef class Metrics(Observer):
    """Tallies the predictions of a run for --report.

    Only the first pass is progressive: later ones predict examples that were learned before. Held-out examples have a
    new tally in each pass; ``held_out`` is that of the last pass that had some, or of the best one after go_back().
    Examples without a label or with weight 0 don't count.
    """

    cdef readonly Tally progressive
    cdef Tally tests, last, best
    cdef bint later_pass
    cdef tuple shape

    def __init__(self, bint keeps_scores, list namespaces not None):
        self.shape = (keeps_scores, namespaces)
        self.progressive = Tally(*self.shape)
        self.tests = self.last = Tally(*self.shape)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        if not ex.labelled or not ex.weight > 0:
            return 0
        if tested:
            return self.tests.note(ex, block, row)
        return 0 if self.later_pass else self.progressive.note(ex, block, row)

    @property
    def held_out(self):
        """The tally of examples that were predicted but not learned from."""
        return self.tests if self.tests.noted else self.last

    def end_pass(self):
        """Ends a pass: later predictions of learned examples aren't progressive."""
        self.later_pass = True
        if self.tests.noted:
            self.last = self.tests
            self.tests = Tally(*self.shape)

    def mark_best(self):
        """Marks the pass that has just ended as the best so far."""
        self.best = self.last

    def go_back(self):
        """Returns to the tally of the best pass, whose model was saved."""
        if self.best is not None:
            self.last = self.best
            self.tests = Tally(*self.shape)
