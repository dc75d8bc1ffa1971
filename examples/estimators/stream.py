"""Streams in River's evaluator: each example is predicted before it is learned.

Needs River: pip install 'vwlite[river]'
"""

from river import datasets, evaluate, linear_model, metrics, preprocessing

from vwlite.river import VWClassifier, VWRegressor

phishing = {
    "vwlite": VWClassifier(),
    "River": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
}
for name, model in phishing.items():
    print(f"phishing, {name}:", evaluate.progressive_val_score(datasets.Phishing(), model, metrics.LogLoss()))

for data in (datasets.TrumpApproval(), datasets.ChickWeights()):
    regressors = {
        "vwlite": VWRegressor(),
        "River": preprocessing.StandardScaler() | linear_model.LinearRegression(),
    }
    for name, model in regressors.items():
        print(f"{type(data).__name__}, {name}:", evaluate.progressive_val_score(data, model, metrics.MAE()))
