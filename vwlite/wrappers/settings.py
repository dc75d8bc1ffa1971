"""Settings: the flags of a workspace from the named parameters of an estimator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from vwlite.engine.library_flags import words_of

LEARNERS = ("auto", "bayes", "gd", "ftrl", "pistol", "coin")

# A full posterior of 64 columns and the intercept; with more coefficients its diagonal is stored.
MOST = 64
FULL, DIAGONAL = ("--posterior_full", str(MOST + 1)), ("--posterior", "diagonal")

# The label's level is no effect that should be shrunk. A little for classes: one class may come first, alone.
INTERCEPT = {"linear": "1e-6", "logistic": "0.1"}
BOUNDS = (("min_prediction", "-3e38"), ("max_prediction", "3e38"))  # a line goes on beyond the labels seen
RIDGE = "0.1"  # of linear models; what of it helps depends on the scale of the columns

# Flags that choose a learner, or that only another learner than the Bayesian one has: "auto" leaves the choice to them.
# fmt: off
DECISIVE = frozenset((
    "bayes_linear", "bayes_logistic", "square", "logistic", "ftrl", "pistol", "coin", "sgd", "adaptive",
    "normalized", "invariant", "loss_function", "l", "learning_rate", "power_t", "initial_t", "l1", "sparse_l2",
))
# fmt: on
WHOLE = frozenset(("bayes_linear", "bayes_logistic", "square", "logistic"))  # these have their own loss

# These are about one example after the other.
SINGLE = frozenset(("batch_size", "forget", "forget_time", "posterior_mode", "moments"))

# The estimators set them, and read what comes out.
# fmt: off
RESERVED = frozenset((
    "columns", "interval", "oaa", "multilabel_oaa", "csoaa", "csoaa_ldf", "scores", "probabilities", "binary", "t",
    "testonly", "thompson", "explore", "cb_adf", "cb_explore_adf", "report", "entity_limit", "predict_only_model",
    "classweight", "sweeps",
))
# fmt: on


@dataclass(frozen=True)
class Settings:
    """What a user chose of an estimator; None stands for the learner's default.

    Args:
        classifies: Whether labels are classes.
        learner: One of LEARNERS.
        learning_rate: The size of steps of gd (-l).
        power_t: How fast the steps become smaller.
        l1: L1 regularization.
        l2: L2 regularization; of a Bayesian learner the precision of the prior.
        forget: The share of the posterior that an example keeps.
        flags: Further options.
    """

    classifies: bool
    learner: str = "auto"
    learning_rate: float | None = None
    power_t: float | None = None
    l1: float | None = None
    l2: float | None = None
    forget: float | None = None
    flags: str | Iterable[str] = ""

    @classmethod
    def of(cls, estimator: Any, classifies: bool) -> Settings:
        """The settings of an estimator, from its parameters of the same names."""
        return cls(classifies, *(getattr(estimator, each.name) for each in fields(cls)[1:]))

    def given(self) -> set[str]:
        """The names of the options that were given, by parameters or in flags."""
        named = ("learning_rate", "power_t", "l1", "l2", "forget")
        return {name for name in named if getattr(self, name) is not None} | set(map(name_of, words_of(self.flags)))

    def chosen(self, sparse: bool) -> str:
        """The learner: one of LEARNERS but auto, or "flags" if the flags say which.

        Args:
            sparse: Whether rows have few of many features.

        Returns:
            The name.

        Raises:
            ValueError: If there is no such learner.
        """
        if self.learner not in LEARNERS:
            raise ValueError(f"learner={self.learner!r}: expected one of {', '.join(LEARNERS)}; others by flags")
        decisive = {"auto": DECISIVE, "bayes": WHOLE}.get(self.learner, frozenset())
        if self.given() & decisive:
            return "flags"
        if self.learner != "auto":
            return self.learner
        return "gd" if sparse else "bayes"

    def words(
        self, sparse: bool = False, n_classes: int = 2, width: int = 0, by_call: bool = False, plain: bool = False
    ) -> list[str]:
        """The flags of a workspace.

        Args:
            sparse: Whether rows have few of many features.
            n_classes: The number of classes.
            width: The number of columns, as far as it is known.
            by_call: Whether the examples of a call may be learned together.
            plain: Whether a Bayesian learner has its own defaults, not those of the estimators.

        Returns:
            The words.

        Raises:
            ValueError: If there is no such learner, or flags hold one that the estimator sets.
        """
        given, chosen = self.given(), self.chosen(sparse)
        if taken := given & RESERVED:
            raise ValueError(f"flags={self.flags!r}: the estimator sets --{min(taken)} itself: leave it out")
        if self.classifies and "link" in given:
            raise ValueError(f"flags={self.flags!r}: a classifier computes probabilities itself: leave --link out")
        words = [f"--{chosen}"] if chosen in ("ftrl", "pistol", "coin") else []
        kind = "logistic" if self.classifies else "linear"
        if chosen == "bayes":
            words.append(f"--bayes_{kind}")
        if not self.classifies and (chosen == "bayes" or given & WHOLE):
            words += [word for name, bound in BOUNDS if name not in given for word in (f"--{name}", bound)]
        if chosen == "bayes" and not plain and "random_effect" not in given:
            words += [] if given & {"posterior", "posterior_full"} else DIAGONAL if width > MOST else FULL
            words += [] if "intercept_l2" in given else ["--intercept_l2", INTERCEPT[kind]]
            words += [] if self.classifies or "l2" in given else ["--l2", RIDGE]
            words += ["--batch_size", "all"] if by_call and not given & SINGLE else []
        if chosen != "bayes" and self.classifies and not given & {"loss_function", *WHOLE}:
            words += ["--loss_function", "logistic"]
        for name in ("learning_rate", "power_t", "l1", "l2", "forget"):
            if (value := getattr(self, name)) is not None:
                words += [f"--{name}", repr(float(value))]
        words += ["--oaa", str(n_classes), "--scores"] if n_classes > 2 else []
        return words + words_of(self.flags)


def name_of(word: str) -> str:
    """The name of an option, or a letter; something else for a value."""
    if word.startswith("--"):
        return word[2:].partition("=")[0].replace("-", "_")
    return word[1:2] if word.startswith("-") else "="
