"""What every learner promises about runs of the command line; `run` is the fixture of that name."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.models import Arrays

Run = Callable[..., tuple[str, Arrays]]


def two_runs_give_the_bits_of_one(
    run: Run, folder: Path, lines: Sequence[str], words: Sequence[str], cuts: Sequence[int]
) -> None:
    """Lines cut in two anywhere, the second run going on from the first one's model."""
    predictions, model = run(lines, *words)
    for cut in cuts:
        head, _ = run(lines[:cut], *words)
        (folder / "run.model").rename(folder / "first")
        tail, resumed = run(lines[cut:], "-i", str(folder / "first"))
        assert head + tail == predictions, f"cut at {cut}"
        assert resumed == model, f"cut at {cut}"


def threads_passes_and_caches_make_no_difference(
    run: Run, folder: Path, lines: Sequence[str], words: Sequence[str]
) -> None:
    """The lines twice: in one pass, by one thread, and in two passes that make a cache and read it."""
    twice = run([*lines, *lines], *words)
    assert run([*lines, *lines], *words, "--onethread") == twice
    passes = (*words, "--passes", "2", "--holdout_off", "--cache_file", str(folder / "cache"))
    assert run(lines, *passes) == twice == run(lines, *passes)
