"""GAMEClassifier and GAMERegressor: a model of all examples, and a small one for each user, item or other entity.

Generalised linear mixed models, updated by each example: GAME of Zhang and others 2016, "GLMix: Generalized Linear
Mixed Models For Large-Scale Response Prediction".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.utils.validation import check_array, validate_data

from vwlite.sklearn import frames
from vwlite.sklearn.base import Base, Rows
from vwlite.sklearn.checks import names_told
from vwlite.sklearn.estimators import BaseClassifier, BaseRegressor
from vwlite.wrappers.settings import Settings
from vwlite.wrappers.turns import SharedWorkspace


class Game(Base):
    """What models of entities have in common."""

    entities: Any
    effect_l2: str | float
    sweeps: int
    passes = 1
    shuffle = False
    random_state = None

    def _settings(self) -> Settings:
        return Settings(self._classifies, "bayes", l2=self.l2, forget=self.forget, flags=self.flags)

    def _effects(self) -> dict[Any, Any]:
        """What has coefficients of its own for each entity, by the entities' column: a list of columns, or "*"."""
        entities = self.entities
        if isinstance(entities, (str, bytes)) or not isinstance(entities, Iterable):
            raise TypeError(
                f"entities={entities!r}: expected a list of columns that name entities, or a dict from each to the "
                "columns with coefficients of their own"
            )
        effects = dict(entities) if isinstance(entities, Mapping) else dict.fromkeys(entities, ())
        for name, columns in effects.items():
            if columns != "*" and (isinstance(columns, str) or not isinstance(columns, Iterable)):
                raise TypeError(f"entities: expected a list of columns, or '*' for all, for {name!r}, not {columns!r}")
        return effects

    def _read(self, X: Any, y: Any = None, *, fits: bool, first: bool = False) -> tuple[Rows, Any]:
        if not self._effects():
            return super()._read(X, y, fits=fits, first=first)
        if not frames.is_frame(X):
            X = check_array(X, dtype=None)
        with names_told(self, frames.names_of(X) if frames.is_frame(X) else None):
            validate_data(self, X, reset=first, skip_check_array=True)
        names = frames.names_seen(self)
        if first:
            self._entity_columns = tuple(self._place(name, names) for name in self._effects())
        rows = self._records(X, first)
        return rows, self._labels(rows, y) if fits else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not len(self.entities)  # no column of a sparse matrix names entities
        return tags

    @staticmethod
    def _place(name: Any, names: list[Any]) -> int:
        """The place of a column. Raises ValueError if there is none of this name."""
        if name not in names:
            raise ValueError(f"entities: there is no column {name!r}, only {', '.join(map(str, names))}")
        return names.index(name)

    def _words(self, names: list[Any]) -> list[Any]:
        """Names of features; namespaces of entities; and where effects have columns, a namespace for each column."""
        words = [spaced(word) for word in frames.words_of(names)]
        if not any(columns and columns != "*" for columns in self._effects().values()):
            return words
        return [word if i in self._entity_columns else (word, word) for i, word in enumerate(words)]

    def _begin(self, rows: Rows, n_classes: int, whole: bool) -> None:
        effects = self._effects()
        if not effects:
            super()._begin(rows, n_classes, whole)
            return
        names = frames.names_seen(self)
        words = [spaced(word) for word in frames.words_of(names)]
        flags = ["--effect_l2", str(self.effect_l2)]
        for (name, columns), place in zip(effects.items(), self._entity_columns, strict=True):
            inside = ["*"] if columns == "*" else [words[self._place(column, names)] for column in columns]
            if name in (() if columns == "*" else columns):
                raise ValueError(f"entities: {name!r} names entities, and has no coefficient")
            flags += ["--random_effect", f"{words[place]}:{','.join(inside)}" if inside else words[place]]
        if whole and self.sweeps:
            flags += ["--sweeps", str(self.sweeps)]
        settings = self._settings()
        self.workspace_ = SharedWorkspace([*settings.words(n_classes=n_classes, plain=True), *flags])

    def _learn(self, rows: Rows, y: Any, weights: Any, whole: bool) -> None:
        super()._learn(rows, y, weights, whole)
        if whole and self.sweeps and self._effects():
            self.workspace_ = self.workspace_.anew()  # which goes on without --sweeps


def spaced(word: str) -> str:
    """A name for a namespace: of two letters or more, as one letter stands for all namespaces that begin with it."""
    word = "".join(letter if letter.isalnum() or letter in "_-.#" else "_" for letter in word)
    return word if len(word) > 1 else f"{word}_"


class GAMERegressor(Game, BaseRegressor):
    """A linear regressor with random effects: a model of all examples, and a small one for each entity.

    An entity without examples gets the prediction of the others; with each example its own model counts more.

    Args:
        entities: The columns of a data frame that name entities, such as ["user", "movie"]. Or a dict from each to the
            columns that have a coefficient of their own for each entity, or to "*" for all: {"user": ["price"]}. Of an
            array, columns are numbers.
        effect_l2: How much effects are shrunk to the mean: "auto" estimates it; or the precision of their prior.
        l2: L2 regularization of the model of all examples.
        forget: The share of what is known about an entity that is kept at each of its examples, such as 0.99.
        sweeps: fit goes over all parts together, at most so often; 0 learns from one example after the other, as
            partial_fit does.
        flags: More options of the command line, such as "--shrink zero".

    Attributes:
        workspace_: The vwlite.Workspace that learns.
        n_features_in_: The number d of columns, with those of entities.
        feature_names_in_: Their names, if X was a data frame.
        text_columns_: The names of columns that are categories.

    >>> X = [[user, 1.0] for user in (1, 2, 3)] * 20
    >>> model = GAMERegressor(entities=[0]).fit(X, [1.0, 2.0, 6.0] * 20)
    >>> model.predict([[1, 1.0], [3, 1.0], [4, 1.0]]).round(1).tolist()
    [1.0, 6.0, 3.0]
    """

    def __init__(
        self,
        entities: Any = (),
        *,
        effect_l2: str | float = "auto",
        l2: float | None = None,
        forget: float | None = None,
        sweeps: int = 10,
        flags: str = "",
    ) -> None:
        self.entities = entities
        self.effect_l2 = effect_l2
        self.l2 = l2
        self.forget = forget
        self.sweeps = sweeps
        self.flags = flags


class GAMEClassifier(Game, BaseClassifier):
    """A linear classifier with random effects: a model of all examples, and a small one for each entity.

    An entity without examples gets the prediction of the others; with each example its own model counts more.

    Args:
        entities: The columns of a data frame that name entities, such as ["user", "movie"]. Or a dict from each to the
            columns that have a coefficient of their own for each entity, or to "*" for all: {"user": ["price"]}. Of an
            array, columns are numbers.
        effect_l2: How much effects are shrunk to the mean: "auto" estimates it; or the precision of their prior.
        l2: L2 regularization of the model of all examples.
        forget: The share of what is known about an entity that is kept at each of its examples, such as 0.99.
        sweeps: fit goes over all parts together, at most so often; 0 learns from one example after the other, as
            partial_fit does.
        flags: More options of the command line, such as "--shrink zero".

    Attributes:
        classes_: The classes, sorted.
        workspace_: The vwlite.Workspace that learns.
        n_features_in_: The number d of columns, with those of entities.
        feature_names_in_: Their names, if X was a data frame.
        text_columns_: The names of columns that are categories.

    >>> X = [[user] for user in (1, 2, 3)] * 20
    >>> model = GAMEClassifier(entities=[0]).fit(X, [True, False, False] * 20)
    >>> model.predict([[1], [2]]).tolist()
    [True, False]
    """

    def __init__(
        self,
        entities: Any = (),
        *,
        effect_l2: str | float = "auto",
        l2: float | None = None,
        forget: float | None = None,
        sweeps: int = 10,
        flags: str = "",
    ) -> None:
        self.entities = entities
        self.effect_l2 = effect_l2
        self.l2 = l2
        self.forget = forget
        self.sweeps = sweeps
        self.flags = flags
