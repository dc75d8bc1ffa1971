"""Finds what options name in the data and no example had. Design notes are in unmatched.pxd."""
import os

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.example cimport (
    ROW_EMPTY, ROW_EXAMPLE, ROW_SHARED, Block, Extent, Row, extent_index, extent_name_length,
)
from vwlite.features.interactions cimport Interactions

from vwlite.engine import registry
from vwlite.features.interactions import CROSSING, namespace_hash
from vwlite.features.terms import WILDCARD, decode_names, read_limit

cdef enum:
    MOST_SHOWN = 12                   # namespaces that a message lists
    PRINTABLE_0 = 0xFFFFFFFF00000000  # letters that wildcards stand for
    PRINTABLE_1 = 0x7FFFFFFFFFFFFFFF


PLACES = {"parsed": PARSED, "used": USED}


def things_of(options):
    """Yields (option, value, part, letters, where, namespaces) for everything that options name in the data.

    `part` is the part of the value that names it, None for the whole value.
    """
    for name in CROSSING:
        for text in options[name]:
            yield name, text, None, decode_names(text), USED, ()
    for name, where in (("keep", PARSED), ("ignore", PARSED), ("ignore_linear", USED)):
        for text in options[name]:
            letters = sorted(set(decode_names(text)))
            for letter in letters:
                yield name, text, as_typed(letter) if len(letters) > 1 else None, bytes([letter]), where, ()
    for text in options["feature_limit"]:
        if letter := read_limit(text)[0]:
            yield "feature_limit", text, None, letter, USED, ()
    for text in options["redefine"]:
        letters = sorted(set(decode_names(text.partition(":=")[2])) - {WILDCARD})
        for letter in letters:
            yield "redefine", text, as_typed(letter) if len(letters) > 1 else None, bytes([letter]), WRITTEN, ()
    for module in registry.modules():
        for option, text, part, where, namespaces in getattr(module, "namespaces_named", nothing)(options):
            yield option, text, part, b"", PLACES[where], namespaces


def nothing(options):
    """The default of namespaces_named: a learner's options name nothing."""
    return ()


def as_typed(int letter):
    r"""A namespace letter as on the command line: \xHH if it is unprintable."""
    return chr(letter) if 32 < letter < 127 else f"\\x{letter:02x}"


cdef inline void add(Letters* letters, uint8_t letter) noexcept nogil:
    letters.bits[letter >> 6] |= <uint64_t>1 << (letter & 63)


cdef inline bint has(const Letters* letters, uint8_t letter) noexcept nogil:
    return letters.bits[letter >> 6] >> (letter & 63) & 1


cdef inline bint has_text(Block block) noexcept nogil:
    """Whether names can be read. Caches, whose blocks are numbered, store them only if they are needed."""
    return not block.numbered or block.names != NULL


cdef class Unmatched:
    """Looks for what `options` name; `interactions` know which namespaces are excluded."""

    def __init__(self, options, Interactions interactions not None):
        cdef size_t i, j
        found = [thing for thing in things_of(options) if options.given(thing[0])]
        self.choice = interactions.choice
        self.lettered = True
        self.names = {}
        self.words = [(f"--{name} {value}", options.source(name) == "model", part, letters, namespaces)
                      for name, value, part, letters, _, namespaces in found]
        self.things = <Thing*>calloc(len(found) + 1, sizeof(Thing))
        if self.things == NULL:
            raise MemoryError
        self.n = self.n_left = len(found)
        for i, (_, _, _, letters, where, namespaces) in enumerate(found):
            for letter in letters:
                if where == USED and letter == WILDCARD:
                    self.things[i].wildcard = True
                else:
                    add(&self.things[i].letters, letter)
            self.things[i].where = where
            for j, namespace in enumerate(namespaces):
                self.things[i].namespaces[j] = namespace_hash(options, namespace)
            self.things[i].n_namespaces = len(namespaces)
            self.n_by_name += len(namespaces) > 0
            self.written = self.written or where == WRITTEN

    def __dealloc__(self):
        free(self.things)

    cdef int look(self, Block block, size_t n) except -1 nogil:
        """Searches the first n rows of a block."""
        cdef size_t i
        if self.n_left == 0:
            return 0
        if not self.looked:
            with gil:
                self.note_names(block, n)
        memset(&self.shared, 0, sizeof(Letters))
        for i in range(n):
            if block.rows[i].kind == ROW_EXAMPLE:
                self.look_at(block, &block.rows[i])
            elif block.rows[i].kind == ROW_EMPTY:
                memset(&self.shared, 0, sizeof(Letters))
        return 0

    cdef void look_at(self, Block block, const Row* row) noexcept nogil:
        cdef Letters[3] here
        cdef const Extent* extent
        cdef size_t i, j
        cdef uint8_t index
        memset(here, 0, sizeof(here))
        here[USED] = self.shared
        self.looked = True
        for i in range(row.n_extents):
            extent = &block.extents[row.extent + i]
            index = extent_index(extent)
            add(&here[PARSED], index)
            if not self.choice.ignored[index]:
                add(&here[USED], index)
            if self.written and extent_name_length(extent):
                if has_text(block):
                    add(&here[WRITTEN], <uint8_t>block.text[extent.name])
                else:
                    self.lettered = False
        if row.flags & ROW_SHARED:
            self.shared = here[USED]
        if self.n_by_name == 0 and memcmp(here, self.before, sizeof(here)) == 0:
            return
        memcpy(self.before, here, sizeof(here))
        for i in range(3):
            for j in range(4):
                self.seen[i].bits[j] |= here[i].bits[j]
        for i in range(self.n):
            if not self.things[i].come and self.fits(block, row, &self.things[i], &here[self.things[i].where]):
                self.things[i].come = True
                self.n_left -= 1
                self.n_by_name -= self.things[i].n_namespaces > 0

    cdef bint fits(self, Block block, const Row* row, const Thing* thing, const Letters* here) noexcept nogil:
        """Whether an example has all of a thing."""
        cdef size_t i, j
        cdef const Extent* extent
        for i in range(4):
            if thing.letters.bits[i] & ~here.bits[i]:
                return False
        if thing.wildcard and not (here.bits[0] & PRINTABLE_0 or here.bits[1] & PRINTABLE_1):
            return False
        for i in range(thing.n_namespaces):
            for j in range(row.n_extents):
                extent = &block.extents[row.extent + j]
                if extent.hash == thing.namespaces[i] and (
                        i == 0 or thing.where != USED or not self.choice.ignored[extent_index(extent)]):
                    break
            else:
                return False
        return True

    cdef int note_names(self, Block block, size_t n) except -1:
        """Stores the namespaces of the first examples, for messages."""
        cdef size_t i, j
        cdef const Extent* extent
        for i in range(n if has_text(block) else 0):
            for j in range(block.rows[i].n_extents if block.rows[i].kind == ROW_EXAMPLE else 0):
                extent = &block.extents[block.rows[i].extent + j]
                if len(self.names) <= MOST_SHOWN and extent_name_length(extent):
                    self.names.setdefault(extent.hash,
                                          block.text[extent.name:extent.name + extent_name_length(extent)])
        return 0

    def remarks(self):
        """A message for each thing that no example had; none before the first example."""
        cdef Thing* thing
        if not self.looked:
            return []
        found = []
        for i, (option, of_model, part, letters, namespaces) in enumerate(self.words):
            thing = &self.things[i]
            if not thing.come and (thing.where != WRITTEN or self.lettered):
                what = f"{part} of {option}" if part else option
                found.append(f"nothing matched {what}{' (of the model)' if of_model else ''}: "
                             f"{self.why(i, letters, namespaces)}")
        return found

    def why(self, size_t i, letters, namespaces):
        """The reason: the namespaces that no example had."""
        cdef Thing* thing = &self.things[i]
        if namespaces:
            there = ", ".join(sorted(os.fsdecode(name) for name in list(self.names.values())[:MOST_SHOWN]))
            more = ", ..." if len(self.names) > MOST_SHOWN else ""
            hint = f" (the first examples have {there}{more})" if there else ""
            if len(namespaces) == 1:
                return f"no example has a namespace {namespaces[0]}{hint}"
            return f"no example with a namespace {namespaces[0]} has a namespace {namespaces[1]} that counts{hint}"
        letters = sorted(set(letters) - ({WILDCARD} if thing.wildcard else set()))
        lacking = [letter for letter in letters if not has(&self.seen[thing.where], letter)]
        out = [letter for letter in lacking if has(&self.seen[PARSED], letter)]
        if out and thing.where == USED:
            return f"namespaces that begin with {in_words(out)} are left out (--keep, --ignore)"
        if not letters:
            return "no example has a namespace that ':' stands for: one that begins with a blank, letter, digit or sign"
        if not lacking:
            return f"no example has namespaces that begin with {in_words(letters, 'and')} together"
        there = [letter for letter in range(256) if has(&self.seen[thing.where], letter)]
        hint = f"they begin with {in_words(there)}" if there else "none has any"
        return f"no namespace begins with {in_words(lacking)} ({hint})"


def in_words(letters, word="or"):
    """Lists letters in words; the letter of the namespace without a name is a blank."""
    shown = ["' '" if letter == 32 else as_typed(letter) for letter in letters[:MOST_SHOWN]]
    if len(letters) > MOST_SHOWN:
        return ", ".join(shown) + ", ..."
    *before, last = shown
    return f"{', '.join(before)} {word} {last}" if before else last
