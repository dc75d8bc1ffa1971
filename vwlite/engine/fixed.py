"""Fixed models: a saved model that scores inside another one and doesn't learn (--fixed_effect)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vwlite.core.learner import walk
from vwlite.core.options import OptionGroup, Options, spell
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import plugins, registry
from vwlite.errors import ModelError, OptionError, ParseError, StackError, VwliteError
from vwlite.features.interactions import Interactions
from vwlite.model import model_file
from vwlite.model.metadata import check, require
from vwlite.model.model_io import Loader, Saver, save_load

Build = Callable[[Options], Any]

# The metadata stored in the model that contains it; digests and counts describe a file that may have been deleted.
KEPT = ("id", "created", "vwlite_version", "stack", "options", "journal")

# Lines are parsed once for both models.
PARSING = ("hash", "hash_seed", "redefine")


class FixedModel:
    """The stack of a saved model, its choice of features and interactions, and its metadata.

    The weights are those of an untrained model until `save_load` has read them.

    Args:
        metadata: The metadata of the saved model.
        options: The options of the run that uses it.
        path: The model's name in messages.
        build: Builds a stack from options.

    Raises:
        OptionError: If the model can't be used with the run's options.
        StackError: If the model predicts no score.
    """

    def __init__(self, metadata: dict[str, Any], options: Options, path: str, build: Build) -> None:
        self.path, self.options, self.build = path, options, build
        require(path, metadata, KEPT)
        self.metadata = {name: metadata[name] for name in KEPT}
        own = Options([OptionGroup("", tuple(options.declared.values()))])
        plugins.of_model(metadata["stack"], own, f"--fixed_effect {path}")
        own.merge_model(registry.upgrade(metadata["options"], own), False, f"--fixed_effect {path}")
        differ = [name for name in PARSING if own[name] != options[name]]
        if differ:
            raise OptionError(
                [
                    f"--fixed_effect {path}: it was made {made(name, own)}, unlike this run, and lines are "
                    "parsed once for both: use the same for both"
                    for name in differ
                ]
            )
        own.set("testonly", True)
        if options["crossing_limit"] is not None:
            own.set("crossing_limit", options["crossing_limit"])
        self.top: Any = build(own)
        wanted = (LabelType.SIMPLE, PredictionType.SCALAR, False)
        if (self.top.takes_label, self.top.gives_prediction, self.top.multiline) != wanted:
            raise StackError(
                f"--fixed_effect {path}: {self.top.name} takes {self.top.takes_label.name} labels and gives "
                f"{self.top.gives_prediction.name} predictions; a fixed effect takes SIMPLE and gives SCALAR"
            )
        aside = dict.fromkeys(name for learner in walk(self.top) for name in learner.sets_aside)
        self.interactions = Interactions(own, own["bit_precision"], aside)
        self.constant = not own["noconstant"]

    @property
    def id(self) -> str:
        """The model's unique identifier."""
        return str(self.metadata["id"])

    def twin(self) -> FixedModel:
        """Creates an equal model, for another thread."""
        saver = Saver(False)
        save_load(self.top, saver)
        data = b"".join(model_file.pack(self.path, saver.arrays, self.metadata))
        twin = FixedModel(self.metadata, self.options, self.path, self.build)
        save_load(twin.top, Loader(model_file.from_bytes(self.path, data)))
        return twin

    def save(self, io: Saver, name: str = "fixed") -> None:
        """Writes the metadata and weights into the model that contains this one."""
        io.text(f"{name}.metadata", json.dumps(self.metadata))
        save_load(self.top, io.nested(name))

    def load(self, io: Loader, name: str = "fixed") -> None:
        """Reads the weights that `save` wrote."""
        save_load(self.top, io.nested(name))


class FixedModels:
    """Opens and restores fixed models for the learners of a run with these ``options``; ``build`` builds a stack."""

    def __init__(self, options: Options, build: Build) -> None:
        self.options = options
        self.build = build

    def open(self, path: str) -> FixedModel:
        """Loads the model in a file; raises ModelError if it can't be read, and the errors of FixedModel."""
        reader, store = model_file.open(path), None
        if "entities" in reader.metadata:
            from vwlite.entities import store_file

            reader, store = store_file.find(reader)
        for name in reader.names():
            reader.array(name, reader.dtype(name))  # detects damage, even in arrays that no learner reads
        fixed = FixedModel(reader.metadata, self.options, path, self.build)
        save_load(fixed.top, Loader(reader, store=store))
        for learner in walk(fixed.top):
            learner.close_batches()  # it doesn't learn: pending examples of a batch are applied now, as with -t
        return fixed

    def saved_metadata(self, io: Loader, name: str = "fixed") -> dict[str, Any]:
        """Reads the metadata that `FixedModel.save` wrote; raises ModelError if they are invalid."""
        return read_metadata(io.reader.path, io.text(f"{name}.metadata", ""))

    def combination(self, models: list[FixedModel], path: str) -> list[float]:
        """The coefficients of models by weighted least squares on labelled data, of the smallest norm if several fit.

        Raises VwliteError if the data can't be read, or have no label.
        """
        import numpy as np

        from vwlite.engine.driver import Driver
        from vwlite.engine.feed import Feed
        from vwlite.engine.scores import Scores

        drivers, observers = [], [Scores() for _ in models]
        for fixed, observer in zip(models, observers, strict=True):
            driver = Driver(fixed.top, fixed.interactions, fixed.constant)
            driver.training, driver.observer, driver.listener = False, observer, _Malformed(path)
            drivers.append(driver)
        options = self.options.copy()
        options.data = None
        for name in ("data", "cache", "cache_file", "where", "sample", "sample_weights", "shuffle", "interleave"):
            options.unset(name)
        options.set("data", [path])
        options.set("passes", 1)
        feed = Feed(options, any(driver.needs_names for driver in drivers))
        try:
            for block in feed.blocks():
                for driver in drivers:
                    driver.run_block(block)
        finally:
            feed.close()
        rows = [observer.rows() for observer in observers]
        if not len(rows[0]):
            raise VwliteError(f"--residual_fit {path}: no example has a label and a weight, so nothing can be fitted")
        if any(len(one) != len(rows[0]) for one in rows):
            raise VwliteError(f"--residual_fit {path}: some examples can't be used by all models of --residual")
        root = np.sqrt(rows[0][:, 1])
        scores = np.stack([one[:, 3] - one[:, 2] for one in rows], axis=1)
        found = np.linalg.lstsq(root[:, None] * scores, root * (rows[0][:, 0] - rows[0][:, 2]), rcond=None)[0]
        return [float(number) for number in found]

    def untaught(self, metadata: dict[str, Any], path: str) -> FixedModel:
        """Creates the model of this metadata, before `FixedModel.load`."""
        return FixedModel(metadata, self.options, path, self.build)


class _Malformed:
    """Listener of a driver that reads data to fit coefficients to."""

    def __init__(self, path: str) -> None:
        self.path = path

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Raises ParseError for a malformed line."""
        raise ParseError(self.path, line, column, reason, text.decode("utf-8", "surrogateescape"))

    def remark(self, text: str) -> None:
        """Ignores a remark about the data."""

    def place(self, source: int, line: int) -> str:
        """The name of a line in messages."""
        return f"{self.path}:{line}"


def read_metadata(path: str, text: str | bytes) -> dict[str, Any]:
    """Parses the metadata of a fixed model; raises ModelError if they are invalid."""
    try:
        metadata: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the metadata of its fixed effect can't be read ({error}); train it again") from error
    check(path, metadata)
    require(path, metadata, KEPT)
    return metadata


def made(name: str, options: Options) -> str:
    """Describes the value of one option of a model, for messages."""
    value = options[name]
    return f"without --{name}" if value in (None, False, []) else f"with {spell(name, value)}"
