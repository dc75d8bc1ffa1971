"""Collisions: features of different names that share a slot in a table of weights."""
from libc.stdint cimport uint32_t

from vwlite.core.elementary cimport expm1, log1p


def expected_collisions(double n, int bits):
    """The expected number of n random hashes whose slot, of m = 2^bits, an earlier one has: n - m (1 - (1 - 1/m)^n)."""
    cdef double m = 2.0 ** max(bits, 0)
    if m == 1:
        return max(n - 1, 0.0)
    return max(0.0, n + m * expm1(n * log1p(-1 / m)))


def collisions(size_t n, size_t distinct, uint32_t last, int shift):
    """Collisions among n features with so many distinct slots in a table with this last slot.

    Returns:
        "observed", "features", "expected" of so many random hashes, "bits" of the table, and "better_bits" and
        "better_expected" of a larger one.
    """
    bits = int(last).bit_length()
    better = min(bits + 4, 32)
    return {
        "observed": n - distinct,
        "features": n,
        "expected": expected_collisions(n, bits - shift),
        "bits": bits,
        "better_bits": better,
        "better_expected": expected_collisions(n, better - shift),
    }


def in_words(dict found not None):
    """A line about collisions, for the summary of a run and the card of a model."""
    line = (f"collisions observed = {found['observed']:,} of {found['features']:,} names "
            f"(expected with -b {found['bits']}: {found['expected']:,.0f}")
    if found["better_bits"] > found["bits"] and found["observed"]:
        line += f"; -b {found['better_bits']} would have about {found['better_expected']:,.0f}"
    return line + ")"
