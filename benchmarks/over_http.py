"""Benchmark of the HTTP service, beside a server that only echoes on the same stack, in turns.

Calls are judged by what one client gets (calls a second) or by the CPU time of the server's process; batches by the
examples a CPU second of the server.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.entities import attempt, say, scaled, wait_for_quiet
from benchmarks.run import CommandError, Tool, machine, parsed, parser_of, publish, rows, verdict

HERE = Path(__file__).resolve().parent
MARKERS = ("<!-- http -->", "<!-- end of http -->")
FLAGS = "--loss_function logistic --link logistic"
CALLS = 2000
EXAMPLES = 100_000
CLIENTS = 64
MODELS = 1000
IDS = 1_000_000

ECHO = """
import json, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def learn(request):
    return JSONResponse("Successful learn.", 201)
async def parse(request):
    json.loads(await request.body())
    return await learn(request)
async def predict(request):
    body = json.loads(await request.body())
    return JSONResponse({"model": body["model"], "prediction": 0.5, "identifier": "x"}, 201)
async def v1(request):
    json.loads(await request.body())
    return JSONResponse({"prediction": 0.5, "model": "x", "examples": 1})
paths = {"/api/learn/": parse, "/api/predict/": predict, "/v1/models/{name}:learn": v1}
app = Starlette(routes=[Route(path, what, methods=["POST"]) for path, what in paths.items()])
how = {"http": "httptools", "loop": "uvloop", "log_level": "error", "access_log": False}
uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1]), **how)).run()
"""


def record(random: np.random.Generator) -> dict[str, Any]:
    """An example of eight numbers and four texts, with its label."""
    numbers = {f"f{i}": round(float(value), 6) for i, value in enumerate(random.normal(size=8))}
    texts = {f"c{i}": f"w{random.integers(100)}" for i in range(4)}
    return {"features": {**numbers, **texts}, "label": bool(random.random() < 0.5)}


class Running:
    """A server in a process of its own.

    Args:
        command: Its command line.
        folder: Where it runs.
        port: Its port, if it is known; else it writes it to the file "port".
    """

    def __init__(self, command: Sequence[str], folder: Path, port: int = 0) -> None:
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            if not port and (folder / "port").exists():
                port = int((folder / "port").read_text() or 0)
            try:
                http.client.HTTPConnection("127.0.0.1", port or 1, timeout=1).connect()
                self.port = port
                return
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise CommandError(f"the server does not answer; its status is {self.process.returncode}")

    def cpu(self) -> float:
        """CPU seconds so far: the clock of the process, which Linux numbers so (clock_getcpuclockid)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory(self) -> float:
        """Resident memory in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(120)


@contextmanager
def service(vwlite: Sequence[str], *words: str) -> Iterator[Running]:
    """The service in a new folder."""
    with tempfile.TemporaryDirectory(prefix="vwlite-http-") as name:
        command = [*vwlite, "serve", "--port", "0", "--port_file", "port", "--quiet", *words]
        running = Running(command, Path(name))
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def echo() -> Iterator[Running]:
    """The server that only echoes."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="vwlite-echo-") as name:
        running = Running([sys.executable, "-c", ECHO, str(port)], Path(name), port)
        try:
            yield running
        finally:
            running.stop()


class Caller:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def send(self, path: str, body: bytes, media: str = "application/json", method: str = "POST") -> bytes:
        """The body of the answer. Raises CommandError for an error."""
        self.connection.request(method, path, body, {"Content-Type": media})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise CommandError(f"{path}: {answer.status} {content[:200]!r}")
        return content


def through_river(chosen: argparse.Namespace) -> dict[str, Any]:
    """Calls a second of River's client, beside the echo, with and without the journal."""
    from riverapi.main import Client

    calls = scaled(CALLS, chosen.scale)
    features = record(np.random.default_rng(1))["features"]
    found: dict[str, Any] = {"learn": [], "predict": [], "rates": {"learn": [], "predict": []}, "journal": []}
    words = ("--model", f"m={FLAGS}")
    with (
        service(chosen.vwlite, *words) as ours,
        service(chosen.vwlite, "--dir", "models", *words) as kept,
        echo() as theirs,
    ):
        clients = [Client(f"http://127.0.0.1:{each.port}", quiet=True) for each in (ours, theirs)]
        durable = Client(f"http://127.0.0.1:{kept.port}", quiet=True)

        def rate(client: Any, what: str) -> float:
            begun = time.perf_counter()
            for i in range(calls):
                if what == "learn":
                    client.learn("m", features, bool(i % 2))
                else:
                    client.predict("m", features)
            return calls / (time.perf_counter() - begun)

        for i in range(chosen.rounds):
            for what in ("learn", "predict"):
                left, right = (rate(client, what) for client in clients)
                say(f"riverapi {what} {i + 1}/{chosen.rounds}: {left:.0f} beside {right:.0f}")
                found[what].append(left / right)
                found["rates"][what].append((left, right))
                if what == "learn":
                    found["journal"].append(rate(durable, what) / right)
    return found


def call_cost(chosen: argparse.Namespace) -> dict[str, Any]:
    """CPU of the server for a call of /v1, beside the echo, with and without the journal."""
    calls = scaled(CALLS * 5, chosen.scale)
    body = json.dumps(record(np.random.default_rng(1))).encode()
    found: dict[str, Any] = {"memory": [], "journal": [], "microseconds": []}
    words = ("--model", f"m={FLAGS}")
    with (
        service(chosen.vwlite, *words) as plain,
        service(chosen.vwlite, "--dir", "models", *words) as kept,
        echo() as theirs,
    ):

        def cost(server: Running) -> float:
            caller = Caller(server.port)  # a new connection: servers close those that were quiet for a while
            begun = server.cpu()
            for _ in range(calls):
                caller.send("/v1/models/m:learn", body)
            return 1e6 * (server.cpu() - begun) / calls

        for i in range(chosen.rounds):
            ours, with_journal, echoed = (cost(server) for server in (plain, kept, theirs))
            say(f"call {i + 1}/{chosen.rounds}: {ours:.0f}, {with_journal:.0f} us beside {echoed:.0f}")
            found["memory"].append(ours / echoed)
            found["journal"].append(with_journal / echoed)
            found["microseconds"].append((ours, with_journal, echoed))
    return found


def batches(chosen: argparse.Namespace) -> dict[str, Any]:
    """Examples a CPU second of the server, in batches."""
    import pyarrow as pa

    count = scaled(EXAMPLES, chosen.scale)
    random = np.random.default_rng(2)
    lines = b"".join(json.dumps(record(random)).encode() + b"\n" for _ in range(count // 4))
    columns: dict[str, Any] = {f"f{i}": random.normal(size=count).astype(np.float32) for i in range(12)}
    table = pa.table({**columns, "click": random.random(count) < 0.5})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    tables = sink.getvalue()
    found: dict[str, Any] = {}
    arrow = "application/vnd.apache.arrow.stream"
    for name, words in (("plain", ()), ("journal", ("--dir", "models"))):
        limits = ("--max_body", str(1 << 30), "--max_batch", "10000000")
        with service(chosen.vwlite, *words, *limits, "--model", f"m={FLAGS}") as server:
            caller = Caller(server.port)
            for kind, path, body, media, size in (
                ("ndjson", "/v1/models/m:learn", lines, "application/x-ndjson", count // 4),
                ("arrow", "/v1/models/m:learn?label=click", tables, arrow, count),
                ("arrow predict", "/v1/models/m:predict?label=click", tables, arrow, count),
            ):
                rates = []
                for i in range(chosen.rounds):
                    begun = server.cpu()
                    caller.send(path, body, media)
                    rates.append(size / (server.cpu() - begun))
                    say(f"{kind} {name} {i + 1}/{chosen.rounds}: {rates[-1]:,.0f}")
                found[f"{kind} {name}"] = statistics.median(rates)
    return found


def crowd(chosen: argparse.Namespace) -> dict[str, Any]:
    """Updates of many clients at once, and how long predictions take while batches are learned."""
    each = scaled(100, chosen.scale)
    random = np.random.default_rng(3)
    body = json.dumps(record(random)).encode()
    with service(chosen.vwlite, "--dir", "models", "--model", f"m={FLAGS}", "--model", f"n={FLAGS}") as server:

        def teach() -> None:
            caller = Caller(server.port)
            for _ in range(each):
                caller.send("/v1/models/m:learn", body)

        threads = [threading.Thread(target=teach) for _ in range(CLIENTS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = CLIENTS * each / (time.perf_counter() - begun)
        card = json.loads(Caller(server.port).send("/v1/models/m", b"", method="GET"))
        lines = b"".join(json.dumps(record(random)).encode() + b"\n" for _ in range(scaled(20_000, chosen.scale)))
        stop = threading.Event()

        def batch() -> None:
            caller = Caller(server.port)
            while not stop.is_set():
                caller.send("/v1/models/n:learn", lines, "application/x-ndjson")

        thread = threading.Thread(target=batch)
        thread.start()
        caller, times = Caller(server.port), []
        for _ in range(scaled(2000, chosen.scale)):
            begun = time.perf_counter()
            caller.send("/v1/models/m:predict", body.replace(b', "label": true', b"").replace(b', "label": false', b""))
            times.append(1000 * (time.perf_counter() - begun))
        stop.set()
        thread.join()
    times.sort()
    return {
        "lost": CLIENTS * each - card["examples"],
        "sent": CLIENTS * each,
        "rate": rate,
        "p50": times[len(times) // 2],
        "p99": times[int(0.99 * len(times))],
    }


def memory(chosen: argparse.Namespace) -> dict[str, Any]:
    """Memory of many models, after many calls, and with many predictions that wait for labels."""
    count = scaled(MODELS, chosen.scale)
    flags = json.dumps({"options": f"{FLAGS} -b 14"}).encode()
    random = np.random.default_rng(4)
    learned = json.dumps({"features": {f"f{i}": float(i) for i in range(300)}, "label": True}).encode()
    found: dict[str, Any] = {}
    with service(chosen.vwlite, "--dir", "models", "--max_models", str(2 * count)) as server:
        caller = Caller(server.port)
        caller.send("/v1/models/first", flags, method="PUT")
        before = server.memory()
        for i in range(count):
            caller.send(f"/v1/models/m{i}", flags, method="PUT")
            caller.send(f"/v1/models/m{i}:learn", learned)
        found["each"] = (server.memory() - before) / count
        say(f"{found['each']:.2f} MB a model")
    limits = ("--max_ids", str(2 * IDS), "--max_body", str(1 << 30), "--max_batch", "10000000")
    with service(chosen.vwlite, "--dir", "models", *limits, "--model", f"m={FLAGS}") as server:
        caller = Caller(server.port)
        body = json.dumps(record(random)).encode()
        calls = scaled(1_000_000, chosen.scale) // 10
        for _ in range(calls // 10):
            caller.send("/v1/models/m:learn", body)
        before = server.memory()
        for _ in range(calls):
            caller.send("/v1/models/m:learn", body)
        found["calls"] = calls
        found["growth of calls"] = server.memory() - before
        say(f"{calls:,} calls: {found['growth of calls']:+.1f} MB")
        before = server.memory()
        remembered = json.dumps({"features": {"a": 1, "b": "x"}, "remember": True}).encode() + b"\n"
        ids = scaled(IDS, chosen.scale)
        for _ in range(0, ids, 10_000):
            caller.send("/v1/models/m:predict", remembered * min(10_000, ids), "application/x-ndjson")
        found["ids"] = ids
        found["growth of ids"] = server.memory() - before
        say(f"{ids:,} identifiers: {found['growth of ids']:+.1f} MB")
    return found


def judged(values: Sequence[float], decimals: int = 2) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.{decimals}f} ({min(values):.{decimals}f} to {max(values):.{decimals}f})"


def markdown(results: dict[str, Any]) -> str:
    """The report."""
    found = results["figures"]
    head = (
        "{date}, {cpu}, {cores} cores, {kernel}, Python {python}, vwlite {vwlite}; {rounds} rounds, scale {scale:g}, "
        "load average before: {load:.2f}."
    ).format(**results["machine"], **results)
    if "error" in found:
        return f"{head}\n\nFailed: {found['error']}"
    river, call, batch, many, kept = (found[name] for name in ("river", "call", "batches", "crowd", "memory"))
    least: Callable[[float, float], str] = lambda value, wanted: verdict(value >= wanted, f"at least {wanted:,g}")  # noqa: E731
    most: Callable[[float, float], str] = lambda value, wanted: verdict(value <= wanted, f"at most {wanted:,g}")  # noqa: E731
    body = [
        ["River's client, learn / echo, calls a second", judged(river["learn"]),
         least(statistics.median(river["learn"]), 0.9)],
        ["the same with the journal, each call on disk before the answer", judged(river["journal"]), ""],
        ["River's client, predict / echo", judged(river["predict"]), least(statistics.median(river["predict"]), 0.8)],
        ["`/v1` learn / echo, CPU a call, in memory", judged(call["memory"]),
         most(statistics.median(call["memory"]), 1.5)],
        ["the same with the journal", judged(call["journal"]), ""],
        ["NDJSON `:learn`, examples a CPU second", f"{batch['ndjson plain']:,.0f}",
         least(batch["ndjson plain"], 150_000)],
        ["the same with the journal", f"{batch['ndjson journal']:,.0f}", least(batch["ndjson journal"], 100_000)],
        ["Arrow `:learn`", f"{batch['arrow plain']:,.0f}", least(batch["arrow plain"], 1_000_000)],
        ["the same with the journal", f"{batch['arrow journal']:,.0f}", ""],
        ["Arrow `:predict`", f"{batch['arrow predict plain']:,.0f}", ""],
        [f"updates lost, of {many['sent']:,} by {CLIENTS} clients at once", f"{many['lost']}",
         verdict(many["lost"] == 0, "none")],
        ["updates a second of these, with the journal", f"{many['rate']:,.0f}", ""],
        ["predict while batches are learned, median ms", f"{many['p50']:.1f}", ""],
        ["the same, 99%", f"{many['p99']:.1f}", most(many["p99"], 20)],
        [f"memory of each of {MODELS:,} models, MB", f"{kept['each']:.2f}", most(kept["each"], 1)],
        [f"memory that {kept['calls']:,} calls add, MB", f"{kept['growth of calls']:.1f}",
         verdict(kept["growth of calls"] < 5, "flat")],
        [f"memory that {kept['ids']:,} open identifiers add, MB", f"{kept['growth of ids']:.1f}",
         verdict(kept["growth of ids"] < 20, "flat")],
    ]  # fmt: skip
    return "\n".join([head, *rows(["what", "found", "verdict"], body)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; the status is 1 if anything failed, regardless of the results."""
    parser = parser_of("Time the HTTP service.", "A full run rewrites README.md and http.json.", "turns of each")
    parser.add_argument("--wait", type=float, default=10, help="minutes to wait for an idle machine (%(default)s)")
    parser.set_defaults(vwlite=(sys.executable, "-P", "-m", "vwlite"))
    chosen = parsed(parser, argv)
    sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]  # the installed package
    results: dict[str, Any] = {
        "machine": machine([Tool("vwlite", chosen.vwlite)]),
        "rounds": chosen.rounds,
        "scale": chosen.scale,
        "load": wait_for_quiet(chosen.wait),
    }

    def everything() -> dict[str, Any]:
        return {
            "river": through_river(chosen),
            "call": call_cost(chosen),
            "batches": batches(chosen),
            "crowd": crowd(chosen),
            "memory": memory(chosen),
        }

    results["figures"] = attempt(everything, "http")
    publish(results, markdown(results), chosen.output, HERE / "http.json" if chosen.scale == 1 else None, MARKERS)
    return int("error" in results["figures"])


if __name__ == "__main__":
    sys.exit(main())
