"""Simulates policies in a bandit problem: all see the same rounds, and each has its own Workspace.

Each decision is first passed to learn() unlabelled, which draws an action and counts it, and then with the cost of that
action: as in production, through text and the whole stack. The second time, the lines of other actions are omitted,
since nothing is learned from them.

Regret is expected regret: the sum over rounds of the probability of a reward of the best action, less that of the
chosen one. It excludes the noise of the rewards.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vwlite.bandit.replay import Event, Log
from vwlite.bandit.workers import share
from vwlite.bandit.worlds import Rounds, World
from vwlite.core.options import Options, check
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.library_flags import refuse_run_options
from vwlite.engine.needs import acts
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.reductions.cb_adf import cost_range
from vwlite.reductions.thompson import OPTIONS as POLICY_OPTIONS

# The flags of each policy, and the flag that the number after its name sets.
POLICIES: dict[str, tuple[list[str], str | None]] = {
    "thompson": (["--thompson"], "ts_alpha"),
    "optimistic": (["--thompson", "--ts_optimistic"], "ts_alpha"),
    "ucb": (["--explore", "ucb"], "ucb_alpha"),
    "epsilon": (["--explore", "epsilon"], "explore_rate"),
    "greedy": (["--explore", "greedy"], None),
    "random": (["--explore", "uniform"], None),
}

# Flags that choose the learner; with one of them, the world's own flags are not added.
LEARNERS = ("bayes_logistic", "bayes_linear", "logistic", "square", "loss_function", "random_effect", "config")
INTERACTIONS = ("quadratic", "cubic", "interactions")
OURS = {
    "random_seed": "use --seed",
    "testonly": "policies have to learn",
    "thompson": "use --policies",
    "explore": "use --policies",
    "ts_optimistic": "use --policies optimistic",
    "quiet": "give --quiet before the --",
}


class Policy(NamedTuple):
    """A policy: its name as given, and all flags of its workspace except the seed."""

    name: str
    flags: list[str]


class Game(NamedTuple):
    """A simulation. `marks` are the rounds at which the regret so far is recorded, in order; the last is the end."""

    world: World | Log
    policies: list[Policy]
    rounds: int
    delay: int
    marks: NDArray[np.int64]
    costs: tuple[float, float]


class Play(NamedTuple):
    """The result of one policy with one seed.

    curve    at each mark the regret so far, or of a log the mean cost so far (NaN while nothing counts)
    errors   of a log the standard error of each of these means, from the costs that make it; NaN otherwise
    counted  number of rounds that count: all, or the accepted matches of a log
    cost     their total cost
    seconds  processor time
    """

    curve: NDArray[np.float64]
    errors: NDArray[np.float64]
    counted: int
    cost: float
    seconds: float


def learner_flags(world: World | Log, words: Sequence[str]) -> dict[str, Any]:
    """The flags of the learner, by name: those given, and the world's own.

    Raises OptionError for flags that can't be used here.
    """
    options = parse(words, option_groups())
    refuse(options)
    typed = {name: options[name] for name in options.declared if options.given(name)}
    typed.pop("config", None)
    own = dict(world.flags)
    if options.given("initial_regressor"):
        own = {}
    elif any(options.given(name) for name in LEARNERS):
        rewards = options["bayes_logistic"] or options["logistic"] or options["loss_function"] == "logistic"
        kept = ("ts_samples", "quadratic", "cost_range" if rewards else "")
        own = {name: own[name] for name in own if name in kept}
    if any(options.given(name) for name in INTERACTIONS):
        own.pop("quadratic", None)
    merged = {**own, **typed}
    return {name: merged[name] for name in options.declared if name in merged}


def refuse(options: Options) -> None:
    """Raises OptionError for flags that can't follow "--"."""
    if options.data is not None:
        raise OptionError(f"{options.data!r} is not a flag; only flags of the learner follow --")
    refuse_run_options(options)
    errors = [f"--{name} can't follow --: {OURS[name]}" for name in OURS if options.given(name)]
    if errors:
        raise OptionError(errors)


def spell(flags: dict[str, Any]) -> list[str]:
    """Flags as the words of a command line."""
    words: list[str] = []
    for name, value in flags.items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name}"] if one is True else [f"--{name}", f"{one:.9g}" if type(one) is float else f"{one}"]
    return words


def fitting(flags: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The flags that have an effect with the policy of `words`."""
    options = parse([*words, *spell(flags)], option_groups())
    inert = {
        option.name
        for option in POLICY_OPTIONS.options
        if not acts(options.declared[option.name], options, (), "library")
    }
    return {name: flags[name] for name in flags if name not in inert}


def used(flags: dict[str, Any], policies: Sequence[Policy], words: Sequence[str]) -> dict[str, Any]:
    """The flags that have an effect with some policy. Raises OptionError for others in `words`."""
    options = parse(words, option_groups())
    words_used = {word for policy in policies for word in policy.flags}
    unused = [name for name in flags if f"--{name}" not in words_used]
    errors = [f"--{name} has no effect under any of --policies" for name in unused if options.given(name)]
    if errors:
        raise OptionError(errors)
    return {name: flags[name] for name in flags if name not in unused}


def read_policies(text: str, flags: dict[str, Any]) -> list[Policy]:
    """Parses a list of policies such as thompson:0.5,greedy. Raises OptionError for unknown ones."""
    policies: list[Policy] = []
    for name in text.split(","):
        kind, colon, number = name.partition(":")
        if kind not in POLICIES:
            raise OptionError(f"--policies {text}: there is no policy {kind!r}, only {', '.join(POLICIES)}")
        words, flag = POLICIES[kind]
        own = fitting({other: flags[other] for other in flags if other != flag or not colon}, words)
        if colon:
            words = [*words, *number_of(text, kind, flag, number)]
        if any(name == other.name for other in policies):
            raise OptionError(f"--policies {text}: {name} is given twice")
        policies.append(Policy(name, [*words, *spell(own)]))
    return policies


def number_of(text: str, kind: str, flag: str | None, number: str) -> list[str]:
    """The flag that the number after a policy's name sets."""
    if flag is None:
        raise OptionError(f"--policies {text}: {kind} takes no number")
    declared = {option.name: option for group in option_groups() for option in group.options}
    try:
        check(declared[flag], float(number))
    except (ValueError, OptionError) as error:
        reason = str(error) if isinstance(error, OptionError) else "expected a number"
        raise OptionError(f"--policies {text}: {kind}:{number}: {reason}") from error
    return [f"--{flag}", number]


def costs_of(policy: Policy) -> tuple[float, float]:
    """The costs, in a policy's workspace, of a reward and of no reward; raises errors of the workspace."""
    return cost_range(Workspace(policy.flags).options["cost_range"])


class Player:
    """A policy in a simulation.

    Costs become known every `delay` rounds: all of these rounds at once, before the next decision.
    """

    def __init__(self, game: Game, policy: Policy, seed: int) -> None:
        self.workspace = Workspace([*policy.flags, "--random_seed", str(seed)])
        self.game = game
        self.learns = not policy.name.startswith("random")  # learning wouldn't change its choices
        self.feedback: list[bytes] = []
        self.learning = 0  # decisions in the feedback
        self.since = 0  # rounds since the last feedback
        self.round = 0
        self.noted: list[float] = []
        self.errors: list[float] = []
        self.regret = 0.0
        self.counted = 0
        self.cost = self.squares = self.seconds = 0.0

    def decide(self, decisions: list[list[bytes]]) -> list[tuple[int, float]]:
        """Learns the feedback if it is due, and makes the decisions until the next feedback.

        Returns the action and its probability for each decision.
        """
        lines, before = [], 0
        if self.since == 0:
            lines, before = self.feedback, self.learning
            self.feedback, self.learning = [], 0
        some = decisions[: self.game.delay - self.since]
        for decision in some:
            lines += decision
            lines.append(b"")
        self.since = (self.since + len(some)) % self.game.delay
        return [result[0] for result in self.workspace.learn(lines)[before:]]

    def play(self, rounds: Rounds) -> None:
        """Plays rounds of a simulated problem."""
        started = time.process_time()
        reward, other = self.game.costs
        decisions, shared, i = rounds.decisions, rounds.shared, 0
        regrets = []
        while i < len(decisions):
            for action, probability in self.decide(decisions[i:] if self.game.delay > 1 else decisions[i : i + 1]):
                rewarded = rounds.rewarded[i][action]
                regrets.append(rounds.best[i] - rounds.expected[i][action])
                cost = reward if rewarded else other
                self.cost += cost
                if self.learns:
                    lines = decisions[i]
                    label = f"0:{cost:.9g}:{min(probability, 1.0):.9g} ".encode()
                    self.feedback += lines[:shared]
                    self.feedback += (label + lines[shared + action], b"")
                    self.learning += 1
                i += 1
        regret = np.concatenate([[self.regret], regrets]).cumsum()
        self.regret = float(regret[-1])
        marks = self.game.marks
        inside = marks[(marks > self.round) & (marks <= self.round + len(decisions))]
        self.noted += regret[inside - self.round].tolist()
        self.round += len(decisions)
        self.seconds += time.process_time() - started

    def replay(self, events: list[Event], counts: list[bool]) -> None:
        """Replays logged decisions; `counts` is whether each counts if the choice is the logged one."""
        started = time.process_time()
        marks, i = set(self.game.marks.tolist()), 0
        decisions = [event.decision for event in events]
        while i < len(events):
            for action, _ in self.decide(decisions[i : i + self.game.delay]):
                event = events[i]
                if counts[i] and action == event.logged:
                    self.counted += 1
                    self.cost += event.cost
                    self.squares += event.cost**2
                    if self.learns:
                        self.feedback += event.feedback
                        self.learning += 1
                i += 1
                if self.round + i in marks:
                    self.noted.append(self.cost / self.counted if self.counted else math.nan)
                    self.errors.append(self.error_of_mean())
        self.round += len(events)
        self.seconds += time.process_time() - started

    def error_of_mean(self) -> float:
        """The standard error of the mean cost so far."""
        n = self.counted
        if n < 2:
            return math.nan
        return math.sqrt(max(self.squares - self.cost**2 / n, 0.0) / (n * (n - 1)))

    def result(self) -> Play:
        """The result."""
        curve = np.array(self.noted)
        if isinstance(self.game.world, Log):
            return Play(curve, np.array(self.errors), self.counted, self.cost, self.seconds)
        return Play(curve, np.full(len(curve), math.nan), self.round, self.cost, self.seconds)


def play_seed(game: Game, seed: int, progress: Callable[[int], None] = lambda rounds: None) -> list[Play]:
    """Runs all policies through the same rounds; `progress` is called with the rounds each has played."""
    players = [Player(game, policy, seed) for policy in game.policies]
    if isinstance(game.world, Log):
        for events, counts in game.world.rounds(seed, game.rounds):
            for player in players:
                player.replay(events, counts)
                progress(len(events))
    else:
        for rounds in game.world.rounds(seed, game.rounds):
            for player in players:
                player.play(rounds)
                progress(len(rounds.decisions))
    return [player.result() for player in players]


def marks_of(rounds: int) -> NDArray[np.int64]:
    """About a hundred rounds at which the regret is recorded: linear and logarithmic steps."""
    factors = np.geomspace(1, rounds, 50)
    steps = np.linspace(rounds / 50, rounds, 50)
    return np.unique(np.rint(np.concatenate([factors, steps])).clip(1, rounds).astype(np.int64))


def play(game: Game, seeds: Iterable[int], jobs: int, progress: Callable[[int], None]) -> list[list[Play]]:
    """The plays of each seed, in order; the number of processes, `jobs`, doesn't affect the results."""
    seeds = list(seeds)
    if min(jobs, len(seeds)) == 1:
        return [play_seed(game, seed, progress) for seed in seeds]
    return share(partial(play_seed, game), seeds, min(jobs, len(seeds)), progress)
