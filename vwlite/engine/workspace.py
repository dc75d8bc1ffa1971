"""Workspace: options, stack of learners, counts and model in one object, for Python and for the command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vwlite import __version__
from vwlite.core.learner import end_pass, walk
from vwlite.core.options import Options
from vwlite.engine import plugins, registry, stack, storing
from vwlite.engine.doors import Doors, encoded
from vwlite.engine.driver import Driver
from vwlite.engine.needs import Use, unmet
from vwlite.engine.turn import Turn
from vwlite.engine.unmatched import Unmatched
from vwlite.errors import OptionError, ParseError
from vwlite.features.interactions import Interactions
from vwlite.features.transform_rules import STEPS, read_rules
from vwlite.model.metadata import require
from vwlite.parsers.text import TextParser

if TYPE_CHECKING:
    from vwlite.engine.coefficients import Coefficients
    from vwlite.entities.store import EntityStore
    from vwlite.entities.store_file import StoreFile
    from vwlite.model.model_file import ModelReader
    from vwlite.report.figures import Report

# Modules for model files are imported where they are used, which saves time in a run without a model.

OF_LABELS = ("label_sd", "label_low", "label_high")  # columns about a future label, including its noise

# Options that only a run of the command line supports, and the alternative.
RUN_ONLY = {
    "data": "give examples to learn() or predict()",
    "no_stdin": "a Workspace doesn't read standard input",
    "cache": "examples are in memory already",
    "cache_file": "examples are in memory already",
    "kill_cache": "examples are in memory already",
    "examples": "call learn() with fewer examples",
    "holdout_period": "call predict() for examples to hold out",
    "holdout_after": "call predict() for examples to hold out",
    "holdout": "call predict() for examples to hold out",
    "where": "give learn() these examples only",
    "sample": "give learn() fewer examples",
    "sample_weights": "give learn() weights",
    "shuffle": "shuffle the examples",
    "interleave": "give the examples in that order",
    "drift": "vwlite.report.drift.Adwin and others watch losses that you feed them",
    "delay": "call predict() for each example, and learn() when its label is known",
    "time": "call learn() when the label is known",
    "early_terminate": "stop calling learn()",
    "save_per_pass": "call save() after end_pass()",
    "progress": "a Workspace prints no table",
    "passes": "call learn() for each pass, and end_pass() after it",
    "final_regressor": "call save()",
    "predictions": "predict() and learn() return them",
    "raw_predictions": "predict() and learn() return predictions",
    "readable_model": "save() the model and use the command line",
    "invert_hash": "save() the model and use the command line",
    "audit": "use the command line",
    "dry_run": "use the command line",
    "help": "use the command line, vwlite --help",
    "version": "vwlite.__version__ is the version",
}


def refuse_run_options(options: Options) -> None:
    """Raises OptionError for options that a Workspace would silently ignore."""
    errors = [f"--{name} has no effect in a Workspace: {RUN_ONLY[name]}" for name in RUN_ONLY if options.given(name)]
    if options.data is not None:
        errors.append(f"{options.data}: a Workspace reads no files: {RUN_ONLY['data']}")
    if errors:
        raise OptionError(errors)


def words_of(flags: str | Iterable[str]) -> list[str]:
    """Splits flags into words. Raises OptionError for an unclosed quotation, TypeError for other types than text."""
    if isinstance(flags, str):
        try:
            return shlex.split(flags)
        except ValueError as error:
            raise OptionError(f"the flags {flags!r} can't be read: {str(error).lower()}") from error
    words: list[Any] = (
        list(flags) if isinstance(flags, Iterable) and not isinstance(flags, (bytes, Mapping)) else [flags]
    )
    for word in words:
        if not isinstance(word, (str, os.PathLike)):
            kind = type(word).__name__
            raise TypeError(f"flags are text as on the command line, '-b 18 --l1 0.1', or a list of words, not {kind}")
    return [os.fspath(word) for word in words]


class LoadFunction(Protocol):
    """The signature of `load`."""

    def __call__(self, path: str | os.PathLike[str], flags: str | Sequence[str] = "") -> Workspace:
        """See Workspace.load."""


class _Load:
    """The descriptor of `load`: of the class it creates a workspace, of a workspace it replaces the model."""

    def __get__(self, instance: Workspace | None, owner: type[Workspace]) -> LoadFunction:
        def load(path: str | os.PathLike[str], flags: str | Sequence[str] = "") -> Workspace:  # noqa: DOC502
            """Loads a saved model: of the class, into a new workspace; of a workspace, in place of its model.

            Args:
                path: The model file.
                flags: Options, as for Workspace, added to those stored in the model. An existing workspace keeps its
                    own options, too.

            Returns:
                The workspace.

            Raises:
                OptionError: If the flags can't be used with the model.
                StackError: If the model was trained with another bottom learner.
                ModelError: If the file can't be read, or is damaged.
            """
            words = words_of(flags)
            if instance is None:
                return owner([*words, "-i", os.fspath(path)])
            own = [*instance.own_flags, *words]
            instance.__init__([*own, "-i", os.fspath(path)])  # type: ignore[misc]
            instance.own_flags = own  # without -i, which the next load adds
            return instance

        return load


class Workspace:
    """A stack of learners with its model: learns, predicts, saves and loads.

    Args:
        flags: Options as on the command line, in one string or a list of words; or parsed Options.
        use: The kind of run, which decides whether an option has an effect; "library" from Python.

    Raises:
        OptionError: If options are invalid, conflict, or have no effect.
        StackError: If the types of labels or predictions of two learners differ.
        ModelError: If the model of -i can't be read, or is damaged.
        TypeError: If flags are not text.

    >>> workspace = Workspace("--loss_function logistic --link logistic")
    >>> _ = workspace.learn(["1 | rain wind", "-1 | sun"] * 20)
    >>> workspace.predict("| rain") > 0.5 > workspace.predict("| sun")
    True
    """

    load = _Load()

    def __init__(self, flags: str | Sequence[str] | Options = "", use: Use = "library") -> None:  # noqa: DOC502
        if isinstance(flags, Options):
            options = flags
        else:
            from vwlite.engine.command_line import option_groups, parse

            options = parse(words_of(flags), option_groups())
            refuse_run_options(options)
        self._begin(options, use)

    def _begin(self, options: Options | list[str], use: Use, reader: ModelReader | None = None) -> None:
        """Builds the stack; `reader` is a model that is not a file."""
        if not isinstance(options, Options):
            from vwlite.engine.command_line import option_groups, parse

            options = parse(options, option_groups())
        if any(text.startswith("@") for text in options["columns_in"]):
            from vwlite.input.column_map import expand

            # the model keeps the rules, not the name of the file
            options.set("columns_in", expand(options["columns_in"]), options.source("columns_in"))
        self.flags = self.own_flags = options.arguments
        self.options = options
        self.notes: list[str] = []
        self.journal: list[dict[str, Any]] = []
        self.parent: str | None = None
        self.names: dict[int, str] = {}  # by slot of the bottom learner
        self.hash_names: dict[int, str] = {}  # by hash, for learners whose coefficients go by that
        self.sources: list[dict[str, Any]] = []
        self.stamp = storing.Stamp()
        self.changes = 0  # of the model, other than by examples
        self.described: list[dict[str, Any]] = []  # the stack of a copy, as the original described it
        store = None
        if reader is not None:
            self._use_model(reader)
        elif options["initial_regressor"]:
            from vwlite.model import model_file

            reader = model_file.open(options["initial_regressor"])
            if "entities" in reader.metadata:
                from vwlite.entities import store_file

                reader, store = store_file.find(reader)
            self._use_model(reader)
        builder = stack.Builder(options)
        self.top = builder.build()
        self.notes += builder.notes
        self._refuse_inert(use)
        self.has_entities = any(learner.entities() is not None for learner in walk(self.top))
        self.entities: EntityStore | None = None
        if options["entity_limit"]:
            self._limit_entities(store)
        if reader is not None:
            storing.restore_learners(self, reader, store)
        self.bottom: Any = list(walk(self.top))[-1]
        aside = dict.fromkeys(name for learner in walk(self.top) for name in learner.sets_aside)
        self.interactions = Interactions(options, options["bit_precision"], aside)
        self.notes += self.interactions.notes
        self.driver = self._driver()
        self.driver.training = not options["testonly"]
        self.driver.listener = self
        self.driver.unmatched = Unmatched(options, self.interactions)
        if self.entities is not None:
            self.driver.gate = self.entities.gate(self.top)
        if options.given("columns") or options.given("interval"):
            self._set_columns()
        self.reporter: Report | None = None
        if options["report"]:
            from vwlite.report import figures

            self.reporter = figures.Report(options, self.top)
            self.driver.observer = self.reporter.metrics
            self.driver.needs_names = self.driver.needs_names or bool(self.reporter.namespaces)
        self._transform_features()
        if reader is not None:
            storing.restore_rest(self, reader)
        self.parser = TextParser(options, [], labels=self.top.takes_label, multiline=self.top.multiline)
        self._doors = Doors(self.driver, self.parser, options)
        self._turn = Turn()
        # the shortest way of a dict, once one was learned
        self._learn_one: Callable[..., Any] | None = None
        self._predict_one: Callable[..., Any] | None = None
        self.examples_before = self.driver.counters.example_number
        self.loss_before = self.journal[-1]["loss_after"] if self.journal else None

    def learn(  # noqa: DOC502
        self, x: Any, y: Any = None, weight: Any = None, tag: Any = None, columns: Any = None
    ) -> Any:
        """Learns from one example, or from each of several, and returns the predictions made before learning.

        Examples without a label are only predicted, empty lines skipped. With -t nothing is learned.

        Args:
            x: One example: a line of VW's text, or a dict of names and values. Or several: an iterable of lines or of
                dicts, an array of NumPy or SciPy of shape (n, d), or a table: a data frame, or what else has
                ``__arrow_c_stream__``. In dicts and tables a number is the feature ``name:value``, a text the feature
                ``name=text``, True is ``name``; False, None and 0 are left out; a dict or list inside is a namespace.
                A multi-line example (decision) is one text with line ends; in an iterable of lines, an empty line ends
                each example.
            y: The label, or one for each example: a number; a class; None without one. Of a table, also the name of
                its column, such as ``"click"`` or ``"click:binary(yes)"``. Lines have their own.
            weight: The importance weight, one for each example, or the name of its column.
            tag: The tag, one for each example, or the name of its column.
            columns: Of a table or of dicts, the column map (``"price:number city:category /.*/:ignore"``, or a dict; of
                keys inside, ``"user.age:number"``); of an array, the d names of its columns, by default their numbers.

        Returns:
            For one example its prediction: a float for regression and binary classification, in the units of the label
            and after --link; a class, or a list of scores or probabilities, for other learners. With --columns or
            --interval, a tuple of these columns. None for an empty line. For several lines or dicts, a list of the
            predictions; for an array or a table, an array of them (float32 if they are numbers).

        Raises:
            ParseError: At the first malformed example; those before it have been learned.
            TypeError: If x is of another type, or holds a value that is no feature.
            ValueError: If a line has a line end inside, one text holds several multi-line examples, or there are not
                as many labels as examples.
            OptionError: If the column map doesn't fit the table.
            RuntimeError: If another thread is using the workspace.

        >>> workspace = Workspace("--loss_function logistic --link logistic")
        >>> _ = workspace.learn([{"city": "Bonn", "price": 2.5}, {"city": "Rome"}] * 20, y=[1, -1] * 20)
        >>> workspace.predict({"city": "Bonn"}) > 0.5 > workspace.predict({"city": "Rome"})
        True
        """
        if type(x) is dict and columns is None and self._learn_one is not None:
            return self._learn_one(x, y, weight, tag)
        return self._run(x, y, weight, tag, columns, self.driver.training)

    def predict(  # noqa: DOC502
        self, x: Any, y: Any = None, weight: Any = None, tag: Any = None, columns: Any = None
    ) -> Any:
        """Predicts for one example, or for each of several, without learning; the model is unchanged.

        Args:
            x: Examples, as for `learn`. Labels are not needed.
            y: As for `learn`; only --report uses labels.
            weight: As for `learn`; only --report uses weights.
            tag: As for `learn`.
            columns: As for `learn`.

        Returns:
            The prediction, or a list or array of predictions, as of `learn`.

        Raises:
            ParseError: At the first malformed example.
            TypeError: As of `learn`.
            ValueError: As of `learn`.
            OptionError: If the column map doesn't fit the table.
            RuntimeError: If another thread is using the workspace.

        >>> workspace = Workspace("--bayes_linear --noise 1 --noconstant --columns prediction,sd")
        >>> _ = workspace.learn(["2 | a", "2 | a", "2 | a"])
        >>> workspace.predict("| a"), workspace.predict("| new")
        ((1.5, 0.5), (0.0, 1.0))
        """
        if type(x) is dict and columns is None and self._predict_one is not None:
            return self._predict_one(x, y, weight, tag)
        return self._run(x, y, weight, tag, columns, False)

    def end_pass(self) -> None:
        """Ends a pass over the data, at which some learners learn: with --batch_size all or --sweeps, for instance.

        >>> workspace = Workspace("--square --l2 1e-9")
        >>> _ = workspace.learn(["3 | a", "1 | b"])
        >>> workspace.end_pass()
        >>> round(workspace.predict("| a"), 3)
        3.0
        """
        if self.driver.training:
            end_pass(self.top)
            self.changes += 1
        self.driver.end_pass()

    def sensitivity(self, line: str) -> float | None:  # noqa: DOC502
        """How far learning a line would change its prediction, per unit of importance weight and of dL/dp.

        It is small where much has been learned already. Importance-weighted active learning uses it (Karampatziakis
        and Langford 2011, Online Importance Weight Aware Updates). The model is unchanged.

        Args:
            line: One labelled example in VW's text format.

        Returns:
            The sensitivity, a change of the prediction p per unit of importance weight and of the derivative dL/dp of
            the loss; None for a line without an example.

        Raises:
            TypeError: If the line is not text.
            ValueError: If the stack doesn't learn single lines with numeric labels.
        """
        return self.driver.sensitivity(self.parser, encoded(line))

    def report(self) -> dict[str, float | None]:
        """The metrics of --report so far.

        Predictions of learn() count as progressive, those of predict() for labelled lines as held out, and so do all
        predictions with -t.

        Returns:
            The value of each metric, or None if it is undefined, by its name in the summary of a run. Empty without
            --report.

        >>> workspace = Workspace("--report rmse")
        >>> _ = workspace.learn(["1 | a", "0 | b"]), workspace.predict("0 | a")
        >>> list(workspace.report())
        ['rmse', 'rmse held out']
        """
        return {} if self.reporter is None else {figure.name: figure.value for figure in self.reporter.figures()}

    def unmatched(self) -> list[str]:
        """Reports namespaces and letters that options name and no example so far had.

        Returns:
            One message for each of them; empty before the first example.

        >>> workspace = Workspace("-q ab")
        >>> _ = workspace.learn(["1 |a x |c y", "0 |a z"])
        >>> workspace.unmatched()
        ['nothing matched --quadratic ab: no namespace begins with b (they begin with a or c)']
        """
        lines = [] if self.driver.unmatched is None else self.driver.unmatched.remarks()
        if self.driver.transforms is not None:
            lines += [f"nothing matched --transform {rule}" for rule in self.driver.transforms.unmatched()]
        return lines + [line for learner in walk(self.top) for line in learner.unmatched()]

    def coefficients(self, effect: str | None = None, names: Iterable[str] = ()) -> Coefficients:  # noqa: DOC502
        """The coefficients that were learned, as a table.

        Args:
            effect: The namespace of a random effect: the coefficients of its entities. By default those of the fixed
                part, or of the whole stack without random effects.
            names: Names of features (``price``, ``city=Bonn``, ``namespace^name``), to show in place of their hashes.

        Returns:
            A table with the columns entity, examples, class (of learners of classes), feature, number, mean and sd.
            Each is an array of NumPy; ``to_pandas()`` and Arrow's C data interface make frames of them.

        Raises:
            OptionError: If there is no such random effect.

        >>> workspace = Workspace("--bayes_linear --noise 1 --random_effect user")
        >>> _ = workspace.learn([{"user": "ann"}, {"user": "bob"}] * 9, y=[1, -1] * 9)
        >>> table = workspace.coefficients("user")
        >>> table["entity"].tolist(), table["mean"].round(1).tolist()
        (['ann', 'bob'], [0.9, -0.9])
        """
        from vwlite.engine.coefficients import coefficients

        return coefficients(self, effect, names)

    def to_bytes(self) -> bytes:  # noqa: DOC502
        """The state of the workspace as bytes, from which `from_bytes` makes an equal one; pickle and copy use them.

        The bytes are a function of the state: those of one state are equal. They include the options and the model, but
        not the metrics of --report. They are also a model file.

        Returns:
            The bytes.

        Raises:
            ModelError: If a weight is not finite, or with --entity_limit.

        >>> workspace = Workspace()
        >>> _ = workspace.learn({"a": 1}, 2)
        >>> Workspace.from_bytes(workspace.to_bytes()).predict({"a": 1}) == workspace.predict({"a": 1})
        True
        """
        return storing.to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Workspace:  # noqa: DOC502
        """Makes a workspace in the state of another one.

        Args:
            data: Bytes of `to_bytes`; they may come from strangers, as no code is in them.

        Returns:
            The workspace.

        Raises:
            ModelError: If the bytes are not those of a workspace, or are damaged.
            OptionError: If their options can't be used here.
        """
        return storing.from_bytes(cls, data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies by `to_bytes`."""
        return type(self).from_bytes, (self.to_bytes(),)

    def __enter__(self) -> Workspace:
        """Returns the workspace."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the workspace."""
        self.close()

    def close(self) -> None:
        """Releases files that the workspace holds; it can't be used afterwards. A second call has no effect."""
        self._turn.closed = True
        self.entities = None

    def __repr__(self) -> str:
        """The flags, and how many examples were learned."""
        if "driver" not in self.__dict__:
            return f"<{type(self).__name__} that was not made>"
        examples = self.driver.counters.example_number
        return f"<{type(self).__name__} {shlex.join(self.flags)!r}, {examples:,} examples learned>"

    def __dir__(self) -> list[str]:
        """The names of what a user may use."""
        return [name for name in object.__dir__(self) if not name.startswith("_") or name.startswith("__")]

    def _use_model(self, reader: ModelReader) -> None:
        """Takes the options of a model."""
        require(reader.path, reader.metadata)
        self.notes += plugins.of_model(reader.metadata["stack"], self.options, reader.path)
        kept = reader.metadata["options"]
        if "workspace" not in reader.metadata or reader.metadata["vwlite_version"] != __version__:
            kept = registry.upgrade(kept, self.options)
        self.notes += self.options.merge_model(kept, self.options["vw_compat"], reader.path)

    def _driver(self) -> Driver:
        """Creates the driver for the stack's kind of examples."""
        kind: type[Driver] = Driver
        if self.top.multiline:
            from vwlite.engine.multiline_driver import MultilineDriver

            kind = MultilineDriver
        return kind(self.top, self.interactions, not self.options["noconstant"])

    def _transform_features(self) -> None:
        """Creates the transforms of --transform. Raises OptionError for those that decisions can't have."""
        rules = read_rules(self.options)
        if not rules:
            return
        from vwlite.input.naming import Naming
        from vwlite.input.transforms import Transforms
        from vwlite.parsers.entities import entity_namespaces

        transforms = Transforms(self.options, Naming(self.options, entity_namespaces(self.options)), rules)
        if transforms.renames and self.top.multiline:
            renaming = next(name for rule in rules for name, _ in rule.steps if STEPS[name].renames)
            raise OptionError(f"--transform: {renaming} is of single lines, and this stack learns decisions of several")
        self.driver.transforms = transforms
        self.driver.needs_names = self.driver.needs_names or transforms.needs_names

    def _refuse_inert(self, use: Use) -> None:
        """Raises OptionError for options without effect; with --vw_compat notes them, as VW accepts many."""
        if self.options.accepted:
            return
        errors, remarks = unmet(self.options, stack.modules_of(self.top), use)
        self.notes += remarks
        if self.options["vw_compat"]:
            self.notes += errors
        elif errors:
            raise OptionError(errors)

    def _set_columns(self) -> None:
        """Sets the columns of predictions from --columns and --interval."""
        from vwlite.core.draws import quantile

        options, learners = self.options, list(walk(self.top))
        interval = options["interval"]
        columns = options["columns"].split(",") if options.given("columns") else ["prediction", "low", "high"]
        unsure = {"sd", "low", "high", *OF_LABELS} & set(columns)
        if unsure and not any(learner.has_posterior for learner in learners):
            raise OptionError(
                f"{' and '.join(sorted(unsure))} need{'s' if len(unsure) == 1 else ''} a learner with a posterior: "
                f"{' or '.join(registry.flags_of_posteriors())}"
            )
        if unsure & set(OF_LABELS) and not any(learner.has_noise for learner in learners):
            raise OptionError(
                f"{' and '.join(sorted(unsure & set(OF_LABELS)))}: a label of a logistic model is one of two classes, "
                "whose probability is the prediction with a logistic link; --interval gives its uncertainty"
            )
        ends = {"low", "high", "label_low", "label_high"} & unsure
        if interval and not ends:
            raise OptionError("--interval gives the columns low and high, and --columns names neither: add them")
        if ends and not interval:
            raise OptionError(f"--columns {','.join(sorted(ends))} needs --interval P, such as 0.9")
        parts = [name for learner in learners for name in learner.part_names]
        self.driver.set_columns(columns, parts, quantile((1 + interval) / 2) if interval else 0.0)

    def _run(self, x: Any, y: Any, weight: Any, tag: Any, columns: Any, learning: bool) -> Any:
        if type(x) is dict and self._learn_one is None:
            one = self._doors.one_record(self._turn)
            if one is not None:
                self._learn_one, self._predict_one = one.learn, one.predict
        with self._turn:
            return self._doors.run(x, y, weight, tag, columns, learning)

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Raises ParseError for a malformed line, unless --vw_compat uses it; called by the driver.

        Args:
            source: 0 for lines, 1 for records and rows of tables.
            line: The number of the line, from 1.
            column: The column of the error in bytes, from 1.
            reason: What is wrong.
            text: The line.
            used: Whether the line is used nevertheless.

        Raises:
            ParseError: Unless the line is used.
        """
        if used:
            return
        raise ParseError("row" if source else "<line>", line, column, reason, text.decode("utf-8", "replace"))

    def place(self, source: int, line: int) -> str:
        """The name of a line in messages.

        Args:
            source: 0 for lines, 1 for records and rows of tables.
            line: The number of the line, from 1.

        Returns:
            The name, "<line>:NUMBER" or "row NUMBER".
        """
        return f"row {line}" if source else f"<line>:{line}"

    def remark(self, text: str) -> None:
        """Appends a message about the data to `notes`; called by the driver.

        Args:
            text: The message.
        """
        self.notes.append(text)

    def save(self, path: str | os.PathLike[str], stream: dict[str, Any] | None = None) -> None:  # noqa: DOC502
        """Saves the model atomically: if writing fails, an existing file is unchanged.

        Args:
            path: The model file.
            stream: Metadata of a daemon's checkpoint: the last entry of its journal in the model.

        Raises:
            ModelError: If the file can't be written, or a weight is not finite.
        """
        storing.save(self, path, stream)

    def metadata(self) -> dict[str, Any]:
        """The metadata of the model, as saved in its file.

        Returns:
            Version, time, stack, options, journal of runs and counts, in values that JSON can represent.
        """
        return storing.metadata_of(self)

    def _limit_entities(self, base: StoreFile | None) -> None:
        """Limits entities in memory to --entity_limit; `base` is the file with those of the loaded model."""
        from vwlite.entities.store import EntityStore

        path = self.options["final_regressor"]
        self.entities = EntityStore(os.path.dirname(os.path.realpath(path)) if path else None, base)
        for learner in walk(self.top):
            for effect in learner.beside:
                effect.limit_entities(self.options["entity_limit"], self.entities)
