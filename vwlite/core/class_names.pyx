"""Class labels of a learner. Design notes are in class_names.pxd."""
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport NO_NUMBER, Choice, Example
from vwlite.core.reasons cimport CLASS_MANY, CLASS_NAMELESS, CLASS_RANGE, CLASS_TWICE, CLASS_UNKNOWN, FINE
from vwlite.core.textbuffer cimport TextBuffer

from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef enum:
    MOST_CLASSES = 1 << 20
    MOST_COMPARED = 64                # new names of one label that are compared pairwise

OPTIONS = OptionGroup("Classes", (
    Option("named_labels", str, "the names of the classes, in the order of their numbers; by default, names are "
           "numbered in order of appearance", keep=True, fixed=True, metavar="NAME,.."),
    Option("probabilities", bool, "predict the probability of each class", keep=True, needs=("probable",)),
    Option("indexing", int, "the number of the first class (default: 1, or 0 where that comes before the last one)",
           least=0, most=1, keep=True, metavar="0|1"),
), needs=("classes",), examples=(
    "vwlite classes.vw --oaa 3 --named_labels cat,dog,fox",
    "vwlite classes.vw --oaa 3 --probabilities --loss_function logistic -p predictions",
    "vwlite numbers.vw --oaa 3 --indexing 0",
))


def class_names(options, flag, k, first=None):
    """Make the ClassNames of the learner of `--flag k`; raises OptionError if the names are not k different ones.

    `first` is the number of the first class, if the learner fixes it.
    """
    names = options["named_labels"]
    if names is None:
        return ClassNames(k, options["indexing"] if first is None else first, options["vw_compat"])
    if options.given("indexing"):
        raise OptionError(["--indexing numbers classes, and --named_labels names them: give one of the two"])
    given = [name.encode("utf-8", "surrogateescape") for name in names.split(",")]
    if len(given) != k or len(set(given)) != k or not all(given):
        raise OptionError([f"--named_labels {names}: expected the {k} different names of --{flag} {k}, with commas "
                           "between"])
    found = ClassNames(k, None)
    found.give(given)
    return found


cdef class ClassNames:
    """Map of k classes; `first` is the number of the first one, None if the labels decide.

    `as_vw`: if class 0 comes after others, it has the vector of class 1, which then has that of class 2, and so on.
    """

    def __init__(self, uint32_t k, first=None, as_vw=False):
        if not 0 < k <= MOST_CLASSES:
            raise OptionError([f"{k} classes: there are between 2 and {MOST_CLASSES:,}"])
        self.k = k
        self.first = 1 if first is None else first
        self.settled_first = first is not None
        self.wanted_first = first
        self.as_vw = as_vw
        self.counts = <int64_t*>calloc(k, sizeof(int64_t))
        if self.counts == NULL:
            raise MemoryError
        self.resize(64)

    def __dealloc__(self):
        free(self.text)
        free(self.names)
        free(self.slots)
        free(self.counts)
        free(self.numbers)
        free(self.marks)

    def give(self, names):
        """Set all names (bytes) beforehand."""
        self.settled = self.named = self.given = True
        for name in names:
            self.add(name + bytes(64), <uint32_t>len(name))
        self.n_shown = self.n

    cdef int check(self, Example ex, const Choice* choice, bint settles, uint32_t* number) noexcept nogil:
        """Check the class of a label: the Reason why it is invalid, or FINE and its number (NO_NUMBER for a new name).

        `settles`: the label will be learned, so a new name needs a free class.
        """
        cdef bint named = self.named or (choice.number == NO_NUMBER and not self.settled)
        return self.check_as(ex, choice, settles, named, number)

    cdef int check_as(
        self, Example ex, const Choice* choice, bint settles, bint named, uint32_t* number
    ) noexcept nogil:
        """check(), for a class given as a name or as a number."""
        cdef uint32_t found
        ex.problem_at = ex.text + choice.name
        number[0] = NO_NUMBER
        if named:
            found = self.find(ex.text + choice.name, choice.name_length)
            if found < self.n:
                number[0] = found + self.first
            elif self.given:
                return CLASS_UNKNOWN
            elif settles and self.n == self.k:
                return CLASS_MANY
            return FINE
        if choice.number == NO_NUMBER:
            return CLASS_NAMELESS
        if choice.number - self.first >= self.k and not (choice.number == 0 and not self.settled_first):
            return CLASS_RANGE
        number[0] = choice.number
        return FINE

    cdef int take(self, Example ex, const Choice* choice, uint32_t* number) except -1 nogil:
        """Register the class of a checked label; sets its number."""
        cdef bint others = self.settled
        if not self.settled:
            self.settled, self.named = True, choice.number == NO_NUMBER
        if self.named and number[0] == NO_NUMBER:
            number[0] = self.n + self.first
            self.add(ex.text + choice.name, choice.name_length)
        elif not self.named and not self.settled_first and (number[0] == 0 or number[0] == self.k):
            self.settled_first = True
            self.first = number[0] == self.k
            self.turned = others and self.first == 0 and not self.as_vw
        return 0

    cdef int check_all(self, Example ex, bint settles) except -1 nogil:
        """Check all classes of a label and set `numbers`; returns the Reason if one is invalid or named twice."""
        cdef bint named = self.named or (not self.settled and ex.choices[0].number == NO_NUMBER)
        cdef uint32_t new = 0
        cdef size_t i, j
        cdef int reason
        cdef uint64_t* mark
        grow(&self.numbers, &self.n_numbers, ex.n_choices, sizeof(uint32_t))
        if self.marks == NULL:
            self.marks = <uint64_t*>calloc(self.k + 1, sizeof(uint64_t))
            if self.marks == NULL:
                with gil:
                    raise MemoryError
        self.n_checked += 1
        for i in range(ex.n_choices):
            reason = self.check_as(ex, &ex.choices[i], settles, named, &self.numbers[i])
            if reason != FINE:
                return reason
            if self.numbers[i] != NO_NUMBER:
                mark = &self.marks[self.numbers[i] % (self.k + 1)]      # numbers run from 0 or 1
                if mark[0] == self.n_checked:
                    return CLASS_TWICE
                mark[0] = self.n_checked
                continue
            new += 1
            if settles and self.n + new > self.k:
                return CLASS_MANY
            for j in range(i if i < MOST_COMPARED else 0):
                if same_word(ex, &ex.choices[j], &ex.choices[i]):
                    return CLASS_TWICE
        if not named and not self.settled_first and self.marks[0] == self.marks[self.k] == self.n_checked:
            return CLASS_RANGE
        return FINE

    cdef int take_all(self, Example ex) except -1 nogil:
        """Register all classes of a label: take()."""
        cdef size_t i
        for i in range(ex.n_choices):
            self.take(ex, &ex.choices[i], &self.numbers[i])
        return 0

    cdef uint32_t find(self, const char* name, uint32_t length) noexcept nogil:
        """Index of a name; `n` if it is not known."""
        cdef uint32_t hash = vwl_murmur3_32_padded(<const uint8_t*>name, length, 0), i
        cdef size_t place = hash & (self.n_slots - 1)
        while self.slots[place]:
            i = self.slots[place] - 1
            if (self.names[i].hash == hash and self.names[i].length == length
                    and memcmp(self.text + self.names[i].begin, name, length) == 0):
                return i
            place = (place + 1) & (self.n_slots - 1)
        return self.n

    cdef int add(self, const char* name, uint32_t length) except -1 nogil:
        """Append a name, that of the next class."""
        cdef Name* added
        if 2 * (self.n + 1) > self.n_slots:
            with gil:
                self.resize(2 * self.n_slots)
        grow(&self.names, &self.name_capacity, self.n + 1, sizeof(Name))
        grow(&self.text, &self.text_capacity, self.text_size + length, 1)
        added = &self.names[self.n]
        added.begin, added.length = self.text_size, length
        added.hash = vwl_murmur3_32_padded(<const uint8_t*>name, length, 0)
        memcpy(self.text + self.text_size, name, length)
        self.text_size += length
        self.n += 1
        self.put(self.n - 1)
        return 0

    cdef void put(self, uint32_t i) noexcept nogil:
        cdef size_t place = self.names[i].hash & (self.n_slots - 1)
        while self.slots[place]:
            place = (place + 1) & (self.n_slots - 1)
        self.slots[place] = i + 1

    def resize(self, size_t wanted):
        """Rehash into `wanted` slots."""
        cdef uint32_t i
        free(self.slots)
        self.slots = <uint32_t*>calloc(wanted, sizeof(uint32_t))
        if self.slots == NULL:
            raise MemoryError
        self.n_slots = wanted
        for i in range(self.n):
            self.put(i)

    @property
    def n_told(self):
        """Number of classes known at the last prediction."""
        return self.n_shown if self.named else self.k

    cdef int write(self, uint32_t number, TextBuffer to) except -1 nogil:
        """Write a class as a label has it."""
        cdef uint32_t i = number - self.first
        if number == NO_NUMBER:
            return to.text(b"unknown", 7)
        if self.named and i < self.n_shown:
            return to.text(self.text + self.names[i].begin, self.names[i].length)
        return to.whole(number)

    def value(self, uint32_t number):
        """A class as a Python value: its number or name; None for NO_NUMBER."""
        cdef uint32_t i = number - self.first
        if number == NO_NUMBER:
            return None
        if self.named and i < self.n_shown:
            return self.text[self.names[i].begin:self.names[i].begin + self.names[i].length].decode(
                "utf-8", "surrogateescape")
        return number

    def limits(self):
        """Range of class numbers, for messages."""
        if self.named:
            return f"{self.n}"
        return f"{self.first} to {self.first + self.k - 1}" if self.settled_first else f"1 to {self.k}, or from 0"

    def save_load(self, io):
        """Save or load names, counts and numbering; raises ModelError for a state that no labels can produce."""
        cdef uint32_t i
        cdef const int64_t[::1] counts
        names = [self.text[self.names[i].begin:self.names[i].begin + self.names[i].length] for i in range(self.n)]
        lengths = b"".join([len(name).to_bytes(4, "little") for name in names])
        numbers = (self.settled, self.named, self.settled_first, self.first, self.turned)
        state = io.array("classes", "I64", b"".join([int(number).to_bytes(8, "little") for number in numbers]))
        text = io.array("class_names", "U8", b"".join(names))
        lengths = io.array("class_name_lengths", "U32", lengths)
        kept = io.array("class_counts", "I64", <bytes>(<char*>self.counts)[:self.k * sizeof(int64_t)])
        if io.saving:
            return
        counts = kept
        if len(state) != 5 or counts.shape[0] != self.k or len(lengths) > self.k or sum(lengths) != len(text) \
                or any(number not in (0, 1) for number in state) or any(length == 0 for length in lengths):
            io.refuse("its classes are inconsistent")
        if (state[1] and not state[0]) or (lengths and not state[1]):
            io.refuse("its classes are marked both as named and as unnamed")
        for i in range(self.k):
            if not 0 <= counts[i] < 1 << 62:
                io.refuse("the number of examples of a class is negative or too large")
            self.counts[i] = counts[i]
        if state[4] and (state[1] or state[3]):
            io.refuse("its classes are inconsistent")
        if self.wanted_first is not None and state[0] and not state[1] and state[3] != self.wanted_first:
            io.refuse(f"its classes are numbered from {state[3]}, not {self.wanted_first}")
        self.settled, self.named, self.settled_first, self.first, self.turned = state
        if self.wanted_first is not None and not self.named:
            self.settled_first, self.first = True, self.wanted_first
        raw, at = bytes(text), 0
        if self.given and (raw != b"".join(names) or list(lengths) != [len(name) for name in names]):
            io.refuse("its classes have other names than --named_labels")
        self.n, self.text_size = 0, 0
        self.resize(64)
        for length in lengths:
            name = raw[at:at + length]
            padded = name + bytes(64)
            if self.find(padded, <uint32_t>len(name)) != self.n:
                io.refuse("two of its classes have one name")
            self.add(padded, <uint32_t>len(name))
            at += length
        self.n_shown = self.n


cdef bint same_word(Example ex, const Choice* one, const Choice* other) noexcept nogil:
    cdef size_t n = one.name_length
    return n == other.name_length and memcmp(ex.text + one.name, ex.text + other.name, n) == 0
