"""Heads: parses the text before the first '|' of a line, for each kind of label (see parsers/text.pyx).

Arguments are the block's text, which a row's offsets refer to, and the head's first byte p; the result is the position
of the first '|' or the line's end. An error is written to `reason`, its position to `at`. Labels other than simple ones
are written to `choice`, which is large enough. The functions are inline: a head is parsed in the loop over lines.
"""
from libc.math cimport NAN, isfinite, isnan
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from vwlite.core.example cimport MAX_ACTIONS, NO_NUMBER, ROW_EMPTY, ROW_PROBLEM, ROW_SHARED, Choice, Row
from vwlite.core.reasons cimport (
    ACTION_BLANK, ACTIONS_MANY, BAR_MISSING, CLASS_NUMBER, CLASS_SIGNS, CLASS_SYNTAX, CLASS_WORDS, CLASSES_EMPTY,
    CLASSES_WORDS, COST_ABSENT, COST_ACTION, COST_NUMBER, COST_PROBABILITY, COST_SYNTAX, DECISION_LENGTH, FINE,
    LABEL_FINITE, LABEL_KIND, LABEL_NUMBER, LABEL_WORDS, SHARED_ALONE, SHARED_COST, SHARED_PLACE, SHARED_TAG,
    WEIGHT_NEGATIVE, Reason,
)

cdef enum Head:
    # which of them a parser reads
    SIMPLE_HEAD
    CLASS_HEAD
    CLASSES_HEAD
    COSTS_HEAD
    ACTION_HEAD

cdef extern from "vwlite/core/number.h" nogil:
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
    """Parses label, importance, initial prediction and tag."""
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
        # VW reads 1:1 or 1x as 1
        if behind == word or (behind != p and not compat):
            if compat or end[0] == b"|":
                reason[0] = LABEL_KIND if behind > word and (behind[0] == b":" or behind[0] == b",") else LABEL_NUMBER
            else:
                reason[0] = BAR_MISSING
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


cdef inline const uint8_t* next_word(const uint8_t** p, const uint8_t* stop) noexcept nogil:
    """The next word before `stop`, NULL if there is none; moves p after it."""
    cdef const uint8_t* word
    while p[0] < stop and p[0][0] == b" ":
        p[0] += 1
    if p[0] >= stop:
        return NULL
    word = p[0]
    while p[0] < stop and p[0][0] != b" ":
        p[0] += 1
    return word


cdef inline Reason read_class(
    const uint8_t* text, const uint8_t* word, const uint8_t* end, Choice* choice, bint may_be_name
) noexcept nogil:
    """Parses a class by number or by name; returns the Reason if a word is not a class.

    A name counts as one only where a '|' follows on the line (or as told): else a text file would be full of classes.
    """
    cdef const uint8_t* p = word
    cdef uint64_t number = 0
    cdef float value
    choice.name, choice.name_length = <uint32_t>(word - text), <uint32_t>(end - word)
    choice.cost = choice.probability = NAN
    while p < end and <uint8_t>(p[0] - 48) < 10 and number < NO_NUMBER:
        number = 10 * number + p[0] - 48
        p += 1
    if p == end and number < NO_NUMBER:
        choice.number = <uint32_t>number
        return FINE
    choice.number = NO_NUMBER
    while p < end:
        if p[0] == b":" or p[0] == b",":
            return CLASS_SIGNS
        p += 1
    if vwl_any_number(word, &value) == end:
        return CLASS_NUMBER
    return FINE if may_be_name else BAR_MISSING


cdef inline const uint8_t* parse_class(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at, Choice* choice
) noexcept nogil:
    """Parses class, importance and tag."""
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* behind
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
    word = next_word(&p, stop)
    if word == NULL:
        return end
    at[0] = word
    reason[0] = read_class(text, word, p, choice, compat or end[0] == b"|")
    if reason[0] != FINE:
        return end
    row.n_choices = 1
    row.label = 0
    word = next_word(&p, stop)
    if word == NULL:
        return end
    at[0] = word
    behind = vwl_any_number(word, &row.weight)
    if behind != p:
        reason[0] = LABEL_NUMBER
    elif not isfinite(row.weight):
        reason[0] = LABEL_FINITE
    elif row.weight < 0:
        reason[0] = WEIGHT_NEGATIVE
    else:
        word = next_word(&p, stop)
        if word != NULL:
            reason[0] = CLASS_WORDS
            at[0] = word
    return end


cdef inline const uint8_t* parse_classes(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at, Choice* choice
) noexcept nogil:
    """Parses classes separated by commas, and the tag."""
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* piece
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
    word = next_word(&p, stop)
    if word == NULL:
        return end
    piece = word
    while reason[0] == FINE:
        while word < p and word[0] != b",":
            word += 1
        at[0] = piece
        if word == piece:
            reason[0] = CLASSES_EMPTY
            break
        reason[0] = read_class(text, piece, word, choice + row.n_choices, compat or end[0] == b"|")
        row.n_choices += 1
        if word == p:
            break
        word += 1
        piece = word
    row.label = 0
    word = next_word(&p, stop)
    if reason[0] == FINE and word != NULL:
        reason[0] = CLASSES_WORDS
        at[0] = word
    return end


cdef inline bint is_shared(const uint8_t* word, size_t n) noexcept nogil:
    return n == 6 and memcmp(word, b"shared", 6) == 0 or n == 12 and memcmp(word, b"***shared***", 12) == 0


cdef inline const uint8_t* number_at(const uint8_t* p, const uint8_t* end, float* value) noexcept nogil:
    """Reads a number that begins at p, before the end; returns the position after it, NULL if there is none."""
    cdef const uint8_t* behind
    value[0] = 0
    if p >= end or p[0] <= 32:
        return NULL
    behind = vwl_any_number(p, value)
    if behind == p or behind > end:
        return NULL
    return behind


cdef inline bint begins_line(
    const uint8_t* text, const Row* row, const uint8_t* start, const uint8_t* p, const uint8_t* stop,
    const uint8_t* end, Reason* reason, const uint8_t** at
) noexcept nogil:
    """Whether a line of a multi-line example can begin like this: `shared` is not a tag, and blanks are not a line."""
    if is_shared(text + row.tag, row.tag_length):
        reason[0] = SHARED_TAG
        at[0] = text + row.tag
    elif end[0] != b"|" and row.tag_length == 0 and next_word(&p, stop) == NULL:
        reason[0] = ACTION_BLANK
        at[0] = start
    return reason[0] == FINE


cdef inline const uint8_t* parse_costs(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at, Choice* choice,
    bint multiline
) noexcept nogil:
    """Parses class:cost of each class with a known cost, class of others; or `shared`."""
    cdef const uint8_t* start = p
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* colon
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
    cdef float cost
    if multiline and not begins_line(text, row, start, p, stop, end, reason, at):
        return end
    while reason[0] == FINE:
        word = next_word(&p, stop)
        if word == NULL:
            break
        at[0] = word
        if multiline and row.n_choices == 0 and not row.flags & ROW_SHARED and is_shared(word, p - word):
            row.flags |= ROW_SHARED
            continue
        if row.flags & ROW_SHARED:
            reason[0] = SHARED_COST
            break
        colon = word
        while colon < p and colon[0] != b":":
            colon += 1
        if colon == word:
            reason[0] = CLASS_SYNTAX
            break
        reason[0] = read_class(text, word, colon, choice + row.n_choices, compat or end[0] == b"|" or colon < p)
        if reason[0] != FINE:
            break
        if colon < p:
            if number_at(colon + 1, p, &cost) != p or not isfinite(cost):
                reason[0] = COST_NUMBER
                break
            choice[row.n_choices].cost = cost
            row.label = 0
        row.n_choices += 1
    return end


cdef inline const uint8_t* parse_action(
    const uint8_t* text, Row* row, const uint8_t* p, bint compat, Reason* reason, const uint8_t** at, Choice* choice
) noexcept nogil:
    """Parses action:cost:probability of an action's line, if the cost is known; or `shared`.

    Actions are counted by their lines, as in VW; check_lines() refuses a number that no line has.
    """
    cdef const uint8_t* start = p
    cdef const uint8_t* word
    cdef const uint8_t* stop
    cdef const uint8_t* behind
    cdef const uint8_t* end = label_words(text, row, &p, &stop, compat)
    cdef bint first = True
    cdef uint64_t number = 0
    if not begins_line(text, row, start, p, stop, end, reason, at):
        return end
    while reason[0] == FINE:
        word = next_word(&p, stop)
        if word == NULL:
            break
        at[0] = word
        if first and is_shared(word, p - word):
            row.flags |= ROW_SHARED
            first = False
            continue
        if not first:
            reason[0] = SHARED_COST if row.flags & ROW_SHARED else COST_SYNTAX
            break
        first = False
        behind = word
        while <uint8_t>(behind[0] - 48) < 10:
            if number < NO_NUMBER:
                number = 10 * number + behind[0] - 48
            behind += 1
        if behind == word or (behind < p and behind[0] != b":"):
            reason[0] = COST_ACTION if compat or end[0] == b"|" else BAR_MISSING
            break
        if behind == p:
            continue
        choice.number = <uint32_t>min(number, <uint64_t>NO_NUMBER)
        choice.name, choice.name_length = <uint32_t>(word - text), <uint32_t>(behind - word)
        behind = number_at(behind + 1, p, &choice.cost)
        if behind == NULL or behind > p or (behind < p and behind[0] != b":") or not isfinite(choice.cost):
            reason[0] = COST_NUMBER
            break
        if behind == p:
            reason[0] = COST_SYNTAX
            break
        behind = number_at(behind + 1, p, &choice.probability)
        if behind != p or not (choice.probability > 0 and choice.probability <= 1):
            if not (compat and behind == p and choice.probability > 1):
                reason[0] = COST_PROBABILITY
                break
            choice.probability = 1        # as in VW, which warns, too
            row.warned = COST_PROBABILITY
        row.n_choices = 1
        row.label = 0
    return end


cdef inline void check_example(
    const uint8_t* text, Row* rows, const Choice* choices, size_t n, size_t limit, bint truncated, bint numbered
) noexcept nogil:
    cdef size_t i
    cdef uint32_t column
    cdef Reason reason = FINE
    if truncated or rows[n - 1].text + rows[n - 1].text_length - rows[0].text > limit:
        rows[0].kind = ROW_PROBLEM
        rows[0].reason = DECISION_LENGTH
        rows[0].column = 1
        return
    for i in range(n):
        if rows[i].kind == ROW_PROBLEM:
            return
        column = 1
        if rows[i].flags & ROW_SHARED and i:
            reason = SHARED_PLACE
        elif i - (rows[0].flags & ROW_SHARED) == MAX_ACTIONS:
            reason = ACTIONS_MANY
        elif rows[i].flags & ROW_SHARED and n == 1:
            reason = SHARED_ALONE
        elif numbered and rows[i].n_choices and choices[rows[i].choice].number >= n - (rows[0].flags & ROW_SHARED):
            reason = COST_ABSENT
            column = choices[rows[i].choice].name - rows[i].text + 1
        if reason != FINE:
            rows[i].kind = ROW_PROBLEM
            rows[i].reason = reason
            rows[i].column = column
            return


cdef inline void check_lines(
    const uint8_t* text, Row* rows, const Choice* choices, size_t n, size_t limit, bint truncated, bint numbered
) noexcept nogil:
    """Finds errors in multi-line examples whose lines are well-formed; marks the row of an error as malformed.

    `numbered`: actions have the numbers of their lines.
    """
    cdef size_t first = 0, end
    while first < n:
        if rows[first].kind == ROW_EMPTY:
            first += 1
            continue
        end = first + 1
        while end < n and rows[end].kind != ROW_EMPTY:
            end += 1
        check_example(text, rows + first, choices, end - first, limit, truncated, numbered)
        first = end


cdef inline const uint8_t* parse_label(
    Head head, const uint8_t* text, Row* row, const uint8_t* p, bint compat, bint multiline, Reason* reason,
    const uint8_t** at, Choice* choice
) noexcept nogil:
    """Parses a label of any kind, with what else is before the first '|'."""
    if head == SIMPLE_HEAD:
        return parse_simple(text, row, p, compat, reason, at)
    if head == CLASS_HEAD:
        return parse_class(text, row, p, compat, reason, at, choice)
    if head == CLASSES_HEAD:
        return parse_classes(text, row, p, compat, reason, at, choice)
    if head == COSTS_HEAD:
        return parse_costs(text, row, p, compat, reason, at, choice, multiline)
    return parse_action(text, row, p, compat, reason, at, choice)
