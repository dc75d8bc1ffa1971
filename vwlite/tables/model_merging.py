"""Merging model files: entities exactly, a table of weights by parameter mixing; on the arrays of the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vwlite import __version__
from vwlite.core.options import Options
from vwlite.engine import entity_tables, registry, storing
from vwlite.engine.command_line import option_groups
from vwlite.engine.plugins import of_model
from vwlite.engine.workspace import Workspace
from vwlite.entities import flat, heads, same, sums, uniting
from vwlite.entities.heads import Head
from vwlite.errors import ModelError, OptionError
from vwlite.features.interactions import namespace_hash
from vwlite.model import model_file
from vwlite.model.metadata import require
from vwlite.model.model_io import NAMED, names_of, names_to_arrays
from vwlite.tables.mixing import mixed, owner_of

Arrays = dict[str, tuple[str, Any, Any]]  # type, shape and values by name
SHAPELESS = (".min_label", ".max_label", ".negative_label")  # arrays of the owner of weights that are sums


class Model(NamedTuple):
    """A model file to be merged."""

    path: str
    arrays: Arrays
    metadata: dict[str, Any]
    reader: Any


def merge_models(  # noqa: DOC503
    paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    same: str = "error",
    note: Callable[[str], None] = lambda text: None,
) -> None:
    """Merges model files of the same options into one. Its bytes do not depend on the order of the paths.

    Args:
        paths: The model files, at least two.
        output: The merged model; an older file stays until it is complete.
        same: What becomes of an entity that several models have: as of `merge`.
        note: Called with what a user should know, such as that weights are mixed.

    Raises:
        OptionError: If the models differ in an option, an entity is there twice, or a part of them can't be merged.
        ModelError: If a file can't be read or written.
    """
    models = [opened(os.fspath(path)) for path in paths]
    models.sort(key=lambda model: model.metadata["id"])
    for one, other in pairwise(models):
        if one.metadata["id"] == other.metadata["id"] and same != "newest":
            raise OptionError(f"{one.path} and {other.path} are the same model: leave one of them out")
    workspace = blank(models[0])
    require_alike(models)
    models = [up_to_date(model, workspace) for model in models]
    names = entity_tables.effects_of(workspace)
    learners = {name: entity_tables.only_effect(workspace, name)[1] for name in names}
    merged: Arrays = {}
    for name in names:
        merged |= of_effect(models, workspace, name, learners[name].owner, same, note)
    owners = [learner.owner for learner in learners.values()]
    merged |= of_rest(models, owners, note)
    order = dict.fromkeys(name for model in models for name in model.arrays if name in merged)
    write(output, models, {name: merged[name] for name in (*order, *(n for n in merged if n not in order))}, same)


def opened(path: str) -> Model:
    """Opens a model file and reads its arrays, whose digests are checked."""
    reader = model_file.open(path)
    require(path, reader.metadata)
    if "entities" in reader.metadata:  # of --entity_limit: they are in a file of their own
        workspace = Workspace(["-i", path])
        arrays, _ = storing.contents(workspace)
        return Model(path, entity_tables.as_numbers(arrays), reader.metadata, reader)
    arrays = {}
    for name in reader.names():
        dtype = reader.dtype(name)
        arrays[name] = dtype, reader.shape(name), np.frombuffer(reader.array(name, dtype), flat.DTYPES[dtype])
    return Model(path, arrays, reader.metadata, reader)


def options_of(model: Model) -> Options:
    """The options stored in a model."""
    options = Options(option_groups())
    of_model(model.metadata["stack"], options, model.path)
    options.merge_model(registry.upgrade(model.metadata["options"], options), False, model.path)
    options.accepted = True  # a run has checked that they have an effect
    return options


def blank(model: Model) -> Workspace:
    """A workspace with the options of a model, which has learned nothing."""
    return Workspace(options_of(model), "command")


def up_to_date(model: Model, workspace: Workspace) -> Model:
    """A model with the arrays that this version saves; older ones are loaded and saved for that."""
    for name in entity_tables.effects_of(workspace):
        owner = entity_tables.only_effect(workspace, name)[1].owner
        if not {f"{owner}.dof", f"{owner}.key"} <= set(model.arrays):
            arrays, _ = storing.contents(Workspace(["-i", model.path]))
            return model._replace(arrays=entity_tables.as_numbers(arrays))
    return model


def require_alike(models: Sequence[Model]) -> None:
    """Raises OptionError unless all models have the same options and learners."""
    first = options_of(models[0])
    for model in models[1:]:
        other = options_of(model)
        for name in first.declared:
            if name in other.declared and first[name] != other[name] and _kept(first, name):
                raise OptionError(
                    f"{models[0].path} was made with {heads.spelled(name, first[name])}, and {model.path} with "
                    f"{heads.spelled(name, other[name])}: merge models of the same options"
                )
        stacks = [[entry["name"] for entry in each.metadata["stack"]] for each in (models[0], model)]
        if stacks[0] != stacks[1]:
            raise OptionError(f"{models[0].path} and {model.path} are models of other learners")


def _kept(options: Options, name: str) -> bool:
    option = options.declared[name]
    return option.keep or option.fixed


def of_effect(
    models: Sequence[Model], workspace: Workspace, name: str, owner: str, how: str, note: Callable[[str], None]
) -> Arrays:
    """The arrays of an effect in the merged model."""
    parts, found = [], []
    options = workspace.options
    posterior, namespace = options["posterior"], namespace_hash(options, name)
    kept = models[0].metadata["options"]
    for model in models:
        part = entity_tables.flat_of(model.arrays, owner, posterior in ("auto", "full"))
        flat.check(part, model.path, posterior, namespace)
        parts.append(part)
        small = sums.of_arrays(model.arrays, owner)
        own = {key: value for key, value in small.items() if key.startswith(f"{owner}.")}
        found.append(Head(name, owner, namespace, posterior, kept, own, {}, {}))
    noise = entity_tables.noise_of(found[0])
    head = found[0]._replace(sums=sums.united([each.sums for each in found], 1.0, noise))
    united = uniting.united(parts, namespace, same.rule(how, head))
    several = sum(len(part) for part in parts) - len(united)
    if several and how == "add":
        exact = entity_tables.only_effect(workspace, name)[1].has_noise and head.full
        note(
            f"{owner}: entities that several models have = {several}; their posteriors were added, "
            + ("exactly" if exact else "as a product of posteriors, an approximation")
        )
    beside = sums.to_arrays(head.sums | same.counted(united, head, owner))
    fields = [
        key.rpartition(".")[2] for model in models for key in model.arrays if entity_tables.is_entities(key, owner)
    ]
    arrays = flat.to_arrays(united, head.full, fields)
    shapes = {key: shape for model in models for key, (_, shape, _) in model.arrays.items()}
    result: Arrays = {f"{owner}.{key}": array for key, array in arrays.items()}
    for key, (dtype, shape, values) in beside.items():
        result[key] = dtype, [] if shapes.get(key) == [] else shape, values
    return result


def of_rest(models: Sequence[Model], owners: Sequence[str], note: Callable[[str], None]) -> Arrays:
    """The arrays of a merged model that are of no effect: weights, sums, names of features."""
    first = models[0].arrays
    weights = owner_of(list(first))
    rest = [
        {name: array for name, array in model.arrays.items() if not name.startswith(tuple(f"{o}." for o in owners))}
        for model in models
    ]
    merged: Arrays = {}
    stored = {name for _, *pair in NAMED.values() for name in pair}
    for kind, (_, key, texts) in NAMED.items():
        known: dict[int, str] = {}
        for model in models:
            if key in model.arrays and texts in model.arrays:
                known |= names_of(model.reader, kind)
        merged |= names_to_arrays(known, kind)
    if weights is not None and any(not _equal(rest[0], other, weights) for other in rest[1:]):
        merged |= of_weights(models, rest, weights, note)
    singles = [
        {
            name: (dtype, values.tolist())
            for name, (dtype, shape, values) in arrays.items()
            if shape == [] and name not in merged
        }
        for arrays in rest
    ]
    for name, (dtype, values) in sums.united(singles).items():
        merged[name] = dtype, [], np.array(values, flat.DTYPES[dtype])
    for arrays, model in zip(rest, models, strict=True):
        for name, (dtype, shape, values) in arrays.items():
            if name in merged or name in stored:
                continue
            there = [other[name][2].tobytes() if name in other else None for other in rest]
            if any(one != there[0] for one in there):
                part = name.partition(".")[0]
                raise OptionError(
                    f"{models[0].path} and {model.path}: their {part} differ ({name}), and only entities of effects, "
                    "and weights of gradient descent, can be merged"
                )
            merged[name] = dtype, shape, values
    return merged


def _equal(arrays: Arrays, others: Arrays, owner: str) -> bool:
    """Whether two models have the same table of weights."""
    names = {name for each in (arrays, others) for name in each if name.startswith(f"{owner}.")}
    names = {name for name in names if not name.endswith(SHAPELESS)}
    return all(
        name in arrays and name in others and arrays[name][2].tobytes() == others[name][2].tobytes() for name in names
    )


def of_weights(
    models: Sequence[Model], rest: Sequence[Arrays], owner: str, note: Callable[[str], None]
) -> dict[str, tuple[str, Any, Any]]:
    """The table of weights of a merged model."""
    tables = [
        {name[len(owner) + 1 :]: values for name, (_, _, values) in arrays.items() if name.startswith(f"{owner}.")}
        for arrays in rest
    ]
    examples = [float(model.metadata["figures"].get("weighted_labeled", 0)) for model in models]
    found = mixed(tables, examples, models[0].metadata["options"], owner)
    note(
        f"{owner}: the weights are mixed (parameter mixing), which is another estimator than one run over all examples"
    )
    first = rest[0]
    result: Arrays = {}
    for name, values in found.items():
        dtype, shape, _ = first[f"{owner}.{name}"]
        values = np.ascontiguousarray(values, flat.DTYPES[dtype])
        result[f"{owner}.{name}"] = dtype, [] if shape == [] else [len(values)], values
    return result


def write(output: str | os.PathLike[str], models: Sequence[Model], arrays: Mapping[str, Any], how: str) -> None:
    """Writes the merged model, with its parents in the journal."""
    for name, (dtype, _, values) in arrays.items():
        if dtype in ("F32", "F64") and not np.isfinite(np.frombuffer(values, flat.DTYPES[dtype])).all():
            raise ModelError(f"{output}: not written: numbers in {name} are infinite or NaN")
    metadata = [model.metadata for model in models]
    figures = [each["figures"] for each in metadata]
    total = {
        name: (max if name == heads.INTERVAL else sum)(each.get(name, 0) for each in figures)
        for name in dict.fromkeys(name for each in figures for name in each)
    }
    weight, loss = total.get("weighted_labeled", 0), total.get("sum_loss")
    when = max(each["created"] for each in metadata)
    run = {
        "when": when,
        "version": __version__,
        "arguments": ["merge", *(["--same", how] if how != "error" else [])],
        "seed": metadata[0]["journal"][-1]["seed"] if metadata[0]["journal"] else 0,
        "sources": [],
        "examples": total.get("example_number", 0),
        "loss_before": None,
        "loss_after": loss / weight if loss is not None and weight > 0 else None,
        "parent": None,
        "parents": [
            {"name": os.path.basename(model.path), "id": model.metadata["id"], "journal": model.metadata["journal"]}
            for model in models
        ],
    }
    model_file.write(
        output,
        arrays,
        {
            "vwlite_version": __version__,
            "created": when,
            # without options of one run alone, such as a limit of entities in memory
            "stack": min((each["stack"] for each in metadata), key=lambda each: (len(str(each)), str(each))),
            "options": metadata[0]["options"],
            "journal": [run],
            "figures": total,
        },
    )
    storing.discard_store(output)
