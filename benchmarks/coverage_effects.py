"""Coverage of credible intervals after one pass: for simulated users, items and a fixed part, the share of true scores
within 1.645 standard deviations, nominally 90%: of known entities, of new ones, and of the population.

Each simulation draws new users (and half as many items), so the standard error over simulations is that of the share.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from vwlite import Workspace

REACH = 1.6448536269514722  # standard deviations on both sides of 90% of a normal distribution
TESTS = 40
KINDS = ("linear", "logistic")
EFFECTS = (("user",), ("user:c",), ("user", "item"), ("user:c", "item"))
WIDE = "--min_prediction -100 --max_prediction 100"


class World(NamedTuple):
    """The true model: score = fixed[0] + fixed[1] x + users[u][0] + users[u][1] x + items[i]."""

    users: list[tuple[float, float]]
    items: list[float]
    sd: float
    slopes: bool

    def new_user(self, source: random.Random) -> tuple[float, float]:
        """Draw a user's level and slope."""
        return source.gauss(0, self.sd), source.gauss(0, self.sd) if self.slopes else 0.0

    def score(self, user: tuple[float, float], item: float, x: float) -> float:
        """The true score, without noise."""
        return 0.5 - 0.7 * x + user[0] + user[1] * x + item


def make(kind: str, effects: Sequence[str], users: int, source: random.Random) -> World:
    """Draw a world with `users` users."""
    world = World([], [], 1.0 if kind == "logistic" else 0.8, effects[0] == "user:c")
    world.users.extend(world.new_user(source) for _ in range(users))
    world.items.extend(source.gauss(0, 0.7 * world.sd) if len(effects) > 1 else 0.0 for _ in range(users // 2))
    return world


def line(user: object, item: object, x: float, items: bool) -> str:
    """An example without its label."""
    return f"|user {user} " + (f"|item {item} " if items else "") + f"|c x:{x}"


def simulate(kind: str, effects: Sequence[str], users: int, n: int, by_user: bool, seed: int) -> list[list[float]]:
    """(error / standard deviation) of scores of known entities, of new ones, and of the population."""
    source = random.Random(seed)
    world = make(kind, effects, users, source)
    items = len(effects) > 1
    who = [source.randrange(users) for _ in range(n)]
    lines = []
    for user in sorted(who) if by_user else who:
        item, x = source.randrange(users // 2), round(source.gauss(0, 1), 3)
        score = world.score(world.users[user], world.items[item], x)
        noisy = score + (logistic(source) if kind == "logistic" else source.gauss(0, 1))
        y = math.copysign(1, noisy) if kind == "logistic" else noisy
        lines.append(f"{y!r} " + line(f"u{user}", f"i{item}", x, items))
    flags = " ".join(f"--random_effect {effect}" for effect in effects)
    workspace = Workspace(f"--bayes_{kind} {flags} --columns score,sd {WIDE}")
    workspace.learn(lines)
    known, new, population = [], [], []
    for _ in range(TESTS):
        user, item, x = source.randrange(users), source.randrange(users // 2), round(source.gauss(0, 1), 3)
        score, sd = workspace.predict(line(f"u{user}", f"i{item}", x, items))
        known.append((score - world.score(world.users[user], world.items[item], x)) / sd)
        score, sd = workspace.predict(line("new", "new", x, items))
        stranger = source.gauss(0, 0.7 * world.sd) if items else 0.0
        new.append((score - world.score(world.new_user(source), stranger, x)) / sd)
    for x in (-1.0, 0.0, 1.0):
        score, sd = workspace.predict(f"|c x:{x}")
        population.append((score - world.score((0.0, 0.0), 0.0, x)) / sd)
    return [known, new, population]


def logistic(source: random.Random) -> float:
    """A draw from the standard logistic distribution."""
    p = source.random()
    return math.log(p / (1 - p)) if 0 < p < 1 else 0.0


def share(errors: Sequence[Sequence[float]]) -> str:
    """Share within the interval, in percent, with its standard error over simulations."""
    shares = [statistics.fmean(abs(error) < REACH for error in each) for each in errors]
    return f"{100 * statistics.fmean(shares):.1f} ± {100 * statistics.stdev(shares) / len(shares) ** 0.5:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--users", type=int, default=60)
    chosen = parser.parse_args()
    print("| model | effects | examples | order | known, % | new, % | fixed line, % |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for kind in KINDS:
        for effects in EFFECTS:
            for n in (10 * chosen.users, 50 * chosen.users):
                for by_user in (False, True):
                    found = [
                        simulate(kind, effects, chosen.users, n, by_user, seed) for seed in range(chosen.simulations)
                    ]
                    columns = " | ".join(share([each[i] for each in found]) for i in range(3))
                    order = "by user" if by_user else "random"
                    print(f"| {kind} | `{' '.join(effects)}` | {n:,} | {order} | {columns} |", flush=True)


if __name__ == "__main__":
    main()
