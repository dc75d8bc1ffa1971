"""A run that explains predictions instead of printing a table: as text, or as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from vwlite.core.textbuffer import TextBuffer
from vwlite.engine import command_line
from vwlite.engine.explaining import explainer_of, observed
from vwlite.engine.run import Run
from vwlite.engine.workspace import Workspace
from vwlite.report import outputs
from vwlite.report.outputs import decimals

Row = dict[str, Any]


class Explaining(Run):
    """A run that only predicts, and writes explanations.

    Args:
        words: The words of the run's command line, with the model and the data.
        effect: The one part of the score to write; None for all.
        most: How many terms to write of each part; 0 for all.
        as_json: Whether to write lines of JSON.
        output: Where to write; ``-`` is standard output.
    """

    def __init__(self, words: Sequence[str], effect: str | None, most: int, as_json: bool, output: str) -> None:
        options = command_line.parse([*words, "--testonly"], command_line.option_groups())
        workspace = Workspace(options, "command")
        self.explainer = explainer_of(workspace, effect, most, as_json)
        self.observing = observed(workspace, self.explainer)
        self.observing.__enter__()
        super().__init__(options, workspace)
        self.as_json = as_json
        self.lines = TextBuffer()
        if not workspace.top.multiline:
            self.explainer.out = self.lines
        self.sink = outputs.Sink(output)
        self.sinks.append((self.sink, self.lines))

    def main(self) -> int:
        """Executes the run; returns the exit status."""
        try:
            self.prepare()
            self.driver.quiet = True
            with self.signals():
                self.passes()
            self.sink.commit()
        except BaseException:
            self.sink.discard()
            raise
        finally:
            self.observing.__exit__(None, None, None)
            self.progress.clear()
            self.feed.close()
        self.print_skipped()
        return 0 if self.stopped_by is None else 128 + self.stopped_by

    def flush(self, force: bool) -> None:
        """Writes what was explained; decisions are rendered first."""
        if self.explainer.found:
            for found in self.explainer.found:
                text = json.dumps(found) if self.as_json else "\n".join([*decision_lines(found), ""])
                self.lines.add(f"{text}\n".encode("utf-8", "replace"))
            self.explainer.found.clear()
        super().flush(force)


def decision_lines(found: Row) -> Iterator[str]:
    """The explanation of a decision as text."""
    better = "higher" if found["scores_are"] == "rewards" else "lower"
    tag = f"{found['tag']}: " if "tag" in found else ""
    chosen = found["actions"][found["chosen"] - 1]
    yield f"{tag}action {found['chosen']} of {len(found['actions'])}; {better} scores are better{why(found, chosen)}"
    if "runner_up" in found:
        yield f"  what separates it from action {found['runner_up']}, by {signed(found['apart'])}:"
        for row in found["between"]:
            name = f"{row['part']}: {row['feature']}" if "part" in row else row["feature"]
            a, b = decimals(row["chosen"]), decimals(row["runner_up"])
            yield f"    {signed(row['difference'])}  {name}  {a} and {b}"
    for action in found["actions"]:
        facts = [f"score {decimals(action['score'])}"]
        facts += [f"{name} {decimals(action[name])}" for name in ("sd", "probability") if name in action]
        yield f"  action {action['action']}: {', '.join(facts)}"
        for term in action["terms"]:
            name = f"{term['part']}: {term['feature']}" if "part" in term else term["feature"]
            sd = f", sd {decimals(term['sd'])}" if "sd" in term else ""
            yield f"    {signed(term['term'])}  {name}  {decimals(term['value'])} x {decimals(term['weight'])}{sd}"


def why(found: Row, chosen: Row) -> str:
    """Why the chosen action need not be the best one."""
    if found["best"] == found["chosen"]:
        return ""
    share = f" with the probability {decimals(chosen['probability'])}" if "probability" in chosen else ""
    return f"; the policy explores: it takes this one{share}, action {found['best']} has the best score"


def signed(number: float) -> str:
    """A number with its sign."""
    return ("+" if number >= 0 else "") + decimals(number)
