"""Names that murmur3 can't tell apart, whatever its seed."""

import struct

MASK = 0xFFFFFFFF
FIRST, SECOND = 0xCC9E2D51, 0x1B873593  # the multipliers of murmur3_32


def mixed(word: int) -> int:
    """What a word of four bytes becomes before it goes into the state."""
    word = word * FIRST & MASK
    return (word << 15 | word >> 17) * SECOND & MASK


def unmixed(word: int) -> int:
    """The opposite of mixed()."""
    word = word * pow(SECOND, -1, 1 << 32) & MASK
    word = word >> 15 | word << 17 & MASK
    return word * pow(FIRST, -1, 1 << 32) & MASK


def partner(name: bytes) -> bytes:
    """Another name of eight bytes with the same hash under every seed (Aumasson and Bernstein 2012)."""
    first, second = struct.unpack("<II", name)
    return struct.pack("<II", unmixed(mixed(first) ^ 1 << 18), unmixed(mixed(second) ^ 1 << 31))


def family(*names: bytes) -> list[bytes]:
    """All names that differ from the joined ones by a partner here and there: as many hash alike as there are."""
    found = [b""]
    for name in names:
        found = [before + one for before in found for one in (name, partner(name))]
    return found


USER = b"h524h524"
TWIN = partner(USER)
