"""The metrics of --report: their names, formulas, and the reasons why one is undefined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError
from vwlite.features.interactions import namespace_hash
from vwlite.report.metrics import COLUMNS, Metrics
from vwlite.report.outputs import decimals, pages_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vwlite.core.options import Options

    Floats = NDArray[np.float64]

# numpy is imported when metrics are computed: a run without --report doesn't need it.

NAMES = ("auc", "logloss", "brier", "accuracy", "rmse", "mse", "mae", "calibration")
NEED_CLASSES = ("auc", "logloss", "brier", "accuracy")
NEED_LOG_ODDS = ("logloss", "brier")


class Wanted(NamedTuple):
    """A requested metric, of all examples or (with a namespace) the mean over its entities."""

    name: str
    namespace: str | None


class Figure(NamedTuple):
    """A metric of a run. `note` is the reason why it is undefined, or the number of entities it is the mean of."""

    name: str
    value: float | None
    note: str = ""

    def line(self) -> str:
        """The line of the summary."""
        value = "n/a" if self.value is None else decimals(self.value)
        return f"{self.name} = {value}" + (f" ({self.note})" if self.note else "")


def read(texts: Iterable[str]) -> list[Wanted]:
    """Parses --report to a list without duplicates; raises OptionError that names all unknown metrics."""
    found: dict[Wanted, None] = {}
    errors = []
    texts = list(texts)
    pages = pages_of(texts)
    for word in (word.strip() for text in texts if text not in pages for word in text.split(",")):
        name, colon, namespace = word.partition(":")
        if name not in NAMES:
            errors.append(f"--report: there is no metric {name!r}; there are {', '.join(NAMES)}")
        elif colon and (not namespace or ":" in namespace):
            errors.append(f"--report {word}: the name of a namespace goes after the colon, as in {name}:user")
        found[Wanted(name, namespace or None)] = None
    if errors:
        raise OptionError(errors)
    return list(found)


class Report:
    """Records the predictions of a run, and computes the metrics of --report.

    Raises OptionError for unknown metrics, and for a stack whose predictions are not numbers.
    """

    def __init__(self, options: Options, top: Any) -> None:
        self.wanted = read(options["report"])
        if top.takes_label is not LabelType.SIMPLE or top.gives_prediction is not PredictionType.SCALAR:
            raise OptionError(
                f"--report compares a number with a label; {top.name} takes {top.takes_label.name} labels "
                f"and gives {top.gives_prediction.name} predictions"
            )
        self.log_odds = "logistic" in top.loss.name or options["link"] == "logistic"
        self.namespaces = list(dict.fromkeys(wanted.namespace for wanted in self.wanted if wanted.namespace))
        self.metrics: Any = Metrics(
            any(wanted.name == "auc" for wanted in self.wanted),
            [
                (namespace_hash(options, namespace), Wanted("auc", namespace) in self.wanted)
                for namespace in self.namespaces
            ],
        )

    def figures(self) -> list[Figure]:
        """All metrics, progressive ones before held-out ones; omits a kind without examples."""
        progressive, held_out = self.metrics.progressive, self.metrics.held_out
        sides = [(progressive, "")] if progressive.noted or not held_out.noted else []
        sides += [(held_out, " held out")] if held_out.noted else []
        return [figure for tally, kind in sides for wanted in self.wanted for figure in self._each(wanted, tally, kind)]

    def _each(self, wanted: Wanted, tally: Any, kind: str) -> list[Figure]:
        names = [wanted.name, "calibration ratio"] if wanted.name == "calibration" else [wanted.name]
        return [self._figure(name, wanted.namespace, tally, kind) for name in names]

    def _figure(self, name: str, namespace: str | None, tally: Any, kind: str) -> Figure:
        """Computes one metric, or the reason why it is undefined."""
        import numpy as np

        whole = name + (f" by {namespace}" if namespace else "") + kind
        reason = self._obstacle(name, tally)
        if reason:
            return Figure(whole, None, reason)
        grouping = 1 + self.namespaces.index(namespace) if namespace else 0
        values = self._values(name, tally, grouping)
        if not len(values):
            return Figure(whole, None, f"no example has a namespace {namespace}")
        if np.isnan(values).all():
            return Figure(whole, None, self._undefined(name, namespace, tally, len(values)))
        if not namespace:
            return Figure(whole, float(values[0]))
        defined = values[~np.isnan(values)]
        return Figure(whole, float(defined.mean()), f"mean of {len(defined)} of {len(values)} entities")

    def _obstacle(self, name: str, tally: Any) -> str:
        """The reason why a metric can't be computed from these examples; "" if it can."""
        if not tally.noted:
            return "no example with a label"
        if name in NEED_LOG_ODDS and not self.log_odds:
            return "scores are not log-odds without --loss_function logistic or --link logistic"
        needs_classes = name in NEED_CLASSES or (name.startswith("calibration") and self.log_odds)
        if needs_classes and tally.more_labels:
            return "more than two different labels"
        if needs_classes and name != "auc" and not {*labels(tally)} <= {-1, 1} and not {*labels(tally)} <= {0, 1}:
            return f"labels are {' and '.join(f'{label:g}' for label in labels(tally))}, not 1 and -1 or 1 and 0"
        return ""

    def _undefined(self, name: str, namespace: str | None, tally: Any, n: int) -> str:
        """The reason why a computed metric is undefined."""
        if name == "auc" and len(labels(tally)) == 1:
            return f"one class only: every label is {tally.first:g}"
        if name == "auc" and namespace:
            return f"one class only in each of {n} entities"
        return "the mean label is 0" if name == "calibration ratio" else "a prediction is not finite"

    def _values(self, name: str, tally: Any, grouping: int) -> Floats:
        """The metric of each entity (grouping 0: of all examples), NaN if it is undefined."""
        import numpy as np

        rows = np.frombuffer(tally.rows(grouping)).reshape(-1, len(COLUMNS))
        if name == "auc":
            return self._auc(tally, grouping, len(rows))
        mean = dict(zip(COLUMNS, (rows / rows[:, :1]).T, strict=True))
        if name in ("calibration", "calibration ratio"):
            said, seen = (
                (mean["probability"], mean["positive"]) if self.log_odds else (mean["prediction"], mean["label"])
            )
            return said - seen if name == "calibration" else quotient(said, seen)
        if name == "accuracy":
            return mean["right_at_zero" if self.log_odds or -1 in labels(tally) else "right_at_half"]
        if name == "rmse":
            return np.sqrt(mean["square"])
        return mean[{"logloss": "log_loss", "brier": "brier", "mse": "square", "mae": "absolute"}[name]]

    def _auc(self, tally: Any, grouping: int, n_rows: int) -> Floats:
        import numpy as np

        scores, weights = (np.frombuffer(view, np.float32) for view in tally.kept_scores())
        if tally.second > tally.first:
            weights = -weights
        if not grouping:
            return areas(scores, weights, np.zeros(len(scores), np.uint32), 1)
        entities = np.frombuffer(tally.kept_entities(grouping), np.uint32)
        there = entities < n_rows
        return areas(scores[there], weights[there], entities[there], n_rows)


def labels(tally: Any) -> list[float]:
    """The first one or two different labels."""
    return [label for label in (tally.first, tally.second) if label == label]


def areas(scores: Any, weights: Any, entities: Any, n: int) -> Floats:
    """The area under the ROC curve of each of n entities: the weighted share of pairs in order, ties counting half.

    All arrays (examples,); weights of the negative class are negative. This is the Mann-Whitney U over the number of
    pairs (Hanley and McNeil 1982), each pair counting the product of its weights. NaN where a class is missing
    or a score is not a number.
    """
    import numpy as np

    order = np.lexsort((scores, entities))
    scores, weights, entities = scores[order], weights[order].astype(np.float64), entities[order]
    area, pairs = np.zeros(n), np.zeros(n)
    if len(scores):
        first = np.r_[True, (scores[1:] != scores[:-1]) | (entities[1:] != entities[:-1])].nonzero()[0]
        up, down = (np.add.reduceat(np.maximum(w, 0), first) for w in (weights, -weights))
        owner = entities[first]
        begin = np.r_[True, owner[1:] != owner[:-1]].nonzero()[0]
        # the weight of the negatives with lower scores, in the same entity
        below = np.cumsum(down) - down
        below -= np.repeat(below[begin], np.diff(np.r_[begin, len(first)]))
        area[owner[begin]] = np.add.reduceat(up * (below + down / 2), begin)
        pairs[owner[begin]] = np.add.reduceat(up, begin) * np.add.reduceat(down, begin)
        pairs[entities[np.isnan(scores)]] = 0
    return quotient(area, pairs)


def quotient(above: Floats, below: Floats) -> Floats:
    """above / below, NaN for a division by zero."""
    import numpy as np

    return np.divide(above, below, np.full(len(below), np.nan), where=below != 0)
