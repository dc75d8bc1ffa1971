"""Names of an example's features. Design notes are in spelling.pxd."""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport PADDING, Extent, NameSpan, extent_end, extent_index, extent_name_length

cdef extern from "vwlite/features/known.h" nogil:
    void vwl_copy_padded(char* to, const char* text, size_t n)
    size_t vwl_colon(const char* text, size_t n, size_t readable)


cdef class Speller:
    """Gives new features of examples their names.

    Args:
        interactions: Those of the stack.
        known: Where names are stored.
    """

    def __init__(self, Interactions interactions not None, KnownFeatures known not None):
        self.interactions, self.known = interactions, known

    def __dealloc__(self):
        free(self.name)

    cdef int spell(self, Example ex) except -1 nogil:
        """Names the features that `known` missed; `ex` has its features selected and crossed."""
        cdef size_t i
        self.next = self.extent = 0
        if ex.features != ex.linear:
            return self.spell_crossed(ex, self.interactions)
        for i in range(self.known.n_missed):
            self.position = self.known.missed[i]
            self.length = 0
            if self.position < ex.n_linear:
                self.put(ex, self.position)
            else:
                self.append(b"Constant", 8)
            self.add(ex)
        return 0

    cdef int spell_crossed(self, Example ex, Interactions chosen) except -1 nogil:
        """Names new features among selected and crossed ones."""
        cdef size_t i, begin, end, n
        cdef uint8_t index
        cdef const uint8_t* term
        if chosen.wildcards:
            chosen.see(ex)            # the terms of this example
        memset(self.spans, 0, sizeof(self.spans))
        self.position = 0
        for i in range(ex.n_extents):
            begin, end = ex.extents[i].begin, extent_end(ex, i)
            index = extent_index(&ex.extents[i])
            if chosen.choice.ignored[index]:
                continue
            if self.spans[index].end == 0:
                self.spans[index].begin = <uint32_t>begin
            self.spans[index].end = <uint32_t>end
            if chosen.ignored_linear[index] or (chosen.choice.n_aside and chosen.choice.is_aside(ex.extents[i].hash)):
                continue
            n = self.position
            while self.next < self.known.n_missed and self.known.missed[self.next] < n + end - begin:
                self.position = self.known.missed[self.next]
                self.length = 0
                self.put(ex, begin + self.position - n)
                self.add(ex)
            self.position = n + end - begin
        if chosen.constant:
            if self.next < self.known.n_missed and self.known.missed[self.next] == self.position:
                self.length = 0
                self.append(b"Constant", 8)
                self.add(ex)
            else:
                self.position += 1
        term = chosen.flat_terms
        for _ in range(chosen.n_terms):
            if self.next == self.known.n_missed:
                break
            self.cross(ex, term + 1, term[0], 0)
            term += term[0] + 1
        return 0

    cdef int cross(self, Example ex, const uint8_t* term, size_t left, size_t depth) except -1 nogil:
        """Names new features among the products of the namespaces term[:left] with the parts so far."""
        cdef Span span = self.spans[term[0]]
        cdef uint32_t i = span.begin
        cdef size_t n, end, part
        if depth and (term - 1)[0] == term[0] and not self.interactions.permutations:
            i = self.parts[depth - 1]
        if left > 1:
            while i < span.end and self.next < self.known.n_missed:
                self.parts[depth] = i
                self.cross(ex, term + 1, left - 1, depth + 1)
                i += 1
            return 0
        n = self.position
        end = n + (span.end - i if span.end > i else 0)
        while self.next < self.known.n_missed and self.known.missed[self.next] < end:
            self.position = self.known.missed[self.next]
            self.parts[depth] = i + <uint32_t>(self.position - n)
            self.length = 0
            for part in range(depth + 1):
                if part:
                    self.sign(42)
                self.put(ex, self.parts[part])
            self.add(ex)
        self.position = end
        return 0

    cdef int put(self, Example ex, size_t i) except -1 nogil:
        """Appends the name of a linear feature: its namespace, its name, and the text of one `name:text`."""
        cdef const Extent* extent
        cdef const NameSpan* span = NULL if ex.names == NULL else ex.names + i
        cdef const char* name
        cdef size_t n, k
        if self.extent >= ex.n_extents or ex.extents[self.extent].begin > i:
            self.extent = 0
        while self.extent + 1 < ex.n_extents and ex.extents[self.extent + 1].begin <= i:
            self.extent += 1
        extent = &ex.extents[self.extent]
        if ex.n_extents and extent_name_length(extent):
            self.copy(ex, ex.names_text + extent.name, extent_name_length(extent))
            self.sign(94)
        if span == NULL or span.length == 0:
            return 0
        name, n = ex.names_text + span.begin, span.length
        k = self.length
        self.copy(ex, name, n)
        k = vwl_colon(self.name + k, n, self.capacity - k)
        if k == n:
            return 0
        self.length -= n - k          # the name ends there
        self.sign(94)
        k += 1
        while k < n and (name[k] == 32 or name[k] == 9):
            k += 1
        return self.copy(ex, name + k, n - k)

    cdef int append(self, const char* text, size_t n) except -1 nogil:
        grow(&self.name, &self.capacity, self.length + n, 1)
        memcpy(self.name + self.length, text, n)
        self.length += n
        return 0

    cdef int sign(self, char sign) except -1 nogil:
        return self.append(&sign, 1)

    cdef int copy(self, Example ex, const char* text, size_t n) except -1 nogil:
        """Appends a part of the text that names are in; that of a block can be read past its end."""
        if ex.names_text != ex.text:
            return self.append(text, n)
        grow(&self.name, &self.capacity, self.length + n + PADDING, 1)
        vwl_copy_padded(self.name + self.length, text, n)
        self.length += n
        return 0

    cdef int add(self, Example ex) except -1 nogil:
        """Stores the name of the new feature at `position`, and goes on to the next."""
        self.known.add(ex.features, self.position, self.name, self.length)
        self.next += 1
        self.position += 1
        return 0
