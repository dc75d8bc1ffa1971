"""Decisions: an observer that stores what off-policy estimates of a policy need of each logged decision.

Design:
a) One number a column and decision, in C arrays that grow. Policies that have seen the same decisions are compared in
   pairs.
b) An arm is the position of an action, or what a name stands for in its line. Of each arm are summed: the weights and
   the costs of the decisions that logged it, and the probabilities that the policy, and a uniform one, give to it.
c) Decisions without a cost, and those without a probability, are counted and not stored.
"""
from libc.math cimport NAN, isnan
from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free
from libc.string cimport memset

from cpython.memoryview cimport PyMemoryView_FromMemory

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport Block, Example, Row
from vwlite.core.multiline cimport MultiExample
from vwlite.core.name_index cimport NameIndex, free_index, names_in, number_of
from vwlite.core.observer cimport Observer
from vwlite.input.predicate cimport NUMBER, SEVERAL, TEXT, Operand, Predicate

cdef enum:
    FIRST_CAPACITY = 1024
    PYBUF_READ = 0x100
    NUMBER_BYTES = 32

COLUMNS = ("cost", "probability", "weight", "policy", "predicted_logged", "predicted_policy", "actions")
OF_ARMS = ("logged", "cost", "policy", "uniform")

cdef struct Decision:
    double cost, probability, weight, policy, predicted_logged, predicted_policy, actions

cdef struct Arm:
    double logged, cost, policy, uniform


cdef class Decisions(Observer):
    """Stores decisions.

    Args:
        distributes: Whether predictions are the probabilities of all actions; else the first one is taken.
        arms: A Predicate whose first name is the arm of an action; None for its position.
    """

    cdef readonly size_t n, without_cost, without_probability
    cdef size_t capacity, n_arms, arm_capacity
    cdef Decision* rows
    cdef Arm* arms
    cdef NameIndex names
    cdef Predicate predicate
    cdef bint distributes

    def __init__(self, bint distributes, Predicate arms=None):
        self.distributes, self.predicate = distributes, arms

    def __dealloc__(self):
        free(self.rows)
        free(self.arms)
        free_index(&self.names)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return self.store(<MultiExample>ex, block)

    cdef int store(self, MultiExample lines, Block block) except -1 nogil:
        """Stores a decision, if its cost and probability are known."""
        cdef Decision* to
        cdef Arm* arm
        cdef size_t i
        cdef double share
        if not lines.labelled or isnan(lines.cost):
            self.without_cost += 1
            return 0
        if isnan(lines.probability) or not lines.probability > 0:
            self.without_probability += 1
            return 0
        if not lines.weight > 0:
            return 0
        if self.n == self.capacity:
            self.capacity = 2 * self.n or FIRST_CAPACITY
            resize(&self.rows, self.capacity, sizeof(Decision), b"for decisions")
        to = &self.rows[self.n]
        to.cost, to.probability, to.weight = lines.cost, lines.probability, lines.weight
        to.policy, to.actions = lines.policy, lines.n_lines
        to.predicted_logged, to.predicted_policy = lines.predicted_cost, lines.policy_cost
        if isnan(lines.predicted_cost):
            to.predicted_policy = NAN
        self.n += 1
        for i in range(lines.n_lines):
            share = lines.values[i] if self.distributes else lines.order[0] == i
            arm = self.arm_of(block, &lines.rows[i] - block.rows, i)
            arm.policy += lines.weight * share
            arm.uniform += lines.weight / <double>lines.n_lines
            if i == lines.chosen:
                arm.logged += lines.weight
                arm.cost += lines.weight * lines.cost
        return 0

    cdef Arm* arm_of(self, Block block, size_t row, size_t place) except NULL nogil:
        """The arm of an action, in a row of the block."""
        cdef char[NUMBER_BYTES + 64] text
        cdef Operand* operand
        cdef size_t feature, number
        memset(text, 0, sizeof(text))
        if self.predicate is None:
            number = number_of(&self.names, text, <uint32_t>snprintf(text, NUMBER_BYTES, b"%zu", place), 0)
        else:
            operand = self.predicate.operands
            self.predicate.resolve(block, row, operand)
            if operand.kind == TEXT and operand.length:
                number = number_of(&self.names, operand.text, <uint32_t>operand.length, 0)
            elif operand.kind == NUMBER:
                number = number_of(&self.names, text,
                                   <uint32_t>snprintf(text, NUMBER_BYTES, b"%.9g", <double>operand.number), 0)
            elif operand.kind == SEVERAL and not operand.reserved:
                feature = block.rows[row].feature + block.extents[block.rows[row].extent + operand.extent].begin
                number = number_of(&self.names, block.text + block.names[feature].begin, block.names[feature].length,
                                   block.features[feature].hash)
            else:
                number = number_of(&self.names, b"(missing)", 9, 0)
        if number >= self.n_arms:
            grow(&self.arms, &self.arm_capacity, number + 1, sizeof(Arm))
            memset(&self.arms[self.n_arms], 0, (number + 1 - self.n_arms) * sizeof(Arm))
            self.n_arms = number + 1
        return &self.arms[number]

    def columns(self):
        """The decisions as float64 bytes (decisions, COLUMNS)."""
        return view(self.rows, self.n * sizeof(Decision))

    def of_arms(self):
        """The names of the arms as bytes, (missing) for lines without one, and float64 bytes (arms, OF_ARMS)."""
        return names_in(&self.names), view(self.arms, self.n_arms * sizeof(Arm))


cdef object view(void* begin, size_t n):
    return bytes(PyMemoryView_FromMemory(<char*>begin, n, PYBUF_READ)) if n else b""
