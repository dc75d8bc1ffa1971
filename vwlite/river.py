"""Models for River: a classifier and a regressor that learn from one dict at a time, or from a data frame.

This module needs River (``pip install 'vwlite[river]'``) and is not imported by ``import vwlite``.

>>> from river import datasets, evaluate, metrics
>>> from vwlite.river import VWClassifier
>>> accuracy = evaluate.progressive_val_score(datasets.Phishing(), VWClassifier(), metrics.Accuracy())
>>> accuracy.get() > 0.88
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from river import base
except ModuleNotFoundError as error:
    if error.name != "river":
        raise
    raise ImportError("vwlite.river needs River: pip install 'vwlite[river]'") from None

from vwlite.core.elementary import array_exp
from vwlite.wrappers.settings import Settings
from vwlite.wrappers.turns import SharedWorkspace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VWClassifier", "VWRegressor"]

SPECIAL = frozenset(("_label", "_weight", "_initial", "_tag"))  # a Workspace takes such keys for no features


def features(x: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The features of a dict, as a Workspace takes them."""
    if SPECIAL.isdisjoint(x):
        return x
    return {f"{name}_" if name in SPECIAL else name: value for name, value in x.items()}


def rows_of(X: pd.DataFrame) -> tuple[Any, list[str] | None]:
    """The rows of a data frame as a Workspace takes them, exactly as if each were a dict: x and columns.

    A frame of numbers is an array, which is read faster, and any other one dicts of Python's own values.
    """
    names = list(X.columns)
    plain = all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
    if plain and names and all(getattr(kind, "kind", "O") in "biuf" for kind in X.dtypes):
        return X.to_numpy(np.float64), list(features(dict.fromkeys(names)))
    columns = [X.iloc[:, i].tolist() for i in range(len(names))]
    rows = zip(*columns, strict=True) if columns else [()] * len(X)
    return (features(dict(zip(names, row, strict=True))) for row in rows), None


class Online(base.Estimator):
    """What the models have in common."""

    _classifies = False

    def _begin(self) -> None:
        """Makes the workspace."""
        self._workspace = SharedWorkspace(self._words())
        if self._workspace.waits_for_pass():
            raise ValueError(f"flags={self.flags!r}: it would learn at the end of a pass, and a stream has no end")

    def _words(self, n_classes: int = 2) -> list[str]:
        """The flags of the workspace."""
        return Settings.of(self, self._classifies).words(n_classes=n_classes)

    def _label(self, y: Any) -> Any:
        """The label as the workspace learns it."""
        if y is None:
            raise TypeError("the label is None: a model learns from labelled examples")
        return y

    def _learn_rows(self, X: Any, y: Any, w: Any) -> None:
        """Learns from the rows of a data frame, one after the other."""
        y = list(map(self._label, y))
        weights = None if w is None else [w] * len(y) if isinstance(w, (int, float)) else list(w)
        rows, columns = rows_of(X)
        self._workspace.learn(rows, y, weights, columns=columns)

    def _predict_rows(self, X: Any) -> list[Any]:
        """Predictions of the workspace for the rows of a data frame."""
        rows, columns = rows_of(X)
        found = self._workspace.predict(rows, columns=columns)
        return found if isinstance(found, list) else found.tolist()

    @property
    def workspace(self) -> SharedWorkspace:
        """The vwlite.Workspace that learns."""
        return self._workspace


class VWRegressor(Online, base.MiniBatchRegressor):
    """A linear regressor: Bayesian with a posterior, or by stochastic gradient descent.

    It needs no scaling before it. Texts among the features are categories, True is a feature, False and None are left
    out, and a dict or a list inside is a namespace.

    Args:
        learner: "bayes" is Bayesian linear regression (--bayes_linear), with a full posterior up to 64 features and the
            diagonal of its precision above. "gd" is stochastic gradient descent, "ftrl", "pistol" and "coin" are others
            of its kind. "auto" takes gd if an option is given that only gd has, what `flags` say if they name a
            learner, and else bayes.
        learning_rate: The size of the steps of gd.
        power_t: How fast the steps of gd become smaller: 0 for a world that changes.
        l1: L1 regularization of gd and ftrl.
        l2: L2 regularization; of bayes, the precision of the prior in units of the noise (0.1 unless given).
        forget: Of bayes: the share of what is known that is kept at each example, such as 0.99.
        flags: More options of the command line.

    >>> model = VWRegressor()
    >>> for i in range(20):
    ...     model.learn_one({"size": i, "city": "Bonn"}, 2 * i + 1)
    >>> round(model.predict_one({"size": 30, "city": "Bonn"}))
    61
    """

    def __init__(
        self,
        learner: str = "auto",
        learning_rate: float | None = None,
        power_t: float | None = None,
        l1: float | None = None,
        l2: float | None = None,
        forget: float | None = None,
        flags: str = "",
    ) -> None:
        self.learner = learner
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.forget = forget
        self.flags = flags
        self._begin()

    def learn_one(self, x: dict[Any, Any], y: float, w: float = 1.0) -> None:  # noqa: DOC502
        """Learns from one example.

        Args:
            x: The features.
            y: The label.
            w: The importance weight.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text, or a label is None.
        """
        self._workspace.learn(features(x), self._label(y), None if w == 1 else w)

    def predict_one(self, x: dict[Any, Any]) -> float:  # noqa: DOC502
        """Predicts the label of one example.

        Args:
            x: The features.

        Returns:
            The prediction.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        return self._workspace.predict(features(x))

    def learn_many(self, X: pd.DataFrame, y: pd.Series, w: Any = None) -> None:  # noqa: DOC502
        """Learns from the rows of a data frame, exactly as learn_one does from one after the other.

        Args:
            X: The features, shape (n, d).
            y: The labels, shape (n,).
            w: The importance weights, shape (n,), or one for all.

        Raises:
            vwlite.errors.ParseError: If a number is not finite; the rows before it were learned.
            TypeError: If a value is neither a number nor a text.
            ValueError: If there are not as many labels as rows.
        """
        self._learn_rows(X, y, w)

    def predict_many(self, X: pd.DataFrame) -> pd.Series:  # noqa: DOC502
        """Predicts the labels of the rows of a data frame.

        Args:
            X: The features, shape (n, d).

        Returns:
            The predictions, with the index of X.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        import pandas as pd

        return pd.Series(self._predict_rows(X), index=X.index, dtype=float)


class VWClassifier(Online, base.MiniBatchClassifier):
    """A linear classifier: Bayesian with a posterior, or by stochastic gradient descent.

    It needs no scaling before it. Texts among the features are categories, True is a feature, False and None are left
    out, and a dict or a list inside is a namespace. Without `classes` it learns two classes, the first two that come.

    Args:
        classes: The classes, where there are more than two: a tuple of labels.
        learner: "bayes" is Bayesian logistic regression (--bayes_logistic), with a full posterior up to 64 features and
            the diagonal of its precision above. "gd" is stochastic gradient descent with the logistic loss, "ftrl",
            "pistol" and "coin" are others of its kind. "auto" takes gd if an option is given that only gd has, what
            `flags` say if they name a learner, and else bayes.
        learning_rate: The size of the steps of gd.
        power_t: How fast the steps of gd become smaller: 0 for a world that changes.
        l1: L1 regularization of gd and ftrl.
        l2: L2 regularization; of bayes, the precision of the prior (1 unless given).
        forget: Of bayes: the share of what is known that is kept at each example, such as 0.99.
        flags: More options of the command line.

    >>> model = VWClassifier()
    >>> for i in range(20):
    ...     model.learn_one({"word": "free" if i % 2 else "hello"}, "spam" if i % 2 else "ham")
    >>> model.predict_one({"word": "free"})
    'spam'
    """

    _classifies = True

    def __init__(
        self,
        classes: tuple[Any, ...] | None = None,
        learner: str = "auto",
        learning_rate: float | None = None,
        power_t: float | None = None,
        l1: float | None = None,
        l2: float | None = None,
        forget: float | None = None,
        flags: str = "",
    ) -> None:
        self.classes = classes
        self.learner = learner
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.forget = forget
        self.flags = flags
        self._labels = list(dict.fromkeys(classes or ()))
        self._begin()

    def _words(self, n_classes: int = 2) -> list[str]:
        return [*super()._words(max(2, len(self._labels))), *([] if self._multiclass else ["--link", "logistic"])]

    @property
    def _multiclass(self) -> bool:
        return len(set(self.classes or ())) > 2

    def _place(self, y: Any) -> int:
        """The place of a label among the classes; a new one gets the next place."""
        labels = self._labels
        if y not in labels:
            if self.classes is None and not labels and isinstance(y, (bool, np.bool_)):
                labels += [False, True]
            elif self.classes is None and len(labels) < 2:
                labels.append(y)
            else:
                known = ", ".join(map(repr, labels))
                raise ValueError(
                    f"the label {y!r} is not among the classes {known}: name all of them, VWClassifier(classes=(...))"
                )
        return labels.index(y)

    def _label(self, y: Any) -> float:
        """The label as the workspace learns it."""
        place = self._place(super()._label(y))
        return place + 1 if self._multiclass else 2 * place - 1

    def _shares(self, found: Any) -> dict[Any, float]:
        """Probabilities by label, of a prediction of the workspace."""
        labels = self._labels
        if self._multiclass:
            shares = (1 / (1 + array_exp(-np.array(list(found.values()))))).tolist()  # scores are within -50 and 50
            total = sum(shares)
            return {label: share / total for label, share in zip(labels, shares, strict=True)}
        if len(labels) == 1:
            return {labels[0]: 1.0}
        no, yes = labels or (False, True)
        return {no: 1 - found, yes: found}

    def learn_one(self, x: dict[Any, Any], y: Any, w: float = 1.0) -> None:  # noqa: DOC502
        """Learns from one example.

        Args:
            x: The features.
            y: The label.
            w: The importance weight.

        Raises:
            ValueError: If the label is a third one, or not among `classes`.
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        self._workspace.learn(features(x), self._label(y), None if w == 1 else w)

    def predict_proba_one(self, x: dict[Any, Any], **kwargs: Any) -> dict[Any, float]:  # noqa: DOC502
        """Predicts the probabilities of the labels of one example.

        Args:
            x: The features.
            **kwargs: Ignored.

        Returns:
            The probability of each label; before the first label, of False and True.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        return self._shares(self._workspace.predict(features(x)))

    def learn_many(self, X: pd.DataFrame, y: pd.Series, w: Any = None) -> None:  # noqa: DOC502
        """Learns from the rows of a data frame, exactly as learn_one does from one after the other.

        Args:
            X: The features, shape (n, d).
            y: The labels, shape (n,).
            w: The importance weights, shape (n,), or one for all.

        Raises:
            vwlite.errors.ParseError: If a number is not finite; the rows before it were learned.
            TypeError: If a value is neither a number nor a text.
            ValueError: If there are not as many labels as rows, or as of `learn_one`.
        """
        self._learn_rows(X, y, w)

    def predict_proba_many(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: DOC502
        """Predicts the probabilities of the labels of the rows of a data frame.

        Args:
            X: The features, shape (n, d).

        Returns:
            A column for each label, with the index of X.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        import pandas as pd

        found = list(map(self._shares, self._predict_rows(X)))
        return pd.DataFrame(found, index=X.index, columns=self._labels or [False, True], dtype=float)

    def predict_many(self, X: pd.DataFrame) -> pd.Series:  # noqa: DOC502
        """Predicts the labels of the rows of a data frame.

        Args:
            X: The features, shape (n, d).

        Returns:
            The most probable label of each row, with the index of X.

        Raises:
            vwlite.errors.ParseError: If a number is not finite.
            TypeError: If a value is neither a number nor a text.
        """
        import pandas as pd

        found = map(self._shares, self._predict_rows(X))
        return pd.Series([max(each, key=each.__getitem__) for each in found], index=X.index)

    @classmethod
    def _unit_test_params(cls) -> Any:
        """Parameters of the models that River checks."""
        yield {}
