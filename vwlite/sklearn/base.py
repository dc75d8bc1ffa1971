"""Base of the estimators: reads X, begins a workspace, learns and predicts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from vwlite.sklearn import frames
from vwlite.sklearn.checks import names_told, representable
from vwlite.wrappers.settings import Settings
from vwlite.wrappers.turns import SharedWorkspace

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Examples as a workspace takes them."""

    x: Any  # an array, a sparse matrix, or Records
    names: list[str] | None  # of an array's columns; records have their own

    def width(self) -> int:
        """The number of coefficients; a category has one for each text."""
        return self.x.width() if isinstance(self.x, frames.Records) else self.x.shape[1]


class Base(BaseEstimator):
    """What the estimators have in common: reading X, beginning, learning and predicting."""

    learner: str
    learning_rate: float | None
    power_t: float | None
    l1: float | None
    l2: float | None
    forget: float | None
    passes: int
    shuffle: bool
    random_state: Any
    flags: str
    workspace_: SharedWorkspace
    text_columns_: list[Any]
    _kinds: list[str]
    _classifies = False
    _entity_columns: tuple[int, ...] = ()

    def _settings(self) -> Settings:
        """The settings of the flags, from the parameters."""
        return Settings.of(self, self._classifies)

    def _begin(self, rows: Rows, n_classes: int, whole: bool) -> None:
        """Makes a workspace that has learned nothing, for all examples at once if `whole`."""
        settings = self._settings()
        chosen = settings.chosen(sparse.issparse(rows.x))
        if not (isinstance(self.passes, (int, np.integer)) and self.passes >= 1):
            raise ValueError(f"passes={self.passes!r}: expected a whole number, at least 1")
        if self.passes > 1 and chosen == "bayes":
            raise ValueError(
                f"passes={self.passes}: a posterior takes each example once; for several passes give learner='gd'"
            )
        self.workspace_ = SharedWorkspace(
            settings.words(sparse.issparse(rows.x), n_classes, rows.width(), by_call=True)
        )

    def _read(self, X: Any, y: Any = None, *, fits: bool, first: bool = False) -> tuple[Rows, Any]:
        """Validates examples, and labels if `fits`."""
        frame = frames.is_frame(X)
        with names_told(self, frames.names_of(X) if frame else None):
            texts = [] if first else getattr(self, "text_columns_", [])
            if frame and (texts or frames.has_texts(X)):
                validate_data(self, X, reset=first, skip_check_array=True)
                rows = self._records(X, first)
                return rows, self._labels(rows, y) if fits else None
            if texts:
                raise ValueError(f"the column {texts[0]!r} held texts in fit: give a data frame with the same columns")
            checks = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "reset": first}
            if fits:
                X, y = validate_data(self, X, y, y_numeric=not self._classifies, **checks)
            else:
                X = validate_data(self, X, **checks)
        representable(X.data if sparse.issparse(X) else X, "X")
        if first:
            self.text_columns_ = []
            self._kinds = [frames.NUMBER] * X.shape[1]
        return Rows(X, self._words(frames.names_seen(self))), y

    def _records(self, X: Any, first: bool) -> Rows:
        """Reads a table with columns of texts, or of entities."""
        names = frames.names_seen(self)
        if X.shape[0] == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape={tuple(X.shape)}) while a minimum of 1 is required.")
        known: list[str | None] = [None] * len(names) if first else list(self._kinds)
        for i in self._entity_columns:
            known[i] = frames.ENTITY
        found = [
            frames.read(name, frames.column_of(X, i), kind)
            for i, (name, kind) in enumerate(zip(names, known, strict=True))
        ]
        if first:
            self._kinds = [kind for kind, _ in found]
            self.text_columns_ = [name for name, kind in zip(names, self._kinds, strict=True) if kind == frames.TEXT]
        return Rows(frames.Records(self._words(names), [values for _, values in found]), None)

    def _words(self, names: list[Any]) -> list[Any]:
        """The names of features for columns."""
        return frames.words_of(names)

    def _labels(self, rows: Rows, y: Any) -> Any:
        """Validates labels beside records."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_consistent_length(rows.x, y)
        if self._classifies:
            return y
        try:
            y = np.asarray(y, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"y holds values of type {y.dtype}, where numbers are expected") from None
        if not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity.")
        return y

    def _learn(self, rows: Rows, y: NDArray[Any], weights: Floats | None, whole: bool) -> None:
        """Learns from rows: from all that there are, if `whole`, otherwise from some."""
        x, workspace = rows.x, self.workspace_
        waits = workspace.waits_for_pass()
        ordered = waits or not self.shuffle or self.forget is not None
        source = check_random_state(self.random_state) if whole and not ordered else None
        for _ in range(self.passes if whole else 1):
            if source is not None:
                order = source.permutation(len(y))
                x, some_y, some = rows.x[order], y[order], None if weights is None else weights[order]
            else:
                some_y, some = y, weights
            workspace.learn(x, some_y, some, columns=rows.names)
            if whole or waits:
                workspace.end_pass()

    def _results(self, X: Any, columns: tuple[str, ...] = ()) -> Any:
        """Predictions of the workspace."""
        check_is_fitted(self, "workspace_")
        rows, _ = self._read(X, fits=False)
        if columns:
            return self.workspace_.predict_columns(columns, rows.x, rows.names)
        return self.workspace_.predict(rows.x, columns=rows.names)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
