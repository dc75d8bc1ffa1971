"""Tables of entities on their way to and from a model file, see table_io.pyx."""
from vwlite.entities.record cimport Record

cdef bint has_factor(Record* record, bint wanted) noexcept nogil
