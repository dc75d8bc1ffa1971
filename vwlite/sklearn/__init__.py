"""Estimators for scikit-learn: classifiers, regressors, models of entities, and a bandit.

`VWClassifier` and `VWRegressor` learn from arrays, sparse matrices and data frames, also in parts. `GAMEClassifier` and
`GAMERegressor` have a small model for each user, item or other entity. `ThompsonBandit` chooses actions. This package
needs scikit-learn (``pip install 'vwlite[sklearn]'``) and is not imported by ``import vwlite``.

>>> import numpy as np
>>> from vwlite.sklearn import VWRegressor
>>> X = np.arange(20.0).reshape(10, 2)
>>> model = VWRegressor().fit(X, X @ [1, 2] + 3)
>>> model.predict(X[:2]).round(2).tolist()
[5.0, 11.0]
"""

from __future__ import annotations

try:
    import sklearn
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError("vwlite.sklearn needs scikit-learn: pip install 'vwlite[sklearn]'") from None

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6):
    raise ImportError(
        f"vwlite.sklearn needs scikit-learn 1.6 or later, and this is {sklearn.__version__}: "
        "pip install --upgrade 'vwlite[sklearn]'"
    )

from vwlite.sklearn.bandit import Choice, ThompsonBandit
from vwlite.sklearn.estimators import VWClassifier, VWRegressor
from vwlite.sklearn.game import GAMEClassifier, GAMERegressor

__all__ = ["Choice", "GAMEClassifier", "GAMERegressor", "ThompsonBandit", "VWClassifier", "VWRegressor"]
