"""Parameter mixing: one table of weights from several that learned from different examples.

A weight of the mixture is the mean of the models' weights, each weighted by the sum of its squared gradients in that
slot, as adaptive learning rates have them; without those, by the examples that the model has learned. So a feature that
only one model has met keeps its weight. Sums of squared gradients add up. This is another estimator than one stream of
all examples, and a worse one if there are many models of few examples (McDonald, Hall and Mann 2010, "Distributed
training strategies for the structured perceptron"; Agarwal and others 2014, "A reliable effective terascale linear
learning system").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vwlite.errors import OptionError

Array = np.ndarray[Any, Any]

COLUMNS = ("index", "weight", "adaptive", "normalizer")
ADDED = ("normalized_sum", "total_weight")
OTHERS = ("t", "multiplier", "decayed", "gravity", "contraction", "min_label", "max_label", "negative_label")


def owner_of(names: Sequence[str]) -> str | None:
    """The prefix of the arrays of a table of weights; None if there is none."""
    found = [name.removesuffix(".index") for name in names if name.endswith(".index")]
    return found[0] if found else None


def mixed(
    models: Sequence[Mapping[str, Array]], examples: Sequence[float], options: Mapping[str, Any], owner: str
) -> dict[str, Array]:
    """Mixes tables of weights.

    Args:
        models: The arrays of each model by their names without the owner.
        examples: The weight of all examples of each.
        options: The options of the models.
        owner: The learner, for messages.

    Returns:
        The arrays of the mixture.

    Raises:
        OptionError: If the learner has other state than weights and sums of gradients, or the models stopped in a pass
            with lazy regularization or with other learning rates.
    """
    first = models[0]
    unknown = sorted({name for model in models for name in model} - {*COLUMNS, *ADDED, *OTHERS})
    if unknown:
        raise OptionError(f"models with a {owner} of these options can't be merged: their {unknown[0]} can't be mixed")
    if any(set(model) != set(first) for model in models):
        raise OptionError("a model of --predict_only_model can't be merged with one that has more than weights")
    for name, neutral in (("gravity", 0), ("contraction", 1)):
        if any(model[name][0] != neutral for model in models if name in model):
            raise OptionError("models with --l1 or --l2 can't be merged: their weights shrink lazily")
    if any(model["decayed"][0] != first["decayed"][0] for model in models if "decayed" in model):
        raise OptionError("the models have ended with different learning rates: give all as many passes")
    index = np.unique(np.concatenate([model["index"] for model in models]))
    initial = float(options.get("initial_weight") or 0)
    total, weight_sum, plain = np.zeros((3, len(index)))
    sums, largest = np.zeros((2, len(index)))
    shares = np.array(examples, float)
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(models), 1 / len(models))
    for model, share in zip(models, shares, strict=True):
        at = np.searchsorted(index, model["index"])
        weights = np.full(len(index), initial)
        weights[at] = model["weight"]
        plain += share * weights
        gradients = np.zeros(len(index))
        if "adaptive" in model:
            gradients[at] = model["adaptive"]
            sums += gradients
            largest[at] = np.maximum(largest[at], model["normalizer"])
        total += gradients * weights
        weight_sum += gradients
    known = weight_sum > 0
    found = np.where(known, total / np.where(known, weight_sum, 1), plain)
    result: dict[str, Array] = {"index": index, "weight": found.astype(np.float32)}
    if "adaptive" in first:
        result |= {"adaptive": sums.astype(np.float32), "normalizer": largest.astype(np.float32)}
    for name in first:
        if name in ADDED:
            result[name] = np.array([sum(float(model[name][0]) for model in models)])
        elif name in ("gravity", "contraction", "decayed"):
            result[name] = first[name]
    if "t" in first:
        start = float(options.get("initial_t") or 0)
        result["t"] = np.array([sum(float(model["t"][0]) - start for model in models) + start])
    if "multiplier" in first:
        scale = result["total_weight"][0] / result["normalized_sum"][0] if result["normalized_sum"][0] > 0 else 1.0
        normalized = any(model["multiplier"][0] != 1 for model in models)
        result["multiplier"] = np.array([scale**0.5 if normalized and scale > 0 else 1.0], np.float32)
    return result
