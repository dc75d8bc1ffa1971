"""Names and statistics of the features that a model has learned from. Design notes are in known.pxd."""
import hashlib

from libc.float cimport FLT_MAX
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport Feature

from vwlite.core.options import Option, OptionGroup

cdef extern from "vwlite/features/known.h" nogil:
    const size_t VWL_KNOWN_AHEAD
    void vwl_foresee(const vwl_known* known, const void* features, size_t n)
    size_t vwl_find_missed(const vwl_known* known, const void* features, size_t n, uint32_t* missed)
    size_t vwl_find_numbers(const vwl_known* known, const void* features, size_t n, uint32_t* numbers, uint32_t* missed)
    void vwl_count(const vwl_known* known, const void* features, size_t n, const uint32_t* numbers, uint64_t example)
    size_t vwl_unknown(const vwl_known* known, const void* features, size_t n)
    uint32_t vwl_known_number(const vwl_known* known, uint32_t hash)
    vwl_known_entry* vwl_more_place(const vwl_known* known, uint32_t hash)
    void vwl_begin_cells(vwl_known* known)
    bint vwl_put(vwl_known* known, uint32_t hash, uint32_t number)
    void vwl_split(const vwl_known* known, vwl_known* wider)

OPTIONS = OptionGroup("Names of features", (
    Option("names", str, "keep the names of features that were learned in the model: on; with their counts, ranges and "
           "last examples: stats; as salted digests only: hashed; or no names: off",
           default="off", choices=("on", "stats", "hashed", "off"), keep=True, vw_forgets=True,
           needs=("learning",)),
    Option("names_limit", int, "keep the names of at most N features", default=1_000_000, least=1, most=1 << 28,
           keep=True, vw_forgets=True, metavar="N", needs=("names=on", "names=stats", "names=hashed")),
    Option("names_salt", str, "a file with the salt of --names hashed, which no model stores; without it the "
           "environment variable VWLITE_NAMES_SALT has it", metavar="FILE", file="read", needs=("names=hashed",)),
), examples=(
    "vwlite data.vw --names stats --names_limit 100000 -f model",
    "vwlite data.vw --names hashed --names_salt salt.key -f model",
))

cdef enum:
    FIRST_BUCKETS_LOG = 8
    FIRST_MORE = 64                   # features beside the buckets, at most half as many
    MOST_IN_A_BUCKET = 4              # on average
    LONGEST_NAME = 1000               # bytes that are stored of one

SHORTENED = b"..."
DIGEST_BYTES = 8
CHECKED = b"vwlite: is it the same salt?"
SIZES = {"U8": 1, "U32": 4, "F32": 4, "U64": 8}

# arrays of a model: name -> type; without statistics, those of names only
ARRAYS = {"state": "U64", "hash": "U32", "end": "U64", "text": "U8", "count": "U64", "last": "U64", "low": "F32",
          "high": "F32"}


def digest_of(bytes salt not None, bytes text not None):
    """The digest of a name under a salt, in hexadecimal digits (BLAKE2b with a key, RFC 7693)."""
    return hashlib.blake2b(text, key=hashlib.sha256(salt).digest(), digest_size=DIGEST_BYTES).hexdigest().encode()


cdef class KnownFeatures:
    """The features that a model has learned from, with their names and statistics.

    Args:
        limit: The most features that are kept.
        counts: Whether to keep statistics.
        salt: Names are stored as digests with this salt; None: as they are.
        numbered: Whether the numbers of features are found, as for statistics.
    """

    def __init__(self, size_t limit, bint counts=True, bytes salt=None, bint numbered=False):
        self.limit, self.counts, self.salt, self.numbered = limit, counts, salt, numbered or counts
        self.digests = salt is not None
        self.whole = True
        self.table.shift = 33 - FIRST_BUCKETS_LOG
        self.widen()
        self.reserve(1)

    def __dealloc__(self):
        free(self.memory)
        free(self.table.numbers)
        free(self.table.more)
        free(self.table.seen)
        free(self.hashes)
        free(self.ends)
        free(self.text)
        free(self.missing)
        free(self.missing_rows)
        free(self.numbers)

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate what is by number for n features."""
        grow(&self.hashes, &self.capacity, n, sizeof(uint32_t))
        grow(&self.ends, &self.end_capacity, n, sizeof(uint64_t))
        if self.counts:
            grow(&self.table.seen, &self.seen_capacity, n, sizeof(vwl_seen))
        return 0

    cdef int reserve_found(self, size_t n, size_t n_rows) except -1 nogil:
        """Allocate what is found of n features more of some rows."""
        if self.numbered and self.n_numbers + n > self.number_capacity:
            grow(&self.numbers, &self.number_capacity, self.n_numbers + n, sizeof(uint32_t))
        if n >= self.missing_capacity:
            grow(&self.missing, &self.missing_capacity, n + 1, sizeof(uint32_t))
        if n_rows > self.missing_row_capacity:
            grow(&self.missing_rows, &self.missing_row_capacity, n_rows, sizeof(MissingRow))
        return 0

    cdef int find(self, const Feature* features, size_t n) except -1 nogil:
        self.reserve_found(n, 1)
        self.first, self.missed = self.n_numbers, self.missing
        if self.is_wide():
            vwl_foresee(&self.table, features + VWL_KNOWN_AHEAD, n)
        self.n_missed = self.look_up(features, n, 0)
        return self.settle(features) if self.n_missed else 0

    cdef size_t look_up(self, const Feature* features, size_t n, size_t at) noexcept nogil:
        """Appends the numbers of features; writes the indices of those no bucket has to missing[at:]."""
        if not self.numbered:
            return vwl_find_missed(&self.table, features, n, self.missing + at)
        self.n_numbers += n
        return vwl_find_numbers(&self.table, features, n, self.numbers + self.n_numbers - n, self.missing + at)

    cdef int find_rows(self, const SimpleExample* rows, size_t n) except -1 nogil:
        cdef size_t i, end, found, first, length = 0, at = 0
        self.n_numbers = self.n_missing_rows = 0
        for i in range(n):
            length += rows[i].n
        self.reserve_found(length, n)
        if self.is_wide():            # all of it is on its way from memory before any is needed
            for i in range(n):
                vwl_foresee(&self.table, rows[i].features, rows[i].n)
        i = 0
        while i < n:
            end, length = i + 1, rows[i].n
            while end < n and rows[end].features == rows[i].features + length:
                length += rows[end].n
                end += 1
            first = self.n_numbers
            found = self.look_up(rows[i].features, length, at)
            self.allot(rows, i, at, found, first)
            at += found
            i = end
        return 0

    cdef int allot(self, const SimpleExample* rows, size_t i, size_t at, size_t n, size_t first) noexcept nogil:
        """Divides n missed features among the adjacent rows from the i-th on."""
        cdef MissingRow* row = self.missing_rows
        cdef size_t k, begin = 0
        for k in range(at, at + n):
            while self.missing[k] >= begin + rows[i].n:
                begin += rows[i].n
                i += 1
            if self.n_missing_rows == 0 or self.missing_rows[self.n_missing_rows - 1].row != i:
                row = &self.missing_rows[self.n_missing_rows]
                row.row, row.begin, row.first = <uint32_t>i, <uint32_t>k, first + begin
                self.n_missing_rows += 1
            self.missing[k] -= <uint32_t>begin
            row.end = <uint32_t>(k + 1)
        return 0

    cdef int take_row(self, const SimpleExample* rows, size_t k) noexcept nogil:
        """Go to a row that was found to miss some; the number of its features that are new."""
        cdef const MissingRow* missing = &self.missing_rows[k]
        self.first, self.missed = missing.first, self.missing + missing.begin
        self.n_missed = missing.end - missing.begin
        self.settle(rows[missing.row].features)
        return <int>self.n_missed

    cdef int settle(self, const Feature* features) noexcept nogil:
        """Looks features that were missed up where some are that no bucket has, or that are new by now."""
        cdef size_t i, n = 0
        cdef uint32_t number
        for i in range(self.n_missed):
            number = vwl_known_number(&self.table, features[self.missed[i]].hash)
            if number == 0:
                self.missed[n] = self.missed[i]
                n += 1
            elif self.numbered:
                self.numbers[self.first + self.missed[i]] = number
        if n and self.n >= self.limit:
            self.full, self.whole = True, False
            n = 0
        self.n_missed = n
        return 0

    cdef int count(self, const Feature* features, size_t n, size_t first, uint64_t example) noexcept nogil:
        vwl_count(&self.table, features, n, self.numbers + first, example)
        return 0

    cdef int look(self, const Feature* features, size_t n) noexcept nogil:
        self.looked += n
        self.unknown += vwl_unknown(&self.table, features, n)
        return 0

    cdef int add(self, const Feature* features, size_t i, const char* name, size_t length) except -1 nogil:
        cdef uint32_t hash = features[i].hash
        # a lone one is new; another may have come before in the same example
        cdef uint32_t number = 0 if self.n_missed == 1 else vwl_known_number(&self.table, hash)
        if number == 0:
            if self.n >= self.limit:
                self.full, self.whole = True, False
                return 0
            if self.digests:
                with gil:
                    self.insert_digest(hash, name[:length])
            else:
                self.insert(hash, name, length)
            number = <uint32_t>self.n
        if self.numbered:
            self.numbers[self.first + i] = number
        return 0

    cdef int insert_digest(self, uint32_t hash, bytes name) except -1:
        """Stores a new feature by the digest of its name."""
        cdef bytes digest = digest_of(self.salt, name)
        return self.insert(hash, digest, len(digest))

    cdef int insert(self, uint32_t hash, const char* name, size_t length) except -1 nogil:
        """Stores a new feature; a long name is shortened."""
        cdef uint64_t end = self.ends[self.n - 1] if self.n else 0
        cdef size_t cut = length
        cdef vwl_seen* seen
        self.reserve(self.n + 1)
        if length > LONGEST_NAME:
            cut = LONGEST_NAME - 3
            while cut and (name[cut] & 0xC0) == 0x80:     # not inside a character of UTF-8
                cut -= 1
        grow(&self.text, &self.text_capacity, end + cut + 3, 1)
        if cut:
            memcpy(self.text + end, name, cut)
        if cut < length:
            memcpy(self.text + end + cut, b"...", 3)
            cut += 3
        self.hashes[self.n] = hash
        self.ends[self.n] = end + cut
        if self.counts:
            seen = &self.table.seen[self.n]
            seen.count, seen.last, seen.low, seen.high = 0, 0, FLT_MAX, -FLT_MAX
        self.place(hash, <uint32_t>self.n + 1)
        self.n += 1
        return 0

    cdef int place(self, uint32_t hash, uint32_t number) except -1 nogil:
        """Store a feature that is not known, in a table that is wide enough."""
        if (number - 1) >> (32 - self.table.shift) >= MOST_IN_A_BUCKET:
            self.widen()
        return self.put(hash, number)

    cdef int put(self, uint32_t hash, uint32_t number) except -1 nogil:
        """Store a feature in its bucket, or beside the buckets if that is full."""
        cdef vwl_known_entry* place
        cdef vwl_known_entry* before = self.table.more
        cdef size_t i, n = self.table.more_mask + 1
        if vwl_put(&self.table, hash, number):
            return 0
        if before == NULL or 2 * (self.table.n_more + 1) > n:
            n = 2 * n if before != NULL else FIRST_MORE
            self.table.more = <vwl_known_entry*>zeros(n, sizeof(vwl_known_entry))
            self.table.more_mask = n - 1
            for i in range(n // 2 if before != NULL else 0):
                if before[i].number:
                    vwl_more_place(&self.table, before[i].hash)[0] = before[i]
            free(before)
        place = vwl_more_place(&self.table, hash)
        place.hash, place.number = hash, number
        self.table.n_more += 1
        return 0

    cdef int widen(self) except -1 nogil:
        """Doubles the buckets; features beside them return to them where there is room."""
        cdef vwl_known before = self.table
        cdef size_t i, n = <size_t>VWL_WAYS << (33 - before.shift)
        cdef uint32_t* cells = <uint32_t*>zeros(n + VWL_WAYS, sizeof(uint32_t))
        cdef uint32_t* numbers = NULL
        if self.numbered:
            numbers = <uint32_t*>zeros(n + 1, sizeof(uint32_t))
        self.table.cells = <uint32_t*>(<uintptr_t>(<char*>cells + 31) & ~<uintptr_t>31)
        self.table.numbers = numbers
        self.table.shift -= 1
        vwl_begin_cells(&self.table)
        if before.cells != NULL:
            vwl_split(&before, &self.table)
        free(self.memory)
        free(before.numbers)
        self.memory = cells
        self.table.more, self.table.n_more, self.table.more_mask = NULL, 0, 0
        for i in range(before.more_mask + 1 if before.more != NULL else 0):
            if before.more[i].number:
                self.put(before.more[i].hash, before.more[i].number)
        free(before.more)

    def distinct_slots(self, uint32_t last, int shift):
        """How many slots of a table the features have, by its last slot and log2 of the slots of a feature."""
        cdef size_t i, found = 0
        cdef uint32_t slot
        cdef uint64_t* taken = <uint64_t*>calloc((<size_t>last >> 6) + 1, sizeof(uint64_t))
        if taken == NULL:
            raise MemoryError(f"{last // 8:,} bytes to count collisions")
        with nogil:
            for i in range(self.n):
                slot = (self.hashes[i] << shift) & last
                found += not taken[slot >> 6] >> (slot & 63) & 1
                taken[slot >> 6] |= <uint64_t>1 << (slot & 63)
        free(taken)
        return found

    # models

    def arrays(self):
        """The index as arrays of a model: name -> (type, shape, bytes), by number."""
        cdef size_t i
        cdef size_t n = self.n if self.counts else 0
        counts, lasts, lows, highs = bytearray(8 * n), bytearray(8 * n), bytearray(4 * n), bytearray(4 * n)
        cdef uint64_t* count = <uint64_t*><char*>counts
        cdef uint64_t* last = <uint64_t*><char*>lasts
        cdef float* low = <float*><char*>lows
        cdef float* high = <float*><char*>highs
        for i in range(n):
            count[i], last[i] = self.table.seen[i].count, self.table.seen[i].last
            low[i], high[i] = self.table.seen[i].low, self.table.seen[i].high
        end = self.ends[self.n - 1] if self.n else 0
        state = [self.examples, self.whole, self.counts, self.salt_check()]
        packed = {
            "state": b"".join([number.to_bytes(8, "little") for number in state]),
            "hash": copied(self.hashes, 4 * self.n), "end": copied(self.ends, 8 * self.n),
            "text": copied(self.text, end),
        }
        if self.counts:
            packed |= {"count": counts, "last": lasts, "low": lows, "high": highs}
        return {name: (ARRAYS[name], [len(array) // SIZES[ARRAYS[name]]], array) for name, array in packed.items()}

    def restore(self, dict arrays not None):
        """Restores the index from the arrays of a model, by name; the converse of `arrays`.

        Raises ValueError for arrays that don't fit together, or another salt than that of the names.
        """
        cdef const uint64_t[::1] state = arrays["state"]
        cdef const uint32_t[::1] hashes = arrays["hash"]
        cdef const uint64_t[::1] ends = arrays["end"]
        cdef const unsigned char[::1] text = arrays["text"]
        cdef const uint64_t[::1] counts, lasts
        cdef const float[::1] lows, highs
        cdef size_t i, n = hashes.shape[0]
        cdef uint64_t before = 0
        if state.shape[0] != 4 or ends.shape[0] != <Py_ssize_t>n or (n and ends[n - 1] != <uint64_t>text.shape[0]):
            raise ValueError("they differ in length")
        if state[3] and self.salt is None:
            self.digests = True       # nothing is added without the salt
        elif state[3] != self.salt_check():
            raise ValueError("the salt of --names hashed is not that of the model" if state[3] else
                             "the model has its names as they are")
        for i in range(n):
            if not before <= ends[i] <= <uint64_t>text.shape[0] or ends[i] - before > LONGEST_NAME:
                raise ValueError("names end before they begin, or are too long")
            if vwl_known_number(&self.table, hashes[i]):
                raise ValueError("a feature comes twice")
            self.insert(hashes[i], <const char*>&text[before] if ends[i] > before else NULL, ends[i] - before)
            before = ends[i]
        self.examples, self.whole = state[0], self.whole and state[1]
        self.full = self.n >= self.limit and not state[1]
        if not (self.counts and state[2]):
            return
        counts, lasts, lows, highs = arrays["count"], arrays["last"], arrays["low"], arrays["high"]
        if not counts.shape[0] == lasts.shape[0] == lows.shape[0] == highs.shape[0] == <Py_ssize_t>n:
            raise ValueError("they differ in length")
        for i in range(n):
            if not lows[i] <= highs[i] and counts[i]:
                raise ValueError("a range is none")
            self.table.seen[i].count, self.table.seen[i].last = counts[i], lasts[i]
            self.table.seen[i].low, self.table.seen[i].high = lows[i], highs[i]

    def begin_late(self):
        """Notes that the model had learned from other features before."""
        self.whole = False

    def salt_check(self):
        """A number by which another salt is noticed; 0 without one."""
        if self.salt is None:
            return 0
        return int.from_bytes(digest_of(self.salt, CHECKED)[:8].ljust(8), "little") | 1


cdef void* zeros(size_t n, size_t size) except NULL nogil:
    """Zeroed memory for n items."""
    cdef void* memory = calloc(n, size)
    if memory == NULL:
        with gil:
            raise MemoryError(f"{n * size:,} bytes for names of features (--names_limit)")
    return memory


cdef bytes copied(const void* start, size_t n):
    return PyBytes_FromStringAndSize(<const char*>start, n) if n else b""
