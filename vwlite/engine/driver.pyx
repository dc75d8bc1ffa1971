"""The driver: the loop over examples. Design notes are in driver.pxd.

Each example passes through the choice of features and interactions, the stack, the counters and the outputs. This runs
without the GIL, except for rare output for the user: rows of the progress table, malformed lines, audits.
"""
from itertools import islice

from libc.math cimport INFINITY
from libc.string cimport memchr, memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.example cimport ROW_EXAMPLE, ROW_PROBLEM, Block, Example, Row, SimpleExample, groups_of, source_of
from vwlite.core.fetch cimport fetch_names
from vwlite.core.learner cimport Learner
from vwlite.core.losses cimport takes
from vwlite.core.reasons cimport CLASS_MANY, CLASS_RANGE, CROSSED_MANY, FINE, LABEL_FINITE
from vwlite.engine.simple_rows cimport ROWS_AT_ONCE, Given, collect
from vwlite.features.interactions cimport Crossing, Interactions, crossing_of, use_crossing
from vwlite.features.known cimport KnownFeatures
from vwlite.features.spelling cimport Speller
from vwlite.input.parser cimport Parser
from vwlite.report.counters cimport Counters

from vwlite.core.learner import chain, finishers, vetters, walk
from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import ModelError
from vwlite.report.predictions import OF_VARIANCE, format_of, label_cell


cdef enum:
    FEW = 16


cdef class Driver:
    """Runs blocks of single-line examples through a stack."""

    def __init__(self, Learner top not None, Interactions interactions not None, bint constant):
        self.top = top
        self.loss = top.loss
        self.interactions = interactions
        self.counters = Counters()
        self.format = format_of(top)
        self.constant = constant
        self.simple = top.takes_label is LabelType.SIMPLE
        self.scalar = self.simple and top.gives_prediction is PredictionType.SCALAR
        self.holds_gil = any(learner.plugin for learner in walk(top))
        self.sees = self.simple and not any(learner.changes_labels for learner in chain(top))
        self.vetters = vetters(top, False)
        self.vetting = self.vetters.n > 0
        self.finishers = finishers(top)
        self.classes = top.classes
        self.counts_from_one = self.classes is not None and self.classes.first == 1
        self.reads_names = any(learner.needs_names for learner in walk(top))
        self.training = self.counting = True
        self.quiet = True
        self.holdout_period = 10
        self.dump_interval = 1
        self.progress_step = 2
        self.ex = self.new_example()
        for learner in walk(top):
            learner.init_driver(self)

    def new_example(self):
        """Creates an Example of the stack's kind."""
        return Example()

    def set_columns(self, names, parts, interval):
        """Sets the columns of predictions.

        `parts` names the parts of the score; `interval` is half the width of the interval in standard deviations.
        Raises OptionError for a name that is not a column.
        """
        self.format.set_columns(names, parts)
        self.ex.known.wants_variance = bool(OF_VARIANCE & set(names))
        self.ex.known.interval = interval

    def keep_names(self, KnownFeatures known not None):
        """Has the names and statistics of features that are learned kept in `known`."""
        self.known, self.speller, self.named = known, Speller(self.interactions, known), Example()
        self.names_kept = self.training

    @property
    def needs_names(self):
        """Whether something reads the names of features."""
        return self.wants_names()

    @needs_names.setter
    def needs_names(self, bint needs):
        self.reads_names = needs

    cdef bint wants_names(self) noexcept nogil:
        return self.reads_names or self.names_kept

    @property
    def names_later(self):
        """Whether names are only kept, so that those of features that are new can be read when they come."""
        return (self.names_kept and not self.reads_names and type(self) is Driver and self.transforms is None
                and not self.interactions.choice.removes)

    cdef int know(self, Block block, const Row* row, Example ex, bint learns) except -1 nogil:
        """Counts the features of an example, and names those that are new, if it is learned."""
        if not learns:
            return self.known.look(ex.features, ex.n)
        self.known.examples += 1
        self.known.n_numbers = 0
        return self.know_features(block, row, ex)

    cdef int know_features(self, Block block, const Row* row, Example ex) except -1 nogil:
        self.known.find(ex.features, ex.n)
        if self.known.n_missed:
            self.name_new(block, row, ex)
        if self.known.counts:
            self.known.count(ex.features, ex.n, self.known.first, self.known.examples)
        return 0

    cdef int name_new(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Names the new features of an example, which is a row of a block."""
        cdef size_t first = self.known.missed[0], last = self.known.missed[self.known.n_missed - 1]
        if ex.names == NULL and self.names_from is not None:
            if ex.features != ex.linear:      # products of any
                first, last = 0, row.n_features
            ex.names = self.names_from.names_of(block, row, first, last)
        return self.speller.spell(ex)

    cdef int look_up_many(self, Block block, size_t first, size_t n) except -1 nogil:
        """Looks up the features of rows that were learned together; has the names of new ones come from memory."""
        cdef size_t i, row
        self.known.find_rows(self.together, n)
        for i in range(self.known.n_missing_rows):
            row = self.known.missing_rows[i].row
            fetch_names(block, &block.rows[first + (row if self.skipped == NULL else self.places[row])])
        return 0

    cdef int know_many(self, Block block, size_t first, size_t n, Example ex) except -1 nogil:
        """Counts and names the features of rows that were run together, from the row `first` on."""
        cdef const SimpleExample* each = self.together
        cdef size_t i, row, at = 0
        if not self.training:
            for i in range(n):
                self.known.look(each[i].features, each[i].n)
            return 0
        self.look_up_many(block, first, n)
        for i in range(self.known.n_missing_rows):
            row = self.known.missing_rows[i].row
            if self.known.take_row(each, i) == 0:
                continue
            row = first + (row if self.skipped == NULL else self.places[row])
            ex.bind(block, &block.rows[row], self.constant)
            if self.expansions != NULL:
                use_crossing(self.crossed, self.expansions + row, ex)
            self.name_new(block, &block.rows[row], ex)
        if self.known.counts:         # when what they need has come from memory
            for i in range(n):
                self.known.count(each[i].features, each[i].n, at, self.known.examples + i + 1)
                at += each[i].n
        self.known.examples += n
        return 0

    @property
    def wants_variance(self):
        """Whether learners with a posterior compute the variance of each score."""
        return self.ex.known.wants_variance

    @wants_variance.setter
    def wants_variance(self, bint wants):
        self.ex.known.wants_variance = wants

    def run_block(self, Block block not None, const unsigned char[::1] skipped=None):
        """Runs the rows of a parsed block; `skipped` is 1 for each row that is not run."""
        cdef Example ex = self.ex
        if skipped is not None and skipped.shape[0] < <Py_ssize_t>block.n_rows:
            raise ValueError(f"{skipped.shape[0]} marks for {block.n_rows} rows")
        self.begin_block(block, NULL if skipped is None or not skipped.shape[0] else &skipped[0])
        try:
            if self.holds_gil:
                self.run(block, ex)
            else:
                with nogil:
                    self.run(block, ex)
        finally:
            self.end_block()

    cdef int begin_block(self, Block block, const unsigned char* skipped) except -1:
        """Prepares for the rows of a block."""
        cdef Crossing crossing = crossing_of(block, self.interactions)
        if crossing is not None:
            self.crossed, self.expansions = crossing.features, crossing.expansions
        self.skipped = skipped
        return 0

    cdef void end_block(self) noexcept nogil:
        self.crossed, self.expansions, self.skipped = NULL, NULL, NULL

    cdef int run(self, Block block, Example ex) except -1 nogil:
        return self.show(block, self.run_range(block, ex, 0, block.n_rows) if block.n_rows else 0)

    cdef size_t run_range(self, Block block, Example ex, size_t begin, size_t end) except? 0 nogil:
        """Runs rows from `begin` to `end`; returns where it stopped."""
        cdef size_t i = begin
        cdef Py_ssize_t n
        cdef const Row* row
        cdef bint together = self.runs_together(ex)
        while i < end and not self.done:
            if self.skipped != NULL and self.skipped[i]:
                i += 1
                continue
            if together:
                n = self.run_together(block, ex, i, end)
                together = n >= 0
                if n > 0:
                    i += n
                    continue
            row = &block.rows[i]
            i += 1
            if row.reason or row.warned:
                self.report(block, row, row.reason or row.warned, row.column)
            # VW counts empty lines towards --examples and the holdout
            if row.kind != ROW_PROBLEM:
                take_in(self)
            if self.effects is not None:
                self.look_ahead(block, i)
            if row.kind == ROW_EXAMPLE:
                self.one(block, row, ex)
        return i

    cdef int look_ahead(self, Block block, size_t i) except -1 nogil:
        """Has random effects fetch what the next row needs, the i-th or later."""
        while self.skipped != NULL and i < block.n_rows and self.skipped[i]:
            i += 1
        if i < block.n_rows and block.rows[i].kind == ROW_EXAMPLE:
            self.effects.look_ahead(block, &block.rows[i])
        return 0

    cdef bint runs_together(self, Example ex) noexcept nogil:
        """Whether ordinary rows can be run together: nothing has to look at each example."""
        return (self.scalar and self.transforms is None
                and (self.expansions != NULL or not self.interactions.active) and not self.vetting
                and self.finishers.n == 0 and not self.audits and self.refusal is None
                and (self.observer is None or self.observer.takes_many)
                and (self.gate is None or not self.training) and self.format.n_columns == 0
                and not ex.known.wants_variance and ex.known.interval == 0
                and not (self.holdout and self.holdout_share))

    cdef size_t most_together(self) noexcept nogil:
        """How many examples may follow before one that is held out or ends the pass."""
        cdef size_t most = ROWS_AT_ONCE
        if self.example_limit:
            most = min(most, self.example_limit - self.in_pass - 1)
        if self.holdout and self.holdout_after:
            most = min(most, self.holdout_after - min(self.in_pass, self.holdout_after))
        elif self.holdout:
            most = min(most, self.holdout_period - self.in_pass % self.holdout_period - 1)
        return most

    cdef Py_ssize_t run_together(self, Block block, Example ex, size_t i, size_t end) except -2 nogil:
        """Runs ordinary rows from the i-th on; returns how many, with skipped ones, and -1 if the stack can't."""
        cdef SimpleExample* each = self.together
        cdef const Row* row = &block.rows[i]
        cdef Given given
        cdef size_t n
        cdef Py_ssize_t done, k, last
        given.features, given.crossed = block.features, self.crossed
        given.expansions = NULL if self.expansions == NULL else self.expansions + i
        given.most, given.rows = self.most_together(), end - i
        given.skipped = NULL if self.skipped == NULL else self.skipped + i
        given.labelled, given.unlabelled = self.counters.weighted_labeled, self.counters.weighted_unlabeled
        given.below = INFINITY if self.quiet else self.dump_interval
        given.constant, given.learns = self.constant, self.training
        n = collect(row, &given, self.loss, each, self.places)
        if n == 0:
            return 0
        done = self.top.learn_many(each, n) if self.training else self.top.predict_many(each, n)
        if done == 0:
            return -1
        if self.known is not None:
            self.know_many(block, i, done, self.named)
        last = done - 1 if self.skipped == NULL else self.places[done - 1]
        self.in_pass += done
        self.source, self.line = source_of(block, row + last), block.first_line + row[last].line
        if self.counting:
            self.counters.count_many(each, done, self.constant)
        if self.observer is not None:
            self.observer.note_many(each, done, not (self.training or self.delayed))
        for k in range(done):
            row = &block.rows[i + (k if self.skipped == NULL else self.places[k])]
            if self.learned is not None and self.training:
                self.learned.text(block.text + row.text, row.text_length)
                self.learned.text(b"\n", 1)
            if self.predictions is None and self.raw_predictions is None and self.results is None:
                continue
            ex.prediction, ex.score = each[k].prediction, each[k].score
            ex.tag, ex.tag_length = block.text + row.tag, row.tag_length
            self.write(ex)
        return last + 1

    cdef int show(self, Block block, size_t n) except -1 nogil:
        """Passes the first n rows of a block, which were run, to `unmatched`."""
        if self.known is not None and self.known.full and not self.said_full:
            self.say_full()
        if self.unmatched is None or self.again:
            return 0
        return self.unmatched.look(block, n)

    cdef int say_full(self) except -1 nogil:
        """Reports once that no more names are kept."""
        self.said_full = True
        with gil:
            self.listener.remark(f"names of {self.known.n:,} features are kept, and no more (--names_limit)")
        return 0

    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Runs one example through the stack, the counters and the outputs."""
        cdef int reason = FINE
        self.source, self.line = source_of(block, row), block.first_line + row.line
        ex.bind(block, row, self.constant)
        ex.test_only = not ex.labelled or (self.holdout and is_held_out(self, block, row, 1))
        if self.transforms is not None:
            reason = self.transforms.apply(ex)
        if reason != FINE:
            pass
        elif self.expansions != NULL:
            use_crossing(self.crossed, self.expansions + (row - block.rows), ex)
        else:
            reason = self.interactions.expand(ex)
        if self.vetting and reason == FINE:
            reason = self.vetters.vet_all(ex)
        if reason != FINE:
            return self.report(block, row, reason, ex.problem_at - block.text - row.text + 1)
        return self.run_bound(block, row, ex)

    cdef int run_bound(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Runs an example whose features are there through the stack, the counters and the outputs."""
        cdef int reason = FINE
        cdef bint learns = self.training and not ex.test_only
        if ex.labelled and not (self.simple and takes(self.loss, ex.label)):
            reason = self.vet_label(ex)
            if reason == LABEL_FINITE:
                self.counters.left_out += learns
                learns = False
            elif reason != FINE:
                return self.report(block, row, reason,
                                   row.column if self.simple else ex.problem_at - block.text - row.text + 1)
        if self.refusal is not None and ex.labelled:
            return self.predictions.text(self.refusal.buffer, self.refusal.used)
        if self.gate is not None and learns and self.gate.is_shut():
            return self.turn_away()
        if self.audits:
            if learns and self.sees:
                self.loss.see(ex.label)   # as learning does: the prediction is the one that -p writes
            self.top.predict(ex)
            with gil:
                self.listener.audit(self, self.view())
            ex.weight = row.weight
        if learns and self.transforms is not None and self.transforms.learns:
            return self.learn_transformed(block, row, ex)
        if learns:
            self.learn_one(block, row, ex)
        else:
            if self.known is not None:
                self.know(block, row, ex, False)
            self.top.predict(ex)
        return self.note(block, row, ex)

    cdef int learn_transformed(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Predicts by the statistics so far, then lets them learn, and then the stack."""
        cdef int reason
        if self.sees:
            self.loss.see(ex.label)
        self.top.predict(ex)
        self.note(block, row, ex)
        ex.weight = row.weight
        self.transforms.learn(ex)
        reason = self.interactions.expand(ex)
        if self.vetting and reason == FINE:
            reason = self.vetters.vet_all(ex)
        if reason != FINE:
            return self.report(block, row, reason, ex.problem_at - block.text - row.text + 1)
        return self.learn_one(block, row, ex)

    cdef int learn_one(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Passes an example to the stack, and its line to where those learned are collected."""
        if self.known is not None:
            self.know(block, row, ex, True)
        self.top.learn(ex)
        if self.counts_from_one and self.classes.first == 0:
            self.count_from_zero()
        if self.learned is not None:
            self.learned.text(block.text + row.text, row.text_length)
            self.learned.text(b"\n", 1)
        return 0

    cdef int note(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Passes an example with its prediction to the counters and the outputs."""
        cdef size_t i
        if self.counting:
            self.counters.count(ex, self.constant)
            for i in range(self.finishers.n):
                self.finishers.finish_example(i, ex)
        if self.observer is not None:
            self.observer.note(ex, block, row, ex.test_only or not (self.training or self.delayed))
        return self.tell(ex)

    cdef int count_from_zero(self) except -1 nogil:
        """Reports that the label 0 has determined how classes are numbered."""
        self.counts_from_one = False
        with gil:
            self.listener.remark(f"the label 0 was found: classes are numbered {self.classes.limits()}")
        return 0

    cdef int vet_label(self, Example ex) except -1 nogil:
        """The Reason why the stack can't learn the label; reports when labels 0 and 1 are recognized as the classes."""
        cdef float negative = self.loss.negative
        cdef int reason = self.top.vet_label(ex, self.counting and (self.simple or self.training))
        if negative != negative and self.loss.negative == 0:
            with gil:
                self.listener.remark("the labels 0 and 1 are the two classes: 0 is the negative one")
        return reason

    cdef int turn_away(self) except -1 nogil:
        """Answers an example that the gate doesn't admit with an error; raises ModelError if there is no client."""
        with gil:
            if not self.answers:
                raise ModelError(self.gate.why())
            self.predictions.add(f"!error not learned: {self.gate.why()}\n".encode())
        return 0

    cdef int tell(self, Example ex) except -1 nogil:
        """Writes the prediction of an example, and a row of the table if it is due."""
        self.write(ex)
        if not self.quiet and self.counters.weighted_labeled + self.counters.weighted_unlabeled >= self.dump_interval:
            with gil:
                self.progress()
        return 0

    cdef int write(self, Example ex) except -1 nogil:
        """Writes the prediction of an example where predictions go."""
        if self.predictions is not None:
            self.format.write(ex, self.predictions)
        if self.raw_predictions is not None:
            self.format.write_raw(ex, self.raw_predictions)
        if self.results is not None:
            self.format.collect(ex, self.results)
        return 0

    cdef int progress(self) except -1:
        """Prints a row of the table; the next one is due when the weight has doubled, or as -P says."""
        cdef double weight = self.counters.weighted_labeled + self.counters.weighted_unlabeled
        cdef Example ex = self.ex
        label = label_cell(self.top.takes_label, ex, self.loss.as_vw)
        self.listener.row(self, label, self.format.cell(ex), ex.n_counted)
        self.counters.begin_row(self.holdout and self.current_pass)
        self.dump_interval = <float>weight + self.progress_step if self.progress_adds \
            else <float>weight * self.progress_step
        return 0

    cdef int report(self, Block block, const Row* row, int reason, size_t column) except -1 nogil:
        """Reports a line that is skipped, or with --vw_compat a malformed one that is used nevertheless."""
        cdef bint used = row.warned and reason == row.warned
        if self.again:
            return 0
        self.counters.problems += not used
        with gil:
            self.listener.problem(
                source_of(block, row), block.first_line + row.line, column, self.in_words(reason),
                PyBytes_FromStringAndSize(block.text + row.text, row.text_length), used,
            )
        return 0

    cdef str in_words(self, int reason):
        """The message of a Reason, with the limit that applies."""
        words = REASONS_IN_WORDS[reason]
        if reason == CROSSED_MANY:
            return words.format(limit=self.interactions.limit)
        return words.format(classes=self.top.classes.limits()) if reason in (CLASS_RANGE, CLASS_MANY) else words

    def figures(self):
        """Further metrics for the summary of a run, name -> number."""
        return {}

    def remarks(self):
        """Warnings about these metrics, for the end of a run."""
        return []

    def mark_best(self):
        """Marks the pass that has just ended as the best so far by its holdout loss."""

    def go_back(self):
        """Returns to the holdout metrics of the best pass, whose model was saved."""

    def before_save(self):
        """Passes counts of the driver to learners that save them, and what other threads have learned."""

    def catch_up(self):
        """Finishes the blocks that other threads work at."""

    def close(self):
        """Ends other threads; safe to call twice."""

    def run_text(self, Parser parser not None, Block block not None, const unsigned char[::1] text, size_t first_line,
                 bint answering=True):
        """Parses and runs complete lines (or multi-line examples), which end with LF; returns the number of lines.

        Predictions are written to the text buffers. With `answering`, errors of the gate are written there, too;
        otherwise they raise ModelError. The GIL is released. `first_line` is the number of the first line in messages.
        """
        cdef Example ex = self.ex
        block.wants_names = self.wants_names()
        block.first_line = first_line
        self.answers = answering
        if text.shape[0]:
            with nogil:
                self.run_bytes(parser, block, ex, <const char*>&text[0], text.shape[0])
        return block.n_lines if text.shape[0] else 0

    def run_some(self, Parser parser not None, Block block not None, const unsigned char[::1] text, size_t first_line,
                 double seconds):
        """As run_text(), for `seconds` and at most one piece longer; returns the numbers of lines and bytes run.

        A piece is PIECE bytes of complete examples, or one example if that is longer; pieces grow while each takes a
        small part of the time that is left.
        """
        cdef size_t at = 0, n = text.shape[0], size, lines = 0, aim = PIECE
        cdef double until, before, now
        cdef Example ex = self.ex
        block.wants_names = self.wants_names()
        self.answers = True
        if n == 0:
            return 0, 0
        with nogil:
            now = seconds_now()
            until = now + seconds
            while True:
                before = now
                size = self.piece(<const char*>&text[at], n - at, aim)
                block.first_line = first_line + lines
                self.run_bytes(parser, block, ex, <const char*>&text[at], size)
                lines += block.n_lines
                at += size
                now = seconds_now()
                if at == n or now >= until:
                    break
                if until - now > 8 * (now - before):
                    aim = min(2 * aim, LONGEST_PIECE)
                else:
                    aim = PIECE
        return lines, at

    cdef size_t piece(self, const char* text, size_t n, size_t aim) noexcept nogil:
        """The size of the next piece, complete lines, in bytes."""
        cdef const char* end = <const char*>memchr(text + aim - 1, 10, n - aim + 1) if n > aim else NULL
        return n if end == NULL else end + 1 - text

    cdef int run_bytes(self, Parser parser, Block block, Example ex, const char* text, size_t n) except -1 nogil:
        """Parses and runs complete examples in the block, which is that of `ex`."""
        block.reserve_text(n)
        memcpy(block.text, text, n)
        block.text_length = n
        parser.parse(block)
        return self.run(block, ex)

    def run_lines(self, Parser parser not None, lines, bint learning):
        """Parses lines (bytes, with or without line ends) and learns or only predicts; returns a list of predictions.

        A malformed line is reported after the lines before it were run. Raises ValueError for a line with a line end
        inside.
        """
        cdef Block block = Block()
        predictions = []
        block.first_line = 1
        block.wants_names = self.wants_names()
        lines = iter(lines)
        while chunk := self.chunk(lines):
            for line in chunk:
                if b"\n" in line[:len(line) - 1]:
                    raise ValueError("a line with a line end inside: give several lines as a list")
            text = b"".join([line if line.endswith(b"\n") else line + b"\n" for line in chunk])
            parse_text(parser, block, text)
            self.run_for_python(block, learning, predictions)
            block.first_line += len(chunk)
        return predictions

    def run_rows(self, Block block not None, bint learning):
        """Learns or only predicts the rows of a block made from Python objects; returns a list of predictions."""
        predictions = []
        self.run_for_python(block, learning, predictions)
        return predictions

    cdef int run_for_python(self, Block block, bint learning, list predictions) except -1:
        """Learns or only predicts the rows of a block, and appends the predictions, also if a row ends the run."""
        cdef Example ex = self.ex
        cdef bint training = self.training, counting = self.counting
        before = self.results
        self.training = self.counting = learning
        self.results = predictions
        try:
            if self.holds_gil or block.n_rows < FEW:
                self.run(block, ex)       # to release the GIL takes longer than a few rows
            else:
                with nogil:
                    self.run(block, ex)
        finally:
            self.format.finish(predictions)
            self.training, self.counting, self.results = training, counting, before
        return 0

    def chunk(self, lines):
        """The next lines, of complete examples; an empty list at the end."""
        return list(islice(lines, LINES_AT_ONCE))

    def one_example(self, text):
        """The lines (bytes) of a single example given as one text."""
        return [text]

    def place(self):
        """The place of the current example in the input, as the listener formats it."""
        return self.listener.place(self.source, self.line)

    def sensitivity(self, Parser parser not None, bytes line):
        """The stack's sensitivity to one line, None if it is not an example."""
        cdef Block block = Block()
        cdef Example ex = self.ex
        block.wants_names = self.wants_names()
        parse_text(parser, block, line + b"\n")
        if not self.simple:
            raise ValueError("sensitivity needs a line with a numeric label, and this stack learns classes")
        if block.n_rows != 1 or block.rows[0].kind != ROW_EXAMPLE:
            return None
        self.line = 1
        ex.bind(block, &block.rows[0], self.constant)
        if self.transforms is not None and self.transforms.apply(ex) != FINE:
            return None
        if self.interactions.expand(ex) != FINE:
            return None
        self.top.predict(ex)
        return self.top.sensitivity(ex)

    def end_pass(self):
        """Ends the counts of a pass; returns its holdout loss, or None if nothing was held out."""
        self.in_pass = 0
        self.current_pass += 1
        return self.counters.end_pass()

    def view(self):
        """The current example as Python values, for --audit and --invert_hash."""
        from vwlite.core.view import View
        cdef Example ex = self.ex
        cdef size_t j
        features = [(ex.features[j].hash, ex.features[j].value) for j in range(ex.n)]
        offset = 0
        prediction = ex.prediction
        if self.classes is not None:
            prediction = self.classes.value(ex.class_predicted)
            offset = (ex.class_predicted - self.classes.first) * self.top.step if prediction is not None else 0
        return View(groups_of(ex), features, self.constant, ex.tag[:ex.tag_length], prediction, offset)


cdef double seconds_now() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + 1e-9 * time.tv_nsec


cdef int parse_text(Parser parser, Block block, bytes text) except -1:
    """Parses complete lines from memory."""
    block.reserve_text(len(text))
    memcpy(block.text, <const char*>text, len(text))
    block.text_length = len(text)
    parser.parse(block)
    return 0


def parse(Parser parser not None, text, bint names=False):
    """Parses bytes into a block, with the `names` of features if asked; a missing last line end is added."""
    cdef Block block = Block()
    block.wants_names = names
    parse_text(parser, block, text if text.endswith(b"\n") or not text else text + b"\n")
    return block
