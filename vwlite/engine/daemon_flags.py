"""The flags of the daemon. `vwlite --help` shows them, so nothing that serves is imported here."""

from __future__ import annotations

from typing import Any

from vwlite.core.options import Option, OptionGroup, Options

PORT = 26542  # Vowpal Wabbit's

OPTIONS = OptionGroup(
    "Daemon",
    (
        Option("daemon", bool, "serve lines that come through a socket, in the background", task="serve"),
        Option("port", int, f"TCP port, {PORT} unless given; 0 takes a free one", least=0, most=65535, task="serve"),
        Option("bind", str, "address to listen at", default="127.0.0.1", metavar="ADDRESS"),
        Option("socket", str, "listen at this Unix socket instead", metavar="PATH", file="written"),
        Option("foreground", bool, "stay in the foreground"),
        Option("pid_file", str, "write the process's number here", metavar="FILE", file="written"),
        Option("port_file", str, "write the port here", metavar="FILE", file="written"),
        Option("num_children", int, "as in VW, where each child had a model of its own; here one serves all", least=1),
        Option("journal", str, "keep what is learned in this folder before it is answered, and go on from there",
               metavar="DIR", file="folder", task="serve"),
        Option("autosave", str, "save to -f (or with --journal, make a checkpoint) every so many seconds (60s) or "
               "examples (100000)", metavar="N|SECONDSs"),
        Option("model_dir", str, "where clients may save models", metavar="DIR", file="folder"),
        Option("max_snapshots", int, "models that there may be in --model_dir before clients can add no more",
               default=100, least=1, needs=("serving & model_dir",)),
        Option("token_file", str, "clients have to send what is in this file as their first line", metavar="FILE",
               file="read"),
        Option("cert", str, "speak TLS with this certificate (PEM, with those that lead to its root)", metavar="FILE",
               file="read"),
        Option("key", str, "and this private key (PEM)", metavar="FILE", file="read"),
        Option("insecure", bool, "listen at a public address though there is no token"),
        Option("max_connections", int, "connections at a time", default=1000, least=1, most=1_000_000),
        Option("max_line", int, "bytes of a line, or of all lines of a decision, that a client may send",
               default=1 << 20, least=1 << 10, most=1 << 30),
        Option("max_json", int, "bytes of an example in JSON, which takes longer to read than text", default=1 << 17,
               least=1 << 10, most=1 << 30),
        Option("max_buffers", int, "bytes that all clients together may have waiting, "
               "besides 8 kB each", default=1 << 28, least=1 << 20),
        Option("read_timeout", float, "seconds after which a client that sends nothing, or doesn't take its answers, "
               "is let go", default=600.0, above=0),
        Option("log", str, "how the daemon says what happens, on standard error", default="text",
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

IMPLY = ("daemon", "port", "pid_file", "socket", "journal")  # as in VW, --port alone is enough


# Flags that say nothing of how a model learns.
ASIDE = {
    "initial_regressor", "final_regressor", "preserve_performance_counters", "quiet", "progress", "config",
    "crossing_limit",  # what was accepted under another one is learned again in any case
    *(option.name for option in OPTIONS.options),
}  # fmt: skip


def of_the_model(options: Options) -> dict[str, Any]:
    """The values given that say how a model learns, by name."""
    return {name: options[name] for name in options.declared if options.given(name) and name not in ASIDE}


def wanted(options: Options) -> bool:
    """Whether the command line asks for a daemon."""
    return any(options.given(name) for name in IMPLY)
