"""A pipeline of scikit-learn with a grid search: tumours, by 30 measures of very different scales.

Needs scikit-learn: pip install 'vwlite[sklearn]'
"""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vwlite.sklearn import VWClassifier

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)

search = GridSearchCV(
    make_pipeline(StandardScaler(), VWClassifier()),
    {"vwclassifier__learner": ["bayes", "gd"], "vwclassifier__l2": [0.01, 1.0]},
    scoring="neg_log_loss",
    n_jobs=2,
)
search.fit(x_train, y_train)
print("best:", ", ".join(f"{name.partition('__')[2]}={value}" for name, value in search.best_params_.items()))

rival = make_pipeline(StandardScaler(), LogisticRegression()).fit(x_train, y_train)
for name, model in (("vwlite", search.best_estimator_), ("LogisticRegression", rival)):
    probability = model.predict_proba(x_test)[:, 1]
    print(f"{name}: log loss {log_loss(y_test, probability):.4f}, AUC {roc_auc_score(y_test, probability):.4f}")
