"""Hashes: murmur3 as mmh3 has it, and VW's rule that a name of digits is its own number."""

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite.core.hashing import feature_hash, murmur3_32

SEEDS = st.integers(0, 2**32 - 1)
BLANKS = bytes(range(33))


@pytest.mark.parametrize("length", range(65))
@given(data=st.data(), seed=SEEDS)
def test_murmur3_is_that_of_mmh3(length, data, seed):
    name = data.draw(st.binary(min_size=length, max_size=length))
    assert murmur3_32(name, seed) == mmh3.hash(name, seed, signed=False)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_murmur3_of_a_long_name(seed):
    name = bytes(range(256)) * 300
    assert murmur3_32(name, seed) == mmh3.hash(name, seed, signed=False)


@pytest.mark.parametrize("name", [b"a", b"abc", b"\xff" * 5, b"\x80\x81\x82\x83\x84", "Ünïcode".encode()])
def test_bytes_above_127_are_not_signed(name):
    assert murmur3_32(name) == mmh3.hash(name, 0, signed=False)


def test_the_seed_is_taken_modulo_two_to_the_32():
    assert murmur3_32(b"a", 2**32 + 5) == murmur3_32(b"a", 5)
    assert murmur3_32(b"a", -1) == murmur3_32(b"a", 2**32 - 1)


@given(st.integers(0, 2**64 - 1), st.integers(0, 30), SEEDS)
def test_digits_are_a_number(number, zeros, seed):
    name = b"0" * zeros + str(number).encode()
    assert feature_hash(name, seed) == (number + seed) % 2**32


@given(st.text("0123456789", min_size=21, max_size=60), SEEDS)
def test_more_digits_than_64_bits_hold_wrap_around(digits, seed):
    assert feature_hash(digits.encode(), seed) == (int(digits) + seed) % 2**32


@given(st.binary(max_size=40), SEEDS)
def test_everything_else_is_hashed_without_blanks_at_its_ends(name, seed):
    stripped = name.strip(BLANKS)
    if stripped.isdigit():
        assert feature_hash(name, seed) == (int(stripped) + seed) % 2**32
    elif stripped:
        assert feature_hash(name, seed) == mmh3.hash(stripped, seed, signed=False)
    else:
        assert feature_hash(name, seed) == seed


@given(
    st.text("0123456789", min_size=1, max_size=12), st.sampled_from("./:;-+e \t\x00\x1fa"), st.integers(0, 12), SEEDS
)
def test_one_other_byte_among_digits_makes_it_a_name(digits, other, place, seed):
    place = min(place, len(digits))
    name = (digits[:place] + other + digits[place:]).encode()
    stripped = name.strip(BLANKS)
    expected = int(stripped) + seed if stripped.isdigit() else mmh3.hash(stripped, seed, signed=False)
    assert feature_hash(name, seed) == expected % 2**32
