"""Runs of the command with several numbers of threads, and all that they print and write."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.models import arrays
from vwlite.cli import main
from vwlite.model import model_file

DEALT = "--random_effect user:c --fixed none --effect_l2 1 --shrink zero"
THREADS = (1, 2, 3, 7, 16)

Results = dict[str, Any]


OF_A_RUN = ("when", "arguments", "given", "parent", "sources")  # in an entry of a journal


def lines(seed: int, n: int, logistic: bool = False, users: int = 40, wild: bool = True) -> list[str]:
    """Examples of users, half of them of one; if `wild` with all that a line can be."""
    source = random.Random(seed)
    taste = [source.gauss(0, 1) for _ in range(users)]
    found = []
    for i in range(n):
        user = 0 if source.random() < 0.5 else source.randrange(min(users, 1 + i // 20))
        words = {f"x{source.randrange(12 + i // 500)}" for _ in range(source.randrange(1, 9))}
        text = " ".join(f"{word}:{source.uniform(-1, 2):.3g}" for word in sorted(words))
        score = taste[user] + source.gauss(0, 1)
        label = ("1" if score > 0 else "-1") if logistic else f"{score:.3f}"
        name = ("ann", "b\xe9a", "a^b", "12", "c=d")[user] if user < 5 else f"user{user}"
        line = f"{label} |user {name} |c {text}"
        if wild:
            kind = source.randrange(30)
            line = {
                0: f"|user {name} |c {text}",
                1: f"{label} 2.5 0.25 't{i}|user {name} |c {text} |other y{i % 7}",
                2: f"{label} 0 |user {name} |c {text}",
                3: f"{label} |c {text}",
                4: f"{label} |user {name} |user other |c {text}",
                5: f"{label} |user {name}:2 |c {text}",
                6: "",
                7: f"{label} |user |user {name} |c x0 x0 x1",
                8: f"nonsense |user {name}",
                9: f"{label} 0.5 'tag{i} |c x1:1e20 |user {name} |c x2:-1e-20",
                10: f"{label} |user brandnew{i} |c {text}",
            }.get(kind, line)
        found.append(line)
    return found


def write(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def results(folder: Path, words: Sequence[str], capture: Callable[[], tuple[str, str]], status: int = 0) -> Results:
    """Runs the command in a folder, which holds the data; what it prints, and the files that it writes."""
    before = set(folder.iterdir())
    capture()
    assert main([*words]) == status
    found: Results = {"prints": capture()}
    for path in sorted(set(folder.iterdir()) - before):
        found[path.name] = content(path)
        path.unlink()
    return found


def content(path: Path) -> Any:
    """A file's bytes; of a model, all but when, by which words and of how much of the data it was made."""
    if ".model" not in path.name:
        return path.read_bytes()
    metadata: Mapping[str, Any] = model_file.open(path).metadata
    known = {name: value for name, value in metadata.items() if name not in ("created", "id", "digests", "stripped")}
    known["journal"] = [
        {name: value for name, value in entry.items() if name not in OF_A_RUN} for entry in known["journal"]
    ]
    return arrays(path), json.dumps(known, sort_keys=True)
