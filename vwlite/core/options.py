"""Options: their declarations, and their values in one run.

A learner declares its options as an `OptionGroup`; the command line, a configuration file and a loaded model fill in
an `Options`. Precedence: the command line, then a configuration file, then the model, then the default.

`NamedTuple` instead of `dataclass`: the latter imports `inspect` and compiles its methods, 10 ms of every start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from vwlite.errors import ModelError, OptionError

ValueType = type[bool] | type[int] | type[float] | type[str]
Source = Literal["command line", "config file", "model", "default"]

# Former names of options; an error message gives the new name, and models that stored one still load.
RENAMED = {"confidence": "interval", "metrics": "report"}

# Giving any of these replaces all of them in the model, as in Vowpal Wabbit.
INTERACTIONS = ("quadratic", "cubic", "interactions")

WANTED: dict[ValueType, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

# The compiled code stores numbers as 64-bit integers and 32-bit floats, which must not wrap or become infinite.
SMALLEST_INT, LARGEST_INT, LARGEST_FLOAT = -(2**63), 2**64 - 1, 3.4028234663852886e38


class Option(NamedTuple):
    """An option, as its learner declares it.

    Args:
        name: Long flag without dashes, in VW's spelling; "-" and "_" are interchangeable on the command line.
        type: bool (a flag without value), int, float or str.
        help: The help text.
        short: The letter of the short flag.
        default: The value if the option is not given.
        many: Whether it may be repeated; the value is a list, by default empty.
        choices: The only values accepted; empty for any.
        least: Inclusive lower bound.
        most: Inclusive upper bound.
        above: Exclusive lower bound.
        keep: Whether it is stored in the model file, and used again when the model is loaded.
        fixed: As keep, and a loaded model's value cannot be changed, because the model's state depends on it.
        vw_forgets: As keep, but Vowpal Wabbit doesn't store it: ignored in a model with --vw_compat.
        necessary: Whether giving it adds its learner to the stack.
        metavar: The name of the value in the help.
        implied: The value if the flag is given without one; None if it needs one.
        words: Words accepted in place of a number.
        needs: Conditions under which the option has an effect, of which one has to hold (see vwlite/engine/needs.py);
            otherwise a run that gives the option is refused. By default those of the group; without any, the option
            always has an effect.
        mild: Terms of `needs` without which the run is not refused, but a message says that the option has no effect,
            because scripts for Vowpal Wabbit give it.
        file: Whether the value names a file that is read or written, or a folder.
        alike: Values of a fixed option that are interchangeable.
        loss: The loss function that giving it implies.
        task: The task under which `vwlite --help` lists it, see vwlite/cli/topics.py.
        by_name: Whether its text is a number, or numbers by name as in user=1,item=2, which can be tuned.
    """

    name: str
    type: ValueType
    help: str
    short: str = ""
    default: Any = None
    many: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    keep: bool = False
    fixed: bool = False
    vw_forgets: bool = False
    necessary: bool = False
    metavar: str = ""
    implied: Any = None
    words: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    mild: tuple[str, ...] = ()
    file: Literal["", "read", "written", "folder"] = ""
    alike: tuple[str, ...] = ()
    loss: str = ""
    task: str = ""
    by_name: bool = False


class OptionGroup(NamedTuple):
    """Options that belong together, such as those of one learner, under one title in the help.

    `needs` of the group are the default of its options. Each option is in one of the `examples`, command lines that a
    test runs.
    """

    title: str
    options: tuple[Option, ...]
    help: str = ""
    needs: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


def check(option: Option, value: Any) -> Any:
    """Returns one value of `option`, as its type; raises OptionError if it is not allowed."""
    flag = f"--{option.name}"
    wanted: Any = option.type
    if value in option.words:
        return value
    # `type(...) is` throughout, because isinstance(True, int) holds.
    if wanted is float and type(value) is int and abs(value) <= LARGEST_FLOAT:
        value = float(value)
    if type(value) is not wanted:
        raise OptionError(f"{flag} wants {' or '.join((WANTED[wanted], *option.words))}, not {value!r}")
    if value == "":
        raise OptionError(f"{flag} is empty (a variable that is not set?): give it a value, or leave it out")
    if wanted is int and not SMALLEST_INT <= value <= LARGEST_INT:
        raise OptionError(f"{flag} wants a whole number of at most 64 bits")
    if wanted is float and not abs(value) <= LARGEST_FLOAT:
        raise OptionError(f"{flag} wants a finite 32-bit number, not {value!r}")
    if option.choices and value not in option.choices:
        raise OptionError(f"{flag} must be one of {', '.join(option.choices)}, not {value!r}")
    if option.least is not None and value < option.least:
        raise OptionError(f"{flag} must be at least {option.least:.12g}, not {value!r}")
    if option.above is not None and value <= option.above:
        raise OptionError(f"{flag} must be above {option.above:.12g}, not {value!r}")
    if option.most is not None and value > option.most:
        raise OptionError(f"{flag} must be at most {option.most:.12g}, not {value!r}")
    return value


def read(option: Option, text: str) -> Any:
    """Parses `text` as a value of `option`; raises OptionError if it is not valid.

    Numbers are plain ASCII: `int` and `float` would also accept underscores, blanks and the digits of every script.
    """
    value: object = text
    try:
        if option.type is int and text.isascii() and text.lstrip("+-").isdigit():
            value = int(text)
        elif option.type is float and text.isascii() and "_" not in text and text == text.strip():
            value = float(text)
    except ValueError:
        pass  # check() refuses the text, with the expected type
    return check(option, value)


def gather(groups: Iterable[OptionGroup]) -> dict[str, Option]:
    """Returns all options by name, in order of declaration.

    Raises ValueError if a declaration is invalid or two options have the same name or letter.
    """
    declared: dict[str, Option] = {}
    letters: dict[str, str] = {}
    for group in groups:
        for option in group.options:
            if not (option.name.isascii() and option.name.isidentifier()):
                raise ValueError(f"{group.title}: {option.name!r} cannot be the name of an option")
            if option.name in declared:
                raise ValueError(f"{group.title}: --{option.name} is declared twice")
            if option.type not in WANTED:
                raise ValueError(f"{group.title}: --{option.name} has type {option.type!r}")
            if option.type is bool and (option.many or option.default or option.choices):
                raise ValueError(f"{group.title}: the flag --{option.name} can only be absent or given")
            if option.short:
                if not (len(option.short) == 1 and option.short.isascii() and option.short.isalpha()):
                    raise ValueError(f"{group.title}: -{option.short} is not one letter")
                if option.short in letters:
                    raise ValueError(f"-{option.short} is both --{letters[option.short]} and --{option.name}")
                letters[option.short] = option.name
            declared[option.name] = option if option.needs else option._replace(needs=group.needs)
    return declared


def renamed(values: Mapping[str, Any], declared: Mapping[str, Option]) -> dict[str, Any]:
    """Returns the option values of a model or journal by the current names of options."""
    return {
        RENAMED[name] if name not in declared and RENAMED.get(name) in declared else name: value
        for name, value in values.items()
    }


def default(option: Option) -> Any:
    """Returns the default of an option; a new list for one that may be repeated."""
    if option.many:
        return list(option.default or ())
    if option.type is bool:
        return False
    return option.default


class Options:
    """The values of the options of one run, and their sources.

    `options["passes"]` is the value given or the default, a KeyError if no such option is declared. `declared` holds
    the declarations by name, `arguments` the words as typed and `data` the data file named without a flag. `needs` of
    `accepted` options are not checked: an earlier version accepted them. `card` has the texts of a model card. `noted`
    names features and columns that are looked at beside the learners, as --where does: parsers keep what they need.
    """

    __slots__ = ("_sources", "_values", "accepted", "arguments", "card", "data", "declared", "noted")

    def __init__(self, groups: Iterable[OptionGroup], arguments: Sequence[str] = (), data: str | None = None) -> None:
        self.declared = gather(groups)
        self.arguments = list(arguments)
        self.data = data
        self.accepted = False
        self.card: dict[str, str] = {}
        self.noted: list[str] = []
        self._values = {name: default(option) for name, option in self.declared.items()}
        self._sources: dict[str, Source] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.declared

    def declare(self, group: OptionGroup) -> None:
        """Adds options, with their defaults; raises ValueError as `gather` does."""
        both = gather([OptionGroup("", tuple(self.declared.values())), group])
        for option in group.options:
            self.declared[option.name] = both[option.name]
            self._values[option.name] = default(option)

    def source(self, name: str) -> Source:
        """Returns the source of the value."""
        return self._sources.get(self.declared[name].name, "default")

    def given(self, name: str) -> bool:
        """Returns whether the command line, a configuration file or the model gave a value.

        A flag that a configuration file sets to false counts as not given.
        """
        return self.source(name) != "default" and self._values[name] is not False

    def set(self, name: str, value: object, source: Source = "command line") -> None:
        """Sets the value of an option (a list, if it may be repeated); raises OptionError if it is not allowed."""
        option = self.declared[name]
        if not option.many:
            self._values[name] = check(option, value)
        elif isinstance(value, (list, tuple)):
            self._values[name] = [check(option, one) for one in value]
        else:
            raise OptionError(f"--{name} wants a list, not {value!r}")
        self._sources[name] = source

    def unset(self, name: str) -> None:
        """Sets an option to its default, as if it were not given."""
        self._values[name] = default(self.declared[name])
        self._sources.pop(name, None)

    def copy(self) -> Options:
        """Returns options with the same declarations, values and sources, to be changed apart."""
        other = Options.__new__(Options)
        other.declared = dict(self.declared)
        other.arguments, other.data, other.accepted = list(self.arguments), self.data, self.accepted
        other._values = {
            name: list(value) if isinstance(value, list) else value for name, value in self._values.items()
        }
        other._sources = dict(self._sources)
        other.card, other.noted = dict(self.card), list(self.noted)
        return other

    def kept(self) -> dict[str, Any]:
        """Returns the values to store in the model file: those given, of options that are kept or fixed."""
        return {
            name: list(self._values[name]) if option.many else self._values[name]
            for name, option in self.declared.items()
            if is_kept(option) and self.given(name)
        }

    def merge_model(self, kept: Mapping[str, Any], vw_compat: bool, path: str) -> list[str]:
        """Loads the options stored in the model file `path` that are not given otherwise; returns notes for the user.

        A fixed option that the model does not store had its default when the model was made. Raises ModelError if the
        model has an option that models don't store, or a value that is not allowed: an untrusted file must only set
        options of its learners. Raises OptionError if a fixed option was given a value other than the model's.
        """
        models = self._read_kept(kept, path)
        errors: list[str] = []
        notes: list[str] = []
        replaced = any(self.given(name) for name in INTERACTIONS if name in self)
        for name, option in self.declared.items():
            if not is_kept(option) or (vw_compat and option.vw_forgets):
                continue
            value = models.get(name, default(option))
            if name in INTERACTIONS and replaced:
                if name in models and value != self[name]:
                    notes.append(f"the model's {spell(name, value)} is replaced by the interactions given now")
            elif self.source(name) == "default":
                if name in models:
                    self.set(name, value, "model")
            elif value in option.alike and self[name] in option.alike:
                pass
            elif option.fixed and value != self[name]:
                made = f"without --{name}" if value in (None, False, []) else f"with {spell(name, value)}"
                errors.append(
                    f"{path}: {spell(name, self[name])} does not fit the model, which was made {made}: "
                    "leave that as it was, or train a new model"
                )
        if errors:
            raise OptionError(errors)
        return notes

    def _read_kept(self, kept: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Returns the option values of a model, converted to the types of the options."""
        values = Options([OptionGroup("", tuple(self.declared.values()))])
        errors = []
        kept = renamed(kept, self.declared)
        for name, value in kept.items():
            option = self.declared.get(name)
            if option is None:
                errors.append(f"{path}: the model was made with --{name}, which is unknown here")
            elif not is_kept(option):
                errors.append(f"{path}: the file sets --{name}, which no model stores; give a model that vwlite saved")
            else:
                try:
                    values.set(name, value, "model")
                except OptionError as error:
                    errors += [f"{path}: in the model, {reason}" for reason in error.errors]
        if errors:
            raise ModelError("\n".join(errors))
        return {name: values[name] for name in renamed(kept, self.declared)}


def is_kept(option: Option) -> bool:
    """Returns whether a model file stores the option."""
    return option.keep or option.fixed


def spell(name: str, value: Any) -> str:
    """Formats an option and its value as on the command line."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"{name} = false"
    return " ".join(f"--{name} {one}" for one in value) if isinstance(value, list) else f"--{name} {value}"
