"""Benchmark of the daemon against a run over a file, Vowpal Wabbit's daemon and an echo server; journal and memory.

    python -m benchmarks.daemon                 in the root of the repository
    python -m benchmarks.daemon --scale 0.05 --rounds 1 --output quick.json

Each round runs the two sides of a comparison one after the other; the verdict is on the median of their ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entities import attempt, say, scaled, wait_for_quiet
from benchmarks.run import (
    HERE,
    CommandError,
    Tool,
    machine,
    make_data,
    parsed,
    parser_of,
    publish,
    rows,
    verdict,
    words,
)

MARKERS = ("<!-- daemon -->", "<!-- end of daemon -->")
LINES = 1_000_000  # of the case `named`
FLAT_LINES = 10_000_000
REQUESTS = 20_000
CLIENTS = 64
CHUNK = 1 << 18

# On asyncio's loop, as the echo server, and as installed without extras.
VWLITE = (
    sys.executable,
    "-P",  # the installed package, not the folder
    "-c",
    "import sys; sys.modules['uvloop'] = None; from vwlite.cli import main; sys.exit(main())",
)
PATIENCE = 60.0  # seconds for a daemon's start, and for an answer

# The package's command reads no input unless it finds a flag that begins with -d, --data or --passes: without one its
# daemon closes every connection without an answer.
VW_DAEMON = ("--passes", "1", "--num_children", "1")


@contextlib.contextmanager
def daemon(command: Sequence[str], folder: Path, *flags: str) -> Iterator[tuple[int, int]]:
    """(port, process number) of a daemon, ours or VW's, as the flags are the same. Raises CommandError."""
    port = folder / "port"
    port.unlink(missing_ok=True)
    line = [*command, "--foreground", "--port", "0", "--port_file", str(port), "--quiet", *flags]
    process = subprocess.Popen(line, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + PATIENCE
        while not (port.exists() and port.read_text().endswith("\n")):
            if process.poll() is not None:
                raise CommandError(f"`{shlex.join(line)}` ended with status {process.returncode}")
            if time.monotonic() > until:
                raise CommandError(f"`{shlex.join(line)}` does not serve")
            time.sleep(0.01)
        yield int(port.read_text()), process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):  # VW's children
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def completed(command: Sequence[str]) -> None:
    """Run a command to its end. Raises CommandError."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CommandError(f"`{shlex.join(command)}` ended with status {done.returncode}: {done.stderr.strip()}")


def pipelined(port: int, data: bytes, clients: int = 1) -> float:
    """Lines per second of `clients` clients that together send all of `data`, and read while they send."""
    ends = [0]
    for i in range(1, clients):
        ends.append(data.index(b"\n", len(data) * i // clients) + 1)
    shares = [memoryview(data)[a:b] for a, b in zip(ends, [*ends[1:], len(data)], strict=True)]
    selector = selectors.DefaultSelector()
    answered, room = 0, bytearray(CHUNK)
    began = time.perf_counter()
    for share in shares:
        one = socket.create_connection(("127.0.0.1", port))
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE, (one, [share]))
    open_ones = clients
    while open_ones:
        ready = selector.select(PATIENCE)
        if not ready:
            raise CommandError(f"nothing comes after {answered} answers")
        for key, events in ready:
            one, left = key.data
            if events & selectors.EVENT_WRITE:
                left[0] = left[0][one.send(left[0][:CHUNK]) :]
                if not left[0]:
                    one.shutdown(socket.SHUT_WR)
                    selector.modify(one, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                count = one.recv_into(room)
                if count == 0:
                    selector.unregister(one)
                    one.close()
                    open_ones -= 1
                answered += room.count(b"\n", 0, count)
    seconds = time.perf_counter() - began
    lines = data.count(b"\n")
    if answered != lines:
        raise CommandError(f"{answered} answers to {lines} lines")
    return lines / seconds


def from_file(vwlite: Sequence[str], path: Path, *flags: str) -> float:
    """Lines per second of a run over a file, the whole process."""
    began = time.perf_counter()
    completed([*vwlite, "--quiet", "-d", str(path), "-p", "/dev/null", *flags])
    seconds = time.perf_counter() - began
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(partial(file.read, 1 << 20), b"")) / seconds


def one_by_one(port: int, lines: Sequence[bytes]) -> list[float]:
    """Seconds from each line to its answer, sorted."""
    found: list[float] = []
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for line in lines:
            began = time.perf_counter()
            one.sendall(line)
            answer = b""
            while not answer.endswith(b"\n"):
                piece = one.recv(CHUNK)
                if not piece:
                    raise CommandError(f"closed after {len(found)} answers")
                answer += piece
            found.append(time.perf_counter() - began)
    return sorted(found)


ECHO = """
import asyncio
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """Run an asyncio echo server; yields its port."""
    process = subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


def pairs(rounds: int, name: str, left: Callable[[], float], right: Callable[[], float]) -> dict[str, Any]:
    """Run both sides alternately: their medians, and the median of left / right."""
    lefts, rights = [], []
    for i in range(rounds):
        lefts.append(left())
        rights.append(right())
        say(f"{name} {i + 1}/{rounds}: {lefts[-1]:,.6g} beside {rights[-1]:,.6g}")
    return {
        "left": statistics.median(lefts),
        "right": statistics.median(rights),
        "ratio": statistics.median(a / b for a, b in zip(lefts, rights, strict=True)),
        "ratios": [a / b for a, b in zip(lefts, rights, strict=True)],
    }


def measure(vwlite: Sequence[str], path: Path, scratch: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)[: scaled(REQUESTS, chosen.scale)]
    model = scratch / "model"
    completed([*vwlite, "--quiet", "-d", str(path), "-f", str(model)])
    found: dict[str, Any] = {}
    with daemon(vwlite, scratch, "-t", "-i", str(model)) as (port, _):
        found["pipelined"] = pairs(
            chosen.rounds,
            "pipelined, from a file",
            lambda: pipelined(port, data),
            lambda: from_file(vwlite, path, "-t", "-i", str(model)),
        )
        found["clients"] = pairs(
            chosen.rounds,
            "64 clients, one",
            lambda: pipelined(port, data, CLIENTS),
            lambda: pipelined(port, data),
        )
        with echo() as other:
            for name, share in (("p99", 0.99), ("p50", 0.5)):
                found[name] = pairs(
                    chosen.rounds,
                    f"{name}, echo's",
                    partial(microseconds, port, lines, share),
                    partial(microseconds, other, lines, share),
                )
        found |= beside_vw(port, data, path, lines, scratch, chosen)
    with (
        daemon(vwlite, scratch, "--journal", str(scratch / "journal")) as (kept, _),
        daemon(vwlite, scratch) as (plain, _),
    ):
        found["journal"] = pairs(
            chosen.rounds,
            "learned with a journal, without",
            partial(pipelined, kept, data),
            partial(pipelined, plain, data),
        )
    with daemon(vwlite, scratch) as (one, _), daemon(chosen.vw, scratch, *VW_DAEMON) as (other, _):
        found["vw learning"] = pairs(
            chosen.rounds, "learning, VW's", partial(pipelined, one, data), partial(pipelined, other, data)
        )
    with daemon(vwlite, scratch) as (port, pid):
        sizes = []
        for _ in range(max(2, scaled(FLAT_LINES, chosen.scale) // len(data.splitlines()))):
            pipelined(port, data)
            sizes.append(resident(pid))
        found["memory"] = {"first": sizes[0], "last": sizes[-1], "all": sizes, "lines": len(data.splitlines())}
    return found


def beside_vw(
    port: int, data: bytes, path: Path, lines: Sequence[bytes], scratch: Path, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Compare predictions with VW's daemon, which loads a model learned by VW from the same lines; one client each."""
    model = scratch / "vw.model"
    completed([*chosen.vw, "--quiet", "-d", str(path), "-f", str(model)])
    found: dict[str, Any] = {}
    with daemon(chosen.vw, scratch, *VW_DAEMON, "-t", "-i", str(model)) as (other, _):
        found["vw"] = pairs(
            chosen.rounds, "predicting, VW's", partial(pipelined, port, data), partial(pipelined, other, data)
        )
        for name, share in (("vw p99", 0.99), ("vw p50", 0.5)):
            found[name] = pairs(
                chosen.rounds,
                name.replace(" ", "'s "),
                partial(microseconds, port, lines, share),
                partial(microseconds, other, lines, share),
            )
    return found


def microseconds(port: int, lines: Sequence[bytes], share: float) -> float:
    """Quantile of the latency when each line waits for the answer to the one before."""
    times = one_by_one(port, lines)
    return 1e6 * times[int(share * (len(times) - 1))]


WANTED = {
    "pipelined": ("predictions, pipelined by one client, beside a run over the file, lines/s", 0.5, True),
    "clients": ("predictions, 64 clients at once beside one, lines/s", 0.8, True),
    "p99": ("99th percentile of request to answer beside an asyncio echo server's, microseconds", 2.0, False),
    "p50": ("median of request to answer beside an asyncio echo server's, microseconds", None, False),
    "journal": ("learning, pipelined by one client, with a journal beside none, lines/s", 0.6, True),
    "vw": ("predictions, pipelined by one client, beside VW's daemon, lines/s", None, True),
    "vw learning": ("learning, pipelined by one client, beside VW's daemon, lines/s", None, True),
    "vw p99": ("99th percentile of request to answer beside VW's daemon's, microseconds", None, False),
    "vw p50": ("median of request to answer beside VW's daemon's, microseconds", None, False),
}


def markdown(results: dict[str, Any]) -> str:
    """The report."""
    found = results["figures"]
    head = (
        "{date}, {cpu}, {cores} cores, {kernel}, huge pages: {huge_pages}, Python {python}, VW {vw}, vwlite {vwlite}; "
        "{rounds} rounds, scale {scale:g}, load average before: {load:.2f}."
    ).format(**results["machine"], **results)
    if "error" in found:
        return f"{head}\n\nFailed: {found['error']}"
    body = []
    for name, (what, wanted, more) in WANTED.items():
        each = found[name]
        judged = ""
        if wanted is not None:
            reached = each["ratio"] >= wanted if more else each["ratio"] < wanted
            judged = verdict(reached, f"{'at least' if more else 'less than'} {wanted:g}")
        spread = f"{min(each['ratios']):.2f} to {max(each['ratios']):.2f}"
        body.append([what, f"{each['left']:,.0f}", f"{each['right']:,.0f}", f"{each['ratio']:.2f} ({spread})", judged])
    memory = found["memory"]
    grown = memory["last"] / memory["first"]
    body.append(
        [
            f"resident memory after {memory['lines'] * len(memory['all']):,} learned lines beside "
            f"{memory['lines']:,}, MB",
            f"{memory['last']:.0f}",
            f"{memory['first']:.0f}",
            f"{grown:.2f}",
            verdict(grown < 1.05, "flat"),
        ]
    )
    return "\n".join([head, *rows(["what", "daemon", "beside", "ratio", "verdict"], body)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; the status is 1 if anything failed, regardless of the results."""
    parser = parser_of("Time the daemon.", "A full run rewrites README.md and daemon.json.", "turns of each comparison")
    parser.add_argument("--wait", type=float, default=10, help="minutes to wait for an idle machine (%(default)s)")
    parser.add_argument("--vw", type=words, default=(sys.executable, "-m", "vowpalwabbit"), metavar="CMD")
    parser.set_defaults(vwlite=VWLITE)
    chosen = parsed(parser, argv)
    for option in ("vw", "vwlite"):
        program = getattr(chosen, option)[0]
        if not shutil.which(program):
            parser.error(f"{program} isn't there to run: install it, or give --{option} CMD")
    path = make_data("named", scaled(LINES, chosen.scale), chosen)
    results: dict[str, Any] = {
        "machine": machine([Tool("vw", chosen.vw), Tool("vwlite", chosen.vwlite)]),
        "rounds": chosen.rounds,
        "scale": chosen.scale,
        "load": wait_for_quiet(chosen.wait),
    }
    with tempfile.TemporaryDirectory(prefix="run-", dir=path.parent) as scratch:
        results["figures"] = attempt(partial(measure, chosen.vwlite, path, Path(scratch), chosen), "daemon")
    publish(results, markdown(results), chosen.output, HERE / "daemon.json" if chosen.scale == 1 else None, MARKERS)
    return int("error" in results["figures"])


if __name__ == "__main__":
    sys.exit(main())
