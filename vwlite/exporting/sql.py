"""A model as a query in SQL: columns of a table are features."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from vwlite import __version__
from vwlite.core.view import CONSTANT
from vwlite.errors import ModelError
from vwlite.exporting.linear import Effect, Linear, constant_weight
from vwlite.exporting.named import Feature, Namer

LONGEST = 200  # terms in a row: the depth of an expression is limited, to 1000 in SQLite


def write(model: Linear, table: str) -> str:  # noqa: DOC502
    """The query: all columns of the table, the score, and the prediction.

    Args:
        model: The exported model.
        table: The name of the table of examples.

    Returns:
        The query, for SQLite, DuckDB and others with double precision.

    Raises:
        ModelError: If names of features are missing, or are no names of columns.
    """
    namer = Namer(model, "SQL")
    columns = Columns(namer, model)
    terms = columns.terms()
    low, high = model.settings["range"]
    clipped = (
        f"CASE WHEN raw < {number(low)} THEN {number(low)} WHEN raw > {number(high)} THEN {number(high)} ELSE raw END"
    )
    links = {
        "identity": "score",
        "logistic": "1.0 / (1.0 + EXP(-score))",
        "glf1": "2.0 / (1.0 + EXP(-score)) - 1.0",
        "poisson": "EXP(score)",
        "sign": "CASE WHEN score > 0 THEN 1.0 ELSE -1.0 END",
    }
    return (
        f"-- Predictions of the model {model.id}, exported by vwlite {__version__}.\n"
        f"-- {note(columns.names)}\n"
        f"SELECT example.*, {links[model.settings['link']]} AS prediction\n"
        f"FROM (SELECT example.*, {clipped} AS score\n"
        f"FROM (SELECT example.*,\n{total(terms)}\nAS raw FROM {quoted(table)} AS example) AS example) AS example;\n"
    )


def note(names: Iterable[str]) -> str:
    """The comment with the columns that the query reads."""
    found = ", ".join(sorted(names))
    return "Columns: " + "".join(c if c.isprintable() else "\ufffd" for c in found)


class Columns:
    """Expressions of the features of a model.

    Args:
        namer: What takes names apart.
        model: The exported model.
    """

    def __init__(self, namer: Namer, model: Linear) -> None:
        self.namer, self.model = namer, model
        self.products = namer.products()
        self.features = self.features_of_effects()
        spaces: dict[str, set[str]] = defaultdict(set)
        for feature in [*(one for product, _ in self.products for one in product), *self.features.values()]:
            spaces[feature.column].add(feature.namespace)
        entities = {effect.namespace for effect in model.effects}
        # a column of the same name in two namespaces has its namespace in its name
        self.shared = {column for column, names in spaces.items() if len(names) > 1 or column in entities}
        self.names: set[str] = set(entities)

    def features_of_effects(self) -> dict[int, Feature]:
        """The features of random effects by hash. Raises ModelError if a name is missing."""
        found: dict[int, Feature] = {}
        for effect in self.model.effects:
            hashes = {number for own in [effect.prior, *effect.entities.values()] for number in own}
            for hash_ in hashes - found.keys() - {CONSTANT}:
                name = self.model.hash_names.get(hash_)
                if name is None:
                    raise ModelError(
                        f"{self.model.path}: can't be exported to SQL: a feature of {effect.namespace} has no name: "
                        "train it with --invert_hash FILE over all data"
                    )
                product = self.namer.product_of(hash_, name, 0xFFFFFFFF)
                if len(product) > 1:
                    raise ModelError(
                        f"{self.model.path}: can't be exported to SQL: {effect.namespace} has coefficients of crossed "
                        "features"
                    )
                found[hash_] = product[0]
        return found

    def column(self, feature: Feature) -> str:
        """The column of a feature."""
        name = (
            f"{feature.namespace}^{feature.column}"
            if feature.column in self.shared and feature.namespace
            else feature.column
        )
        self.names.add(name)
        return f"example.{quoted(name)}"

    def value(self, feature: Feature) -> str:
        """The value of a feature in an expression."""
        column = self.column(feature)
        if feature.value is None:
            return f"COALESCE(CAST({column} AS DOUBLE), 0.0)"
        return f"(CASE WHEN {self.cleaned(column, [feature.value])} = {text(feature.value)} THEN 1.0 ELSE 0.0 END)"

    def cleaned(self, column: str, values: Iterable[str]) -> str:
        """The text of a column as features have it, whose names have an underscore for what VW's text can't have."""
        if any("_" in value for value in values):
            for character in " :|":
                column = f"REPLACE({column}, {text(character)}, '_')"
        return column

    def terms(self) -> list[str]:
        """The summands of the score."""
        found = [number(constant_weight(self.model))]
        categories: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for product, weight in self.products:
            first = product[0]
            if len(product) == 1 and first.value is not None:
                categories[self.column(first)].append((first.value, weight))
            else:
                found.append(" * ".join([number(weight), *map(self.value, product)]))
        for column, values in categories.items():
            found.append(
                self.case(
                    self.cleaned(column, [value for value, _ in values]),
                    [(value, number(weight)) for value, weight in values],
                    "0.0",
                )
            )
        found += [self.effect(effect) for effect in self.model.effects]
        return found

    def case(self, column: str, values: Sequence[tuple[str, str]], otherwise: str) -> str:
        """An expression by the value of a column."""
        whens = "\n".join(f"  WHEN {text(value)} THEN {expression}" for value, expression in values)
        return f"CASE {column}\n{whens}\n  ELSE {otherwise} END" if values else otherwise

    def effect(self, effect: Effect) -> str:
        """The part of the score by a random effect."""
        if effect.of == "*" and self.model.settings["patterns"]:
            raise ModelError(
                f"{self.model.path}: can't be exported to SQL: {effect.namespace} has coefficients of crossed features"
            )
        column = f"example.{quoted(effect.namespace)}"

        def sum_of(own: dict[int, float]) -> str:
            means = effect.prior | own
            parts = [
                number(weight) if hash_ == CONSTANT else f"{number(weight)} * {self.value(self.features[hash_])}"
                for hash_, weight in means.items()
            ]
            return total(parts or ["0.0"])

        values = [(name, sum_of(own)) for name, own in effect.entities.items()]
        prior = sum_of({})
        name = self.cleaned(f"CAST({column} AS VARCHAR)", effect.entities)
        return f"CASE WHEN {column} IS NULL THEN 0.0 ELSE {self.case(name, values, prior)} END"


def total(terms: Sequence[str]) -> str:
    """The sum of terms, as a tree of small depth."""
    if len(terms) <= LONGEST:
        return "(" + "\n+ ".join(terms) + ")"
    size = math.ceil(len(terms) / LONGEST)
    size = max(size, LONGEST) if len(terms) <= LONGEST * LONGEST else size
    return "(" + "\n+ ".join(total(terms[i : i + size]) for i in range(0, len(terms), size)) + ")"


def number(value: float) -> str:
    """A number with all its digits."""
    written = repr(float(value))
    return written if "e" in written or "." in written else f"{written}.0"


def text(value: str) -> str:
    """A text in quotes."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name in quotes."""
    return '"' + name.replace('"', '""') + '"'
