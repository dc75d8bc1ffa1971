"""However the bytes of clients are cut into pieces, the answers are the same."""

import itertools
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vwlite.daemon.connection import Connection
from vwlite.daemon.engine import Engine
from vwlite.daemon.log import Log
from vwlite.daemon.server import Server
from vwlite.engine.command_line import option_groups, parse


class Wire:
    """The server's end of a connection without a network; takes note of what it writes."""

    def __init__(self) -> None:
        self.told = bytearray()
        self.closed = False

    def write(self, text: bytes) -> None:
        """Note it."""
        self.told += text

    def close(self) -> None:
        """Note it."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """All is taken at once."""
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def told(server: Server, pieces: list[bytes]) -> bytes:
    """What a server writes when bytes come in these pieces and then no more."""
    connection, wire = Connection(server), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    for piece in pieces:
        while piece and not wire.closed:
            room = connection.get_buffer(-1)
            count = min(len(room), len(piece))
            room[:count] = piece[:count]
            connection.buffer_updated(count)
            take_turns(server)
            piece = piece[count:]
    if not wire.closed:
        connection.eof_received()
    connection.connection_lost(None)
    return bytes(wire.told)


def take_turns(server: Server) -> None:
    """What was put off to the next round of the loop, until nothing is."""
    while server.turns:  # type: ignore[attr-defined]
        server.turns.pop()()  # type: ignore[attr-defined]


def server_of(model: Path, *words: str) -> Server:
    options = parse(["-i", str(model), "-t", "--max_line", "1024", *words], option_groups())
    server = Server(options, Engine(options), Log(quiet=True))
    server.turns = []  # type: ignore[attr-defined]
    server.soon = server.turns.append  # type: ignore[attr-defined]
    return server


@pytest.fixture(scope="module")
def servers(models):
    """Of lines and of decisions."""
    return types.SimpleNamespace(
        lines=server_of(models / "lines.model"), decisions=server_of(models / "decisions.model")
    )


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def even(answers: bytes) -> list[list[int]]:
    """Answers but for the order of actions, which is left to chance where all is equal."""
    return [sorted(line) for line in answers.splitlines()]


ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n\r\n", b"\n\n\n"])
LINES = st.sampled_from(
    [
        b"|a x:1",
        b"1 't|a x",
        b"bad |a",
        b"",
        b"!ping",
        b"!what",
        b'{"a": {"x": 1}, "_tag": "j"}',
        b"{",
        b" ",
        b"|a " + b"w " * 400,
        b"|a " + b"w " * 600,
        b"{" + b" " * 1100 + b"}",
        b"0:1:0.5 |a x",
        b"shared t|u x",
    ]
)
BLOCKS = st.sampled_from(
    [
        b"shared s|u x\n|a n0 q:2\n|a n1",
        b"|a n1\r\n|a n2 q:3",
        b"|a n0\n!ping\n|a n1",
        b"!ping",
        b"{",
        b'{"_multi": [{"a": {"n1": 1}}, {"a": {"n2": 1}}]}',
        b"",
        b"bad |a\n|a",
        b"shared |u x\n{}\n|a n3",
        b"|a n0\n|a " + b"w " * 600,
        (b"|a " + b"w " * 100 + b"\n") * 5 + b"|a n3",
        b"{" + b" " * 1100 + b"}",
    ]
)
PLACES = st.lists(st.integers(0, 1 << 20), max_size=12)


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.booleans(), PLACES)
def test_pieces_make_no_difference_to_lines(servers, pairs, whole, places):
    text = b"".join(line + end for line, end in pairs)
    text = text if whole else text.rstrip(b"\r\n")
    assert told(servers.lines, cut(text, places)) == told(servers.lines, [text])


@given(st.lists(st.tuples(BLOCKS, ENDS), max_size=10), st.booleans(), PLACES)
def test_pieces_make_no_difference_to_decisions(servers, pairs, whole, places):
    text = b"".join(line + end for line, end in pairs)
    text = text if whole else text.rstrip(b"\r\n")
    assert even(told(servers.decisions, cut(text, places))) == even(told(servers.decisions, [text]))


@given(st.binary(max_size=300), PLACES)
@settings(max_examples=200)
def test_pieces_make_no_difference_to_any_bytes(servers, text, places):
    assert told(servers.lines, cut(text, places)) == told(servers.lines, [text])


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), PLACES, st.lists(st.booleans(), max_size=200))
def test_turns_that_end_anywhere_make_no_difference(servers, pairs, places, late):
    """A client's turn is over when some time has passed; here it passes whenever somebody looks at the clock."""
    text = b"".join(line + end for line, end in pairs)
    expected = told(servers.lines, [text])
    looks = itertools.chain(late, itertools.repeat(False))
    clock = itertools.accumulate(float(next(looks)) for _ in itertools.count())
    before, servers.lines.now = servers.lines.now, lambda: next(clock)
    try:
        assert told(servers.lines, cut(text, places)) == expected
    finally:
        servers.lines.now = before
