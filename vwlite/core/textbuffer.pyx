"""Output buffer of text. Design notes are in textbuffer.pxd."""
from libc.math cimport floorf, rint
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport Example

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

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
        cdef unsigned long long millionths
        cdef unsigned int whole, part
        cdef int i
        cdef char[12] digits
        self.reserve(64)
        if not size < 1e6 or floorf(value) == value:
            self.used += vwl_print(self.buffer + self.used, 64, b"%.0f" if floorf(value) == value else b"%.6f", value)
            return 0
        if size < SMALL and not self.as_vw:
            self.used += vwl_print(self.buffer + self.used, 64, b"%.6g", value)
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
