"""VWClassifier and VWRegressor: linear models for scikit-learn, learned at once or in parts."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from vwlite.sklearn import frames
from vwlite.sklearn.checks import classes_of, names_told, places_of, representable, weights_of
from vwlite.wrappers.settings import Settings
from vwlite.wrappers.turns import SharedWorkspace

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Examples as a workspace takes them."""

    x: Any  # an array, a sparse matrix, or Records
    names: list[str] | None  # of an array's columns

    def width(self) -> int:
        """The number of coefficients; a category has one for each text."""
        return self.x.width() if isinstance(self.x, frames.Records) else self.x.shape[1]


class Base(BaseEstimator):
    """What the estimators have in common: reading X, beginning, learning and predicting."""

    _classifies = False
    _entity_columns: tuple[int, ...] = ()

    def _settings(self) -> Settings:
        """The settings of the flags, from the parameters."""
        return Settings(
            self._classifies,
            self.learner,
            self.learning_rate,
            self.power_t,
            self.l1,
            self.l2,
            self.forget,
            self.flags,
        )

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
            if frame and (frames.has_texts(X) or not first and getattr(self, "text_columns_", ())):
                validate_data(self, X, reset=first, skip_check_array=True)
                rows = self._records(X, first)
                return rows, self._labels(rows, y) if fits else None
            if not first and getattr(self, "text_columns_", ()):
                raise ValueError(
                    f"the column {self.text_columns_[0]!r} held texts in fit: give a data frame with the same columns"
                )
            checks = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "reset": first}
            if fits:
                X, y = validate_data(self, X, y, y_numeric=not self._classifies, **checks)
            else:
                X = validate_data(self, X, **checks)
        representable(X.data if sparse.issparse(X) else X, "X")
        if first:
            self.text_columns_: list[str] = []
            self._kinds = [frames.NUMBER] * X.shape[1]
        names = getattr(self, "feature_names_in_", None)
        return Rows(X, None if names is None else frames.words_of(names)), y

    def _records(self, X: Any, first: bool) -> Rows:
        """Reads a table with columns of texts, or of entities."""
        names = frames.names_of(X) if frames.is_frame(X) else list(range(X.shape[1]))
        if X.shape[0] == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape={tuple(X.shape)}) while a minimum of 1 is required.")
        known: list[str | None] = [None] * len(names) if first else list(self._kinds)
        for i in self._entity_columns:
            known[i] = frames.ENTITY
        found = [
            frames.read(name, frames.column_of(X, i), kind) for i, (name, kind) in enumerate(zip(names, known, strict=True))
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
            raise ValueError("requires y to be passed, but the target y is None")
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
        if whole and weights is not None and not weights.any():
            raise ValueError("all sample_weight are zero: there is nothing to learn")
        x, workspace = rows.x, self.workspace_
        waits = workspace.waits_for_pass()
        source = check_random_state(self.random_state) if whole and self.shuffle and not waits else None
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


class BaseRegressor(RegressorMixin, Base):
    """A regressor: its methods."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: DOC502
        """Learns a new model from all examples.

        Args:
            X: Shape (n, d): an array of numbers, a sparse matrix, or a data frame, whose texts are categories.
            y: The labels, shape (n,).
            sample_weight: The importance weights, shape (n,); None for 1.

        Returns:
            The estimator.

        Raises:
            ValueError: If shapes don't fit, or a value is missing, not finite or too large.
            TypeError: If a column has values of several types.
            vwlite.errors.OptionError: If options can't be used together.
        """
        return self._take(X, y, sample_weight, first=True, whole=True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: DOC502
        """Learns on from more examples; begins a model if there is none.

        Args:
            X: Shape (n, d), as for fit; columns as they were before.
            y: The labels, shape (n,).
            sample_weight: The importance weights, shape (n,); None for 1.

        Returns:
            The estimator.

        Raises:
            ValueError: As of fit, and if columns are others than before.
            TypeError: As of fit.
            vwlite.errors.OptionError: As of fit.
        """
        return self._take(X, y, sample_weight, first=not hasattr(self, "workspace_"), whole=False)

    def _take(self, X: Any, y: Any, weights: Any, first: bool, whole: bool) -> Self:
        rows, y = self._read(X, y, fits=True, first=first)
        y = representable(np.asarray(y, np.float64), "y")
        weights = weights_of(rows.x, weights)
        if first:
            self._begin(rows, 2, whole)
        self._learn(rows, y, weights, whole)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:  # noqa: DOC502
        """Predicts labels.

        Args:
            X: Shape (n, d), as for fit.
            return_std: Whether to return standard deviations, too. It is that of a new label, as of scikit-learn's
                BayesianRidge: it includes the noise.

        Returns:
            The predictions, shape (n,); with `return_std` a tuple of them and their standard deviations, shape (n,).

        Raises:
            ValueError: If X doesn't fit the model, or the learner has no posterior.
            sklearn.exceptions.NotFittedError: If there is no model yet.
        """
        check_is_fitted(self, "workspace_")
        if not return_std:
            return np.asarray(self._results(X), np.float64)
        if not self.workspace_.has_posterior():
            raise ValueError("return_std=True needs a posterior, which this learner has not: give learner='bayes'")
        found = np.asarray(self._results(X, ("prediction", "label_sd")), np.float64)
        return found[:, 0], found[:, 1]


class BaseClassifier(ClassifierMixin, Base):
    """A classifier: its methods."""

    _classifies = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: DOC502
        """Learns a new model from all examples.

        Args:
            X: Shape (n, d): an array of numbers, a sparse matrix, or a data frame, whose texts are categories.
            y: The labels, shape (n,): texts, whole numbers, or true and false; of at least two classes.
            sample_weight: The importance weights, shape (n,); None for 1.

        Returns:
            The estimator.

        Raises:
            ValueError: If shapes don't fit, a value is missing, not finite or too large, or there is one class only.
            TypeError: If a column has values of several types.
            vwlite.errors.OptionError: If options can't be used together.
        """
        return self._take(X, y, None, sample_weight, first=True, whole=True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: DOC502
        """Learns on from more examples; begins a model if there is none.

        Args:
            X: Shape (n, d), as for fit; columns as they were before.
            y: The labels, shape (n,).
            classes: All classes that there will be. Needed in the first call.
            sample_weight: The importance weights, shape (n,); None for 1.

        Returns:
            The estimator.

        Raises:
            ValueError: As of fit; if there is a label that is not among the classes; if columns are others than before.
            TypeError: As of fit.
            vwlite.errors.OptionError: As of fit.
        """
        return self._take(X, y, classes, sample_weight, first=not hasattr(self, "workspace_"), whole=False)

    def _take(self, X: Any, y: Any, classes: Any, weights: Any, first: bool, whole: bool) -> Self:
        if first and not whole and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        rows, y = self._read(X, y, fits=True, first=first)
        if first:
            classes = classes_of(y if classes is None else classes, type(self).__name__)
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise ValueError(
                f"classes={np.asarray(classes).tolist()} is not the same as on the last call to partial_fit, was: "
                f"{self.classes_.tolist()}"
            )
        else:
            classes = self.classes_
        places = places_of(y, classes)
        weights = weights_of(rows.x, weights)
        if first:
            self.classes_ = classes
            self._begin(rows, len(classes), whole)
        self._learn(rows, 2 * places - 1 if len(classes) == 2 else places + 1, weights, whole)
        return self

    def decision_function(self, X: Any) -> Floats:  # noqa: DOC502
        """Scores of the classes: the larger, the more probable.

        Args:
            X: Shape (n, d), as for fit.

        Returns:
            Of two classes the log odds of the second one, shape (n,); of k classes a score for each, shape (n, k).

        Raises:
            ValueError: If X doesn't fit the model.
            sklearn.exceptions.NotFittedError: If there is no model yet.
        """
        check_is_fitted(self, "workspace_")
        found = self._results(X)
        if len(self.classes_) == 2:
            return np.asarray(found, np.float64)
        return np.array(list(map(itemgetter(*range(1, len(self.classes_) + 1)), found)), np.float64)

    def predict_proba(self, X: Any) -> Floats:  # noqa: DOC502
        """Probabilities of the classes.

        Of more than two classes, each has a model against all others, and their probabilities are scaled to the sum 1.

        Args:
            X: Shape (n, d), as for fit.

        Returns:
            The probabilities, shape (n, k), in the order of `classes_`.

        Raises:
            ValueError: If X doesn't fit the model.
            sklearn.exceptions.NotFittedError: If there is no model yet.
        """
        found = expit(self.decision_function(X))
        if found.ndim == 1:
            return np.column_stack((1 - found, found))
        found = np.maximum(found, np.finfo(np.float64).tiny)
        return found / found.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: DOC502
        """Predicts classes.

        Args:
            X: Shape (n, d), as for fit.

        Returns:
            The most probable class of each row, shape (n,).

        Raises:
            ValueError: If X doesn't fit the model.
            sklearn.exceptions.NotFittedError: If there is no model yet.
        """
        found = self.decision_function(X)
        return self.classes_[(found > 0).astype(np.intp) if found.ndim == 1 else found.argmax(axis=1)]


class VWRegressor(BaseRegressor):
    """A linear regressor: Bayesian with a posterior, or by stochastic gradient descent.

    Args:
        learner: "bayes" is Bayesian linear regression (--bayes_linear), with the full posterior of up to 64 columns and
            the diagonal of its precision above. "gd" is stochastic gradient descent, "ftrl", "pistol" and "coin" are
            others of its kind. "auto" takes gd for sparse input or if an option is given that only gd has, what `flags`
            say if they name a learner, and else bayes.
        learning_rate: The size of the steps of gd.
        power_t: How fast the steps of gd become smaller: 0 for a world that changes.
        l1: L1 regularization of gd and ftrl.
        l2: L2 regularization; of bayes, the precision of the prior in units of the noise (0.1 unless given).
        forget: Of bayes: the share of what is known that is kept at each example, such as 0.99.
        passes: Of gd: how often fit goes over the examples.
        shuffle: Whether fit goes over them in random order. bayes has no order.
        random_state: The seed of that order.
        flags: More options of the command line, such as "--loss_function quantile --quantile_tau 0.9".

    Attributes:
        workspace_: The vwlite.Workspace that learns.
        n_features_in_: The number d of columns.
        feature_names_in_: Their names, if X was a data frame.
        text_columns_: The names of columns that are categories.

    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> prediction, sd = VWRegressor().fit(X, [1.0, 3.1, 4.9, 7.0]).predict([[4.0], [40.0]], return_std=True)
    >>> round(float(prediction[0])), bool(sd[0] < sd[1])
    (9, True)
    """

    def __init__(
        self,
        learner: str = "auto",
        *,
        learning_rate: float | None = None,
        power_t: float | None = None,
        l1: float | None = None,
        l2: float | None = None,
        forget: float | None = None,
        passes: int = 1,
        shuffle: bool = True,
        random_state: Any = 0,
        flags: str = "",
    ) -> None:
        self.learner = learner
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.forget = forget
        self.passes = passes
        self.shuffle = shuffle
        self.random_state = random_state
        self.flags = flags


class VWClassifier(BaseClassifier):
    """A linear classifier: Bayesian with a posterior, or by stochastic gradient descent. Of many classes, one each.

    Args:
        learner: "bayes" is Bayesian logistic regression (--bayes_logistic), with the full posterior of up to 64 columns
            and the diagonal of its precision above. "gd" is stochastic gradient descent with the logistic loss, "ftrl",
            "pistol" and "coin" are others of its kind. "auto" takes gd for sparse input or if an option is given that
            only gd has, what `flags` say if they name a learner, and else bayes.
        learning_rate: The size of the steps of gd.
        power_t: How fast the steps of gd become smaller: 0 for a world that changes.
        l1: L1 regularization of gd and ftrl.
        l2: L2 regularization; of bayes, the precision of the prior (1 unless given).
        forget: Of bayes: the share of what is known that is kept at each example, such as 0.99.
        passes: Of gd: how often fit goes over the examples.
        shuffle: Whether fit goes over them in random order. bayes has no order.
        random_state: The seed of that order.
        flags: More options of the command line, such as "-q ::", which crosses each pair of columns.

    Attributes:
        classes_: The classes, sorted.
        workspace_: The vwlite.Workspace that learns.
        n_features_in_: The number d of columns.
        feature_names_in_: Their names, if X was a data frame.
        text_columns_: The names of columns that are categories.

    >>> model = VWClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"])
    >>> model.predict([[-1.0], [4.0]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self,
        learner: str = "auto",
        *,
        learning_rate: float | None = None,
        power_t: float | None = None,
        l1: float | None = None,
        l2: float | None = None,
        forget: float | None = None,
        passes: int = 1,
        shuffle: bool = True,
        random_state: Any = 0,
        flags: str = "",
    ) -> None:
        self.learner = learner
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.forget = forget
        self.passes = passes
        self.shuffle = shuffle
        self.random_state = random_state
        self.flags = flags
