"""Translation of River's models, as pickles.py reads them, into flags of vwlite.

A model is translated exactly where vwlite predicts the same (to five digits), nearly where it learns the same kind of
model in another way, which `notes` say, and refused otherwise, with what would do instead.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vwlite.http.pickles import Call, Dict, Name, parts

# Functions that River's own objects are made with, beside those of River.
HARMLESS = frozenset(
    (
        *("collections.OrderedDict", "collections.Counter", "collections.defaultdict", "collections.deque"),
        *("dill._dill._load_type", "dill._dill._create_array", "numbers.Number", "copy.deepcopy", "functools.partial"),
        *("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"),
        *("builtins.getattr", "_operator.itemgetter", "operator.itemgetter"),
    )
)
LOSSES = {"Squared": "squared", "Log": "logistic", "Hinge": "hinge", "Quantile": "quantile", "Poisson": "poisson"}
SCALERS = {"StandardScaler": "scale", "MinMaxScaler": "minmax", "MaxAbsScaler": "maxabs"}
NEARLY_SCALED = ("RobustScaler", "AdaptiveStandardScaler", "Normalizer")
NEAR_OPTIMIZERS = ("AdaGrad", "Adam", "AdaDelta", "AdaMax", "AMSGrad", "AdaBound", "Nadam", "RMSProp", "Momentum")
OF_CLASSES = ("OneVsRestClassifier", "OneVsOneClassifier", "OutputCodeClassifier", "SoftmaxRegression")
CLASSES = 20  # of --oaa, as models of River say nothing of their number
WIDE = "--min_prediction -1e30 --max_prediction 1e30"
INSTEAD = {
    "PA": "--loss_function hinge, or LogisticRegression",
    "ALMA": "LogisticRegression",
    "naive_bayes": "LogisticRegression, or --bayes_logistic for the uncertainty of its probabilities",
    "tree": "-q :: for pairs of features with a linear model",
    "forest": "-q :: for pairs of features with a linear model",
    "neighbors": "--random_effect for a model of each user or item",
    "cluster": "a model that learns from labels: vwlite has no other",
    "anomaly": "a model that learns from labels: vwlite has no other",
    "facto": "-q for pairs of namespaces, or --random_effect",
}


class Refused(ValueError):
    """A model that vwlite can't stand in for; the message says what would do."""


@dataclass
class Translation:
    """The flags that stand in for a model.

    Args:
        options: The flags.
        exact: Whether predictions are the same, to five digits.
        notes: What is different.
        models: The model's steps, by the names of their classes.
    """

    options: list[str] = field(default_factory=list)
    exact: bool = True
    notes: list[str] = field(default_factory=list)
    models: list[tuple[str, Any]] = field(default_factory=list)

    def differ(self, note: str) -> None:
        """Notes a difference."""
        self.exact = False
        self.notes.append(note)


def kind_of(value: Any) -> str:
    """The name of an object's class, without its module; "" for what is no object of River."""
    if isinstance(value, Call) and isinstance(value.function, Name) and value.function.module.startswith("river."):
        return value.function.name
    return ""


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object."""
    state = value.state if isinstance(value, Call) else None
    return {str(name): each for name, each in state.items} if isinstance(state, Dict) else {}


def strangers(value: Any) -> list[str]:
    """The names in a pickle that no model of River has, in order."""
    names = (str(each) for each in parts(value) if isinstance(each, Name))
    return sorted({name for name in names if not name.startswith("river.") and name not in HARMLESS})


def translate(value: Any) -> Translation:
    """Translates a model.

    Args:
        value: What pickles.read() has made of it.

    Returns:
        The translation.

    Raises:
        Refused: If vwlite can't stand in for it.
    """
    unknown = strangers(value)
    if unknown:
        raise Refused(
            f"the upload names {', '.join(unknown[:3])}, and nothing in an upload is run: send a model of River, or "
            "flags such as '--loss_function logistic'"
        )
    *before, model = flat(value)
    found = Translation(models=[(kind_of(each) or "?", each) for each in (*before, model)])
    for each in before:
        transformer(each, found)
    learner(model, found)
    return found


def flat(value: Any) -> Iterator[Any]:
    """The steps of a pipeline, also of those inside it."""
    if kind_of(value) != "Pipeline":
        yield value
        return
    steps = state_of(value).get("steps")
    for _, each in steps.items if isinstance(steps, (Call, Dict)) else ():
        yield from flat(each)


def rule(selector: str, step: str) -> list[str]:
    """The flags of a transform."""
    return [
        "--transform",
        shlex.quote(f"{selector}:{step}") if re.search(r"[\s'\"]", selector) else f"{selector}:{step}",
    ]


def named(names: Any) -> str:
    """The selector of features of these names, which may be categories."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, (str, int)) for name in names):
        raise Refused("features are selected by something else than their names")
    return f"/^({'|'.join(re.escape(str(name)) for name in names)})(=|$)/"


def transformer(step: Any, found: Translation) -> None:
    """Adds the flags of a step before the model."""
    kind, state = kind_of(step), state_of(step)
    if kind in SCALERS:
        if state.get("window_size") is not None or state.get("with_std") is False:
            found.differ(f"{kind} scales by all that came before, and by the deviation")
        found.options += rule("*", SCALERS[kind]) if kind != "StandardScaler" else ["--scale"]
    elif kind in NEARLY_SCALED:
        found.options.append("--scale")
        found.differ(f"--scale takes the place of {kind}")
    elif kind == "OneHotEncoder":
        found.options += rule("*", "onehot")
    elif kind == "FeatureHasher":
        found.differ("features are hashed anyway, by another function than FeatureHasher's")
    elif kind == "Select":
        found.options += [*rule(named(state.get("keys")), "keep"), *rule("*", "drop")]
    elif kind == "Discard":
        found.options += rule(named(state.get("keys")), "drop")
    else:
        raise Refused(
            f"{kind or 'a step'} before the model is not understood; known are {', '.join(SCALERS)}, OneHotEncoder, "
            "FeatureHasher, Select and Discard"
        )


def number(value: Any, what: str) -> float:
    """A number, or that of a constant schedule. Raises Refused for another one."""
    if kind_of(value) == "Constant":
        value = state_of(value).get("learning_rate")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"{what}: only a constant is understood, not {kind_of(value) or type(value).__name__}")
    return float(value)


def learner(model: Any, found: Translation) -> None:
    """Adds the flags of a model."""
    kind, state = kind_of(model), state_of(model)
    if kind in ("LinearRegression", "LogisticRegression", "Perceptron"):
        linear(kind, state, found)
    elif kind == "BayesianLinearRegression":
        alpha, beta = number(state.get("alpha"), "alpha"), number(state.get("beta"), "beta")
        found.options += ["--bayes_linear", "--noise", f"{1 / beta:.9g}", "--l2", f"{alpha:.9g}", "--noconstant"]
        found.options += WIDE.split()
    elif kind in OF_CLASSES:
        of_classes(kind, state, found)
    elif kind == "TargetStandardScaler":
        learner(state.get("regressor"), found)
        found.differ("labels are not scaled")
    else:
        raise Refused(refusal(model, kind))


def of_classes(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of a model of several classes, one against all others."""
    inner = kind_of(state.get("classifier")) if kind != "SoftmaxRegression" else "LogisticRegression"
    if inner != "LogisticRegression":
        raise Refused(f"{kind} of {inner or '?'}: only of LogisticRegression")
    found.options += ["--oaa", str(CLASSES), "--loss_function", "logistic", "--probabilities"]
    found.differ(f"--oaa takes the place of {kind}, for up to {CLASSES} classes: upload flags with --oaa K for more")


def refusal(model: Any, kind: str) -> str:
    """Why a model is refused, and what would do."""
    module = str(model.function) if isinstance(model, Call) else ""
    instead = next((words for part, words in INSTEAD.items() if f".{part}" in module or kind.startswith(part)), "")
    what = kind or "the upload"
    return f"{what} is no linear model, and vwlite can't stand in for it" + (f"; {instead} would do" if instead else "")


def linear(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of a linear model that learns by gradients."""
    loss = kind_of(state.get("loss"))
    if loss not in LOSSES:
        raise Refused(f"{kind} with the loss {loss or '?'}: known are {', '.join(LOSSES)}")
    found.options += ["--loss_function", LOSSES[loss]]
    of_loss = state_of(state.get("loss"))
    if loss in ("Squared", "Hinge"):
        found.options += WIDE.split()
    if loss == "Log":
        found.options += ["--link", "logistic"]
        if any(of_loss.get(name, 1) != 1 for name in ("weight_pos", "weight_neg")):
            found.differ("the weights of the classes are not kept: --classweight does that")
    if loss == "Quantile":
        found.options += ["--quantile_tau", f"{number(of_loss.get('alpha'), 'alpha'):.9g}"]
    if loss == "Poisson":
        found.options += ["--link", "poisson"]
    if loss == "Hinge":
        found.differ("an example on the margin counts in River and not here")
    descent(kind, state, found)


def descent(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of gradient descent."""
    optimizer = kind_of(state.get("optimizer"))
    if optimizer == "SGD" or kind == "Perceptron":
        rate = number(state_of(state.get("optimizer")).get("lr"), "the learning rate")
        found.options += ["--sgd", "-l", f"{rate:.9g}", "--power_t", "0"]
        of_constant = number(state.get("intercept_lr"), "intercept_lr")
        if of_constant != rate:
            found.options += ["--constant_rate", f"{of_constant:.9g}"]
    elif optimizer == "FTRLProximal":
        found.options.append("--ftrl")
        found.differ("--ftrl has the rates of its own")
    elif optimizer in NEAR_OPTIMIZERS:
        found.differ(f"gradient descent with rates that adapt takes the place of {optimizer}")
    else:
        raise Refused(f"the optimizer {optimizer or '?'} is not known; SGD is translated exactly")
    for penalty in ("l1", "l2"):
        value = number(state.get(penalty, 0), penalty)
        if value:
            found.options += [f"--{penalty}", f"{value:.9g}"]
            found.differ(f"{penalty} is applied as Vowpal Wabbit does")
