"""Naming: how names become hashes and namespaces, by the options of the text format. All parsers share it."""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.hashing cimport hash_all, hash_string

cdef enum:
    MOST_ENTITIES = 16                # namespaces whose features name entities

cdef class Naming:
    cdef bint all_names               # --hash all
    cdef public bint notes            # parsers note what only --where and the like look at
    cdef readonly set asked           # (namespace, name) of what they look at
    cdef uint32_t seed, anonymous     # --hash_seed; hash of the namespace without a name
    cdef uint8_t[256] index_of        # --redefine
    cdef uint32_t[256] letter_hash    # of namespaces with names of one byte
    cdef uint32_t[MOST_ENTITIES] entity_hash     # of namespaces whose features name entities
    cdef size_t n_entities
    cdef readonly list entities       # their names
    # for transforms (vwlite/input/transforms.pxd):
    cdef float plain                  # value of a feature without a value: 1, or NaN, so that it differs from a number
    cdef bint keeps_zeros             # features of value 0 are kept
    cdef bint names_entities(self, uint32_t namespace) noexcept nogil

cdef inline uint32_t hash_name(Naming naming, const uint8_t* name, size_t n, uint32_t seed) noexcept nogil:
    """Hash of a name; it must be readable for 16 bytes past its end."""
    return hash_all(name, n, seed) if naming.all_names else hash_string(name, n, seed)
