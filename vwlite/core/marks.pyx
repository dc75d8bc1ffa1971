"""Search of a text for what makes a line of the daemon's protocol special."""
from libc.stdint cimport uint8_t

cdef extern from "vwlite/core/bytescan.h" nogil:
    bint vwl_has_marks(const uint8_t* text, size_t n)


def has_marks(const unsigned char[::1] text):
    """Whether a text has a NUL byte, "!", "{" or the word "save": one pass, many times as fast as bytes.find()."""
    return bool(text.shape[0] and vwl_has_marks(&text[0], text.shape[0]))
