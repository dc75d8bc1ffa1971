"""The design matrices of a mixed model, built from the examples that Sweeps stores.

Columns are divided by their root mean square, so that a fit is the same in any unit. Effects whose entities have the
same few features have a column for each feature and entity; others number the features of each entity by themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from vwlite.mixed.system import Array, cholesky, dense, substitute

MOST_CORRELATED = 16  # as in posterior.pxd
SINGULAR = 1e-10  # relative squared residual below which a column depends on the others


class Columns(NamedTuple):
    """The columns of an effect."""

    keys: NDArray[np.uint64]  # of its entities
    hashes: NDArray[np.uint32]  # (entities, size)
    sizes: NDArray[np.uint32]  # of each entity, how many columns it has
    scale: Array  # (size,), by which columns were divided
    z: Any  # (examples, entities * size)
    common: bool  # all entities have the same columns
    counts: NDArray[np.int64]  # examples of each entity


def effect_columns(kept: Any, part: int, chosen: NDArray[np.bool_], alike: bool) -> Columns:
    """Builds the columns of an effect for the chosen examples."""
    entities, begins, hashes, values = kept.piece_of(part)
    lengths = np.diff(begins)
    present = (lengths > 0) & chosen
    rows = np.repeat(np.arange(len(lengths)), lengths)
    here = present[rows]
    rows, hashes, values = rows[here], hashes[here], values[here]
    keys, entity_of = np.unique(entities[present], return_inverse=True)
    entity = np.zeros(len(lengths), np.int64)
    entity[present] = entity_of
    counts = np.bincount(entity_of, minlength=len(keys)).astype(np.int64)
    distinct, hash_of = np.unique(hashes, return_inverse=True)
    common = len(distinct) <= MOST_CORRELATED
    if common:
        order = first_seen(hash_of, len(distinct))
        slot = np.argsort(order)[hash_of]
        size = len(distinct)
        table = np.tile(distinct[order], (len(keys), 1))
        sizes = np.full(len(keys), size, np.uint32)
    else:
        pairs, pair_of = np.unique(entity[rows] * len(distinct) + hash_of, return_inverse=True)
        owner = pairs // len(distinct)
        slot = (np.arange(len(pairs)) - np.searchsorted(owner, owner))[pair_of]
        sizes = np.bincount(owner, minlength=len(keys)).astype(np.uint32)
        size = int(sizes.max())
        table = np.zeros((len(keys), size), np.uint32)
        table[owner, np.arange(len(pairs)) - np.searchsorted(owner, owner)] = distinct[pairs % len(distinct)]
    scale = np.ones(size)
    if common and not alike:
        scale = scales(slot, values, size)
    else:
        scale *= scales(np.zeros(len(values), np.int64), values, 1)
    z = sparse.csr_array(
        (values / scale[slot], (rows, entity[rows] * size + slot)), shape=(len(lengths), len(keys) * size)
    )
    return Columns(keys, table, sizes, scale, z, common, counts)


def first_seen(codes: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """The codes 0 .. n - 1 in order of first appearance."""
    first = np.full(n, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    return np.argsort(first)


def scales(columns: NDArray[np.intp], values: Array, n: int) -> Array:
    """The root mean square of the nonzero entries of each column."""
    squares = np.bincount(columns, values**2, minlength=n)
    numbers = np.bincount(columns[values != 0], minlength=n)
    return np.where(squares > 0, np.sqrt(squares / np.maximum(numbers, 1)), 1.0)


def fixed_columns(kept: Any, examples: int) -> tuple[NDArray[np.uint32], Array, Any]:
    """Builds (hashes, scales, X) of the fixed part."""
    _, begins, hashes, values = kept.piece_of(0)
    distinct, code = np.unique(hashes, return_inverse=True)
    order = first_seen(code, len(distinct))
    column = np.argsort(order)[code]
    scale = scales(column, values, len(distinct))
    x = sparse.csr_array((values / scale[column], column, begins), shape=(examples, len(distinct)))
    x.sum_duplicates()
    return distinct[order], scale, x


def sharing(columns: Columns) -> Any:
    """The matrix that sums columns of entities by feature: (entities * size, features)."""
    used = np.arange(columns.hashes.shape[1]) < columns.sizes[:, None]
    distinct, feature = np.unique(columns.hashes[used], return_inverse=True)
    return sparse.csr_array(
        (np.ones(len(feature)), (np.flatnonzero(used), feature)), shape=(columns.hashes.size, len(distinct))
    )


def independent(x: Any, w: Array, ridge: Array, groups: list[int]) -> NDArray[np.intp]:
    """Selects linearly independent columns; those of earlier groups (of given sizes) take precedence."""
    gram = dense(x.T @ (sparse.diags_array(w) @ x)) + np.diag(ridge)
    unit = 1 / np.sqrt(np.where(gram.diagonal() > 0, gram.diagonal(), 1))
    gram *= unit * unit[:, None]
    taken = np.zeros(0, np.intp)
    begin = 0
    for n in groups:
        here = np.arange(begin, begin + n)
        begin += n
        left = gram[np.ix_(here, here)]
        if len(taken):
            across = gram[np.ix_(taken, here)]
            left = left - across.T @ substitute(cholesky(gram[np.ix_(taken, taken)]), across)
        if n:
            _, pivots, rank, _ = linalg.lapack.dpstrf(left, tol=SINGULAR, lower=1)
            taken = np.concatenate([taken, np.sort(here[pivots[:rank] - 1])])
    return taken
