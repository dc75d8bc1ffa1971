"""Terms by name, of a model whose features have names: what SQL and ONNX need."""

from __future__ import annotations

from typing import NamedTuple

from vwlite.core.view import CONSTANT
from vwlite.errors import ModelError
from vwlite.exporting.linear import Linear
from vwlite.exporting.scoring import Scorer

PRIME = 16777619  # of FNV-1, which combines the hashes of crossed features


class Feature(NamedTuple):
    """A feature of an example: a column, and for a category its value."""

    namespace: str
    column: str
    value: str | None


class Namer:
    """Takes names apart, and checks by their hashes that this was right.

    Args:
        model: The exported model.
        why: What needs names, for messages.

    Raises:
        ModelError: If the model has no names.
    """

    def __init__(self, model: Linear, why: str) -> None:
        self.model, self.why = model, why
        self.scorer = Scorer({**model.settings, "weights": {}, "mask": model.mask, "effects": []})
        if not model.names and len(model.weights) > (CONSTANT & model.mask in model.weights):
            raise ModelError(
                f"{model.path}: can't be exported to {why}, which needs names, and the model has none: train it with "
                "--invert_hash FILE, which keeps them"
            )

    def hash_of(self, feature: Feature) -> int:
        """The hash of a feature."""
        seed, _ = self.scorer.space(feature.namespace)
        base = feature.column if feature.value is None else f"{feature.column}={feature.value}"
        return self.scorer.hash(base, seed)

    def product_of(self, key: int, name: str, mask: int) -> list[Feature]:
        """The features whose product a name stands for. Raises ModelError for a name that can't be taken apart."""
        entities = {effect.namespace for effect in self.model.effects}
        for features in self.readings(name):
            if entities & {feature.namespace for feature in features}:
                continue
            hash_ = self.hash_of(features[0])
            for feature in features[1:]:
                hash_ = (hash_ * PRIME & 0xFFFFFFFF) ^ self.hash_of(feature)
            if hash_ & mask == key:
                return features
        raise ModelError(
            f"{self.model.path}: can't be exported to {self.why}: the feature {name!r} is no column and no category of "
            "one (name or name=value)"
        )

    def readings(self, name: str) -> list[list[Feature]]:
        """The ways to read a name: as one feature, or as a product."""
        found = [[self.feature(name)]]
        parts = name.split("*")
        if len(parts) > 1:
            found.insert(0, [self.feature(part) for part in parts])
        return found

    def feature(self, text: str) -> Feature:
        """A feature by its name."""
        namespace, _, rest = text.partition("^") if "^" in text else ("", "", text)
        column, sign, value = rest.partition("=")
        return Feature(namespace, column, value if sign else None)

    def products(self) -> list[tuple[list[Feature], float]]:
        """All terms but the constant: their features and weight. Raises ModelError if names are missing."""
        constant = CONSTANT & self.model.mask if self.model.settings["constant"] else None
        missing = [key for key in self.model.weights if key not in self.model.names and key != constant]
        if missing:
            raise ModelError(
                f"{self.model.path}: can't be exported to {self.why}: {len(missing):,} of {len(self.model.weights):,} "
                "weights have no name: train it with --invert_hash FILE over all data"
            )
        return [
            (self.product_of(key, self.model.names[key], self.model.mask), weight)
            for key, weight in self.model.weights.items()
            if key != constant
        ]
