"""Runs the program of --where for an example. Design notes are in predicate.pxd."""
from libc.math cimport isnan
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from vwlite.core.example cimport (
    ROW_EMPTY, ROW_EXAMPLE, ROW_SHARED, Block, Choice, Extent, NameSpan, Noted, Row, first_noted,
)
from vwlite.input.naming cimport Naming

from vwlite.features.interactions import namespace_hash
from vwlite.input.naming import CUT

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)

cdef enum:
    LONGEST_NUMBER = 64

cdef enum Reserved:
    LABEL = 1
    WEIGHT
    INITIAL
    TAG

cdef enum Action:
    EQUAL
    DIFFERENT
    LESS
    AT_MOST
    MORE
    AT_LEAST
    HAS
    AND
    OR
    NOT

ACTIONS = {"==": EQUAL, "!=": DIFFERENT, "<": LESS, "<=": AT_MOST, ">": MORE, ">=": AT_LEAST, "has": HAS, "and": AND,
           "or": OR, "not": NOT}
RESERVED = {"label": LABEL, "weight": WEIGHT, "initial": INITIAL, "tag": TAG}


cdef class Predicate:
    """The program of an expression.

    Args:
        options: The options of the run, for hashes of namespaces.
        naming: The Naming of the run.
        program: A Program of where.py.
        multiline: Whether it is about examples of several lines as a whole.
    """

    def __init__(self, options, Naming naming not None, program, bint multiline=False):
        cdef size_t i
        self.multiline = multiline
        self.naming = naming
        self.names = [str(name) for name in program.names]
        self.texts = []
        self.n_operands, self.n_instructions = len(program.names), len(program.steps)
        self.operands = <Operand*>calloc(self.n_operands + 1, sizeof(Operand))
        self.values = <Value*>calloc(self.n_instructions + 1, sizeof(Value))
        self.instructions = <Instruction*>calloc(self.n_instructions + 1, sizeof(Instruction))
        if self.operands == NULL or self.values == NULL or self.instructions == NULL:
            raise MemoryError
        for i, name in enumerate(program.names):
            self.operands[i].reserved = RESERVED[name.name] if name.reserved else 0
            self.operands[i].name = self.hold(name.name.translate(CUT), &self.operands[i].n)
            space = name.namespace.translate(CUT)
            self.operands[i].space = namespace_hash(options, space) if space else naming.anonymous
            self.operands[i].as_space = 0 if space else namespace_hash(options, name.name.translate(CUT))
        for i, step in enumerate(program.steps):
            self.instructions[i].action = ACTIONS[step.action]
            self.instructions[i].operand = max(step.name, 0)
            self.instructions[i].value = i
            self.set_value(&self.values[i], step.value)

    def __dealloc__(self):
        free(self.operands)
        free(self.values)
        free(self.instructions)

    def keys(self, Block block not None, bint multiline):
        """What the first name is in each example of a block.

        Returns:
            A list of pairs: the number of the line; the text, the number in words, or the names of a namespace, as
            bytes, or None.
        """
        cdef size_t i = 0, first
        cdef Operand* operand = self.operands
        found = []
        while i < block.n_rows:
            first = i
            key = None
            while i < block.n_rows and block.rows[i].kind == ROW_EXAMPLE:
                if key is None:
                    self.resolve(block, i, operand)
                    key = self.key(block, &block.rows[i])
                i += 1
                if not multiline:
                    break
            if i > first and (i == block.n_rows or not multiline or block.rows[i].kind == ROW_EMPTY):
                found.append((block.first_line + block.rows[first].line, key))
            if i > first and not multiline:
                continue
            while multiline and i < block.n_rows and block.rows[i].kind != ROW_EMPTY:
                i += 1                # of an example with a malformed line
            i += 1
        return found

    cdef object key(self, Block block, const Row* row):
        """The current value of the first name as bytes; None if it is missing."""
        cdef const Operand* operand = self.operands
        cdef const Extent* extent
        cdef size_t k, end
        if operand.kind == MISSING:
            return None
        if operand.kind == NUMBER:
            return b"%.9g" % operand.number
        if operand.kind == TEXT:
            return operand.text[:operand.length]
        if operand.reserved:
            return b" ".join([block.text[block.choices[k].name:block.choices[k].name + block.choices[k].name_length]
                              for k in range(row.choice, row.choice + row.n_choices)])
        extent = &block.extents[row.extent + operand.extent]
        end = (extent + 1).begin if operand.extent + 1 < row.n_extents else row.n_features
        return b" ".join([block.text[block.names[row.feature + k].begin:
                                     block.names[row.feature + k].begin + block.names[row.feature + k].length]
                          for k in range(extent.begin, end)])

    cdef const char* hold(self, text, size_t* n):
        """The bytes of a text, which live as long as this object."""
        data = text.encode("utf-8", "surrogateescape")
        self.texts.append(data)
        n[0] = len(data)
        return <const char*><char*>data

    cdef int set_value(self, Value* value, given) except -1:
        if isinstance(given, str):
            value.is_text = True
            value.text = self.hold(given.translate(CUT), &value.n)
            value.is_number = as_number(value.text, value.n, &value.number)
        elif given is not None:
            value.is_number, value.number = True, given
        return 0

    def unseen(self):
        """The names that no example had."""
        cdef size_t i
        return [name for i, name in enumerate(self.names)
                if not self.operands[i].seen and not self.operands[i].reserved]

    cdef bint holds(self, Block block, size_t i) noexcept nogil:
        """Whether the expression holds for the example that begins at the i-th row."""
        cdef bint[DEEPEST] stack
        cdef size_t k, n = 0
        cdef const Instruction* step
        for k in range(self.n_operands):
            self.resolve(block, i, &self.operands[k])
        for k in range(self.n_instructions):
            step = &self.instructions[k]
            if step.action == NOT:
                stack[n - 1] = not stack[n - 1]
            elif step.action == AND:
                n -= 1
                stack[n - 1] = stack[n - 1] and stack[n]
            elif step.action == OR:
                n -= 1
                stack[n - 1] = stack[n - 1] or stack[n]
            else:
                stack[n] = self.compare(block, &block.rows[i], &self.operands[step.operand], step)
                n += 1
        return stack[0]

    cdef void resolve(self, Block block, size_t i, Operand* operand) noexcept nogil:
        """Set what a name is in the i-th row."""
        cdef const Row* row = &block.rows[i]
        cdef bint has_names = not self.multiline or row.flags & ROW_SHARED != 0
        operand.kind = MISSING
        if operand.reserved == LABEL and self.multiline:
            self.find_cost(block, i, operand)
        elif operand.reserved == LABEL:
            if row.n_choices:
                operand.kind = SEVERAL
            elif not isnan(row.label):
                operand.kind, operand.number = NUMBER, row.label
        elif operand.reserved == WEIGHT:
            operand.kind, operand.number = NUMBER, row.weight
        elif operand.reserved == INITIAL:
            operand.kind, operand.number = NUMBER, row.initial
        elif operand.reserved == TAG:
            if row.tag_length:
                operand.kind, operand.text, operand.length = TEXT, block.text + row.tag, row.tag_length
        elif not (has_names and self.find(block, row, operand)) and not self.find_noted(block, i, operand) \
                and has_names:
            self.find_space(block, row, operand)
        operand.seen = operand.seen or operand.kind != MISSING

    cdef bint find(self, Block block, const Row* row, Operand* operand) noexcept nogil:
        """Search a feature of a name."""
        cdef const Extent* extent
        cdef const NameSpan* span
        cdef const char* name
        cdef size_t j, k, end
        for j in range(row.n_extents if block.names != NULL else 0):
            extent = &block.extents[row.extent + j]
            end = (extent + 1).begin if j + 1 < row.n_extents else row.n_features
            if extent.hash == operand.space:
                for k in range(extent.begin, end):
                    span = &block.names[row.feature + k]
                    name = block.text + span.begin
                    if span.length < operand.n or memcmp(name, operand.name, operand.n):
                        continue
                    if span.length == operand.n:
                        operand.kind, operand.number = NUMBER, block.features[row.feature + k].value
                        if isnan(operand.number):     # a feature without a value, see transforms.pxd
                            operand.number = 1
                        return True
                    if name[operand.n] == b"=" or name[operand.n] == b":":
                        operand.kind = TEXT
                        operand.text, operand.length = name + operand.n + 1, span.length - operand.n - 1
                        return True
        return False

    cdef void find_space(self, Block block, const Row* row, Operand* operand) noexcept nogil:
        """Search a namespace of a name, which is no feature."""
        cdef size_t j
        for j in range(row.n_extents if operand.as_space else 0):
            if block.extents[row.extent + j].hash == operand.as_space:
                operand.kind, operand.extent = SEVERAL, j
                return

    cdef bint find_noted(self, Block block, size_t i, Operand* operand) noexcept nogil:
        """Search what is noted beside the features."""
        cdef size_t k = first_noted(block, i)
        cdef const Noted* noted
        while k < block.n_noted and block.noted[k].row == i:
            noted = &block.noted[k]
            k += 1
            if self.multiline and not (noted.is_shared or block.rows[i].flags & ROW_SHARED):
                continue
            if (noted.space == operand.space and noted.length == operand.n
                    and memcmp(block.text + noted.begin, operand.name, operand.n) == 0):
                operand.kind = TEXT if noted.is_text else NUMBER
                operand.number = noted.number
                operand.text, operand.length = block.text + noted.begin + noted.length, noted.text_length
                return True
        return False

    cdef void find_cost(self, Block block, size_t i, Operand* operand) noexcept nogil:
        """Search the first known cost in the lines of a multi-line example."""
        cdef const Row* row
        while i < block.n_rows and block.rows[i].kind == ROW_EXAMPLE:
            row = &block.rows[i]
            if row.n_choices and not isnan(block.choices[row.choice].cost):
                operand.kind, operand.number = NUMBER, block.choices[row.choice].cost
                return
            i += 1

    cdef bint compare(
        self, Block block, const Row* row, const Operand* operand, const Instruction* step
    ) noexcept nogil:
        """The result of a comparison, or of `has`."""
        cdef const Value* value = &self.values[step.value]
        cdef const Extent* extent
        cdef const NameSpan* span
        cdef const Choice* choice
        cdef size_t k, end
        cdef bint different = step.action == DIFFERENT, found = different
        if operand.kind == MISSING or step.action == HAS:
            return operand.kind != MISSING
        if operand.kind == NUMBER:
            return ordered(operand.number, value.number, step.action) if value.is_number else different
        if operand.kind == TEXT:
            return compare_text(operand.text, operand.length, value, step.action)
        if operand.reserved:
            for k in range(row.choice, row.choice + row.n_choices):
                choice = &block.choices[k]
                if compare_text(block.text + choice.name, choice.name_length, value, step.action) != different:
                    return not different
            return found
        extent = &block.extents[row.extent + operand.extent]
        end = (extent + 1).begin if operand.extent + 1 < row.n_extents else row.n_features
        for k in range(extent.begin, end):
            span = &block.names[row.feature + k]
            if compare_text(block.text + span.begin, span.length, value, step.action) != different:
                return not different
        return found


cdef bint as_number(const char* text, size_t n, float* value) noexcept nogil:
    """Whether a text is a number."""
    cdef uint8_t[LONGEST_NUMBER + 1] copy
    cdef size_t i
    cdef bint digits = False
    if n == 0 or n > LONGEST_NUMBER:
        return False
    for i in range(n):
        copy[i] = <uint8_t>text[i]
        digits = digits or 48 <= copy[i] <= 57
    copy[n] = b"\n"
    return digits and vwl_any_number(copy, value) == copy + n and not isnan(value[0])


cdef bint compare_text(const char* text, size_t n, const Value* value, int action) noexcept nogil:
    """Compares a text with a text by its bytes, and with a number by its value: what is none differs from it."""
    cdef float number = 0
    cdef int sign
    if not value.is_text:
        return ordered(number, value.number, action) if as_number(text, n, &number) else action == DIFFERENT
    sign = memcmp(text, value.text, min(n, value.n))
    if sign == 0:
        sign = (n > value.n) - (n < value.n)
    return ordered(<float>sign, 0, action)


cdef bint ordered(float a, float b, int action) noexcept nogil:
    """Whether a comparison of two numbers holds."""
    if action == EQUAL:
        return a == b
    if action == DIFFERENT:
        return a != b
    if action == LESS:
        return a < b
    if action == AT_MOST:
        return a <= b
    if action == MORE:
        return a > b
    return a >= b
