"""The table of known features, by features whose names are their hashes: it agrees with a dict for any hashes.

A name of digits in the namespace without a name is its own hash, so the hashes of a test can be chosen.
"""

import random
from collections.abc import Callable

import pytest

from vwlite import Workspace
from vwlite.core.hashing import feature_hash

FACTOR = 0x9E3779B1  # a key is the hash times this, modulo 2^32; the highest bits of the key choose the bucket
HASHES = 1 << 32
INVERSE = pow(FACTOR, -1, HASHES)


def one_bucket(n: int, draw: random.Random) -> list[int]:
    """Hashes whose keys have the same 16 highest bits."""
    high = draw.randrange(1 << 16) << 16
    return [(high + low) * INVERSE % HASHES for low in draw.sample(range(1 << 16), n)]


def first_and_last(n: int, draw: random.Random) -> list[int]:
    """Hashes of the first and the last bucket, with the keys that mark free cells: 0 and 2^32 - 1."""
    keys = [0, HASHES - 1, *range(1, n // 2), *range(HASHES - n // 2, HASHES - 1)]
    draw.shuffle(keys)
    return [key * INVERSE % HASHES for key in keys]


def steps(n: int, draw: random.Random) -> list[int]:
    """Multiples of a power of two."""
    power = 1 << draw.randrange(8, 20)
    return [i * power % HASHES for i in range(min(n, HASHES // power))]


def anywhere(n: int, draw: random.Random) -> list[int]:
    """Random hashes, and small ones."""
    return [*draw.sample(range(HASHES), n // 2), *range(n // 2)]


KINDS = [one_bucket, first_and_last, steps, anywhere]


def examples_of(hashes: list[int], draw: random.Random) -> list[list[int]]:
    """Examples of 0 to 40 features, most of which come again."""
    found = []
    left = list(hashes)
    while left:
        new = [left.pop() for _ in range(min(len(left), draw.randrange(30)))]
        found.append(new + draw.choices(hashes, k=draw.randrange(10)))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["on", "stats"])
def test_known_features_are_those_of_a_dict(kind: Callable[[int, random.Random], list[int]], mode: str) -> None:
    draw = random.Random(7)
    examples = examples_of(kind(6000, draw), draw)
    seen: dict[int, tuple[int, int]] = {}
    for number, features in enumerate(examples, 1):
        for hash in features:
            seen[hash] = seen.get(hash, (0, 0))[0] + 1, number
    workspace = Workspace(f"--names {mode} --noconstant")
    workspace.learn([f"1 | {' '.join(map(str, features))}" for features in examples])
    table = workspace.features()
    assert [int(row["feature"]) for row in table] == list(seen)
    assert [row["number"] for row in table] == list(seen)
    if mode == "stats":
        assert [(row["count"], row["last"]) for row in table] == list(seen.values())


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_features_are_those_that_a_dict_lacks(kind: Callable[[int, random.Random], list[int]]) -> None:
    draw = random.Random(8)
    hashes = kind(4000, draw)
    known, asked = set(draw.sample(hashes, len(hashes) // 2)), draw.choices([*hashes, *one_bucket(99, draw)], k=3000)
    workspace = Workspace("--names on --noconstant")
    workspace.learn(["1 | " + " ".join(map(str, sorted(known)))])
    workspace.predict("| " + " ".join(map(str, asked)))
    assert workspace.unknown_features() == pytest.approx(sum(hash not in known for hash in asked) / len(asked))


def test_a_restored_table_is_the_same() -> None:
    draw = random.Random(9)
    hashes = [hash for kind in KINDS for hash in kind(1500, draw)]
    lines = [f"1 | {' '.join(map(str, features))}" for features in examples_of(hashes, draw)]
    whole = Workspace("--names stats --noconstant")
    whole.learn(lines)
    first = Workspace("--names stats --noconstant")
    first.learn(lines[: len(lines) // 2])
    second = Workspace.from_bytes(first.to_bytes())
    second.learn(lines[len(lines) // 2 :])
    assert list(second.features()) == list(whole.features())


def test_a_limit_is_reached_within_a_bucket() -> None:
    hashes = one_bucket(50, random.Random(10))
    workspace = Workspace("--names stats --names_limit 20 --noconstant")
    for _ in range(2):
        workspace.learn([f"1 | {hash}" for hash in hashes])
    assert [(row["number"], row["count"]) for row in workspace.features()] == [(hash, 2) for hash in hashes[:20]]
    assert workspace.unknown_features() is None


def test_a_name_of_digits_is_its_own_hash() -> None:
    assert all(feature_hash(str(hash).encode()) == hash for hash in (0, 1, HASHES - 1))
