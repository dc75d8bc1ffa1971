"""The loop over examples, and the figures of a run.

One example at a time goes through: choice and crossing of features, the stack, the counters, the outputs. All of it
runs without the GIL but for the rare things a person sees: rows of the progress table, malformed lines, audits.
The counters are VW's (double precision; held-out examples apart), so that tables and summaries agree.
"""
from itertools import islice

from libc.math cimport floorf, isnan, rint, sqrt
from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.example cimport (
    ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Example, Row, extent_end, extent_index, extent_name_length,
)
from vwlite.interactions cimport Interactions
from vwlite.learner cimport Learner
from vwlite.ope cimport OffPolicy
from vwlite.parser cimport FINE, Parser

from vwlite.errors import OptionError
from vwlite.learner import walk
from vwlite.parser import REASONS_IN_WORDS

cdef enum:
    LINES_AT_ONCE = 1000
    MOST_COLUMNS = 64

cdef enum Column:
    PREDICTION
    SCORE
    INITIAL
    SD
    LOW
    HIGH
    PART                              # the first part of the score; others follow

COLUMNS = {"prediction": PREDICTION, "score": SCORE, "initial": INITIAL, "sd": SD, "low": LOW, "high": HIGH}


cdef class Output:
    """Text on its way to a file: the caller drains it once a block."""

    cdef char* buffer
    cdef size_t used, capacity

    def __dealloc__(self):
        free(self.buffer)

    @property
    def size(self):
        """Bytes waiting."""
        return self.used

    def drain(self):
        """The bytes gathered so far, which are then forgotten."""
        text = PyBytes_FromStringAndSize(self.buffer, self.used)
        self.used = 0
        return text

    cdef int reserve(self, size_t n) except -1 nogil:
        cdef char* room
        if self.used + n > self.capacity:
            room = <char*>realloc(self.buffer, 2 * (self.used + n))
            if room == NULL:
                with gil:
                    raise MemoryError
            self.buffer = room
            self.capacity = 2 * (self.used + n)
        return 0

    cdef int text(self, const char* what, size_t n) except -1 nogil:
        self.reserve(n)
        memcpy(self.buffer + self.used, what, n)
        self.used += n
        return 0

    cdef int tag(self, Example ex) except -1 nogil:
        """A blank and the tag, if there is one, and the line's end."""
        self.reserve(ex.tag_length + 2)
        if ex.tag_length:
            self.buffer[self.used] = b" "
            memcpy(self.buffer + self.used + 1, ex.tag, ex.tag_length)
            self.used += ex.tag_length + 1
        self.buffer[self.used] = b"\n"
        self.used += 1
        return 0

    cdef int number(self, float value) except -1 nogil:
        """VW's form: whole numbers bare, others as printf's %.6f."""
        cdef double size = -value if value < 0 else value
        cdef unsigned long long millionths
        cdef unsigned int whole, part
        cdef int i
        cdef char[12] digits
        self.reserve(64)
        if not size < 1e6 or floorf(value) == value:
            self.used += snprintf(self.buffer + self.used, 64, b"%.0f" if floorf(value) == value else b"%.6f",
                                  <double>value)
            return 0
        # a float32 below 2^20 times 10^6 is exact in double precision, so this rounds as printf does: ties to even
        millionths = <unsigned long long>rint(size * 1e6)
        whole = <unsigned int>(millionths // 1000000)
        part = <unsigned int>(millionths % 1000000)
        if value < 0:
            self.buffer[self.used] = b"-"
            self.used += 1
        i = 0
        while True:
            digits[i] = 48 + whole % 10
            whole //= 10
            i += 1
            if whole == 0:
                break
        while i:
            i -= 1
            self.buffer[self.used] = digits[i]
            self.used += 1
        self.buffer[self.used] = b"."
        for i in range(6):
            self.buffer[self.used + 6 - i] = 48 + part % 10
            part //= 10
        self.used += 7
        return 0


cdef class Observer:
    """Does nothing."""

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return 0


cdef class Driver:
    """Runs blocks of examples through a stack."""

    cdef readonly Learner top
    cdef readonly Interactions interactions
    cdef public object listener       # told about rows of the table, problems and audits
    cdef public Observer observer     # told about every example, or None
    cdef Example ex
    cdef public bint training, counting, constant, quiet, audits
    cdef bint decisions               # an example is a block of lines
    cdef public uint64_t decision_number
    cdef readonly OffPolicy off_policy
    cdef bint vetting                 # some learner may refuse examples
    cdef readonly bint needs_names    # some learner reads the features' names
    cdef public Output predictions, raw_predictions
    cdef int[MOST_COLUMNS] columns    # of a prediction; none: just the prediction
    cdef size_t n_columns
    # holdout
    cdef public bint holdout
    cdef public size_t holdout_period, holdout_after, in_pass, current_pass
    # limits
    cdef public size_t example_limit, parsed
    cdef public bint done
    # figures, in double as in VW
    cdef public size_t example_number, total_features, problems
    cdef public double weighted_labeled, weighted_labels, weighted_unlabeled, sum_loss
    cdef public double sum_loss_since, weighted_labeled_before
    cdef public double holdout_loss, holdout_weight, holdout_loss_since, holdout_weight_since
    cdef public double holdout_loss_of_pass, holdout_weight_of_pass
    cdef public float dump_interval, progress_step
    cdef public bint progress_adds
    # labels seen: at most two different ones are told apart
    cdef public float first_label, second_label
    cdef public bint more_labels

    def __init__(self, Learner top not None, Interactions interactions not None, bint constant):
        self.top = top
        self.interactions = interactions
        self.constant = constant
        self.vetting = any(learner.vets for learner in walk(top))
        self.needs_names = any(learner.needs_names for learner in walk(top))
        self.training = self.counting = True
        self.quiet = True
        self.holdout_period = 10
        self.dump_interval = 1
        self.progress_step = 2
        self.first_label = self.second_label = float("nan")
        self.ex = Example()
        self.ex.expander = interactions
        self.ex.constant = constant
        self.decisions = top.multiline
        self.off_policy = OffPolicy() if self.decisions else None

    def set_columns(self, names, parts, interval):
        """Which columns a prediction has; `parts` names those of the score, `interval` is in its standard deviations.

        Raises OptionError for a name that is none.
        """
        known = COLUMNS | {name: PART + i for i, name in enumerate(parts)}
        for name in names:
            if name not in known:
                raise OptionError([f"--columns {','.join(names)}: there is no column {name!r} here, only "
                                   f"{', '.join(known)}"])
        if len(names) > MOST_COLUMNS:
            raise OptionError([f"--columns: at most {MOST_COLUMNS}"])
        for i, name in enumerate(names):
            self.columns[i] = known[name]
        self.n_columns = len(names)
        self.ex.wants_variance = bool({"sd", "low", "high"} & set(names))
        self.ex.interval = interval

    def run_block(self, Block block not None):
        """Run the rows of a parsed block."""
        cdef Example ex = self.ex
        ex.block = block
        with nogil:
            if self.decisions:
                self.run_decisions(block, ex)
            else:
                self.run(block, ex)

    cdef int run(self, Block block, Example ex) except -1 nogil:
        cdef size_t i
        cdef const Row* row
        for i in range(block.n_rows):
            if self.done:
                return 0
            row = &block.rows[i]
            if (row.reason or row.warned) and self.current_pass == 0:
                with gil:
                    self.report(block, row, row.reason or row.warned, row.column)
            # VW counts empty lines towards --examples and the holdout
            if row.kind != ROW_PROBLEM:
                self.in_pass += 1
                self.parsed += 1
                if self.example_limit and self.parsed >= self.example_limit:
                    self.done = True
            if row.kind == ROW_EXAMPLE:
                self.one(block, row, ex)
        return 0

    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil:
        """One example through the stack, the counters and the outputs."""
        cdef int reason
        ex.bind(block, row, self.constant)
        ex.test_only = not ex.labelled or (self.holdout and self.is_held_out())
        if not block.is_expanded:
            self.interactions.expand(ex)
        if self.vetting:
            reason = self.top.vet(ex)
            if reason != FINE:
                if self.current_pass == 0:
                    with gil:
                        self.report(block, row, reason, ex.problem_at - block.text - row.text + 1)
                return 0
        if self.audits:
            self.top.predict(ex)
            with gil:
                self.listener.audit(self, self.view())
            ex.weight = row.weight
        if self.training and not ex.test_only:
            self.top.learn(ex)
        else:
            self.top.predict(ex)
        if self.counting:
            self.count(ex)
        if self.observer is not None:
            self.observer.note(ex, block, row, ex.test_only or not self.training)
        self.output(ex)
        if not self.quiet and self.weighted_labeled + self.weighted_unlabeled >= self.dump_interval:
            with gil:
                self.progress()
        return 0

    cdef int run_decisions(self, Block block, Example ex) except -1 nogil:
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
                elif block.rows[i].warned and self.current_pass == 0:
                    with gil:
                        self.report(block, &block.rows[i], block.rows[i].warned, block.rows[i].column)
                i += 1
            if problem < block.n_rows:
                if self.current_pass == 0:
                    with gil:
                        self.report(block, &block.rows[problem], block.rows[problem].reason,
                                    block.rows[problem].column)
                continue
            self.in_pass += 1
            self.parsed += 1
            if self.example_limit and self.parsed >= self.example_limit:
                self.done = True
            self.one_decision(block, &block.rows[first], i - first, ex)
        return 0

    cdef int one_decision(self, Block block, const Row* rows, size_t n, Example ex) except -1 nogil:
        """One decision through the stack, the counters and the outputs."""
        cdef int reason
        ex.number = self.decision_number
        ex.bind_decision(rows, n)
        reason = self.top.vet(ex)
        if reason != FINE:
            if self.current_pass == 0:
                with gil:
                    self.report_place(block, rows, n, reason, ex.problem_at)
            return 0
        ex.test_only = not ex.labelled or (self.holdout and self.is_held_out())
        if self.training and not ex.test_only:
            self.top.learn(ex)
        else:
            self.top.predict(ex)
        self.decision_number += 1
        if self.counting:
            self.count(ex)
            if ex.labelled:
                self.off_policy.add(ex.decision_cost, ex.decision_probability, ex.decision_policy,
                                    ex.action_costs[ex.chosen], ex.policy_cost)
        self.output_decision(ex)
        if not self.quiet and self.weighted_labeled + self.weighted_unlabeled >= self.dump_interval:
            with gil:
                self.progress()
        return 0

    cdef int report_place(self, Block block, const Row* rows, size_t n, int reason, const char* place) except -1:
        """Tell about a decision that a learner refused, by the place in its text."""
        cdef size_t i = n - 1
        while i and place < block.text + rows[i].text:
            i -= 1
        return self.report(block, &rows[i], reason, place - block.text - rows[i].text + 1)

    cdef int output_decision(self, Example ex) except -1 nogil:
        """VW's form: action:number for each action, the one taken first, then the tag and an empty line."""
        if self.predictions is not None:
            self.output_actions(self.predictions, ex, ex.action_probabilities)
        if self.raw_predictions is not None:
            self.output_actions(self.raw_predictions, ex, ex.action_scores)
        return 0

    cdef int output_actions(self, Output to, Example ex, const float* numbers) except -1 nogil:
        cdef size_t i
        for i in range(ex.n_actions):
            to.reserve(64)
            to.used += snprintf(to.buffer + to.used, 64, b"%s%u:%g", b"," if i else b"", ex.action_order[i],
                                <double>numbers[ex.action_order[i]])
        to.tag(ex)
        to.text(b"\n", 1)
        return 0

    cdef inline bint is_held_out(self) noexcept nogil:
        """Examples are counted from 1 in each pass."""
        if self.holdout_after:
            return self.in_pass > self.holdout_after
        return self.in_pass % self.holdout_period == 0

    cdef void count(self, Example ex) noexcept nogil:
        # both compared at once: which of two labels comes next is nothing a branch could learn
        if ex.labelled and (ex.label != self.first_label) & (ex.label != self.second_label):
            self.see_label(ex.label)
        if ex.labelled and ex.test_only:
            self.holdout_weight += ex.weight
            self.holdout_weight_since += ex.weight
            self.holdout_weight_of_pass += ex.weight
            self.holdout_loss += ex.loss
            self.holdout_loss_since += ex.loss
            self.holdout_loss_of_pass += ex.loss
            return
        if ex.labelled:
            self.weighted_labeled += ex.weight
            self.weighted_labels += <double>(ex.label * ex.weight)
        else:
            self.weighted_unlabeled += ex.weight
        self.sum_loss += ex.loss
        self.sum_loss_since += ex.loss
        self.total_features += ex.n_counted
        self.example_number += 1

    cdef void see_label(self, float label) noexcept nogil:
        """A label that is neither of the first two different ones (NaN while there are none)."""
        if isnan(self.first_label):
            self.first_label = label
        elif isnan(self.second_label):
            self.second_label = label
        else:
            self.more_labels = True

    cdef int output(self, Example ex) except -1 nogil:
        cdef size_t i
        if self.predictions is not None:
            for i in range(self.n_columns):
                if i:
                    self.predictions.text(b" ", 1)
                self.predictions.number(self.column(ex, self.columns[i]))
            if self.n_columns == 0:
                self.predictions.number(ex.prediction)
            self.predictions.tag(ex)
        if self.raw_predictions is not None:
            self.raw_predictions.number(ex.score)
            self.raw_predictions.tag(ex)
        return 0

    cdef float column(self, Example ex, int which) noexcept nogil:
        if which >= PART:
            return ex.parts[which - PART]
        if which == PREDICTION:
            return ex.prediction
        if which == SCORE:
            return ex.score
        if which == INITIAL:
            return ex.initial
        if which == SD:
            return <float>sqrt(ex.variance)
        return ex.low if which == LOW else ex.high

    cdef int progress(self) except -1:
        """A row of the table; then the next one is due when the weight has doubled, or as -P says."""
        cdef double weight = self.weighted_labeled + self.weighted_unlabeled
        cdef Example ex = self.ex
        if self.decisions:
            label = f"{ex.chosen}:{ex.decision_cost:g}:{ex.decision_probability:g}" if ex.labelled else "unknown"
            chosen = ex.action_order[0]
            self.listener.row(self, label, f"{chosen}:{ex.action_probabilities[chosen]:.2g}", ex.n_counted)
        else:
            label = f"{ex.label:.4f}" if ex.labelled else "unknown"
            self.listener.row(self, label, f"{ex.prediction:.4f}", ex.n_counted)
        self.sum_loss_since = 0
        if self.holdout and self.current_pass:
            self.holdout_loss_since = self.holdout_weight_since = 0
        self.weighted_labeled_before = self.weighted_labeled
        self.dump_interval = <float>weight + self.progress_step if self.progress_adds \
            else <float>weight * self.progress_step
        return 0

    cdef int report(self, Block block, const Row* row, int reason, size_t column) except -1:
        """Tell about a line that is left out, or in compatible mode about a malformed one that is used nevertheless."""
        cdef bint used = row.warned and reason == row.warned
        self.problems += not used
        self.listener.problem(
            block.source, block.first_line + row.line, column, REASONS_IN_WORDS[reason],
            PyBytes_FromStringAndSize(block.text + row.text, row.text_length), used,
        )
        return 0

    def run_lines(self, Parser parser not None, lines):
        """Parse and run lines (bytes); the predictions, one for each example.

        The listener is told of a malformed line when the lines before it were run.
        """
        cdef Block block = Block()
        cdef Example ex = self.ex
        cdef bytes text
        predictions = []
        block.first_line = 1
        block.wants_names = self.needs_names
        lines = iter(lines)
        while chunk := self.chunk(lines):
            for line in chunk:
                if b"\n" in line[:len(line) - 1]:
                    raise ValueError("a line with a line end inside: give several lines as a list")
            text = b"".join([line if line.endswith(b"\n") else line + b"\n" for line in chunk])
            parse_text(parser, block, text)
            ex.block = block
            if self.decisions:
                self.run_groups(block, ex, predictions)
            else:
                self.run_rows(block, ex, predictions)
            block.first_line += len(chunk)
        return predictions

    def chunk(self, lines):
        """Some of the lines; whole decisions, if an example is one."""
        chunk = list(islice(lines, LINES_AT_ONCE))
        if self.decisions and chunk:
            while chunk[len(chunk) - 1].strip():
                line = next(lines, None)
                if line is None:
                    break
                chunk.append(line)
        return chunk

    cdef int run_rows(self, Block block, Example ex, list predictions) except -1:
        """The examples of a block; of each the prediction is appended."""
        cdef size_t i
        cdef const Row* row
        for i in range(block.n_rows):
            row = &block.rows[i]
            if row.kind == ROW_PROBLEM:
                self.report(block, row, row.reason, row.column)
            elif row.kind == ROW_EXAMPLE:
                self.one(block, row, ex)
                predictions.append(ex.prediction)
        return 0

    cdef int run_groups(self, Block block, Example ex, list predictions) except -1:
        """The decisions of a block; of each [(action, probability), ...] is appended, the action taken first."""
        cdef size_t first, i = 0, j
        while i < block.n_rows:
            if block.rows[i].kind == ROW_EMPTY:
                i += 1
                continue
            first = i
            while i < block.n_rows and block.rows[i].kind != ROW_EMPTY:
                if block.rows[i].kind == ROW_PROBLEM:
                    self.report(block, &block.rows[i], block.rows[i].reason, block.rows[i].column)
                i += 1
            self.one_decision(block, &block.rows[first], i - first, ex)
            predictions.append([(ex.action_order[j], ex.action_probabilities[ex.action_order[j]])
                                for j in range(ex.n_actions)])
        return 0

    def sensitivity(self, Parser parser not None, bytes line):
        """The stack's sensitivity to one line, None if it is no example."""
        cdef Block block = Block()
        cdef Example ex = self.ex
        block.wants_names = self.needs_names
        parse_text(parser, block, line + b"\n")
        if block.n_rows != 1 or block.rows[0].kind != ROW_EXAMPLE:
            return None
        ex.bind(block, &block.rows[0], self.constant)
        self.interactions.expand(ex)
        self.top.predict(ex)
        return self.top.sensitivity(ex)

    def end_pass(self):
        """Close the books of a pass; returns its holdout loss, or None when nothing was held out."""
        cdef double loss = self.holdout_loss_of_pass, weight = self.holdout_weight_of_pass
        self.holdout_loss_of_pass = self.holdout_weight_of_pass = 0
        self.in_pass = 0
        self.parsed = 0
        self.current_pass += 1
        return loss / weight if weight > 0 else None

    def view(self):
        """The current example as Python values: what audits and hash inversion look at."""
        from vwlite.audit import Group, View
        cdef Example ex = self.ex
        cdef size_t i, j, begin, end
        groups = []
        for i in range(ex.n_extents):
            begin = ex.extents[i].begin
            end = extent_end(ex, i)
            name = ex.text[ex.extents[i].name:ex.extents[i].name + extent_name_length(&ex.extents[i])]
            names = [None if ex.names == NULL else
                     <bytes>ex.text[ex.names[j].begin:ex.names[j].begin + ex.names[j].length]
                     for j in range(begin, end)]
            groups.append(Group(extent_index(&ex.extents[i]), name, names,
                                [(ex.linear[j].hash, ex.linear[j].value) for j in range(begin, end)]))
        features = [(ex.features[j].hash, ex.features[j].value) for j in range(ex.n)]
        return View(groups, features, self.constant, ex.tag[:ex.tag_length], ex.prediction)


cdef int parse_text(Parser parser, Block block, bytes text) except -1:
    """Parse whole lines from memory."""
    block.reserve_text(len(text))
    memcpy(block.text, <const char*>text, len(text))
    block.text_length = len(text)
    parser.parse(block)
    return 0


def parse(Parser parser not None, text):
    """The block that a parser makes of bytes; a missing last line end is added."""
    cdef Block block = Block()
    parse_text(parser, block, text if text.endswith(b"\n") or not text else text + b"\n")
    return block
