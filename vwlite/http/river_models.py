"""Translation of River's models, as pickles.py reads them, into flags of vwlite.

A model is translated exactly where vwlite predicts the same (to five digits, unless names collide), nearly where it
learns the same kind of model in another way, which `notes` say, and refused otherwise, with what would do instead.
"""

from __future__ import annotations

from typing import Any

from vwlite.http.pickles import Name, parts, shown
from vwlite.http.river_features import rules_of
from vwlite.http.river_parts import MOST_STEPS, Refused, Translation, has_learned, kind_of, number, state_of, steps_of

# Functions that River's own objects are made with, beside those of River.
HARMLESS = frozenset(
    (
        *("collections.OrderedDict", "collections.Counter", "collections.defaultdict", "collections.deque"),
        *("dill._dill._load_type", "dill._dill._create_array", "numbers.Number", "copy.deepcopy", "functools.partial"),
        *("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"),
        *("numpy.random._pickle.__randomstate_ctor", "numpy.random._pickle.__bit_generator_ctor"),
        *("numpy.random._pickle.__generator_ctor", "numpy.random._mt19937.MT19937", "numpy.random._pcg64.PCG64"),
        *("builtins.getattr", "_operator.itemgetter", "operator.itemgetter"),
    )
)
LOSSES = {"Squared": "squared", "Log": "logistic", "Hinge": "hinge", "Quantile": "quantile", "Poisson": "poisson"}
NEAR_OPTIMIZERS = ("AdaGrad", "Adam", "AdaDelta", "AdaMax", "AMSGrad", "AdaBound", "Nadam", "RMSProp", "Momentum")
OF_CLASSES = ("OneVsRestClassifier", "OneVsOneClassifier", "OutputCodeClassifier", "SoftmaxRegression")
WRAPPERS = {
    "TargetStandardScaler": ("regressor", "labels are not scaled"),
    "TargetMinMaxScaler": ("regressor", "labels are not scaled"),
}
CLASSES = 20  # of --oaa, as models of River say nothing of their number
WIDE = ("--min_prediction", "-1e30", "--max_prediction", "1e30")  # otherwise predictions end where labels do
RANGES = {
    **dict.fromkeys(("Squared", "Hinge", "Quantile"), WIDE),
    "Log": (),
    "Poisson": ("--min_prediction", "-80", "--max_prediction", "80"),  # whose exponential is finite in single precision
}
FLAGS = "send a model of River, or flags such as '--loss_function logistic'"
NO_CLIP = 1e12  # of gradients: River's default
STILL = 1e-30  # rate of a constant that doesn't learn
INSTEAD = {  # by a part of the module's name, or the beginning of the class's
    "PA": "--loss_function hinge, or LogisticRegression, would do",
    "ALMA": "LogisticRegression would do",
    "naive_bayes": "LogisticRegression, or --bayes_logistic for the uncertainty of its probabilities, would do",
    "tree": "-q :: for pairs of features with a linear model would do",
    "forest": "-q :: for pairs of features with a linear model would do",
    "neighbors": "--random_effect for a model of each user or item would do",
    "cluster": "vwlite learns from labels",
    "anomaly": "vwlite learns from labels",
    "facto": "-q for pairs of namespaces, or --random_effect, would do",
    "reco": "--random_effect for each user and item would do",
    "bandit": "a model of the kind bandit would do",
    "time_series": "LinearRegression of earlier values would do",
    "multioutput": "a model for each output would do",
    "river": "LinearRegression and LogisticRegression would do",
}


def strangers(value: Any) -> list[str]:
    """The names in a pickle that no model of River has, in order."""
    names = (str(each) for each in parts(value) if isinstance(each, Name))
    return sorted({name for name in names if not name.startswith("river.") and name not in HARMLESS})


def translate(value: Any) -> Translation:  # noqa: DOC502
    """Translates a model.

    Args:
        value: What pickles.read() has made of it.

    Returns:
        The translation.

    Raises:
        Refused: If vwlite can't stand in for it.
    """
    if not kind_of(value):
        refuse_strangers(value)
    found = Translation()
    *before, model = steps_of(value)
    while kind_of(model) in WRAPPERS and len(before) < MOST_STEPS:
        found.models.append((kind_of(model), model))
        before.append(model)
        inner, note = WRAPPERS[kind_of(model)]
        found.differ(note)
        *more, model = steps_of(state_of(model).get(inner))
        before += more
    before = [each for each in before if kind_of(each) not in WRAPPERS]
    found.models = [(kind_of(each) or "?", each) for each in (*before, model)] + found.models
    found.options += rules_of(before, found)
    learner(model, found)
    if any(has_learned(each) for _, each in found.models):
        found.differ("what the model has learned before the upload is not taken over: it begins untrained")
    refuse_strangers(value)
    return found


def refuse_strangers(value: Any) -> None:
    """Raises Refused for a pickle with names that no model of River has."""
    unknown = strangers(value)
    if unknown:
        raise Refused(
            f"the upload names {', '.join(map(shown, unknown[:3]))}, and nothing in an upload is run: {FLAGS}"
        )


def learner(model: Any, found: Translation) -> None:
    """Adds the flags of a model."""
    kind, state = kind_of(model), state_of(model)
    if kind in ("LinearRegression", "LogisticRegression", "Perceptron"):
        linear(kind, state, found)
    elif kind == "BayesianLinearRegression":
        bayesian(state, found)
    elif kind in OF_CLASSES:
        of_classes(kind, state, found)
    else:
        raise Refused(refusal(model, kind))


def bayesian(state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of Bayesian linear regression."""
    alpha, beta = number(state.get("alpha"), "alpha"), number(state.get("beta"), "beta")
    if not (alpha > 0 and beta > 0):
        raise Refused("alpha and beta of BayesianLinearRegression are precisions, above 0")
    if state.get("smoothing") is not None:
        smoothing = number(state["smoothing"], "smoothing")
        found.options += ["--forget", f"{smoothing:.9g}"]
        beta *= 1 - smoothing
        found.differ("--forget takes the place of smoothing: what is forgotten decays to the prior, and not to nothing")
        if not (0 < smoothing < 1):
            raise Refused("the smoothing of BayesianLinearRegression is between 0 and 1")
    found.options += [
        "--bayes_linear",
        "--noise",
        f"{1 / beta:.9g}",
        "--l2",
        f"{alpha / beta:.9g}",
        "--noconstant",
        *WIDE,
    ]
    found.notes.append("beyond 512 features the posterior precision is stored as its diagonal (--posterior_full)")


def of_classes(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of a model of several classes, one against all others."""
    if kind != "SoftmaxRegression":
        *before, model = steps_of(state.get("classifier"))
        if kind_of(model) != "LogisticRegression":
            raise Refused(f"{kind} of {kind_of(model) or '?'}: only of LogisticRegression")
        found.options += rules_of(before, found)
        found.models += [(kind_of(each) or "?", each) for each in (*before, model)]
    found.options += ["--oaa", str(CLASSES), "--loss_function", "logistic", "--probabilities"]
    found.differ(f"--oaa takes the place of {kind}, for up to {CLASSES} classes: upload flags with --oaa K for more")


def refusal(model: Any, kind: str) -> str:
    """Why a model is refused, and what would do."""
    module = str(model.function) if kind else ""
    instead = (words for part, words in INSTEAD.items() if part in module.split(".") or kind.startswith(part))
    return f"{kind or 'the upload'} is no linear model, and vwlite can't stand in for it; {next(instead, FLAGS)}"


def linear(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of a linear model that learns by gradients."""
    loss = kind_of(state.get("loss"))
    if loss not in LOSSES:
        raise Refused(f"{kind} with the loss {loss or '?'}: known are {', '.join(LOSSES)}")
    found.options += ["--loss_function", LOSSES[loss], *RANGES[loss]]
    of_loss = state_of(state.get("loss"))
    if loss in ("Log", "Hinge"):
        found.options += ["--link", "logistic"]
    if loss == "Log" and any(of_loss.get(name, 1) != 1 for name in ("weight_pos", "weight_neg")):
        found.differ("the weights of the classes are not kept: --classweight does that")
    if loss == "Quantile":
        found.options += ["--quantile_tau", f"{number(of_loss.get('alpha'), 'alpha'):.9g}"]
        found.differ("an example that is predicted exactly counts in River and not here")
    if loss == "Poisson":
        found.options += ["--link", "poisson"]
    if loss == "Hinge":
        found.differ("an example on the margin counts in River and not here")
        if of_loss.get("threshold", 1) != 1:
            found.differ("the margin is 1, as of the usual hinge loss")
    if number(state.get("clip_gradient", NO_CLIP), "clip_gradient") < NO_CLIP:
        found.differ("gradients are not clipped")
    beginning = state.get("initializer")
    if beginning is not None and kind_of(beginning) != "Zeros":
        found.differ(f"coefficients begin at 0, and not as {kind_of(beginning) or 'the initializer'} has them")
    descent(kind, state, found)


def descent(kind: str, state: dict[str, Any], found: Translation) -> None:
    """Adds the flags of gradient descent."""
    optimizer = kind_of(state.get("optimizer"))
    if optimizer == "SGD" or kind == "Perceptron":
        rate = number(state_of(state.get("optimizer")).get("lr"), "the learning rate")
        found.options += ["--sgd", "-l", f"{rate:.9g}", "--power_t", "0"]
        constant(state, rate, found)
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


def constant(state: dict[str, Any], rate: float, found: Translation) -> None:
    """Adds the flags of the constant of gradient descent."""
    own = number(state.get("intercept_lr"), "intercept_lr")
    first = number(state.get("intercept_init", 0), "intercept_init")
    if first:
        found.options += ["--constant", f"{first:.9g}"]
    if own == 0 and not first:
        found.options.append("--noconstant")
    elif own != rate:
        found.options += ["--constant_rate", f"{own or STILL:.9g}"]
