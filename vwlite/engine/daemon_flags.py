"""The options of the daemon. `vwlite --help` prints them, so modules that serve are not imported here."""

from __future__ import annotations

from typing import Any

from vwlite.core.options import Option, OptionGroup, Options

PORT = 26542  # Vowpal Wabbit's

OPTIONS = OptionGroup(
    "Daemon",
    (
        Option("daemon", bool, "serve the lines of clients of a socket, in the background", task="serve"),
        Option("port", int, f"TCP port, {PORT} unless given; 0 picks a free one", least=0, most=65535, task="serve"),
        Option("bind", str, "address to listen at", default="127.0.0.1", metavar="ADDRESS"),
        Option("socket", str, "listen at this Unix socket instead", metavar="PATH", file="written"),
        Option("foreground", bool, "stay in the foreground"),
        Option("pid_file", str, "write the process id here", metavar="FILE", file="written"),
        Option("port_file", str, "write the port here", metavar="FILE", file="written"),
        Option("num_children", int, "accepted for VW, has no effect: one process serves all clients", least=1),
        Option("journal", str, "store learned lines in this folder before they are answered, and resume from it",
               metavar="DIR", file="folder", task="serve"),
        Option("autosave", str, "save to -f (or with --journal, make a checkpoint) every so many seconds (60s) or "
               "examples (100000)", metavar="N|SECONDSs"),
        Option("model_dir", str, "folder in which clients may save models", metavar="DIR", file="folder"),
        Option("max_snapshots", int, "most models in --model_dir, after which clients can't add more",
               default=100, least=1, needs=("serving & model_dir",)),
        Option("token_file", str, "clients have to send the token in this file as their first line", metavar="FILE",
               file="read"),
        Option("cert", str, "use TLS with this certificate (PEM, with the chain to its root)", metavar="FILE",
               file="read"),
        Option("key", str, "private key of --cert (PEM)", metavar="FILE", file="read"),
        Option("insecure", bool, "listen at a public address without a token"),
        Option("max_connections", int, "most connections at a time", default=1000, least=1, most=1_000_000),
        Option("max_line", int, "most bytes of a line, or of all lines of a multi-line example",
               default=1 << 20, least=1 << 10, most=1 << 30),
        Option("max_json", int, "most bytes of an example in JSON, which is slower to read than text", default=1 << 17,
               least=1 << 10, most=1 << 30),
        Option("max_buffers", int, "most bytes buffered for all clients together, "
               "besides 8 kB each", default=1 << 28, least=1 << 20),
        Option("read_timeout", float, "seconds after which a client that sends nothing, or doesn't read its answers, "
               "is disconnected", default=600.0, above=0),
        Option("log", str, "format of the log on standard error", default="text",
               choices=("text", "json")),
    ),
    needs=("serving",),
    examples=(
        "vwlite --daemon -i start.model -f model --port 0 --port_file port --pid_file pid --autosave 60s",
        "vwlite --daemon --foreground --socket door --journal journal --log json",
        "vwlite --daemon --foreground --bind 0.0.0.0 --port 0 --token_file token --cert cert.pem --key key.pem",
        "vwlite --daemon --foreground --socket door --model_dir models --max_snapshots 10 --num_children 1",
        "vwlite --daemon --foreground --socket door --max_line 65536 --max_json 65536 --max_buffers 16777216",
        "vwlite --daemon --foreground --socket door --max_connections 100 --read_timeout 60",
        "vwlite --daemon --foreground --bind 0.0.0.0 --port 0 --insecure",
    ),
)  # fmt: skip

IMPLY = ("daemon", "port", "pid_file", "socket", "journal")  # each of them implies --daemon, as --port does in VW


# Options that don't affect how a model learns.
ASIDE = {
    "initial_regressor", "final_regressor", "preserve_performance_counters", "quiet", "progress", "config",
    "drift", "on_drift",
    "crossing_limit",  # accepted lines are learned again under any limit
    *(option.name for option in OPTIONS.options),
}  # fmt: skip


def of_the_model(options: Options) -> dict[str, Any]:
    """The given options that affect how a model learns, by name."""
    return {name: options[name] for name in options.declared if options.given(name) and name not in ASIDE}


def wanted(options: Options) -> bool:
    """Whether the command line requests a daemon."""
    return any(options.given(name) for name in IMPLY)
