"""The input of a run: its options, sources and cache, and the blocks of parsed examples of each pass."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.core.paths import explain
from vwlite.core.types import LabelType, is_multiline
from vwlite.engine import selection
from vwlite.errors import OptionError, VwliteError
from vwlite.features.transform_rules import transforms
from vwlite.input.databases import is_query
from vwlite.input.formats import IN_WORDS, OF_DECISIONS, OF_ROWS, OF_TABLES, WITHOUT_COLUMNS, format_of
from vwlite.input.parser import Ring
from vwlite.input.sniff import HEAD
from vwlite.parsers.cache import CacheParser, CacheWriter, fitting, require_place
from vwlite.parsers.entities import entity_namespaces
from vwlite.parsers.text import TextParser

OPTIONS = OptionGroup(
    "Input",
    (
        Option(
            "data",
            str,
            "read examples from this file (- is standard input, the default)",
            short="d",
            many=True,
            metavar="FILE",
            file="read",
            task="learn",
        ),
        Option("no_stdin", bool, "read nothing when no data is named"),
        Option(
            "cache", bool, "cache parsed examples in DATA.vwlite_cache, and use them while DATA is unchanged", short="c"
        ),
        Option("cache_file", str, "the same, in this file", metavar="FILE", file="written"),
        Option(
            "allow_empty",
            bool,
            "don't fail if no example has a feature, or none is learned",
            needs=("command",),
        ),
        Option(
            "max_malformed",
            str,
            "fail, and write no model, if more than N lines, or this share of all, are malformed",
            metavar="N|P%",
            needs=("command & !strict_parse",),
        ),
        Option("kill_cache", bool, "rewrite the cache", short="k", needs=("cache", "cache_file")),
    ),
    examples=(
        "vwlite -d data.vw -d more.vw --cache_file both.cache -k -f model",
        "vwlite data.vw -c --passes 3 -f model",
        "vwlite --no_stdin --allow_empty -i start.model -f model",
        "vwlite data.vw --max_malformed 1% -f model",
    ),
)


# To be increased whenever the parser's result for a text changes, or reasons (reasons.pxd) are renumbered:
# older caches are rewritten then. 1 is that of vwlite 0.1.0.
PARSER_VERSION = 5


class Feed:
    """The sources of a run, read once as text and, for further passes, from a cache in a file or in memory."""

    def __init__(
        self,
        options: Options,
        needs_names: bool = False,
        labels: LabelType = LabelType.SIMPLE,
        multiline: bool | None = None,
        again: bool = False,
        names_to: Any = None,
    ) -> None:
        self.options = options
        self.others: Sequence[Options] = ()  # of other models that learn from the same blocks
        self.labels = labels
        self.multiline = is_multiline(labels) if multiline is None else multiline
        self.again = again or options["passes"] > 1  # there may be a further pass
        self.paths = data_paths(options)
        for path in self.paths:
            if path != "-" and not is_query(path):
                try:
                    os.stat(path)
                except OSError as error:
                    raise VwliteError(f"{path}: can't read examples: {explain(error, path)}") from error
        self.names = ["stdin" if path == "-" else path for path in self.paths]
        self.format, self.note = format_of(options, self.paths)
        if self.multiline and self.format not in OF_DECISIONS:
            advice = "if this is VW's JSON, add --json or --dsjson" if self.format == "json" else "write VW's text"
            raise OptionError(
                f"{', '.join(self.names)}: this stack learns decisions of several lines, which {IN_WORDS[self.format]} "
                f"can't give: {advice}"
            )
        self._require_label()
        self.selection: selection.Selection | None = None  # of the first pass; further ones read what it has used
        # names of features are stored with their hashes only if they are used
        self.wants_names: bool = needs_names or options["audit"] or bool(options["invert_hash"])
        if options["interleave"] and len(self.paths) < 2:
            raise OptionError("--interleave has no effect with one source: name several with -d, or leave it out")
        if selection.is_wanted(options):
            self.selection = selection.Selection(options, self.wants_names, self.multiline)
        # a client of a pipe may wait for each prediction
        self.interactive = any(not is_regular(path) for path in self.paths)
        self.cache_path = cache_path(options, self.paths)
        if self.cache_path is not None and not self.paths:
            flag = "--cache_file" if options["cache_file"] else "--cache"
            raise OptionError(f"{flag} has no effect without data: name the file that the cache was made from")
        # a driver that asks the parser for the names of single rows, so that the others need none
        plain = self.format == "vw" and not self.multiline and not options.noted
        plain = plain and not (self.again or self.selection or self.cache_path)
        self.names_to = names_to if plain and not (options["audit"] or options["invert_hash"]) else None
        if self.names_to is not None:
            self.wants_names = False
        # (descriptor, offset of its records) of an existing cache
        self.found: tuple[int, int] | None = self._find()
        # read from the cache, from the first pass or from when a pass has filled it
        self.cached = self.reads_cache = self.found is not None
        self.digests = bool(options["final_regressor"])  # models name the digest of what they learned
        self.window = 1  # blocks that stay valid while further ones are taken, where the ring hands them out
        self.records: list[dict[str, Any]] = []
        self.head: bytes | None = None  # of the text; None if a cache is read
        self.ring: Any = None
        self.parser: Any = None
        self.writer: Any = None

    def _find(self) -> tuple[int, int] | None:
        if self.cache_path is None:
            return None
        require_place(self.cache_path)
        if not self.keeps_cache or self.options["kill_cache"]:
            return None
        return fitting(self.cache_path, self._key())

    @property
    def keeps_cache(self) -> bool:
        """Whether the cache is saved for later runs; only those of all examples of files of text are.

        A pipe's content can't be compared with that of an earlier run; what the columns of a table are is read from the
        table.
        """
        whole = self.cache_path is not None and not self.interactive and self.format == "vw"
        return whole and self.selection is None

    def size(self) -> int | None:
        """Bytes to read in the first pass, for the progress bar; None if that is unknown."""
        if not self.paths or self.interactive:
            return None
        return sum(os.stat(path).st_size for path in self.paths)

    def description(self) -> list[str]:
        """The lines about the input in VW's header."""
        verb = "using" if self.cached else "creating"
        kept = self.cache_path is not None and (self.keeps_cache or self.options["vw_compat"])
        cache = f"{verb} cache_file = {self.cache_path}" if kept else "using no cache"
        name = ", ".join(self.names) if self.names else "none"
        return [cache, f"Reading datafile = {name}", f"num sources = {len(self.paths)}"]

    def _key(self) -> dict[str, Any]:
        """The data that a cache depends on: the state of the sources, and the options of parsing."""
        sources: list[Any] = []
        for path in self.paths:
            if is_regular(path):
                state = os.stat(path)
                # the time of the inode's last change can't be set back, as that of the content can
                sources.append([os.path.abspath(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns])
            else:
                sources.append(path)
        options = {
            name: self.options[name]
            for name in (
                "hash",
                "hash_seed",
                "redefine",
                "vw_compat",
                "max_line_bytes",
                *(OF_TABLES * (self.format != "vw")),
            )
        }
        key = {
            "sources": sources,
            "options": options,
            "names": self.wants_names,
            "labels": self.labels.value,
            "multiline": self.multiline,
            "parser": PARSER_VERSION,
        }
        return (
            key
            | ({"entities": entities} if (entities := entity_namespaces(self.options)) else {})
            | ({"transforms": True} if transforms(self.options) else {})
            | ({"noted": sorted(self.options.noted)} if self.options.noted else {})
        )

    def blocks(self, *stacks: Any) -> Generator[Any, None, None]:
        """Yields the blocks of a pass; interactions of features are computed in advance for stacks that support it."""
        self.reads_cache = self.cached
        if self.cached:
            found = self.found
            self.parser = CacheParser(self.cache_path, *found, self._key()) if found else self.writer.reread()
            if found and not self.records:  # whose digests are not known
                self.records = [{"name": path, "sha256": None, "bytes": os.stat(path).st_size} for path in self.paths]
            writer = None
        else:
            self.parser = self._sources(self.digests)
            wanted = self.cache_path is not None or self.again
            place = self.cache_path if self.keeps_cache else None
            writer = self.writer = CacheWriter(place, self._key()) if wanted else None
            self.records = self.parser.reader.records
            self.head = b""
        if self.names_to is not None:
            self.names_to.names_from = self.parser
        self.ring = self._ring(self.parser, stacks)
        self.ring.start()
        whole = False
        blocks = self._taken()
        if self.selection is not None and not self.cached and not self.options["interleave"]:
            blocks = self.selection.blocks(blocks, self.interactive)
        try:
            for block in blocks:
                if writer is not None:
                    writer.write(block)
                yield block
            whole = not self.ring.interrupted
        except GeneratorExit:
            # the driver stops (--examples): the cache is complete for further passes, but not for later runs
            if writer is not None:
                writer.commit(publish=False)
                self.cached = True
                writer = None
            raise
        finally:
            if self.names_to is not None:
                self.names_to.names_from = None
            self.ring.stop()
            if writer is not None and whole:
                writer.commit()
                self.cached = True
            elif writer is not None:
                writer.discard()

    @property
    def holds(self) -> int:
        """How many blocks of the current pass are valid at once: the last ones of blocks()."""
        direct = isinstance(self.ring, Ring) and (self.selection is None or self.reads_cache)
        return self.window if direct else 1

    def _taken(self) -> Iterator[Any]:
        """The blocks of the ring."""
        while (block := self.ring.take()) is not None:
            if self.head == b"":
                self.head = block.head(HEAD)
            yield block

    @property
    def parses_names(self) -> bool:
        """Whether parsers store names: learners, or --where, read them. What reads `Options.noted` needs names, too."""
        return self.wants_names or bool(self.options["where"] and not self.cached)

    def _ring(self, parser: Any, stacks: Sequence[Any] = (), workers: int = 1) -> Any:
        """The ring buffer of the blocks of a parser, or what makes blocks itself."""
        if hasattr(parser, "take"):
            return parser
        workers = 0 if self.options["onethread"] else workers
        # rows that are chosen or reordered afterwards are crossed when they are learned
        ahead = [] if self.multiline or self.selection is not None else [stack.ahead() for stack in stacks]
        crossings = [make for make in ahead if make is not None]
        return Ring(parser, workers, self.parses_names, crossings, self.window)

    def _sources(self, digest: bool) -> Any:
        """The parser of all sources, one after the other or in turn."""
        if self.selection is None or not self.options["interleave"]:
            return self._parser(digest, self.paths)
        from vwlite.engine.interleaved import MANY, Interleaved

        workers = int(len(self.paths) <= MANY)
        parsers = [self._parser(digest, [path]) for path in self.paths]
        return Interleaved(parsers, [self._ring(parser, workers=workers) for parser in parsers], self.selection)

    def _require_label(self) -> None:
        """Raises OptionError for a table of which no column is said to be the label, unless it is only predicted."""
        from_map = any(re.search(r":label(@|$|\s)", text) for text in self.options["columns_in"])
        if self.format in (*WITHOUT_COLUMNS, "json") or self.options["testonly"] or self.options["label"] or from_map:
            return
        looks = f" It looks like {IN_WORDS[self.format]}; --format vw if it is not." if self.note else ""
        raise OptionError(
            f"{', '.join(self.names)}: which column is the label? "
            f"--label NAME says it, --label none only predicts.{looks}"
        )

    def _parser(self, digest: bool, paths: list[str]) -> Any:
        """Creates the parser of sources of the run's format."""
        if self.format == "vw":
            return TextParser(self.options, paths, digest, self.labels, self.multiline)
        if self.format in ("vwjson", "dsjson"):
            from vwlite.parsers.vw_json import VwJsonParser

            return VwJsonParser(
                self.options,
                paths,
                digest,
                self.labels,
                self.multiline,
                self.parses_names,
                enveloped=self.format == "dsjson",
                chained=self.options["chain_hash"],
            )
        if self.format in ("libsvm", "words"):
            from vwlite.parsers.libsvm import LibsvmParser
            from vwlite.parsers.words import WordsParser

            kind = LibsvmParser if self.format == "libsvm" else WordsParser
            return kind(self.options, paths, digest, self.labels, self.parses_names, entity_namespaces(self.options))
        if self.format == "ntv":
            from vwlite.parsers.json import JsonParser

            return JsonParser(self.options, paths, digest, self.labels, None, self.parses_names, bags=True)
        from vwlite.input.column_map import read_map
        from vwlite.parsers.csv import CsvParser

        options, learns = self.options, not self.options["testonly"]
        column_map = read_map(options["columns_in"], options["label"])
        if self.format in OF_ROWS:
            from vwlite.engine.table_feed import TableFeed

            return TableFeed(
                options, paths, self.format, digest, self.labels, column_map, self.parses_names, self._decided
            )
        if self.format == "json":
            from vwlite.parsers.json import JsonParser

            mapped = column_map if column_map.rules or column_map.label else None
            return JsonParser(options, paths, digest, self.labels, mapped, self.parses_names)
        return CsvParser(
            options, paths, digest, self.labels, column_map, self.parses_names, learns, self.format, self._decided
        )

    def _decided(self, rules: list[Any]) -> None:
        """Keeps what the columns are, so that the model reads other tables alike."""
        if not self.options["testonly"]:
            given = [str(rule) for rule in rules if rule.role != "label"]
            for options in (self.options, *self.others):
                options.set("columns_in", given, "model")

    def progress(self) -> int | None:
        """Bytes of the first pass read so far; None if a cache is read."""
        return None if self.cached or self.parser is None else int(self.parser.reader.progress())

    def is_at_hand(self) -> bool:
        """Whether a further block is parsed already, so that there is no need to wait for its producer."""
        return isinstance(self.ring, Ring) and bool(self.ring.is_ready())

    def interrupt(self) -> None:
        """Makes blocks() end soon; safe in a signal handler."""
        if self.ring is not None:
            self.ring.interrupt()

    def close(self) -> None:
        """Stops threads and closes files."""
        if self.ring is not None:
            self.ring.stop()
        if self.parser is not None:
            self.parser.close()
        if self.found is not None:
            os.close(self.found[0])
            self.found = None


def data_paths(options: Options) -> list[str]:
    """The paths that examples are read from, in order; "-" is standard input."""
    paths: list[str] = [*([options.data] if options.data else []), *options["data"]]
    return paths or ([] if options["no_stdin"] else ["-"])


def cache_path(options: Options, paths: list[str]) -> str | None:
    """The path of the cache; None without one."""
    if options["cache_file"]:
        return str(options["cache_file"])
    if not options["cache"]:
        return None
    # VW's caches are called DATA.cache, have another format, and may be in the same folder
    return ".vwlite_cache" if paths in ([], ["-"]) else f"{paths[0]}.vwlite_cache"


def is_regular(path: str) -> bool:
    """Whether a path is a regular file, which can be read again."""
    return path != "-" and os.path.isfile(path)
