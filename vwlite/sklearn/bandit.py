"""ThompsonBandit: chooses actions in contexts by Thompson sampling, and learns from their rewards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from vwlite.engine.library_flags import words_of as flags_in
from vwlite.sklearn.checks import LARGEST, LARGEST_LABEL
from vwlite.sklearn.frames import is_missing, words_of
from vwlite.wrappers.turns import SharedWorkspace

OUTCOMES = {"number": "linear", "binary": "logistic"}


class Choice(NamedTuple):
    """A chosen action.

    Args:
        action: The action, as it was given.
        probability: With which it was chosen; to be logged for estimates of other policies.
    """

    action: Any
    probability: float


class ThompsonBandit(BaseEstimator):
    """A contextual bandit: an action has the probability that it is the best, given the rewards so far.

    Thompson sampling (Thompson 1933; Chapelle and Li 2011) with a Bayesian linear model of the reward. An action is a
    name (a text or a whole number), or a dict of its features; a context is a dict of features, or None. A feature is a
    number, a text (a category), or true or false.

    Args:
        outcome: "number" for rewards of any size, "binary" for rewarded (1, True) or not (0, False).
        separate: Whether each action has a model of its own, with coefficients of the context: good for a few actions,
            which have to be names then, and a context with many features. Otherwise there is one model, in which each
            feature of an action is crossed with each of the context.
        alpha: The factor on the posterior's standard deviations: larger values explore more. 1 is Thompson
            sampling proper; 0.5, as on the command line, often earns more, and sometimes stays with a bad action.
        explore: The share of choices that is spread evenly over all actions, besides.
        l2: The precision of the prior of the coefficients.
        forget: The share of what is known that is kept at each reward, such as 0.999; None for all.
        random_state: The seed of choices; None for a new one each time.
        flags: More options of the command line.

    Attributes:
        workspace_: The vwlite.Workspace that learns, once something was chosen or learned.

    >>> bandit = ThompsonBandit(random_state=1)
    >>> for i in range(200):
    ...     context = {"hour": "morning" if i % 2 else "evening"}
    ...     action, probability = bandit.choose(context, ["tea", "wine"])
    ...     _ = bandit.reward(context, action, float((action == "tea") == bool(i % 2)), probability)
    >>> bandit.choose({"hour": "morning"}, ["tea", "wine"]).action
    'tea'
    """

    def __init__(
        self,
        outcome: str = "number",
        *,
        separate: bool = False,
        alpha: float = 1.0,
        explore: float = 0.0,
        l2: float | None = None,
        forget: float | None = None,
        random_state: Any = None,
        flags: str = "",
    ) -> None:
        self.outcome = outcome
        self.separate = separate
        self.alpha = alpha
        self.explore = explore
        self.l2 = l2
        self.forget = forget
        self.random_state = random_state
        self.flags = flags

    def choose(self, context: Any, actions: Sequence[Any]) -> Choice:  # noqa: DOC502
        """Chooses an action. Nothing is learned; any number of choices may wait for their rewards.

        Args:
            context: A dict of features, or None.
            actions: The k actions that can be taken.

        Returns:
            The chosen one and its probability, which can be unpacked.

        Raises:
            ValueError: If there is no action, or a value is not finite.
            TypeError: If an action or a feature is of another type.
            vwlite.errors.OptionError: If options can't be used together.
        """
        actions = list_of(actions, "actions")
        found = self.probabilities(context, actions)
        i = int(self.random_.choice(len(actions), p=found))
        return Choice(actions[i], float(found[i]))

    def probabilities(self, context: Any, actions: Sequence[Any]) -> Any:  # noqa: DOC503
        """With which probability each action would be chosen.

        Args:
            context: A dict of features, or None.
            actions: The k actions that can be taken.

        Returns:
            The probabilities, shape (k,).

        Raises:
            ValueError: If there is no action, or a value is not finite.
            TypeError: If an action or a feature is of another type.
            vwlite.errors.OptionError: If options can't be used together.
        """
        self._begin()
        actions = list_of(actions, "actions")
        if not actions:
            raise ValueError("there are no actions to choose from")
        pairs = self.workspace_.predict("\n".join([shared(context), *map(self._line, actions)]))
        found = np.zeros(len(actions))
        for i, probability in pairs:
            found[i] = probability
        return found / found.sum()

    def reward(self, context: Any, action: Any, reward: float, probability: float | None = None) -> Self:  # noqa: DOC502
        """Learns from the reward of one action, whenever it becomes known.

        Args:
            context: The context of the choice.
            action: The action that was taken.
            reward: What it brought: the larger, the better.
            probability: With which it was chosen. Thompson sampling learns without it; other learners, by flags, use
                it.

        Returns:
            The bandit.

        Raises:
            ValueError: If a value is not finite, a probability is not in (0, 1], or a binary reward not 0 or 1.
            TypeError: If the action or a feature is of another type.
            vwlite.errors.OptionError: If options can't be used together.
        """
        return self.partial_fit([context], [action], [reward], None if probability is None else [probability])

    def partial_fit(  # noqa: DOC503
        self, contexts: Iterable[Any], actions: Iterable[Any], rewards: Iterable[float], probabilities: Any = None
    ) -> Self:
        """Learns on from a log of choices.

        Args:
            contexts: A context for each of n choices.
            actions: The actions that were taken, n.
            rewards: What they brought, shape (n,).
            probabilities: With which they were chosen, shape (n,), or None.

        Returns:
            The bandit.

        Raises:
            ValueError: If the lengths differ, or as of `reward`.
            TypeError: As of `reward`.
            vwlite.errors.OptionError: If options can't be used together.
        """
        self._begin()
        contexts, actions, rewards = list(contexts), list_of(actions, "actions"), list(rewards)
        shares = [1.0] * len(actions) if probabilities is None else list(probabilities)
        if not len(contexts) == len(actions) == len(rewards) == len(shares):
            raise ValueError(
                f"there are {len(contexts)} contexts, {len(actions)} actions, {len(rewards)} rewards and {len(shares)} "
                "probabilities"
            )
        lines = []
        for context, action, reward, share in zip(contexts, actions, rewards, shares, strict=True):
            cost = self._cost(reward)
            if not 0 < share <= 1:
                raise ValueError(f"the probability {share!r} of an action is not above 0 and at most 1")
            lines += [shared(context), f"0:{cost!r}:{float(share)!r} {self._line(action)}", ""]
        if lines:  # all were read: nothing is learned of a log that has an error
            self.workspace_.learn(lines)
        return self

    def fit(self, contexts: Iterable[Any], actions: Iterable[Any], rewards: Iterable[float]) -> Self:  # noqa: DOC502
        """Learns anew from a log of choices.

        Args:
            contexts: A context for each of n choices.
            actions: The actions that were taken, n.
            rewards: What they brought, shape (n,).

        Returns:
            The bandit.

        Raises:
            ValueError: As of `partial_fit`.
            TypeError: As of `partial_fit`.
            vwlite.errors.OptionError: If options can't be used together.
        """
        for name in ("workspace_", "random_"):
            self.__dict__.pop(name, None)
        return self.partial_fit(contexts, actions, rewards)

    def predict(self, contexts: Iterable[Any], actions: Sequence[Any]) -> list[Any]:  # noqa: DOC502
        """The action that is most probably the best, for each context: no exploration.

        Args:
            contexts: n contexts.
            actions: The actions that can be taken, the same for all.

        Returns:
            n actions.

        Raises:
            sklearn.exceptions.NotFittedError: If nothing was learned yet.
        """
        check_is_fitted(self, "workspace_")
        return [actions[int(np.argmax(self.probabilities(context, actions)))] for context in contexts]

    def _begin(self) -> None:
        """Makes a workspace, if there is none."""
        if hasattr(self, "workspace_"):
            return
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome={self.outcome!r}: expected number or binary")
        words = ["--thompson", f"--bayes_{OUTCOMES[self.outcome]}"]
        if self.separate:
            words += ["--random_effect", "a:c", "--fixed", "none"]
            words += ["--effect_l2", repr(float(1 if self.l2 is None else self.l2))]
        else:
            words += ["--quadratic", "ca"]
            words += [] if self.l2 is None else ["--l2", repr(float(self.l2))]
        words += ["--ts_alpha", repr(float(self.alpha))]
        words += ["--explore_rate", repr(float(self.explore))] if self.explore else []
        words += [] if self.forget is None else ["--forget", repr(float(self.forget))]
        self.workspace_ = SharedWorkspace([*words, *flags_in(self.flags)])
        self.random_ = check_random_state(self.random_state)
        if self.random_ is np.random.mtrand._rand:
            self.random_ = np.random.RandomState()

    def _line(self, action: Any) -> str:
        """The line of an action."""
        if isinstance(action, Mapping) and not self.separate:
            return f"|a {' '.join(features_of(action))}"
        if isinstance(action, (bool, np.bool_)) or not isinstance(action, (str, int, np.integer)):
            what = "a text or a whole number" + ("" if self.separate else ", or a dict of features")
            raise TypeError(f"an action is {what}, not {type(action).__name__}")
        return f"|a ={word_of(action)}"

    def _cost(self, reward: Any) -> float:
        """The cost of an action with this reward. Raises ValueError for one that is not possible."""
        value = float(reward)
        if not abs(value) <= LARGEST_LABEL:
            raise ValueError(f"the reward {reward!r} is not finite, or too large for float32")
        if self.outcome == "binary" and value not in (0, 1):
            raise ValueError(f"the reward {reward!r} is neither 0 nor 1, and outcome='binary'")
        return -value


def list_of(actions: Any, what: str) -> list[Any]:
    """A list; raises TypeError for a text or a dict, which would be taken apart."""
    if isinstance(actions, (str, bytes, Mapping)) or not isinstance(actions, Iterable):
        raise TypeError(f"{what} is a list of names or of dicts, not {type(actions).__name__}")
    return list(actions)


def shared(context: Any) -> str:
    """The first line of a decision: what its actions have in common."""
    if context is None:
        context = {}
    if not isinstance(context, Mapping):
        raise TypeError(f"a context is a dict of features or None, not {type(context).__name__}")
    return f"shared |c {' '.join(features_of(context))}"


def word_of(text: Any) -> str:
    """A text without what separates words."""
    return words_of([text])[0]


def features_of(features: Mapping[Any, Any]) -> list[str]:
    """The words of features, as the text format has them."""
    words = []
    for word, (name, value) in zip(words_of(list(features)), features.items(), strict=True):
        if isinstance(value, (bool, np.bool_)):
            words += [word] if value else []
        elif isinstance(value, Number):
            if not abs(number := float(value)) <= LARGEST:  # type: ignore[arg-type]
                raise ValueError(f"the feature {name!r} is {number}: values are finite numbers of float32")
            words.append(f"{word}:{number!r}")
        elif isinstance(value, str):
            words.append(f"{word}={word_of(value)}")
        elif not is_missing(value):
            raise TypeError(f"the feature {name!r} is of type {type(value).__name__}: expected a number or a text")
    return words
