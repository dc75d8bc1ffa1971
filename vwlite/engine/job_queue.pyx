"""The queue of blocks between the main thread and those of entities. Design notes are in job_queue.pxd."""
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport Block
from vwlite.core.outcome cimport NO_THREAD, Outcome
from vwlite.core.pthread cimport (
    pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_init, pthread_cond_signal, pthread_cond_t,
    pthread_cond_timedwait, pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
    pthread_mutex_t, pthread_mutex_unlock,
)

cdef enum:
    PATIENCE = 50_000_000             # nanoseconds, after which signals are looked for

cdef struct Shared:
    pthread_mutex_t lock              # guards all below
    pthread_cond_t given_one          # for the threads: there is a job, or the queue is closed
    pthread_cond_t done_one           # for the main thread: a job is done
    uint64_t given, returned          # jobs, so far
    uint64_t end                      # serial of the first row that is not to be learned
    size_t[MOST_JOBS] left            # threads that are not done with the job
    uint64_t* done                    # of each thread: jobs
    uint64_t* claimed                 # and the serial after the last row that it has begun
    bint closed


cdef class Job:
    """A block, its rows by threads, and their outcomes."""

    def __cinit__(self, size_t n_threads):
        self.block = Block()
        self.n_threads = n_threads
        self.begins = <size_t*>calloc(n_threads + 2, sizeof(size_t))
        if self.begins == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.begins)
        free(self.rows)
        free(self.outcomes)

    cdef int reserve(self, size_t n) except -1:
        """Allocate memory for n rows; the content is not preserved."""
        if n > self.capacity:
            resize(&self.outcomes, n, sizeof(Outcome), b"for the outcomes of a block")
            resize(&self.rows, n, sizeof(uint32_t), b"for the rows of a block")
            self.capacity = n
        return 0

    cdef void sort_rows(self) noexcept nogil:
        """List the rows of each thread, in order."""
        cdef size_t i
        cdef size_t* ends = self.begins + 1
        memset(self.begins, 0, (self.n_threads + 2) * sizeof(size_t))
        for i in range(self.n):
            if self.outcomes[i].thread != NO_THREAD:
                ends[self.outcomes[i].thread + 1] += 1
        for i in range(self.n_threads):
            ends[i + 1] += ends[i]
        for i in range(self.n):       # ends[t] begins as begins[t], and ends as begins[t + 1]
            if self.outcomes[i].thread != NO_THREAD:
                self.rows[ends[self.outcomes[i].thread]] = <uint32_t>i
                ends[self.outcomes[i].thread] += 1


cdef class JobQueue:
    """Queue of jobs for `n_threads` threads, each of which takes part in every job."""

    def __cinit__(self, size_t n_threads):
        cdef Shared* shared = <Shared*>calloc(1, sizeof(Shared))
        if shared == NULL:
            raise MemoryError
        self.shared = shared
        self.n_threads = n_threads
        self.jobs = [Job(n_threads) for _ in range(MOST_JOBS)]
        self.failures = []
        pthread_mutex_init(&shared.lock, NULL)
        pthread_cond_init(&shared.given_one, NULL)
        pthread_cond_init(&shared.done_one, NULL)
        shared.end = UINT64_MAX
        shared.done = <uint64_t*>calloc(n_threads + 1, sizeof(uint64_t))
        shared.claimed = <uint64_t*>calloc(n_threads + 1, sizeof(uint64_t))
        if shared.done == NULL or shared.claimed == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Shared* shared = <Shared*>self.shared
        if shared == NULL:
            return
        pthread_mutex_destroy(&shared.lock)
        pthread_cond_destroy(&shared.given_one)
        pthread_cond_destroy(&shared.done_one)
        free(shared.done)
        free(shared.claimed)
        free(shared)

    # by the main thread

    cdef size_t n_given(self) noexcept nogil:
        """Number of jobs that were given and not taken back; only the main thread changes it."""
        cdef Shared* shared = <Shared*>self.shared
        return shared.given - shared.returned

    cdef Job free_job(self):
        """The next job to give; there must be one."""
        return self.jobs[(<Shared*>self.shared).given % MOST_JOBS]

    cdef int give(self) except -1 nogil:
        """Give the job of free_job() to the threads."""
        cdef Shared* shared = <Shared*>self.shared
        pthread_mutex_lock(&shared.lock)
        shared.left[shared.given % MOST_JOBS] = self.n_threads
        shared.given += 1
        pthread_cond_broadcast(&shared.given_one)
        pthread_mutex_unlock(&shared.lock)
        return 0

    cdef bint is_done(self, bint wait) except -1 nogil:
        """Whether the oldest job is done; with `wait`, waits for that for a short time."""
        cdef Shared* shared = <Shared*>self.shared
        cdef timespec until
        cdef bint done
        pthread_mutex_lock(&shared.lock)
        done = shared.left[shared.returned % MOST_JOBS] == 0
        if not done and wait:
            clock_gettime(CLOCK_REALTIME, &until)
            until.tv_nsec += PATIENCE
            if until.tv_nsec >= 1_000_000_000:
                until.tv_nsec -= 1_000_000_000
                until.tv_sec += 1
            pthread_cond_timedwait(&shared.done_one, &shared.lock, &until)
            done = shared.left[shared.returned % MOST_JOBS] == 0
        pthread_mutex_unlock(&shared.lock)
        return done

    cdef Job take_back(self):
        """The oldest job, which is done; valid until the next one is given."""
        cdef Shared* shared = <Shared*>self.shared
        cdef Job job = self.jobs[shared.returned % MOST_JOBS]
        pthread_mutex_lock(&shared.lock)
        shared.returned += 1
        pthread_mutex_unlock(&shared.lock)
        return job

    cdef uint64_t end(self) noexcept nogil:
        """The serial of the first row that was not learned, after stop() or a failure."""
        cdef Shared* shared = <Shared*>self.shared
        cdef uint64_t end
        pthread_mutex_lock(&shared.lock)
        end = shared.end
        pthread_mutex_unlock(&shared.lock)
        return end

    cdef int stop(self) except -1 nogil:
        """End with the last row that a thread has begun."""
        cdef Shared* shared = <Shared*>self.shared
        cdef uint64_t last = 0
        cdef size_t i
        pthread_mutex_lock(&shared.lock)
        for i in range(self.n_threads):
            last = max(last, shared.claimed[i])
        shared.end = min(shared.end, last)
        pthread_mutex_unlock(&shared.lock)
        return 0

    def failure(self):
        """The exception of the first row that failed, None if none did."""
        return min(self.failures, key=lambda failure: failure[0])[1] if self.failures else None

    def close(self):
        """Let the threads end, at once."""
        cdef Shared* shared = <Shared*>self.shared
        pthread_mutex_lock(&shared.lock)
        shared.closed = True
        pthread_cond_broadcast(&shared.given_one)
        pthread_mutex_unlock(&shared.lock)

    # by a thread

    cdef int64_t next(self, size_t thread) noexcept nogil:
        """The number of the next job for a thread; waits for one. -1: the queue is closed."""
        cdef Shared* shared = <Shared*>self.shared
        cdef int64_t number = -1
        pthread_mutex_lock(&shared.lock)
        while shared.done[thread] == shared.given and not shared.closed:
            pthread_cond_wait(&shared.given_one, &shared.lock)
        if not shared.closed:
            number = shared.done[thread] % MOST_JOBS
        pthread_mutex_unlock(&shared.lock)
        return number

    cdef size_t claim(self, size_t thread, Job job, size_t at) noexcept nogil:
        """Claim rows of a job from the at-th of job.rows on; returns the end of those to run."""
        cdef Shared* shared = <Shared*>self.shared
        cdef size_t end = min(at + CLAIMED, job.begins[thread + 1])
        pthread_mutex_lock(&shared.lock)
        while end > at and (shared.closed or job.outcomes[job.rows[end - 1]].serial >= shared.end):
            end -= 1
        if end > at:
            shared.claimed[thread] = job.outcomes[job.rows[end - 1]].serial + 1
        pthread_mutex_unlock(&shared.lock)
        return end

    cdef void done(self, size_t thread) noexcept nogil:
        """A thread is done with its rows of the job."""
        cdef Shared* shared = <Shared*>self.shared
        cdef size_t slot
        pthread_mutex_lock(&shared.lock)
        slot = shared.done[thread] % MOST_JOBS
        shared.done[thread] += 1
        shared.left[slot] -= 1
        if shared.left[slot] == 0:
            pthread_cond_signal(&shared.done_one)
        pthread_mutex_unlock(&shared.lock)

    def fail(self, uint64_t serial, error):
        """A row failed: none after it is learned."""
        cdef Shared* shared = <Shared*>self.shared
        self.failures.append((serial, error))
        pthread_mutex_lock(&shared.lock)
        shared.end = min(shared.end, serial)
        pthread_mutex_unlock(&shared.lock)
