"""Packs parsed lines into few bytes, for caches.

Design:
a) Data that equal those of the previous line (namespaces, label, next line number) take a bit, defaults (weight 1, no
   tag) take none. A hash seen recently in the block, or slightly larger than the previous one (as of names that are
   numbers), takes 11 bits, any other 4 bytes. A value 1 takes none, a short decimal number 1 or 2 bytes.
b) Packing is lossless: numbers are restored bit for bit. A block of unusual form is not packed.
c) Each block is self-contained, so that several can be unpacked at once.
"""
from libc.stdint cimport uint8_t

from vwlite.core.example cimport Block, Row

# bytes that suffice for so much
cdef size_t packed_room(size_t rows, size_t extents, size_t features, size_t choices) noexcept nogil

# Packs the rows, and the block's extents, features and choices; of each row tag, names of choices and text have to lie
# behind those of the row before. Returns how many bytes were written, 0 if the block can't be packed.
cdef size_t pack(Block block, const Row* rows, size_t n, uint8_t* to) noexcept nogil

# Fills the arrays of a block, whose numbers of rows, extents, features and choices are set; texts begin at `text`.
# Returns whether these bytes are a packed block of such numbers. PADDING bytes behind them have to be readable.
cdef bint unpack(Block block, const uint8_t* at, size_t size, size_t text) noexcept nogil
