"""Cards of random effects and entities: prior, noise, number of entities, coefficients of one of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vwlite.core.learner import walk
from vwlite.core.view import CONSTANT
from vwlite.errors import ModelError, OptionError, VwliteError

if TYPE_CHECKING:
    from vwlite.core.view import View
    from vwlite.engine.workspace import Workspace
    from vwlite.entities.store_file import StoreFile
    from vwlite.model.model_file import ModelReader

AT_ONCE = 1000  # entities in memory, of a model with evicted entities
SUMS = "_sums"  # suffix of owners of sums over examples, which are not entities

# Learners, numpy and difflib are imported where they are used, as `vwlite --help` imports this module.


def tables(reader: ModelReader, store: StoreFile | None, top: int) -> list[dict[str, Any]]:
    """Describes each random effect of a model, and the posterior of the whole stack.

    Raises ModelError for inconsistent tables.
    """
    names = list(reader.names())
    owners = [name.removesuffix(".key") for name in names if name.endswith(".key")]
    found = [in_model(reader, owner, top) for owner in owners if f"{owner}.coefficients" in names]
    if store is not None:
        beside = [name.removesuffix(".stored") for name in names if name.endswith(".stored")]
        found += [in_store(store, owner, top) for owner in beside if f"{owner}.next_serial" in names]
    known = {table["learner"] for table in found}
    parts = {table["learner"] for table in found if table["learner"].rpartition(".")[0] in known}  # a mean, scales
    parts |= {table["learner"] for table in found if table["learner"].endswith(SUMS) and "." not in table["learner"]}
    found = [table for table in found if table["learner"] not in parts]
    add_learners(reader.path, found, top)
    for row in (row for table in found for row in table["top"]):
        del row["key"]
    return found


def in_model(reader: ModelReader, owner: str, top: int) -> dict[str, Any]:
    """Describes a random effect (or the one record of a whole stack) stored in the model file."""
    import numpy as np

    counts, sizes, lengths = (
        np.asarray(reader.array(f"{owner}.{column}", dtype))
        for column, dtype in (("count", "I64"), ("coefficients", "U32"), ("name_length", "U32"))
    )
    hashes, means = np.asarray(reader.array(f"{owner}.hash", "U32")), np.asarray(reader.array(f"{owner}.mean", "F64"))
    names, keys = bytes(reader.array(f"{owner}.name", "U8")), reader.array(f"{owner}.key", "U64")
    if not (len(keys) == len(counts) == len(sizes) == len(lengths) and sizes.sum() == len(hashes) == len(means)):
        raise ModelError(f"{reader.path}: the arrays of the entities of {owner} are inconsistent; train again")
    name_ends, ends = np.cumsum(lengths.astype(np.int64)), np.cumsum(sizes.astype(np.int64))
    largest = []
    for place in np.argsort(-counts, kind="stable")[:top].tolist():
        own = slice(int(ends[place] - sizes[place]), int(ends[place]))
        intercept = means[own][hashes[own] == CONSTANT]
        largest.append(
            {
                "key": keys[place],
                "name": names[int(name_ends[place] - lengths[place]) : int(name_ends[place])].decode(errors="replace"),
                "examples": int(counts[place]),
                "coefficients": int(sizes[place]),
                "intercept": float(intercept[0]) if len(intercept) else None,
            }
        )
    examples = [int(counts.min()), int(counts.max()), int(counts.sum())] if len(counts) else [0, 0, 0]
    return {
        "learner": owner,
        "entities": len(counts),
        "coefficients": len(hashes),
        "examples": dict(zip(("least", "most", "all"), examples, strict=True)),
        "top": largest,
    }


def in_store(store: StoreFile, owner: str, top: int) -> dict[str, Any]:
    """Describes a random effect with evicted entities, in the file beside the model."""
    examples = {"least": 0, "most": 0, "all": 0}
    total = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal total
        for key, name, count, coefficients, intercept in store.summaries(owner):
            examples["least"] = min(examples["least"], count) if total else count
            examples["most"] = max(examples["most"], count)
            examples["all"] += count
            total += coefficients
            shown = name.decode(errors="replace")
            yield {
                "key": key,
                "name": shown,
                "examples": count,
                "coefficients": coefficients,
                "intercept": intercept,
            }

    # One at a time, because they may exceed the memory.
    largest = heapq.nlargest(top, rows(), key=lambda row: row["examples"])
    return {
        "learner": owner,
        "entities": store.totals[owner],
        "coefficients": total,
        "examples": examples,
        "top": largest,
        "file": store.path,
    }


def add_learners(path: str, found: list[dict[str, Any]], top: int) -> None:
    """Adds what only loaded learners can compute: prior, noise, intercepts, largest coefficients of a whole stack.

    An intercept depends on the current fixed part; the file has its value from when the entity last learned.

    If the model can't be loaded, "trouble" holds the error instead, and the rest of the card is shown nevertheless.
    """
    if not found:
        return
    try:
        workspace = loaded(path, any("file" in table for table in found))
    except VwliteError as error:
        for table in found:
            table["trouble"] = str(error)
        return
    learners = {learner.owner: learner for learner in walk(workspace.top) if learner.entities() is not None}
    for table in found:
        learner: Any = learners.get(table["learner"])
        if learner is None:  # of a model inside this one
            continue
        names = names_of(workspace)
        alone = table["entities"] == table["coefficients"]  # intercepts, most likely
        table["prior"] = priors(learner, names, alone)
        table["correlations"] = correlations(learner, names)
        table["noise"] = learner.noise_variance
        for row in table["top"]:
            mean, _ = (learner.coefficients(row["key"]) or {}).get(CONSTANT, (None, None))
            row["intercept"] = row["intercept"] if mean is None else mean
        if learner.effect is None:
            table["largest"] = coefficients(learner, 0, names)[:top]


def loaded(path: str, beside: bool, *words: str) -> Workspace:
    """Loads a model to describe it; with evicted entities, AT_ONCE of them are in memory at a time."""
    from vwlite.engine.workspace import Workspace

    return Workspace(["-t", "-i", path, *(["--entity_limit", str(AT_ONCE)] if beside else []), *words])


def names_of(workspace: Workspace) -> dict[int, str]:
    """The names of features stored in a model, by hash."""
    from vwlite.engine.known_features import names_by_hash

    slots = {} if workspace.bottom.has_slots else workspace.names
    return {**slots, **names_by_hash(workspace), CONSTANT: "intercept"}


def priors(learner: Any, names: dict[int, str], alone: bool) -> list[dict[str, Any]]:
    """The prior of an entity: mean and standard deviation of each coefficient."""
    own: dict[int | None, tuple[float, float]] = learner.prior_moments()
    if alone or len(own) > 2:  # the entry of all other features
        del own[None]
    return [
        {"feature": "all others" if number is None else names.get(number, f"feature {number}"), "mean": mean, "sd": sd}
        for number, (mean, sd) in own.items()
    ]


def correlations(learner: Any, names: dict[int, str]) -> list[dict[str, Any]]:
    """The prior correlations of coefficients whose prior was estimated jointly."""
    joint = learner.prior_covariance()
    if joint is None:
        return []
    hashes, covariance = joint
    known = [names.get(number, f"feature {number}") for number in hashes]
    return [
        {
            "features": [known[j], known[i]],
            "correlation": covariance[i][j] / math.sqrt(covariance[i][i] * covariance[j][j]),
        }
        for i in range(len(known))
        for j in range(i)
    ]


def coefficients(learner: Any, key: int, names: dict[int, str]) -> list[dict[str, Any]]:
    """The coefficients of an entity, the intercept first, then by size."""
    found = [
        {"hash": number, "name": names.get(number), "mean": mean, "sd": math.sqrt(max(variance, 0))}
        for number, (mean, variance) in (learner.coefficients(key) or {}).items()
    ]
    return sorted(found, key=lambda row: (row["hash"] != CONSTANT, -abs(row["mean"]), row["hash"]))


# one entity


def describe(path: str, entity: str, effect: str | None, data: str | None) -> dict[str, Any]:  # noqa: DOC503
    """Describes one entity of a model: its coefficients with posterior mean and standard deviation.

    Args:
        path: The model file.
        entity: The name of the entity.
        effect: The namespace of the random effect; None if only one effect has an entity of this name.
        data: A file of examples from which to read the names of features; None for those stored in the model.

    Returns:
        The card of the entity, in values that JSON can represent.

    Raises:
        ModelError: If the model can't be read.
        OptionError: If there is no such entity or effect, or several effects have an entity of this name.
    """
    from vwlite.entities import store_file
    from vwlite.model import model_file

    reader, store = model_file.open(path), None
    if "entities" in reader.metadata:
        reader, store = store_file.find(reader)
    for name in reader.names():  # verifies the digest of each
        reader.array(name, reader.dtype(name))
    workspace = loaded(path, store is not None)
    learners: dict[str, Any] = {
        learner.of_copy(learner.effect): learner
        for learner in walk(workspace.top)
        if learner.effect is not None and learner.entities() is not None
    }
    if not learners:
        raise OptionError(f"{path}: has no entities: it was trained without random effects")
    if effect is not None and effect not in learners:
        raise OptionError(f"--effect {effect}: {path} has no such effect, only {', '.join(learners)}")
    asked = [effect] if effect is not None else list(learners)
    wanted = entity.encode("utf-8", "surrogateescape")
    found = [(name, place) for name in asked if (place := find(reader, store, learners[name].owner, wanted))]
    if not found:
        raise OptionError(f"--entity {entity}: {unknown(reader, store, asked, learners, entity)}")
    if len(found) > 1:
        raise OptionError(
            f"--entity {entity}: {' and '.join(name for name, _ in found)} each have one of this name: add --effect "
            f"{found[0][0]}, for instance"
        )
    ((name, (key, examples)),) = found
    names = names_of(workspace)
    learner = learners[name]
    if data is not None:
        names |= read_names(path, data, set(learner.coefficients(key) or {}) - names.keys(), store is not None)
    return {
        "path": path,
        "effect": name,
        "entity": entity,
        "examples": examples,
        "coefficients": coefficients(learner, key, names),
    }


def names_in(reader: ModelReader, store: StoreFile | None, owner: str) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, key and number of examples of every entity of an effect."""
    if store is not None and owner in store.numbers:
        yield from ((name, key, count) for key, name, count, *_ in store.summaries(owner))
        return
    at, names = 0, bytes(reader.array(f"{owner}.name", "U8"))
    columns = (("name_length", "U32"), ("key", "U64"), ("count", "I64"))
    for length, key, count in zip(*(reader.array(f"{owner}.{name}", kind) for name, kind in columns), strict=True):
        yield names[at : at + length], key, count
        at += length


def find(reader: ModelReader, store: StoreFile | None, owner: str, wanted: bytes) -> tuple[int, int] | None:
    """Key and number of examples of the entity with this name; None if there is none."""
    return next(((key, count) for name, key, count in names_in(reader, store, owner) if name == wanted), None)


def unknown(
    reader: ModelReader, store: StoreFile | None, asked: list[str], learners: dict[str, Any], entity: str
) -> str:
    """The error message for an unknown entity, with similar names."""
    from difflib import get_close_matches

    def all_names() -> Iterator[str]:
        for effect in asked:
            for name, _, _ in names_in(reader, store, learners[effect].owner):
                yield name.decode("utf-8", "surrogateescape")

    where = " or ".join(asked)
    folded = entity.casefold()
    near = [name for name in all_names() if name.casefold() == folded]
    if not near:
        # only names with the same first letters, as comparing a million names takes long
        alike = [name for name in all_names() if name[:2].casefold() == folded[:2]]
        near = get_close_matches(entity, alike[:100_000], n=3, cutoff=0.7)
    hint = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    return f"no {where} of this name was learned{hint}"


def read_names(path: str, data: str, wanted: set[int], beside: bool) -> dict[int, str]:
    """Reads the names of features, by hash, from the examples of a file, until all are known."""
    from vwlite.engine import audit
    from vwlite.engine.command_line import option_groups, parse
    from vwlite.engine.feed import Feed
    from vwlite.engine.workspace import Workspace

    limit = ["--entity_limit", str(AT_ONCE)] if beside else []
    workspace = Workspace(parse(["-t", "-i", path, "-d", data, "--allow_empty", *limit], option_groups()), "command")
    if workspace.top.multiline:
        raise OptionError(f"--names {data}: names are read from single examples, and {path} reads multi-line ones")
    driver = workspace.driver
    found: dict[int, str] = {}

    class Listener:
        """The driver's listener."""

        def audit(self, driver: Any, view: View) -> None:
            """Stores the names of an example's features."""
            for name, (number, _) in zip(audit.names(view, workspace.interactions), view.features, strict=True):
                if number in wanted:
                    found.setdefault(number, name)
            driver.done = len(found) == len(wanted)

        def problem(self, *_: object) -> None:
            """Ignores a malformed line."""

        def place(self, source: int, line: int) -> str:
            """The name of a line in messages."""
            return f"{data}:{line}"

        def remark(self, text: str) -> None:
            """Ignores messages about labels."""

    if not wanted:
        return found
    driver.audits, driver.listener, driver.unmatched = True, Listener(), None
    feed = Feed(workspace.options, True, workspace.top.takes_label)
    try:
        for block in feed.blocks(workspace.interactions):
            driver.run_block(block)
            if driver.done:
                break
    finally:
        feed.close()
    return found
