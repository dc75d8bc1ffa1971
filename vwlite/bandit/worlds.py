"""Simulated bandit problems: the expected reward of each action, and its reward in each round, are known.

A world depends on its seed alone. Every block of rounds has its own random generator (Philox, keyed by the seed and the
block), so all policies see the same rounds, and a longer run begins like a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 1000  # rounds whose random numbers are drawn together
MAKING = 0  # the key of what is drawn once, before the blocks 1, 2, ...

# The standard deviation of the logit of a Beta(a, a) variable is sqrt(2 trigamma(a)).
UNIFORM_PRECISION, BETA_4_4_PRECISION = 0.304, 1.762


class Rounds(NamedTuple):
    """Consecutive rounds; each list has an entry per round.

    decisions  the lines of a decision: shared features, if it has any, then a line for each action
    shared     the number of lines of shared features: 0 or 1
    expected   the probability of a reward for each action
    rewarded   whether each action is rewarded, if it is chosen
    best       the largest of `expected`
    """

    decisions: list[list[bytes]]
    shared: int
    expected: list[list[float]]
    rewarded: list[list[bool]]
    best: list[float]


class World(Protocol):
    """A bandit problem."""

    @property
    def title(self) -> str:
        """What it is, in a line."""

    @property
    def flags(self) -> dict[str, object]:
        """The flags of a suitable learner, by name."""

    def rounds(self, seed: int, total: int) -> Iterator[Rounds]:
        """The first `total` rounds, in blocks."""


class Arms(NamedTuple):
    """One action is rewarded with probability 1/2, all others with 1/2 - gap (Chapelle and Li 2011, section 2)."""

    arms: int
    gap: float

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return f"{self.arms} actions, one rewarded with probability 0.5, the others with {0.5 - self.gap:g}"

    @property
    def flags(self) -> dict[str, object]:
        """A coefficient for each action; its prior has the variance that a uniform prior of the probability has."""
        return {**LEARNER, "noconstant": True, "l2": UNIFORM_PRECISION}

    def rounds(self, seed: int, total: int) -> Iterator[Rounds]:
        """The first `total` rounds, in blocks."""
        expected = np.full(self.arms, 0.5 - self.gap)
        expected[source(seed, MAKING).integers(self.arms)] = 0.5
        lines = [b"|a a%d" % k for k in range(self.arms)]
        for n, random in blocks(seed, total):
            rewarded = (random.random((BLOCK, self.arms)) < expected)[:n].tolist()
            yield Rounds([lines] * n, 0, [expected.tolist()] * n, rewarded, [0.5] * n)


class Pool(NamedTuple):
    """A changing set of actions: each round, one of them is replaced with probability `retire`.

    The reward probability of a new one is drawn from Beta(4, 4) (Chapelle and Li 2011, the simulation of delays).
    """

    arms: int
    retire: float

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return (
            f"{self.arms} actions, rewarded with probabilities drawn from Beta(4, 4); one is replaced with probability "
            f"{self.retire:g} a round"
        )

    @property
    def flags(self) -> dict[str, object]:
        """A coefficient for each action; the prior has the variance of the true one."""
        return {**LEARNER, "noconstant": True, "l2": BETA_4_4_PRECISION}

    def rounds(self, seed: int, total: int) -> Iterator[Rounds]:
        """The first `total` rounds, in blocks."""
        expected = source(seed, MAKING).beta(4, 4, self.arms)
        lines = [b"|a a%d" % k for k in range(self.arms)]
        born = self.arms
        for n, random in blocks(seed, total):
            luck = random.random((BLOCK, self.arms))
            table, decisions, begin = np.empty((BLOCK, self.arms)), [], 0
            for at, slot in replacements(random, self.retire, self.arms):
                table[begin:at] = expected
                decisions += [lines] * (at - begin)
                lines, begin = lines.copy(), at
                lines[slot] = b"|a a%d" % born
                expected[slot] = random.beta(4, 4)
                born += 1
            table[begin:] = expected
            decisions += [lines] * (BLOCK - begin)
            yield Rounds(
                decisions[:n], 0, table[:n].tolist(), (luck < table)[:n].tolist(), table[:n].max(axis=1).tolist()
            )


class Ads(NamedTuple):
    """Rare clicks of users on ads: a logistic model of the features of users, of ads, and of their interactions.

    In the manner of Chapelle and Li 2011, section 4, where contexts were those of a real system and clicks were
    simulated. A user has a value of each of three attributes; an ad has a name and a campaign. The logit is a
    constant, and a weight for each feature and for each pair of a user's and a campaign, all drawn from N(0, SPREAD^2).
    A random set of ads is eligible in a round, of 1 to 2 * eligible - 1 of them.
    """

    arms: int
    eligible: int
    retire: float

    @property
    def title(self) -> str:
        """What it is, in a line."""
        comes = f"; one is replaced with probability {self.retire:g} a round" if self.retire else ""
        return (
            f"{self.arms} ads, of which {self.eligible} are eligible on average, for users of three attributes{comes}"
        )

    @property
    def flags(self) -> dict[str, object]:
        """All features and pairs, with the true prior."""
        return {**LEARNER, "l2": 1 / SPREAD**2, "intercept_l2": 0.01, "quadratic": ["uc"]}

    def rounds(self, seed: int, total: int) -> Iterator[Rounds]:
        """The first `total` rounds, in blocks."""
        truth = Clicks(seed, self.arms)
        largest = 2 * self.eligible - 1
        for n, random in blocks(seed, total):
            users = random.choice(ATTRIBUTE_VALUES, (BLOCK, ATTRIBUTES), p=POPULARITY)
            sizes = random.integers(1, largest + 1, BLOCK)
            luck = random.random((BLOCK, largest)).tolist()
            changes = dict(replacements(random, self.retire, self.arms))
            block = Rounds([], 1, [], [], [])
            for i in range(n):
                if i in changes:
                    truth.replace(changes[i], random)
                ads = random.choice(self.arms, sizes[i], replace=False)
                expected = truth.probabilities(users[i], ads).tolist()
                values = zip(ATTRIBUTE_NAMES, users[i].tolist(), strict=True)
                shared = "shared |u " + " ".join(f"{name}{value}" for name, value in values)
                block.decisions.append([shared.encode(), *(truth.lines[k] for k in ads.tolist())])
                block.expected.append(expected)
                block.rewarded.append([u < p for u, p in zip(luck[i], expected, strict=False)])
                block.best.append(max(expected))
            yield block


SPREAD = 0.5  # standard deviation of every weight
CONSTANT = -4.0
ATTRIBUTE_NAMES = ("age", "place", "taste")
ATTRIBUTES, ATTRIBUTE_VALUES = len(ATTRIBUTE_NAMES), 10
POPULARITY: NDArray[np.float64] = 1 / np.arange(1, ATTRIBUTE_VALUES + 1)
POPULARITY /= POPULARITY.sum()
ADS_OF_A_CAMPAIGN = 20

# The default learner. One draw decides; more draws would only estimate the probability of the decision.
LEARNER: dict[str, object] = {"bayes_logistic": True, "posterior": "diagonal", "ts_samples": 1}


class Clicks:
    """The weights of the simulated ads; a new ad replaces the weights of a retired one."""

    def __init__(self, seed: int, ads: int) -> None:
        random = source(seed, MAKING)
        campaigns = max(1, ads // ADS_OF_A_CAMPAIGN)
        users = ATTRIBUTES, ATTRIBUTE_VALUES
        self.of_users = random.normal(0, SPREAD, users)
        self.of_campaigns = random.normal(0, SPREAD, campaigns)
        self.of_users_and_campaigns = random.normal(0, SPREAD, (*users, campaigns))
        self.of_ads = random.normal(0, SPREAD, ads)
        self.campaigns = random.integers(campaigns, size=ads)
        self.lines = [b"|a ad%d |c campaign%d" % (k, self.campaigns[k]) for k in range(ads)]
        self.born = ads

    def probabilities(self, user: NDArray[np.int64], ads: NDArray[np.int64]) -> NDArray[np.float64]:
        """The probability that each of the ads is clicked by a user, given as a value of each attribute."""
        which = np.arange(ATTRIBUTES), user
        campaigns = self.campaigns[ads]
        of_campaigns = self.of_campaigns[campaigns] + self.of_users_and_campaigns[which][:, campaigns].sum(axis=0)
        logit = CONSTANT + self.of_users[which].sum() + of_campaigns + self.of_ads[ads]
        return np.asarray(1 / (1 + np.exp(-logit)))

    def replace(self, place: int, random: np.random.Generator) -> None:
        """Replaces an ad by a new one."""
        self.of_ads[place] = random.normal(0, SPREAD)
        self.campaigns[place] = random.integers(len(self.of_campaigns))
        self.lines[place] = b"|a ad%d |c campaign%d" % (self.born, self.campaigns[place])
        self.born += 1


def source(seed: int, key: int) -> np.random.Generator:
    """A random generator that depends on the seed and a key."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(key,))))


def blocks(seed: int, total: int) -> Iterator[tuple[int, np.random.Generator]]:
    """The number of rounds of each block, BLOCK except for the last one, and its random generator."""
    for block in range(-(-total // BLOCK)):
        yield min(BLOCK, total - block * BLOCK), source(seed, block + 1)


def replacements(random: np.random.Generator, retire: float, arms: int) -> list[tuple[int, int]]:
    """The rounds of a block in which an action is replaced, and which one."""
    happens, places = random.random(BLOCK) < retire, random.integers(arms, size=BLOCK)
    return [(int(at), int(places[at])) for at in np.flatnonzero(happens)]
