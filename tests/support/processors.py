"""Runs of many kinds of models: `python -m tests.support.processors FOLDER [NAME..]` writes their results there.

FOLDER gets NAME.model and NAME.txt (predictions) for each name. The data is made without functions that this tests.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ENTITIES = "--random_effect user --random_effect movie"
LOGISTIC = "--loss_function logistic"
BAYES = f"--bayes_logistic --fixed same --l2 1e-6 --effect_l2 auto {ENTITIES}"
IN_TURN = "--effect_l2 auto --random_effect user:c --random_effect movie --sweeps 5"

# name: (data, flags)
RUNS = {
    "gd": ("binary", f"{LOGISTIC} -q um"),
    "gd_squared": ("linear", ""),
    "gd_poisson": ("counts", "--loss_function poisson"),
    "gd_shares": ("binary", f"{LOGISTIC} --logistic_min -2 --link logistic"),
    "gd_powers": ("binary", f"{LOGISTIC} --power_t 0.4"),
    "gd_plain": ("binary", f"{LOGISTIC} --sgd --decay_learning_rate 0.9 --passes 3 -k --cache"),
    "ftrl": ("binary", f"{LOGISTIC} --ftrl"),
    "pistol": ("binary", f"{LOGISTIC} --pistol"),
    "coin": ("binary", f"{LOGISTIC} --coin"),
    "bayes": ("binary", f"--bayes_logistic {ENTITIES}"),
    "bayes_linear": ("linear", f"--bayes_linear --fixed same --effect_l2 auto {ENTITIES}"),
    "bayes_auto": ("binary", BAYES),
    "bayes_diagonal": ("binary", f"{BAYES} --posterior diagonal"),
    "bayes_forget": ("binary", f"--bayes_logistic --forget 0.99 {ENTITIES}"),
    "offset": ("binary", f"{LOGISTIC} --fixed_effect gd.model --offset_scale fit --offset_l2 10"),
    "oaa": ("classes", f"--oaa 3 {LOGISTIC} --probabilities"),
    "csoaa_ldf": ("ldf", f"--csoaa_ldf mc --probabilities {LOGISTIC}"),
    "adf": ("bandit", "--cb_explore_adf --cb_type mtr --epsilon 0.1"),
    "explore": ("bandit", "--explore thompson --bayes_logistic --posterior diagonal -q ui"),
    "thompson": ("bandit", "--thompson --bayes_logistic -q ui"),
    "batches": ("binary", f"{BAYES} --batch_size 50"),
    "glm": ("binary", "--bayes_logistic --l2 1 --batch_size 100"),
    "in_turn": ("binary", f"--bayes_logistic --fixed gd {LOGISTIC} {IN_TURN}"),
    "in_turn_linear": ("linear", f"--bayes_linear --fixed gd {IN_TURN}"),
    "in_turn_diagonal": ("linear", f"--bayes_linear --posterior diagonal --shrink zero --fixed gd {IN_TURN}"),
}

# those that BLAS and LAPACK have a part in
ABOUT_THE_SAME = {
    "batch_linear": ("linear", f"--bayes_linear --effect_l2 auto --batch_size all {ENTITIES}"),
    "large_batches": ("wide", "--bayes_logistic --l2 1 --batch_size 200"),
    "mixed_linear": ("linear", f"--bayes_linear --fixed same --effect_l2 auto {ENTITIES} --sweeps 10"),
    "mixed_logistic": ("binary", f"{BAYES} --sweeps 10"),
}


def data() -> dict[str, str]:
    """Text in which users and movies differ, for each kind of label."""
    draw = random.Random(1)
    names = ("binary", "wide", "linear", "counts", "classes", "ldf", "bandit")
    kinds: dict[str, list[str]] = {kind: [] for kind in names}
    for _ in range(600):
        user, movie = draw.randrange(20), draw.randrange(12)
        x = [round(draw.uniform(-2, 2), 3) for _ in range(4)]
        score = (user % 5 - 2) * 0.6 + (movie % 4 - 1.5) * 0.8 + x[0] - 0.5 * x[1] + draw.uniform(-1, 1)
        features = f"|user u{user} |movie m{movie} |c a:{x[0]} b:{x[1]} c:{x[2]} d{movie % 3}:{x[3]}"
        kinds["binary"].append(f"{1 if score > 0 else -1} {draw.choice([1, 0.5, 2])} {features}")
        words = " ".join(f"w{draw.randrange(200)}" for _ in range(5))
        kinds["wide"].append(f"{kinds['binary'][-1]} |w {words}")
        kinds["linear"].append(f"{score:.3f} {features}")
        kinds["counts"].append(f"{max(0, round(score + 1))} {features}")
        kinds["classes"].append(f"{1 + (score > 0) + (score > 1.5)} {features}")
        costs = [round(abs(score - k), 3) for k in range(-1, 2)]
        lines = [f"{k + 1}:{costs[k]} |i i{k} c:{costs[k] * (movie % 3)}" for k in range(3)]
        kinds["ldf"].append("\n".join([f"shared |u u{user} a:{x[0]}", *lines, ""]))
        chosen = draw.randrange(3)
        lines = [f"|i i{k} b:{x[k]}" for k in range(3)]
        lines[chosen] = f"0:{-1 if costs[chosen] < 1 else 0}:0.333 {lines[chosen]}"
        kinds["bandit"].append("\n".join([f"shared |u u{user} a:{x[0]}", *lines, ""]))
    return {kind: "\n".join(lines) + "\n" for kind, lines in kinds.items()}


def run(folder: Path, names: list[str]) -> None:
    """Runs the command for each name in this process."""
    from vwlite.cli import main

    os.chdir(folder)
    for kind, text in data().items():
        Path(f"{kind}.vw").write_text(text)
    for name in names:
        kind, flags = (RUNS | ABOUT_THE_SAME)[name]
        words = [f"{kind}.vw", *flags.split(), "-f", f"{name}.model", "-p", f"{name}.txt", "--quiet"]
        if main(words):
            raise SystemExit(f"{name}: vwlite {' '.join(words)}")


def less_of_a_processor() -> dict[str, str]:
    """Environment in which the C library, NumPy and OpenBLAS do without the newer instructions of x86."""
    numpy_core: Any = import_module("numpy._core._multiarray_umath")
    dispatched = [name for name in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__.get(name)]
    return {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-FMA_Usable,-AVX2_Usable,-AVX512F",
        "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched),
        "OPENBLAS_CORETYPE": "Prescott",
    }


def run_apart(folder: Path, names: list[str], environment: dict[str, str]) -> None:
    """The same in a process with other environment variables."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "tests.support.processors", str(folder), *names],
        env={**os.environ, **environment},
        check=True,
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:] or list(RUNS | ABOUT_THE_SAME))
