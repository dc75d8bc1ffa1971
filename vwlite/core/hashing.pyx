"""Python wrappers of the compiled hash functions."""
from libc.string cimport memcpy
from libc.stdlib cimport malloc, free


cdef uint32_t padded_hash(bytes name, uint32_t seed, bint strings) except? 0:
    """Hash a padded copy, which is safe to over-read."""
    cdef size_t n = len(name)
    cdef uint8_t* copy = <uint8_t*>malloc(n + 16)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const uint8_t*>name, n)
    cdef uint32_t value = hash_string(copy, n, seed) if strings else hash_all(copy, n, seed)
    free(copy)
    return value


def murmur3_32(name: bytes, seed: int = 0) -> int:
    """murmur3_x86_32 of ``name``, 0 <= result < 2**32."""
    return padded_hash(name, seed & 0xFFFFFFFF, False)


def feature_hash(name: bytes, seed: int = 0) -> int:
    """The hash of a feature or namespace name under ``--hash strings``: digits are numbers, the rest murmur3."""
    return padded_hash(name, seed & 0xFFFFFFFF, True)
