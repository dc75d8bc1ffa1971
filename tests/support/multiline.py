"""Random multi-line examples: lines with costs, and logged decisions."""

import random
from collections.abc import Sequence


def features(source: random.Random) -> str:
    """Some namespaces, `a` among them."""
    names = ["a", *source.sample(["b", "", "cc"], source.randint(0, 2))]
    return " ".join(f"|{name} " + " ".join(feature(source) for _ in range(source.randint(1, 3))) for name in names)


def feature(source: random.Random) -> str:
    value = f":{source.uniform(-2, 2):.2f}" if source.random() < 0.5 else ""
    return f"f{source.randrange(20)}{value}"


def head(source: random.Random, i: int, users: bool) -> list[str]:
    """A shared line, mostly; with a user if there are `users`."""
    if not users and source.random() < 0.3:
        return []
    tag = f"'tag{i}" if source.random() < 0.5 else ""
    user = f" |user {source.choice('rst')}" if users else ""
    return [f"shared {tag}|s {feature(source)} |a {feature(source)}{user}"]


def costs(count: int, seed: int = 1, classes: Sequence[object] = (), users: bool = False, least: int = 1) -> list[str]:
    """Lines of examples whose lines have costs: class:cost, classes counted from 1 unless they are named."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        lines += head(source, i, users)
        for k in range(source.randint(least, 4)):
            cost = source.choice((0, 1, round(source.uniform(-1, 2), 2)))
            tag = f"'line{k}" if source.random() < 0.3 else ""
            lines.append(f"{classes[k] if classes else k + 1}:{cost} {tag}{features(source)}")
        lines.append("")
    return lines


def decisions(
    count: int, seed: int = 1, rewards: bool = False, users: bool = False, known: float = 0.9, least: int = 1
) -> list[str]:
    """Lines of logged decisions, of a share `known` of which the cost of an action is known."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        lines += head(source, i, users)
        n = source.randint(least, 4)
        taken = source.randrange(n) if source.random() < known else n
        for k in range(n):
            cost = source.choice((-1, 0)) if rewards else round(source.uniform(-1, 2), 2)
            label = f"{k}:{cost}:{source.uniform(0.1, 1):.2f} " if k == taken else ""
            lines.append(f"{label}{features(source)}")
        lines.append("")
    return lines


def without_labels(lines: Sequence[str]) -> list[str]:
    """The same, and nothing is known of costs; lines keep their classes."""
    return [line if line.startswith("shared") or not line else line[line.index("|") :] for line in lines]


def examples_of(lines: Sequence[str]) -> list[list[str]]:
    """The lines of each example, with the empty line that ends it."""
    found: list[list[str]] = [[]]
    for line in lines:
        found[-1].append(line)
        if not line:
            found.append([])
    return [each for each in found if each]
