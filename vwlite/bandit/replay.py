"""Replay: evaluates a learning policy on decisions logged under another one (rejection sampling).

A logged decision counts if the policy chooses the logged action, and the policy learns from these alone (Li, Chu,
Langford and Schapire 2010; 2011). If the log has different probabilities q, a match is accepted with probability c / q,
where c is the smallest probability in the log. Then each decision counts with probability c whatever the policy
chooses, so that contexts and costs are distributed as if the policy had been deployed; the mean cost of n counted ones
is an unbiased estimate of its cost in its first n rounds. A larger c accepts more and may bias the estimate: decisions
logged with a smaller probability then count too rarely.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from vwlite.bandit.worlds import BLOCK, LEARNER, blocks
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, ParseError
from vwlite.input.sniff import HEAD, require_text
from vwlite.input.sources import CHUNK_SIZE, open_source

# Text before a tab is dropped, as the parser does; a word next to the "|" is a tag.
LABEL = re.compile(rb"([^|]*\t)?\s*\d*:([^\s:|]+):([^\s:|]+)(?=\s)")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """A logged decision.

    decision     its lines, without the label
    shared       the number of lines of shared features: 0 or 1
    feedback     the lines with its label
    logged       the chosen action
    cost         its cost
    probability  the logging policy's probability of the action
    """

    decision: list[bytes]
    shared: int
    feedback: list[bytes]
    logged: int
    cost: float
    probability: float


class Log(NamedTuple):
    """The logged decisions of a file, with `accept` (c above)."""

    path: str
    events: list[Event]
    accept: float

    @property
    def title(self) -> str:
        """A description in one line."""
        return (
            f"{self.path}: {len(self.events)} logged decisions; if the policy chooses the logged action, a decision "
            f"counts with probability min(1, {self.accept:g} / its logged probability)"
        )

    @property
    def flags(self) -> dict[str, object]:
        """The flags of a learner: logistic if the log has two different costs, linear otherwise."""
        costs = sorted({event.cost for event in self.events})
        if set(costs) <= {-1.0, 0.0}:
            return LEARNER
        if len(costs) == 2:
            return {**LEARNER, "cost_range": f"{costs[0]:.9g},{costs[1]:.9g}"}
        return {"bayes_linear": True, "posterior": "diagonal", "ts_samples": 1}

    def rounds(self, seed: int, total: int) -> Iterator[tuple[list[Event], list[bool]]]:
        """The first `total` decisions in blocks, and which of them count if the policy chooses the logged action."""
        begin = 0
        for n, random in blocks(seed, total):
            events = self.events[begin : begin + n]
            luck = random.random(BLOCK).tolist()
            yield events, [u * event.probability < self.accept for u, event in zip(luck, events, strict=False)]
            begin += n


def read_lines(path: str) -> list[bytes]:
    """Reads the lines of a file, compressed or not; "-" is standard input. Raises VwliteError if it can't be read."""
    source = open_source(path)
    try:
        pieces = list(iter(lambda: os.read(source.fd, CHUNK_SIZE), b""))
    finally:
        source.close()
    require_text(source.name, pieces[0][:HEAD] if pieces else b"")
    return b"".join(pieces).removeprefix(BYTE_ORDER_MARK).split(b"\n")


def check(path: str, lines: list[bytes], flags: list[str]) -> list[str]:
    """Checks all lines with the parser and the learner of `flags`; returns messages about names that no line has.

    Raises ParseError at the first malformed line.
    """
    workspace = Workspace([*flags, "--explore", "uniform"])
    try:
        workspace.predict(lines)
    except ParseError as error:
        raise ParseError(path, error.line, error.column, error.reason, error.text) from error
    return workspace.unmatched()


def read_log(path: str, lines: list[bytes], accept: float | None, limit: int | None = None) -> Log:
    """Reads the decisions of checked lines, or the first `limit`; `accept` is by default the smallest probability.

    Raises OptionError if a decision has no label, or there are none.
    """
    events, begin = [], 0
    for i, line in enumerate([*lines, b""]):
        if line.strip():
            continue
        if i > begin:
            events.append(event(path, begin, lines[begin:i]))
            if len(events) == limit:
                break
        begin = i + 1
    if not events:
        raise OptionError(f"{path}: contains no decisions")
    return Log(path, events, accept or min(event.probability for event in events))


def event(path: str, begin: int, lines: list[bytes]) -> Event:
    """Parses a logged decision; `begin` is the number of lines before it."""
    shared = int(re.match(rb"\s*(\*\*\*)?shared\b", lines[0]) is not None)
    for i, line in enumerate(lines):
        if found := LABEL.match(line):
            decision = [*lines[:i], line[found.end() :], *lines[i + 1 :]]
            return Event(decision, shared, [*lines, b""], i - shared, number(found[2]), number(found[3]))
    raise OptionError(
        f"{path}:{begin + 1}: a decision without action:cost:probability can't be replayed: log the action, or "
        "leave it out"
    )


def number(word: bytes) -> float:
    """Parses a number of the text format: of base 10, or of base 16 as in C."""
    try:
        return float(word)
    except ValueError:
        return float.fromhex(word.decode())
