"""Parses the arguments of a command line, and configuration files, into `Options`.

click is not used for this, because it stops at the first error, reads the next flag as a missing value, and adds 20 ms
to every start. Help and completion do use click, with the same declarations: see `vwlite.cli.help`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vwlite.core.options import RENAMED, Option, OptionGroup, Options, check, read
from vwlite.engine import plugins
from vwlite.engine.flags import GENERAL, builtin_groups
from vwlite.errors import OptionError, ReductionError


def option_groups() -> list[OptionGroup]:
    """All declared options in the groups of --help, except those of the command line alone (`GENERAL`)."""
    return [*builtin_groups(), *plugins.groups()]


def parse(words: Sequence[str], groups: Iterable[OptionGroup]) -> Options:
    """Parses the arguments of a command line, and the file of --config.

    Args:
        words: The arguments.
        groups: The declared options; those of plugins are added as they are found.

    Returns:
        The options; the command line takes precedence over the file.

    Raises:
        OptionError: If there are errors; it lists all of them.

    >>> passes = Option("passes", int, "How often to go through the data.", default=1)
    >>> options = parse(["--passes=3", "train.txt"], [OptionGroup("Input", (passes,))])
    >>> options["passes"], options.data
    (3, 'train.txt')
    """
    options = Options((*groups, GENERAL), words)
    reader = Reader(options)
    typed, files = reader.read_words(options.arguments)
    filed = reader.read_file(typed["config"][0]) if typed.get("config") else {}
    if "" in files:
        reader.errors.append(
            "the name of the data file is empty (a variable that is not set?): name it, or leave it out"
        )
    if len(files) > 1:
        reader.errors.append(f"more than one data file: {', '.join(map(repr, files))}; use -d for each of several")
    if reader.errors:
        raise OptionError(reader.errors)
    for name, values in filed.items():
        options.set(name, values if options.declared[name].many else values[0], "config file")
    for name, values in typed.items():
        options.set(name, values if options.declared[name].many else values[0], "command line")
    options.data = files[0] if files else None
    return options


def is_flag(word: str) -> bool:
    """Whether an argument is a flag rather than a value.

    A dash and any letter begin a flag, not just the letters in use: otherwise a new flag could change the meaning of
    old command lines. A value with such a beginning can be attached to its flag: --tag=-x.
    """
    return word.startswith("--") or (word.startswith("-") and word[1:2].isalpha())


class Reader:
    """Collects the values of options by name, and all errors: an error doesn't end the parsing."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.declared = declared = options.declared
        self.shorts = {option.short: option for option in declared.values() if option.short}
        self.errors: list[str] = []

    def read_words(self, words: Sequence[str]) -> tuple[dict[str, list[Any]], list[str]]:
        """Parses arguments; returns the values by option, and the arguments that belong to no flag."""
        found: dict[str, list[Any]] = {}
        files: list[str] = []
        left = deque(words)
        while left:
            word = left.popleft()
            if word == "--":
                files += left
                break
            if word == "-" or not word.startswith("-"):
                files.append(word)
                continue
            flag, equals, text = word.partition("=")
            name = flag.lstrip("-").replace("-", "_")
            if word.startswith("--"):
                option = self.find(flag[2:].replace("-", "_"))
                value = text if equals else None
            else:
                # -passes is a typing error for --passes, not -p with the value "asses".
                option = None if len(name) > 2 and name in self.declared else self.shorts.get(word[1])
                value = word[2:] or None
            if option is None:
                self.errors.append(f"unknown flag {flag!r}{self.suggest(name, '--')}")
                # The next argument is most likely its value; read as a data file it would cause a misleading error.
                if not equals and left and not is_flag(left[0]):
                    left.popleft()
            elif option.type is bool:
                if value is None:
                    self.add(found, option, check, True)
                elif value[:1] in self.shorts and not word.startswith("--"):
                    # Flags of one letter can share a dash, and the last can have a value: -tb18.
                    self.add(found, option, check, True)
                    left.appendleft("-" + value)
                else:
                    self.errors.append(f"{flag} takes no value, but was given {value!r}")
            elif value is not None:
                self.add(found, option, read, value)
            elif left and not is_flag(left[0]):
                self.add(found, option, read, left.popleft())
            elif option.implied is not None:
                self.add(found, option, check, option.implied)
            elif left:
                self.errors.append(f"{flag} needs a value, but the flag {left[0]!r} follows")
            else:
                self.errors.append(f"{flag} needs a value")
        return found, files

    def read_toml(self, path: str) -> dict[str, Any]:
        """Reads a TOML file."""
        import tomllib  # 10 ms that only those who use it should pay

        try:
            with open(path, "rb") as file:
                return tomllib.load(file)
        except OSError as error:
            self.errors.append(f"{path}: {error.strerror}")
        except (ValueError, RecursionError) as error:
            self.errors.append(f"{path}: not a TOML file: {error}")
        return {}

    def read_file(self, path: str) -> dict[str, list[Any]]:
        """Reads the values of options from a TOML file, by the same rules."""
        found: dict[str, list[Any]] = {}
        for key, value in self.read_toml(path).items():
            option = self.find(key.replace("-", "_"))
            if key == "card" and isinstance(value, dict):
                self.read_card(value, path)
            elif isinstance(value, dict):
                self.errors.append(f"{path}: [{key}] is a table, but options have to be at the top level")
            elif option is None:
                self.errors.append(f"{path}: unknown option {key!r}{self.suggest(key.replace('-', '_'), '')}")
            elif option in GENERAL.options:
                self.errors.append(f"{path}: {key} can only be given on the command line")
            elif option.many and isinstance(value, list):
                found.setdefault(option.name, [])  # an empty list is a value too
                for one in value:
                    self.add(found, option, check, one, f"{path}: ")
            else:
                self.add(found, option, check, value, f"{path}: ")
        return found

    def read_card_of(self, path: str) -> None:
        """Reads the texts of a model card from a configuration file, whatever else is in it."""
        table = self.read_toml(path).get("card")
        if isinstance(table, dict):
            self.read_card(table, path)
        elif not self.errors:
            self.errors.append(f"{path}: has no table [card] with the texts of a card")

    def read_card(self, table: dict[str, Any], path: str) -> None:
        """Reads the texts of a model card, the table [card] of a configuration file."""
        for name, value in table.items():
            if not isinstance(value, (str, list)) or not all(isinstance(one, str) for one in value):
                self.errors.append(f"{path}: [card] {name} has to be a text, or a list of texts")
            else:
                self.options.card[name] = value if isinstance(value, str) else "\n".join(f"- {one}" for one in value)

    def find(self, name: str) -> Option | None:
        """Finds an option by name, vwlite's or that of a plugin, which is then imported."""
        if name not in self.declared and name.isidentifier():
            try:
                if plugin := plugins.claim(name):
                    plugins.declare(plugin, self.options)
            except ReductionError as error:
                self.errors += [reason for reason in [str(error)] if reason not in self.errors]
        return self.declared.get(name)

    def add(
        self,
        found: dict[str, list[Any]],
        option: Option,
        convert: Callable[[Option, Any], Any],
        value: Any,
        place: str = "",
    ) -> None:
        """Adds a value of an option; repeating the same value is no error."""
        try:
            value = convert(option, value)
        except OptionError as error:
            self.errors += [place + reason for reason in error.errors]
            return
        values = found.setdefault(option.name, [])
        if option.many or not values:
            values.append(value)
        elif values[0] != value:
            self.errors.append(f"{place}--{option.name} was given twice, as {values[0]!r} and {value!r}")

    def suggest(self, name: str, dashes: str) -> str:
        """The end of a message about an unknown option: similar names."""
        if (now := RENAMED.get(name)) in self.declared:
            return f": --{name} is now {dashes}{now}"
        from vwlite.engine.vw_flags import answer

        if dashes and (words := answer(name)):
            return words
        import difflib  # 5 ms, needed after a mistake only

        likely = [known for known in self.declared if len(name) > 1 and known.startswith(name.lower())]
        likely = likely or difflib.get_close_matches(name.lower(), self.declared, n=1, cutoff=0.75)
        return f", did you mean {' or '.join(dashes + known for known in likely[:3])}?" if likely else ""
