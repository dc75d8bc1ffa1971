"""Writes simulated logs as text for vwlite. The true model is known, so predictions can be compared with it.

    python3 simulated.py clicks FIRST COUNT     ads on sites: 1 for a click, -1 for none
    python3 simulated.py ratings FIRST COUNT    stars from 1 to 5 that users give to movies
    python3 simulated.py sales DAYS             daily sales of 20 shops, whose levels drift

Line FIRST, FIRST + 1, ... of clicks and ratings are functions of their numbers: a later call continues an earlier one.
With --truth, the label is the expected one instead of a drawn one. Standard library only.
"""

from __future__ import annotations

import functools
import math
import random
import sys

GENRES = ("comedy", "drama", "horror", "thriller")
DEVICES = ("desktop", "phone", "tablet")


@functools.cache
def effect(name: str, deviation: float) -> float:
    """A normally distributed number that is a function of a name."""
    return random.Random(name).gauss(0, deviation)


def popular(generator: random.Random, count: int) -> int:
    """A random number from 0 to count - 1; small ones are more frequent."""
    return int(count * generator.random() ** 2)


def click(number: int, truth: bool) -> str:
    """One ad impression."""
    generator = random.Random(f"click {number}")
    site, ad = f"s{popular(generator, 20)}", f"a{popular(generator, 30)}"
    device = DEVICES[popular(generator, 3)]
    score = -2.2 + effect(site, 0.5) + effect(ad, 0.6) + effect(device, 0.4) + effect(f"{site} {ad}", 0.9)
    probability = 1 / (1 + math.exp(-score))
    clicked = generator.random() < probability
    label = f"{probability:.6f}" if truth else f"{1 if clicked else -1}"
    return f"{label} |site {site} |ad {ad} |device {device}"


def rating(number: int, truth: bool) -> str:
    """One movie rating."""
    generator = random.Random(f"rating {number}")
    user, movie = f"u{popular(generator, 300)}", f"m{popular(generator, 200)}"
    genre = random.Random(f"genre of {movie}").choice(GENRES)
    expected = 3.4 + effect(user, 0.5) + effect(movie, 0.5) + effect(f"{user} {genre}", 0.4)
    label = expected if truth else round(expected + generator.gauss(0, 0.7), 1)
    return f"{min(5, max(1, label)):.3g} |user {user} |movie {movie} |genre {genre}"


def sales(days: int, truth: bool) -> None:
    """Print a line for each shop and day."""
    generator = random.Random("sales")
    levels = [50 + 10 * generator.gauss(0, 1) for _ in range(20)]
    for day in range(days):
        for shop, level in enumerate(levels):
            levels[shop] += 1.5 * generator.gauss(0, 1)
            label = level if truth else level + 4 * generator.gauss(0, 1)
            print(f"{label:.1f} |shop shop{shop} |day day:{day}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--truth"]
    truth = "--truth" in sys.argv
    match words:
        case ["clicks" | "ratings" as what, first, count]:
            line = click if what == "clicks" else rating
            for number in range(int(first), int(first) + int(count)):
                print(line(number, truth))
        case ["sales", days]:
            sales(int(days), truth)
        case _:
            sys.exit(__doc__)
