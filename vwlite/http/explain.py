"""Explains a prediction, or a decision: the terms of its score, or of those of all actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vwlite.errors import OptionError, ParseError
from vwlite.http.model import Model
from vwlite.http.problems import Problem

MOST = 1000  # terms that are shown, and actions of a decision that is explained
MOST_ACTIONS = 20  # that are shown
NO_SUM = "the predictions of this model are no sum of terms: leave out explain=1"


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
    if getattr(model.engine, "blocks", False):
        raise Problem(400, NO_SUM)
    return largest(explained(model, line)["terms"])


def explain_decision(model: Model, text: bytes, names: Sequence[str], chosen: str) -> dict[str, Any]:
    """Why a decision is what it is: the terms of the scores of its actions.

    Args:
        model: The model.
        text: The decision in VW's text, without a label.
        names: Those of the actions, in their order.
        chosen: The action that was taken.

    Returns:
        ``scores_are`` ("costs" or "rewards"), ``best``, the action with the best score, which a policy that explores
        need not take, and ``actions``: of the one taken and of the others from the best score on, at most
        MOST_ACTIONS, the ``action``, its ``score``, ``sd`` where there is a posterior, and ``terms``.

    Raises:
        Problem: If scores are no sums of terms, or there are too many actions.
    """
    if len(names) > MOST:
        raise Problem(400, f"a decision among more than {MOST:,} actions is not explained: leave out explain=1")
    found = explained(model, text)
    sign = -1 if found["scores_are"] == "rewards" else 1
    rows = [
        {"action": name, "score": each["score"]}
        | ({"sd": each["sd"]} if "sd" in each else {})
        | {"terms": largest(each["terms"])}
        for name, each in zip(names, found["actions"], strict=True)
    ]
    rows.sort(key=lambda row: (row["action"] != chosen, sign * row["score"]))
    return {
        "scores_are": found["scores_are"],
        "best": names[found["best"] - 1],
        "actions": rows[:MOST_ACTIONS],
    }


def explained(model: Model, line: bytes) -> dict[str, Any]:
    """What Workspace.explain finds. Raises Problem if the model's scores are no sums, or the example can't be used."""
    workspace = model.engine.workspace
    if getattr(workspace, "bottom", None) is None:  # a model in Python
        raise Problem(400, NO_SUM)
    try:
        found: dict[str, Any] = workspace.explain(line)
    except OptionError as error:
        raise Problem(400, f"the predictions of this model have no terms: leave out explain=1 ({error})") from error
    except ParseError as error:
        raise Problem(400, str(error)) from error
    return found


def largest(terms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest terms first, at most MOST."""
    return sorted(terms, key=lambda each: -abs(each["term"]))[:MOST]
