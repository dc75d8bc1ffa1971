"""Base class of the parsers of text. See source_parser.pxd."""


cdef class SourceParser(Parser):
    """Parser of what a reader reads.

    Args:
        reader: The reader of the sources.
        options: Of the run.
        entities: The namespaces whose features name entities.
    """

    def __init__(self, LineReader reader not None, options, entities):
        self.reader = reader
        reader.stopping = &self.stopping
        self.naming = Naming(options, entities)
        self.limit = options["max_line_bytes"]

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        return self.reader.fill(block, wait)

    cdef Readiness ready(self) noexcept nogil:
        return self.reader.ready()

    def close(self):
        """Closes the open source."""
        self.reader.close()
