"""Parser of Vowpal Wabbit's text format, into blocks of hashed sparse examples.

    line      := [head] ( '|' namespace )*
    head      := what stands before the first '|'. If it has a TAB, all up to the first TAB is dropped, with the TAB.
                 Its last word is the tag if it touches the '|' or starts with "'"; the others are the label. A line
                 without '|' has only numbers, and perhaps a tag that starts with "'": other words most likely mean
                 another format.
    label     := number [importance [initial]]           a simple one; the stack sets the kind
               | class [importance]                      class: a whole number or a name
               | class,class,...                         multilabel
               | class[:cost] class[:cost] ...           cost-sensitive
    namespace := [name [':' float]] ( blank [feature] )*
    feature   := name | name ':' float | ':' float | name ':' text      (no blanks at ':', but for VW)

An empty line ends a multi-line example. Its first line may be `shared`; the others may have costs:

    head      := ["shared"] [tag]  |  [action [':' cost ':' probability]] [tag]  |  [class [':' cost]] [tag]

A malformed line is skipped, and the position and the Reason are recorded. With `vw_compat` it is used as far as VW uses
it, except for a malformed cost, from which a model would learn something wrong.

Numbers are VW's too, see number.h.
"""
from libc.math cimport isfinite, isnan
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport (
    CONSTANT_HASH, PADDING, ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Choice, Extent, Feature, NameSpan,
    Noted, Row, extent_name_length, gather_namespaces,
)
from vwlite.core.hashing cimport hash_all
from vwlite.core.reasons cimport (
    FEATURE_SYNTAX, FINE, LINE_LENGTH, NAMESPACE_NAME, NAMESPACE_SYNTAX, NAMESPACE_VALUE, VALUE_FINITE, VALUE_MISSING,
    VALUE_NUMPY,
    Reason,
)
from vwlite.input.heads cimport ACTION_HEAD, SIMPLE_HEAD, Head, check_lines, parse_label, parse_simple
from vwlite.input.naming cimport Naming, hash_name
from vwlite.input.reader cimport LineReader
from vwlite.input.source_parser cimport SourceParser

from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, is_multiline
from vwlite.input.rows import HEADS
from vwlite.parsers.entities import entity_namespaces

cdef extern from "vwlite/core/bytescan.h" nogil:
    ctypedef struct vwl_cursor:
        pass
    void vwl_seek(vwl_cursor* cursor, const uint8_t* p)
    const uint8_t* vwl_next_stop(vwl_cursor* cursor)
    uint32_t vwl_few_digits(const uint8_t* p, size_t n, int* ok)

cdef extern from "vwlite/core/cpu.h" nogil:
    bint vwl_has_avx2()

cdef extern from "vwlite/core/eight.h" nogil:
    const size_t VWL_LONGEST_NAME
    ctypedef struct vwl_queue:
        pass
    void vwl_flush(vwl_queue* queue)
    void vwl_hash_later(vwl_queue* queue, const uint8_t* name, size_t n, uint32_t seed, uint32_t* to)
    bint vwl_read_later(vwl_queue* queue, const uint8_t* colon, size_t n, size_t n_text, uint32_t seed, void* to)

cdef extern from "vwlite/core/number.h" nogil:
    bint vwl_ends_line(const uint8_t* p)
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)

OPTIONS = OptionGroup("Text input", (
    Option("hash", str, "'strings' uses a name of digits as its own hash, 'all' hashes every name",
           default="strings", choices=("strings", "all"), keep=True, fixed=True),
    Option("hash_seed", int, "seed of the hash", default=0, least=0, most=0xFFFFFFFF, keep=True, fixed=True),
    Option("redefine", str, "move namespaces whose first letter is in S to N (':' is all that have a name)",
           many=True, keep=True, metavar="N:=S"),
    Option("strict_parse", bool, "stop at the first malformed line"),
    Option("vw_compat", bool, "do as Vowpal Wabbit does where vwlite differs on purpose: use malformed lines as far as "
           "they go, forget a model's loss function"),
    Option("max_line_bytes", int, "longest line that is read, in bytes", default=1 << 26, least=1 << 10, most=1 << 30),
), examples=(
    "vwlite data.vw --hash all --hash_seed 7 --redefine u:=a",
    "vwlite data.vw --strict_parse --max_line_bytes 4096",
    "vwlite data.vw --vw_compat",
))

cdef float UNLABELLED = float("nan")

cdef bint at_eight = vwl_has_avx2()  # names are hashed and numbers read eight at a time


def use_eight(bint wanted):
    """Set whether names are hashed and numbers read eight at a time, where the processor can; returns whether so
    before. The results are the same: for tests."""
    global at_eight
    before, at_eight = at_eight, wanted and vwl_has_avx2()
    return bool(before)


cdef struct Lines:
    # state of the parse of a block
    const uint8_t* text
    Feature* features
    Extent* extents
    NameSpan* names
    Choice* choices
    Choice* choice
    Row* row
    Feature* feature
    Extent* extent
    Noted* noted                      # NULL: not wanted
    size_t n_noted
    uint32_t line
    vwl_queue queue                   # of names to be hashed and numbers to be read
    bint only_names                   # nothing is hashed: the line was parsed before
    bint repeated                     # the line names a namespace twice
    uint32_t[256] seen                # the last line (counted from 1) that has features in the namespace


cdef class TextParser(SourceParser):
    """Parser of the lines of `paths` ("-" is standard input).

    `labels` is the kind of label before the first '|'; with `multiline` an empty line ends an example.
    """

    cdef bint compat
    cdef readonly bint multiline
    cdef Head head
    # of the line whose names are read again
    cdef Lines named
    cdef size_t named_capacity

    def __init__(self, options, paths, digest=False, labels=LabelType.SIMPLE, multiline=None):
        self.head = HEADS[labels]
        self.multiline = is_multiline(labels) if multiline is None else multiline
        self.compat = options["vw_compat"]
        super().__init__(LineReader(list(paths), options["max_line_bytes"], digest, self.multiline), options,
                         entity_namespaces(options))

    cdef int parse(self, Block block) except -1 nogil:
        cdef Lines lines
        cdef const uint8_t* p
        cdef const uint8_t* end
        block.reserve_parsed()
        memset(&lines, 0, sizeof(lines))
        memset(block.text + block.text_length, 0, PADDING)
        lines.text = <const uint8_t*>block.text
        lines.row = block.rows
        lines.feature = block.features
        lines.extent = block.extents
        lines.features = block.features
        lines.extents = block.extents
        lines.names = block.names if block.wants_names else NULL
        if self.head != SIMPLE_HEAD:
            block.reserve_choices(block.text_capacity // 2 + 1)     # 2 bytes each at least, with the separator
        lines.choices = lines.choice = block.choices
        if self.naming.notes:
            grow(&block.noted, &block.noted_capacity, block.text_capacity // 2 + 1, sizeof(Noted))   # 2 bytes each, too
            lines.noted = block.noted
        p = lines.text
        end = p + block.text_length
        while p < end:
            p = self.parse_line(&lines, p, block.truncated)
        vwl_flush(&lines.queue)
        if self.multiline:
            check_lines(lines.text, block.rows, block.choices, lines.row - block.rows, self.limit, block.truncated,
                        self.head == ACTION_HEAD and not self.compat)
        block.n_lines = lines.line
        block.n_rows = lines.row - block.rows
        block.n_features = lines.feature - block.features
        block.n_extents = lines.extent - block.extents
        block.n_choices = lines.choice - block.choices
        block.n_noted = lines.n_noted
        memset(<void*>lines.feature, 0, PADDING * sizeof(Feature))
        return 0

    def __dealloc__(self):
        free(self.named.features)
        free(self.named.extents)
        free(self.named.names)

    cdef const NameSpan* names_of(self, Block block, const Row* row, size_t first, size_t last) except NULL nogil:
        cdef Lines* lines = &self.named
        cdef Row again = row[0]
        cdef Reason reason = FINE
        cdef size_t n = row.n_features + row.n_extents + 2
        cdef const uint8_t* p
        if n > self.named_capacity:
            resize(&lines.features, 2 * n, sizeof(Feature))
            resize(&lines.extents, 2 * n, sizeof(Extent))
            resize(&lines.names, 2 * n, sizeof(NameSpan))
            self.named_capacity = 2 * n
        if are_plain(<const uint8_t*>block.text, block.extents + row.extent, row, first, last, lines.names):
            return lines.names
        p = <const uint8_t*>memchr(block.text + row.text, 124, row.text_length + 1)
        lines.text = <const uint8_t*>block.text
        lines.feature, lines.extent = lines.features, lines.extents
        lines.only_names, lines.repeated = True, False
        lines.line += 1
        if p != NULL:
            self.parse_namespaces(self.naming, lines, &again, p, &reason)
        if lines.repeated:
            gather_namespaces(lines.extents, lines.extent - lines.extents, lines.features,
                              lines.feature - lines.features, lines.names)
        return lines.names

    cdef const uint8_t* parse_line(self, Lines* lines, const uint8_t* p, bint truncated) noexcept nogil:
        """Parse the line at p into the next row; returns the start of the line after it."""
        cdef Row* row = lines.row
        cdef const uint8_t* start = p
        cdef const uint8_t* at = p    # the place of a problem
        cdef const uint8_t* end
        cdef Reason reason = FINE
        cdef bint minus, compat = self.compat
        cdef Feature* first_feature = lines.feature
        cdef Extent* first_extent = lines.extent
        if p[0] == 0xEF and p[1] == 0xBB and p[2] == 0xBF:
            p += 3
        row.line = lines.line
        row.text = <uint32_t>(p - lines.text)
        row.feature = <uint32_t>(lines.feature - lines.features)
        row.extent = <uint32_t>(lines.extent - lines.extents)
        row.warned = FINE
        row.reason = FINE
        row.kind = ROW_EXAMPLE
        row.label = UNLABELLED
        row.weight = 1
        row.initial = 0
        row.choice = <uint32_t>(lines.choice - lines.choices)
        row.n_choices = 0
        row.flags = 0
        row.tag = row.text
        row.tag_length = 0
        lines.line += 1
        lines.repeated = False
        if p[0] == b"\n" or (p[0] == b"\r" and p[1] == b"\n"):
            row.kind = ROW_EMPTY
            row.text_length = 0
            row.column = 0
            row.n_features = 0
            row.n_extents = 0
            lines.row += 1
            return p + (1 if p[0] == b"\n" else 2)
        minus = p[0] == b"-"
        if self.head != SIMPLE_HEAD:
            if p[0] != b"|":
                p = parse_label(self.head, lines.text, row, p, self.compat, self.multiline, &reason, &at, lines.choice)
                compat = compat and reason == FINE
        elif <uint8_t>(p[minus] - 48) < 10 and p[minus + 1] == b" " and p[minus + 2] == b"|":
            row.label = (p[minus] - 48) * (1 - 2 * minus)       # the usual head: a label of one digit
            p += minus + 2
        elif p[0] != b"|":
            p = parse_simple(lines.text, row, p, compat, &reason, &at)
        if reason == FINE or compat:
            if reason != FINE:
                row.warned = reason
            reason = FINE
            p = self.parse_namespaces(self.naming, lines, row, p, &reason)
            if reason != FINE:
                at = p
        # a good line ends here; of a malformed one, find the end
        end = p if p[0] == b"\n" or (p[0] == b"\r" and p[1] == b"\n") else line_end(p)
        row.text_length = <uint32_t>(end - lines.text) - row.text
        if truncated or <size_t>(end - start) > self.limit:
            reason = LINE_LENGTH
            at = start
        elif compat and reason != FINE:
            row.warned = reason
            reason = FINE
        if reason != FINE:
            row.kind = ROW_PROBLEM
            row.reason = reason
            row.column = <uint32_t>(at - start) + 1
            vwl_flush(&lines.queue)       # before others take the places of its features
            lines.feature = first_feature
            lines.extent = first_extent
        else:
            row.column = <uint32_t>(at - start) + 1
            if lines.repeated:
                vwl_flush(&lines.queue)
                gather_namespaces(
                    first_extent, lines.extent - first_extent, first_feature, lines.feature - first_feature,
                    NULL if lines.names == NULL else lines.names + (first_feature - lines.features),
                )
            lines.feature.hash = CONSTANT_HASH
            lines.feature.value = 1
            if lines.names != NULL:
                memset(&lines.names[lines.feature - lines.features], 0, sizeof(NameSpan))
            lines.feature += 1
        if row.kind == ROW_EXAMPLE:
            lines.choice += row.n_choices
        else:
            row.n_choices = 0
        row.n_extents = <uint32_t>(lines.extent - first_extent)
        row.n_features = <uint32_t>(lines.feature - first_feature) - (row.kind == ROW_EXAMPLE)
        lines.row += 1
        return end + (1 if end[0] == b"\n" else 2)

    cdef const uint8_t* parse_namespaces(
        self, Naming naming, Lines* lines, Row* row, const uint8_t* p, Reason* reason
    ) noexcept nogil:
        """Parse namespaces, from a '|' to the end of the line, or to the place of a problem."""
        cdef Feature* feature = lines.feature
        cdef Extent* extent = lines.extent
        cdef Feature* first = feature
        cdef vwl_cursor cursor
        cdef const uint8_t* name
        cdef const uint8_t* text
        cdef const uint8_t* behind
        cdef size_t n, n_text
        cdef uint32_t hash, ns_hash, anonymous, index
        cdef bint all_names = naming.all_names, only_names = lines.only_names, usual
        cdef bint eight = at_eight and not all_names and not only_names
        cdef NameSpan* names = lines.names
        cdef int digits
        cdef float value, scale
        if p[0] != b"|":
            return p
        vwl_seek(&cursor, p)
        while p[0] == b"|":
            name = p + 1
            p = next_stop(&cursor)
            n = p - name
            scale = 1
            anonymous = 0
            index = naming.index_of[name[0]] if n else 32
            ns_hash = naming.anonymous
            if n:
                ns_hash = naming.letter_hash[name[0]] if n == 1 else hash_name(naming, name, n, naming.seed)
            if p[0] == b":":
                text = p + 1
                if n == 0:
                    reason[0] = NAMESPACE_NAME
                    break
                p = next_stop(&cursor)
                while p == text and self.compat and p[0] == b" ":   # VW skips blanks between ':' and a value
                    text = p + 1
                    p = next_stop(&cursor)
                if p == text and not self.compat:
                    reason[0] = VALUE_MISSING
                    break
                behind = vwl_number(text, p - text, &scale)
                if behind == text or behind != p or not isfinite(scale):
                    if not self.compat:
                        reason[0] = NAMESPACE_VALUE
                        p = text
                        break
                    row.warned = NAMESPACE_VALUE
                    if isnan(scale):
                        scale = 1
                    if behind != p:
                        reason[0] = NAMESPACE_SYNTAX
                        p = behind
                        break
            extent.hash = ns_hash
            extent.begin = <uint32_t>(feature - first)
            extent.name = <uint32_t>(name - lines.text)
            extent.name_length_index = <uint32_t>(n << 8) | index
            while p[0] == b" " or p[0] == b"\t":
                name = p + 1
                p = next_stop(&cursor)
                n = p - name
                n_text = 0
                behind = p
                value = naming.plain if scale == 1 else scale
                if p[0] == b":":
                    text = p + 1
                    p = next_stop(&cursor)
                    while p == text and self.compat and p[0] == b" ":
                        text = p + 1
                        p = next_stop(&cursor)
                    if (eight and scale == 1 and text == name + n + 1 and text - lines.text > 8
                            and vwl_read_later(&lines.queue, text - 1, n, p - text, ns_hash, feature)):
                        if names != NULL:
                            note(lines, feature, name, n)
                        feature += 1
                        continue
                    behind = vwl_number(text, p - text, &value)
                    if behind == p and p != text and isfinite(value * scale):
                        value = value * scale         # fast path: nearly all values
                    elif behind == text:
                        # not a number: a text value, or none
                        if self.compat:
                            if p == text and p[0] == b"\t" and text == name + n + 1:
                                text = p + 1
                                p = next_stop(&cursor)
                            p = text_end(&cursor, p)
                        elif p == text:
                            reason[0] = VALUE_MISSING
                            p = name
                            break
                        behind = p
                        n_text = p - text
                        value = naming.plain
                        if n_text > 4 and shows_numpy(text, n_text) and not self.compat:
                            reason[0] = VALUE_NUMPY
                            p = text
                            break
                        if n_text == 0 and text != name + n + 1 and (text - 1)[0] == b" ":
                            continue                  # VW: blanks at the end of a line are no feature
                    else:
                        if not isfinite(value) or (behind != p and not self.compat):
                            if not self.compat:
                                reason[0] = VALUE_FINITE if behind == p else FEATURE_SYNTAX
                                p = name
                                break
                            if isnan(value):
                                row.warned = VALUE_FINITE
                                value = 0
                        value = value * scale
                        if not isfinite(value) and not self.compat:
                            reason[0] = VALUE_FINITE
                            p = name
                            break
                elif n == 0:
                    continue
                # fast path: names of letters and digits only
                usual = n and name[0] > 57 and (name + n - 1)[0] > 32 and not all_names
                if usual and eight and n <= VWL_LONGEST_NAME and value != 0 and n_text == 0 and behind == p:
                    vwl_hash_later(&lines.queue, name, n, ns_hash, &feature.hash)
                    feature.value = value
                    if names != NULL:
                        note(lines, feature, name, n)
                    feature += 1
                    continue
                if only_names:
                    hash = 0
                elif n == 0 and n_text == 0:
                    hash = ns_hash + anonymous
                    anonymous += 1        # features of value 0 count, though they are dropped
                elif usual:
                    hash = hash_all(name, n, ns_hash)
                else:
                    digits = 0
                    hash = ns_hash
                    if n <= 8 and not all_names:
                        hash += vwl_few_digits(name, n, &digits)
                    if not digits:
                        hash = hash_name(naming, name, n, ns_hash)
                if n_text and not only_names:
                    hash = hash_name(naming, text, n_text, hash)
                if value != 0 or naming.keeps_zeros or naming.names_entities(ns_hash):
                    feature.hash = hash
                    feature.value = value
                    if names != NULL:
                        note(lines, feature, name, text + n_text - name if n_text else n)
                    feature += 1
                elif lines.noted != NULL:
                    note_zero(lines, ns_hash, name, n)
                if behind != p:
                    reason[0] = FEATURE_SYNTAX        # under --vw_compat, what was read of the feature is used
                    p = behind
                    break
            if feature - first > extent.begin:
                if lines.seen[index] == lines.line:
                    lines.repeated = True
                lines.seen[index] = lines.line
                extent += 1
            if reason[0] != FINE:
                break
            if p[0] != b"|" and not vwl_ends_line(p):
                reason[0] = FEATURE_SYNTAX
                break
        lines.feature = feature
        lines.extent = extent
        return p


cdef bint are_plain(
    const uint8_t* text, const Extent* extents, const Row* row, size_t first, size_t last, NameSpan* names
) noexcept nogil:
    """Reads the names of the namespaces with the features from `first` to `last` if all are plain words.

    These have no colon, and there are as many of them as of features.
    """
    cdef vwl_cursor cursor
    cdef const uint8_t* p = NULL
    cdef const uint8_t* name
    cdef size_t i, k, end
    for i in range(row.n_extents):
        k, end = extents[i].begin, extents[i + 1].begin if i + 1 < row.n_extents else row.n_features
        if end <= first or k > last:
            continue
        name = text + extents[i].name
        if p == NULL or name != p + 1:
            vwl_seek(&cursor, name - 1)       # its bar
        p = next_stop(&cursor)
        if p != name + extent_name_length(&extents[i]):
            return False
        while p[0] == b" " or p[0] == b"\t":
            name = p + 1
            p = next_stop(&cursor)
            if p == name:
                continue
            if k == end:
                return False
            names[k].begin, names[k].length = <uint32_t>(name - text), <uint32_t>(p - name)
            k += 1
        if p[0] == b":" or k != end:
            return False
    return True


cdef inline bint shows_numpy(const uint8_t* text, size_t n) noexcept nogil:
    """Whether a value is a number as NumPy shows it, np.float64(0.3), or a list that begins with one."""
    cdef size_t begin = text[0] == b"["
    return memcmp(text + begin, b"np.", 3) == 0 and memchr(text, b"(", n) != NULL


cdef inline void note(Lines* lines, const Feature* feature, const uint8_t* name, size_t n) noexcept nogil:
    """Store where the name of a feature is in the text."""
    lines.names[feature - lines.features].begin = <uint32_t>(name - lines.text)
    lines.names[feature - lines.features].length = <uint32_t>n


cdef inline void note_zero(Lines* lines, uint32_t space, const uint8_t* name, size_t n) noexcept nogil:
    """Store a feature of value 0."""
    cdef Noted* noted = lines.noted + lines.n_noted
    lines.n_noted += 1
    noted.row, noted.space = <uint32_t>(lines.line - 1), space
    noted.begin, noted.length = <uint32_t>(name - lines.text), <uint32_t>n
    noted.text_length, noted.is_text, noted.is_shared, noted.number = 0, False, False, 0


cdef const uint8_t* line_end(const uint8_t* p) noexcept nogil:
    """The line end at or after p: its CR if it has one."""
    cdef const uint8_t* start = p
    while p[0] != b"\n":
        p += 1
    if p > start and (p - 1)[0] == b"\r":
        p -= 1
    return p


cdef inline const uint8_t* next_stop(vwl_cursor* cursor) noexcept nogil:
    """The next blank, TAB, ':', '|' or line end; other control characters belong to words."""
    cdef const uint8_t* p = vwl_next_stop(cursor)
    while p[0] < 32 and p[0] != b"\t" and not vwl_ends_line(p):
        p = vwl_next_stop(cursor)
    return p


cdef const uint8_t* text_end(vwl_cursor* cursor, const uint8_t* p) noexcept nogil:
    """End of a text value: the next blank or line end. As in VW, ':' and '|' don't end it."""
    while p[0] == b":" or p[0] == b"|":
        p = next_stop(cursor)
    return p
