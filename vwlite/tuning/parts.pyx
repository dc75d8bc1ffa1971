"""Parts of the data: examples are copied into blocks of their part, so that they are parsed once and run many times.

Design:
a) What decides on the part of an example is looked up first, a block at a time (Facts): its side (sides.pxd), and the
   side and the number of its entity. Which part that makes is a matter of arrays (data.py).
b) Examples keep their order within a part, and across parts: a Chunk knows the part of each of its examples.
c) A malformed example is in no part; the first one is kept for the message.
"""
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from libc.math cimport NAN
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from vwlite.core.example cimport ROW_EMPTY, ROW_PROBLEM, Block, Choice, Feature, Row, source_of
from vwlite.core.name_index cimport NameIndex, free_index, number_of
from vwlite.core.sides cimport side_of_bytes, side_of_example
from vwlite.input.gather cimport Gather
from vwlite.input.predicate cimport NUMBER, SEVERAL, TEXT, Operand, Predicate

from vwlite.core.reasons import REASONS_IN_WORDS

cdef enum:
    EXAMPLES_OF_CHUNK = 1000
    NUMBER_BYTES = 32
    NO_ENTITY = -1


cdef class Facts:
    """What decides on the parts of examples.

    Args:
        predicate: A Predicate whose first name is that of the entities; None for none.
        multiline: Whether an empty line ends an example.
    """

    cdef Predicate predicate
    cdef bint multiline
    cdef NameIndex names
    cdef readonly size_t problems     # malformed examples
    cdef readonly object first_problem    # (source, line, column, reason, text) of the first malformed line

    def __init__(self, Predicate predicate, bint multiline):
        self.predicate, self.multiline = predicate, multiline

    def __dealloc__(self):
        free_index(&self.names)

    @property
    def n_entities(self):
        """How many entities there were so far."""
        return self.names.n

    def look(self, Block block not None):
        """Looks at the examples of a block.

        Returns:
            Lists of their sides, of the sides of their entities (NaN without one), and of the numbers of the entities
            in order of appearance (-1 without one).
        """
        cdef size_t i = 0, first
        cdef double entity_side
        cdef int32_t number
        cdef Py_ssize_t problem
        sides, entity_sides, numbers = [], [], []
        while i < block.n_rows:
            if block.rows[i].kind == ROW_EMPTY:
                i += 1
                continue
            first = i
            problem = -1
            i = end_of(block, i, self.multiline, &problem)
            if problem >= 0:
                self.note_problem(block, &block.rows[problem])
                continue
            sides.append(side_of_example(block, &block.rows[first], i - first))
            number = NO_ENTITY
            entity_side = NAN
            while first < i and number == NO_ENTITY and self.predicate is not None:
                number = self.entity_of(block, first, &entity_side)
                first += 1
            entity_sides.append(entity_side)
            numbers.append(number)
        return sides, entity_sides, numbers

    cdef int note_problem(self, Block block, const Row* row) except -1:
        self.problems += 1
        if self.first_problem is None:
            self.first_problem = (source_of(block, row), block.first_line + row.line, row.column,
                                  REASONS_IN_WORDS[row.reason], block.text[row.text:row.text + row.text_length])
        return 0

    cdef int32_t entity_of(self, Block block, size_t i, double* side) except? -2:
        """The number and the side of the entity that a row names; NO_ENTITY if it names none."""
        cdef char[NUMBER_BYTES + 64] text
        cdef Operand* operand = self.predicate.operands
        cdef const Row* row = &block.rows[i]
        cdef const char* name
        cdef size_t n, feature = 0
        self.predicate.resolve(block, i, operand)
        if operand.kind == NUMBER:
            memset(text, 0, sizeof(text))
            name, n = text, snprintf(text, NUMBER_BYTES, b"%.9g", <double>operand.number)
        elif operand.kind == TEXT and operand.length:
            name, n = operand.text, operand.length
        elif operand.kind == SEVERAL and not operand.reserved:
            feature = row.feature + block.extents[row.extent + operand.extent].begin
            name, n = block.text + block.names[feature].begin, block.names[feature].length
        else:
            return NO_ENTITY
        side[0] = side_of_bytes(<const uint8_t*>name, n)
        return <int32_t>number_of(&self.names, name, <uint32_t>n, 0 if n else block.features[feature].hash)


def content(Block block not None, features, labels):
    """Adds what learners see of a block's examples to two hashes of hashlib: features, and labels with weights."""
    cdef size_t i
    cdef const Row* row
    cdef const Choice* choice
    cdef float[3] numbers
    if block.n_features:
        features.update(PyMemoryView_FromMemory(<char*>block.features, block.n_features * sizeof(Feature), PyBUF_READ))
    for i in range(block.n_rows):
        row = &block.rows[i]
        if row.kind == ROW_PROBLEM:
            continue
        numbers[0], numbers[1], numbers[2] = row.label, row.weight, row.initial
        labels.update((<char*>numbers)[:sizeof(numbers)])
        for k in range(row.n_choices):
            choice = &block.choices[row.choice + k]
            labels.update(b"%d %r %r %s " % (choice.number, choice.cost, choice.probability,
                                             block.text[choice.name:choice.name + choice.name_length]))


cdef size_t end_of(Block block, size_t i, bint multiline, Py_ssize_t* problem) noexcept nogil:
    """The row after an example that begins at row i; `problem` is its first malformed row, if there is one."""
    while i < block.n_rows and block.rows[i].kind != ROW_EMPTY:
        if block.rows[i].kind == ROW_PROBLEM and problem[0] < 0:
            problem[0] = i
        i += 1
        if not multiline:
            break
    return i


cdef class Chunk:
    """Consecutive examples, in a block for each part.

    Attributes:
        blocks: A Block for each part, None for one without examples here.
        parts: The part of each example in order, as bytes.
    """

    cdef readonly list blocks
    cdef readonly bytes parts

    def __init__(self, list blocks, bytes parts):
        self.blocks, self.parts = blocks, parts


cdef class Divider:
    """Copies examples into blocks of their parts.

    Args:
        n_parts: The number of parts.
        names: Whether learners read the names of features.
        multiline: Whether an empty line ends an example.
    """

    cdef size_t n_parts, n
    cdef bint names, multiline
    cdef list gathers
    cdef bytearray parts

    def __init__(self, size_t n_parts, bint names, bint multiline):
        self.n_parts, self.names, self.multiline = n_parts, names, multiline
        self.begin()

    cdef int begin(self) except -1:
        self.gathers = [None] * <Py_ssize_t>self.n_parts
        self.parts = bytearray()
        self.n = 0
        return 0

    def divide(self, Block block not None, const uint8_t[::1] parts not None):
        """Copies the examples of a block, as Facts.look() goes through them.

        Args:
            block: The block.
            parts: The part of each example; a number that is no part leaves it out.

        Returns:
            A list of chunks that are complete.
        """
        cdef size_t i = 0, first, k = 0
        cdef Py_ssize_t problem
        cdef Gather gather
        done = []
        while i < block.n_rows:
            if block.rows[i].kind == ROW_EMPTY:
                i += 1
                continue
            first = i
            problem = -1
            i = end_of(block, i, self.multiline, &problem)
            if problem >= 0:
                continue
            if parts[k] < self.n_parts:
                if self.gathers[parts[k]] is None:
                    self.gathers[parts[k]] = Gather(self.names, self.multiline)
                gather = self.gathers[parts[k]]
                gather.add(block, first, i, source_of(block, &block.rows[first]), 1)
                self.parts.append(parts[k])
                self.n += 1
                if self.n == EXAMPLES_OF_CHUNK or gather.is_full(EXAMPLES_OF_CHUNK):
                    done.append(self.finish())
            k += 1
        return done

    def finish(self):
        """The chunk of the examples since the last one."""
        cdef Gather gather
        blocks = []
        for one in self.gathers:
            if one is None:
                blocks.append(None)
                continue
            gather = one
            gather.end_block()
            blocks.append(gather.block)
        chunk = Chunk(blocks, bytes(self.parts))
        self.begin()
        return chunk


def merged(Chunk chunk not None, parts, bint names, bint multiline):
    """One block of the examples of several parts, in their order.

    Args:
        chunk: The chunk.
        parts: The numbers of the parts.
        names: Whether learners read the names of features.
        multiline: Whether an empty line ends an example.

    Returns:
        The block; None without an example.
    """
    cdef size_t[256] at
    cdef size_t first
    cdef uint8_t part
    cdef Py_ssize_t problem
    cdef Block block
    cdef Gather gather
    wanted = [part for part in parts if chunk.blocks[part] is not None]
    if len(wanted) < 2:
        return chunk.blocks[wanted[0]] if wanted else None
    gather = Gather(names, multiline)
    memset(at, 0, sizeof(at))
    for part in chunk.parts:
        if part not in wanted:
            continue
        block = chunk.blocks[part]
        while block.rows[at[part]].kind == ROW_EMPTY:
            at[part] += 1
        first = at[part]
        problem = -1
        at[part] = end_of(block, first, multiline, &problem)
        gather.add(block, first, at[part], source_of(block, &block.rows[first]), 1)
    gather.end_block()
    return gather.block
