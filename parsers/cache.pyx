"""Parsed examples on disk or in memory, for further passes and further runs.

A header (magic, length, JSON with what the cache was made from), then one record a block, then an end record. The
arrays of a block are stored as they lie in memory with a checksum and, unless names are wanted, without the text
but for tags and the beginnings of malformed lines. A cache belongs to the machine and version that wrote it.
"""
import os

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.unistd cimport lseek, read

from vwlite.example cimport (
    PADDING, ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Extent, Feature, NameSpan, Row, extent_name_length,
)
from vwlite.parser cimport ENDED, FAILED, FINE, REASONS, WHOLE, Filled, Parser

from vwlite.errors import VwliteError
from vwlite.paths import explain

cdef extern from "bytescan.h" nogil:
    uint64_t vwl_checksum(const void* data, size_t n, uint64_t sum)

MAGIC = b"vwlite cache 1\n\0"

cdef enum:
    RECORD = 0x6B636F6C               # starts a block
    LAST = 0x646E6521                 # the end: a cache without it is incomplete
    MOST = 1 << 31                    # items of one array
    BEGINNING = 200                   # bytes that are kept of a malformed line

cdef struct Head:
    uint64_t kind, n_rows, n_extents, n_features, text_length, names, source, first_line, checksum


class CacheWriter:
    """Writes blocks; with a path the file appears there on commit(), else the cache lives until the run ends.

    Raises VwliteError when it can't be written.
    """

    def __init__(self, path, key):
        import json
        import tempfile
        self.path = path
        try:
            if path is None:
                self.file = tempfile.TemporaryFile(prefix="vwlite-")
                self.part = None
            else:
                folder = os.path.dirname(os.path.realpath(path))
                os.makedirs(folder, exist_ok=True)
                self.part = os.path.realpath(path) + ".writing"
                self.file = open(self.part, "w+b")
        except OSError as error:
            self.fail(error)
        text = json.dumps(key).encode()
        self.start = len(MAGIC) + 8 + len(text)
        self.put(MAGIC + len(text).to_bytes(8, "little") + text)

    def fail(self, error):
        path = self.path or "the temporary folder"
        raise VwliteError(f"{path}: can't write the cache: {explain(error, path)}") from error

    def put(self, data):
        try:
            self.file.write(data)
        except OSError as error:
            self.fail(error)

    def write(self, Block block not None):
        """Append a parsed block."""
        cdef Head head
        cdef size_t i, kept = 0, n = 0
        cdef Row* row
        rows_bytes = bytearray(block.n_rows * sizeof(Row))
        cdef Row* rows = <Row*><char*>rows_bytes
        cdef bint names = block.names != NULL
        cdef char* text = NULL
        for i in range(block.n_rows):
            row = &rows[n]
            row[0] = block.rows[i]
            row.warned = 0
            n += 1
            if names:
                continue
            if row.kind == ROW_PROBLEM:
                row.tag_length = 0
                row.text_length = min(row.text_length, BEGINNING)
            else:
                row.text_length = 0
            kept += row.tag_length + row.text_length
        compact = bytearray(0 if names else kept)
        if not names:
            text = compact
            kept = 0
            for i in range(n):
                row = &rows[i]
                memcpy(text + kept, block.text + row.tag, row.tag_length)
                row.tag = <uint32_t>kept
                kept += row.tag_length
                memcpy(text + kept, block.text + row.text, row.text_length)
                row.text = <uint32_t>kept
                kept += row.text_length
        memset(&head, 0, sizeof(Head))
        head.kind = RECORD
        head.n_rows = n
        head.n_extents = block.n_extents
        head.n_features = block.n_features
        head.text_length = block.text_length if names else kept
        head.names = names
        head.source = block.source
        head.first_line = block.first_line
        texts = block.text[:block.text_length] if names else compact
        head.checksum = vwl_checksum(rows, n * sizeof(Row), head.first_line)
        head.checksum = vwl_checksum(block.extents, block.n_extents * sizeof(Extent), head.checksum)
        head.checksum = vwl_checksum(block.features, block.n_features * sizeof(Feature), head.checksum)
        if names:
            head.checksum = vwl_checksum(block.names, block.n_features * sizeof(NameSpan), head.checksum)
        head.checksum = vwl_checksum(<char*>texts, len(texts), head.checksum)
        self.put(<bytes>(<char*>&head)[:sizeof(Head)])
        self.put(memoryview(rows_bytes)[:n * sizeof(Row)])
        self.put(<bytes>(<char*>block.extents)[:block.n_extents * sizeof(Extent)])
        self.put(<bytes>(<char*>block.features)[:block.n_features * sizeof(Feature)])
        if names:
            self.put(<bytes>(<char*>block.names)[:block.n_features * sizeof(NameSpan)])
        self.put(texts)

    def commit(self, publish=True):
        """All is written; with `publish` and a path the file appears, otherwise only reread() sees it."""
        cdef Head head
        memset(&head, 0, sizeof(Head))
        head.kind = LAST
        self.put(<bytes>(<char*>&head)[:sizeof(Head)])
        try:
            self.file.flush()
            if self.part is not None:
                if publish:
                    os.replace(self.part, os.path.realpath(self.path))
                else:
                    os.unlink(self.part)
                self.part = None
        except OSError as error:
            self.fail(error)

    def discard(self):
        """The run failed: leave nothing behind."""
        self.file.close()
        if self.part is not None:
            os.unlink(self.part)
            self.part = None

    def reread(self):
        """A parser of what was written."""
        return CacheParser(self.path or "cache", os.dup(self.file.fileno()), self.start)


cdef class CacheParser(Parser):
    """Reads a cache back; raises VwliteError for a damaged one."""

    cdef int fd
    cdef uint64_t size                # of the file
    cdef object path

    def __cinit__(self):
        self.fd = -1

    def __init__(self, path, fd=-1, start=0):
        self.path = path
        if fd < 0:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            start = len(MAGIC) + 8 + int.from_bytes(os.pread(fd, 8, len(MAGIC)), "little")
        self.fd = fd
        self.size = os.fstat(fd).st_size
        lseek(self.fd, start, 0)

    @staticmethod
    def fits(path, key):
        """Whether there is a cache at path that was made from the same sources with the same options."""
        import json
        try:
            with open(path, "rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    return False
                length = int.from_bytes(file.read(8), "little")
                return length < 1 << 24 and json.loads(file.read(length)) == json.loads(json.dumps(key))
        except (OSError, ValueError):
            return False

    def close(self):
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        cdef Head head
        cdef uint64_t needed
        self.take(&head, sizeof(Head))
        if head.kind == LAST:
            return ENDED
        needed = (head.n_rows * sizeof(Row) + head.n_extents * sizeof(Extent) + head.text_length
                  + head.n_features * (sizeof(Feature) + (sizeof(NameSpan) if head.names else 0)))
        if (head.kind != RECORD or needed > self.size
                or head.n_rows > MOST or head.n_extents > MOST or head.n_features > MOST
                or head.text_length > MOST or head.names != block.wants_names):
            self.refuse()
        block.reserve_text(head.text_length)
        block.reserve_exactly(head.n_rows, head.n_extents, head.n_features)
        self.take(block.rows, head.n_rows * sizeof(Row))
        self.take(block.extents, head.n_extents * sizeof(Extent))
        self.take(block.features, head.n_features * sizeof(Feature))
        memset(<void*>(block.features + head.n_features), 0, PADDING * sizeof(Feature))
        if head.names:
            self.take(block.names, head.n_features * sizeof(NameSpan))
        self.take(block.text, head.text_length)
        block.text_length = head.text_length
        block.n_rows = head.n_rows
        block.n_extents = head.n_extents
        block.n_features = head.n_features
        block.n_lines = 0
        block.source = <uint32_t>head.source
        block.first_line = head.first_line
        block.numbered = True
        block.checksum = head.checksum
        return WHOLE

    cdef int parse(self, Block block) except -1 nogil:
        """Check that every position lies inside the block."""
        cdef size_t i, j
        cdef uint64_t before
        cdef const Row* row
        cdef const Extent* extent
        cdef uint64_t checksum = vwl_checksum(block.rows, block.n_rows * sizeof(Row), block.first_line)
        checksum = vwl_checksum(block.extents, block.n_extents * sizeof(Extent), checksum)
        checksum = vwl_checksum(block.features, block.n_features * sizeof(Feature), checksum)
        if block.names != NULL:
            checksum = vwl_checksum(block.names, block.n_features * sizeof(NameSpan), checksum)
        if vwl_checksum(block.text, block.text_length, checksum) != block.checksum:
            self.refuse()
        for i in range(block.n_rows):
            row = &block.rows[i]
            if (<uint64_t>row.feature + row.n_features + (row.kind == ROW_EXAMPLE) > block.n_features
                    or <uint64_t>row.extent + row.n_extents > block.n_extents
                    or <uint64_t>row.tag + row.tag_length > block.text_length
                    or <uint64_t>row.text + row.text_length > block.text_length
                    or not (row.kind <= ROW_EMPTY and row.reason == FINE
                            or row.kind == ROW_PROBLEM and FINE < row.reason < REASONS) or row.warned):
                self.refuse()
            before = 0
            for j in range(row.n_extents):
                extent = &block.extents[row.extent + j]
                if extent.begin < before or extent.begin > row.n_features:
                    self.refuse()
                if block.names != NULL and <uint64_t>extent.name + (extent_name_length(extent)) > block.text_length:
                    self.refuse()
                before = extent.begin
        if block.names != NULL:
            for i in range(block.n_features):
                if <uint64_t>block.names[i].begin + block.names[i].length > block.text_length:
                    self.refuse()
        return 0

    cdef int take(self, void* to, size_t n) except -1 nogil:
        """Exactly n bytes."""
        cdef size_t have = 0
        cdef ssize_t got
        while have < n:
            got = read(self.fd, <char*>to + have, n - have)
            if got < 0 and errno == EINTR:
                continue
            if got <= 0:
                self.refuse()
            have += got
        return 0

    cdef int refuse(self) except -1 nogil:
        with gil:
            raise VwliteError(f"{self.path}: the cache is damaged; make it anew with --kill_cache")
