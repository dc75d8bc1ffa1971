"""The journal of a model as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vwlite.engine.provenance import WITHOUT_FOLD
from vwlite.model import model_file


def journal_facts(path: str) -> dict[str, Any]:
    """The journal of a model, its notes, and what it was stripped of; raises ModelError if it can't be read."""
    metadata = model_file.open(path).metadata
    names = ("id", "journal", "notes", "stripped")
    return {"path": path, **{name: metadata[name] for name in names if name in metadata}}


def printable(lines: Iterator[str] | Sequence[str]) -> str:
    """Lines as one text; control characters of names don't reach the terminal."""
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)


def journal_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The journal in the metadata of a model, a block of lines for each run."""
    journal = facts["journal"]
    yield f"{facts['path']}: model {facts['id']}, {len(journal)} run{'s' if len(journal) != 1 else ''}"
    if "stripped" in facts:
        removed = ", ".join(facts["stripped"]["removed"])
        yield f"  stripped of {removed}; sha256 of what was removed: {facts['stripped']['sha256']}"
    for name, text in facts.get("notes", {}).items():
        yield f"  note {name} = {text}"
    for number, run in enumerate(journal, 1):
        yield ""
        yield f"run {number}"
        yield from (f"  {name:10}  {text}" for name, text in run_facts(run))


def run_facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known of a run, by name."""
    yield "when", run["when"] or "unknown"
    where = f" on {run['host']}" if run.get("host") else ""
    yield "version", f"vwlite {run['version']}" + (f", Python {run['python']}" if "python" in run else "") + where
    if run.get("via") in ("library", "serving"):
        yield "fed by", "Python" if run["via"] == "library" else "clients of a daemon or of HTTP"
    if run.get("via", "").startswith(WITHOUT_FOLD):
        yield "learned", f"{run['via']} of vwlite cv"
    if "folder" in run:
        yield "folder", run["folder"]
    if run["arguments"]:
        yield (
            "arguments",
            shlex.join(run["arguments"]) if "<redacted>" not in run["arguments"] else " ".join(run["arguments"]),
        )
    yield "seed", str(run["seed"])
    for source in run["sources"]:
        digest = f"sha256 {source['sha256']}" if source["sha256"] else "sha256 unknown"
        size = "" if source["bytes"] is None else f", {source['bytes']:,} bytes"
        yield "data", f"{source['name']}, {digest}{size}"
    yield "examples", f"{run['examples']:,}"
    losses = ("none" if loss is None else f"{loss:.6g}" for loss in (run["loss_before"], run["loss_after"]))
    yield "loss", " -> ".join(losses)
    yield "parent", run["parent"] or "none"
    if "stopped" in run:
        yield "stopped by", run["stopped"]
    if "redacted" in run:
        yield "redacted", ", ".join(run["redacted"])
