"""Names and statistics of features in a workspace: --names, what models store of them, and what a summary says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vwlite.errors import ModelError, OptionError

if TYPE_CHECKING:
    from vwlite.model.feature_list import FeatureList
    from vwlite.model.model_file import ModelReader

SHORTEST_SALT = 8  # bytes
SALT = "VWLITE_NAMES_SALT"

# The index and numpy are imported where they are used: most runs need neither.


def begin(workspace: Any, reader: ModelReader | None) -> None:
    """Has the driver keep names as --names says, from those of a loaded model on.

    Raises OptionError without the salt of --names hashed, ModelError for names that can't be restored.
    """
    options, training = workspace.options, workspace.driver.training
    stored = reader is not None and "known.state" in reader.names()
    if options["names"] == "off":
        if stored and options["final_regressor"]:
            workspace.notes.append("--names off: the model is saved without the names that it had")
        return
    if not (training or stored):
        return
    from vwlite.features.known import ARRAYS, KnownFeatures

    hashed = options["names"] == "hashed"
    known = KnownFeatures(
        max(options["names_limit"], of_arrays(reader, stored)),
        options["names"] == "stats",
        salt_of(options) if hashed and training else None,
    )
    if reader is not None and stored:
        there = set(reader.names())
        try:
            known.restore(
                {
                    name: reader.array(f"known.{name}", dtype)
                    for name, dtype in ARRAYS.items()
                    if f"known.{name}" in there
                }
            )
        except (ValueError, KeyError) as error:
            raise ModelError(f"{reader.path}: its names of features can't be used: {error}") from error
    elif reader is not None:
        known.begin_late()
    workspace.driver.keep_names(known)


def of_arrays(reader: ModelReader | None, stored: bool) -> int:
    """How many features a model has names of."""
    return reader.shape("known.hash")[0] if reader is not None and stored else 0


def salt_of(options: Any) -> bytes:
    """The salt of digests. Raises OptionError without one, or for a short one."""
    path = options["names_salt"]
    if path:
        try:
            with open(path, "rb") as file:
                salt = file.read(1 << 16).strip()
        except OSError as error:
            raise OptionError(f"--names_salt {path}: can't be read: {error.strerror}") from error
        place = f"--names_salt {path}"
    elif SALT in os.environ:
        salt, place = os.environb[SALT.encode()], SALT
    else:
        raise OptionError(f"--names hashed needs a salt: --names_salt FILE, or the environment variable {SALT}")
    if len(salt) < SHORTEST_SALT:
        raise OptionError(f"{place}: a salt has at least {SHORTEST_SALT} bytes: make one by head -c 32 /dev/urandom")
    return salt


def arrays_of(workspace: Any) -> dict[str, Any]:
    """The arrays of a model with the names and statistics; none without names."""
    known = workspace.driver.known
    if known is None:
        return {}
    found = {f"known.{name}": array for name, array in known.arrays().items()}
    slots = slots_of(workspace.bottom)
    if slots is not None:
        packed = b"".join(number.to_bytes(8, "little") for number in slots)
        found["known.slots"] = ("U64", [2], packed)
    return found


def slots_of(bottom: Any) -> tuple[int, int] | None:
    """The last slot of a table of weights, and log2 of the slots of a feature; None without a table."""
    if not bottom.has_slots:
        return None
    shift = (bottom.width - 1).bit_length()
    return bottom.slot_of(0xFFFFFFFF >> shift, (1 << shift) - 1), shift


def features_of(workspace: Any) -> FeatureList | None:
    """The features that a workspace has names of; None without names."""
    known = workspace.driver.known
    if known is None:
        return None
    from vwlite.model.feature_list import FeatureList

    return FeatureList({name: array[2] for name, array in known.arrays().items()}, slots_of(workspace.bottom))


def names_by_hash(workspace: Any) -> dict[int, str]:
    """The names of features by their hashes: those of --invert_hash, and those kept while learning."""
    features = features_of(workspace)
    kept = {} if features is None else dict(zip(features.hashes.tolist(), features.names(), strict=True))
    return {**kept, **workspace.hash_names}


def names_by_slot(workspace: Any, slots: Any) -> dict[int, str]:
    """The first name of each of these slots of the bottom learner, as in audits."""
    found: dict[int, str] = dict(workspace.names)
    features = features_of(workspace)
    if features is None:
        return found
    numbers = features.in_slots(slots)
    for slot in slots:
        if slot not in found and (names := features.named(slot, numbers)):
            found[slot] = names[0]
    return found


def remarks(workspace: Any) -> list[str]:
    """Lines for the summary of a run: features unknown to the model, collisions, and the limit of names."""
    known, lines = workspace.driver.known, []
    if known is None:
        return []
    if not workspace.driver.training:
        share = unknown_share(workspace)
        if share is not None:
            lines.append(f"features unknown to the model = {known.unknown:,} of {known.looked:,} ({share:.1%})")
        return lines
    slots = slots_of(workspace.bottom)
    if slots is not None and known.n:
        from vwlite.features.collisions import collisions, in_words

        lines.append(in_words(collisions(known.n, known.distinct_slots(*slots), *slots)))
    return lines


def unknown_share(workspace: Any) -> float | None:
    """The share of the features in examples that were only predicted which the model has never learned.

    None if that is not known: without names, with names of a part of the features only, or before an example.
    """
    known = workspace.driver.known
    if known is None or not known.whole or not known.looked:
        return None
    return float(known.unknown / known.looked)
