"""Where examples come from: the options of input, and the blocks of each pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from vwlite.errors import VwliteError
from vwlite.options import Option, OptionGroup, Options
from vwlite.parser import Ring
from vwlite.parsers.cache import CacheParser, CacheWriter
from vwlite.parsers.text import TextParser
from vwlite.paths import explain
from vwlite.types import LabelType

CACHE_SUFFIX = ".vwlite-cache"  # not VW's .cache: either program would stumble over the other's file

OPTIONS = OptionGroup(
    "Input",
    (
        Option(
            "data",
            str,
            "read examples from here (- is standard input, the default)",
            short="d",
            many=True,
            metavar="FILE",
        ),
        Option("no_stdin", bool, "read nothing when no data is named"),
        Option("cache", bool, "keep parsed examples in DATA.vwlite-cache, and use them when nothing has changed", short="c"),
        Option("cache_file", str, "the same, in this file", metavar="FILE"),
        Option("kill_cache", bool, "make the cache anew", short="k"),
    ),
)


class Feed:
    """The sources of a run, read once as text and, for further passes, from a cache in a file or in memory."""

    def __init__(self, options: Options, needs_names: bool = False, labels: LabelType = LabelType.SIMPLE) -> None:
        self.options = options
        self.labels = labels
        self.paths: list[str] = [*([options.data] if options.data else []), *options["data"]]
        if not self.paths and not options["no_stdin"]:
            self.paths = ["-"]
        for path in self.paths:
            if path != "-":
                try:
                    os.stat(path)
                except OSError as error:
                    raise VwliteError(f"{path}: can't read examples: {explain(error, path)}") from error
        self.names = ["stdin" if path == "-" else path for path in self.paths]
        # names are kept beside hashes only where somebody will read them
        self.wants_names: bool = needs_names or options["audit"] or bool(options["invert_hash"])
        self.cache_path = self._cache_path()
        # read from the cache, from the first pass or from when a pass has filled it
        self.cached = self.cache_path is not None and self._fits()
        self.records: list[dict[str, Any]] = []
        self.ring: Any = None
        self.parser: Any = None
        self.writer: Any = None
        # somebody may wait for each answer
        self.interactive = any(not is_regular(path) for path in self.paths)

    def _cache_path(self) -> str | None:
        if self.options["cache_file"]:
            return str(self.options["cache_file"])
        if not self.options["cache"]:
            return None
        if self.paths in ([], ["-"]):
            return CACHE_SUFFIX
        return f"{self.paths[0]}{CACHE_SUFFIX}"

    def size(self) -> int | None:
        """Bytes to read in the first pass, for the progress bar; None if that is unknown."""
        if not self.paths or self.interactive:
            return None
        return sum(os.stat(path).st_size for path in self.paths)

    def description(self) -> list[str]:
        """VW's lines about the input."""
        verb = "using" if self.cached else "creating"
        cache = "using no cache" if self.cache_path is None else f"{verb} cache_file = {self.cache_path}"
        name = ", ".join(self.names) if self.names else "none"
        return [cache, f"Reading datafile = {name}", f"num sources = {len(self.paths)}"]

    def _fits(self) -> bool:
        return not self.options["kill_cache"] and CacheParser.fits(self.cache_path, self._key())

    def _key(self) -> dict[str, Any]:
        """What a cache depends on: the sources as they are now, and the options of parsing."""
        sources: list[Any] = []
        for path in self.paths:
            if is_regular(path):
                state = os.stat(path)
                sources.append([os.path.abspath(path), state.st_size, state.st_mtime_ns])
            else:
                sources.append(path)
        options = {
            name: self.options[name] for name in ("hash", "hash_seed", "redefine", "vw_compat", "max_line_bytes")
        }
        return {
            "sources": sources,
            "options": options,
            "names": self.wants_names,
            "labels": self.labels.value,
        }

    def blocks(self, interactions: Any) -> Iterator[Any]:
        """The blocks of a pass, features crossed ahead where `interactions` can."""
        if self.cached:
            self.parser = self.writer.reread() if self.writer is not None else CacheParser(self.cache_path)
            writer = None
        else:
            digest = bool(self.options["final_regressor"])
            self.parser = TextParser(self.options, self.paths, digest, self.labels)
            wanted = self.cache_path is not None or self.options["passes"] > 1
            writer = self.writer = CacheWriter(self.cache_path, self._key()) if wanted else None
            self.records = self.parser.reader.records
        workers = 0 if self.options["onethread"] else 1
        expander = (
            interactions.ahead(self.options, self.options["bit_precision"]) if self.labels is LabelType.SIMPLE else None
        )
        self.ring = Ring(self.parser, workers, self.wants_names, expander)
        self.ring.start()
        whole = False
        try:
            while (block := self.ring.take()) is not None:
                if writer is not None:
                    writer.write(block)
                yield block
            whole = not self.ring.interrupted
        except GeneratorExit:
            # the driver has enough (--examples): what it saw will do for further passes, but not for further runs
            if writer is not None:
                writer.commit(publish=False)
                self.cached = True
                writer = None
            raise
        finally:
            self.ring.stop()
            if writer is not None and whole:
                writer.commit()
                self.cached = True
            elif writer is not None:
                writer.discard()

    def progress(self) -> int | None:
        """Bytes of the first pass read so far; None when a cache is read."""
        return self.parser.reader.progress() if isinstance(self.parser, TextParser) else None

    def interrupt(self) -> None:
        """Make blocks() end soon; safe in a signal handler."""
        if self.ring is not None:
            self.ring.interrupt()

    def close(self) -> None:
        """Let go of threads and files."""
        if self.ring is not None:
            self.ring.stop()
        if self.parser is not None:
            self.parser.close()


def is_regular(path: str) -> bool:
    """Whether the path is a file that can be read again."""
    return path != "-" and os.path.isfile(path)
