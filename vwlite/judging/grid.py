"""The grid of a sweep: values of options, of which every combination is a setting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from vwlite.core.options import Option, Options, read
from vwlite.engine import plugins
from vwlite.engine.command_line import Reader
from vwlite.engine.flags import GENERAL, builtin_groups
from vwlite.errors import OptionError

MOST_SETTINGS = 256
ABSENT = "none"  # the value of an option that is left out
JOIN = "+"  # of several values of an option that may be repeated
SWITCHES = {"on": True, "true": True, "off": False, "false": False}


class Axis(NamedTuple):
    """An option of a grid.

    Args:
        option: The option.
        text: Its name as it was written.
        values: Its values as they were written.
    """

    option: Option
    text: str
    values: list[str]


class Setting(NamedTuple):
    """A combination of values.

    Args:
        name: As it is printed: "l=0.1 loss_function=hinge".
        values: By the text of each option.
        words: For a command line.
    """

    name: str
    values: dict[str, str]
    words: list[str]


def of_model() -> set[str]:
    """The names of the options that a grid may vary: those of features, losses and learners."""
    from vwlite.bases.table_learner import OPTIONS as TABLE
    from vwlite.core.class_names import OPTIONS as CLASSES
    from vwlite.core.losses import OPTIONS as LOSSES
    from vwlite.engine import registry
    from vwlite.features.interactions import OPTIONS as FEATURES

    wanted = [FEATURES, LOSSES, CLASSES, TABLE, *registry.option_groups(), *plugins.groups()]
    return {option.name for group in wanted for option in group.options} | {"random_seed"}


def read_grid(texts: Sequence[str]) -> list[Axis]:
    """Parses a grid.

    Args:
        texts: Words as "l=.1,.5,1": an option, by its name or letter, and its values. A text has several, with blanks
            between them. Of an option that may be repeated, a value may be several, joined by "+"; "none" leaves an
            option out, "on" and "off" are the values of flags.

    Returns:
        The options in the order of their first mention.

    Raises:
        OptionError: If there is no value; for unknown options and values, all of them.
    """
    options = Options([*builtin_groups(), *plugins.groups(), GENERAL])
    reader = Reader(options)
    allowed: set[str] = set()
    axes: dict[str, Axis] = {}
    errors: list[str] = []
    for word in (word for text in texts for word in text.split()):
        name, equals, values = word.partition("=")
        plain = name.lstrip("-").replace("-", "_")
        if not equals or not plain or not values:
            errors.append(f"--grid: {word!r} gives no values: write NAME=VALUE,VALUE, as in l=.1,.5")
            continue
        option = reader.shorts.get(plain) if len(plain) == 1 else reader.find(plain)
        if option is None:
            errors.append(f"--grid: unknown flag {name!r}{reader.suggest(plain, '')}")
            continue
        allowed = allowed or of_model()
        known = {other.name for group in plugins.groups() for other in group.options}
        if option.name not in allowed | known:
            errors.append(
                f"--grid: --{option.name} is not of the model: all settings share it, so give it outside of the grid"
            )
            continue
        if option.name in axes:
            errors.append(f"--grid: --{option.name} is there twice: give all its values at once")
            continue
        given = values.split(",")
        errors += [f"--grid: {error}" for value in given for error in problems(option, value)]
        if twice := [value for i, value in enumerate(given) if value in given[:i]]:
            errors.append(f"--grid: {name}={values} has {twice[0] or 'an empty value'} twice")
        axes[option.name] = Axis(option, name.lstrip("-"), given)
    errors += reader.errors
    if errors:
        raise OptionError(list(dict.fromkeys(errors)))
    if not axes:
        raise OptionError("--grid is empty: give it options and their values, as in --grid 'l=.1,.5,1'")
    number = prod(len(axis.values) for axis in axes.values())
    if number > MOST_SETTINGS:
        shown = " x ".join(str(len(axis.values)) for axis in axes.values())
        raise OptionError(
            f"--grid has {number:,} settings ({shown}), and one sweep trains at most {MOST_SETTINGS}: leave values out"
        )
    return list(axes.values())


def problems(option: Option, text: str) -> list[str]:
    """Why a text can't be a value of an option."""
    if text == ABSENT and ABSENT not in option.choices:
        return []
    if option.type is bool:
        return [] if text in SWITCHES else [f"--{option.name} is a flag, whose values are on and off, not {text!r}"]
    try:
        for one in text.split(JOIN) if option.many else [text]:
            read(option, one)
    except OptionError as error:
        return error.errors
    return []


def settings_of(axes: Sequence[Axis]) -> list[Setting]:
    """All combinations; the values of the last option change first."""
    found = []
    for values in product(*(axis.values for axis in axes)):
        words = [word for axis, value in zip(axes, values, strict=True) for word in words_of(axis.option, value)]
        by_name = {axis.text: value for axis, value in zip(axes, values, strict=True)}
        found.append(Setting(" ".join(f"{name}={value}" for name, value in by_name.items()), by_name, words))
    return found


def words_of(option: Option, text: str) -> list[str]:
    """The words of a command line for a value of an option."""
    if text == ABSENT and ABSENT not in option.choices:
        return []
    if option.type is bool:
        return [f"--{option.name}"] if SWITCHES[text] else []
    return [f"--{option.name}={one}" for one in (text.split(JOIN) if option.many else [text])]


def parse_all(words: Sequence[str], settings: Sequence[Setting], groups: Sequence[Any]) -> list[Options]:
    """The options of each setting. Raises OptionError if the words have an option of the grid, too."""
    from vwlite.engine.command_line import parse

    found = []
    for setting in settings:
        try:
            found.append(parse([*words, *setting.words], groups))
        except OptionError as error:
            raise OptionError([f"{setting.name}: {one}" for one in error.errors]) from None
    return found
