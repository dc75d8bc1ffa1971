"""Output buffer of text. Design notes are in textbuffer.pxd."""
from libc.math cimport floorf, signbit
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport Example

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

cdef extern from "vwlite/core/digits.h" nogil:
    char* vwl_whole(char* to, uint32_t number)
    char* vwl_millionths(char* to, double size)

cdef double SMALL = 1e-4              # below this, six decimals show two significant digits at most


cdef class TextBuffer:
    """Output buffer that is filled without the GIL; the caller drains it once a block."""

    def __dealloc__(self):
        free(self.buffer)

    @property
    def size(self):
        """Number of bytes in the buffer."""
        return self.used

    def add(self, const unsigned char[::1] text):
        """Append bytes."""
        if text.shape[0]:
            self.text(<const char*>&text[0], text.shape[0])

    def drain(self):
        """Return the bytes in the buffer, and empty it."""
        text = PyBytes_FromStringAndSize(self.buffer, self.used)
        self.used = 0
        return text

    cdef int reserve(self, size_t n) except -1 nogil:
        if self.used + n > self.capacity:
            resize(&self.buffer, 2 * (self.used + n), 1)
            self.capacity = 2 * (self.used + n)
        return 0

    cdef int text(self, const char* what, size_t n) except -1 nogil:
        self.reserve(n)
        memcpy(self.buffer + self.used, what, n)
        self.used += n
        return 0

    cdef int tag(self, Example ex) except -1 nogil:
        """Append a blank and the tag, if there is one, and the line's end."""
        self.reserve(ex.tag_length + 2)
        if ex.tag_length:
            self.buffer[self.used] = b" "
            memcpy(self.buffer + self.used + 1, ex.tag, ex.tag_length)
            self.used += ex.tag_length + 1
        self.buffer[self.used] = b"\n"
        self.used += 1
        return 0

    cdef int number(self, float value) except -1 nogil:
        """Append a number in VW's format: whole numbers bare, others as %.6f; small ones in six digits, 9.87654e-05."""
        cdef double size = -value if value < 0 else value
        cdef bint few = size < 1e6                                # digits before the point
        cdef bint bare = few and <float><int>value == value
        cdef char* to
        self.reserve(64)
        if not few or (bare and signbit(value) and value == 0):   # also -0
            bare = floorf(value) == value
            self.used += vwl_print(self.buffer + self.used, 64, b"%.0f" if bare else b"%.6f", value)
            return 0
        if size < SMALL and not bare and not self.as_vw:
            self.used += vwl_print(self.buffer + self.used, 64, b"%.6g", value)
            return 0
        to = self.buffer + self.used
        to[0] = b"-"
        to += value < 0
        to = vwl_whole(to, <uint32_t>size) if bare else vwl_millionths(to, size)
        self.used = to - self.buffer
        return 0

    cdef int action(self, uint32_t action, float value) except -1 nogil:
        """Append an action of a decision and its value, in six significant digits: 2:0.0166667."""
        self.reserve(64)
        self.used += vwl_print(self.buffer + self.used, 32, b"%.0f:", action)
        self.used += vwl_print(self.buffer + self.used, 32, b"%g", value)
        return 0

    cdef int whole(self, uint32_t number) except -1 nogil:
        """Append a whole number."""
        self.reserve(32)
        self.used += vwl_print(self.buffer + self.used, 32, b"%.0f", number)
        return 0

    cdef int short_number(self, float value) except -1 nogil:
        """Append a number in six significant digits: 0.0166667."""
        self.reserve(32)
        self.used += vwl_print(self.buffer + self.used, 32, b"%g", value)
        return 0
