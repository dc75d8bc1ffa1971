"""Class labels of a learner: a map between class numbers or names and weight vectors.

Design:
a) The first labelled line decides whether classes are numbers or names; `--named_labels` gives the names beforehand.
   Once they are numbers, a name is malformed; once they are names, a number is one more name. A label adds a class
   only after the prediction, so that the prediction is the same with and without the label.
b) Lookup compares names, not only their hashes. The model file has them in order, with the number of examples of each.
c) Numbers run from `first` to `first + k - 1`. `first` is 1 until a label 0 comes before a label k. A class keeps its
   weight vector: if other classes were learned before class 0, it has the last vector (`turned`).
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.core.example cimport Choice, Example
from vwlite.core.textbuffer cimport TextBuffer

cdef struct Name:
    size_t begin                      # in `text`
    uint32_t length
    uint32_t hash

cdef class ClassNames:
    cdef readonly uint32_t k, first
    cdef readonly bint settled, named  # whether they are names is decided; they are names
    cdef readonly bint given          # names are set by --named_labels
    cdef bint settled_first           # the number of the first class is decided
    cdef readonly bint turned         # class 0 came after others, which have the first vectors
    cdef bint as_vw
    cdef object wanted_first          # number of the first class by --indexing or the learner, or None
    cdef readonly uint32_t n          # number of names so far
    cdef uint32_t n_shown             # names known at the last prediction, before the label added any
    cdef char* text
    cdef size_t text_size, text_capacity
    cdef Name* names
    cdef size_t name_capacity
    cdef uint32_t* slots              # hash table (open addressing): index of a name + 1
    cdef size_t n_slots
    cdef int64_t* counts              # examples learned of each class
    cdef uint32_t* numbers            # numbers of the classes of a label with several
    cdef size_t n_numbers
    cdef uint64_t* marks              # for each class, the last checked label that named it
    cdef uint64_t n_checked
    cdef int check(self, Example ex, const Choice* choice, bint settles, uint32_t* number) noexcept nogil
    cdef int check_as(self, Example ex, const Choice* choice, bint settles, bint named, uint32_t* number) noexcept nogil
    cdef int take(self, Example ex, const Choice* choice, uint32_t* number) except -1 nogil
    cdef int check_all(self, Example ex, bint settles) except -1 nogil
    cdef int take_all(self, Example ex) except -1 nogil
    cdef uint32_t find(self, const char* name, uint32_t length) noexcept nogil
    cdef void put(self, uint32_t i) noexcept nogil
    cdef int add(self, const char* name, uint32_t length) except -1 nogil
    cdef int write(self, uint32_t number, TextBuffer to) except -1 nogil
    cdef inline void note(self, uint32_t number) noexcept nogil:
        """Count an example of this class."""
        if number - self.first < self.k:
            self.counts[self.place(number - self.first)] += 1
    cdef inline uint32_t begin_prediction(self) noexcept nogil:
        """Number of candidate classes: all k, or those with a name so far. The prediction names no later one."""
        self.n_shown = self.n
        return self.n if self.named else self.k
    cdef inline uint32_t place(self, uint32_t i) noexcept nogil:
        """Index of the weight vector of the i-th class by number."""
        if not self.turned:
            return i
        return i - 1 if i else self.k - 1
