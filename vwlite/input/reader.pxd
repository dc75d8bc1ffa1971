"""Reads bytes from sources in order, into blocks of complete lines or multi-line examples."""
from vwlite.core.example cimport Block
from vwlite.input.parser cimport FAILED, Filled, Readiness

cdef enum:
    BLOCK_BYTES = 1 << 17

cdef class LineReader:
    cdef list paths
    cdef object source, digest        # the open source; its sha256 so far, or None
    cdef public list records          # of each source: name, bytes, sha256
    cdef bint digest_on, regular, wants_close
    cdef int fd
    cdef size_t index, n_paths        # of the source to open next, of all
    cdef char* carry                  # the line begun in the last block
    cdef size_t carried, carry_capacity
    cdef size_t limit                 # longest line, bytes
    cdef bint decisions               # blocks and the limit are of multi-line examples, which end at empty lines
    cdef bint skipping                # the rest of a line or multi-line example over the limit
    cdef bint line_begun              # of the skipped lines
    cdef size_t left_out              # lines skipped
    cdef const bint* stopping         # of the parser that reads
    cdef size_t position, finished
    cdef Filled fill(self, Block block, bint wait) except FAILED nogil
    cdef Readiness ready(self) noexcept nogil
    cdef bint open_next(self) except -1
    cdef int close_source(self) except -1
    cdef ssize_t read(self, char* into, size_t n, bint wait) except -2 nogil
    cdef size_t whole(self, const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil
    cdef size_t shorten(self, char* text, size_t have) noexcept nogil
    cdef size_t skip_to_decision_end(self, char* text, size_t have) noexcept nogil
    cdef size_t skip_to_line_end(self, char* text, size_t have) noexcept nogil
    cdef int keep(self, const char* text, size_t n) except -1 nogil
    cdef int refuse_packed(self, const unsigned char* start, size_t n) except -1 nogil
