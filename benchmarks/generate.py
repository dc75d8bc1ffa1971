"""Make the benchmark's data: seeded, labelled by a noisy logistic model, written at C speed.

Each line is a row of fixed-width byte columns padded with NULs; deleting the NULs of a whole block at once
(`bytes.translate`) turns it into text without any work per line in Python.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

FORMAT = 1  # part of the file's name; raise it whenever the text made from the same arguments changes
BLOCK = 50_000  # lines made at once: about 20 MB of padded columns
SCORE_DEVIATION = 1.6  # of the true score; a perfect model then has a loss near 0.5, a constant one log 2

# (namespace, feature, distinct values): four features in each of three namespaces
NAMED_FEATURES = (
    ("a", "user", 500_000),
    ("a", "city", 5_000),
    ("a", "hour", 24),
    ("a", "dow", 7),
    ("b", "ad", 50_000),
    ("b", "campaign", 2_000),
    ("b", "site", 20_000),
    ("b", "slot", 6),
    ("c", "query", 200_000),
    ("c", "device", 1_000),
    ("c", "os", 12),
    ("c", "browser", 40),
)
NUMERIC_FEATURES = 75
EXPONENT_FEATURES = 60
ENTITY_FEATURES = "abcdefghijklmnopqrst"
EIGHTY = [f"f{i}" for i in range(80)]
USER_STEP = 611_953  # a prime
IDS_PER_FEATURE = 400  # a line holds one id out of each run of 400, so its 75 ids are distinct and ascending

Block = Callable[[int], bytes]


def labels(scores: npt.NDArray[np.float64], generator: np.random.Generator) -> npt.NDArray[np.bytes_]:
    """Draw `1` or `-1` for each score `s`, the first with probability `1 / (1 + exp(-s))`."""
    positive = generator.random(len(scores)) < 1 / (1 + np.exp(-scores))
    return np.where(positive, b"1", b"-1")


def text(columns: list[npt.NDArray[np.bytes_]]) -> bytes:
    """Join byte columns into lines; the last column brings the line's end."""
    rows = np.empty(len(columns[0]), dtype=[(f"column{i}", column.dtype) for i, column in enumerate(columns)])
    for i, column in enumerate(columns):
        rows[f"column{i}"] = column
    return rows.tobytes().translate(None, b"\0")


def named(generator: np.random.Generator) -> Block:
    """Lines such as `1 |a user=123 city=45 hour=7 dow=3 |b ad=9 ... |c query=77 ...`."""
    words = []
    weights = []
    deviation = SCORE_DEVIATION / len(NAMED_FEATURES) ** 0.5
    for i, (namespace, feature, values) in enumerate(NAMED_FEATURES):
        opens = f" |{namespace}" if i == 0 or NAMED_FEATURES[i - 1][0] != namespace else ""
        ends = "\n" if i == len(NAMED_FEATURES) - 1 else ""
        words.append(np.array([f"{opens} {feature}={value}{ends}" for value in range(values)], dtype="S"))
        weights.append(generator.normal(0, deviation, values))

    def block(lines: int) -> bytes:
        scores = np.zeros(lines)
        columns = []
        for (_, _, values), vocabulary, weight in zip(NAMED_FEATURES, words, weights, strict=True):
            # values ** u with u uniform has a density proportional to 1 / value, which is Zipf's law
            picks = np.power(values, generator.random(lines)).astype(np.int64) % values
            scores += weight[picks]
            columns.append(vocabulary[picks])
        return text([labels(scores, generator), *columns])

    return block


def numeric(generator: np.random.Generator) -> Block:
    """Lines such as `-1 | 17:0.12345678 523:0.87654321 ...`, 75 features with ids below 30,000."""
    ids = NUMERIC_FEATURES * IDS_PER_FEATURE
    # A value is uniform on (0, 1), of mean square 1/3.
    weight = generator.normal(0, SCORE_DEVIATION / (NUMERIC_FEATURES / 3) ** 0.5, ids)
    starts = np.array([f" {i}:0." for i in range(ids)], dtype="S")
    digits = np.array([f"{i:04d}" for i in range(10_000)], dtype="S")

    def block(lines: int) -> bytes:
        scores = np.zeros(lines)
        columns = [np.full(lines, b" |")]
        for first in range(0, ids, IDS_PER_FEATURE):
            picks = generator.integers(first, first + IDS_PER_FEATURE, lines)
            high, low = np.divmod(generator.integers(1, 10**8, lines), 10_000)
            scores += weight[picks] * (high * 10_000 + low) / 10**8
            columns += [starts[picks], digits[high], digits[low]]
        return text([labels(scores, generator), *columns, np.full(lines, b"\n")])

    return block


def exponents(generator: np.random.Generator) -> Block:
    """Lines such as `1 | 17:1.2345678e-02 ...`, 60 features with ids below 24,000: numbers as %e writes them."""
    ids = EXPONENT_FEATURES * IDS_PER_FEATURE
    weight = generator.normal(0, 4 * SCORE_DEVIATION / EXPONENT_FEATURES**0.5, ids)
    starts = np.array([f" {i}:" for i in range(ids)], dtype="S")
    digits = np.array([f"{i:04d}" for i in range(10_000)], dtype="S")

    def block(lines: int) -> bytes:
        scores = np.zeros(lines)
        columns = [np.full(lines, b" |")]
        for first in range(0, ids, IDS_PER_FEATURE):
            picks = generator.integers(first, first + IDS_PER_FEATURE, lines)
            whole, power = generator.integers(1, 10, lines), generator.integers(1, 3, lines)
            high, low = np.divmod(generator.integers(0, 10**7, lines), 10_000)
            scores += weight[picks] * (whole + (high * 10_000 + low) / 10**7) / 10.0**power
            after = np.char.add(np.char.add(digits[high].astype("S4"), digits[low]), b"e-0")
            after = np.char.add(np.array([digit[1:] for digit in after], dtype="S10"), power.astype("S1"))
            columns += [starts[picks], np.char.add(whole.astype("S1"), b"."), after]
        return text([labels(scores, generator), *columns, np.full(lines, b"\n")])

    return block


def uniform(
    names: Sequence[str], generator: np.random.Generator
) -> Callable[[int], tuple[npt.NDArray[np.bytes_], list[npt.NDArray[np.bytes_]]]]:
    """Draws lines of the same features in two digits: their labels, and columns such as ` a:0.12 b:0.34`."""
    # A value is uniform on (0, 1), of variance 1/12; the scores have mean 0.
    weight = generator.normal(0, SCORE_DEVIATION / (len(names) / 12) ** 0.5, len(names))
    starts = [np.array(f" {name}:0.".encode()) for name in names]
    digits = np.array([f"{i:02d}" for i in range(100)], dtype="S")

    def draw(lines: int) -> tuple[npt.NDArray[np.bytes_], list[npt.NDArray[np.bytes_]]]:
        picks = generator.integers(0, 100, (len(names), lines))
        columns = []
        for start, chosen in zip(starts, picks, strict=True):
            columns += [np.full(lines, start), digits[chosen]]
        return labels(weight @ (picks / 100 - 0.495), generator), columns

    return draw


def dense(features: int) -> Callable[[np.random.Generator], Block]:
    """Lines such as `1 | 0:0.12 1:0.34 ...`: the same features in each."""

    def kind(generator: np.random.Generator) -> Block:
        draw = uniform([str(i) for i in range(features)], generator)

        def block(lines: int) -> bytes:
            drawn, columns = draw(lines)
            return text([drawn, np.full(lines, b" |"), *columns, np.full(lines, b"\n")])

        return block

    return kind


def users(entities: int, *features: Sequence[str]) -> Callable[[np.random.Generator], Block]:
    """Lines such as `-1 |user 123 |f a:0.12 b:0.34 ...`: each user once before any comes again.

    The features are 20 letters; or the first of those given in each user's first line, the next in the next.
    """

    def kind(generator: np.random.Generator) -> Block:
        draws = [uniform(names, generator) for names in features or (ENTITY_FEATURES,)]
        count = 0

        def round_of(lines: int) -> bytes:
            # a step that shares no divisor with the number of users visits them all, in no order
            names = (np.arange(count, count + lines) * USER_STEP % entities).astype("S")
            drawn, columns = draws[count // entities % len(draws)](lines)
            head = [np.full(lines, b" |user "), names, np.full(lines, b" |f")]
            return text([drawn, *head, *columns, np.full(lines, b"\n")])

        def block(lines: int) -> bytes:
            nonlocal count
            made = []
            while lines:
                now = min(lines, entities - count % entities) if len(draws) > 1 else lines
                made.append(round_of(now))
                count += now
                lines -= now
            return b"".join(made)

        return block

    return kind


# (namespace, feature, distinct values) of lines with one of several classes
CLASS_FEATURES = (
    ("a", "city", 5_000),
    ("a", "hour", 24),
    ("a", "dow", 7),
    ("b", "ad", 2_000),
    ("b", "slot", 6),
    ("c", "device", 1_000),
    ("c", "os", 12),
    ("c", "browser", 40),
)
SHARED_FEATURES = (("s", "user", 5_000), ("s", "hour", 24), ("s", "dow", 7))
ACTION_FEATURES = (("a", "ad", 2_000), ("a", "campaign", 200), ("a", "slot", 6))
ACTIONS = 10

Features = Sequence[tuple[str, str, int]]


def vocabulary(features: Features) -> list[npt.NDArray[np.bytes_]]:
    """The words of each feature, after the namespace if it is the first one of it."""
    words = []
    for i, (namespace, feature, values) in enumerate(features):
        opens = f" |{namespace}" if i == 0 or features[i - 1][0] != namespace else ""
        words.append(np.array([f"{opens} {feature}={value}" for value in range(values)], dtype="S"))
    return words


def zipf(features: Features, lines: int, generator: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Values of each feature, by Zipf's law."""
    return [np.power(values, generator.random(lines)).astype(np.int64) % values for _, _, values in features]


def classes(count: int) -> Callable[[np.random.Generator], Block]:
    """Lines such as `7 |a city=45 hour=7 dow=3 |b ad=9 slot=2 |c ...`, with classes from 1."""

    def kind(generator: np.random.Generator) -> Block:
        words = vocabulary(CLASS_FEATURES)
        weights = [generator.normal(0, 1, (values, count)).astype(np.float32) for _, _, values in CLASS_FEATURES]
        names = np.array([f"{i + 1}" for i in range(count)], dtype="S")

        def block(lines: int) -> bytes:
            picks = zipf(CLASS_FEATURES, lines, generator)
            scores = generator.gumbel(size=(lines, count)).astype(np.float32)
            for weight, pick in zip(weights, picks, strict=True):
                scores += weight[pick]
            columns = [word[pick] for word, pick in zip(words, picks, strict=True)]
            return text([names[scores.argmax(axis=1)], *columns, np.full(lines, b"\n")])

        return block

    return kind


def several(logged: bool) -> Callable[[np.random.Generator], Block]:
    """Examples of a shared line and ten others, with the cost of each; or `logged`, with that of one, taken at random.

    Such as `shared |s user=4 hour=7 dow=3`, `2:-1:0.1 |a ad=9 campaign=3 slot=2`.
    """

    def kind(generator: np.random.Generator) -> Block:
        shared, words = vocabulary(SHARED_FEATURES), vocabulary(ACTION_FEATURES)
        weights = [generator.normal(-0.3, 1, values) for _, _, values in ACTION_FEATURES]

        def block(lines: int) -> bytes:
            columns = [np.full(lines, b"shared")]
            columns += [w[pick] for w, pick in zip(shared, zipf(SHARED_FEATURES, lines, generator), strict=True)]
            taken = generator.integers(0, ACTIONS, lines)
            for k in range(ACTIONS):
                picks = zipf(ACTION_FEATURES, lines, generator)
                score = sum(weight[pick] for weight, pick in zip(weights, picks, strict=True))
                rewarded = labels(np.asarray(score), generator) == b"1"
                if logged:
                    label = np.where(rewarded, f"{k}:-1:0.1".encode(), f"{k}:0:0.1".encode())
                    label = np.where(taken == k, label, b"")
                else:
                    label = np.where(rewarded, f"{k + 1}:0".encode(), f"{k + 1}:1".encode())
                columns += [np.full(lines, b"\n"), label, *(w[pick] for w, pick in zip(words, picks, strict=True))]
            return text([*columns, np.full(lines, b"\n\n")])

        return block

    return kind


KINDS: dict[str, Callable[[np.random.Generator], Block]] = {
    "named": named,
    "numeric": numeric,
    "exponents": exponents,
    "classes10": classes(10),
    "classes100": classes(100),
    "costs": several(False),
    "decisions": several(True),
    "dense20": dense(20),
    "dense199": dense(199),
    "users1m": users(1_000_000),
    "users2m": users(2_000_000),
    "whole250k": users(250_000, EIGHTY),
    "growing250k": users(250_000, EIGHTY[:20], EIGHTY[20:40], EIGHTY[40:60], EIGHTY[60:]),
}


def generate(kind: str, lines: int, seed: int, folder: Path) -> Path:
    """Make `lines` lines of `kind` in `folder`, unless the same ones are there already.

    Args:
        kind: a key of KINDS.
        lines: how many examples, mostly one a line.
        seed: of the true model, the features and the noise.
        folder: made if missing.

    Returns:
        The file's path, which holds every argument.
    """
    path = folder / f"{kind}-{lines}-seed{seed}-format{FORMAT}.vw"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    block = KINDS[kind](np.random.default_rng(seed))
    # The file gets its name when it is complete, so an interrupted run leaves nothing that looks like data.
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".unfinished", dir=folder)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            for first in range(0, lines, BLOCK):
                out.write(block(min(BLOCK, lines - first)))
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink()
        raise
    return path


def default_folder() -> Path:
    """Folder where data is stored between runs: `vwlite-bench` in the folder for temporary files."""
    return Path(tempfile.gettempdir()) / "vwlite-bench"


def main(argv: list[str] | None = None) -> None:
    """Make one file and print its path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--lines", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=default_folder(), help="folder of the file (%(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.lines < 1:
        parser.error("--lines must be at least 1")
    print(generate(arguments.kind, arguments.lines, arguments.seed, arguments.data))


if __name__ == "__main__":
    main()
