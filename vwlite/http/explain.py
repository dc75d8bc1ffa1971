"""Explains a prediction: the terms of its score."""

from __future__ import annotations

from typing import Any

from vwlite.errors import OptionError, ParseError
from vwlite.http.model import Model
from vwlite.http.problems import Problem

MOST = 1000  # terms that are shown


def explain(model: Model, line: bytes) -> list[dict[str, Any]]:
    """The terms of the score of an example without a label.

    Args:
        model: The model.
        line: The example in VW's text.

    Returns:
        Feature, value, weight and their product of each term, the largest first; of several parts of the score also
        the part, of learners with a posterior the standard deviation of the weight.

    Raises:
        Problem: If the model's score is no sum of such terms, or the example can't be used.
    """
    workspace = model.engine.workspace
    if getattr(workspace, "bottom", None) is None or model.engine.blocks:  # a model in Python
        raise Problem(400, "the predictions of this model are no sum of terms: leave out explain=1")
    try:
        found = workspace.explain(line)
    except OptionError as error:
        raise Problem(400, f"the predictions of this model have no terms: leave out explain=1 ({error})") from error
    except ParseError as error:
        raise Problem(400, str(error)) from error
    terms: list[dict[str, Any]] = sorted(found["terms"], key=lambda each: -abs(each["term"]))
    return terms[:MOST]
