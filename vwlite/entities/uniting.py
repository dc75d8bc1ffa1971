"""Uniting: the entities of several tables in one, in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vwlite.entities import segments
from vwlite.entities.flat import Array, Flat, concatenated, empty, taken

# (all entities, the numbers of those of each name that is there more than once) -> one entity for each of these names
Same = Callable[[Flat, list[list[int]]], Flat]


def united(parts: Sequence[Flat], namespace: int, same: Same) -> Flat:
    """The entities of all parts, in the order of their keys: the result does not depend on the order of the parts.

    Args:
        parts: Tables of entities.
        namespace: The hash of the effect's namespace.
        same: Makes one entity of those with the same name.

    Returns:
        The entities. Those whose names have one hash get keys as if they had been met in the order of their names,
        after the one that has the hash itself.
    """
    parts = [part for part in parts if len(part)]
    if not parts:
        return empty()
    hashes = np.concatenate([part.hashes(namespace) for part in parts])
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    if not len(repeated):
        return _with_keys(taken(parts, order), ordered)
    whole = concatenated(parts)
    alone = np.ones(len(order), bool)
    alone[repeated] = alone[repeated + 1] = False
    groups, others = _by_name(whole, order[~alone], hashes)
    single = np.concatenate([order[alone], np.array(others, np.int64)])
    found = [whole.take(single)]
    if groups:
        found.append(same(whole, groups))
    whole = concatenated(found)
    return _in_order(whole, whole.hashes(namespace))


def _by_name(whole: Flat, numbers: Array, hashes: Array) -> tuple[list[list[int]], list[int]]:
    """Entities whose hashes occur more than once: those of one name, and those alone in theirs."""
    named: dict[tuple[int, bytes], list[int]] = {}
    for i in numbers.tolist():
        named.setdefault((int(hashes[i]), whole.name(i)), []).append(i)
    return [group for group in named.values() if len(group) > 1], [
        group[0] for group in named.values() if len(group) == 1
    ]


def _in_order(whole: Flat, hashes: Array) -> Flat:
    """Entities with distinct names, with their keys, in the order of these."""
    order = np.argsort(hashes, kind="stable")
    ordered, keys = hashes[order], hashes.copy()
    repeated = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(repeated):
        taken = set(hashes.tolist())
        groups: dict[int, list[int]] = {}
        for i in np.unique(np.concatenate([repeated, repeated + 1])).tolist():
            groups.setdefault(int(ordered[i]), []).append(int(order[i]))
        for hash_, group in groups.items():
            group.sort(key=whole.name)
            first = [i for i in group if int(whole["key"][i]) == hash_]
            if len(first) == 1:
                group.remove(first[0])
                group.insert(0, first[0])
            for i in group[1:]:
                tries = 1
                while (key := segments.key_of(hash_, whole.name(i), tries)) in taken:
                    tries += 1
                taken.add(key)
                keys[i] = key
        order = np.argsort(keys, kind="stable")
    return _with_keys(whole.take(order), keys[order])


def _with_keys(flat: Flat, keys: Array) -> Flat:
    return Flat({**flat.arrays, "key": np.ascontiguousarray(keys)})


def by_key(flat: Flat) -> Flat:
    """Entities in the order of their keys."""
    keys: Any = flat["key"]
    if (keys[1:] > keys[:-1]).all():
        return flat
    return flat.take(np.argsort(keys, kind="stable"))
