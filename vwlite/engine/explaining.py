"""Explanations: the terms of scores, for Python and for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vwlite.core.learner import chain
from vwlite.core.textbuffer import TextBuffer
from vwlite.engine.doors import TEXT, Doors
from vwlite.errors import OptionError
from vwlite.report.explainer import Explainer


def explainer_of(workspace: Any, part: str | None = None, most: int = 0, as_json: bool = False) -> Explainer:
    """The Explainer of a workspace's stack.

    Args:
        workspace: The workspace.
        part: The part of the score that is shown: "fixed" or the namespace of a random effect; None for all.
        most: How many terms are shown of each part; 0 for all.
        as_json: Whether it writes lines of JSON.

    Returns:
        The Explainer.

    Raises:
        OptionError: If there is no such part, or predictions have no terms.
    """
    top = workspace.top
    parts = next((list(learner.part_names) for learner in chain(top) if len(learner.part_names) > 1), [])
    only = {}
    if part is not None:
        if part not in parts:
            there = f"only {', '.join(parts)}" if parts else "its score has one part"
            raise OptionError(f"--effect {part}: there is no such part of the score, {there}")
        only = {"only": parts.index(part)}
    sd = any(learner.has_posterior for learner in chain(top))
    return Explainer(top, workspace.interactions, parts=parts, sd=sd, most=most, as_json=as_json, **only)


@contextmanager
def observed(workspace: Any, explainer: Explainer) -> Iterator[None]:
    """Has an Explainer observe the examples that the workspace's driver runs."""
    driver = workspace.driver
    before = driver.observer, driver.needs_names, driver.listener, driver.wants_variance
    driver.observer, driver.needs_names, driver.listener = explainer, True, workspace
    driver.wants_variance = driver.wants_variance or any(learner.has_posterior for learner in chain(workspace.top))
    try:
        yield
    finally:
        driver.observer, driver.needs_names, driver.listener, driver.wants_variance = before


def explain(workspace: Any, x: Any, columns: Any, effect: str | None, most: int) -> Any:
    """The explanation of one example, or a list of those of several; see Workspace.explain."""
    explainer, driver = explainer_of(workspace, effect, most), workspace.driver
    answers = driver.predictions
    driver.predictions = TextBuffer() if answers is not None else None  # of a server: no client waits for these
    try:
        with observed(workspace, explainer):
            # readers of its own, which keep names
            Doors(driver, workspace.parser, workspace.options).run(x, None, None, None, columns, False)
    finally:
        driver.predictions = answers
    one = isinstance(x, (*TEXT, Mapping)) or getattr(x, "ndim", 0) == 1
    if not one:
        return explainer.found
    return explainer.found[0] if explainer.found else None
