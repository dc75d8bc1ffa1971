"""The base class of all parsers, and the ring buffer of blocks between parsing and learning threads."""
import threading

from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport calloc, free
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from vwlite.core.pthread cimport (
    pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_init, pthread_cond_t, pthread_cond_timedwait,
    pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t,
    pthread_mutex_trylock, pthread_mutex_unlock,
)
from vwlite.features.interactions cimport Crossing

cdef enum SlotState:
    FREE
    FILLED
    READY

cdef struct Shared:
    pthread_mutex_t reading           # held while input is read: keeps blocks in order
    pthread_mutex_t lock              # guards all below
    pthread_cond_t changed
    size_t filled                     # blocks filled so far
    size_t released                   # blocks that the learner has released
    bint ended, stopped, failed
    bint full                         # a parsing thread waits for free slots
    int* state                        # of each slot


cdef class Parser:
    """Base class of all formats."""

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        return ENDED

    cdef int parse(self, Block block) except -1 nogil:
        return 0

    cdef Readiness ready(self) noexcept nogil:
        """Whether fill would return without blocking."""
        return NEVER_WAITS

    cdef const NameSpan* names_of(self, Block block, const Row* row, size_t first, size_t last) except NULL nogil:
        with gil:                     # Feed asks no other parser than that of VW's text
            raise NotImplementedError("this format has its names in the block")


cdef class Ring:
    """A ring buffer of blocks between a parser and the learner.

    next() hands them out in order and returns None at the end. A block is given back by the call that hands out the
    `window`-th after it. With no workers everything happens in the calling thread. Each of `crossings`, of a stack
    whose features are crossed ahead, makes a Crossing for each block.
    """

    def __cinit__(self, Parser parser not None, size_t workers=1, bint names=False, crossings=(), size_t window=1):
        cdef Block block
        self.parser = parser
        self.window = max(window, 1)
        # blocks that are held are not free: a thread that waits for free ones is woken when half of them are
        self.size = 14 + 2 * self.window if workers else self.window
        self.workers = workers
        self.blocks = []
        self.threads = []
        self.line = 1
        cdef Shared* shared = <Shared*>calloc(1, sizeof(Shared))
        if shared == NULL:
            raise MemoryError
        self.shared = shared
        shared.state = <int*>calloc(self.size, sizeof(int))
        if shared.state == NULL:
            raise MemoryError
        pthread_mutex_init(&shared.reading, NULL)
        pthread_mutex_init(&shared.lock, NULL)
        pthread_cond_init(&shared.changed, NULL)
        for _ in range(self.size):
            block = Block()
            block.wants_names = names
            block.crossings = [make() for make in crossings]
            self.blocks.append(block)
        self.crosses = bool(block.crossings)
        self.parser_pointer = <void*>parser
        self.block_pointers = <void**>calloc(self.size, sizeof(void*))
        if self.block_pointers == NULL:
            raise MemoryError
        for i, one in enumerate(self.blocks):
            self.block_pointers[i] = <void*>one

    def __dealloc__(self):
        cdef Shared* shared = <Shared*>self.shared
        free(self.block_pointers)
        if shared != NULL:
            pthread_mutex_destroy(&shared.reading)
            pthread_mutex_destroy(&shared.lock)
            pthread_cond_destroy(&shared.changed)
            free(shared.state)
            free(shared)

    def start(self):
        """Starts the parsing threads."""
        for _ in range(self.workers):
            thread = threading.Thread(target=_work, args=(self,), name="vwlite-parser", daemon=True)
            thread.start()
            self.threads.append(thread)

    def take(self):
        """Returns the next block, with line numbers; None at the end."""
        cdef Block block = self.next()
        if block is not None and not block.numbered:
            if block.source != self.source:
                self.source = block.source
                self.line = 1
            block.first_line = self.line + block.lines_left_out
            self.line = block.first_line + block.n_lines
        return block

    def is_ready(self):
        """Whether take() would return a block at once."""
        cdef Shared* shared = <Shared*>self.shared
        cdef bint found
        pthread_mutex_lock(&shared.lock)
        found = is_there(shared, self.taken, self.taken % self.size)
        pthread_mutex_unlock(&shared.lock)
        return found

    def interrupt(self):
        """Makes take() return None soon; safe in a signal handler of the main thread."""
        self.interrupted = self.parser.stopping = True
        (<Shared*>self.shared).stopped = True

    def stop(self):
        """Stops and joins the parsing threads; safe to call twice."""
        cdef Shared* shared = <Shared*>self.shared
        self.parser.stopping = True
        pthread_mutex_lock(&shared.lock)
        shared.stopped = True
        pthread_cond_broadcast(&shared.changed)
        pthread_mutex_unlock(&shared.lock)
        for thread in self.threads:
            thread.join()
        self.threads.clear()

    cdef Block next(self):
        """The next block in order, or None at the end; raises the exception of a parsing thread."""
        cdef Shared* shared = <Shared*>self.shared
        cdef size_t slot = self.taken % self.size
        cdef timespec until
        cdef bint found = False
        cdef int helped
        with nogil:
            pthread_mutex_lock(&shared.lock)
            if self.held == self.window:
                shared.state[(self.taken - self.held) % self.size] = FREE
                shared.released += 1
                self.held -= 1
                # a thread that waits for free slots is woken when half of them are free: waking is slow
                if shared.full and 2 * (shared.filled - shared.released) <= self.size:
                    shared.full = False
                    pthread_cond_broadcast(&shared.changed)
            while True:
                found = is_there(shared, self.taken, slot)
                if found or is_over(shared, self.taken):
                    break
                pthread_mutex_unlock(&shared.lock)
                helped = advance(self, True)
                pthread_mutex_lock(&shared.lock)
                if helped != 1 and not is_there(shared, self.taken, slot) and not is_over(shared, self.taken):
                    # a bounded wait, so that signal handlers can run in the main thread
                    clock_gettime(CLOCK_REALTIME, &until)
                    until.tv_nsec += 50_000_000
                    if until.tv_nsec >= 1_000_000_000:
                        until.tv_nsec -= 1_000_000_000
                        until.tv_sec += 1
                    pthread_cond_timedwait(&shared.changed, &shared.lock, &until)
                    pthread_mutex_unlock(&shared.lock)
                    with gil:
                        PyErr_CheckSignals()
                    pthread_mutex_lock(&shared.lock)
            pthread_mutex_unlock(&shared.lock)
        if found:
            self.taken += 1
            self.held += 1
            return self.blocks[slot]
        if shared.failed:
            raise self.failure
        return None


cdef inline bint is_there(const Shared* shared, size_t taken, size_t slot) noexcept nogil:
    """Whether the next block is ready; after a failure it may be the one that could not be parsed."""
    return not shared.failed and shared.filled > taken and shared.state[slot] == READY


cdef inline bint is_over(const Shared* shared, size_t taken) noexcept nogil:
    """Whether there are no further blocks."""
    return shared.failed or shared.stopped or (shared.ended and shared.filled == taken)


cdef int advance(Ring ring, bint helping) except -2 nogil:
    """Fills and parses one block if there are input and a free slot: 1 done, 0 nothing to do now, -1 the end."""
    cdef Shared* shared = <Shared*>ring.shared
    cdef size_t slot
    cdef int got, readiness
    if helping and ring.workers:
        readiness = ring.parser.ready()
        if readiness == MUST_WAIT or (readiness == AT_HAND and pthread_mutex_trylock(&shared.reading)):
            return 0
        if readiness == NEVER_WAITS:
            pthread_mutex_lock(&shared.reading)
    else:
        # wait for a free slot before acquiring the reading lock: no thread waits for a slot while holding it
        pthread_mutex_lock(&shared.lock)
        while not helping and shared.filled - shared.released >= ring.size and not (shared.stopped or shared.failed):
            shared.full = True
            pthread_cond_wait(&shared.changed, &shared.lock)
        pthread_mutex_unlock(&shared.lock)
        pthread_mutex_lock(&shared.reading)
    pthread_mutex_lock(&shared.lock)
    if shared.ended or shared.stopped or shared.failed:
        got = -1
    else:
        got = shared.filled - shared.released < ring.size
    slot = shared.filled % ring.size
    pthread_mutex_unlock(&shared.lock)
    if got == 1 and helping and ring.workers and ring.parser.ready() == MUST_WAIT:
        got = 0
    if got != 1:
        pthread_mutex_unlock(&shared.reading)
        return got
    # the learning thread must not wait for input: blocks may become ready meanwhile
    got = fill_slot(ring, slot, not helping or ring.workers == 0)
    pthread_mutex_lock(&shared.lock)
    if got == WHOLE:
        shared.state[slot] = FILLED
        shared.filled += 1
    elif got == ENDED:
        shared.ended = True
    pthread_cond_broadcast(&shared.changed)
    pthread_mutex_unlock(&shared.lock)
    pthread_mutex_unlock(&shared.reading)
    if got != WHOLE:
        return -1 if got == ENDED else 0
    parse_slot(ring, slot)
    pthread_mutex_lock(&shared.lock)
    shared.state[slot] = READY
    pthread_cond_broadcast(&shared.changed)
    pthread_mutex_unlock(&shared.lock)
    return 1


# Called without the GIL and checked for errors afterwards: a learner in Python may hold it for long. Variables, as C
# may not call a function as one of another type.
ctypedef int (*Fill)(void*, void*, bint) noexcept nogil
ctypedef int (*Parse)(void*, void*) noexcept nogil

cdef int fill_of(Parser parser, Block block, bint wait) except -1 nogil:
    return parser.fill(block, wait)

cdef int parse_of(Parser parser, Block block) except -1 nogil:
    return parser.parse(block)

cdef Fill call_fill = <Fill>fill_of
cdef Parse call_parse = <Parse>parse_of

cdef extern from *:
    """
    static PyObject* vwl_pending(void) { return NULL; }
    """
    object pending "vwl_pending" ()   # raises the pending exception


cdef int fill_slot(Ring ring, size_t slot, bint wait) noexcept nogil:
    cdef int got = call_fill(ring.parser_pointer, ring.block_pointers[slot], wait)
    if got == FAILED:
        with gil:
            fail_by_pending(ring)
        got = ENDED
    return got


cdef int parse_slot(Ring ring, size_t slot) noexcept nogil:
    if call_parse(ring.parser_pointer, ring.block_pointers[slot]) == -1:
        with gil:
            fail_by_pending(ring)
    elif ring.crosses:
        with gil:
            cross_slot(ring, slot)
    return 0


cdef int cross_slot(Ring ring, size_t slot) except -1:
    cdef Block block = ring.blocks[slot]
    try:
        for crossing in block.crossings:
            (<Crossing>crossing).expand(block)
    except BaseException as error:
        fail(ring, error)
    return 0


cdef int fail_by_pending(Ring ring) except -1:
    """Stores the current exception for the learner."""
    try:
        pending()
    except BaseException as error:
        fail(ring, error)
    return 0


cdef int fail(Ring ring, object error) except -1:
    """Stores a thread's exception for the learner."""
    cdef Shared* shared = <Shared*>ring.shared
    pthread_mutex_lock(&shared.lock)
    if not shared.failed:
        ring.failure = error
        shared.failed = True
    pthread_cond_broadcast(&shared.changed)
    pthread_mutex_unlock(&shared.lock)
    return 0


def _work(Ring ring):
    with nogil:
        while advance(ring, False) >= 0:
            pass
