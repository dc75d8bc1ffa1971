"""Reads bytes from sources in order, into blocks of complete lines, or of multi-line examples ended by empty lines.

A block is passed on as soon as no more input is available, so that a user who types lines into a pipe gets each answer
at once, while a fast producer fills blocks of BLOCK_BYTES.
"""
import os
import stat

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, EAGAIN, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcpy, memmove
from posix.unistd cimport read as read_some

from vwlite.core.arrays cimport resize
from vwlite.input.parser cimport AT_HAND, ENDED, MUST_WAIT, NEVER_WAITS, NOT_NOW, WHOLE

from vwlite.errors import VwliteError
from vwlite.input.sources import open_source

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    int poll(pollfd*, unsigned long, int)


cdef class LineReader:
    """Reads `paths` one after the other ("-" is standard input); a last line without an end gets one."""

    def __cinit__(self, list paths, size_t limit, bint digest, bint decisions=False):
        self.paths = paths
        self.n_paths = len(paths)
        self.limit = limit
        self.digest_on = digest
        self.decisions = decisions
        self.records = []
        self.fd = -1

    def __dealloc__(self):
        free(self.carry)

    def close(self):
        """Closes the open source, without errors about unread data."""
        source, self.source, self.fd = self.source, None, -1
        if source is not None:
            try:
                source.close()
            except VwliteError:
                pass

    cdef bint open_next(self) except -1:
        """Opens the next source; returns False if there is none."""
        if self.index >= len(self.paths):
            return False
        self.source = open_source(self.paths[self.index])
        self.index += 1
        self.fd = self.source.fd
        self.regular = stat.S_ISREG(os.fstat(self.fd).st_mode)
        if self.digest_on:
            from hashlib import sha256
            self.digest = sha256()
        self.position = 0
        self.left_out = 0
        self.records.append({"name": self.source.name, "sha256": None, "bytes": 0})
        return True

    def progress(self):
        """Bytes on disk read from all sources so far."""
        source = self.source
        return self.finished + ((source.position() or 0) if source is not None else 0)

    cdef int close_source(self) except -1:
        """Records a source at its end, and raises errors of its decompressor."""
        source, self.source, self.fd = self.source, None, -1
        self.wants_close = False
        self.records[len(self.records) - 1]["bytes"] = self.position
        if self.digest_on:
            self.records[len(self.records) - 1]["sha256"] = self.digest.hexdigest()
        self.finished += source.size or 0
        source.close()
        return 0

    cdef Readiness ready(self) noexcept nogil:
        cdef pollfd question
        cdef bint more = self.index < self.n_paths
        # the next source may block, or be slow to open
        if self.fd < 0 or self.wants_close:
            return MUST_WAIT if more else NEVER_WAITS
        if self.regular:
            return AT_HAND if more else NEVER_WAITS
        question.fd = self.fd
        question.events = <short>POLLIN
        question.revents = 0
        return AT_HAND if poll(&question, 1, 0) > 0 else MUST_WAIT

    cdef ssize_t read(self, char* into, size_t n, bint wait) except -2 nogil:
        """Reads up to n bytes; 0 at the end; -1 if none are available and wait is off, or when stopping."""
        cdef pollfd question
        cdef ssize_t got
        question.fd = self.fd
        question.events = <short>POLLIN
        while not self.regular:
            question.revents = 0
            if poll(&question, 1, 100 if wait else 0) > 0:
                break
            if not wait or self.stopping[0]:
                return -1
            with gil:
                PyErr_CheckSignals()      # with --onethread this is the main thread, where signals are handled
        while True:
            got = read_some(self.fd, into, n)
            if got >= 0:
                return got
            if errno == EINTR:
                continue
            if errno == EAGAIN:
                return -1
            with gil:
                raise VwliteError(f"{self.source.name}: {os.strerror(errno)} while reading")

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        cdef size_t have, target, scanned
        cdef ssize_t got = 1
        cdef size_t whole = 0         # bytes up to the last line end, or empty line, inclusive
        block.truncated = block.begins = False
        if self.wants_close:
            with gil:
                self.close_source()
        if self.fd < 0:
            with gil:
                if not self.open_next():
                    return ENDED
        block.begins = self.position == 0 and self.carried == 0
        have = self.carried
        target = have + BLOCK_BYTES
        block.reserve_text(target + 1)
        memcpy(block.text, self.carry, have)
        self.carried = 0
        while have < target:
            got = self.read(block.text + have, target - have, wait and whole == 0)
            if got == -1:
                if whole:
                    break
                if self.stopping[0]:
                    return ENDED
                if not wait:
                    self.keep(block.text, have)
                    return NOT_NOW
                continue
            if got == 0:
                break
            if self.digest_on:
                with gil:
                    self.digest.update(<char[:got]>(block.text + have))
            if self.position == 0:
                self.refuse_packed(<const unsigned char*>block.text + have, got)
            self.position += got
            scanned = have
            have += got
            if self.skipping:
                have = self.skip_to_decision_end(block.text, have) if self.decisions \
                    else self.skip_to_line_end(block.text, have)
                scanned = 0
            whole = self.whole(block.text, scanned, have, whole)
            if have == target and not whole:
                if have > self.limit + 2 * self.decisions:
                    block.truncated = self.skipping = True
                    block.lines_left_out = self.left_out      # of what was skipped just before
                    self.left_out = 0
                    have = self.shorten(block.text, have)
                    break
                target = 2 * have
                block.reserve_text(target + 1)
        if got == 0:
            self.wants_close = True
            self.skipping = False
            if have == 0:
                return self.fill(block, wait)
        if got == 0 or block.truncated:
            if block.text[have - 1] != 10:
                block.text[have] = 10
                have += 1
            whole = have
        self.keep(block.text + whole, have - whole)
        block.text_length = whole
        block.source = <uint32_t>(self.index - 1)
        if not block.truncated:
            block.lines_left_out = self.left_out
            self.left_out = 0
        return WHOLE

    cdef int refuse_packed(self, const unsigned char* start, size_t n) except -1 nogil:
        """Raises VwliteError for bytes that are not text, such as compressed ones without the suffix in the name."""
        cdef bint odd = n > 0 and (start[0] < 9 or 13 < start[0] < 32 or start[0] > 126 and start[0] != 0xEF)
        # most text is recognized without importing the module that knows other formats
        odd = odd or memchr(start, 0, min(n, <size_t>8)) != NULL or n > 0 and memchr(b"%7ABGOPSv", start[0], 9) != NULL
        if odd:
            with gil:
                from vwlite.input.sniff import HEAD, require_text
                require_text(self.source.name, (<const char*>start)[:min(n, <size_t>HEAD)])
        return 0

    cdef size_t whole(self, const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil:
        """The position after the last complete line, or multi-line example, that ends in text[begin:end]."""
        if self.decisions:
            return last_empty_line(text, begin, end, otherwise)
        return last_line_end(text, begin, end, otherwise)

    cdef size_t shorten(self, char* text, size_t have) noexcept nogil:
        """Truncates a line over the limit whose end is not read yet to the beginning that messages show."""
        cdef size_t n = 64
        cdef char* end = <char*>memchr(text, 10, 64)
        if not self.decisions:
            return n
        if end != NULL:
            n = end + 1 - text
        self.line_begun = end == NULL
        self.skip_to_decision_end(text + n, have - n)
        self.left_out -= end == NULL  # that line is shown
        return n

    cdef size_t skip_to_decision_end(self, char* text, size_t have) noexcept nogil:
        """Drops the rest of a multi-line example over the limit, with its empty line; returns the bytes left."""
        cdef size_t i
        for i in range(have):
            if text[i] == 10:
                self.left_out += 1
                if not self.line_begun:
                    self.skipping = False
                    have -= i + 1
                    memmove(text, text + i + 1, have)
                    return have
                self.line_begun = False
            elif text[i] != 13:
                self.line_begun = True
        return 0

    cdef size_t skip_to_line_end(self, char* text, size_t have) noexcept nogil:
        """Drops the rest of a line over the limit; returns the number of bytes left."""
        cdef char* end = <char*>memchr(text, 10, have)
        if end == NULL:
            return 0
        self.skipping = False
        have -= end + 1 - text
        memmove(text, end + 1, have)
        return have

    cdef int keep(self, const char* text, size_t n) except -1 nogil:
        """Stores the beginning of a line for the next block."""
        if n > self.carry_capacity:
            resize(&self.carry, n, 1, b"for a line")
            self.carry_capacity = n
        memcpy(self.carry, text, n)
        self.carried = n
        return 0


cdef size_t last_empty_line(const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil:
    """The position after the last empty line that ends in text[begin:end]; a line begins at text[0]."""
    cdef size_t before
    while end > begin:
        if text[end - 1] == 10:
            before = end - 1
            if before and text[before - 1] == 13:
                before -= 1
            if before == 0 or text[before - 1] == 10:
                return end
        end -= 1
    return otherwise


cdef size_t last_line_end(const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil:
    """The position after the last line end in text[begin:end]."""
    while end > begin:
        if text[end - 1] == 10:
            return end
        end -= 1
    return otherwise
