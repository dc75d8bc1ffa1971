"""Vowpal Wabbit's text format -> blocks of hashed sparse examples.

    line      := [head] ( '|' namespace )*
    head      := what stands before the first '|'. If it holds a TAB, all up to and with the first TAB is dropped.
                 Its last word is the tag if it touches the '|' or starts with "'"; the others are the label:
                 label [importance [initial]]
    namespace := [name [':' float]] ( blank [feature] )*
    feature   := name | name ':' float | ':' float | name ':' text

Of a decision, which an empty line ends, the first line may be `shared`, and the one of the action taken has a cost:

    head      := ["shared"] [tag]  |  [action [':' cost ':' probability]] [tag]

A malformed line is left out and says where and why; with `vw_compat` it is used as far as VW uses it,
but for a malformed cost, which would teach something wrong.

Numbers are VW's too, see number.h.
"""
from libc.math cimport isfinite, isnan
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from vwlite.example cimport (
    CONSTANT_HASH, MAX_ACTIONS, PADDING, ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Extent, Feature, NameSpan, Row,
)
from vwlite.hashing cimport hash_all, hash_string
from vwlite.parser cimport (
    ACTION_BLANK, ACTIONS_MANY, COST_ACTION, COST_NUMBER, COST_PROBABILITY, COST_SYNTAX, COST_TWICE, DECISION_LENGTH,
    FAILED, FEATURE_SYNTAX, FINE, LABEL_FINITE, LABEL_NUMBER, LABEL_WORDS, LINE_LENGTH, NAMESPACE_NAME,
    NAMESPACE_SYNTAX, NAMESPACE_VALUE, SHARED_ALONE, SHARED_COST, SHARED_PLACE, SHARED_TAG, VALUE_FINITE,
    WEIGHT_NEGATIVE, Filled, Parser, Readiness, Reason,
)
from vwlite.reader cimport LineReader

from vwlite.hashing import feature_hash, murmur3_32
from vwlite.options import Option, OptionGroup
from vwlite.types import LabelType

cdef extern from "bytescan.h" nogil:
    ctypedef struct vwl_cursor:
        pass
    void vwl_seek(vwl_cursor* cursor, const uint8_t* p)
    const uint8_t* vwl_next_stop(vwl_cursor* cursor)
    uint32_t vwl_few_digits(const uint8_t* p, size_t n, int* ok)

cdef extern from "number.h" nogil:
    bint vwl_ends_line(const uint8_t* p)
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)

OPTIONS = OptionGroup("Text input", (
    Option("hash", str, "'strings' takes a name of digits as its own number, 'all' hashes every name",
           default="strings", choices=("strings", "all"), keep=True, fixed=True),
    Option("hash_seed", int, "seed of the hash", default=0, least=0, most=0xFFFFFFFF, keep=True, fixed=True),
    Option("redefine", str, "put namespaces whose first letter is in S into N (':' all that have a name)",
           many=True, keep=True, metavar="N:=S"),
    Option("strict_parse", bool, "stop at the first malformed line"),
    Option("vw_compat", bool, "do as Vowpal Wabbit does where it is unwise: use malformed lines as far as they go, "
           "forget a model's loss function"),
    Option("max_line_bytes", int, "longest line that is read, in bytes", default=1 << 26, least=1 << 10, most=1 << 30),
))

cdef float UNLABELLED = float("nan")

cdef enum:
    TAKEN = 1 << 31                   # marks an extent in gather_namespaces


cdef struct Lines:
    # where the parse of a block stands
    const uint8_t* text
    Feature* features
    Extent* extents
    NameSpan* names
    Row* row
    Feature* feature
    Extent* extent
    uint32_t line
    bint repeated                     # the line names a namespace twice
    uint32_t[256] seen                # the last line (counted from 1) that has features in the namespace


cdef class TextParser(Parser):
    """Parses the lines of `paths` ("-" is standard input); `labels` says what stands before the first '|'."""

    cdef public LineReader reader
    cdef bint all_names, compat
    cdef readonly bint decisions      # lines are those of decisions
    cdef uint32_t seed, anonymous_hash
    cdef size_t limit
    cdef uint8_t[256] index_of        # --redefine
    cdef uint32_t[256] letter_hash    # of namespaces with names of one byte

    def __init__(self, options, paths, digest=False, labels=LabelType.SIMPLE):
        self.decisions = labels is LabelType.CONTEXTUAL_BANDIT
        self.reader = LineReader(list(paths), options["max_line_bytes"], digest, self.decisions)
        self.reader.stopping = &self.stopping
        self.all_names = options["hash"] == "all"
        self.compat = options["vw_compat"]
        self.seed = options["hash_seed"]
        self.limit = options["max_line_bytes"]
        for i in range(256):
            hash_name = murmur3_32 if self.all_names else feature_hash
            self.letter_hash[i] = hash_name(bytes([i]), self.seed)
        self.anonymous_hash = 0 if self.seed == 0 else murmur3_32(b"", self.seed)
        for i, index in enumerate(redefined(options["redefine"])):
            self.index_of[i] = index

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        return self.reader.fill(block, wait)

    cdef Readiness ready(self) noexcept nogil:
        return self.reader.ready()

    def close(self):
        self.reader.close()

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
        p = lines.text
        end = p + block.text_length
        while p < end:
            p = self.parse_line(&lines, p, block.truncated)
        if self.decisions:
            check_decisions(block.rows, lines.row - block.rows, self.limit, block.truncated)
        block.n_lines = lines.line
        block.n_rows = lines.row - block.rows
        block.n_features = lines.feature - block.features
        block.n_extents = lines.extent - block.extents
        memset(<void*>lines.feature, 0, PADDING * sizeof(Feature))
        return 0

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
        row.probability = 0
        row.shared = False
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
        if self.decisions:
            if p[0] != b"|":
                p = self.parse_cost(lines, row, p, &reason, &at)
                compat = compat and reason == FINE
        elif <uint8_t>(p[minus] - 48) < 10 and p[minus + 1] == b" " and p[minus + 2] == b"|":
            row.label = (p[minus] - 48) * (1 - 2 * minus)       # the usual head: a label of one digit
            p += minus + 2
        elif p[0] != b"|":
            p = self.parse_head(lines, row, p, &reason, &at)
        if reason == FINE or compat:
            row.warned = reason
            reason = FINE
            p = self.parse_namespaces(lines, row, p, &reason)
            if reason != FINE:
                at = p
        # a good line ends here; a malformed one is searched for its end
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
            lines.feature = first_feature
            lines.extent = first_extent
        else:
            row.column = <uint32_t>(at - start) + 1
            if lines.repeated:
                lines.extent = gather_namespaces(lines, first_extent, first_feature)
            lines.feature.hash = CONSTANT_HASH
            lines.feature.value = 1
            if lines.names != NULL:
                memset(&lines.names[lines.feature - lines.features], 0, sizeof(NameSpan))
            lines.feature += 1
        row.n_extents = <uint32_t>(lines.extent - first_extent)
        row.n_features = <uint32_t>(lines.feature - first_feature) - (row.kind == ROW_EXAMPLE)
        lines.row += 1
        return end + (1 if end[0] == b"\n" else 2)

    cdef const uint8_t* parse_head(
        self, Lines* lines, Row* row, const uint8_t* p, Reason* reason, const uint8_t** at
    ) noexcept nogil:
        """Label, importance, initial and tag; returns the place of the first '|' or the line's end."""
        cdef const uint8_t* word
        cdef const uint8_t* stop
        cdef const uint8_t* behind
        cdef const uint8_t* end = label_words(lines, row, &p, &stop)
        cdef float[3] numbers
        cdef int count = 0
        while True:
            while p < stop and p[0] == b" ":
                p += 1
            if p >= stop:
                break
            word = p
            while p < stop and p[0] != b" ":
                p += 1
            if count == 3:
                reason[0] = LABEL_WORDS
                at[0] = word
                return end
            behind = vwl_any_number(word, &numbers[count])
            # VW takes 1:1 or 1x for 1
            if behind == word or (behind != p and not self.compat):
                reason[0] = LABEL_NUMBER
                at[0] = word
                numbers[count] = 0
            elif not isfinite(numbers[count]):
                if reason[0] == FINE:
                    reason[0] = LABEL_FINITE
                    at[0] = word
                if isnan(numbers[count]):
                    numbers[count] = 0
            count += 1
        if count:
            row.label = numbers[0]
        if count > 1:
            row.weight = numbers[1]
            if numbers[1] < 0 and reason[0] == FINE:
                reason[0] = WEIGHT_NEGATIVE
                at[0] = word
        if count > 2:
            row.initial = numbers[2]
        return end

    cdef const uint8_t* parse_cost(
        self, Lines* lines, Row* row, const uint8_t* p, Reason* reason, const uint8_t** at
    ) noexcept nogil:
        """The head of an action's line, or of the shared one; returns the place of the first '|' or the line's end.

        What number the action has is of no importance: actions are counted by their lines, as in VW.
        """
        cdef const uint8_t* start = p
        cdef const uint8_t* word
        cdef const uint8_t* stop
        cdef const uint8_t* behind
        cdef const uint8_t* end = label_words(lines, row, &p, &stop)
        cdef float cost, probability
        cdef bint first = True
        if is_shared(lines.text + row.tag, row.tag_length):
            reason[0] = SHARED_TAG
            at[0] = lines.text + row.tag
        elif end[0] != b"|" and row.tag_length == 0:
            word = p
            while word < stop and word[0] == b" ":
                word += 1
            if word == stop:
                reason[0] = ACTION_BLANK
                at[0] = start
        while reason[0] == FINE:
            while p < stop and p[0] == b" ":
                p += 1
            if p >= stop:
                break
            word = p
            while p < stop and p[0] != b" ":
                p += 1
            at[0] = word
            if first and is_shared(word, p - word):
                row.shared = True
                first = False
                continue
            if not first:
                reason[0] = SHARED_COST if row.shared else COST_SYNTAX
                break
            first = False
            behind = word
            while <uint8_t>(behind[0] - 48) < 10:
                behind += 1
            if behind == word or (behind < p and behind[0] != b":"):
                reason[0] = COST_ACTION
                break
            if behind == p:
                continue
            behind = number_at(behind + 1, p, &cost)
            if behind == NULL or behind > p or (behind < p and behind[0] != b":") or not isfinite(cost):
                reason[0] = COST_NUMBER
                break
            if behind == p:
                reason[0] = COST_SYNTAX
                break
            behind = number_at(behind + 1, p, &probability)
            if behind != p or not (probability > 0 and probability <= 1):
                reason[0] = COST_PROBABILITY
                break
            row.label = cost
            row.probability = probability
        return end

    cdef const uint8_t* parse_namespaces(
        self, Lines* lines, Row* row, const uint8_t* p, Reason* reason
    ) noexcept nogil:
        """From a '|' to the end of the line, or to the place of a problem."""
        cdef Feature* feature = lines.feature
        cdef Extent* extent = lines.extent
        cdef Feature* first = feature
        cdef vwl_cursor cursor
        cdef const uint8_t* name
        cdef const uint8_t* text
        cdef const uint8_t* behind
        cdef size_t n, n_text
        cdef uint32_t hash, ns_hash, anonymous, index
        cdef bint all_names = self.all_names
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
            index = self.index_of[name[0]] if n else 32
            ns_hash = self.anonymous_hash
            if n:
                ns_hash = self.letter_hash[name[0]] if n == 1 else self.hash(name, n, self.seed)
            if p[0] == b":":
                text = p + 1
                if n == 0:
                    reason[0] = NAMESPACE_NAME
                    break
                p = value_end(&cursor, &text)
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
                # names of letters and digits at once, the rest in a call
                if name[0] > 57 and (p - 1)[0] > 32 and n and not all_names:
                    hash = hash_all(name, n, ns_hash)
                else:
                    digits = 0
                    hash = ns_hash
                    if n <= 8 and not all_names:
                        hash += vwl_few_digits(name, n, &digits)
                    if not digits:
                        hash = self.hash(name, n, ns_hash)
                if p[0] != b":":
                    if n == 0:
                        continue
                    value = scale
                else:
                    text = p + 1
                    p = value_end(&cursor, &text)
                    behind = vwl_number(text, p - text, &value)
                    if behind == text:
                        # no number: a text value, or none (`x:`)
                        behind = p
                        n_text = p - text
                        value = 1 if n_text else scale
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
                    if n == 0 and n_text == 0:
                        hash = ns_hash + anonymous
                        anonymous += 1        # zeros count, though they are left out
                    elif n_text:
                        hash = self.hash(text, n_text, hash)
                if value != 0:
                    feature.hash = hash
                    feature.value = value
                    if names != NULL:
                        names[feature - lines.features].begin = <uint32_t>(name - lines.text)
                        names[feature - lines.features].length = <uint32_t>(n + 1 + n_text if n_text else n)
                    feature += 1
                if behind != p:
                    reason[0] = FEATURE_SYNTAX        # and what was read of the feature is used, in compatible mode
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

    cdef uint32_t hash(self, const uint8_t* name, size_t n, uint32_t seed) noexcept nogil:
        return hash_all(name, n, seed) if self.all_names else hash_string(name, n, seed)


cdef inline const uint8_t* label_words(
    Lines* lines, Row* row, const uint8_t** words, const uint8_t** words_end
) noexcept nogil:
    """Find the tag and the words before it; returns the place of the first '|' or the line's end."""
    cdef const uint8_t* p = words[0]
    cdef const uint8_t* end = p
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef bint tab = False, tagged
    while end[0] != b"|" and end[0] != b"\n":
        if end[0] == b"\t" and not tab:
            p = end + 1
            tab = True
        end += 1
    stop = end
    if end[0] == b"\n" and end > p and (end - 1)[0] == b"\r":
        stop -= 1
        end -= 1
    if stop > p and (stop - 1)[0] != b" ":
        tagged = True
    else:
        tagged = False
        while stop > p and (stop - 1)[0] == b" ":
            stop -= 1
    # the last word may be the tag
    word = stop
    while word > p and (word - 1)[0] != b" ":
        word -= 1
    if word < stop and (tagged or word[0] == b"'"):
        row.tag = <uint32_t>(word - lines.text) + (word[0] == b"'")
        row.tag_length = <uint32_t>(stop - lines.text) - row.tag
        stop = word
    words[0] = p
    words_end[0] = stop
    return end


cdef inline bint is_shared(const uint8_t* word, size_t n) noexcept nogil:
    return n == 6 and memcmp(word, b"shared", 6) == 0 or n == 12 and memcmp(word, b"***shared***", 12) == 0


cdef inline const uint8_t* number_at(const uint8_t* p, const uint8_t* end, float* value) noexcept nogil:
    """Read a number that begins at p, before the end; returns the place behind it, NULL if there is none."""
    cdef const uint8_t* behind
    value[0] = 0
    if p >= end or p[0] <= 32:
        return NULL
    behind = vwl_any_number(p, value)
    return NULL if behind == p or behind > end else behind


cdef void check_decisions(Row* rows, size_t n, size_t limit, bint truncated) noexcept nogil:
    """Find what is wrong with decisions whose lines are well-formed; the row at fault becomes a problem."""
    cdef size_t first = 0, end
    while first < n:
        if rows[first].kind == ROW_EMPTY:
            first += 1
            continue
        end = first + 1
        while end < n and rows[end].kind != ROW_EMPTY:
            end += 1
        check_decision(rows + first, end - first, limit, truncated)
        first = end


cdef void check_decision(Row* rows, size_t n, size_t limit, bint truncated) noexcept nogil:
    cdef size_t i
    cdef bint costs = False
    cdef Reason reason = FINE
    if truncated or rows[n - 1].text + rows[n - 1].text_length - rows[0].text > limit:
        rows[0].kind = ROW_PROBLEM
        rows[0].reason = DECISION_LENGTH
        rows[0].column = 1
        return
    for i in range(n):
        if rows[i].kind == ROW_PROBLEM:
            return
        if rows[i].shared and i:
            reason = SHARED_PLACE
        elif costs and not isnan(rows[i].label):
            reason = COST_TWICE
        elif i - rows[0].shared == MAX_ACTIONS:
            reason = ACTIONS_MANY
        elif rows[i].shared and n == 1:
            reason = SHARED_ALONE
        if reason != FINE:
            rows[i].kind = ROW_PROBLEM
            rows[i].reason = reason
            rows[i].column = 1
            return
        costs = costs or not isnan(rows[i].label)


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


cdef inline const uint8_t* value_end(vwl_cursor* cursor, const uint8_t** text) noexcept nogil:
    """The stop behind the value that starts at text; blanks between ':' and a value are skipped, as in VW."""
    cdef const uint8_t* p = next_stop(cursor)
    while p == text[0] and p[0] == b" ":
        text[0] = p + 1
        p = next_stop(cursor)
    return p


cdef Extent* gather_namespaces(Lines* lines, Extent* first_extent, Feature* first) noexcept nogil:
    """Bring the features of a namespace that is named twice together, in the order in which namespaces appear.

    The free space behind the line's features and extents serves for the copy.
    """
    cdef size_t n = lines.extent - first_extent, n_features = lines.feature - first
    cdef size_t i, j, begin, length
    cdef Extent* sorted_extents = lines.extent
    cdef Feature* sorted_features = lines.feature
    cdef NameSpan* names = NULL
    cdef size_t to = 0, k = 0
    if lines.names != NULL:
        names = lines.names + (first - lines.features)
    for i in range(n):
        if first_extent[i].name_length_index & TAKEN:
            continue
        for j in range(i, n):
            if (first_extent[j].name_length_index ^ first_extent[i].name_length_index) & 0xFF:
                continue
            begin = first_extent[j].begin
            length = (first_extent[j + 1].begin if j + 1 < n else n_features) - begin
            sorted_extents[k] = first_extent[j]
            sorted_extents[k].begin = <uint32_t>to
            memcpy(sorted_features + to, first + begin, length * sizeof(Feature))
            if names != NULL:
                memcpy(names + n_features + to, names + begin, length * sizeof(NameSpan))
            to += length
            k += 1
            if j > i:
                first_extent[j].name_length_index |= TAKEN
    memcpy(first_extent, sorted_extents, n * sizeof(Extent))
    memcpy(first, sorted_features, n_features * sizeof(Feature))
    if names != NULL:
        memcpy(names, names + n_features, n_features * sizeof(NameSpan))
    return lines.extent


def redefined(rules):
    """The namespace index of every first byte after --redefine; later rules win.

    Raises OptionError for a rule without ':='.
    """
    from vwlite.errors import OptionError
    from vwlite.interactions import decode_names
    table = list(range(256))
    for rule in rules:
        target, separator, names = rule.partition(":=")
        if not separator:
            raise OptionError([f"--redefine {rule}: expected N:=S, for instance --redefine a:=bc"])
        index = (decode_names(target) or b" ")[0]
        for byte in decode_names(names):
            if byte == 58:
                table = [index] * 256
            else:
                table[byte] = index
    return table
