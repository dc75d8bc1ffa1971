"""Recorder: an observer that stores the label, weight and prediction of each labelled example, and its slices.

Design:
a) One number a column and example, in C arrays that grow; nothing is allocated per example. Slices are numbered by a
   NameIndex each.
b) A slice is what a name stands for in an example, as for --where (predicate.pxd): a text, a number, or a namespace, of
   which it is the first feature. Numbers are stored too, so that they can be cut into ranges later.
c) Examples without a label or with weight 0 are not stored.
"""
from libc.math cimport NAN, isnan
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cpython.memoryview cimport PyMemoryView_FromMemory

from vwlite.core.arrays cimport resize
from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport NO_NUMBER, ROW_EXAMPLE, Block, Choice, Example, Row, SimpleExample
from vwlite.core.name_index cimport NameIndex, free_index, names_in, number_of
from vwlite.core.observer cimport Observer
from vwlite.input.predicate cimport NUMBER, SEVERAL, TEXT, Operand, Predicate

cdef enum:
    FIRST_CAPACITY = 1024
    PYBUF_READ = 0x100
    NUMBER_BYTES = 32
    MISSING_SLICE = -1

NO_CLASS = NO_NUMBER                  # the number of a prediction that is no class

cdef struct Slices:
    NameIndex names
    int32_t* codes                    # by example; MISSING_SLICE without one
    float* numbers                    # by example; NaN if it is no number


cdef class Recorder(Observer):
    """Stores what the metrics of labelled examples need.

    Args:
        predicate: A Predicate whose names are the slices; None without slices.
        classes: Whether labels are classes.
        stack: The ClassNames of the stack that predicts classes; None without one.
        probable: Whether predictions have the probability of each class.
    """

    cdef readonly size_t n
    cdef size_t capacity
    cdef uint64_t* places             # of the example among all, from 0
    cdef float* labels
    cdef float* weights
    cdef float* predictions
    cdef float* scores
    cdef float* losses                # weighted
    cdef uint32_t* class_labels       # of classes only, as the next two
    cdef uint32_t* class_predictions
    cdef float* probabilities         # that the prediction gives to the label's class; NaN if it gives none
    cdef Predicate predicate
    cdef Slices* slices
    cdef size_t n_slices
    cdef bint classes, probable
    cdef ClassNames stack
    cdef NameIndex label_names
    cdef readonly size_t seen         # examples, whether or not they are stored

    def __init__(self, Predicate predicate=None, bint classes=False, ClassNames stack=None, bint probable=False):
        self.predicate, self.classes, self.stack, self.probable = predicate, classes, stack, probable
        self.n_slices = 0 if predicate is None else predicate.n_operands
        self.slices = <Slices*>calloc(self.n_slices + 1, sizeof(Slices))
        if self.slices == NULL:
            raise MemoryError
        self.takes_many = not classes and predicate is None

    def __dealloc__(self):
        cdef size_t i
        if self.slices != NULL:
            for i in range(self.n_slices):
                free_index(&self.slices[i].names)
                free(self.slices[i].codes)
                free(self.slices[i].numbers)
        free(self.slices)
        free_index(&self.label_names)
        free(self.places)
        free(self.labels)
        free(self.weights)
        free(self.predictions)
        free(self.scores)
        free(self.losses)
        free(self.class_labels)
        free(self.class_predictions)
        free(self.probabilities)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        cdef size_t n = self.n
        cdef uint32_t number
        self.seen += 1
        if not ex.labelled or not ex.weight > 0:
            return 0
        self.store(block, row)
        self.labels[n] = ex.label
        self.predictions[n], self.scores[n], self.losses[n] = ex.prediction, ex.score, ex.loss
        if self.classes:
            self.class_predictions[n] = ex.class_predicted
            number = ex.class_label - self.stack.first
            self.probabilities[n] = ex.values[number] if self.probable and number < ex.n_values else <float>NAN
        return 0

    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil:
        cdef size_t i, k = self.n
        while k + n > self.capacity:
            self.reserve(2 * self.capacity or FIRST_CAPACITY)
        for i in range(n):
            self.places[k] = self.seen
            self.labels[k], self.weights[k] = examples[i].label, examples[i].weight
            self.predictions[k], self.scores[k] = examples[i].prediction, examples[i].score
            self.losses[k] = examples[i].loss
            self.seen += 1
            k += not isnan(examples[i].label)
        self.n = k
        return 0

    def read(self, Block block not None):
        """Stores the labels of a block that no stack predicts for."""
        cdef size_t i
        cdef const Row* row
        with nogil:
            for i in range(block.n_rows):
                row = &block.rows[i]
                if row.kind != ROW_EXAMPLE:
                    continue
                self.seen += 1
                if row.weight > 0 and (row.n_choices > 0 if self.classes else not isnan(row.label)):
                    self.store(block, row)

    cdef int store(self, Block block, const Row* row) except -1 nogil:
        """Stores what does not depend on a prediction."""
        cdef char[NUMBER_BYTES + 64] text
        cdef size_t i, n = self.n
        cdef const Choice* choice
        if n == self.capacity:
            self.reserve(2 * n or FIRST_CAPACITY)
        self.places[n] = self.seen - 1
        self.labels[n], self.weights[n] = row.label, row.weight
        self.predictions[n] = self.scores[n] = self.losses[n] = NAN
        if self.classes:
            choice = &block.choices[row.choice]
            self.class_predictions[n], self.probabilities[n] = NO_NUMBER, NAN
            if choice.number == NO_NUMBER or (self.stack is not None and self.stack.named):
                self.class_labels[n] = <uint32_t>number_of(
                    &self.label_names, block.text + choice.name, choice.name_length, 0)
            else:
                memset(text, 0, sizeof(text))
                self.class_labels[n] = <uint32_t>number_of(
                    &self.label_names, text, <uint32_t>snprintf(text, NUMBER_BYTES, b"%u", choice.number), 0)
        for i in range(self.n_slices):
            self.note_slice(&self.slices[i], &self.predicate.operands[i], block, row)
        self.n += 1
        return 0

    cdef int note_slice(self, Slices* to, Operand* operand, Block block, const Row* row) except -1 nogil:
        """Stores what a name stands for in the example."""
        cdef char[NUMBER_BYTES + 64] text
        cdef size_t feature
        to.codes[self.n], to.numbers[self.n] = MISSING_SLICE, NAN
        self.predicate.resolve(block, row - block.rows, operand)
        if operand.kind == NUMBER:
            memset(text, 0, sizeof(text))
            to.numbers[self.n] = operand.number
            to.codes[self.n] = <int32_t>number_of(
                &to.names, text, <uint32_t>snprintf(text, NUMBER_BYTES, b"%.9g", <double>operand.number), 0)
        elif operand.kind == TEXT and operand.length:
            to.codes[self.n] = <int32_t>number_of(&to.names, operand.text, <uint32_t>operand.length, 0)
        elif operand.kind == SEVERAL and not operand.reserved:
            feature = row.feature + block.extents[row.extent + operand.extent].begin
            to.codes[self.n] = <int32_t>number_of(&to.names, block.text + block.names[feature].begin,
                                                  block.names[feature].length, block.features[feature].hash)
        return 0

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocates memory for n examples."""
        cdef size_t i
        resize(&self.places, n, sizeof(uint64_t), b"for examples")
        resize(&self.labels, n, sizeof(float), b"for examples")
        resize(&self.weights, n, sizeof(float), b"for examples")
        resize(&self.predictions, n, sizeof(float), b"for examples")
        resize(&self.scores, n, sizeof(float), b"for examples")
        resize(&self.losses, n, sizeof(float), b"for examples")
        if self.classes:
            resize(&self.class_labels, n, sizeof(uint32_t), b"for examples")
            resize(&self.class_predictions, n, sizeof(uint32_t), b"for examples")
            resize(&self.probabilities, n, sizeof(float), b"for examples")
        for i in range(self.n_slices):
            resize(&self.slices[i].codes, n, sizeof(int32_t), b"for examples")
            resize(&self.slices[i].numbers, n, sizeof(float), b"for examples")
        self.capacity = n
        return 0

    # read by records.py; the views are valid until the next example is noted

    def columns(self):
        """Views of the stored examples.

        Returns:
            Their places among all, uint64 (n,), labels, weights, predictions and scores, float32 (n,) each. Of classes
            also the number of the label in label_classes(), uint32 (n,), that of the prediction in the stack, uint32
            (n,), NO_CLASS for none, and the probability of the label, float32 (n,), NaN for none.
        """
        found = [view(self.places, self.n * sizeof(uint64_t))]
        found += [view(self.labels, self.n * sizeof(float)), view(self.weights, self.n * sizeof(float)),
                  view(self.predictions, self.n * sizeof(float)), view(self.scores, self.n * sizeof(float))]
        if self.classes:
            found += [view(self.class_labels, self.n * sizeof(uint32_t)),
                      view(self.class_predictions, self.n * sizeof(uint32_t)),
                      view(self.probabilities, self.n * sizeof(float))]
        return found

    def losses_so_far(self):
        """A view of the weighted losses, float32 (n,)."""
        return view(self.losses, self.n * sizeof(float))

    def label_classes(self):
        """The names of the labels' classes as bytes, in the order of their numbers."""
        return names_in(&self.label_names)

    def slice(self, size_t i):
        """The names of a slice as bytes, a view of their numbers, int32 (n,), -1 for none, and of values, float32 (n,).
        """
        return (names_in(&self.slices[i].names), view(self.slices[i].codes, self.n * sizeof(int32_t)),
                view(self.slices[i].numbers, self.n * sizeof(float)))


cdef object view(void* begin, size_t n):
    return PyMemoryView_FromMemory(<char*>begin, n, PYBUF_READ) if n else memoryview(b"")
