"""Times Lambda Learner 0.1.0 on the first lines of a file of `generate.py`; runs in an environment of its own.

    python lambda_learner.py DATA --records 40000 --batch 10

Prints one line of JSON: the number of records, the total seconds and CPU seconds of its `train()`, its coefficients
(the intercept first), and its own versions. Reading the text and laying out its `IndexedDataset`s is not timed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from linkedin.learner.ds.indexed_dataset import IndexedDataset
from linkedin.learner.ds.indexed_model import IndexedModel
from linkedin.learner.prediction.hessian_type import HessianType
from linkedin.learner.prediction.trainer_sequential_bayesian_logistic_loss_with_l2 import (
    TrainerSequentialBayesianLogisticLossWithL2,
)
from scipy import sparse


def read(path: Path, records: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(features with a column of ones before them, labels) of the first lines `LABEL | 0:VALUE 1:VALUE ...`."""
    rows, labels = [], []
    with path.open() as file:
        for line in itertools.islice(file, records):
            label, _, *features = line.split()
            labels.append(float(label))
            rows.append([1.0, *(float(feature.partition(":")[2]) for feature in features)])
    return np.array(rows), np.array(labels)


def main() -> None:
    """Learns batch by batch, with each posterior as the prior of the next batch, and prints the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--precision", type=float, default=1e7, help="factr of its L-BFGS (%(default)s, as it comes)")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # SciPy warns in each call that an option of L-BFGS is deprecated

    rows, labels = read(chosen.data, chosen.records)
    batches = []
    for first in range(0, len(rows), chosen.batch):
        part = slice(first, first + chosen.batch)
        count = len(labels[part])
        batches.append(IndexedDataset(sparse.csc_matrix(rows[part]), labels[part], np.ones(count), np.zeros(count)))
    size = rows.shape[1]
    model = IndexedModel(np.zeros(size), sparse.identity(size, format="csc"))
    seconds = cpu = 0.0
    for batch in batches:
        trainer = TrainerSequentialBayesianLogisticLossWithL2(
            training_data=batch, initial_model=model, hessian_type=HessianType.FULL, penalty=1.0, delta=1.0
        )
        begin, busy = time.perf_counter(), time.process_time()
        model, _, _ = trainer.train(precision=chosen.precision)
        seconds += time.perf_counter() - begin
        cpu += time.process_time() - busy
    print(
        json.dumps(
            {
                "records": len(labels),
                "seconds": seconds,
                "cpu": cpu,
                "coefficients": list(model.theta),
                "versions": {name: importlib.metadata.version(name) for name in ("lambda-learner", "scipy", "numpy")},
            }
        )
    )


if __name__ == "__main__":
    main()
