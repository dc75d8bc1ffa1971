"""The loop over examples, and the figures of a run.

One example at a time goes through: choice and crossing of features, the stack, the counters, the outputs. All of it
runs without the GIL but for the rare things a person sees: rows of the progress table, malformed lines, audits.
The counters are VW's (double precision; held-out examples apart), so that tables and summaries agree.
"""
from itertools import islice

from libc.math cimport isnan, sqrt
from libc.string cimport memchr, memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.example cimport (
    ROW_EXAMPLE, ROW_PROBLEM, Block, Example, Row, extent_end, extent_index, extent_name_length,
)
from vwlite.interactions cimport Interactions
from vwlite.learner cimport Learner
from vwlite.losses cimport takes
from vwlite.parser cimport CROSSED_MANY, FINE, LABEL_FINITE, Parser

from vwlite.errors import ModelError, OptionError
from vwlite.learner import walk
from vwlite.outputs import decimals
from vwlite.parser import REASONS_IN_WORDS

cdef enum Column:
    PREDICTION
    SCORE
    INITIAL
    SD
    LOW
    HIGH
    LABEL_SD
    LABEL_LOW
    LABEL_HIGH
    PART                              # the first part of the score; others follow

COLUMNS = {"prediction": PREDICTION, "score": SCORE, "initial": INITIAL, "sd": SD, "low": LOW, "high": HIGH,
           "label_sd": LABEL_SD, "label_low": LABEL_LOW, "label_high": LABEL_HIGH}


cdef class Observer:
    """Does nothing."""

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return 0


cdef class Gate:
    """Never shut."""

    cdef bint is_shut(self) except -1 nogil:
        return False

    def why(self):
        """What to say to those that are not let through."""
        return ""


cdef class Driver:
    """Runs blocks of examples through a stack."""

    def __init__(self, Learner top not None, Interactions interactions not None, bint constant):
        self.top = top
        self.loss = top.loss
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
        self.ex.wants_variance = bool({"sd", "low", "high", "label_sd", "label_low", "label_high"} & set(names))
        self.ex.interval = interval

    def run_block(self, Block block not None):
        """Run the rows of a parsed block."""
        cdef Example ex = self.ex
        ex.block = block
        with nogil:
            self.run(block, ex)

    cdef int run(self, Block block, Example ex) except -1 nogil:
        cdef size_t i, n = 0
        cdef const Row* row
        for i in range(block.n_rows):
            if self.done:
                break
            n += 1
            row = &block.rows[i]
            if row.reason or row.warned:
                self.report(block, row, row.reason or row.warned, row.column)
            # VW counts empty lines towards --examples and the holdout
            if row.kind != ROW_PROBLEM:
                take_in(self)
            if row.kind == ROW_EXAMPLE:
                self.one(block, row, ex)
        return self.show(block, n)

    cdef int show(self, Block block, size_t n) except -1 nogil:
        """The first n rows of a block went through."""
        if self.sought is None or self.again:
            return 0
        return self.sought.look(block, n)

    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil:
        """One example through the stack, the counters and the outputs."""
        cdef int reason
        cdef bint learns
        ex.bind(block, row, self.constant)
        ex.test_only = not ex.labelled or (self.holdout and is_held_out(self))
        reason = FINE if block.is_expanded else self.interactions.expand(ex)
        if self.vetting and reason == FINE:
            reason = self.top.vet(ex)
        if reason != FINE:
            return self.report(block, row, reason, ex.problem_at - block.text - row.text + 1)
        learns = self.training and not ex.test_only
        if ex.labelled and not takes(self.loss, ex.label):
            reason = self.vet_label(ex)
            if reason == LABEL_FINITE:
                self.left_out += learns
                learns = False
            elif reason != FINE:
                return self.report(block, row, reason, row.column)
        if self.refusal is not None and ex.labelled:
            return self.predictions.text(self.refusal.buffer, self.refusal.used)
        if self.gate is not None and learns and self.gate.is_shut():
            return self.turn_away()
        if self.audits:
            if learns:
                self.loss.see(ex.label)   # as learning does: the prediction is the one that -p writes
            self.top.predict(ex)
            with gil:
                self.listener.audit(self, self.view())
            ex.weight = row.weight
        if learns:
            self.top.learn(ex)
            if self.learnt is not None:
                self.learnt.text(block.text + row.text, row.text_length)
                self.learnt.text(b"\n", 1)
        else:
            self.top.predict(ex)
        if self.counting:
            self.count(ex)
        if self.observer is not None:
            self.observer.note(ex, block, row, ex.test_only or not self.training)
        return self.tell(ex)

    cdef int vet_label(self, Example ex) except -1 nogil:
        """Why the loss can't take the label, a Reason; says so when labels of 0 turn out to be the negative class."""
        cdef bint unsettled = isnan(self.loss.negative)
        cdef int reason = self.loss.vet(ex.label, self.counting)
        if unsettled and self.loss.negative == 0:
            with gil:
                self.listener.remark("the labels 0 and 1 are the two classes: 0 is the negative one")
        return reason

    cdef int turn_away(self) except -1 nogil:
        """An example that can't be learnt just now: say so, or raise ModelError where nobody is answered."""
        with gil:
            if not self.answers:
                raise ModelError(self.gate.why())
            self.predictions.add(f"!error not learnt: {self.gate.why()}\n".encode())
        return 0

    cdef void count(self, Example ex) noexcept nogil:
        # both compared at once: which of two labels comes next is nothing a branch could learn
        if ex.labelled and (ex.label != self.first_label) & (ex.label != self.second_label) & (not self.more_labels):
            self.see_label(ex.label)
        if ex.labelled and ex.test_only:
            self.held_out += 1
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

    cdef int tell(self, Example ex) except -1 nogil:
        """What is seen of an example: its prediction, and perhaps a row of the table."""
        self.write(ex)
        if self.results is not None:
            self.collect(ex)
        if not self.quiet and self.weighted_labeled + self.weighted_unlabeled >= self.dump_interval:
            with gil:
                self.progress()
        return 0

    cdef int write(self, Example ex) except -1 nogil:
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

    cdef int collect(self, Example ex) except -1 nogil:
        cdef size_t i
        if self.n_columns:
            with gil:
                self.results.append(tuple([self.column(ex, self.columns[i]) for i in range(self.n_columns)]))
            return 0
        self.values[self.n_values] = ex.prediction
        self.n_values += 1
        return 0

    cdef tuple cells(self, Example ex):
        label, prediction = (decimals(number, 4, 4, self.loss.as_vw) for number in (ex.label, ex.prediction))
        return label if ex.labelled else "unknown", prediction

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
        if which == LABEL_SD:
            return <float>sqrt(ex.variance + ex.noise)
        if which == LABEL_LOW:
            return ex.label_low
        if which == LABEL_HIGH:
            return ex.label_high
        return ex.low if which == LOW else ex.high

    cdef int progress(self) except -1:
        """A row of the table; then the next one is due when the weight has doubled, or as -P says."""
        cdef double weight = self.weighted_labeled + self.weighted_unlabeled
        cdef Example ex = self.ex
        label, prediction = self.cells(ex)
        self.listener.row(self, label, prediction, ex.n_counted)
        self.sum_loss_since = 0
        if self.holdout and self.current_pass:
            self.holdout_loss_since = self.holdout_weight_since = 0
        self.weighted_labeled_before = self.weighted_labeled
        self.dump_interval = <float>weight + self.progress_step if self.progress_adds \
            else <float>weight * self.progress_step
        return 0

    cdef int report(self, Block block, const Row* row, int reason, size_t column) except -1 nogil:
        """Tell about a line that is left out, or in compatible mode about a malformed one that is used nevertheless."""
        cdef bint used = row.warned and reason == row.warned
        if self.again:
            return 0
        self.problems += not used
        with gil:
            self.listener.problem(
                block.source, block.first_line + row.line, column, self.in_words(reason),
                PyBytes_FromStringAndSize(block.text + row.text, row.text_length), used,
            )
        return 0

    cdef str in_words(self, int reason):
        """A Reason, with the limit that applies here."""
        words = REASONS_IN_WORDS[reason]
        return words.format(limit=self.interactions.limit) if reason == CROSSED_MANY else words

    def features_seen(self):
        """How many features other than the constant the examples counted so far had, in all passes."""
        return self.total_features - (self.example_number if self.constant else 0)

    def figures(self):
        """Figures for the end of a run, name -> number, beside those that every run has."""
        return {}

    def remarks(self):
        """Warnings about these figures, for the end of a run."""
        return []

    def mark_best(self):
        """The pass that has just ended is the best so far by its held-out loss."""

    def go_back(self):
        """The model to be kept is that of the best pass, and so are held-out figures."""

    def before_save(self):
        """The stack is going to be saved: hand over what a learner keeps but the driver counts."""

    def run_text(self, Parser parser not None, Block block not None, const unsigned char[::1] text, size_t first_line,
                 bint answering=True):
        """Parse and run whole lines (or whole decisions), which end with LF; how many there were.

        Predictions go to the text buffers. `answering` puts there, too, what the gate says of examples that it doesn't
        let through; otherwise they raise ModelError. The GIL is free meanwhile. The first line has the number
        `first_line` where the listener is told of one.
        """
        cdef Example ex = self.ex
        ex.block = block
        block.wants_names = self.needs_names
        block.first_line = first_line
        self.answers = answering
        if text.shape[0]:
            with nogil:
                self.run_bytes(parser, block, ex, <const char*>&text[0], text.shape[0])
        return block.n_lines if text.shape[0] else 0

    def run_some(self, Parser parser not None, Block block not None, const unsigned char[::1] text, size_t first_line,
                 double seconds):
        """As run_text(), for so many seconds and at most one piece longer; how many lines and bytes were run.

        A piece is PIECE bytes of whole examples, or one example if that is longer.
        """
        cdef size_t at = 0, n = text.shape[0], size, lines = 0
        cdef double until
        cdef Example ex = self.ex
        ex.block = block
        block.wants_names = self.needs_names
        self.answers = True
        if n == 0:
            return 0, 0
        with nogil:
            until = seconds_now() + seconds
            while True:
                size = self.piece(<const char*>&text[at], n - at)
                block.first_line = first_line + lines
                self.run_bytes(parser, block, ex, <const char*>&text[at], size)
                lines += block.n_lines
                at += size
                if at == n or seconds_now() >= until:
                    break
        return lines, at

    cdef size_t piece(self, const char* text, size_t n) noexcept nogil:
        """Whole lines."""
        cdef const char* end = <const char*>memchr(text + PIECE - 1, 10, n - PIECE + 1) if n > PIECE else NULL
        return n if end == NULL else end + 1 - text

    cdef int run_bytes(self, Parser parser, Block block, Example ex, const char* text, size_t n) except -1 nogil:
        """Parse and run whole examples in the block, which is that of `ex`."""
        block.reserve_text(n)
        memcpy(block.text, text, n)
        block.text_length = n
        parser.parse(block)
        return self.run(block, ex)

    def run_lines(self, Parser parser not None, lines, bint learning):
        """Parse lines (bytes, with or without their ends) and learn from them or only predict; a list of predictions.

        The listener is told of a malformed line when the lines before it were run. Raises ValueError for a line with a
        line end inside.
        """
        cdef Block block = Block()
        cdef Example ex = self.ex
        cdef size_t i
        before = self.training, self.counting, self.results
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
            self.training = self.counting = learning
            self.results = predictions
            self.n_values = 0
            try:
                self.run(block, ex)
                predictions += [self.values[i] for i in range(self.n_values)]
            finally:
                self.training, self.counting, self.results = before
            block.first_line += len(chunk)
        return predictions

    def chunk(self, lines):
        """Some of the lines, whole examples; an empty list at their end."""
        return list(islice(lines, LINES_AT_ONCE))

    def one_example(self, text):
        """The lines (bytes) of a single example given as one text."""
        return [text]

    def sensitivity(self, Parser parser not None, bytes line):
        """The stack's sensitivity to one line, None if it is no example."""
        cdef Block block = Block()
        cdef Example ex = self.ex
        block.wants_names = self.needs_names
        parse_text(parser, block, line + b"\n")
        if block.n_rows != 1 or block.rows[0].kind != ROW_EXAMPLE:
            return None
        ex.bind(block, &block.rows[0], self.constant)
        if self.interactions.expand(ex) != FINE:
            return None
        self.top.predict(ex)
        return self.top.sensitivity(ex)

    def end_pass(self):
        """Close the books of a pass; returns its holdout loss, or None when nothing was held out."""
        cdef double loss = self.holdout_loss_of_pass, weight = self.holdout_weight_of_pass
        self.holdout_loss_of_pass = self.holdout_weight_of_pass = 0
        self.in_pass = 0
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


cdef double seconds_now() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + 1e-9 * time.tv_nsec


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
