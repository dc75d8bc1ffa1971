"""VWClassifier and VWRegressor: linear models for scikit-learn, learned at once or in parts."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from vwlite.sklearn.base import Base, Floats
from vwlite.sklearn.checks import LARGEST_LABEL, classes_of, places_of, representable, weights_of


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
        y = representable(np.asarray(y, np.float64), "y", LARGEST_LABEL)
        weights = weights_of(rows.x, weights, whole)
        if first:
            self._begin(rows, 2, whole)
        self._learn(rows, y, weights, whole)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:  # noqa: DOC503
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

    classes_: NDArray[Any]
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
        weights = weights_of(rows.x, weights, whole)
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
        shuffle: Whether fit goes over them in random order. bayes has no order; with `forget` it is the one given.
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
        shuffle: Whether fit goes over them in random order. bayes has no order; with `forget` it is the one given.
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
