"""The driver of multi-line examples. See driver.pxd."""
from libc.string cimport memchr

from vwlite.core.example cimport ROW_EMPTY, ROW_PROBLEM, Block, Example, Row, source_of
from vwlite.core.multiline cimport MultiExample
from vwlite.core.reasons cimport FINE
from vwlite.engine.driver cimport Driver, is_held_out, take_in
from vwlite.input.parser cimport Parser
from vwlite.report.off_policy cimport PolicyTally

from vwlite.core.learner import vetters
from vwlite.core.types import LabelType


cdef class MultilineDriver(Driver):
    """Runs blocks of multi-line examples through a stack; estimates the cost of a contextual bandit's policy."""

    def __init__(self, top, interactions, constant):
        super().__init__(top, interactions, constant)
        self.vetters, self.line_vetters = vetters(top, True), vetters(top, False)
        if top.takes_label is LabelType.CONTEXTUAL_BANDIT:
            self.policy = PolicyTally(*top.costs_allowed)
            self.number = top.decisions

    def new_example(self):
        """See Driver."""
        self.lines = MultiExample()
        self.lines.expander = self.interactions if self.interactions.active else None
        self.lines.constant = self.constant
        return self.lines

    cdef size_t run_range(self, Block block, Example ex, size_t begin, size_t end) except? 0 nogil:
        """Runs the examples that begin in these rows: rows up to an empty one or the block's end.

        A malformed row skips the whole example, as does the mark of its first row.
        """
        cdef size_t first, i = begin, problem
        with gil:
            self.lines.block = block
        while i < end and not self.done:
            if block.rows[i].kind == ROW_EMPTY:
                i += 1
                continue
            first = i
            if self.skipped != NULL and self.skipped[i]:
                while i < block.n_rows and block.rows[i].kind != ROW_EMPTY:
                    i += 1
                continue
            problem = block.n_rows
            while i < block.n_rows and block.rows[i].kind != ROW_EMPTY:
                if block.rows[i].kind == ROW_PROBLEM and problem == block.n_rows:
                    problem = i
                elif block.rows[i].warned:
                    self.report(block, &block.rows[i], block.rows[i].warned, block.rows[i].column)
                i += 1
            if problem < block.n_rows:
                self.report(block, &block.rows[problem], block.rows[problem].reason, block.rows[problem].column)
                continue
            take_in(self)
            self.several(block, &block.rows[first], i - first, self.lines)
        return i

    cdef size_t piece(self, const char* text, size_t n, size_t aim) noexcept nogil:
        """The size of the next piece, complete examples with their empty lines, in bytes."""
        cdef const char* at = text + min(n, aim)
        cdef const char* end = text + n
        while at < end:
            at = <const char*>memchr(at - 1, 10, end - at + 1)
            if at == NULL or at + 1 >= end:
                break
            if at[1] == 10:
                return at + 2 - text
            if at[1] == 13 and at + 2 < end and at[2] == 10:
                return at + 3 - text
            at += 2
        return n

    cdef int several(self, Block block, const Row* rows, size_t n, MultiExample ex) except -1 nogil:
        """Runs one example, with its features as they are transformed."""
        cdef int reason
        self.has_learned = False
        if self.transforms is None:
            return self.decide(block, rows, n, ex)
        try:
            reason = self.transforms.change_lines(block, rows, n)
            if reason != FINE:
                return self.refuse(block, rows, n, reason, self.transforms.problem)
            return self.decide(block, rows, n, ex)
        finally:
            self.transforms.change_back(block, rows, n, self.has_learned)

    cdef int decide(self, Block block, const Row* rows, size_t n, MultiExample ex) except -1 nogil:
        """Runs one example through the stack, the counters and the outputs."""
        cdef int reason
        cdef bint learns
        cdef size_t i
        ex.number = self.number + self.predicted
        self.source, self.line = source_of(block, rows), block.first_line
        reason = ex.bind_lines(rows, n, self.interactions.decision_limit)
        ex.test_only = not ex.labelled or (self.holdout and is_held_out(self, block, rows, n))
        if reason == FINE and self.line_vetters.n:
            reason = self.vet_lines(ex)
        if reason == FINE:
            reason = self.vetters.vet_all(ex)
        if reason == FINE and ex.labelled:
            reason = self.vet_label(ex)
        if reason != FINE:
            return self.refuse(block, rows, n, reason, ex.problem_at)
        learns = self.training and not ex.test_only
        if self.refusal is not None and ex.labelled:
            return self.predictions.text(self.refusal.buffer, self.refusal.used)
        if self.gate is not None and learns and self.gate.is_shut():
            return self.turn_away()
        if self.known is not None:
            self.know_lines(ex, learns)
        if learns:
            self.top.learn(ex)
            self.has_learned = True
            if self.learned is not None:
                self.note_learned(block, rows, n)
        else:
            self.top.predict(ex)
        self.number += 1
        if self.counting:
            self.counters.count(ex, ex.n_lines if self.constant else 0)
            for i in range(self.finishers.n):
                self.finishers.finish_example(i, ex)
            if self.policy is not None and ex.labelled:
                self.policy.note(ex, ex.test_only)
        if self.observer is not None:
            self.observer.note_lines(ex, block, rows, not learns)
        return self.tell(ex)

    cdef int know_lines(self, MultiExample ex, bint learns) except -1 nogil:
        """Counts the features of each line, and names those that are new, if the example is learned."""
        cdef size_t i
        if learns:
            self.known.examples += 1
        for i in range(ex.n_lines):
            ex.select(i)
            if not learns:
                self.known.look(ex.line.features, ex.line.n)
                continue
            self.known.n_numbers = 0
            self.know_features(ex.block, NULL, ex.line)
        ex.n_visited = 0
        return 0

    cdef int vet_lines(self, MultiExample ex) except -1 nogil:
        """The Reason why the features of a line can't be used."""
        cdef int reason = FINE
        cdef size_t i
        for i in range(ex.n_lines):
            ex.select(i)
            reason = self.line_vetters.vet_all(ex.line)
            if reason != FINE:
                ex.problem_at = ex.line.problem_at
                break
        ex.n_visited = 0
        return reason

    cdef int note_learned(self, Block block, const Row* rows, size_t n) except -1 nogil:
        cdef size_t i
        for i in range(n):
            self.learned.text(block.text + rows[i].text, rows[i].text_length)
            self.learned.text(b"\n", 1)
        self.learned.text(b"\n", 1)
        return 0

    cdef int refuse(self, Block block, const Row* rows, size_t n, int reason, const char* place) except -1 nogil:
        """Reports an example that a learner refused, by the place in its text."""
        cdef size_t i = n - 1
        while i and place < block.text + rows[i].text:
            i -= 1
        return self.report(block, &rows[i], reason, place - block.text - rows[i].text + 1)

    def place(self):
        """See Driver; the current line of the current example."""
        cdef size_t i = min(self.lines.selected, self.lines.n_lines - 1) if self.lines.n_visited else 0
        return self.listener.place(self.source, self.line + self.lines.rows[i].line)

    def figures(self):
        """The off-policy estimates of the stack's policy."""
        return {} if self.policy is None else self.policy.figures()

    def remarks(self):
        """Warnings about the log, from the importance weights of the estimates."""
        return [] if self.policy is None else self.policy.remarks()

    def end_pass(self):
        """See Driver."""
        if self.policy is not None:
            self.policy.end_pass()
        return Driver.end_pass(self)

    def mark_best(self):
        """See Driver."""
        if self.policy is not None:
            self.policy.mark_best()

    def go_back(self):
        """See Driver."""
        if self.policy is not None:
            self.policy.go_back()

    def before_save(self):
        """See Driver; a run that only predicts counts no examples."""
        if self.training and self.policy is not None:
            self.top.decisions = self.number

    def run_lines(self, Parser parser not None, lines, bint learning):
        """See Driver; examples that are only predicted have separate numbers, which no model stores."""
        number = self.number
        try:
            return Driver.run_lines(self, parser, lines, learning)
        finally:
            if not learning:
                self.predicted += self.number - number
                self.number = number

    def chunk(self, lines):
        """The next lines, of complete examples."""
        chunk = Driver.chunk(self, lines)
        while chunk and chunk[len(chunk) - 1].strip():
            line = next(lines, None)
            if line is None:
                break
            chunk.append(line)
        return chunk

    def one_example(self, text):
        """The lines of an example; raises ValueError if there are several."""
        lines = text.strip(b"\r\n").split(b"\n")
        if any(not line.rstrip(b"\r") for line in lines[1:]):
            raise ValueError("an empty line, which ends an example, inside a text: give several examples as a list of "
                             "their lines")
        return lines

    def sensitivity(self, Parser parser not None, bytes line):
        """Raises ValueError: the sensitivity of multi-line examples is not defined."""
        raise ValueError("sensitivity needs a line with a numeric label, and this stack reads multi-line examples")
