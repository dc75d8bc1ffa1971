"""Chooses, weighs and mixes examples: copies those that are used into blocks of their own.

Design:
a) An example is used if --where holds for it and --sample draws it; then --sample_weights draws its weight. Draws go by
   the number of the example among those for which --where holds, so they are the same in every run over the same data.
b) Malformed lines are copied, so that they are reported.
c) All runs in the learning thread, in the order of the input.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.draws cimport mix, uniform
from vwlite.core.elementary cimport exp
from vwlite.core.example cimport ROW_EMPTY, ROW_PROBLEM, Block
from vwlite.input.gather cimport Gather
from vwlite.input.predicate cimport Predicate

cdef enum Purpose:                    # of a draw
    SAMPLE = 1
    WEIGHT
    ORDER

cdef double ONE_OVER_E = exp(-1)


cdef class Selector:
    """Copies the examples of blocks that are used.

    Args:
        predicate: The Predicate of --where, or None.
        share: The share of --sample; 1 uses all.
        weighted: Whether weights are drawn from the Poisson distribution of mean 1.
        shuffled: How many examples are shuffled together; 0 for none.
        seed: Of the draws.
        names: Whether learners read the names of features.
        multiline: Whether an empty line ends an example.
        most: Examples of a block, if they are not shuffled.
    """

    cdef readonly Predicate predicate
    cdef Gather gather
    cdef double share
    cdef bint weighted, multiline
    cdef size_t shuffled, most
    cdef uint64_t seed
    cdef uint64_t drawn, blocks       # examples for which --where held; blocks that were shuffled
    cdef readonly size_t seen         # examples; and those that were left out, by
    cdef readonly size_t out_where, out_sample, out_weight
    cdef readonly size_t used

    def __init__(self, predicate, double share, bint weighted, size_t shuffled, unsigned long long seed, bint names,
                 bint multiline, size_t most):
        self.predicate = predicate
        self.share, self.weighted, self.shuffled, self.seed = share, weighted, shuffled, seed
        self.multiline, self.most = multiline, shuffled or most
        self.gather = Gather(names, multiline)

    def take(self, Block block not None, size_t at, uint32_t source, bint one=False):
        """Copies the used examples of a block.

        Args:
            block: The block.
            at: The row to begin with.
            source: The index of the block's source.
            one: Whether to stop after an example that is used.

        Returns:
            The row after the last one that was read; the rows that follow wait until there is place.
        """
        with nogil:
            at = self.copy(block, at, source, one)
        return at

    cdef size_t copy(self, Block block, size_t at, uint32_t source, bint one) except? 0xFFFFFFFF nogil:
        cdef size_t first
        cdef bint malformed
        cdef double weight
        while at < block.n_rows and not self.gather.is_full(self.most):
            if block.rows[at].kind == ROW_EMPTY:
                at += 1
                continue
            first = at
            malformed = block.rows[at].kind == ROW_PROBLEM
            at += 1
            while self.multiline and at < block.n_rows and block.rows[at].kind != ROW_EMPTY:
                malformed = malformed or block.rows[at].kind == ROW_PROBLEM
                at += 1
            if malformed:
                self.gather.add(block, first, at, source, 1)
                continue
            weight = self.weight_of(block, first)
            if weight > 0:
                self.gather.add(block, first, at, source, <float>weight)
                self.used += 1
                if one:
                    break
        return at

    cdef double weight_of(self, Block block, size_t first) noexcept nogil:
        """What the weight of an example is multiplied with; 0 if it is not used."""
        cdef uint64_t n
        cdef int weight
        self.seen += 1
        if self.predicate is not None and not self.predicate.holds(block, first):
            self.out_where += 1
            return 0
        n = self.drawn
        self.drawn += 1
        if self.share < 1 and uniform(mix(self.seed, SAMPLE), n) >= self.share:
            self.out_sample += 1
            return 0
        if not self.weighted:
            return 1
        weight = poisson(uniform(mix(self.seed, WEIGHT), n))
        self.out_weight += weight == 0
        return weight

    @property
    def full(self):
        """Whether the copied examples have to be taken away before others are copied."""
        return self.gather.is_full(self.most)

    @property
    def empty(self):
        """Whether nothing was copied."""
        return self.gather.block.n_rows == 0

    def finish(self):
        """The block of the copied examples, which clear() empties."""
        if self.shuffled:
            self.gather.shuffle(mix(mix(self.seed, ORDER), self.blocks))
            self.blocks += 1
        self.gather.end_block()
        return self.gather.block

    def clear(self):
        """Empties the block of copied examples."""
        self.gather.clear()


cdef int poisson(double u) noexcept nogil:
    """The quantile of the Poisson distribution of mean 1 (the bootstrap of Oza and Russell 2001)."""
    cdef double term = ONE_OVER_E, sum = ONE_OVER_E
    cdef int k = 0
    while u > sum and k < 20:
        k += 1
        term /= k
        sum += term
    return k


def poisson_quantile(double u):
    """The quantile of the Poisson distribution of mean 1, for tests."""
    return poisson(u)
