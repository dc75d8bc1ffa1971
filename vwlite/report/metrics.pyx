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
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from cpython.memoryview cimport PyMemoryView_FromMemory

from vwlite.core.arrays cimport resize
from vwlite.core.elementary cimport exp, log1p
from vwlite.core.example cimport Block, Example, Extent, Row
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

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef struct Place:
    uint64_t key                      # a hash of the name
    size_t name                       # offset in the names
    uint32_t length, row              # of the name; row + 1, 0 is a free place

cdef struct Grouping:
    uint32_t hash                     # of the namespace's name
    Sums* rows
    size_t n_rows, row_capacity
    Place* places                     # open addressing, a power of two, at most half full
    size_t n_places
    char* names                       # concatenated
    size_t n_names, name_capacity     # bytes
    uint32_t* entities                # the row of each stored score
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
                free(self.groupings[i].places)
                free(self.groupings[i].names)
                free(self.groupings[i].entities)
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
                self.groupings[i].entities[self.n_scores] = <uint32_t>entity
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
                free(self.groupings[i].entities)
                self.groupings[i].entities = NULL
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
                resize(&self.groupings[i].entities, n, sizeof(uint32_t), b"for --report")
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
        return view(self.groupings[grouping].entities, self.n_scores * sizeof(uint32_t))


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
    cdef uint64_t key
    cdef size_t i, feature
    cdef Place* place
    for i in range(row.n_extents):
        if extents[i].hash == g.hash:
            break
    else:
        return -1
    feature = row.feature + extents[i].begin
    key = block.features[feature].hash
    if block.names != NULL and block.names[feature].length:
        name, length = block.text + block.names[feature].begin, block.names[feature].length
        key = (<uint64_t>vwl_murmur3_32_padded(<const uint8_t*>name, length, g.hash) << 32
               | vwl_murmur3_32_padded(<const uint8_t*>name, length, ~g.hash))
    if 2 * g.n_rows >= g.n_places:
        widen(g)
    place = &g.places[home_of(key, g.n_places)]
    while place.row and not (place.key == key and place.length == length
                             and (length == 0 or memcmp(g.names + place.name, name, length) == 0)):
        place = following(g.places, g.n_places, place)
    if place.row == 0:
        add_row(g, place, key, name, length)
    return place.row - 1


cdef int add_row(Grouping* g, Place* place, uint64_t key, const char* name, uint32_t length) except -1 nogil:
    """Adds a row for a new entity."""
    if g.n_rows == g.row_capacity:
        resize(&g.rows, 2 * g.row_capacity or FIRST_CAPACITY, sizeof(Sums), b"for --report")
        g.row_capacity = 2 * g.row_capacity or FIRST_CAPACITY
    if g.n_names + length > g.name_capacity:
        resize(&g.names, 2 * (g.name_capacity + length), 1, b"for --report")
        g.name_capacity = 2 * (g.name_capacity + length)
    if length:
        memcpy(g.names + g.n_names, name, length)
    memset(&g.rows[g.n_rows], 0, sizeof(Sums))
    g.n_rows += 1
    place.key, place.name, place.length, place.row = key, g.n_names, length, <uint32_t>g.n_rows
    g.n_names += length
    return 0


cdef inline size_t home_of(uint64_t key, size_t n) noexcept nogil:
    """The first place to look up a key. Numeric ids are their own hashes, so Fibonacci hashing spreads them."""
    return (key * <uint64_t>0x9E3779B97F4A7C15 >> 32) & (n - 1)


cdef inline Place* following(Place* places, size_t n, Place* place) noexcept nogil:
    return places if place + 1 == places + n else place + 1


cdef int widen(Grouping* g) except -1 nogil:
    """Doubles the number of places."""
    cdef size_t i, n = 2 * g.n_places or 2 * FIRST_CAPACITY
    cdef Place* places = <Place*>calloc(n, sizeof(Place))
    cdef Place* place
    if places == NULL:
        with gil:
            raise MemoryError(f"--report: no memory for {n} entities")
    for i in range(g.n_places):
        if g.places[i].row:
            place = &places[home_of(g.places[i].key, n)]
            while place.row:
                place = following(places, n, place)
            place[0] = g.places[i]
    free(g.places)
    g.places = places
    g.n_places = n
    return 0


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
