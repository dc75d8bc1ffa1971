"""Writes the data files of this folder from the tables that scikit-learn and river bundle.

    pip install scikit-learn river
    python convert.py

Neither package is needed to run the examples: the files are checked in. Writing them again gives the same text.
"""

import gzip
import random
from collections.abc import Iterable
from pathlib import Path

from river import datasets
from sklearn.datasets import load_breast_cancer

FOLDER = Path(__file__).parent


def write(name: str, lines: Iterable[str]) -> None:
    """Writes lines to FOLDER/name, compressed, without a time or a file name, so that equal text gives equal bytes."""
    text = "".join(f"{line}\n" for line in lines)
    with open(FOLDER / name, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
        file.write(text.encode())


def breast_cancer() -> list[str]:
    """Malignant is 1, benign -1; one namespace for the mean, the standard error and the worst of each measure."""
    table = load_breast_cancer()
    malignant = list(table.target_names).index("malignant")
    lines = []
    for values, target in zip(table.data.tolist(), table.target.tolist(), strict=True):
        namespaces: dict[str, list[str]] = {"mean": [], "error": [], "worst": []}
        for name, value in zip(table.feature_names, values, strict=True):
            namespace = next(space for space in namespaces if space in name)
            measure = "_".join(word for word in name.split() if word != namespace)
            namespaces[namespace].append(f"{measure}:{value:g}")
        label = 1 if target == malignant else -1
        lines.append(f"{label} " + " ".join(f"|{space} {' '.join(words)}" for space, words in namespaces.items()))
    return lines


def phishing() -> list[str]:
    """Phishing is 1, honest -1; every feature is a category, so its value is part of its name."""
    lines = []
    for features, is_phishing in datasets.Phishing():
        words = (f"{name}={value:g}" for name, value in features.items())
        lines.append(f"{1 if is_phishing else -1} |page {' '.join(words)}")
    return lines


def trump_approval() -> list[str]:
    """The approval rate in per cent, in the order of the days.

    The mean of the five polls is the example's initial prediction, so a model learns to correct it; the features are
    the differences of the pollsters from that mean.
    """
    lines = []
    for features, approval in datasets.TrumpApproval():
        polls = {name: value for name, value in features.items() if name != "ordinal_date"}
        mean = sum(polls.values()) / len(polls)
        words = (f"{name}:{value - mean:.4f}" for name, value in polls.items())
        lines.append(f"{approval:g} 1 {mean:.4f} |poll {' '.join(words)}")
    return lines


def main() -> None:
    """Writes every file."""
    for name, lines in (("breast_cancer", breast_cancer()), ("phishing", phishing())):
        random.Random(1).shuffle(lines)
        train = len(lines) * 7 // 10
        write(f"{name}_train.vw.gz", lines[:train])
        write(f"{name}_test.vw.gz", lines[train:])
    write("trump_approval.vw.gz", trump_approval())


if __name__ == "__main__":
    main()
