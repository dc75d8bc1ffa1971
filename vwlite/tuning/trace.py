"""The trace of a search: a line of JSON about it, then one for each evaluation; a search goes on from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from vwlite.core.paths import explain
from vwlite.errors import OptionError, VwliteError

LONGEST = 1 << 20  # bytes of a line


class Evaluation(NamedTuple):
    """An evaluation.

    Args:
        number: From 1.
        values: Of the tuned options, in their order.
        loss: Infinite if it was undefined.
        passes: The best number of passes.
        seconds: How long it took.
    """

    number: int
    values: tuple[float, ...]
    loss: float
    passes: int
    seconds: float

    def as_dict(self, keys: Sequence[str]) -> dict[str, Any]:
        """The evaluation in values that JSON can represent."""
        return {
            "evaluation": self.number,
            "values": dict(zip(keys, self.values, strict=True)),
            "loss": self.loss if math.isfinite(self.loss) else None,
            "passes": self.passes,
            "seconds": round(self.seconds, 4),
        }


class Trace:
    """A file with a search: written one evaluation at a time, and read to go on.

    Args:
        path: The file; None for none.
        about: What the search is about: data, flags, ranges; another search doesn't go on from it.
        keys: The names of the tuned options.
        resume: Whether the file has a search that goes on.

    Raises:
        OptionError: If the file has another search, or has one and `resume` is false.
        VwliteError: If it can't be read or written.
    """

    def __init__(self, path: str | None, about: dict[str, Any], keys: Sequence[str], resume: bool) -> None:  # noqa: DOC503
        self.path, self.about, self.keys = path, about, list(keys)
        self.before: list[Evaluation] = []
        self.file: Any = None
        if path is None:
            return
        try:
            if resume:
                self.before, end = self._read(path)
                self.file = open(path, "r+b", buffering=0)  # noqa: SIM115
                self.file.truncate(end)  # a line that a killed search had not completed
                self.file.seek(end)
                return
            if os.path.exists(path) and os.path.getsize(path):
                raise OptionError(
                    f"--trace {path}: there is such a file: --resume {path} goes on from it; or delete it"
                )
            self.file = open(path, "wb", buffering=0)  # noqa: SIM115
            self._write(about)
        except OSError as error:
            raise VwliteError(f"{path}: can't open the trace: {explain(error, path)}") from error

    def _read(self, path: str) -> tuple[list[Evaluation], int]:
        """The evaluations in a file, and the byte after the last complete one."""
        found: list[Evaluation] = []
        end = 0
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    entry = json.loads(line)
                    if number == 1:
                        self._compare(path, entry)
                    else:
                        found.append(self._evaluation(entry, number - 1))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise VwliteError(
                        f"{path}:{number}: is not a line of a trace of vwlite tune: {line[:40]!r}"
                    ) from None
                end += len(line)
        if not end:
            raise VwliteError(f"{path}: is empty: --trace {path} begins a trace")
        return found, end

    def _compare(self, path: str, entry: dict[str, Any]) -> None:
        """Raises OptionError if a file's search is another one."""
        if entry.get("trace") != self.about["trace"]:
            raise KeyError("trace")
        for name, value in self.about.items():
            if entry.get(name) != value:
                raise OptionError(
                    f"--resume {path}: it is of other {name}: {shown(entry.get(name))} there, {shown(value)} here"
                )

    def _evaluation(self, entry: dict[str, Any], number: int) -> Evaluation:
        """An evaluation of a file; raises ValueError or KeyError if it is none."""
        if entry["evaluation"] != number or list(entry["values"]) != self.keys:
            raise ValueError
        values = tuple(float(value) for value in entry["values"].values())
        loss = math.inf if entry["loss"] is None else float(entry["loss"])
        return Evaluation(number, values, loss, int(entry["passes"]), float(entry["seconds"]))

    def add(self, evaluation: Evaluation) -> None:
        """Appends an evaluation; it is in the file when this returns."""
        if self.file is not None:
            self._write(evaluation.as_dict(self.keys))

    def _write(self, entry: dict[str, Any]) -> None:
        try:
            self.file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise VwliteError(f"{self.path}: can't write the trace: {explain(error, str(self.path))}") from error

    def close(self) -> None:
        """Closes the file."""
        if self.file is not None:
            self.file.close()
            self.file = None


def shown(value: Any) -> str:
    """A value in a message, cut if it is long."""
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
