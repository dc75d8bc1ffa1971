"""A saved model that scores inside another one and learns nothing: the fixed effect of the offset."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vwlite.core.learner import walk
from vwlite.core.options import OptionGroup, Options, spell
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import plugins, registry
from vwlite.errors import ModelError, OptionError, StackError
from vwlite.features.interactions import Interactions
from vwlite.model import model_file
from vwlite.model.metadata import check, require
from vwlite.model.model_io import Loader, Saver, save_load

Build = Callable[[Options], Any]

# What another model keeps of the metadata; its digests and figures are those of a file that need not be there any more.
KEPT = ("id", "created", "vwlite_version", "stack", "options", "journal")

# Lines are parsed once for both models.
PARSING = ("hash", "hash_seed", "redefine")


class FixedModel:
    """The stack of a saved model, its choice and crossing of features, and its metadata.

    ``options`` are those of the run that it takes part in, ``path`` is what messages call it, ``build`` makes a stack.
    The weights are those of an untaught model until `save_load` has read them.

    Raises OptionError if the model can't be used with the run's options, StackError if it gives no score.
    """

    def __init__(self, metadata: dict[str, Any], options: Options, path: str, build: Build) -> None:
        self.path = path
        require(path, metadata, KEPT)
        self.metadata = {name: metadata[name] for name in KEPT}
        own = Options([OptionGroup("", tuple(options.declared.values()))])
        plugins.of_model(metadata["stack"], own, f"--fixed_effect {path}")
        own.merge_model(registry.upgrade(metadata["options"], own), False, f"--fixed_effect {path}")
        differ = [name for name in PARSING if own[name] != options[name]]
        if differ:
            raise OptionError(
                [
                    f"--fixed_effect {path}: it was made {made(name, own)}, this run has it otherwise, and lines are "
                    "parsed once for both: give both the same"
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
        """What tells the model from all others."""
        return str(self.metadata["id"])

    def save(self, io: Saver) -> None:
        """Write all that `load` needs into the model that this one is part of."""
        io.text("fixed.metadata", json.dumps(self.metadata))
        save_load(self.top, io.nested("fixed"))

    def load(self, io: Loader) -> None:
        """Take the weights that `save` wrote."""
        save_load(self.top, io.nested("fixed"))


class FixedModels:
    """Opens and restores fixed models, for the learners of a run with these ``options``; ``build`` makes a stack."""

    def __init__(self, options: Options, build: Build) -> None:
        self.options = options
        self.build = build

    def open(self, path: str) -> FixedModel:
        """The model in a file; raises ModelError too, if it can't be read."""
        reader, store = model_file.open(path), None
        if "entities" in reader.metadata:
            from vwlite.entities import store_file

            reader, store = store_file.find(reader)
        for name in reader.names():
            reader.array(name, reader.dtype(name))  # damage shows here, even where nothing would read it
        fixed = FixedModel(reader.metadata, self.options, path, self.build)
        save_load(fixed.top, Loader(reader, store=store))
        for learner in walk(fixed.top):
            learner.close_batches()  # it learns no more: what waits for its batch counts now, as with -t
        return fixed

    def saved_metadata(self, io: Loader) -> dict[str, Any]:
        """The metadata that `FixedModel.save` wrote; raises ModelError for anything else."""
        return read_metadata(io.reader.path, io.text("fixed.metadata", ""))

    def untaught(self, metadata: dict[str, Any], path: str) -> FixedModel:
        """A model of this metadata before `FixedModel.load`."""
        return FixedModel(metadata, self.options, path, self.build)


def read_metadata(path: str, text: str | bytes) -> dict[str, Any]:
    """The metadata of a fixed model out of the model that holds it; raises ModelError for text that is none."""
    try:
        metadata: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the metadata of its fixed effect can't be read ({error}); train it again") from error
    check(path, metadata)
    require(path, metadata, KEPT)
    return metadata


def made(name: str, options: Options) -> str:
    """How a model was made, as far as one option goes."""
    value = options[name]
    return f"without --{name}" if value in (None, False, []) else f"with {spell(name, value)}"
