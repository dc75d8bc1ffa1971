"""The option of drift detection, and the observer that it requests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.errors import OptionError

STATUS_OF_STOP = 3  # exit status of a run that --on_drift stop has ended
MARK = ".drift-"  # between the name of the model and the number
MOST_SAVED = 20  # models that --on_drift saves, so that a loss that swings doesn't fill the disk

OPTIONS = OptionGroup(
    "Drift",
    (
        Option(
            "drift",
            str,
            "report when the progressive loss rises for good, by this detector: adwin, page_hinkley or kswin; a number "
            "after it is its parameter: adwin:DELTA (0.0001, the significance), page_hinkley:THRESHOLD (100), "
            "kswin:ALPHA (1e-06, the significance). Under -t, the loss of labelled examples",
            metavar="DETECTOR[:P]",
            needs=("command & !quiet", "command & on_drift", "serving"),
        ),
        Option(
            "on_drift",
            str,
            "when --drift finds one, at once: save the model beside -f, as FILE.drift-EXAMPLE; or stop: the run ends "
            f"with the status {STATUS_OF_STOP}, and a daemon only predicts from then on",
            choices=("save", "stop"),
            needs=("command & drift & !threads>1", "serving & drift"),
        ),
    ),
    examples=(
        "vwlite data.vw --drift adwin",
        "vwlite data.vw --loss_function logistic --drift page_hinkley:50",
        "vwlite data.vw --drift adwin --on_drift save -f model",
    ),
)

# Of each detector: its default parameter, the greatest one, and whether it sees losses in standard deviations. On
# streams without a change these defaults report less than one event in 100,000 examples (tests/report/test_drift.py).
KNOWN = {"adwin": (1e-4, 1.0, True), "page_hinkley": (100.0, 1e12, True), "kswin": (1e-6, 1.0, False)}


def drift_of(options: Options, other: Any, act: Callable[[int], None]) -> Any:  # noqa: DOC503
    """The observer that --drift requests.

    Args:
        options: The options of the run.
        other: The observer so far, to which examples are passed on; or None.
        act: What --on_drift does, a function of the number of the example.

    Returns:
        The observer; None without --drift.

    Raises:
        OptionError: If there is no such detector, its parameter is out of bounds, or --on_drift save can't save.
    """
    if not options["drift"]:
        return None
    if options["on_drift"] == "save":
        if options["testonly"]:
            raise OptionError("--on_drift save and -t: nothing is learned, so the model is the one of before")
        if not options["final_regressor"]:
            raise OptionError("--on_drift save needs -f FILE: it saves FILE.drift-EXAMPLE")
    name, colon, text = options["drift"].partition(":")
    if name not in KNOWN:
        raise OptionError(f"--drift {options['drift']}: there is no detector {name!r}; there are {', '.join(KNOWN)}")
    parameter, most, scaled = KNOWN[name]
    if colon:
        try:
            parameter = float(text)
        except ValueError:
            parameter = -1.0
        if not 0 < parameter <= most:
            bound = f"at most {most:g}" if most == 1 else "finite"
            raise OptionError(f"--drift {options['drift']}: expected a number after the colon, above 0 and {bound}")
    from vwlite.report.drift import DETECTORS, Drift

    acts = act if options["on_drift"] else None
    return Drift(DETECTORS[name](parameter), scaled, bool(options["testonly"]), other, acts)


def path_at(final: str, number: int) -> str:
    """Where --on_drift save saves the model at an example.

    Args:
        final: The model file of -f.
        number: The number of the example.

    Returns:
        The path.
    """
    return f"{final}{MARK}{number}"


def is_at_drift(path: str, final: str) -> bool:
    """Whether --on_drift save would save to this path after some example."""
    number = os.path.realpath(path).removeprefix(os.path.realpath(final) + MARK)
    return number.isascii() and number.isdigit()


def in_words(number: int, before: float, after: float) -> str:
    """A drift as a message."""
    from vwlite.report.outputs import decimals

    return f"at example {number}: loss {decimals(before)} -> {decimals(after)}"
