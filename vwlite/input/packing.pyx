"""Packs parsed lines into few bytes, for caches. Design notes are in packing.pxd."""
from libc.math cimport NAN, fabs
from libc.stdint cimport int8_t, int16_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from vwlite.core.example cimport (
    CONSTANT_HASH, NO_NUMBER, ROW_EXAMPLE, ROW_PROBLEM, Choice, Extent, Feature,
)
from vwlite.core.reasons cimport FINE, REASONS

cdef enum:
    RECENT = 1 << 11                  # recent hashes stored, each at the place of its low bits
    WORST_ROW = 64                    # bytes
    WORST_EXTENT = 16
    WORST_FEATURE = 10
    WORST_CHOICE = 20

cdef enum Flag:                       # of a row, in two bytes
    LABEL = 3                         # mask
    NO_LABEL = 0
    SMALL_LABEL = 1                   # one byte follows
    FLOAT_LABEL = 2                   # four bytes follow
    SAME_LABEL = 3
    WEIGHT = 1 << 2                   # four bytes follow
    INITIAL = 1 << 3
    CHOICES = 1 << 4                  # how many follows, and then each
    TAG = 1 << 5                      # its length follows
    TEXT = 1 << 6
    LINE = 1 << 7                     # the number of the line follows: it isn't the next one
    NAMESPACES = 1 << 8               # follow: they aren't those of the line before
    KIND = 1 << 9                     # kind, reason, flags and column follow

cdef enum OfChoice:                   # a byte, then what it says, then the length of the name
    HAS_NUMBER = 1
    HAS_COST = 2                      # four bytes
    HAS_PROBABILITY = 4               # four bytes

# A feature is two bytes (a place from 0 to RECENT - 1 | Value << 11 | Hash << 14), the rest of its hash and its value.

cdef enum Hash:                       # in two bits
    ANY                               # three bytes follow, the place is the low bits
    KNOWN                             # is remembered at the place
    NEAR                              # is the hash before it, and the place

cdef enum Value:                      # in three bits
    ONE
    FLOAT                             # four bytes follow
    SMALL                             # a whole number in one byte follows
    TIMES_1                           # a whole number in two bytes follows, to be divided by 1, 10, ...
    TIMES_10
    TIMES_100
    TIMES_1000
    TIMES_10000

cdef double[8] DIVISORS
DIVISORS[:] = [1, 1, 1, 1, 10, 100, 1000, 10000]


cdef inline uint32_t bits(float x) noexcept nogil:
    cdef uint32_t found
    memcpy(&found, &x, 4)
    return found


cdef inline uint8_t* put(uint8_t* to, const void* data, size_t n) noexcept nogil:
    memcpy(to, data, n)
    return to + n


cdef inline uint8_t* put_number(uint8_t* to, uint32_t number) noexcept nogil:
    """Seven bits a byte, the lowest first."""
    while number >= 128:
        to[0] = <uint8_t>(number | 128)
        number >>= 7
        to += 1
    to[0] = <uint8_t>number
    return to + 1


cdef inline const uint8_t* get_number(const uint8_t* at, uint32_t* number) noexcept nogil:
    cdef uint32_t found = at[0] & 127, shift = 7
    while at[0] & 128 and shift < 35:
        at += 1
        found |= <uint32_t>(at[0] & 127) << shift
        shift += 7
    number[0] = found
    return at + 1


cdef size_t packed_room(size_t rows, size_t extents, size_t features, size_t choices) noexcept nogil:
    return WORST_ROW * rows + WORST_EXTENT * extents + WORST_FEATURE * features + WORST_CHOICE * choices


cdef size_t pack(Block block, const Row* rows, size_t n, uint8_t* to) noexcept nogil:
    cdef uint32_t[RECENT] recent
    cdef const Row* row
    cdef const Extent* extents
    cdef const Extent* extents_before = block.extents
    cdef const Feature* features
    cdef uint8_t* start = to
    cdef uint8_t* at_flags
    cdef uint16_t flags
    cdef size_t i, j, at_feature = 0, at_extent = 0, at_choice = 0
    cdef uint32_t n_before = 0, line = <uint32_t>-1, end, last
    cdef float label = NAN
    cdef int8_t small
    if block.names != NULL:
        return 0
    memset(recent, 0, sizeof(recent))
    for i in range(n):
        row = &rows[i]
        extents = block.extents + row.extent
        features = block.features + row.feature
        if row.n_features or row.n_extents or row.kind == ROW_EXAMPLE:
            if (row.kind != ROW_EXAMPLE or row.feature != at_feature or row.extent != at_extent
                    or features[row.n_features].hash != CONSTANT_HASH or features[row.n_features].value != 1
                    or (row.n_features and (not row.n_extents or extents[0].begin != 0))):
                return 0
        at_flags = to
        to += 2
        flags = 0
        if bits(row.label) != bits(NAN):
            small = <int8_t>row.label if fabs(row.label) <= 127 else 0
            if bits(row.label) == bits(label):
                flags |= SAME_LABEL
            elif bits(<float>small) == bits(row.label):
                flags |= SMALL_LABEL
                to = put(to, &small, 1)
            else:
                flags |= FLOAT_LABEL
                to = put(to, &row.label, 4)
            label = row.label
        if bits(row.weight) != bits(1):
            flags |= WEIGHT
            to = put(to, &row.weight, 4)
        if bits(row.initial):
            flags |= INITIAL
            to = put(to, &row.initial, 4)
        if row.choice != at_choice:
            return 0
        if row.n_choices:
            flags |= CHOICES
            to = put_number(to, row.n_choices)
            for j in range(row.n_choices):
                to = pack_choice(block.choices + row.choice + j, to)
            at_choice += row.n_choices
        if row.tag_length:
            flags |= TAG
            to = put_number(to, row.tag_length)
        if row.text_length:
            flags |= TEXT
            to = put_number(to, row.text_length)
        if row.line != line + 1:
            flags |= LINE
            to = put_number(to, row.line)
        line = row.line
        if row.kind != ROW_EXAMPLE or row.flags:
            flags |= KIND
            to[0], to[1], to[2] = row.kind, row.reason, row.flags
            to = put_number(to + 3, row.column)
        if row.kind == ROW_EXAMPLE and not are_same(extents, row.n_extents, extents_before, n_before):
            flags |= NAMESPACES
            to = put_number(to, row.n_extents)
            for j in range(row.n_extents):
                to = put(to, &extents[j].hash, 4)
                to = put_number(to, extents[j].name_length_index)
        if row.kind == ROW_EXAMPLE:
            for j in range(row.n_extents):
                end = extents[j + 1].begin if j + 1 < row.n_extents else row.n_features
                if end < extents[j].begin or end > row.n_features:
                    return 0
                to = put_number(to, end - extents[j].begin)
            last = extents[0].hash if row.n_extents else 0
            for j in range(row.n_features):
                to = pack_feature(&features[j], last, recent, to)
                last = features[j].hash
            at_feature += row.n_features + 1
            at_extent += row.n_extents
            extents_before, n_before = extents, row.n_extents
        memcpy(at_flags, &flags, 2)
    if at_feature != block.n_features or at_extent != block.n_extents or at_choice != block.n_choices:
        return 0
    return to - start


cdef inline uint8_t* pack_choice(const Choice* choice, uint8_t* to) noexcept nogil:
    cdef uint8_t* flags = to
    flags[0] = 0
    to += 1
    if choice.number != NO_NUMBER:
        flags[0] |= HAS_NUMBER
        to = put_number(to, choice.number)
    if bits(choice.cost) != bits(NAN):
        flags[0] |= HAS_COST
        to = put(to, &choice.cost, 4)
    if bits(choice.probability) != bits(NAN):
        flags[0] |= HAS_PROBABILITY
        to = put(to, &choice.probability, 4)
    return put_number(to, choice.name_length)


cdef inline const uint8_t* unpack_choice(const uint8_t* at, Choice* choice) noexcept nogil:
    cdef uint8_t flags = at[0]
    at += 1
    choice.number = NO_NUMBER
    choice.cost = choice.probability = NAN
    if flags & HAS_NUMBER:
        at = get_number(at, &choice.number)
    if flags & HAS_COST:
        memcpy(&choice.cost, at, 4)
        at += 4
    if flags & HAS_PROBABILITY:
        memcpy(&choice.probability, at, 4)
        at += 4
    return get_number(at, &choice.name_length)


cdef inline bint are_same(const Extent* one, uint32_t n, const Extent* other, uint32_t m) noexcept nogil:
    """Whether two rows have the same namespaces."""
    cdef uint32_t i
    if n != m:
        return False
    for i in range(n):
        if one[i].hash != other[i].hash or one[i].name_length_index != other[i].name_length_index:
            return False
    return True


cdef inline uint8_t* pack_feature(const Feature* feature, uint32_t last, uint32_t* recent, uint8_t* to) noexcept nogil:
    """Writes a feature; `last` is the hash before it."""
    cdef uint32_t place = feature.hash % RECENT, rest = feature.hash // RECENT
    cdef uint8_t* start = to
    cdef uint16_t head = <uint16_t>place
    cdef float value = feature.value
    cdef double size = fabs(value), scaled
    cdef int16_t whole
    cdef int8_t small
    cdef int kind
    to += 2
    if recent[place] == feature.hash:
        head |= KNOWN << 14
    elif feature.hash - last < RECENT:
        recent[place] = feature.hash
        head = <uint16_t>((feature.hash - last) | NEAR << 14)
    else:
        recent[place] = feature.hash
        to[0], to[1], to[2] = <uint8_t>rest, <uint8_t>(rest >> 8), <uint8_t>(rest >> 16)
        to += 3
    if value == 1:
        memcpy(start, &head, 2)
        return to
    if size <= 127:
        small = <int8_t>value
        if bits(<float>small) == bits(value):
            head |= SMALL << 11
            to[0] = <uint8_t>small
            memcpy(start, &head, 2)
            return to + 1
    # a number with fewer decimals than fit is as well written with as many as fit
    kind = (TIMES_10000 if size < 3.27 else TIMES_1000 if size < 32.7 else TIMES_100 if size < 327
            else TIMES_10 if size < 3276 else TIMES_1 if size < 32767 else FLOAT)
    if kind != FLOAT:
        scaled = value * DIVISORS[kind]
        whole = <int16_t>(scaled + (0.5 if scaled > 0 else -0.5))
        if bits(<float>(whole / DIVISORS[kind])) == bits(value):
            head |= <uint16_t>(kind << 11)
            memcpy(start, &head, 2)
            return put(to, &whole, 2)
    head |= FLOAT << 11
    memcpy(start, &head, 2)
    return put(to, &value, 4)


cdef bint unpack(Block block, const uint8_t* at, size_t size, size_t text) noexcept nogil:
    cdef uint32_t[RECENT] recent
    cdef const uint8_t* stop = at + size
    cdef Row* row
    cdef Extent* extents = block.extents
    cdef Extent* extents_before = block.extents
    cdef Feature* features = block.features
    cdef size_t i, j, left = block.n_features, extents_left = block.n_extents, at_choice = 0
    cdef uint32_t n_before = 0, line = <uint32_t>-1, count, begin, n, last
    cdef float label = NAN
    cdef uint16_t flags
    cdef int8_t small
    memset(recent, 0, sizeof(recent))
    memset(block.rows, 0, block.n_rows * sizeof(Row))
    for i in range(block.n_rows):
        if at >= stop:
            return False
        row = &block.rows[i]
        memcpy(&flags, at, 2)
        at += 2
        row.label, row.weight = NAN, 1
        if flags & LABEL == SMALL_LABEL:
            small = <int8_t>at[0]
            at += 1
            row.label = label = small
        elif flags & LABEL == FLOAT_LABEL:
            memcpy(&row.label, at, 4)
            at += 4
            label = row.label
        elif flags & LABEL == SAME_LABEL:
            row.label = label
        if flags & WEIGHT:
            memcpy(&row.weight, at, 4)
            at += 4
        if flags & INITIAL:
            memcpy(&row.initial, at, 4)
            at += 4
        row.choice = <uint32_t>at_choice
        if flags & CHOICES:
            at = get_number(at, &row.n_choices)
            if row.n_choices > block.n_choices - at_choice:
                return False
            for j in range(row.n_choices):
                if at >= stop:
                    return False
                at = unpack_choice(at, &block.choices[at_choice + j])
            at_choice += row.n_choices
        if flags & TAG:
            at = get_number(at, &row.tag_length)
        if flags & TEXT:
            at = get_number(at, &row.text_length)
        row.tag = <uint32_t>text
        text += row.tag_length
        for j in range(row.n_choices):
            block.choices[row.choice + j].name = <uint32_t>text
            text += block.choices[row.choice + j].name_length
        row.text = <uint32_t>text
        text += row.text_length
        if flags & LINE:
            at = get_number(at, &row.line)
        else:
            row.line = line + 1
        line = row.line
        if flags & KIND:
            row.kind, row.reason, row.flags = at[0], at[1], at[2]
            at = get_number(at + 3, &row.column)
        row.feature, row.extent = <uint32_t>(features - block.features), <uint32_t>(extents - block.extents)
        if flags & NAMESPACES:
            at = get_number(at, &n_before)
            if n_before > extents_left:
                return False
            extents_before = extents              # which are not there yet, but will be before the counts
            for j in range(n_before):
                if at >= stop:
                    return False
                memcpy(&extents[j].hash, at, 4)
                at = get_number(at + 4, &extents[j].name_length_index)
        if (text > block.text_length or row.kind > ROW_PROBLEM
                or (not FINE < row.reason < REASONS if row.kind == ROW_PROBLEM else row.reason != FINE)):
            return False
        if row.kind != ROW_EXAMPLE:
            continue
        if n_before > extents_left or left == 0:
            return False
        n = 0
        for j in range(n_before):
            if at >= stop:
                return False
            at = get_number(at, &count)
            begin = n
            n += count
            if count >= left or n >= left:
                return False
            extents[j].hash = extents_before[j].hash
            extents[j].name_length_index = extents_before[j].name_length_index
            extents[j].begin, extents[j].name = begin, 0
        row.n_extents, row.n_features = n_before, n
        last = extents[0].hash if n_before else 0
        for j in range(n):
            if at >= stop:
                return False
            at = unpack_feature(at, last, recent, features + j)
            last = features[j].hash
        features[n].hash, features[n].value = CONSTANT_HASH, 1
        features += n + 1
        left -= n + 1
        extents_before = extents
        extents += n_before
        extents_left -= n_before
    return at == stop and left == 0 and extents_left == 0 and at_choice == block.n_choices


cdef inline const uint8_t* unpack_feature(
    const uint8_t* at, uint32_t last, uint32_t* recent, Feature* to
) noexcept nogil:
    cdef uint32_t head = at[0] | <uint32_t>at[1] << 8
    cdef uint32_t place = head % RECENT, kind = head >> 11 & 7
    cdef int16_t whole
    at += 2
    if head >> 14 == KNOWN:
        to.hash = recent[place]
    elif head >> 14 == NEAR:
        to.hash = last + place
        recent[to.hash % RECENT] = to.hash
    else:
        to.hash = place | (at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16) * RECENT
        recent[place] = to.hash
        at += 3
    if kind == ONE:
        to.value = 1
        return at
    if kind == FLOAT:
        memcpy(&to.value, at, 4)
        return at + 4
    if kind == SMALL:
        to.value = <int8_t>at[0]
        return at + 1
    memcpy(&whole, at, 2)
    to.value = <float>(whole / DIVISORS[kind])
    return at + 2
