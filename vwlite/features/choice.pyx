"""Feature selection, before crossing."""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from vwlite.core.example cimport extent_end, extent_index

from vwlite.errors import OptionError
from vwlite.features.terms import decode_names, read_limit


cdef class Choice:
    """Feature selection of each example; `aside` are the hashes of entities' namespaces, which are not changed.

    Raises OptionError for an invalid rule.
    """

    def __init__(self, options, bits, aside):
        self.mask = <uint32_t>((1 << bits) - 1)
        keep = b"".join(map(decode_names, options["keep"]))
        ignore = b"".join(map(decode_names, options["ignore"]))
        for i in range(256):
            # as in VW, --keep wins over --ignore
            self.ignored[i] = i not in keep if keep else i in ignore
        for rule in options["feature_limit"]:
            self.set_limit(rule)
        self.removes = bool(options["keep"] or options["ignore"] or options["feature_limit"])
        if len(aside) > MOST_ASIDE:
            raise OptionError([f"at most {MOST_ASIDE} namespaces can be those of entities"])
        for hash in aside:
            self.aside[self.n_aside] = hash
            self.n_aside += 1

    def __dealloc__(self):
        free(self.kept)
        free(self.kept_extents)
        free(self.kept_names)
        free(self.chosen)

    def set_limit(self, rule):
        """Set the limit by --feature_limit N, XN or X:N."""
        letter, limit = read_limit(rule)
        for i in letter or range(256):
            self.limit[i] = limit

    cdef inline bint is_aside(self, uint32_t hash) noexcept nogil:
        cdef size_t i
        for i in range(self.n_aside):
            if self.aside[i] == hash:
                return True
        return False

    cdef int remove(self, Example ex) except -1 nogil:
        """Drop ignored namespaces and features over a limit: ex.linear becomes a shorter copy.

        A limit is for all namespaces with the same index together, as in VW; those of entities are not changed.
        """
        cdef size_t i = 0, next, j, n_chosen
        cdef uint8_t index
        cdef bint limited
        self.reserve_kept(ex.n_linear + ex.n_extents + 1)
        self.n_kept = self.n_kept_extents = 0
        while i < ex.n_extents:
            index = extent_index(&ex.extents[i])
            next = i + 1
            while next < ex.n_extents and extent_index(&ex.extents[next]) == index:
                next += 1
            limited = self.limit[index] and not self.ignored[index] and self.is_over(ex, i, next, self.limit[index])
            n_chosen = self.choose(ex, i, next, self.limit[index]) if limited else 0
            for j in range(i, next):
                if not (limited or self.ignored[index]) or self.is_aside(ex.extents[j].hash):
                    self.keep(ex, j)
            self.keep_chosen(ex, i, n_chosen)
            i = next
        ex.linear = self.kept
        ex.n_linear = self.n_kept
        ex.extents = self.kept_extents
        ex.n_extents = self.n_kept_extents
        if ex.names != NULL:
            ex.names = self.kept_names
        return 0

    cdef int reserve_kept(self, size_t n) except -1 nogil:
        """Allocate buffers for n features and extents, without preserving their content."""
        if n <= self.kept_capacity:
            return 0
        free(self.kept)
        free(self.kept_extents)
        free(self.kept_names)
        free(self.chosen)
        self.kept_capacity = 2 * n
        self.kept = <Feature*>malloc(self.kept_capacity * sizeof(Feature))
        self.kept_extents = <Extent*>malloc(self.kept_capacity * sizeof(Extent))
        self.kept_names = <NameSpan*>malloc(self.kept_capacity * sizeof(NameSpan))
        self.chosen = <size_t*>malloc(self.kept_capacity * sizeof(size_t))
        if self.kept == NULL or self.kept_extents == NULL or self.kept_names == NULL or self.chosen == NULL:
            self.kept_capacity = 0
            with gil:
                raise MemoryError
        return 0

    cdef void keep(self, Example ex, size_t i) noexcept nogil:
        """Copy an extent with its features."""
        cdef size_t begin = ex.extents[i].begin, n = extent_end(ex, i) - begin
        self.kept_extents[self.n_kept_extents] = ex.extents[i]
        self.kept_extents[self.n_kept_extents].begin = <uint32_t>self.n_kept
        memcpy(self.kept + self.n_kept, ex.linear + begin, n * sizeof(Feature))
        if ex.names != NULL:
            memcpy(self.kept_names + self.n_kept, ex.names + begin, n * sizeof(NameSpan))
        self.n_kept += n
        self.n_kept_extents += 1

    cdef void keep_chosen(self, Example ex, size_t first, size_t n_chosen) noexcept nogil:
        """Copy the chosen features of extents from `first` on, in VW's order, an extent for each run of a namespace."""
        cdef size_t i, j, place, before = ex.n_extents
        for j in range(n_chosen):
            place = self.chosen[j]
            i = first
            while place >= extent_end(ex, i):
                i += 1
            if before == ex.n_extents or ex.extents[i].hash != ex.extents[before].hash:
                self.kept_extents[self.n_kept_extents] = ex.extents[i]
                self.kept_extents[self.n_kept_extents].begin = <uint32_t>self.n_kept
                self.n_kept_extents += 1
                before = i
            self.kept[self.n_kept] = ex.linear[place]
            if ex.names != NULL:
                self.kept_names[self.n_kept] = ex.names[place]
            self.n_kept += 1

    cdef bint is_over(self, Example ex, size_t first, size_t end, size_t limit) noexcept nogil:
        """Whether extents first..end have more features than the limit."""
        cdef size_t i, n = 0
        for i in range(first, end):
            if not self.is_aside(ex.extents[i].hash):
                n += extent_end(ex, i) - ex.extents[i].begin
        return n > limit

    cdef size_t choose(self, Example ex, size_t first, size_t end, size_t limit) noexcept nogil:
        """Choose the first features of extents first..end by slot; of repeated ones, the smallest value.

        Returns their number; `chosen` has their indices, in that order.
        """
        cdef size_t i, j, best, n = 0
        cdef bint found = True
        while found and n < limit:
            # selection sort, because the limit is small
            found = False
            best = 0
            for i in range(first, end):
                if self.is_aside(ex.extents[i].hash):
                    continue
                for j in range(ex.extents[i].begin, extent_end(ex, i)):
                    if n and (ex.linear[j].hash & self.mask) <= (ex.linear[self.chosen[n - 1]].hash & self.mask):
                        continue
                    if not found or self.comes_before(&ex.linear[j], &ex.linear[best]):
                        best = j
                        found = True
            if found:
                self.chosen[n] = best
                n += 1
        return n

    cdef inline bint comes_before(self, const Feature* a, const Feature* b) noexcept nogil:
        if (a.hash ^ b.hash) & self.mask:
            return (a.hash & self.mask) < (b.hash & self.mask)
        return a.value < b.value
