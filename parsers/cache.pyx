"""Cache of parsed examples, on disk or in memory, for further passes and runs.

File format: a header (magic, length, JSON with the sources and options), one record for each block, an end record. A
block is packed (packing.pxd); of its text only tags and the beginnings of malformed lines are stored. If names are
needed, its arrays and all of its text are stored in their memory layout, with what is noted beside the features if
something looks at it (`noted` in the key). A cache is valid only on the machine that wrote it.

Caches of format 1, whose blocks all have the memory layout of version 0.1.0, can be read.
"""
import errno
import os
import stat
from contextlib import suppress

from libc.errno cimport EINTR
from libc.errno cimport errno as c_errno
from libc.math cimport isfinite, isnan
from libc.stdint cimport INT64_MAX, SIZE_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.unistd cimport lseek, read

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport (
    PADDING, ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, ROW_SHARED, Block, Choice, Extent, Feature, NameSpan, Noted, Row,
    extent_name_length,
)
from vwlite.core.reasons cimport FINE, REASONS
from vwlite.input.heads cimport check_lines
from vwlite.input.packing cimport pack, packed_room, unpack
from vwlite.input.parser cimport ENDED, FAILED, WHOLE, Filled, Parser

from vwlite.core.files import NewFile
from vwlite.core.paths import explain
from vwlite.core.types import LabelType
from vwlite.errors import VwliteError

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint64_t vwl_checksum(const void* data, size_t n, uint64_t sum)

FAMILY = b"vwlite cache "              # beginning of caches of all formats
MAGIC = FAMILY + b"2\n\0"

cdef enum:
    RECORD = 0x6B636F6C               # a block in its memory layout
    PACKED = 0x6B636170               # a packed block, and its texts
    LAST = 0x646E6521                 # the end: a cache without it is incomplete
    MOST = 0x80000000                 # items of one array; 1 << 31 would be negative
    BEGINNING = 200                   # bytes stored of a malformed line

cdef struct Head:
    uint64_t kind, n_rows, n_extents, n_features
    uint64_t text_length              # bytes of text; of a packed block, all bytes that follow
    uint64_t form                     # a packed block: how many of these are packed; others: see form_of()
    uint64_t source, first_line, checksum
    uint64_t n_choices                # missing in format 1

cdef struct Row1:                     # of format 1
    uint32_t feature, n_features, extent, n_extents, text, text_length, tag, tag_length, line
    float label, weight, initial, probability            # the label of a decision's row is the cost
    uint8_t kind, reason, warned, shared
    uint32_t column

# for tests: sizes in memory of a row, a namespace, a feature, a name, a choice, and what is noted
SIZES = (sizeof(Row), sizeof(Extent), sizeof(Feature), sizeof(NameSpan), sizeof(Choice), sizeof(Noted))


def checksum(const unsigned char[::1] data, unsigned long long before):
    """Checksum of bytes, continued from that of the bytes before."""
    return vwl_checksum(&data[0] if data.shape[0] else NULL, data.shape[0], before)


def require_place(path):
    """Raise VwliteError if a file at the path is no cache of vwlite, and so must not be replaced by one."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file, and a cache must be read again; name another file")
        with open(path, "rb") as file:
            head = file.read(len(FAMILY))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise VwliteError(f"{path}: can't use it as a cache: {explain(error, path)}") from error
    if head and head != FAMILY:
        raise VwliteError(f"{path}: is no cache of vwlite, and would be replaced; name another --cache_file")


def fitting(path, key):
    """Open the cache at path: (file descriptor, offset of the first record) if it was made from the same sources with
    the same options, None otherwise. The descriptor stays that of this cache, even if the path is replaced later.
    """
    import json
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        magic, length = os.pread(fd, len(MAGIC), 0), int.from_bytes(os.pread(fd, 8, len(MAGIC)), "little")
        if magic in MAGICS and length < 1 << 24:
            made_from = json.loads(os.pread(fd, length, len(MAGIC) + 8))
            if made_from == json.loads(json.dumps(MAGICS[magic](key))):
                found, fd = fd, -1
                return found, len(MAGIC) + 8 + length
    except (OSError, ValueError, RecursionError):
        pass
    finally:
        if fd >= 0:
            os.close(fd)
    return None


def of_today(key):
    """The key in its current format."""
    return key


def of_format_1(key):
    """The key in format 1, that of the first version of the parser."""
    if key["parser"] != 1:
        return None
    sources = [source[:3] if isinstance(source, list) else source for source in key["sources"]]
    kept = {name: value for name, value in key.items() if name not in ("parser", "multiline")}
    return kept | {"sources": sources}


MAGICS = {FAMILY + b"1\n\0": of_format_1, MAGIC: of_today}


class CacheWriter:
    """Writer of a cache: with a path, commit() moves the file there; otherwise the cache is deleted when the run ends.

    Raises VwliteError when it can't be written.
    """

    def __init__(self, path, key):
        import json
        import tempfile
        self.path = path
        self.key = key
        self.noted = "noted" in key
        self.new = None
        self.examples = 0
        self.room = bytearray()
        try:
            if path is None:
                self.file = tempfile.TemporaryFile(prefix="vwlite-")
            else:
                self.new = NewFile(path, through=False)
                self.file = open(os.dup(self.new.fd), "w+b")
        except (OSError, ValueError) as error:
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
        """Append a parsed block, before a stack processes it."""
        cdef Head head
        cdef size_t i, size, n = block.n_rows, kept
        rows_bytes = <bytes>(<char*>block.rows)[:n * sizeof(Row)]
        choices_bytes = <bytes>(<char*>block.choices)[:block.n_choices * sizeof(Choice)] if block.n_choices else b""
        cdef Row* rows = <Row*><char*>rows_bytes              # copies to modify
        cdef Choice* choices = <Choice*><char*>choices_bytes
        cdef bint names = block.names != NULL
        cdef size_t n_noted = block.n_noted if names and self.noted else 0
        for i in range(n):
            rows[i].warned = 0
            self.examples += rows[i].kind == ROW_EXAMPLE
        compact = b"" if names else compacted(block, rows, n, choices)
        kept = len(compact)
        memset(&head, 0, sizeof(Head))
        head.n_rows, head.n_extents, head.n_features = n, block.n_extents, block.n_features
        head.n_choices = block.n_choices
        head.source = block.source
        head.first_line = block.first_line
        size = packed_room(n, block.n_extents, block.n_features, block.n_choices) + kept
        if not names and len(self.room) < size:
            self.room = bytearray(size)
        packed = self.room
        size = 0 if names else pack(block, rows, n, <uint8_t*><char*>packed)
        if size:
            memcpy(<char*>packed + size, <char*>compact, kept)
            head.kind = PACKED
            head.form = size
            head.text_length = size + kept
            head.checksum = vwl_checksum(<char*>packed, size + kept, head.first_line)
            self.put(<bytes>(<char*>&head)[:sizeof(Head)])
            self.put(memoryview(packed)[:size + kept])
            return
        texts = block.text[:block.text_length] if names else compact
        pieces = [
            rows_bytes,
            <bytes>(<char*>block.extents)[:block.n_extents * sizeof(Extent)],
            <bytes>(<char*>block.features)[:block.n_features * sizeof(Feature)],
            *([<bytes>(<char*>block.names)[:block.n_features * sizeof(NameSpan)]] if names else []),
            choices_bytes,
            *([<bytes>(<char*>block.noted)[:n_noted * sizeof(Noted)]] if n_noted else []),
            texts,
        ]
        head.kind = RECORD
        head.text_length = len(texts)
        head.form = form_of(names, n_noted)
        head.checksum = head.first_line
        for piece in pieces:
            head.checksum = checksum(piece, head.checksum)
        self.put(<bytes>(<char*>&head)[:sizeof(Head)])
        for piece in pieces:
            self.put(piece)

    def commit(self, publish=True):
        """Finish the cache; with `publish` and a path the file appears, otherwise only reread() can read it.

        A cache without examples is deleted, and replaces no other.
        """
        cdef Head head
        memset(&head, 0, sizeof(Head))
        head.kind = LAST
        self.put(<bytes>(<char*>&head)[:sizeof(Head)])
        try:
            self.file.flush()
            if self.new is not None and publish and self.examples:
                self.new.commit()
        except OSError as error:
            self.fail(error)
        finally:
            if self.new is not None:
                self.new.discard()

    def discard(self):
        """Delete the temporary file of a run that failed."""
        with suppress(OSError):           # closing flushes, and the disk may be full
            self.file.close()
        if self.new is not None:
            self.new.discard()

    def reread(self):
        """Return a parser of the finished cache."""
        return CacheParser(self.path or "cache", self.file.fileno(), self.start, self.key)


cdef bytes compacted(Block block, Row* rows, size_t n, Choice* choices):
    """Compact the text: tags, names of choices and beginnings of malformed lines; sets their positions in the rows."""
    cdef size_t i, j, kept = 0
    cdef Row* row
    cdef char* text
    for i in range(n):
        row = &rows[i]
        if row.kind == ROW_PROBLEM:
            row.tag_length = 0
            row.text_length = min(row.text_length, BEGINNING)
        else:
            row.text_length = 0
        kept += row.tag_length + row.text_length
        for j in range(row.n_choices):
            kept += choices[row.choice + j].name_length
    compact = PyBytes_FromStringAndSize(NULL, kept)
    text = compact
    kept = 0
    for i in range(n):
        row = &rows[i]
        memcpy(text + kept, block.text + row.tag, row.tag_length)
        row.tag = <uint32_t>kept
        kept += row.tag_length
        for j in range(row.n_choices):
            memcpy(text + kept, block.text + choices[row.choice + j].name, choices[row.choice + j].name_length)
            choices[row.choice + j].name = <uint32_t>kept
            kept += choices[row.choice + j].name_length
        memcpy(text + kept, block.text + row.text, row.text_length)
        row.text = <uint32_t>kept
        kept += row.text_length
    return compact


cdef inline uint64_t form_of(bint names, size_t n_noted) noexcept nogil:
    """The form of a block in its memory layout: whether it has names, and how much is noted beside the features."""
    return <uint64_t>names | <uint64_t>n_noted << 1


cdef class CacheParser(Parser):
    """Reader of a cache, which was made from the sources and options of `key`.

    Raises VwliteError for a damaged cache, and for values that no text parses into: a cache is untrusted input.
    """

    cdef int fd
    cdef uint64_t size                # of the file
    cdef uint64_t n_sources
    cdef bint compat, multiline, first_format
    cdef bint simple, actions         # kind of labels
    cdef bint noted                   # something looks at what is noted beside the features
    cdef bint transforms              # features without a value have NaN, see transforms.pxd
    cdef object path

    def __cinit__(self):
        self.fd = -1

    def __init__(self, path, fd, start, key):
        self.path = path
        self.n_sources = len(key["sources"])
        self.compat = key["options"]["vw_compat"]
        self.multiline = key["multiline"]
        self.simple = key["labels"] == LabelType.SIMPLE.value
        self.transforms = "transforms" in key
        self.noted = "noted" in key
        self.actions = key["labels"] == LabelType.CONTEXTUAL_BANDIT.value
        self.fd = os.dup(fd)
        self.size = os.fstat(fd).st_size
        self.first_format = os.pread(self.fd, len(MAGIC), 0) == FAMILY + b"1\n\0"
        lseek(self.fd, start, 0)

    def close(self):
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        cdef Head head
        cdef uint64_t needed, packed = 0
        cdef size_t row = sizeof(Row1) if self.first_format else sizeof(Row)
        cdef uint8_t* rows
        cdef bint names
        cdef uint64_t n_noted = 0
        head.n_choices = 0
        self.take(&head, sizeof(Head) - (sizeof(uint64_t) if self.first_format else 0))
        if head.kind == LAST:
            return ENDED
        if (head.n_rows > MOST or head.n_extents > MOST or head.n_features > MOST or head.n_choices > MOST
                or head.text_length > MOST or head.source >= self.n_sources or head.first_line > INT64_MAX):
            self.refuse()
        if head.kind == PACKED and not self.first_format:
            # lower bounds: 2 bytes a row, 2 a choice, 1 a namespace, 2 a feature other than the constant
            needed = head.text_length
            packed = head.form
            if (packed == 0 or packed > needed or block.wants_names
                    or 2 * head.n_rows + head.n_extents + 2 * head.n_choices > packed or head.n_features > packed):
                self.refuse()
        elif head.kind == RECORD:
            names, n_noted = head.form & 1, head.form >> 1
            if names != block.wants_names or n_noted > (MOST if self.noted else 0):
                self.refuse()
            needed = (head.n_rows * row + head.n_extents * sizeof(Extent) + head.n_choices * sizeof(Choice)
                      + head.n_features * (sizeof(Feature) + (sizeof(NameSpan) if names else 0))
                      + n_noted * sizeof(Noted) + head.text_length)
        else:
            self.refuse()
        if needed > self.size:
            self.refuse()
        block.reserve_text(head.text_length)
        block.reserve_exactly(head.n_rows, head.n_extents, head.n_features)
        block.reserve_choices(head.n_rows if self.first_format else head.n_choices)
        if head.kind == RECORD:
            # rows of format 1 at the end of their buffer, so that parse() can expand them in place
            rows = <uint8_t*>block.rows + head.n_rows * (sizeof(Row) - row)
            self.take(rows, head.n_rows * row)
            self.take(block.extents, head.n_extents * sizeof(Extent))
            self.take(block.features, head.n_features * sizeof(Feature))
            if block.wants_names:
                self.take(block.names, head.n_features * sizeof(NameSpan))
            self.take(block.choices, head.n_choices * sizeof(Choice))
            grow(&block.noted, &block.noted_capacity, n_noted, sizeof(Noted))
            self.take(block.noted, n_noted * sizeof(Noted))
        memset(<void*>(block.features + head.n_features), 0, PADDING * sizeof(Feature))
        self.take(block.text, head.text_length)
        # for parse(), after the text: how many of its bytes are packed
        memset(block.text + head.text_length, 0, PADDING)
        memcpy(block.text + head.text_length, &packed, sizeof(packed))
        block.text_length = head.text_length
        block.n_rows = head.n_rows
        block.n_extents = head.n_extents
        block.n_features = head.n_features
        block.n_choices = head.n_choices
        block.n_noted = n_noted
        block.n_lines = 0
        block.source = <uint32_t>head.source
        block.first_line = head.first_line
        block.numbered = True
        block.checksum = head.checksum
        return WHOLE

    cdef int parse(self, Block block) except -1 nogil:
        """Unpack a block, or check that every position lies inside the block."""
        cdef size_t i, j
        cdef uint64_t before, packed, checksum
        cdef const Row* row
        cdef const Extent* extent
        cdef const Noted* noted
        cdef size_t size = sizeof(Row1) if self.first_format else sizeof(Row)
        memcpy(&packed, block.text + block.text_length, sizeof(packed))
        if packed:
            if (vwl_checksum(block.text, block.text_length, block.first_line) != block.checksum
                    or not unpack(block, <const uint8_t*>block.text, packed, packed)):
                self.refuse()
            return self.check(block)
        checksum = vwl_checksum(<uint8_t*>block.rows + block.n_rows * (sizeof(Row) - size), block.n_rows * size,
                                block.first_line)
        checksum = vwl_checksum(block.extents, block.n_extents * sizeof(Extent), checksum)
        checksum = vwl_checksum(block.features, block.n_features * sizeof(Feature), checksum)
        if block.names != NULL:
            checksum = vwl_checksum(block.names, block.n_features * sizeof(NameSpan), checksum)
        if not self.first_format:
            checksum = vwl_checksum(block.choices, block.n_choices * sizeof(Choice), checksum)
        if block.n_noted:
            checksum = vwl_checksum(block.noted, block.n_noted * sizeof(Noted), checksum)
        if vwl_checksum(block.text, block.text_length, checksum) != block.checksum:
            self.refuse()
        if self.first_format:
            self.convert(block)
        for i in range(block.n_rows):
            row = &block.rows[i]
            if (<uint64_t>row.feature + row.n_features + (row.kind == ROW_EXAMPLE) > block.n_features
                    or <uint64_t>row.extent + row.n_extents > block.n_extents
                    or <uint64_t>row.choice + row.n_choices > block.n_choices
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
        for i in range(block.n_choices):
            if <uint64_t>block.choices[i].name + block.choices[i].name_length > block.text_length:
                self.refuse()
        if block.names != NULL:
            for i in range(block.n_features):
                if <uint64_t>block.names[i].begin + block.names[i].length > block.text_length:
                    self.refuse()
        before = 0
        for i in range(block.n_noted):
            noted = &block.noted[i]
            if (not before <= noted.row < block.n_rows or not isfinite(noted.number)
                    or <uint64_t>noted.begin + noted.length + noted.text_length > block.text_length):
                self.refuse()
            before = noted.row
        return self.check(block)

    cdef void convert(self, Block block) noexcept nogil:
        """Convert rows of format 1, which lie at the end of their buffer, to current ones."""
        cdef size_t i
        cdef const Row1* olds = <const Row1*>(<uint8_t*>block.rows + block.n_rows * (sizeof(Row) - sizeof(Row1)))
        cdef Row1 old
        cdef Row row
        cdef Choice* choice
        for i in range(block.n_rows):
            memcpy(&old, olds + i, sizeof(Row1))
            memset(&row, 0, sizeof(Row))
            row.feature, row.n_features = old.feature, old.n_features
            row.extent, row.n_extents = old.extent, old.n_extents
            row.text, row.text_length, row.tag, row.tag_length = old.text, old.text_length, old.tag, old.tag_length
            row.line, row.column = old.line, old.column
            row.label, row.weight, row.initial = old.label, old.weight, old.initial
            row.kind, row.reason, row.warned = old.kind, old.reason, old.warned
            row.flags = ROW_SHARED if old.shared == 1 else old.shared << 1
            row.choice = <uint32_t>block.n_choices
            if self.actions and not isnan(old.label):
                choice = &block.choices[block.n_choices]
                memset(choice, 0, sizeof(Choice))
                choice.cost, choice.probability = old.label, old.probability
                row.n_choices, row.label = 1, 0
                block.n_choices += 1
            memcpy(block.rows + i, &row, sizeof(Row))

    cdef int check(self, Block block) except -1 nogil:
        """Validate a block: refuse numbers and multi-line examples that no text parses into."""
        cdef size_t i, j, problems = 0
        cdef const Row* row
        cdef const Choice* choice
        cdef uint32_t odd = 0
        for i in range(block.n_rows):
            row = &block.rows[i]
            problems += row.kind == ROW_PROBLEM
            odd |= <uint32_t>row.flags > (<uint32_t>ROW_SHARED if self.multiline else 0)
            odd |= (row.n_choices > 0) & ((self.simple != 0) | (row.kind != ROW_EXAMPLE) | (row.flags != 0))
            if row.kind == ROW_PROBLEM:
                continue
            if not self.simple:
                odd |= not (isnan(row.label) or row.label == 0) or row.initial != 0
                odd |= (self.multiline != 0) & (not (isfinite(row.weight) and row.weight >= 0))
            for j in range(row.n_choices):
                choice = &block.choices[row.choice + j]
                odd |= not (isnan(choice.cost) or isfinite(choice.cost))
                odd |= (self.actions != 0) & (not (0 < choice.probability <= 1 and isfinite(choice.cost)))
            if not self.compat:
                odd |= (not isnan(row.label) and not isfinite(row.label)) or not isfinite(row.initial)
                odd |= not (isfinite(row.weight) and row.weight >= 0)
        if not self.compat:
            for i in range(block.n_features):
                odd |= not (isfinite(block.features[i].value) or (self.transforms and isnan(block.features[i].value)))
        if self.multiline:
            # malformed lines were found when the cache was made
            check_lines(<const uint8_t*>block.text, block.rows, block.choices, block.n_rows, SIZE_MAX, False, False)
            for i in range(block.n_rows):
                problems -= block.rows[i].kind == ROW_PROBLEM
            odd |= problems != 0
        return self.refuse() if odd else 0

    cdef int take(self, void* to, size_t n) except -1 nogil:
        """Read exactly n bytes."""
        cdef size_t have = 0
        cdef ssize_t got
        while have < n:
            got = read(self.fd, <char*>to + have, n - have)
            if got < 0 and c_errno == EINTR:
                continue
            if got <= 0:
                self.refuse()
            have += got
        return 0

    cdef int refuse(self) except -1 nogil:
        with gil:
            raise VwliteError(f"{self.path}: the cache is damaged; rebuild it with --kill_cache")
