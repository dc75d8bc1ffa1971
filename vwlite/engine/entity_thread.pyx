"""Threads of entities: they run the rows that the main thread deals to them, and write outcomes (core/outcome.pxd)."""
import threading

from libc.stdint cimport int64_t

from vwlite.core.example cimport Block, Example, Row
from vwlite.core.learner cimport Learner
from vwlite.core.losses cimport takes
from vwlite.core.outcome cimport Outcome
from vwlite.core.reasons cimport FINE, LABEL_FINITE
from vwlite.engine.job_queue cimport Job, JobQueue
from vwlite.features.interactions cimport Interactions, use_crossing
from vwlite.input.transforms cimport Transforms

from vwlite.core.learner import vetters, walk
from vwlite.errors import VwliteError


cdef class EntityThread:
    """A thread with a stack of learners.

    Args:
        number: The number of the thread, from 0.
        queue: What it takes jobs from.
        top: The top of its stack.
        interactions: Its choice of features.
        transforms: Its transforms of features, or None.
    """

    def __init__(self, size_t number, JobQueue queue not None, Learner top not None, Interactions interactions not None,
                 Transforms transforms):
        self.number, self.queue, self.top = number, queue, top
        self.interactions, self.transforms = interactions, transforms
        self.loss = top.loss
        self.ex = Example()

    def begin(self, training, constant, wants_variance, negative):
        """Start the thread; `negative` is the label of the negative class, NaN if there is none."""
        self.vetters = vetters(self.top, False)
        self.training, self.constant = training, constant
        self.ex.known.wants_variance = wants_variance
        if negative == negative:
            self.loss.settle_on(negative)
        for learner in walk(self.top):
            learner.init_driver(self)
        if self.thread is None:
            thread = threading.Thread(target=self.work, name=f"vwlite-entities-{self.number}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise VwliteError(f"--threads: {error} after {self.number}: give fewer threads") from error
            self.thread = thread

    def join(self):
        """Wait for the end of the thread, after JobQueue.close()."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def work(self):
        """Run the rows of all jobs, until the queue is closed."""
        cdef int64_t number
        cdef Job job
        cdef Block block
        while True:
            with nogil:
                number = self.queue.next(self.number)
            if number < 0:
                return
            job = self.queue.jobs[number]
            block = job.block
            try:
                with nogil:
                    self.run(job, block, self.ex)
            except BaseException as error:
                self.queue.fail(self.serial, error)
            self.queue.done(self.number)

    cdef int run(self, Job job, Block block, Example ex) except -1 nogil:
        """Run the thread's rows of a job."""
        cdef size_t at = job.begins[self.number], last = job.begins[self.number + 1], end
        while at < last:
            end = self.queue.claim(self.number, job, at)
            if end == at:
                break
            while at < end:
                if self.effects is not None and at + 1 < last:
                    self.effects.look_ahead(block, &block.rows[job.rows[at + 1]])
                self.one(job, job.rows[at], block, ex)
                at += 1
        return 0

    cdef int one(self, Job job, size_t i, Block block, Example ex) except -1 nogil:
        """Run a row, and write its outcome; the same as Driver.one() does of it."""
        cdef const Row* row = &block.rows[i]
        cdef Outcome* outcome = &job.outcomes[i]
        cdef int reason = FINE
        cdef bint learns
        self.serial = outcome.serial
        ex.bind(block, row, self.constant)
        ex.outcome = outcome
        ex.test_only = outcome.test_only
        if self.transforms is not None:
            reason = self.transforms.apply(ex)
        if reason != FINE:
            pass
        elif job.expansions != NULL:
            use_crossing(job.crossed, job.expansions + i, ex)
        else:
            reason = self.interactions.expand(ex)
        if self.vetters.n and reason == FINE:
            reason = self.vetters.vet_all(ex)
        outcome.n_counted = <unsigned int>ex.n_counted
        if reason != FINE:
            outcome.reason = <unsigned char>reason
            outcome.column = ex.problem_at - block.text - row.text + 1
            return 0
        learns = self.training and not ex.test_only
        if ex.labelled and not takes(self.loss, ex.label):
            reason = self.top.vet_label(ex, False)
            if reason == LABEL_FINITE:
                learns = False
            elif reason != FINE:
                return 0              # the main thread reports it
        if learns:
            self.top.learn(ex)
        else:
            self.top.predict(ex)
        return 0
