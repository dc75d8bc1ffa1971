"""What stands before the first '|' of a line, see parsers/text.pyx, and what decisions make of their lines' heads.

Functions take the block's text, from which a row's places are counted, and the head's first byte p; they return the
place of the first '|' or the line's end. What is wrong goes into `reason`, and where into `at`. They are inline: a head
is parsed in the loop over lines.
"""
from libc.math cimport isfinite, isnan
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from vwlite.example cimport MAX_ACTIONS, ROW_EMPTY, ROW_PROBLEM, Row
from vwlite.parser cimport (
    ACTION_BLANK, ACTIONS_MANY, BAR_MISSING, COST_ABSENT, COST_ACTION, COST_NUMBER, COST_PROBABILITY, COST_SYNTAX,
    COST_TWICE, DECISION_LENGTH, FINE, LABEL_FINITE, LABEL_NUMBER, LABEL_WORDS, SHARED_ALONE, SHARED_COST,
    SHARED_PLACE, SHARED_TAG, WEIGHT_NEGATIVE, Reason,
)

cdef extern from "number.h" nogil:
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)


cdef inline const uint8_t* label_words(
    const uint8_t* text, Row* row, const uint8_t** words, const uint8_t** words_end, bint compat
) noexcept nogil:
    """Find the tag and the words before it; returns the place of the first '|' or the line's end.

    In compatible mode a word at the end of a line without '|' is a tag, as in VW; else only one that starts with "'".
    """
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
        tagged = compat or end[0] == b"|"
    else:
        tagged = False
        while stop > p and (stop - 1)[0] == b" ":
            stop -= 1
    # the last word may be the tag
    word = stop
    while word > p and (word - 1)[0] != b" ":
        word -= 1
    if word < stop and (tagged or word[0] == b"'"):
        row.tag = <uint32_t>(word - text) + (word[0] == b"'")
        row.tag_length = <uint32_t>(stop - text) - row.tag
        stop = word
    words[0] = p
    words_end[0] = stop
    return end


cdef inline const uint8_t* parse_simple(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at
) noexcept nogil:
    """Label, importance, initial and tag."""
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* behind
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
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
        if behind == word or (behind != p and not compat):
            reason[0] = LABEL_NUMBER if compat or end[0] == b"|" else BAR_MISSING
            at[0] = word
            if not compat:
                return end
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


cdef inline bint is_shared(const uint8_t* word, size_t n) noexcept nogil:
    return n == 6 and memcmp(word, b"shared", 6) == 0 or n == 12 and memcmp(word, b"***shared***", 12) == 0


cdef inline const uint8_t* number_at(const uint8_t* p, const uint8_t* end, float* value) noexcept nogil:
    """Read a number that begins at p, before the end; returns the place behind it, NULL if there is none."""
    cdef const uint8_t* behind
    value[0] = 0
    if p >= end or p[0] <= 32:
        return NULL
    behind = vwl_any_number(p, value)
    if behind == p or behind > end:
        return NULL
    return behind


cdef inline const uint8_t* parse_cost(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at
) noexcept nogil:
    """The head of an action's line, or of the shared one.

    Actions are counted by their lines, as in VW; check_decision() refuses a number that no line has.
    """
    cdef const uint8_t* start = p
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* behind
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
    cdef float cost, probability
    cdef bint first = True
    if is_shared(text + row.tag, row.tag_length):
        reason[0] = SHARED_TAG
        at[0] = text + row.tag
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
            reason[0] = COST_ACTION if compat or end[0] == b"|" else BAR_MISSING
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


cdef inline uint32_t column_of_absent(const uint8_t* text, Row row, size_t n_actions) noexcept nogil:
    """Where a row with a cost numbers its action n_actions or more, as a column; 0 if it doesn't."""
    cdef const uint8_t* p = text + row.text
    cdef const uint8_t* end
    cdef size_t number = 0
    label_words(text, &row, &p, &end, False)
    while p < end and p[0] == b" ":
        p += 1
    end = p
    while <uint8_t>(p[0] - 48) < 10 and number < n_actions:
        number = 10 * number + p[0] - 48
        p += 1
    return <uint32_t>(end - text) - row.text + 1 if number >= n_actions else 0


cdef inline void check_decision(const uint8_t* text, Row* rows, size_t n, size_t limit, bint truncated, bint compat) \
        noexcept nogil:
    cdef size_t i
    cdef uint32_t column
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
        column = 1
        if reason == FINE and not compat and not isnan(rows[i].label):
            column = column_of_absent(text, rows[i], n - rows[0].shared)
            reason = COST_ABSENT if column else FINE
        if reason != FINE:
            rows[i].kind = ROW_PROBLEM
            rows[i].reason = reason
            rows[i].column = column
            return
        costs = costs or not isnan(rows[i].label)


cdef inline void check_decisions(const uint8_t* text, Row* rows, size_t n, size_t limit, bint truncated, bint compat) \
        noexcept nogil:
    """Find what is wrong with decisions whose lines are well-formed; the row at fault becomes a problem."""
    cdef size_t first = 0, end
    while first < n:
        if rows[first].kind == ROW_EMPTY:
            first += 1
            continue
        end = first + 1
        while end < n and rows[end].kind != ROW_EMPTY:
            end += 1
        check_decision(text, rows + first, end - first, limit, truncated, compat)
        first = end
