"""Storing: a workspace as a model file, and as bytes, from which an equal workspace is made."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vwlite import __version__
from vwlite.core.learner import walk
from vwlite.engine import known_features, provenance, stack
from vwlite.errors import ModelError, StackError
from vwlite.model.metadata import FIGURES as KINDS_OF_FIGURES

if TYPE_CHECKING:
    from vwlite.core.options import Options
    from vwlite.entities.store_file import StoreFile
    from vwlite.model.model_file import Array, ModelReader

# Modules for model files are imported where they are used, which saves time in a run without a model.

FIGURES = tuple(name.removesuffix("?") for name in KINDS_OF_FIGURES)
ORIGIN = ("via", "folder", "host", "python", "config", "given", "data", "stopped", "redacted")  # see provenance.origin
BESIDE = ("notes", "card", "stripped")  # metadata that later models of a model have, too
COPIED = ("<bytes>", "to_bytes")  # how messages name the bytes


class Stamp:
    """The time of a state: that of the first save after its last change. So two saves of one state are equal."""

    def __init__(self) -> None:
        self._state: object = None
        self._when = ""

    def of(self, state: object) -> str:
        """The time of a state, in UTC; a new one if the state is new."""
        if state != self._state:
            self._state, self._when = state, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self._when

    def take(self, state: object, when: str) -> None:
        """Sets the time of a state that was saved before."""
        self._state, self._when = state, when


def state_of(workspace: Any) -> tuple[int, float, int]:
    """What changes whenever something is learned."""
    counters = workspace.driver.counters
    return counters.example_number, counters.sum_loss, workspace.changes


def contents(workspace: Any, stream: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the metadata of a workspace's model. Raises ModelError if a weight is not finite."""
    from vwlite.model.model_io import Saver, names_to_arrays, save_load

    workspace.driver.before_save()
    saver = Saver(workspace.options["predict_only_model"])
    save_load(workspace.top, saver)
    saver.require_finite()
    arrays = saver.arrays
    if workspace.driver.transforms is not None:
        arrays |= {
            f"transforms.{name}": array for name, array in workspace.driver.transforms.statistics.arrays().items()
        }
    arrays |= names_to_arrays(workspace.names, "slot") | names_to_arrays(workspace.hash_names, "hash")
    arrays |= known_features.arrays_of(workspace)
    metadata = workspace.metadata()
    if what := provenance.wanted(workspace.options):
        arrays = redacted_inside(arrays, what, provenance.files_of(workspace.options))
    if workspace.options["predict_only_model"] and stream is None:
        arrays, metadata, _ = stripped(arrays, metadata, (), workspace.options)
    return arrays, metadata | ({} if stream is None else {"stream": stream})


def save(workspace: Any, path: str | os.PathLike[str], stream: dict[str, Any] | None) -> None:
    """Saves a workspace's model; see Workspace.save."""
    from vwlite.model import model_file

    arrays, metadata = contents(workspace, stream)
    if workspace.entity_store is not None:
        with workspace.entity_store.saved(path) as entities:
            model_file.write(path, arrays, {**metadata, "entities": entities})
        return
    model_file.write(path, arrays, metadata)
    discard_store(path)


def discard_store(path: str | os.PathLike[str]) -> None:
    """Deletes the file with the entities of a model that was replaced by one without such a file."""
    if os.path.exists(f"{os.path.realpath(path)}.entities"):
        from vwlite.entities import store as entity_store

        entity_store.discard(path)


def metadata_of(workspace: Any) -> dict[str, Any]:
    """The metadata of a workspace's model; see Workspace.metadata."""
    counters = workspace.driver.counters
    when = workspace.stamp.of(state_of(workspace))
    record = {
        "when": when,
        "version": __version__,
        "arguments": [provenance.without_secrets(word) for word in workspace.flags],
        "seed": workspace.options["random_seed"],
        "sources": [{**one, "name": provenance.without_secrets(one["name"])} for one in workspace.sources],
        "examples": counters.example_number - workspace.examples_before,
        "loss_before": workspace.loss_before,
        "loss_after": loss_of(workspace),
        "parent": workspace.parent,
        **workspace.origin,
    }
    metadata = {
        "vwlite_version": __version__,
        "created": when,
        "stack": workspace.described or stack.describe(workspace.top),
        "options": workspace.options.kept(),
        "journal": [*workspace.journal, record],
        "figures": {name: value for name, value in figures_of(workspace) if math.isfinite(value)},
        **({"tuning": workspace.tuning} if workspace.tuning else {}),
    }
    metadata |= {name: value for name, value in workspace.beside.items() if value}
    what = provenance.wanted(workspace.options)
    return redacted(metadata, what, provenance.files_of(workspace.options))


def redacted(metadata: dict[str, Any], what: Iterable[str], files: Iterable[str]) -> dict[str, Any]:
    """The metadata of a model without what is redacted, in all runs."""
    what, files = list(what), list(files)
    if not what:
        return metadata
    found = {**metadata, "journal": [provenance.redact(run, what, files) for run in metadata.get("journal", [])]}
    if "path" in what:
        found["options"] = provenance.redact_options(metadata["options"], files)
        found["stack"] = [
            {**learner, "options": provenance.redact_options(learner["options"], files)}
            for learner in metadata["stack"]
        ]
    return found


def redacted_inside(arrays: dict[str, Array], what: Iterable[str], files: Iterable[str]) -> dict[str, Array]:
    """The arrays of a model, of which the metadata of models inside it are redacted, too."""
    from vwlite.model.stripping import FIXED, bytes_of

    found = dict(arrays)
    for name in arrays:
        if name.endswith(FIXED):
            text = json.dumps(redacted(json.loads(bytes_of(arrays[name])), what, files)).encode()
            found[name] = ("U8", [len(text)], text)
    return found


def stripped(
    arrays: Mapping[str, Any], metadata: dict[str, Any], keep: Collection[str], options: Options
) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """A model without its provenance; see vwlite/model/stripping.py."""
    from vwlite.model.stripping import strip

    files = provenance.files_of(options)
    return strip(arrays, metadata, keep, lambda found: redacted(found, ["path"], files))


def to_bytes(workspace: Any) -> bytes:
    """The state of a workspace as the bytes of a model file; see Workspace.to_bytes."""
    from vwlite.model import model_file

    if workspace.entity_store is not None:
        raise ModelError("with --entity_limit entities are in a file: save() the model instead")
    arrays, metadata = contents(workspace)
    driver = workspace.driver
    counters = {name: getattr(driver.counters, name) for name in driver.counters.FIELDS}
    del counters["problems"]  # which predictions change
    metadata["workspace"] = {
        "flags": list(workspace.flags),
        "own_flags": list(workspace.own_flags),
        "examples_before": workspace.examples_before,
        "loss_before": workspace.loss_before,
        "changes": workspace.changes,
        "counters": {name: value for name, value in counters.items() if math.isfinite(value)},
        "passes": driver.current_pass,
    }
    return b"".join(model_file.pack(COPIED[1], arrays, metadata))


def from_bytes(kind: Any, data: bytes | bytearray | memoryview) -> Any:
    """A workspace in the state of the bytes; see Workspace.from_bytes."""
    from vwlite.model import model_file

    reader = model_file.from_bytes(COPIED[0], data)
    copied: Any = reader.metadata.get("workspace")
    if not is_copy(copied):
        raise ModelError(f"{COPIED[0]}: the bytes of a model file, not of to_bytes(): save them and use Workspace.load")
    workspace = kind.__new__(kind)
    workspace._begin(without_model(copied["flags"]), "library", reader)
    workspace.flags, workspace.own_flags = copied["flags"], copied["own_flags"]
    *workspace.journal, run = reader.metadata["journal"]
    workspace.parent, workspace.sources = run["parent"], run["sources"]
    workspace.origin = {name: run[name] for name in ORIGIN if name in run}
    workspace.examples_before, workspace.loss_before = copied["examples_before"], copied["loss_before"]
    workspace.changes, workspace.described = copied["changes"], reader.metadata["stack"]
    driver = workspace.driver
    for name, value in copied["counters"].items():
        if name in driver.counters.FIELDS:
            setattr(driver.counters, name, value)
    driver.current_pass = copied["passes"]
    workspace.stamp.take(state_of(workspace), run["when"])
    return workspace


def is_copy(copied: Any) -> bool:
    """Whether metadata describe a workspace; a digest has shown that they are as they were written."""
    return (
        isinstance(copied, dict)
        and isinstance(copied.get("flags"), list)
        and isinstance(copied.get("own_flags"), list)
        and all(isinstance(word, str) for word in [*copied["flags"], *copied["own_flags"]])
        and isinstance(copied.get("counters"), Mapping)
        and all(type(copied.get(n)) is int and 0 <= copied[n] < 1 << 63 for n in ("passes", "examples_before"))
        and type(copied.get("changes")) is int
        and "loss_before" in copied
        and all(isinstance(value, (int, float)) for value in copied["counters"].values())
    )


def without_model(flags: list[str]) -> list[str]:
    """Flags without the model that they load."""
    found, words = [], iter(flags)
    for word in words:
        name = word.partition("=")[0].replace("-", "_")
        if word == "-i" or name in ("__initial_regressor", "__init"):
            if "=" not in word:
                next(words, None)
        elif not (word.startswith("-i") and len(word) > 2):
            found.append(word)
    return found


def restore_learners(workspace: Any, reader: ModelReader, store: StoreFile | None) -> None:
    """Restores the learners of a loaded model, before the driver is created."""
    from vwlite.model.model_io import Loader, save_load

    described = stack.describe(workspace.top), reader.metadata["stack"]
    ours, theirs = ([entry["name"] for entry in each] for each in described)
    if ours[-1] != theirs[-1]:
        raise StackError(f"{reader.path} was made with {theirs[-1]} at the bottom, the options ask for {ours[-1]}")
    save_load(workspace.top, Loader(reader, store=store))
    if workspace.options["testonly"] and not workspace.options["final_regressor"]:
        for learner in walk(workspace.top):
            learner.close_batches()  # applies pending examples of a batch; a model that is saved again stores them


def restore_rest(workspace: Any, reader: ModelReader) -> None:
    """Restores the journal of runs, the names and the counts of a loaded model."""
    from vwlite.model.model_io import names_of

    restore_transforms(workspace, reader)
    metadata = reader.metadata
    workspace.journal = list(metadata["journal"])
    workspace.parent = metadata["id"]
    workspace.inherit(metadata)
    workspace.tuning = dict(metadata.get("tuning", {}))
    workspace.names, workspace.hash_names = names_of(reader, "slot"), names_of(reader, "hash")
    if workspace.options["preserve_performance_counters"] and workspace.driver.training:
        for name, value in metadata["figures"].items():
            if name in FIGURES:
                setattr(_holder(workspace, name), name, value)


def restore_transforms(workspace: Any, reader: ModelReader) -> None:
    """Restores the statistics of transformed features. Raises ModelError if they don't fit the rules."""
    transforms = workspace.driver.transforms
    if transforms is None:
        return

    def array(name: str, dtype: str) -> Any:
        return reader.array(f"transforms.{name}", dtype)

    try:
        sketches, place = [], 0
        if "transforms.sketch" in reader.names():
            packed = bytes(array("sketch", "U8"))
            for length in array("sketch_lengths", "U64"):
                sketches.append(packed[place : place + length])
                place += length
        examples = array("examples", "F64")[0]
        transforms.statistics.restore(
            array("hash", "U32"), array("rule", "U8"), array("state", "F64"), examples, sketches
        )
    except (ValueError, IndexError) as error:
        raise ModelError(f"{reader.path}: transforms can't be restored: {error}; train the model again") from error


def figures_of(workspace: Any) -> list[tuple[str, float]]:
    """The counts that a model stores."""
    return [(name, getattr(_holder(workspace, name), name)) for name in FIGURES]


def set_figures(workspace: Any, figures: Mapping[str, Any]) -> None:
    """Sets the counts that a model stores."""
    for name, value in figures.items():
        if name in FIGURES:
            holder = _holder(workspace, name)
            setattr(holder, name, type(getattr(holder, name))(value))


def _holder(workspace: Any, figure: str) -> Any:
    """The object that has a count of the model: the counters or the driver."""
    return workspace.driver.counters if hasattr(workspace.driver.counters, figure) else workspace.driver


def loss_of(workspace: Any) -> float | None:
    """The progressive loss so far; None if it is undefined."""
    weight, loss = workspace.driver.counters.weighted_labeled, workspace.driver.counters.sum_loss
    return loss / weight if weight > 0 and math.isfinite(loss) else None
