"""Ranking of actions, and draws from their probabilities. Ties are in the order of the actions."""
from libc.stdint cimport uint32_t

cdef enum:
    FEW = 24                          # up to which insertion sort is used


cdef void rank(uint32_t* order, const float* scores, size_t n, bint largest_first) noexcept nogil:
    """Rank the actions 0 ... n - 1 by their scores, none of which is NaN.

    A few are placed by the number of those before each, without a branch: the order is unpredictable.
    """
    cdef uint32_t i, j, place
    cdef uint32_t[FEW] places
    cdef float[FEW] keys
    cdef float sign = -1 if largest_first else 1
    cdef bint before
    if n <= FEW:
        for i in range(<uint32_t>n):
            keys[i] = sign * scores[i]
            places[i] = 0
        for i in range(1, <uint32_t>n):
            place = 0
            for j in range(i):
                before = keys[i] < keys[j]
                places[j] += before
                place += not before
            places[i] += place
        for i in range(<uint32_t>n):
            order[places[i]] = i
        return
    for i in range(<uint32_t>n):
        order[i] = i
    sort(order, n, scores, largest_first)


cdef void rank_taken(uint32_t* order, const float* probabilities, size_t n, size_t taken) noexcept nogil:
    """Rank the action taken first, then the others, most probable first.

    Only actions more probable than the least probable are sorted, which are usually few.
    """
    cdef float least = 2
    cdef size_t i, end = 1
    order[0] = <uint32_t>taken
    for i in range(n):
        if i != taken and probabilities[i] < least:
            least = probabilities[i]
    for i in range(n):
        if i != taken and probabilities[i] > least:
            order[end] = <uint32_t>i
            end += 1
    sort(order + 1, end - 1, probabilities, True)
    for i in range(n):
        if i != taken and not probabilities[i] > least:
            order[end] = <uint32_t>i
            end += 1


cdef size_t pick(const float* probabilities, size_t n, double u) noexcept nogil:
    """Draw an action by inverse transform of u in (0, 1); never one of probability 0, in spite of rounding."""
    cdef size_t i, last = 0
    for i in range(n):
        if probabilities[i] > 0:
            last = i
            u -= probabilities[i]
            if u < 0:
                break
    return last


cdef inline bint comes_before(uint32_t a, uint32_t b, const float* keys, bint largest_first) noexcept nogil:
    if keys[a] == keys[b]:
        return a < b
    return (keys[a] > keys[b]) == largest_first


cdef void sort(uint32_t* actions, size_t n, const float* keys, bint largest_first) noexcept nogil:
    """Insertion sort of a few; otherwise heapsort (Williams 1964): in place, n log n in the worst case."""
    cdef size_t i, j
    cdef uint32_t one
    if n <= FEW:
        for i in range(1, n):
            one = actions[i]
            j = i
            while j and comes_before(one, actions[j - 1], keys, largest_first):
                actions[j] = actions[j - 1]
                j -= 1
            actions[j] = one
        return
    for i in range(n // 2, 0, -1):
        sink(actions, i - 1, n, keys, largest_first)
    for i in range(n - 1, 0, -1):
        actions[0], actions[i] = actions[i], actions[0]
        sink(actions, 0, i, keys, largest_first)


cdef inline void sink(uint32_t* actions, size_t i, size_t n, const float* keys, bint largest_first) noexcept nogil:
    """Sift down actions[i] in the heap."""
    cdef size_t below
    while 2 * i + 1 < n:
        below = 2 * i + 1
        if below + 1 < n and comes_before(actions[below], actions[below + 1], keys, largest_first):
            below += 1
        if not comes_before(actions[i], actions[below], keys, largest_first):
            return
        actions[i], actions[below] = actions[below], actions[i]
        i = below
