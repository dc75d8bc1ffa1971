"""Compare Thompson sampling of several widths with Vowpal Wabbit's explorers, in six simulated problems.

    python benchmarks/bandits.py [--rounds N] [--seeds N] [--seed FIRST] [--problems NAME,..]

Prints the mean regret of each policy with its standard error over seeds, relative to the best of VW's, and how many
problems each width wins or ties. No other benchmark uses the same seeds. All policies get the same rounds; VW learns
from the same text with the same interactions.
"""

from __future__ import annotations

import argparse
import random
from typing import NamedTuple

import numpy as np
import vowpalwabbit

from vwlite.bandit.simulation import Game, learner_flags, marks_of, play_seed, read_policies
from vwlite.bandit.worlds import Ads, Arms, Pool, World

WIDTHS = ("thompson:0.25", "thompson:0.33", "thompson:0.5", "thompson:0.7", "thompson:1")
EXPLORERS = {
    "vw epsilon": "--epsilon 0.05",
    "vw bag": "--bag 5",
    "vw cover": "--cover 3",
    "vw squarecb": "--squarecb",
    "vw regcb": "--regcb",
}


class Problem(NamedTuple):
    """A simulated world, and the delay of costs in rounds."""

    world: World
    delay: int = 1


PROBLEMS = {
    "arms": Problem(Arms(10, 0.1)),
    "close arms": Problem(Arms(10, 0.02)),
    "many arms": Problem(Arms(50, 0.1)),
    "pool": Problem(Pool(10, 0.001)),
    "ads": Problem(Ads(100, 20, 0.0)),
    "ads delayed": Problem(Ads(100, 20, 0.0), 200),
}


def vw_regret(problem: Problem, flags: str, seed: int, total: int) -> float:
    """Regret of one of VW's explorers."""
    pairs = " ".join(f"-q {pair}" for pair in problem.world.flags.get("quadratic", []))  # type: ignore[attr-defined]
    vw = vowpalwabbit.Workspace(f"--cb_explore_adf {flags} {pairs} --quiet --random_seed {seed}")
    source = random.Random(seed)
    lost, waiting = 0.0, []
    for rounds in problem.world.rounds(seed, total):
        for i, decision in enumerate(rounds.decisions):
            lines = [line.decode() for line in decision]
            probabilities = vw.predict(lines)
            u, action = source.random() * sum(probabilities), 0
            while action + 1 < len(probabilities) and u >= probabilities[action]:
                u -= probabilities[action]
                action += 1
            cost = -1 if rounds.rewarded[i][action] else 0
            lost += rounds.best[i] - rounds.expected[i][action]
            at = rounds.shared + action
            lines[at] = f"0:{cost}:{max(probabilities[action], 1e-6):.6g} {lines[at]}"
            waiting.append(lines)
            if len(waiting) == problem.delay:
                for each in waiting:
                    vw.learn(each)
                waiting.clear()
    vw.finish()
    return lost


def main() -> None:
    """Simulates all policies, and prints a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--no_vw", action="store_true")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    for name in arguments.problems.split(","):
        problem = PROBLEMS[name]
        policies = read_policies(",".join((*WIDTHS, "ucb", "greedy")), learner_flags(problem.world, []))
        game = Game(problem.world, policies, arguments.rounds, problem.delay, marks_of(arguments.rounds), (-1, 0))
        plays = [play_seed(game, seed) for seed in seeds]
        found = {policy.name: [play[i].curve[-1] for play in plays] for i, policy in enumerate(policies)}
        for explorer, flags in EXPLORERS.items() if not arguments.no_vw else ():
            found[explorer] = [vw_regret(problem, flags, seed, arguments.rounds) for seed in seeds]
        print(f"{name}: {arguments.rounds} rounds, {arguments.seeds} seeds")
        for policy, regrets in found.items():
            error = np.std(regrets, ddof=1) / len(regrets) ** 0.5 if len(regrets) > 1 else float("nan")
            print(f"  {policy:14} {np.mean(regrets):9.1f} +- {error:.1f}", flush=True)


if __name__ == "__main__":
    main()
