"""Ranges: which options are tuned, between which values, and what a point of the search makes of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from vwlite.core.elementary import array_exp, array_log
from vwlite.core.options import Option, Options, check
from vwlite.errors import OptionError

DIGITS = 6  # of a value, so that a command line can give exactly the same
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
WORD = re.compile(rf"(?P<name>[A-Za-z][\w-]*)(?:\.(?P<part>[^=\s]+))?=(?P<low>{NUMBER})\.\.(?P<high>{NUMBER})")
EXAMPLE = "as in 'l=0.01..10 effect_l2.user=0.1..100'"

# Options that decide which examples are compared, or how losses are drawn, and not what is learned.
OF_COMPARISON = ("random_seed", "hash_seed", "crossing_limit")
TUNABLE = ("passes", "early_terminate", "sweeps")  # beside those that a model keeps


class Range(NamedTuple):
    """An option that is tuned.

    Args:
        name: The name of the option.
        part: The name of its part, such as a random effect; "" for the whole.
        low: The smallest value.
        high: The largest value.
        whole: Whether values are whole numbers.
    """

    name: str
    part: str
    low: float
    high: float
    whole: bool

    @property
    def key(self) -> str:
        """The name of the option, with that of the part after a dot."""
        return f"{self.name}.{self.part}" if self.part else self.name

    @property
    def logarithmic(self) -> bool:
        """Whether the search goes by the logarithm of the value: it does if the range is positive."""
        return self.low > 0

    def value(self, place: float) -> float:
        """The value at a place from 0 (low) to 1 (high), rounded to DIGITS digits."""
        place = min(max(place, 0.0), 1.0)
        if self.logarithmic:
            low, high = float(log(self.low)), float(log(self.high))
            found = float(array_exp([low + place * (high - low)])[0])
        else:
            found = self.low + place * (self.high - self.low)
        found = round(found) if self.whole else float(f"{found:.{DIGITS}g}")
        return min(max(found, self.low), self.high)

    def place(self, value: float) -> float:
        """The place of a value, the inverse of `value`."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high = float(log(self.low)), float(log(self.high))
            return (float(log(value)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def log(value: float) -> Any:
    """The natural logarithm."""
    return array_log([value])[0]


def read_ranges(texts: Sequence[str], options: Options) -> list[Range]:
    """Parses ranges such as ``l=0.01..10``.

    Args:
        texts: Ranges, several of them in a text with spaces between.
        options: The options of the run, which are declared and may be given.

    Returns:
        The ranges.

    Raises:
        OptionError: If one can't be tuned; it lists all errors.
    """
    found: list[Range] = []
    errors: list[str] = []
    shorts = {option.short: option for option in options.declared.values() if option.short}
    for word in (word for text in texts for word in text.split()):
        match = WORD.fullmatch(word)
        if match is None:
            errors.append(f"--tune {word}: expected OPTION=LOW..HIGH, {EXAMPLE}")
            continue
        name = match["name"].replace("-", "_")
        option = shorts.get(name) or options.declared.get(name)
        if option is None:
            errors.append(f"--tune {word}: there is no option --{name}{similar(name, options)}")
            continue
        try:
            found.append(range_of(option, word, match))
        except OptionError as error:
            errors += error.errors
    keys = [one.key for one in found]
    errors += [f"--tune: {key} is there twice" for key in dict.fromkeys(key for key in keys if keys.count(key) > 1)]
    for one in found:
        if one.part and one.name in keys:
            errors.append(f"--tune: {one.name} sets all of its parts, {one.key} one of them: tune either")
    if errors:
        raise OptionError(errors)
    if not found:
        raise OptionError(f"--tune says which options are tuned, and between which values, {EXAMPLE}")
    return found


def range_of(option: Option, word: str, match: re.Match[str]) -> Range:
    """The range of an option. Raises OptionError if it has none, or ends are not allowed."""
    low, high = float(match["low"]), float(match["high"])
    part = match["part"] or ""
    if not (option.type in (int, float) or option.by_name) or option.many:
        raise OptionError(f"--tune {word}: --{option.name} is no number: give it as a flag")
    kept = option.keep or option.fixed or option.name in TUNABLE
    if not kept or option.name in OF_COMPARISON:
        raise OptionError(
            f"--tune {word}: --{option.name} doesn't change what is learned from an example: leave it out"
        )
    if part and not option.by_name:
        raise OptionError(f"--tune {word}: --{option.name} is one number and has no part {part!r}")
    if not math.isfinite(low) or not math.isfinite(high) or low >= high:
        raise OptionError(f"--tune {word}: the range has no width: its low end has to be below its high end")
    whole = option.type is int
    for end in (low, high):
        if whole and end != int(end):
            raise OptionError(f"--tune {word}: --{option.name} is a whole number, and {end:g} is none")
        if not option.by_name:
            check(option, int(end) if whole else end)
    return Range(option.name, part, low, high, whole)


def similar(name: str, options: Options) -> str:
    """The end of a message about an unknown option: similar names."""
    import difflib

    near = difflib.get_close_matches(name.lower(), options.declared, n=2, cutoff=0.75)
    return f", did you mean {' or '.join(near)}?" if near else ""


def given_values(ranges: Sequence[Range], options: Options) -> list[float | None]:
    """The values that the flags give to tuned options; None for those that they don't give."""
    found: list[float | None] = []
    for one in ranges:
        value = options[one.name] if options.given(one.name) else None
        if isinstance(value, str) and options.declared[one.name].by_name:
            value = parts_of(value).get(one.part, parts_of(value).get(""))
        try:
            found.append(None if value is None else float(value))
        except ValueError:
            found.append(None)
    return found


def parts_of(text: str) -> dict[str, str]:
    """The values of an option by name, as in user=1,item=2; a value for all is that of the name ""."""
    return {name: value for name, _, value in (part.rpartition("=") for part in text.split(","))}


def settings(ranges: Sequence[Range], values: Sequence[float], options: Options) -> dict[str, Any]:
    """The values of options at a point: of an option by name, the text with all parts.

    Args:
        ranges: The tuned options.
        values: Their values.
        options: The options of the run, which may give further parts.

    Returns:
        The value of each option, by its name.
    """
    found: dict[str, Any] = {}
    by_name: dict[str, dict[str, str]] = {}
    for one, value in zip(ranges, values, strict=True):
        if not options.declared[one.name].by_name:
            found[one.name] = int(value) if one.whole else value
            continue
        if one.name not in by_name:
            by_name[one.name] = parts_of(options[one.name]) if options.given(one.name) else {}
        by_name[one.name][one.part] = spelled(value)
    for name, parts in by_name.items():
        in_order = sorted(parts.items(), key=lambda pair: pair[0] != "")  # a value for all comes before its exceptions
        found[name] = ",".join(f"{part}={value}" if part else value for part, value in in_order)
    return found


def spelled(value: float) -> str:
    """A value in words of a command line, which read back to the same number."""
    return f"{value:.{DIGITS}g}" if float(f"{value:.{DIGITS}g}") == value else repr(value)
