"""Tables of the metrics that the scripts here have measured (needs NumPy only).

python tables.py figures NAME.. SUMMARY..    `NAME = number` of each SUMMARY, a file FOLDER/ROW.summary
python tables.py spread DATA PREDICTIONS     errors in ten groups of predictions, by their standard deviation
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def figure(summary: Path, name: str) -> float:
    """The number after `name = ` in the summary that a run has printed; raises SystemExit if it isn't there."""
    found = re.search(rf"^{re.escape(name)} = (\S+)", summary.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{summary} has no {name!r}")
    return float(found[1])


def figures(names: Sequence[str], summaries: Sequence[Path]) -> None:
    """Print a table with a row for each summary and a column for each name."""
    width = max(len(path.stem) for path in summaries)
    print(" " * width, *names, sep="  ")
    for path in summaries:
        print(f"{path.stem:<{width}}", *(f"{figure(path, name):>{len(name)}.4f}" for name in names), sep="  ")


def spread(data: Path, predictions: Path, groups: int = 10) -> None:
    """Print mean standard deviation and RMSE of groups of equal size, the lowest standard deviation first.

    Predictions are lines `prediction sd ...`, data lines begin with the label.
    """
    labels = np.array([float(line.split(maxsplit=1)[0]) for line in data.read_text().splitlines()])
    predicted, deviation = np.loadtxt(predictions, usecols=(0, 1), unpack=True)
    print("ratings  mean sd    RMSE")
    for group in np.array_split(np.argsort(deviation, kind="stable"), groups):
        error = np.sqrt(np.mean((labels[group] - predicted[group]) ** 2))
        print(f"{len(group):>7}  {deviation[group].mean():7.4f}  {error:6.4f}")


def main(words: Sequence[str]) -> None:
    """Prints the table named on the command line."""
    match words:
        case ["figures", *rest] if rest:
            summaries = [Path(word) for word in rest if word.endswith(".summary")]
            names = [word for word in rest if not word.endswith(".summary")]
            figures(names, summaries)
        case ["spread", data, predictions]:
            spread(Path(data), Path(predictions))
        case _:
            raise SystemExit("usage: python tables.py figures NAME.. SUMMARY.. | spread DATA PREDICTIONS")


if __name__ == "__main__":
    main(sys.argv[1:])
