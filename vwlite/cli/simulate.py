"""``vwlite simulate``: compares policies in a bandit problem, by their regret."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from vwlite.errors import OptionError

if TYPE_CHECKING:
    from vwlite.bandit.replay import Log
    from vwlite.bandit.worlds import World

# For each problem the default of --rounds, and the problem's own options with their defaults.
PROBLEMS: dict[str, tuple[int, dict[str, Any]]] = {
    "arms": (10_000, {"arms": 10, "gap": 0.1}),
    "pool": (10_000, {"arms": 10, "retire": 0.001}),
    "ads": (20_000, {"arms": 100, "eligible": 20, "retire": 0.0}),
    "FILE": (0, {"accept": None}),
}
DEFAULT_POLICIES = "thompson,ucb,epsilon,greedy,random"


class Command(click.Command):
    """A click command with a hint about flags of the learner."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Adds a hint to click's message about an unknown option."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise OptionError(
                f"unknown flag {error.option_name!r}; flags of the learner follow --: "
                f"vwlite simulate arms -- {error.option_name}"
            ) from error


@click.command("simulate", cls=Command)
@click.argument("problem", metavar="PROBLEM")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- FLAGS]")
@click.option(
    "--policies",
    default=DEFAULT_POLICIES,
    metavar="NAME,..",
    show_default=True,
    help="The policies: these, and optimistic (Thompson sampling with --ts_optimistic). A number after a name is the "
    "width of its exploration: thompson:0.5 has --ts_alpha 0.5, ucb:2 --ucb_alpha 2, epsilon:0.01 --explore_rate 0.01. "
    "The others are compared with the first.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 10**12),
    metavar="N",
    help="Decisions of a run. [default: 10000, ads 20000, FILE all]",
)
@click.option("--seeds", type=click.IntRange(1, 10**6), default=10, show_default=True, help="Runs of each policy.")
@click.option("--seed", type=click.IntRange(0, 2**32), default=1, show_default=True, help="The first seed.")
@click.option(
    "--delay",
    type=click.IntRange(1, 10**9),
    default=1,
    show_default=True,
    metavar="N",
    help="Reveal costs every N rounds, those of N rounds at once.",
)
@click.option("--arms", type=click.IntRange(2, 10**6), metavar="K", help="Actions. [default: 10, ads 100]")
@click.option(
    "--gap",
    type=click.FloatRange(0, 0.5, min_open=True),
    help="arms: how much more often the best action is rewarded. [default: 0.1]",
)
@click.option(
    "--eligible", type=click.IntRange(1, 10**6), metavar="N", help="ads: mean number of actions a round. [default: 20]"
)
@click.option(
    "--retire",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="pool, ads: probability that an action is replaced after a round. [default: pool 0.001, ads 0]",
)
@click.option(
    "--accept",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="C",
    help="FILE: a match counts with probability C / logged probability. More than the smallest logged probability "
    "lets more decisions count, and may bias the estimate. [default: the smallest]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Processes that share the seeds; the results don't depend on it. [default: one per core]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
@click.option("--curves", metavar="FILE", help="Write the regret at about 100 of the rounds, as tab-separated values.")
@click.option("--plot", metavar="FILE.png", help="Plot these curves; needs matplotlib, pip install 'vwlite[plot]'.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors and results.")
@click.pass_context
def command(
    context: click.Context,
    /,
    problem: str,
    flags: tuple[str, ...],
    policies: str,
    rounds: int | None,
    seeds: int,
    seed: int,
    delay: int,
    jobs: int | None,
    as_json: bool,
    curves: str | None,
    plot: str | None,
    quiet: bool,
    **own: Any,
) -> None:
    """Run policies in a bandit problem, and print the regret of each.

    \b
    PROBLEM is one of
      arms  K actions, one rewarded half of the time, the others by --gap less often
      pool  K actions with probabilities from Beta(4, 4), replaced from time to time
      ads   rare clicks of users on ads, by a logistic model; few ads are eligible
      FILE  decisions logged in Vowpal Wabbit's cb_adf text, replayed

    The first two are simulations of Chapelle and Li 2011, the third is a smaller version of theirs. Regret is the sum
    of the expected reward of the best action less that of the chosen one, so it excludes the noise of rewards. "+-" is
    the standard error of the value before it. All policies see the same rounds, so the difference between two has a
    smaller error than either.

    Every policy has its own learner. Flags after "--" are added to those of the problem; a learner named there
    replaces the problem's.

    With a FILE, a decision counts, and is learned, if the policy chooses the logged action. If logged probabilities
    differ, matches of more probable actions count less often (rejection sampling), so that the mean cost is an unbiased
    estimate of the policy's cost in so many rounds. --delay counts logged decisions. The file is held in memory.

    \b
      vwlite simulate arms --plot regret.png
      vwlite simulate ads --delay 200 --policies thompson:0.5,thompson,ucb:2,greedy,random
      vwlite simulate log.vw.gz -- --bayes_linear -q ua
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.bandit import regret
    from vwlite.bandit import simulation as simulate
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.report.outputs import Progress, Sink

    check_subcommand([None if problem in PROBLEMS else problem], curves=curves, plot=plot)
    world, rounds, check = problem_of(
        problem, rounds, {name: value for name, value in own.items() if value is not None}
    )
    chosen = simulate.learner_flags(world, flags)
    players = simulate.read_policies(policies, chosen)
    costs, *_ = [simulate.costs_of(policy) for policy in players]  # reports errors in any policy before the first run
    chosen = simulate.used(chosen, players, flags)
    for remark in check(simulate.spell(simulate.fitting(chosen, ["--explore", "uniform"]))):
        if not quiet:
            click.echo(f"[warning] {remark}", err=True)
    game = simulate.Game(world, players, rounds, delay, simulate.marks_of(rounds), costs)
    if plot is not None:
        if not plot.endswith(".png"):
            raise OptionError(f"--plot {plot}: plots are written as PNG: name a file that ends in .png")
        from vwlite.pictures.png import require_matplotlib

        require_matplotlib("--plot")
    sinks = []
    bar = Progress(sys.stderr, rounds * len(game.policies) * seeds, not quiet)
    played = 0

    def progress(more: int) -> None:
        nonlocal played
        played += more
        bar.update(lambda: played, played)

    with terminated():
        try:
            for path, what, draw in ((curves, "curves", regret.curves), (plot, "the plot", regret.plot)):
                if path is not None:
                    sinks.append((Sink(path, what), draw))
            started = time.perf_counter()
            plays = simulate.play(game, range(seed, seed + seeds), jobs or cores(), progress)
            bar.clear()
            for sink, draw in sinks:
                sink.write(draw(game, plays))
            for sink, _ in sinks:
                sink.commit()
        finally:
            bar.clear()
            for sink, _ in sinks:
                sink.discard()
    again = ["vwlite", "simulate", problem, *settings(context, rounds), "--", *simulate.spell(chosen)]
    click.echo(regret.text(game, regret.rows(game, plays), again, as_json))
    if not quiet:
        each = 1e6 * sum(play.seconds for each in plays for play in each) / played
        seconds = time.perf_counter() - started
        click.echo(f"{played:,} decisions in {seconds:.1f} s, {each:.1f} microseconds of a processor each", err=True)


def problem_of(
    name: str, rounds: int | None, own: dict[str, Any]
) -> tuple[World | Log, int, Callable[[list[str]], list[str]]]:
    """Builds the problem; returns it, its rounds, and a function that checks its decisions with a learner's flags.

    Raises OptionError for options of other problems.
    """
    kind = name if name in PROBLEMS and name != "FILE" else "FILE"
    usual, known = PROBLEMS[kind]
    for option in own:
        if option not in known:
            fitting = ", ".join(other for other, (_, options) in PROBLEMS.items() if option in options)
            here = f"{name!r} is read as a file" if kind == "FILE" else f"not for {name}"
            raise OptionError(f"--{option} is for {fitting}; {here}")
    values = {**known, **own}
    from vwlite.bandit import replay

    if kind == "FILE":
        lines = replay.read_lines(name)
        title = "stdin" if name == "-" else name
        replay.check(title, lines, [])
        log = replay.read_log(title, lines, values["accept"], rounds)
        return log, len(log.events), lambda flags: replay.check(title, lines, flags)
    from vwlite.bandit import worlds

    if kind == "ads" and 2 * values["eligible"] - 1 > values["arms"]:
        raise OptionError(
            f"--eligible {values['eligible']}: up to {2 * values['eligible'] - 1} ads are eligible in a round, but "
            f"there are {values['arms']}"
        )
    make = {"arms": worlds.Arms, "pool": worlds.Pool, "ads": worlds.Ads}[kind]
    world: World = make(**values)
    decision = [*next(world.rounds(1, 1)).decisions[0], b""]  # all decisions have the same namespaces
    return world, rounds or usual, lambda flags: replay.check(name, decision, flags)


def settings(context: click.Context, rounds: int) -> list[str]:
    """The options that determine the results, as arguments of a command line, including defaults of the problem."""
    words = []
    values = {**context.params, "rounds": rounds}
    problem = values["problem"]
    own = PROBLEMS.get(problem, PROBLEMS["FILE"])[1]
    for name in (*own, "rounds", "seeds", "seed", "delay", "policies"):
        value = values[name] if values[name] is not None else own.get(name)
        if value is not None:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def terminated() -> Iterator[None]:
    """Has SIGTERM raise SystemExit, so that no incomplete file and no process is left."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # signal handlers can be set in the main thread only
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
