"""The options of delayed labels, and what they request."""

from __future__ import annotations

import re
from typing import Any

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.errors import OptionError

OPTIONS = OptionGroup(
    "Delayed labels",
    (
        Option(
            "delay",
            str,
            "in the first pass, learn each example when N further ones have been predicted, or so many seconds later "
            "(30s, see --time): the loss is that of labels that come late, the model in the end the same",
            metavar="N|SECONDSs",
            needs=("command & !testonly & !audit & !invert_hash",),
        ),
        Option(
            "time",
            str,
            "what the seconds of --delay are read from: a feature or column of this name (namespace^name), or tag",
            metavar="NAME",
            needs=("delay",),
        ),
    ),
    examples=("vwlite data.vw --delay 100 -f model", "vwlite timed.vw --delay 30s --time t"),
)


def read_delay(options: Options) -> tuple[float, bool]:
    """Parses --delay.

    Args:
        options: The options of a run.

    Returns:
        The number of examples or of seconds, and whether it is of seconds.

    Raises:
        OptionError: If it is neither, or --time is missing or has no effect.
    """
    text = options["delay"]
    if not re.fullmatch(r"\d{1,15}(\.\d{1,9})?s|\d{1,15}", text) or not float(text.rstrip("s")) > 0:
        raise OptionError(f"--delay {text}: expected a number of examples such as 100, or of seconds such as 30s")
    timed = text.endswith("s")
    if timed and not options["time"]:
        raise OptionError(f"--delay {text} needs --time NAME, which says when an example came: add that")
    if not timed and options["time"]:
        raise OptionError(f"--time has no effect with --delay {text}, a number of examples: give seconds, such as 30s")
    return float(text.rstrip("s")), timed


def delay_of(options: Options, driver: Any, names: bool) -> Any:
    """The Delay that the options request; None without one. Raises OptionError if the stack can't be delayed."""
    if not options["delay"]:
        return None
    amount, timed = read_delay(options)
    if driver.top.multiline:
        raise OptionError("--delay is of single lines, and this stack learns from examples of several: leave it out")
    from vwlite.engine.delayed import Delay

    return Delay(driver, amount, time_of(options) if timed else None, options["time"] or "", names)


def time_of(options: Options) -> Any:
    """What finds the time in an example."""
    from vwlite.input.naming import Naming
    from vwlite.input.predicate import Predicate
    from vwlite.input.where import looking_for, of_feature
    from vwlite.parsers.entities import entity_namespaces

    return Predicate(options, Naming(options, entity_namespaces(options)), looking_for([of_feature(options["time"])]))
