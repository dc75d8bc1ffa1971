"""Sides of a split: a number from 0 to 1 for each example, by what the example is and not by where it stands.

Design:
a) The side of an example with a tag is that of the tag. So all examples of a tag are on one side, in all data and all
   formats.
b) Without a tag it is that of its features and their values. The order of the features doesn't matter, and neither
   does the format: the same record has the same side as text, as JSON and in a table. Features go by their hashes, so
   --hash_seed, --hash and another column map make other sides. The label is left out: of examples with the same
   features, all those with one label would be on one side, and a model learned from the other labels alone.
c) A share of the examples is held out if their sides are above 1 - share: the last part of a split by tag.
"""
from libc.stdint cimport uint8_t, uint64_t

from vwlite.core.example cimport Block, Row

cdef double side_of_bytes(const uint8_t* text, size_t n) noexcept nogil
cdef double side_of_example(Block block, const Row* rows, size_t n) noexcept nogil
