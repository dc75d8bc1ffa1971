"""Selection: which examples of the data a run uses, with which weights and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vwlite.core.options import Option, OptionGroup, Options

OPTIONS = OptionGroup(
    "Selection of examples",
    (
        Option(
            "where",
            str,
            "use only examples for which this holds: 'city == \"Rome\" and (price > 3 or not has sale)'",
            metavar="EXPRESSION",
        ),
        Option("sample", float, "use this share of the examples, drawn at random", above=0, most=1, metavar="SHARE"),
        Option(
            "sample_weights",
            str,
            "multiply the weight of each example by a draw: 'poisson' has mean 1 (a bootstrap replicate)",
            choices=("poisson",),
        ),
        Option("shuffle", int, "put each N examples in random order", least=2, most=1 << 30, metavar="N"),
        Option("interleave", bool, "read the sources in turn, one example of each, not one source after the other"),
    ),
    needs=("command",),
    examples=(
        'vwlite trips.csv --label delay --where \'carrier in ("c1", "c2") and hour >= 6\'',
        "vwlite data.vw --sample 0.5 --sample_weights poisson --random_seed 3",
        "vwlite -d data.vw -d more.vw --interleave --shuffle 100",
    ),
)
ROWS = 1000  # of a block of examples that are not shuffled


def is_wanted(options: Options) -> bool:
    """Whether a run uses other examples than all, or in another order than they come."""
    return any(options.given(option.name) for option in OPTIONS.options)


class Selection:
    """Chooses, weighs and reorders the examples of one pass over the data.

    Args:
        options: The options of the run.
        names: Whether learners read the names of features.
        multiline: Whether an empty line ends an example.

    Raises:
        OptionError: If --where is no expression.
    """

    def __init__(self, options: Options, names: bool, multiline: bool) -> None:  # noqa: DOC502
        from vwlite.input.naming import Naming
        from vwlite.input.selecting import Selector

        self.options, self.multiline = options, multiline
        predicate = None
        if options["where"]:
            from vwlite.input.predicate import Predicate
            from vwlite.input.where import compile_where

            predicate = Predicate(options, Naming(options), compile_where(options["where"]), multiline)
        self.selector = Selector(
            predicate,
            1 if options["sample"] is None else options["sample"],
            options["sample_weights"] is not None,
            options["shuffle"] or 0,
            options["random_seed"],
            names,
            multiline,
            ROWS,
        )

    def blocks(self, blocks: Iterable[Any], at_once: bool) -> Iterator[Any]:
        """The used examples of blocks.

        Args:
            blocks: Parsed blocks.
            at_once: Whether the examples of each block are passed on before the next one is read, unless they are
                shuffled: the client of a pipe may wait for the predictions.

        Yields:
            Blocks, always the same object.
        """
        selector = self.selector
        for block in blocks:
            at, end = 0, block.n_rows
            while at < end:
                at = selector.take(block, at, block.source)
                if selector.full:
                    yield from self._whole()
            if at_once and not self.options["shuffle"]:
                yield from self._whole()
        yield from self._whole()

    def interleaved(self, streams: list[Iterator[Any]]) -> Iterator[Any]:
        """The used examples of several streams of blocks, one of each in turn; streams that end drop out.

        Args:
            streams: An iterator of parsed blocks for each source.

        Yields:
            Blocks, always the same object.
        """
        selector = self.selector
        live = [_Stream(source, blocks) for source, blocks in enumerate(streams)]
        while live:
            for stream in list(live):
                if not stream.take_one(selector):
                    live.remove(stream)
                if selector.full:
                    yield from self._whole()
        yield from self._whole()

    def _whole(self) -> Iterator[Any]:
        """Passes on what was copied."""
        if not self.selector.empty:
            yield self.selector.finish()
            self.selector.clear()

    def figures(self) -> dict[str, int]:
        """How many examples each option left out, for the summary."""
        counts = (("where", "out_where"), ("sample", "out_sample"), ("sample_weights", "out_weight"))
        return {
            f"left out by --{name}": getattr(self.selector, attribute)
            for name, attribute in counts
            if self.options.given(name)
        }

    def remarks(self) -> list[str]:
        """Warnings at the end of a run: names in --where that no example had."""
        predicate = self.selector.predicate
        if predicate is None or not self.selector.seen:
            return []
        which = "decision has such a feature in its shared line" if self.multiline else "example has such a feature"
        return [
            f"nothing matched {name} of --where: no {which} (one of a namespace is called namespace^name)"
            for name in predicate.unseen()
        ]

    def why_nothing(self) -> str:
        """The end of a message about a run without examples; "" if the options are not the reason."""
        out = {name: count for name, count in self.figures().items() if count}
        if not out or sum(out.values()) < self.selector.seen:
            return ""
        reasons = [", ".join(f"{name} = {count}" for name, count in out.items()), *self.remarks()]
        return "".join(f"; {reason}" for reason in reasons)


class _Stream:
    """The blocks of one source, of which examples are taken one by one."""

    def __init__(self, source: int, blocks: Iterator[Any]) -> None:
        self.source = source
        self.blocks = blocks
        self.block: Any = None
        self.at = self.end = 0

    def take_one(self, selector: Any) -> bool:
        """Copies the next example that is used; returns whether there was one."""
        before = selector.used
        while selector.used == before and not selector.full:
            while self.at == self.end:
                self.block = next(self.blocks, None)
                if self.block is None:
                    return False
                self.at, self.end = 0, self.block.n_rows
            self.at = selector.take(self.block, self.at, self.source, True)
        return True
