"""Examples of several classes, and one command line given to vwlite and to Vowpal Wabbit."""

import contextlib
import io
import itertools
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from vwlite.cli import main

TOLERANCE = 1e-4
TABLE_TOLERANCE = 2e-4  # losses have fewer digits there
ROW = re.compile(r"[-0-9un]\S* +\S+ +\d+ ")


def examples(
    count: int,
    classes: Sequence[object] = (1, 2, 3),
    seed: int = 3,
    noise: float = 0.2,
    weighted: bool = True,
    users: bool = False,
) -> list[str]:
    """Labelled lines with tags: a word tells the class, unless there is noise; all classes come at the beginning."""
    source = random.Random(seed)
    made = []
    for i in range(count):
        c = i if i < len(classes) else source.randrange(len(classes))
        told = source.randrange(len(classes)) if source.random() < noise else c
        weight = source.choice(("", "", " 2", " 0.5")) if weighted else ""
        user = f" |user {source.choice('rst')}" if users else ""
        words = f"w{told} {source.choice('lmn')} x:{source.uniform(-1, 1):.3g}"
        made.append(f"{classes[c]}{weight} 'tag{i}|a {words} |b {source.choice('uv')} y:{source.random():.3g}{user}")
    return made


def unlabelled(lines: Iterable[str]) -> list[str]:
    """The same without what stands before the features."""
    return [line[line.index("|") :] for line in lines]


def against(label: object, lines: Iterable[str]) -> list[str]:
    """The examples of one class against those of all others."""
    split = [line.split(maxsplit=1) for line in lines]
    return [f"{1 if first == str(label) else -1} {rest}" for first, rest in split]


class Outcome(NamedTuple):
    """What a run came to."""

    status: int
    said: str
    predictions: list[str]
    raw: list[str]

    @property
    def rows(self) -> list[str]:
        """Those of the table."""
        return [line for line in self.said.partition("finished run")[0].splitlines() if ROW.match(line)]

    @property
    def summary(self) -> dict[str, str]:
        """Its figures by their names."""
        lines = self.said.partition("finished run")[2].splitlines()
        return dict(line.split(" = ", 1) for line in lines if " = " in line)

    @property
    def loss(self) -> float:
        """The average loss."""
        return float(self.summary["average loss"].split()[0])


def read(path: Path) -> list[str]:
    return path.read_text(errors="surrogateescape").splitlines() if path.exists() else []


def ours(folder: Path, line: str, text: Iterable[str] | None = None, vw: bool = False) -> Outcome:
    """Run a command line in a folder, on `text` if it is given, in the file `data`."""
    if text is not None:
        (folder / "data").write_text("".join(f"{words}\n" for words in text))
    for name in ("predictions", "raw"):
        (folder / name).unlink(missing_ok=True)
    words = ["-d", "data", "-p", "predictions", "-r", "raw", *line.split()]
    if vw:
        command = [sys.executable, "-m", "vowpalwabbit", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        status, said = done.returncode, done.stderr
    else:
        with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()) as stream:
            status = main(words)
        said = stream.getvalue()
    return Outcome(status, said, read(folder / "predictions"), read(folder / "raw"))


def both(folder: Path, text: Sequence[str], *lines: str) -> tuple[Outcome, Outcome]:
    """Run command lines one after the other, each program in a folder of its own; what the last one came to."""
    found = []
    for program in ("ours", "vw"):
        place = folder / program
        place.mkdir(exist_ok=True)
        for line in lines:
            found.append(ours(place, line, text, vw=program == "vw"))
            assert found[-1].status == 0, found[-1].said
    return found[len(lines) - 1], found[-1]


def close(one: str, other: str, tolerance: float = TOLERANCE) -> bool:
    """Two words are the same, or numbers that are nearly so."""
    if one == other:
        return True
    try:
        a, b = float(one), float(other)
    except ValueError:
        return False
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))


def differences(one: Iterable[str], other: Iterable[str], tolerance: float = TOLERANCE) -> list[str]:
    """The first lines that are not the same but for rounding of the numbers in them, `class:number` too."""
    found = []
    for number, (a, b) in enumerate(itertools.zip_longest(one, other, fillvalue="nothing"), 1):
        words, others = re.split(r"[ :,]+", a.strip()), re.split(r"[ :,]+", b.strip())
        if len(words) != len(others) or not all(close(x, y, tolerance) for x, y in zip(words, others, strict=True)):
            found.append(f"line {number}: {a!r} should be {b!r}")
    return found[:5]


def scores(raw: Iterable[str]) -> list[dict[str, float]]:
    """The number of each class, a line each."""
    pairs = [[word.rpartition(":") for word in line.split() if ":" in word] for line in raw]
    return [{name: float(value) for name, _, value in line} for line in pairs]
