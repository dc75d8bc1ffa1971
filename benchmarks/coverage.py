"""Coverage of credible intervals: for simulated users with coefficients from the prior, the share of their true
probabilities inside `--interval 0.9`.

One run learns a model for each of 1000 users from a number of examples each, and predicts further lines whose
probabilities are known. The users are independent, so the share over users has a standard error, which is printed.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

USERS = 1000
FEATURES = 5
TESTS = 5
SETTINGS = ("", "--posterior_mode", "--batch_size 10", "--batch_size all")
LEARNER = ("--random_effect", "user:*", "--bayes_logistic", "--fixed", "none")
PREDICT = ("--link", "logistic", "--interval", "0.9")


def simulate(per_user: int, seed: int) -> tuple[list[str], list[str], list[float]]:
    """Lines to learn from, in random order, unlabelled lines, and the probabilities of the latter."""
    source = random.Random(seed)
    train, test, truth = [], [], []
    for user in range(USERS):
        theta = [source.gauss(0, 1) for _ in range(FEATURES + 1)]
        for i in range(per_user + TESTS):
            x = [round(source.gauss(0, 1), 4) for _ in range(FEATURES)]
            p = 1 / (1 + math.exp(-theta[0] - sum(t * v for t, v in zip(theta[1:], x, strict=True))))
            line = f"|user u{user} |x " + " ".join(f"x{j}:{v}" for j, v in enumerate(x))
            if i < per_user:
                train.append(f"{1 if source.random() < p else -1} {line}")
            else:
                test.append(line)
                truth.append(p)
    source.shuffle(train)
    return train, test, truth


def coverage(train: Path, test: Path, truth: list[float], flags: str) -> tuple[float, float, float]:
    """(share of truths inside, its standard error, mean width of the intervals)."""
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        command = [sys.executable, "-m", "vwlite", "--quiet"]
        subprocess.run([*command, *LEARNER, *flags.split(), "-d", train, "-f", model], check=True)
        run = subprocess.run(
            [*command, "-t", "-i", model, *PREDICT, "-d", test, "-p", "-"], check=True, capture_output=True, text=True
        )
    rows = [[float(word) for word in line.split()] for line in run.stdout.splitlines()]
    inside = [low <= p <= high for (_, low, high), p in zip(rows, truth, strict=True)]
    shares = [sum(inside[i : i + TESTS]) / TESTS for i in range(0, len(inside), TESTS)]
    error = statistics.stdev(shares) / math.sqrt(len(shares))
    return statistics.fmean(shares), error, statistics.fmean(high - low for _, low, high in rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    print("| examples of each user | flags | enclosed, % | standard error | mean width |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for per_user in (10, 50, 200):
        train, test, truth = simulate(per_user, seed)
        with tempfile.TemporaryDirectory() as folder:
            paths = Path(folder, "train.vw"), Path(folder, "test.vw")
            for path, lines in zip(paths, (train, test), strict=True):
                path.write_text("".join(f"{line}\n" for line in lines))
            for flags in SETTINGS:
                share, error, width = coverage(*paths, truth, flags)
                print(
                    f"| {per_user} | `{flags or 'one by one'}` | {100 * share:.1f} | {100 * error:.1f} | {width:.3f} |"
                )


if __name__ == "__main__":
    main()
