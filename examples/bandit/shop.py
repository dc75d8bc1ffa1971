"""Simulated shop that shows each visitor one of four items: writes its visits, and the costs of the choices.

    python3 shop.py visits FIRST COUNT      decisions, as text for vwlite: visits FIRST, FIRST + 1, ...
    python3 shop.py join VISITS CHOICES     the same with action:cost:probability of what was shown, ready to be learned
    python3 shop.py worth CHOICES           the mean expected cost of these choices, and of the best ones

Standard library only. A visit, and whether its visitor buys the item shown, is a function of its number.
"""

from __future__ import annotations

import random
import sys

ITEMS = ("book", "lamp", "sofa", "tent")
# Probability that a visitor buys the item shown. Costs are -1 for a sale, and 0 otherwise.
SALES = {
    "student": (0.30, 0.20, 0.02, 0.15),
    "family": (0.15, 0.20, 0.30, 0.20),
    "hiker": (0.10, 0.05, 0.02, 0.35),
}


def visitor(visit: int) -> str:
    """The kind of visitor of a visit."""
    return random.Random(f"who {visit}").choice(list(SALES))


def cost(visit: int, item: int) -> int:
    """The cost of showing an item in a visit."""
    return -1 if random.Random(f"luck {visit} {item}").random() < SALES[visitor(visit)][item] else 0


def visits(first: int, count: int) -> None:
    """Print decisions; the tag of each is v and its number."""
    for visit in range(first, first + count):
        print(f"shared 'v{visit}|user {visitor(visit)}")
        for item in ITEMS:
            print(f"|item {item}")
        print()


def choices(path: str) -> list[tuple[int, list[tuple[int, float]]]]:
    """For each decision in a file of predictions, the visit and (action, probability), the action taken first."""
    found = []
    with open(path) as file:
        for line in filter(str.strip, file):
            pairs, tag = line.split()
            actions = [pair.split(":") for pair in pairs.split(",")]
            found.append((int(tag[1:]), [(int(action), float(p)) for action, p in actions]))
    return found


def join(path: str, predictions: str) -> None:
    """Print the decisions with the costs of the items shown."""
    shown = {f"v{visit}": (visit, *actions[0]) for visit, actions in choices(predictions)}
    with open(path) as file:
        item = -1
        for line in file:
            if line.startswith("shared"):
                visit, taken, p = shown[line.split("'")[1].split("|")[0]]
                item = -1
            elif line.strip():
                item += 1
                if item == taken:
                    line = f"{taken}:{cost(visit, taken)}:{p:g} {line}"
            print(line, end="")


def worth(predictions: str) -> None:
    """Print the mean expected cost of choices with these probabilities."""
    costs, best = [], []
    for visit, actions in choices(predictions):
        sales = SALES[visitor(visit)]
        costs.append(-sum(p * sales[action] for action, p in actions))
        best.append(-max(sales))
    print(f"expected cost = {sum(costs) / len(costs):.6f} (the best choices: {sum(best) / len(best):.6f})")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["visits", first, count]:
            visits(int(first), int(count))
        case ["join", path, predictions]:
            join(path, predictions)
        case ["worth", predictions]:
            worth(predictions)
        case _:
            sys.exit(__doc__)
