"""Sample of rows, and quantiles and areas under the curve of it. Design notes are in sample.pxd."""
from libc.math cimport floor, isnan
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport Feature

cdef enum:
    LABELLED = 1                      # bits of a key, below those of the value
    POSITIVE = 2
    NOT_WANTED = 0xFFFFFFFF
    FEW_KEYS = 48                     # which are sorted by insertion


cdef class Sample:
    """A sample of rows.

    Args:
        most: The most features in it.
    """

    def __init__(self, size_t most):
        self.most = most

    def __dealloc__(self):
        free(self.rows)
        free(self.features)

    cdef int take(self, uint64_t hash, float y, const Feature* features, const uint32_t* numbers, size_t n) \
            except -1 nogil:
        """Adds a row; a full sample is halved.

        Args:
            numbers: Of the features, counted from 1; those with 0 are left out.
        """
        cdef size_t i, k = 0
        cdef SampledRow* row
        for i in range(n):
            k += numbers[i] != 0
        while self.n + k > self.most and self.mask < <uint64_t>1 << 40:
            self.halve()
            if hash & self.mask:
                return 0
        k = min(k, self.most - self.n)  # else it is one row, many times
        if k == 0:
            return 0
        grow(&self.rows, &self.row_capacity, self.n_rows + 1, sizeof(SampledRow))
        grow(&self.features, &self.capacity, self.n + k, sizeof(SampledFeature))
        row = &self.rows[self.n_rows]
        row.hash, row.y, row.n = hash, y, <uint32_t>k
        self.n_rows += 1
        i = 0
        while k:
            if numbers[i]:
                self.features[self.n].feature = numbers[i] - 1
                self.features[self.n].x = 1 if isnan(features[i].value) else features[i].value
                self.n += 1
                k -= 1
            i += 1
        return 0

    cdef void halve(self) noexcept nogil:
        """Leaves out the rows with a further bit of their hash."""
        cdef size_t i, j, m, n = 0, rows = 0, begin = 0
        self.mask = 2 * self.mask + 1
        for i in range(self.n_rows):
            m = self.rows[i].n
            if (self.rows[i].hash & self.mask) == 0:
                self.rows[rows] = self.rows[i]
                rows += 1
                for j in range(m):
                    self.features[n + j] = self.features[begin + j]
                n += m
            begin += m
        self.n, self.n_rows = n, rows

    def summaries(self, list wanted not None, size_t n_known, list quantiles not None, double high):
        """Of each wanted feature that is in the sample, what summary_of() says; None of the others.

        Args:
            wanted: Numbers of features, counted from 0.
            n_known: All numbers are smaller.
            quantiles: Shares, from 0 to 1.
            high: The label of the positive rows, for areas under the curve; NaN for none.
        """
        cdef uint32_t* places = NULL
        cdef uint64_t* keys = NULL
        cdef size_t* ends = NULL
        cdef size_t i, j, k, begin = 0, total = 0, n = len(wanted)
        cdef uint64_t key
        cdef list found = [None] * n
        try:
            resize(&places, n_known + 1, sizeof(uint32_t))
            resize(&ends, n + 1, sizeof(size_t))
            memset(places, 0xFF, (n_known + 1) * sizeof(uint32_t))
            memset(ends, 0, (n + 1) * sizeof(size_t))
            for i in range(n):
                places[<size_t>wanted[i]] = <uint32_t>i
            for i in range(self.n):
                k = places[self.features[i].feature]
                if k != NOT_WANTED:
                    ends[k + 1] += 1
                    total += 1
            resize(&keys, 2 * total + 1, sizeof(uint64_t))
            for i in range(n):
                ends[i + 1] += ends[i]        # where the next one begins, by now
            for i in range(self.n_rows):
                key = 0
                if not isnan(self.rows[i].y):
                    key = LABELLED | (POSITIVE if self.rows[i].y == high else 0)
                for j in range(begin, begin + self.rows[i].n):
                    k = places[self.features[j].feature]
                    if k != NOT_WANTED:
                        keys[ends[k]] = <uint64_t>ordered(self.features[j].x) << 32 | key
                        ends[k] += 1
                begin += self.rows[i].n
            begin = 0
            for i in range(n):
                if ends[i] > begin:
                    sort(keys + begin, keys + total, ends[i] - begin)
                    found[i] = summary_of(keys + begin, ends[i] - begin, quantiles, high)
                begin = ends[i]
        finally:
            free(places)
            free(keys)
            free(ends)
        return found


cdef tuple summary_of(const uint64_t* keys, size_t n, list quantiles, double high):
    """Quantiles, the median size of what is not 0, and the area under the curve, of keys in order.

    The area is None without positive or without other labelled rows, or if `high` is NaN.
    """
    return ([quantile_of(keys, n, share) for share in quantiles], typical_size(keys, n),
            None if isnan(high) else area_under(keys, n))


cdef double quantile_of(const uint64_t* keys, size_t n, double share):
    """The value at a share of the way from the least to the largest, between neighbours if need be.

    It is that of NumPy's `quantile`, bit by bit: definition 7 of Hyndman and Fan (1996).
    """
    cdef double at = <double>(n - 1) * share, below = floor(at), part = at - below
    cdef size_t i = min(<size_t>below, n - 1), j = min(i + 1, n - 1)
    cdef double low = number_in(keys[i]), high = number_in(keys[j])
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


cdef double typical_size(const uint64_t* keys, size_t n):
    """The median of the sizes of the numbers that are not 0; 0 if there are none."""
    cdef size_t negative = 0, positive, sizes, i, j
    cdef double middle = 0, before = 0
    while negative < n and number_in(keys[negative]) < 0:
        negative += 1
    positive = negative
    while positive < n and number_in(keys[positive]) == 0:
        positive += 1
    sizes = negative + n - positive
    if sizes == 0:
        return 0
    i, j = negative, positive         # sizes of negative numbers, from the last one on, and of positive ones
    for _ in range(sizes // 2 + 1):
        before = middle
        if j == n or (i and -number_in(keys[i - 1]) < number_in(keys[j])):
            i -= 1
            middle = -number_in(keys[i])
        else:
            middle = number_in(keys[j])
            j += 1
    return middle if sizes & 1 else (before + middle) / 2


cdef object area_under(const uint64_t* keys, size_t n):
    """The probability that a positive row has the larger number, ties counted by half; None without both classes."""
    cdef size_t i = 0, j, labelled, positive, below = 0, n_positive = 0
    cdef double ranks = 0             # of the positive rows; its halves are exact
    while i < n:
        labelled = positive = 0
        j = i
        while i < n and keys[i] >> 32 == keys[j] >> 32:
            labelled += (keys[i] & LABELLED) != 0
            positive += (keys[i] & POSITIVE) != 0
            i += 1
        ranks += <double>positive * (<double>below + <double>(labelled + 1) / 2)
        below += labelled
        n_positive += positive
    if n_positive == 0 or n_positive == below:
        return None
    ranks -= <double>n_positive * <double>(n_positive + 1) / 2
    return ranks / (<double>n_positive * <double>(below - n_positive))


cdef inline uint32_t ordered(float x) noexcept nogil:
    """The bits of a number in the order of numbers; -0 is 0."""
    cdef uint32_t bits
    x += 0
    memcpy(&bits, &x, sizeof(float))
    return ~bits if bits >> 31 else bits | 0x80000000u


cdef inline double number_in(uint64_t key) noexcept nogil:
    """The number of a key."""
    cdef uint32_t bits = <uint32_t>(key >> 32)
    cdef float x
    bits = bits & 0x7FFFFFFFu if bits >> 31 else ~bits
    memcpy(&x, &bits, sizeof(float))
    return x


cdef void sort(uint64_t* keys, uint64_t* other, size_t n) noexcept nogil:
    """Sorts keys by their numbers: by insertion, or by one byte after the other, with memory for as many keys."""
    cdef size_t[256] ends
    cdef size_t i, j, count, total
    cdef uint64_t key
    cdef uint64_t* to = other
    cdef uint64_t* source = keys
    cdef int shift
    if n <= FEW_KEYS:
        for i in range(1, n):
            key, j = keys[i], i
            while j and keys[j - 1] > key:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = key
        return
    for shift in range(32, 64, 8):
        memset(ends, 0, sizeof(ends))
        for i in range(n):
            ends[(source[i] >> shift) & 255] += 1
        if ends[(source[0] >> shift) & 255] == n:
            continue                  # they have this byte in common
        total = 0
        for i in range(256):
            count, ends[i] = ends[i], total
            total += count
        for i in range(n):
            to[ends[(source[i] >> shift) & 255]] = source[i]
            ends[(source[i] >> shift) & 255] += 1
        source, to = to, source
    if source != keys:
        memcpy(keys, source, n * sizeof(uint64_t))
