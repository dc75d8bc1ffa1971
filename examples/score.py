"""Scores a file of predictions against the labels of the data file they were made from.

    python score.py logistic DATA PREDICTIONS    labels -1 and 1, predictions are probabilities of 1
    python score.py squared DATA PREDICTIONS     real labels and predictions

Prints one measure a line: its name, its value and, in brackets, the value of the best constant prediction.
"""

import gzip
import math
import sys
from collections.abc import Callable, Sequence


def first_words(path: str) -> list[float]:
    """Returns the first word of every line as a number: the label of a data file, or a prediction."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as file:
        return [float(line.split(maxsplit=1)[0]) for line in file]


def log_loss(labels: Sequence[float], probabilities: Sequence[float]) -> float:
    """Mean of -log(predicted probability of the label)."""
    # A probability of exactly 0 or 1 is a result of rounding in the output: the bound keeps the loss finite.
    happened = (p if label > 0 else 1 - p for label, p in zip(labels, probabilities, strict=True))
    return -sum(math.log(max(p, 1e-7)) for p in happened) / len(labels)


def accuracy(labels: Sequence[float], probabilities: Sequence[float]) -> float:
    """Share of the labels that are the more probable class."""
    return sum((label > 0) == (p > 0.5) for label, p in zip(labels, probabilities, strict=True)) / len(labels)


def auc(labels: Sequence[float], scores: Sequence[float]) -> float:
    """Area under the ROC curve: probability that a positive is scored above a negative; ties count as half."""
    positives = [score for label, score in zip(labels, scores, strict=True) if label > 0]
    negatives = [score for label, score in zip(labels, scores, strict=True) if label <= 0]
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


def root_mean_square(labels: Sequence[float], predictions: Sequence[float]) -> float:
    """Root of the mean squared error."""
    return math.sqrt(sum((y - p) ** 2 for y, p in zip(labels, predictions, strict=True)) / len(labels))


def mean_absolute(labels: Sequence[float], predictions: Sequence[float]) -> float:
    """Mean absolute error."""
    return sum(abs(y - p) for y, p in zip(labels, predictions, strict=True)) / len(labels)


MEASURES: dict[str, dict[str, Callable[[Sequence[float], Sequence[float]], float]]] = {
    "logistic": {"log loss": log_loss, "accuracy": accuracy, "AUC": auc},
    "squared": {"RMSE": root_mean_square, "MAE": mean_absolute},
}


def main() -> None:
    """Prints every measure of the loss named on the command line."""
    if len(sys.argv) != 4 or sys.argv[1] not in MEASURES:
        raise SystemExit(f"usage: python score.py {'|'.join(MEASURES)} DATA PREDICTIONS")
    loss, data, predicted = sys.argv[1:]
    labels, predictions = first_words(data), first_words(predicted)
    if len(labels) != len(predictions):
        raise SystemExit(f"{data} has {len(labels)} lines, {predicted} has {len(predictions)}")
    targets = [float(label > 0) for label in labels] if loss == "logistic" else labels
    constant = [sum(targets) / len(targets)] * len(targets)
    print(f"{'examples':<10}{len(labels)}")
    for name, measure in MEASURES[loss].items():
        print(f"{name:<10}{measure(labels, predictions):.4f}  (a constant: {measure(labels, constant):.4f})")


if __name__ == "__main__":
    main()
