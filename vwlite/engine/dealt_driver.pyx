"""The driver of a run with several threads, each of which has the entities that are dealt to it (--threads).

Design:
a) The main thread deals the rows of a block to the threads, by the names of their entities (entities/dealing.pxd). As
   soon as all are done with a block, it passes its examples through the stack once more, in the order of the input, and
   the outcomes (core/outcome.pxd) are recalled there: for the range of labels, counts, rows of the table, predictions.
   So all sums have the same bits as those of one thread.
b) What an example's learning depends on, besides its entity, is decided while it is dealt: whether it is held out.
   Which of -1 and 0 labels the negative class is known once a run has met it; until then, one thread runs.
c) To be saved, entities go back into one table, in the order of the input. A run that goes on deals them again.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport isnan
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from vwlite.core.example cimport ROW_EXAMPLE, ROW_PROBLEM, Block, Example, Extent, NameSpan, Row, source_of
from vwlite.core.learner cimport Learner
from vwlite.core.outcome cimport NO_THREAD, Outcome
from vwlite.core.reasons cimport FINE
from vwlite.engine.driver cimport Driver, is_held_out, take_in
from vwlite.engine.entity_thread cimport EntityThread
from vwlite.engine.job_queue cimport MOST_JOBS, Job, JobQueue
from vwlite.entities.dealing cimport thread_of
from vwlite.features.interactions cimport Crossing, Interactions, crossing_of

from vwlite.core.learner import walk


cdef class DealtDriver(Driver):
    """Runs blocks of single-line examples, whose entities are dealt to threads.

    Args:
        top: The top of the stack.
        interactions: The choice of features.
        constant: Whether examples have the constant feature.
        n_threads: The number of threads.
        make: Function of the driver that returns, for each thread, the top of a stack, Interactions, and Transforms or
            None.
    """

    cdef uint32_t n_threads
    cdef object make
    cdef list threads
    cdef JobQueue queue
    cdef uint64_t serial              # of the next row
    cdef bint dealt                   # the entities are with the threads
    cdef bint ended, stopped          # --examples ended the pass; a signal stopped the threads
    cdef uint32_t namespace           # of the entities

    def __init__(self, Learner top not None, Interactions interactions not None, bint constant, n_threads, make):
        super().__init__(top, interactions, constant)
        self.n_threads, self.make = n_threads, make
        self.threads = []
        self.queue = JobQueue(n_threads)

    def run_block(self, Block block not None):
        """Deals the rows of a parsed block to the threads; its content is taken over, and run by catch_up() at last."""
        cdef Job job
        cdef Block taken
        cdef Crossing crossing
        if not self.dealt:
            if self.loss.two_classes and isnan(self.loss.negative):
                Driver.run_block(self, block)
                return
            self.deal()
        while self.queue.n_given() == MOST_JOBS or (self.queue.n_given() and self.queue.is_done(False)):
            self.take_back()
            if self.stopped:
                return
        job = self.queue.free_job()
        if block.crossings and not job.block.crossings:
            make = self.interactions.ahead()
            job.block.crossings = [make()]
        taken = job.block
        block.hand_over(taken)
        block.crossings, taken.crossings = taken.crossings, block.crossings
        crossing = crossing_of(taken, self.interactions)
        job.crossed, job.expansions = NULL, NULL
        if crossing is not None:
            job.crossed, job.expansions = crossing.features, crossing.expansions
        job.reserve(taken.n_rows)
        with nogil:
            self.deal_rows(job, taken)
            self.queue.give()

    def catch_up(self):
        """Finishes the blocks at hand, so that all that was learned is counted and written."""
        while self.queue.n_given():
            self.take_back()
        for thread in self.threads if self.transforms is not None else ():
            self.transforms.add_seen(thread.transforms)

    def end_pass(self):
        """Ends the counts of a pass; returns its holdout loss, or None if nothing was held out."""
        self.ended = False
        return Driver.end_pass(self)

    def before_save(self):
        """Gathers the entities, so that the stack can be saved."""
        if self.dealt:
            self.catch_up()
            for learner, *others in zip(walk(self.top), *[walk(thread.top) for thread in self.threads], strict=True):
                learner.end_threads(others)
            self.dealt = False
        Driver.before_save(self)

    def close(self):
        """Ends the threads; safe to call twice."""
        self.queue.close()
        for thread in self.threads:
            thread.join()

    def deal(self):
        """Deals the entities to the threads, and starts those."""
        cdef EntityThread thread
        if not self.threads:
            self.threads = [EntityThread(number, self.queue, *parts)
                            for number, parts in enumerate(self.make(self))]
            self.namespace = self.effects.effects[0].namespace
        self.serial = max(self.serial, *[learner.n_entities() or 0 for learner in walk(self.top)])
        for learner, *others in zip(walk(self.top), *[walk(thread.top) for thread in self.threads], strict=True):
            learner.begin_threads(others)
        self.dealt = True
        for thread in self.threads:
            thread.begin(self.training, self.constant, self.ex.known.wants_variance, self.loss.negative)

    cdef int deal_rows(self, Job job, Block block) except -1 nogil:
        """Decide which thread runs each row, and what is held out; no rows after the last that --examples wants."""
        cdef const Row* row
        cdef Outcome* outcome
        cdef size_t i = 0
        while i < block.n_rows and not self.done:
            row = &block.rows[i]
            outcome = &job.outcomes[i]
            memset(outcome, 0, sizeof(Outcome))
            outcome.serial = self.serial + i
            outcome.thread = NO_THREAD
            i += 1
            if row.kind != ROW_PROBLEM:
                take_in(self)
            if row.kind == ROW_EXAMPLE:
                outcome.test_only = isnan(row.label) or (self.holdout and is_held_out(self, block, row, 1))
                outcome.thread = self.thread_for(block, row)
        self.ended = self.done and self.example_limit > 0 and self.in_pass >= self.example_limit
        job.n = i
        job.first = self.serial
        self.serial += i
        job.sort_rows()
        return 0

    cdef int32_t thread_for(self, Block block, const Row* row) noexcept nogil:
        """The thread of the row's entity; without an entity, any will do, as nothing is learned."""
        cdef const Extent* extents = block.extents + row.extent
        cdef const NameSpan* name
        cdef size_t i, end
        for i in range(row.n_extents if block.names != NULL else 0):
            end = extents[i + 1].begin if i + 1 < row.n_extents else row.n_features
            if extents[i].hash == self.namespace and extents[i].begin < end:
                name = block.names + row.feature + extents[i].begin
                return <int32_t>thread_of(block.text + name.begin, name.length, self.namespace, self.n_threads)
        return <int32_t>((self.serial + (row - block.rows)) % self.n_threads)

    cdef int take_back(self) except -1:
        """Finish the oldest block at hand."""
        cdef Job job
        cdef bint done = False
        while True:
            with nogil:
                done = self.queue.is_done(True)
            if done:
                break
            PyErr_CheckSignals()
            if self.done and not self.ended and not self.stopped:
                self.stopped = True   # by a signal
                self.queue.stop()
        job = self.queue.take_back()
        with nogil:
            self.recall(job, job.block, self.ex)
        if self.queue.end() <= job.first + job.n and self.queue.failures:
            raise self.queue.failure()
        return 0

    cdef int recall(self, Job job, Block block, Example ex) except -1 nogil:
        """Pass the examples of a block through the stack, in order, with the outcomes of the threads."""
        cdef const Row* row
        cdef Outcome* outcome
        cdef uint64_t end = self.queue.end()
        cdef size_t i = 0
        while i < job.n and job.outcomes[i].serial < end:
            row = &block.rows[i]
            outcome = &job.outcomes[i]
            i += 1
            if row.reason or row.warned:
                self.report(block, row, row.reason or row.warned, row.column)
            if row.kind != ROW_EXAMPLE:
                continue
            self.source, self.line = source_of(block, row), block.first_line + row.line
            ex.bind(block, row, self.constant)
            ex.test_only = outcome.test_only
            ex.n_counted = outcome.n_counted
            if outcome.reason != FINE:
                self.report(block, row, outcome.reason, outcome.column)
                continue
            ex.outcome, ex.recalls = outcome, True
            self.run_bound(block, row, ex)
            ex.outcome, ex.recalls = NULL, False
        return self.show(block, i)
