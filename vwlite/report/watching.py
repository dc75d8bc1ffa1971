"""The option of drift detection, and the observer that it requests."""

from __future__ import annotations

from typing import Any

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.errors import OptionError

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
            needs=("command & !quiet", "serving"),
        ),
    ),
    examples=("vwlite data.vw --drift adwin", "vwlite data.vw --loss_function logistic --drift page_hinkley:50"),
)

# Of each detector: its default parameter, the greatest one, and whether it sees losses in standard deviations. On
# streams without a change these defaults report less than one event in 100,000 examples (tests/report/test_drift.py).
KNOWN = {"adwin": (1e-4, 1.0, True), "page_hinkley": (100.0, 1e12, True), "kswin": (1e-6, 1.0, False)}


def drift_of(options: Options, other: Any) -> Any:  # noqa: DOC503
    """The observer that --drift requests.

    Args:
        options: The options of the run.
        other: The observer so far, to which examples are passed on; or None.

    Returns:
        The observer; None without --drift.

    Raises:
        OptionError: If there is no such detector, or its parameter is out of bounds.
    """
    if not options["drift"]:
        return None
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

    return Drift(DETECTORS[name](parameter), scaled, bool(options["testonly"]), other)


def in_words(number: int, before: float, after: float) -> str:
    """A drift as a message."""
    from vwlite.report.outputs import decimals

    return f"at example {number}: loss {decimals(before)} -> {decimals(after)}"
