"""What entities share: options by which they depend on each other, and the estimates from sums over all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vwlite.engine import entity_tables
from vwlite.engine.library_flags import words_of
from vwlite.engine.workspace import Workspace
from vwlite.entities import arrow_tables, heads, segments, sums
from vwlite.errors import OptionError
from vwlite.tables.merging import declared
from vwlite.tables.workspaces import Flags

MOST_DIGITS = 18  # of whole decimals that are names digit by digit
UNCLEAN = (*range(33), 58, 124, 127)  # bytes that are "_" in the names of entities, as they separate words in text


def crossing(flags: Flags, effect: str | None = None) -> list[str]:  # noqa: DOC502
    """Reasons why entities influence each other, so that rows can't be split by entity without a difference.

    Estimated noise is none: it is a sum that `merge` adds, which shapes no mean and no precision.

    Args:
        flags: Options as on the command line.
        effect: The random effect; by default the only one.

    Returns:
        A reason for each option; empty if splitting by entity is exact.

    Raises:
        OptionError: If the flags have no such effect.

    >>> crossing("--bayes_linear --random_effect user --fixed none --shrink zero --effect_l2 2")
    []
    >>> len(crossing("--bayes_linear --random_effect user --fixed none"))
    2
    """
    return reasons(Workspace(flags), effect)


def reasons(workspace: Workspace, effect: str | None) -> list[str]:
    """The reasons of crossing() for a workspace."""
    options = workspace.options
    names = entity_tables.effects_of(workspace)
    name, learner = entity_tables.only_effect(workspace, effect if effect or len(names) < 2 else names[0])
    found = []
    others = [other for other in names if other != name]
    if others:
        found.append(f"the effect {others[0]}: an example has an entity of each effect; learn one effect at a time")
    if options["fixed"] != "none" and "fixed" not in options["freeze"]:
        found.append(
            f"--fixed {options['fixed']}: the fixed part learns from all entities; give --fixed none, with its score "
            "as a column of the role initial"
        )
    if learner.estimates_prior:
        found.append("--effect_l2 auto: the ridge is estimated from all entities; give a number")
    if options["shrink"] == "mean" and options["fixed"] != "same":
        found.append("--shrink mean: entities shrink to the mean of all; give --shrink zero")
    if options["count_weight"]:
        found.append("--count_weight: the mean weight is that of the examples of all entities")
    if workspace.driver.transforms is not None:
        found.append("--transform: the statistics of features are those of all rows; transform before")
    return found


def hyperparameters(flags: Flags, metadata: Sequence[str]) -> list[str]:  # noqa: DOC502
    """The flags with what is estimated from all entities given as numbers, from sums over all shares.

    Learn all shares once with the estimates on, add their sums by this, and learn again with the flags that come out:
    then no share depends on another. One process estimates as it goes along, so it ends with slightly other numbers. On
    MovieLens (100,000 ratings of 671 users, coefficients of genres) the ridge of --bayes_linear differed by 4% with 4
    shares and by 14% with 16, that of --square by 0.3% and 3%, the noise by 1%, the held-out error by 0.0004 at most.

    Args:
        flags: Options as on the command line.
        metadata: The value of ``vwlite.entities`` in the metadata of each share's table.

    Returns:
        The flags as words, with numbers for --effect_l2 and --noise where these are estimated.

    Raises:
        OptionError: If the flags shrink effects to the mean of all entities, which no flag gives.
    """
    workspace = Workspace(flags)
    _, learner = entity_tables.only_effect(workspace, None)
    options, owner = workspace.options, learner.owner
    if options["shrink"] == "mean" and options["fixed"] != "same":
        raise OptionError("--shrink mean: the mean of all entities can't be given; give --shrink zero")
    found = [heads.read(text, f"table {number}") for number, text in enumerate(metadata, 1)]
    if not found:
        raise OptionError("there are no sums to estimate from")
    # each share has a ridge of its own, and their sums are those of all entities
    head = heads.united(found, declared(), [f"table {number}" for number in range(1, len(found) + 1)])
    words = words_of(flags)
    noise = None if options["noise"] == "auto" else float(options["noise"])
    logistic = not learner.has_noise
    if noise is None and not logistic:
        words = _with(words, "noise", repr(sums.noise_of(head.sums, owner)))
    if learner.estimates_prior:
        scale = 1.0 if logistic else noise
        words = _with(words, "effect_l2", repr(sums.ridge(head.sums, owner, 1.0, scale)))
    return words


def _with(words: list[str], name: str, value: str) -> list[str]:
    """Flags with another value of an option."""
    found, left = [], iter(words)
    for word in left:
        given, equals, _ = word.partition("=")
        if given.replace("-", "_") == f"__{name}":
            if not equals:
                next(left, None)
            continue
        found.append(word)
    return [*found, f"--{name}", value]


def shares(ids: Any, n: int) -> np.ndarray[Any, Any]:
    """The share of each row, by the entity that it names: rows of one entity are in one share.

    Args:
        ids: A pyarrow.Array or ChunkedArray of names or numbers.
        n: The number of shares.

    Returns:
        An int64 array of numbers from 0 to n - 1. Rows without a name are in share 0.

    >>> import pyarrow as pa
    >>> found = shares(pa.array(["ann", "bob", "ann", "b c", "b_c", None]), 7)
    >>> bool(found[0] == found[2] and found[3] == found[4]), int(found[5])
    (True, 0)
    """
    pa = arrow_tables.pyarrow()
    if isinstance(ids, pa.ChunkedArray):
        parts = [shares(chunk, n) for chunk in ids.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)
    types = pa.types
    if types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    if types.is_decimal(ids.type) and (ids.type.scale or ids.type.precision > MOST_DIGITS):
        ids = ids.cast(pa.float64())
    if not (types.is_binary(ids.type) or types.is_large_binary(ids.type) or types.is_fixed_size_binary(ids.type)):
        ids = ids.cast(pa.large_string())
    ids = ids.cast(pa.large_binary())
    begin = np.frombuffer(ids.buffers()[1], np.int64, len(ids) + 1 + ids.offset)[ids.offset :]
    text = ids.buffers()[2]
    clean = np.arange(256, dtype=np.uint8)
    clean[list(UNCLEAN)] = ord("_")
    names = clean[np.frombuffer(text, np.uint8)[begin[0] : begin[-1]]] if text is not None else np.zeros(0, np.uint8)
    hashes = np.frombuffer(segments.hashes_of_names(names, begin - begin[0], 0), np.uint64)
    found = (hashes % np.uint64(n)).astype(np.int64)
    if ids.null_count:
        found[np.asarray(ids.is_null())] = 0
    return found
