"""Which kind a model is of, by the types of its labels and predictions."""

from __future__ import annotations

from vwlite.core.types import LabelType, PredictionType
from vwlite.daemon.engine import Engine
from vwlite.http.decisions import Bandit
from vwlite.http.kinds import Binary, Kind, Multiclass, Regression
from vwlite.http.problems import Problem, pointer


def kind_of(engine: Engine, wanted: str | None = None) -> Kind:
    """The kind of a model; raises Problem if it is not the one that is wanted."""
    top = engine.workspace.top
    found: type[Kind] = Kind
    if top.takes_label is LabelType.SIMPLE and top.gives_prediction is PredictionType.SCALAR:
        found = Binary if top.loss is not None and top.loss.two_classes else Regression
    elif top.takes_label is LabelType.MULTICLASS and top.gives_prediction in (
        PredictionType.CLASS,
        PredictionType.PROBABILITIES,
    ):
        found = Multiclass
    elif top.takes_label is LabelType.CONTEXTUAL_BANDIT:
        found = Bandit
    if wanted is not None and wanted != found.name:
        raise Problem(400, f"these options make a model of the kind {found.name!r}, not {wanted!r}", pointer("kind"))
    return found(engine)
