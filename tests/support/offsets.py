"""Lines with initial predictions, and models to put under others."""

import random

from vwlite import Workspace

FEATURES = [f"{letter}{i}" for letter in "xyz" for i in range(6)]


def lines(seed: int, count: int = 80, initial: bool = True) -> list[str]:
    """Labels that follow the features, so that models differ from nothing and from each other."""
    source = random.Random(seed)
    found = []
    for i in range(count):
        groups = {name: source.sample(FEATURES, 3) for name in ("a", "b", "c")}
        label = sum(FEATURES.index(name) for names in groups.values() for name in names) / 40 - 2
        start = f" {source.choice([0, 0.25, -0.5]):g}" if initial else ""
        text = " ".join(f"|{name} {' '.join(f'{word}:{source.uniform(0.5, 2):.3f}' for word in names)}"
                        for name, names in groups.items())  # fmt: skip
        found.append(f"{label:.3f} {source.choice([1, 2])}{start} 't{i} {text}")
    return found


def without_initial(line: str) -> str:
    label, weight, _, rest = line.split(" ", 3)
    return f"{label} {weight} {rest}"


def unlabelled(line: str) -> str:
    return line[line.index("|") :]


def train(path: str, flags: str, seed: int = 1) -> Workspace:
    workspace = Workspace(flags)
    workspace.learn(lines(seed))
    workspace.save(path)
    return workspace


def wide(flags: str = "") -> str:
    """Flags under which predictions are scores: no label narrows their range."""
    return f"--min_prediction -1000 --max_prediction 1000 {flags}"
