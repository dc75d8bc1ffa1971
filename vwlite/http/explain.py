"""Explains a prediction: the terms of its score."""

from __future__ import annotations

from typing import Any

from vwlite.core.view import View
from vwlite.engine.audit import names
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem

MOST = 1000  # terms that are shown


class Collector:
    """A listener of the driver that keeps the view of an example."""

    def __init__(self, listener: Any) -> None:
        self.listener = listener
        self.view: View | None = None

    def audit(self, driver: Any, view: View) -> None:
        """Keeps the view."""
        self.view = view

    def __getattr__(self, name: str) -> Any:
        """What else a listener is told goes to the one before."""
        return getattr(self.listener, name)


def explain(model: Model, line: bytes) -> list[dict[str, Any]]:
    """The terms of the score of an example without a label.

    Args:
        model: The model.
        line: The example in VW's text.

    Returns:
        Feature, value, weight and their product of each term, the largest first.

    Raises:
        Problem: If the model's score is no sum of such terms, or the example can't be used.
    """
    workspace = model.engine.workspace
    bottom = getattr(workspace, "bottom", None)  # None of one in Python
    if bottom is None or model.engine.blocks or not hasattr(bottom, "weight_at"):
        raise Problem(400, "the predictions of this model are no sum of terms: leave out explain=1")
    driver = workspace.driver
    collector = Collector(driver.listener)
    before = driver.needs_names, driver.audits
    driver.listener, driver.needs_names, driver.audits = collector, True, True
    try:
        (answer,) = model.predict([line])
    finally:
        driver.listener = collector.listener
        driver.needs_names, driver.audits = before
    view = collector.view
    if view is None:
        raise Problem(400, answer.removeprefix(ERROR).decode("utf-8", "replace"))
    terms: list[dict[str, Any]] = []
    for name, (number, value) in zip(names(view, workspace.interactions), view.features, strict=True):
        weight = float(bottom.weight_at(number, view.offset)[0])
        terms.append({"feature": name, "value": value, "weight": weight, "term": value * weight})
    terms.sort(key=lambda each: -abs(each["term"]))
    return terms[:MOST]
