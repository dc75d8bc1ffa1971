"""Engines of served models: made of flags or of a model file, which may come from strangers."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

from vwlite.core.options import Options
from vwlite.daemon.engine import NOT_HERE, Engine
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.daemon_flags import ASIDE
from vwlite.errors import ModelError, VwliteError
from vwlite.features.interactions import LIMIT_OF_A_DAEMON
from vwlite.http.problems import Problem, pointer
from vwlite.model import model_file

# Flags of a model of a kind that is asked for without any, as the estimators of vwlite.river have them.
DEFAULTS = {
    "regression": "--bayes_linear --posterior_full 65 --intercept_l2 1e-6 --l2 0.1 --min_prediction -3e38 "
    "--max_prediction 3e38",
    "binary": "--bayes_logistic --posterior_full 65 --intercept_l2 0.1 --link logistic",
    "multiclass": "--oaa 10 --loss_function logistic --probabilities",
    "bandit": "--thompson --bayes_linear -q ca",
    "lines": "",
}
MOST_BITS = 24  # of --bit_precision in the flags of a stranger: the table takes 12 bytes a slot
MOST_CLASSES = 10_000
MOST_FLAGS = 1 << 15  # characters of flags, which take long to read
ELSEWHERE = {"testonly": "a served model learns; give --follow to serve one that doesn't"}
MOST_FULL = 4096  # coefficients of a full posterior, which takes 4 bytes for each pair of them, and as much time
BITS = {
    "bit_precision": MOST_BITS,
    "oaa": MOST_CLASSES,
    "multilabel_oaa": MOST_CLASSES,
    "csoaa": MOST_CLASSES,
    "posterior_full": MOST_FULL,
    "crossing_limit": LIMIT_OF_A_DAEMON,
}


class ServedEngine(Engine):
    """An engine whose model is saved with what its service has to know.

    Args:
        options: The options of the model.

    Attributes:
        about: Returns what is saved beside the model.
        numbered: Whether messages about examples name the line, as for lines of text.
        stands: The identifier of the journal and the last entry in the model, where the journal isn't used at present.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.about: Any = dict
        self.stands: dict[str, Any] = {}
        if options.given("crossing_limit"):
            self.flags["crossing_limit"] = options["crossing_limit"]
        self.numbered = False
        self.caught: dict[int, str] | None = None  # reasons by row, while rows run that are no text
        self.note_learned()

    def save(self, path: str, stream: dict[str, Any] | None = None) -> None:
        """Saves the model, and what its service has to know. Raises ModelError."""
        super().save(path, {"flags": self.flags, **self.stands, **(stream or {}), "service": self.about()})

    def run_rows(self, block: Any, learning: bool) -> tuple[list[float], dict[int, str]]:
        """Learns or only predicts rows that were no text.

        Args:
            block: The rows.
            learning: Whether labelled ones are learned.

        Returns:
            Predictions of those that could be used, and by the number of the row, from 1, why others could not.
        """
        driver: Any = self.driver
        before = driver.predictions, driver.learned
        driver.predictions = driver.learned = None
        self.caught = {}
        try:
            found = driver.run_rows(block, learning and self.learns)
            return found, self.caught
        finally:
            driver.predictions, driver.learned = before
            self.caught = None

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Answers an example that can't be used with an error."""
        if self.caught is not None:
            if not used:
                self.caught[line] = reason
        elif self.numbered:
            super().problem(source, line, column, reason, text, used)
        elif not used:
            self.answers.add(f"!error {reason}\n".encode())


def words_of(flags: str | Sequence[str]) -> list[str]:
    """The words of flags. Raises Problem for an unclosed quotation."""
    if not isinstance(flags, str):
        return list(flags)
    if len(flags) > MOST_FLAGS:
        raise Problem(400, f"more than {MOST_FLAGS:,} characters of flags", pointer("options"))
    try:
        return shlex.split(flags)
    except ValueError as error:
        raise Problem(400, f"the options can't be read: {error}", pointer("options")) from None


def with_defaults(words: list[str], kind: str | None) -> list[str]:
    """The flags of a model of a kind, with those that the kind needs."""
    if kind is None:
        return words
    if not words:
        return DEFAULTS[kind].split()
    given = {word.partition("=")[0] for word in words}
    if kind == "binary":
        bayesian = any(word.startswith(("--bayes", "--logistic")) for word in given)
        if "--loss_function" not in given and not bayesian and "--binary" not in given:
            words = [*words, "--loss_function", "logistic"]
        losses = [after for word, after in pairwise(words) if word == "--loss_function"]
        if "--link" not in given and (bayesian or losses == ["logistic"]):
            words = [*words, "--link", "logistic"]
    elif kind == "bandit" and not given & {"--cb_explore_adf", "--thompson", "--cb_adf"}:
        words = [*words, "--cb_explore_adf"]
    return words


def options_of(words: Sequence[str], trusted: bool) -> Options:
    """Parses the flags of a model.

    Args:
        words: The flags.
        trusted: Whether they come from the operator; those of strangers name no files and ask for little memory.

    Returns:
        The options.

    Raises:
        Problem: If they are invalid, or can't be those of a served model.
    """
    if not trusted and sum(map(len, words)) > MOST_FLAGS:
        raise Problem(400, f"more than {MOST_FLAGS:,} characters of flags", pointer("options"))
    if not trusted and any(word.replace("-", "").startswith("config") for word in words):
        raise Problem(400, "--config names a file of the server", pointer("options"))  # parse() would read it
    try:
        options = parse(words, option_groups())
    except VwliteError as error:
        raise Problem(400, str(error), pointer("options")) from None
    refused = [f"--{name} is no flag of a served model" for name in options.declared if is_foreign(options, name)]
    refused += [f"--{name}: {why}" for name, why in ELSEWHERE.items() if options.given(name)]
    if options.data is not None:
        refused.append(f"{options.data}: {NOT_HERE['data']}")
    if not trusted:
        refused += [f"--{name} names a file of the server" for name in options.declared if names_file(options, name)]
        for name, most in BITS.items():
            value = options[name] if options.given(name) else None
            if isinstance(value, (int, str)) and str(value).isdigit() and int(value) > most:
                refused.append(f"--{name} {value}: at most {most} from a client; the operator can give more")
    if refused:
        raise Problem(400, "; ".join(refused), pointer("options"))
    return options


def is_foreign(options: Options, name: str) -> bool:
    """Whether an option that was given is one of a run or of the server, not of a model."""
    return options.given(name) and name in {*ASIDE, *NOT_HERE} - {"crossing_limit", "quiet"}


def names_file(options: Options, name: str) -> bool:
    """Whether an option that was given names a file."""
    if not options.given(name):
        return False
    values = options[name] if isinstance(options[name], (list, tuple)) else (options[name],)
    return bool(options.declared[name].file) or any(str(value).startswith("@") for value in values)


def engine_of(
    words: Sequence[str], path: str | None = None, trusted: bool = True, flags: dict[str, Any] | None = None
) -> ServedEngine:
    """Makes the engine of a model.

    Args:
        words: Its flags.
        path: The model file to load; None for a new model.
        trusted: Whether the flags come from the operator.
        flags: Values of options that it had when it was saved, as its file says; the model has only some of them.

    Returns:
        The engine.

    Raises:
        Problem: If the flags or the file can't be used.
    """
    options = options_of(words, trusted)
    try:
        for name, value in (flags or {}).items():
            if name in options.declared and not options.declared[name].keep:
                options.set(name, value)
        if path is not None:
            options.set("initial_regressor", path)
            options.set("preserve_performance_counters", True)
        return ServedEngine(options)
    except VwliteError as error:
        raise Problem(400, str(error), pointer("options") if path is None else None) from None


def from_file(path: str) -> tuple[ServedEngine, dict[str, Any]]:
    """Loads a model file that this server has saved.

    Args:
        path: The file.

    Returns:
        The engine, and what the file says of the service.

    Raises:
        ModelError: If the file can't be used.
    """
    stream = stream_of(model_file.open(path).metadata)
    try:
        return engine_of([], path, flags=stream.get("flags")), service_of(stream)
    except Problem as problem:
        raise ModelError(str(problem)) from problem


def from_bytes(  # noqa: DOC503
    where: str, content: bytes, trusted: bool = True
) -> tuple[ServedEngine, dict[str, Any]]:
    """Loads a model file that came from elsewhere.

    Args:
        where: Where it came from, for messages.
        content: The bytes of the file.
        trusted: Whether the operator chose where it comes from.

    Returns:
        The engine, and what the file says of the service.

    Raises:
        ModelError: If it is no model file.
        Problem: If it can't be used.
    """
    service = service_of(stream_of(model_file.from_bytes(where, content).metadata))
    with TemporaryDirectory() as folder:
        path = os.path.join(os.path.realpath(folder), "received.model")
        with open(path, "wb") as file:
            file.write(content)
        try:
            return engine_of([], path, trusted), service
        except Problem as problem:
            raise Problem(problem.status, str(problem).replace(path, where)) from None


def stream_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a model file says beside the model; empty if it says nothing."""
    stream = metadata.get("stream")
    return stream if isinstance(stream, dict) else {}


def service_of(stream: dict[str, Any]) -> dict[str, Any]:
    """What a model file says of the service that it was saved by; empty if it says nothing."""
    service = stream.get("service")
    return dict(service) if isinstance(service, dict) else {}
