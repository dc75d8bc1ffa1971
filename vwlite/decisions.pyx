"""The loop over decisions: examples of several lines, of which one is an action's each. See driver.pxd."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr

from vwlite.driver cimport PIECE, Driver, is_held_out, take_in
from vwlite.example cimport ROW_EMPTY, ROW_PROBLEM, Block, Example, Row
from vwlite.ope cimport OffPolicy
from vwlite.parser cimport CROSSED_MANY, FINE, Parser
from vwlite.textbuffer cimport TextBuffer

from vwlite.errors import OptionError


cdef class DecisionDriver(Driver):
    """Runs blocks of decisions through a stack, and estimates from the log what the stack's policy costs.

    Of several passes, the first counts: in later ones the policy has learned what each decision cost. Those held out
    count anew in each pass; `held_out_policy` is the estimate of the last pass that had some, or of the best one after
    go_back().
    """

    cdef readonly OffPolicy off_policy
    cdef OffPolicy tests, last, best  # held out: of this pass, of the last one, of the best
    cdef tuple costs                  # their range, (NaN, NaN) if it isn't known
    cdef uint64_t number              # of the next decision, counted in all runs
    cdef size_t constants             # among the features counted
    cdef uint64_t predicted           # decisions that predict() has made here: they count in no model

    def __init__(self, top, interactions, constant):
        super().__init__(top, interactions, constant)
        self.costs = top.costs
        self.off_policy = OffPolicy(*self.costs)
        self.tests = self.last = OffPolicy(*self.costs)
        self.number = top.decisions

    cdef int run(self, Block block, Example ex) except -1 nogil:
        """Rows up to an empty one, or the block's end, are a decision; a problem in one row leaves all of it out."""
        cdef size_t first, i = 0, problem
        while i < block.n_rows and not self.done:
            if block.rows[i].kind == ROW_EMPTY:
                i += 1
                continue
            first = i
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
            self.decide(block, &block.rows[first], i - first, ex)
        return self.show(block, i)

    cdef size_t piece(self, const char* text, size_t n) noexcept nogil:
        """Whole decisions, each with the empty line that ends it."""
        cdef const char* at = text + min(n, PIECE)
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

    cdef int decide(self, Block block, const Row* rows, size_t n, Example ex) except -1 nogil:
        """One decision through the stack, the counters and the outputs."""
        cdef int reason
        ex.number = self.number + self.predicted
        ex.bind_decision(rows, n)
        reason = self.vet_crossing(ex)
        if reason == FINE:
            reason = self.top.vet(ex)
        if reason != FINE:
            return self.refuse(block, rows, n, reason, ex.problem_at)
        ex.test_only = not ex.labelled or (self.holdout and is_held_out(self))
        if self.refusal is not None and ex.labelled:
            return self.predictions.text(self.refusal.buffer, self.refusal.used)
        if self.gate is not None and self.training and not ex.test_only and self.gate.is_shut():
            return self.turn_away()
        if self.training and not ex.test_only:
            self.top.learn(ex)
            if self.learnt is not None:
                self.note_learnt(block, rows, n)
        else:
            self.top.predict(ex)
        self.number += 1
        if self.counting:
            self.count(ex)
            self.constants += ex.n_visited if self.constant else 0
            if ex.labelled and ex.test_only:
                self.tests.add(ex.decision_cost, ex.decision_probability, ex.decision_policy,
                               ex.action_costs[ex.chosen], ex.policy_cost)
            elif ex.labelled and not self.current_pass:
                self.off_policy.add(ex.decision_cost, ex.decision_probability, ex.decision_policy,
                                    ex.action_costs[ex.chosen], ex.policy_cost)
        return self.tell(ex)

    cdef int vet_crossing(self, Example ex) except -1 nogil:
        """Why features of actions can't be crossed; only those that could be too many are crossed to see."""
        cdef size_t i, n, k = 0, total = 0, largest = 0, shared = ex.shared.n_features if ex.shared != NULL else 0
        cdef int reason = FINE
        cdef bint all_of_them
        for i in range(ex.n_actions):
            largest = max(largest, ex.rows[i].n_features + shared)
        while (<size_t>1 << k) < ex.n_actions:
            k += 1
        all_of_them = largest > self.interactions.safe_shares[k]
        if not all_of_them and largest <= self.interactions.safe:
            return FINE
        for i in range(ex.n_actions):
            n = ex.rows[i].n_features + shared
            if not all_of_them and n <= self.interactions.safe:
                continue
            if total + n <= self.interactions.decision_limit:
                reason = ex.select(i)
                n = ex.n
            total += n
            if reason == FINE and total > self.interactions.decision_limit:
                reason = CROSSED_MANY
                ex.problem_at = ex.block.text + ex.rows[i].text
            if reason != FINE:
                break
        ex.deselect()
        return reason

    cdef int note_learnt(self, Block block, const Row* rows, size_t n) except -1 nogil:
        cdef size_t i
        for i in range(n):
            self.learnt.text(block.text + rows[i].text, rows[i].text_length)
            self.learnt.text(b"\n", 1)
        self.learnt.text(b"\n", 1)
        return 0

    cdef int refuse(self, Block block, const Row* rows, size_t n, int reason, const char* place) except -1 nogil:
        """Tell about a decision that a learner refused, by the place in its text."""
        cdef size_t i = n - 1
        while i and place < block.text + rows[i].text:
            i -= 1
        return self.report(block, &rows[i], reason, place - block.text - rows[i].text + 1)

    cdef int write(self, Example ex) except -1 nogil:
        """As VW lays it out: action:number for each action, the one taken first, then the tag and an empty line.

        VW's raw predictions of decisions name no action that one could know, so they are laid out as predictions are.
        """
        if self.predictions is not None:
            write_actions(self.predictions, ex, ex.action_probabilities)
        if self.raw_predictions is not None:
            write_actions(self.raw_predictions, ex, ex.action_scores)
        return 0

    cdef int collect(self, Example ex) except -1 nogil:
        """[(action, probability), ...], the action taken first."""
        cdef size_t i
        with gil:
            self.results.append([(ex.action_order[i], ex.action_probabilities[ex.action_order[i]])
                                 for i in range(ex.n_actions)])
        return 0

    cdef tuple cells(self, Example ex):
        cdef uint32_t taken = ex.action_order[0]
        label = f"{ex.chosen}:{ex.decision_cost:g}:{ex.decision_probability:g}" if ex.labelled else "unknown"
        return label, f"{taken}:{ex.action_probabilities[taken]:.2g}"

    @property
    def held_out_policy(self):
        """The estimates from decisions held out."""
        return self.tests if self.tests.n else self.last

    def figures(self):
        """What the log says about the policy."""
        held_out = self.held_out_policy
        found = self.off_policy.figures() if self.off_policy.n or not held_out.n else {}
        if held_out.n:
            found |= {f"{name} held out": value for name, value in held_out.figures().items()}
        return found

    def remarks(self):
        """What the estimates' weights say against the log."""
        return [remark for policy in (self.off_policy, self.held_out_policy) for remark in policy.remarks()][:1]

    def end_pass(self):
        """See Driver."""
        if self.tests.n:
            self.last = self.tests
            self.tests = OffPolicy(*self.costs)
        return Driver.end_pass(self)

    def mark_best(self):
        """See Driver."""
        self.best = self.last

    def go_back(self):
        """See Driver."""
        if self.best is not None:
            self.last = self.best
            self.tests = OffPolicy(*self.costs)

    def features_seen(self):
        """Each action has a constant of its own."""
        return self.total_features - self.constants

    def before_save(self):
        """A run that only tests counts no decisions."""
        if self.training:
            self.top.decisions = self.number

    def run_lines(self, Parser parser not None, lines, bint learning):
        """See Driver; decisions that are only predicted have numbers of their own, which no model counts."""
        number = self.number
        try:
            return Driver.run_lines(self, parser, lines, learning)
        finally:
            if not learning:
                self.predicted += self.number - number
                self.number = number

    def chunk(self, lines):
        """Lines of whole decisions, as long as the last one ends at all."""
        chunk = Driver.chunk(self, lines)
        while chunk and chunk[len(chunk) - 1].strip():
            line = next(lines, None)
            if line is None:
                break
            chunk.append(line)
        return chunk

    def one_example(self, text):
        """The lines of a decision; raises ValueError if there are several decisions."""
        lines = text.strip(b"\r\n").split(b"\n")
        if any(not line.rstrip(b"\r") for line in lines[1:]):
            raise ValueError("an empty line, which ends a decision, inside a text: give several decisions as a list of "
                             "their lines")
        return lines

    def sensitivity(self, Parser parser not None, bytes line):
        """There is none of a decision: raises ValueError."""
        raise ValueError("sensitivity is to a line with a label, and this stack takes decisions")

    def set_columns(self, names, parts, interval):
        """There are none of a decision: raises OptionError."""
        raise OptionError(["--columns and --interval are about predictions for single lines, not decisions"])


cdef int write_actions(TextBuffer to, Example ex, const float* numbers) except -1 nogil:
    cdef size_t i
    for i in range(ex.n_actions):
        if i:
            to.text(b",", 1)
        to.action(ex.action_order[i], numbers[ex.action_order[i]])
    to.tag(ex)
    to.text(b"\n", 1)
    return 0
