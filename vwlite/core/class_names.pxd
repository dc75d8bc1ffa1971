"""The classes of a learner: numbered, or named in order of appearance.

Design:
a) The first labelled line decides whether classes are numbers or names; `--named_labels` gives the names beforehand.
   Once they are numbers, a name is malformed; once they are names, a number is one more name. A label teaches classes
   only after the prediction, which is the same with and without the label.
b) Names are compared, not only their hashes. They are kept with the model, in order, with how often each was learned.
c) Numbers run from `first` to `first + k - 1`. The first is 1 until a label 0 comes before a label k. What was learned
   of a class stays where it is: if others came before it, class 0 has the last weight vector (`turned`).
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
    cdef readonly bint settled, named  # it is known whether they are names; they are
    cdef readonly bint given          # by --named_labels
    cdef bint settled_first           # the number of the first class is known
    cdef readonly bint turned         # class 0 came after others that have the first vectors
    cdef bint as_vw
    cdef object wanted_first          # by --indexing or the learner, or None
    cdef readonly uint32_t n          # names so far
    cdef uint32_t n_shown             # those known at the last prediction: the label's came after it
    cdef char* text
    cdef size_t text_size, text_capacity
    cdef Name* names
    cdef size_t name_capacity
    cdef uint32_t* slots              # number of a name + 1, open addressing
    cdef size_t n_slots
    cdef int64_t* counts              # of each class, examples learned
    cdef uint32_t* numbers            # of the classes of a label that has several
    cdef size_t n_numbers
    cdef uint64_t* marks              # of each class, the last of the labels checked that named it
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
        """The class of an example that is learned."""
        if number - self.first < self.k:
            self.counts[self.place(number - self.first)] += 1
    cdef inline uint32_t begin_prediction(self) noexcept nogil:
        """How many classes there are to choose from: all, or those that have a name. The answer names no later one."""
        self.n_shown = self.n
        return self.n if self.named else self.k
    cdef inline uint32_t place(self, uint32_t i) noexcept nogil:
        """The weight vector of the class that comes i-th by its number."""
        if not self.turned:
            return i
        return i - 1 if i else self.k - 1
