"""What is exported of a model: a linear part, interactions, random effects, range and link; or why it can't be."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from vwlite.core.learner import chain
from vwlite.core.options import Options
from vwlite.core.types import LabelType, PredictionType
from vwlite.core.view import CONSTANT
from vwlite.engine.known_features import names_by_hash, names_by_slot
from vwlite.engine.workspace import Workspace
from vwlite.errors import ModelError, OptionError
from vwlite.features.terms import decode_names, given_patterns
from vwlite.input.column_map import read_map
from vwlite.model import model_file
from vwlite.parsers.entities import features_of_entities

ROLES = ("auto", "number", "category", "ignore", "label", "weight", "initial", "tag", "entity")
WHOLE = 0xFFFFFFFF  # the mask of hashes that are no slots


class Effect(NamedTuple):
    """A random effect.

    Args:
        namespace: The namespace that names the entity.
        of: The namespaces of its features; ``*`` for all, empty for the intercept alone.
        entities: By name, the coefficients by hash.
        deviations: The same of standard deviations.
        prior: The coefficients of others by hash.
    """

    namespace: str
    of: Any
    entities: dict[str, dict[int, float]]
    deviations: dict[str, dict[int, float]]
    prior: dict[int, float]


class Linear(NamedTuple):
    """An exported model.

    Args:
        path: The model file.
        id: Of the model.
        weights: By slot, or by hash if mask is WHOLE; those that are not zero.
        deviations: Standard deviations of weights; empty without a posterior.
        names: Of features by the same keys, as far as they are known.
        hash_names: Of features by hash.
        effects: Random effects.
        mask: Of slots.
        settings: hash, hash_seed, constant, patterns, permutations, leave_duplicates, dropped, ignored_linear, columns,
            initial_scale, range, link.
    """

    path: str
    id: str
    weights: dict[int, float]
    deviations: dict[int, float]
    names: dict[int, str]
    hash_names: dict[int, str]
    effects: list[Effect]
    mask: int
    settings: dict[str, Any]


def read(path: str) -> Linear:  # noqa: DOC502
    """Reads a model for export.

    Args:
        path: The model file.

    Returns:
        The exported model.

    Raises:
        ModelError: If the file can't be read, or the model can't be exported; the message says why.
    """
    reader = model_file.open(path)
    try:
        workspace = Workspace(["-t", "-i", path])
    except OptionError as error:
        raise ModelError(f"{path}: can't be exported: {error.errors[0]}") from error
    why = obstacle(workspace)
    if why:
        raise ModelError(f"{path}: can't be exported: {why}")
    options, bottom, top = workspace.options, workspace.bottom, workspace.top
    effects: list[Effect] = []
    for learner in chain(top):
        effects += [effect_of(path, one, options) for one in learner.beside if one.effect is not None]
    weights, deviations, mask = weights_of(bottom)
    by_hash = names_by_hash(workspace)
    return Linear(
        path,
        reader.metadata["id"],
        weights,
        deviations,
        names_by_slot(workspace, list(weights)) if bottom.has_slots else {**workspace.names, **by_hash},
        {**by_hash, CONSTANT: "Constant"},
        effects,
        mask,
        settings_of(options, top),
    )


def obstacle(workspace: Workspace) -> str:
    """Why a model can't be exported; "" if it can."""
    options, top = workspace.options, workspace.top
    if top.multiline:
        return "it learns decisions of several lines"
    if (top.takes_label, top.gives_prediction) != (LabelType.SIMPLE, PredictionType.SCALAR):
        return f"it predicts {top.gives_prediction.value}, and only predictions of one number are exported"
    for learner in list(chain(top))[:-1]:
        if learner.plugin or not learner.adds_up:
            return f"its learner {learner.name} is no part of a linear model"
        if getattr(learner, "fixed", None) is not None:
            return "it has another model inside"
    bottom = workspace.bottom
    if bottom.plugin or not (bottom.has_slots or hasattr(bottom, "prior_moments") or options["fixed"] == "none"):
        return f"its learner {bottom.name} has no weights"
    if bottom.has_slots and not bottom.linear:
        return f"the scores of {bottom.name} are no sums of weights"
    if options["initial_weight"] and bottom.has_slots:
        return f"--initial_weight {options['initial_weight']:g} gives a weight to every feature"
    for name, words in (
        ("transform", "--transform changes the values of features"),
        ("scale", "--scale changes the values of features"),
        ("feature_limit", "--feature_limit leaves out features"),
        ("redefine", "--redefine renames namespaces"),
        ("vw_compat", "--vw_compat reads malformed lines as VW does"),
    ):
        if options[name]:
            return words
    for rule in read_map(options["columns_in"], None).rules:
        if rule.role not in ROLES:
            return f"its column map makes features of {rule.name} by {rule.role}"
    return ""


def weights_of(bottom: Any) -> tuple[dict[int, float], dict[int, float], int]:
    """The weights of a bottom learner, their standard deviations, and the mask of their keys."""
    if bottom.has_slots:
        index, weights = bottom.columns(True, True)[:2]
        slots, values = np.frombuffer(index, np.uint32).tolist(), np.frombuffer(weights, np.float32).tolist()
        return dict(zip(slots, values, strict=True)), {}, bottom.slot_of(WHOLE)
    if not hasattr(bottom, "prior_moments"):  # without a fixed part
        return {}, {}, WHOLE
    known = bottom.coefficients(0) or {}
    prior = {number: mean for number, (mean, _) in bottom.prior_moments().items() if number is not None and mean}
    means = prior | {number: mean for number, (mean, _) in known.items()}
    return means, {number: max(variance, 0) ** 0.5 for number, (_, variance) in known.items()}, WHOLE


def effect_of(path: str, learner: Any, options: Options) -> Effect:
    """A random effect. Raises ModelError if its entities have no names."""
    namespace = learner.owner.partition(".")[2]
    of = features_of_entities(options)[namespace]
    entities, deviations = {}, {}
    for name, examples, found in learner.entities():
        if not name:
            raise ModelError(
                f"{path}: can't be exported: the entities of {namespace} have no names (it was stripped): export the "
                "original"
            )
        if examples >= options["entity_min"]:
            entities[name] = {number: mean for number, (mean, _) in found.items()}
            deviations[name] = {number: max(variance, 0) ** 0.5 for number, (_, variance) in found.items()}
    prior = {number: mean for number, (mean, _) in learner.prior_moments().items() if number is not None and mean}
    return Effect(namespace, of, entities, deviations, prior)


def settings_of(options: Options, top: Any) -> dict[str, Any]:
    """How examples are read, and how scores become predictions."""
    patterns, _ = given_patterns(options)
    link = "sign" if top.name == "binary" else options["link"]
    columns = read_map(options["columns_in"], None).rules
    return {
        "hash": options["hash"],
        "hash_seed": options["hash_seed"],
        "constant": not options["noconstant"],
        "patterns": [list(pattern) for pattern in sorted_patterns(patterns)],
        "permutations": bool(options["permutations"]),
        "leave_duplicates": bool(options["leave_duplicate_interactions"]),
        "dropped": dropped(options),
        "ignored_linear": sorted(letters(options["ignore_linear"])),
        "columns": [[rule.name, rule.role, rule.namespace, "pattern" if rule.pattern else ""] for rule in columns],
        "initial_scale": math.prod(learner.initial_scale for learner in chain(top)),
        "range": [float(top.loss.min_label), float(top.loss.max_label)],
        "link": link,
    }


def sorted_patterns(patterns: list[bytes]) -> list[bytes]:
    """Patterns; letters of a term that come twice stand together."""
    return [bytes(sorted(one)) if len(set(one)) < len(one) and 58 not in one else one for one in patterns]


def letters(rules: list[str]) -> set[int]:
    """The first bytes of the namespaces that --ignore or the like names."""
    return set(b"".join(map(decode_names, rules)))


def dropped(options: Options) -> list[int]:
    """The first bytes of the namespaces that are not used; --keep wins over --ignore."""
    keep = letters(options["keep"])
    return [letter for letter in range(256) if letter not in keep] if keep else sorted(letters(options["ignore"]))


def constant_weight(model: Linear) -> float:
    """The weight of the constant; 0 without one."""
    return model.weights.get(CONSTANT & model.mask, 0.0) if model.settings["constant"] else 0.0
