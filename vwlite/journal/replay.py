"""Replay: the runs in the journal of a model are made again, and the result is compared with the model."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vwlite import __version__
from vwlite.core.options import Options, spell
from vwlite.engine import command_line
from vwlite.engine.conflicts import check_run
from vwlite.engine.driver import Driver
from vwlite.engine.provenance import REDACTED, WITHOUT_FOLD, has_secret
from vwlite.engine.run import Run
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.input.databases import is_query
from vwlite.journal.comparing import array_differences, figures_of, value_differences
from vwlite.model import model_file
from vwlite.report.outputs import Progress

# of a run, but not of its replay: what it wrote, and what has no effect on the model
LEFT_OUT = (
    *("cache", "cache_file", "kill_cache", "predictions", "raw_predictions", "audit", "readable_model", "progress"),
    *("save_per_pass", "final_regressor", "initial_regressor", "redact", "note", "quiet", "config", "data", "report"),
)
OF_TABLE = ("quiet", "progress")  # they change when the next row of the table is due, which a model stores
DRIFT = ("drift", "on_drift")  # left out, too, unless they have ended the run
DIGITS = 12  # of a digest, in messages
MODEL = "model"  # the name of models in the temporary folder
FED = {
    "serving": "was fed by clients of a daemon or of HTTP, whose lines no file has",
    "library": "was fed from Python, whose examples no file has",
}


class Step(NamedTuple):
    """A run to be made again: its entry in the journal, and the words of its command line without the models."""

    record: dict[str, Any]
    words: list[str]
    data: list[str]


class Replay(NamedTuple):
    """The result of a replay.

    Args:
        changed: What was asked to be otherwise, by --set or -d.
        differences: What differs between the model and its replay: none if it was reproduced bit for bit.
        remarks: What may explain differences.
        losses: For each run, the loss after it in the journal and in the replay.
    """

    changed: list[str]
    differences: list[str]
    remarks: list[str]
    losses: list[tuple[float | None, float | None]]

    @property
    def reproduced(self) -> bool:
        """Whether the model was reproduced bit for bit."""
        return not self.differences


class Again(Run):
    """A run that prints nothing, even if it is not quiet: then its model has the state of a table that was printed."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.progress = Progress(sys.stderr, None, False)

    def say(self, text: str) -> None:
        """Prints nothing."""

    def log(self, level: str, text: str) -> None:
        """Prints nothing."""

    def row(self, driver: Driver, label: str, prediction: str, features: int) -> None:
        """Prints nothing."""


def replay(  # noqa: DOC502
    path: str,
    settings: Sequence[str] = (),
    data: Sequence[str] = (),
    output: str | None = None,
) -> Replay:
    """Trains a model again, by its journal.

    Args:
        path: The model file.
        settings: Options that are otherwise in all runs, such as ``l2=0.1``; a flag without a value is ``name``, and
            ``name=`` leaves an option out.
        data: Other data: of one run, its sources; of several runs, one source for each.
        output: Where the new model is saved; None for nowhere.

    Returns:
        What differs.

    Raises:
        ModelError: If the model can't be read, or has no journal that can be replayed.
        OptionError: If the settings are no options, or can't be used.
        VwliteError: If data is gone or can't be used.

    >>> import os, tempfile
    >>> from vwlite import Workspace
    >>> from vwlite.cli import main
    >>> path = os.path.join(tempfile.mkdtemp(), "m")
    >>> _ = open(f"{path}.vw", "w").write("1 | a\\n-1 | b\\n")
    >>> main([f"{path}.vw", "-f", path, "--quiet"])
    0
    >>> replay(path).reproduced, replay(path, ["l2=0.1"]).reproduced
    (True, False)
    """
    reader = model_file.open(path)
    journal: list[dict[str, Any]] = reader.metadata["journal"]
    refuse(path, reader.metadata, replaced=bool(data))
    if output is not None:
        model_file.require_writable(output)
    changes = read_settings(settings)
    steps = list(steps_of(path, journal, changes, data))
    remarks = list(versions(journal))
    problems: list[str] = []
    losses: list[tuple[float | None, float | None]] = []
    with tempfile.TemporaryDirectory(prefix="vwlite-replay-") as folder:
        made = None
        for number, step in enumerate(steps):
            last = number == len(steps) - 1
            target = output if last and output is not None else os.path.join(folder, f"{MODEL}{number}")
            run = run_again(number + 1, step, made, target)
            problems += sources_differ(number + 1, step, run.feed.records, bool(data))
            record = run.workspace.metadata()["journal"][-1:] or [{}]
            losses.append((step.record["loss_after"], record[0].get("loss_after")))
            if record[0].get("examples", step.record["examples"]) != step.record["examples"]:
                stopped = step.record.get("stopped")
                why = f" (it was stopped by {stopped})" if stopped else ""
                problems.append(
                    f"run {number + 1}: {step.record['examples']:,} examples{why}, now {record[0]['examples']:,}"
                )
            made = target
        assert made is not None
        new = model_file.open(made)
        problems += content_differs(reader, new, changed=bool(settings))
    changed = [f"{spell(name, value)}" if value is not None else f"without --{name}" for name, value in changes.items()]
    changed += [f"-d {one}" for one in data]
    return Replay(changed, problems, remarks, losses)


def refuse(path: str, metadata: Mapping[str, Any], replaced: bool) -> None:
    """Raises ModelError if a journal can't be replayed."""
    journal = metadata["journal"]
    if not journal or "workspace" in metadata or journal[0]["parent"] is not None:
        stripped = metadata.get("stripped", {})
        if "journal" in stripped.get("removed", ()):
            raise ModelError(
                f"{path}: its journal, or that of a model before it, was stripped, so it can't be replayed: look for "
                f"the original by the sha256 {stripped['sha256']} of its journal"
            )
        if journal and journal[0]["parent"] is not None:
            raise ModelError(
                f"{path}: run 1 went on from the model {journal[0]['parent']}, whose runs are not in the journal: "
                "replay a model with its whole journal"
            )
        raise ModelError(f"{path}: has no journal of runs over files, so it can't be replayed")
    for number, record in enumerate(journal, 1):
        how = f"{path}: run {number} "
        lacks = [what for what in record.get("redacted", ()) if what == "argv" or (what == "path" and not replaced)]
        if lacks:
            advice = ": name the data with -d" if lacks == ["path"] else ""
            raise ModelError(f"{how}can't be replayed: --redact has left out its {' and '.join(lacks)}{advice}")
        if record.get("via", "").startswith(WITHOUT_FOLD):
            raise ModelError(
                f"{how}learned {record['via']} of vwlite cv, so it can't be replayed: vwlite cv makes all of its "
                "models again"
            )
        if record.get("via") in FED:
            raise ModelError(
                f"{how}{FED[record['via']]}, so it can't be replayed: keep the lines in a file and learn from that"
            )
        if replaced:
            continue
        names = record.get("data") or [source["name"] for source in record["sources"]]
        if any(name in ("-", "stdin") for name in names):
            raise ModelError(f"{how}read standard input, which no file has; name the same data with -d")
        for name in names:
            if has_secret(name):
                raise ModelError(f"{how}read a database whose password is not recorded: name {name} with -d")


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """The options of --set, by name; None for one that is left out. Raises OptionError."""
    found: dict[str, Any] = {}
    for text in settings:
        name, sign, value = text.removeprefix("--").partition("=")
        words = [f"--{name.strip()}={value}"] if sign and value else [f"--{name.strip()}"]
        if len(name.strip()) == 1:
            words = [f"-{name.strip()}{value}"]
        if sign and not value:
            found[named(name.strip(), text)] = None
            continue
        try:
            options = command_line.parse(words, command_line.option_groups())
        except OptionError as error:
            raise OptionError([f"--set {text}: {reason}" for reason in error.errors]) from error
        for option in options.declared:
            if options.source(option) == "command line":
                if option in LEFT_OUT:
                    raise OptionError(f"--set {text}: has no effect on a replay: leave it out")
                merged = (
                    [*found.get(option, []), *options[option]] if options.declared[option].many else options[option]
                )
                found[option] = merged
    return found


def named(name: str, text: str) -> str:
    """The option of a name or letter. Raises OptionError."""
    declared = Options(command_line.option_groups()).declared
    name = {option.short: option.name for option in declared.values() if option.short}.get(name, name.replace("-", "_"))
    if name not in declared:
        raise OptionError(f"--set {text}: unknown option {name!r}")
    return name


def steps_of(
    path: str, journal: Sequence[dict[str, Any]], changes: Mapping[str, Any], data: Sequence[str]
) -> Iterator[Step]:
    """The runs to make again. Raises ModelError or OptionError."""
    if data and len(journal) > 1 and len(data) != len(journal):
        raise OptionError(
            f"{path}: its journal has {len(journal)} runs, and -d names {len(data)} sources: name one for each run, in "
            "their order"
        )
    for number, record in enumerate(journal, 1):
        values, names = given_of(path, number, record)
        folder = record.get("folder", os.getcwd())
        folder = folder if folder != REDACTED else os.getcwd()
        places = [placed(name, folder) for name in names]
        if data:
            places = list(data) if len(journal) == 1 else [data[number - 1]]
        for name in places:
            if not is_query(name) and name != "-" and not os.path.exists(name):
                raise VwliteError(f"{path}: run {number}: its data {name} is gone: put it back, or name a copy with -d")
            if not is_query(name) and os.path.exists(name) and not os.path.isfile(name) and name != os.devnull:
                raise VwliteError(
                    f"{path}: run {number}: its data {name} is no file: name one with the same data with -d"
                )
        left_out = LEFT_OUT if values.get("on_drift") == "stop" else (*LEFT_OUT, *DRIFT)
        values = {name: value for name, value in values.items() if name not in left_out or name in OF_TABLE}
        declared = Options(command_line.option_groups()).declared
        for name, value in values.items():
            if name in declared and declared[name].file == "read" and isinstance(value, str):
                values[name] = placed(value, folder)
        values |= changes
        words = [word for name, value in values.items() for word in words_of(name, value)]
        yield Step(dict(record), words, places)


def given_of(path: str, number: int, record: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options of a run and the names of its data; of earlier versions, from the words of its command line."""
    if "given" in record:
        return dict(record["given"]), list(record.get("data", []))
    try:
        options = command_line.parse(record["arguments"], command_line.option_groups())
    except OptionError as error:
        raise ModelError(
            f"{path}: run {number} can't be replayed: its command line can't be read: {error.errors[0]}"
        ) from error
    values = {name: options[name] for name in options.declared if options.given(name) and name != "config"}
    names = [*([options.data] if options.data else []), *options["data"]]
    return values, names or (["-"] if not options["no_stdin"] else [])


def placed(name: str, folder: str) -> str:
    """A path as it was in the folder of its run."""
    if name == "-" or os.path.isabs(name):
        return name
    if is_query(name):
        database, sign, query = name.removeprefix("sqlite:").partition("?")
        local = name.startswith("sqlite:") and not name.startswith("sqlite://") and not os.path.isabs(database)
        return f"sqlite:{os.path.join(folder, database)}{sign}{query}" if local else name
    return os.path.join(folder, name)


def words_of(name: str, value: Any) -> list[str]:
    """The words of an option on a command line."""
    if value in (None, False):
        return []
    if value is True:
        return [f"--{name}"]
    return [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]


def run_again(number: int, step: Step, before: str | None, target: str) -> Run:
    """Makes a run, from the model before to the target; returns it. Raises VwliteError."""
    words = [*step.words, f"--final_regressor={target}", *(f"--data={name}" for name in step.data)]
    words += [] if step.data else ["--no_stdin"]
    words += [] if before is None else [f"--initial_regressor={before}"]
    if any(word.startswith("--invert_hash") for word in words):
        words = [word for word in words if not word.startswith("--invert_hash")] + [f"--invert_hash={os.devnull}"]
    try:
        options = command_line.parse(words, command_line.option_groups())
        check_run(options, serving=False)
        run = Again(options)
        status = run.main()
    except OptionError as error:
        raise OptionError([f"run {number}: {reason}" for reason in error.errors]) from error
    except VwliteError as error:
        raise type(error)(f"run {number}: {error}") from error
    if status and not run.drift_stop:
        raise KeyboardInterrupt
    return run


def versions(journal: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Remarks about runs of other versions of vwlite."""
    for number, record in enumerate(journal, 1):
        if record["version"] != __version__:
            yield f"run {number} was made by vwlite {record['version']}, this is {__version__}"
        if "given" not in record:
            yield f"run {number} is of a version that recorded no folder: names of files are looked up in this one"


def sources_differ(number: int, step: Step, records: Sequence[Mapping[str, Any]], replaced: bool) -> Iterator[str]:
    """Differences of the data of a run."""
    before = step.record["sources"]
    if len(before) != len(records) and before:
        yield f"run {number}: {len(before)} sources, now {len(records)}"
        return
    for old, new in zip(before, records, strict=False):
        if old["sha256"] is None or new["sha256"] is None or old["sha256"] == new["sha256"]:
            continue
        name = f"{new['name']} in place of {old['name']}" if replaced else f"{old['name']} has changed"
        yield (
            f"run {number}: data: {name}: sha256 {old['sha256'][:DIGITS]}, now {new['sha256'][:DIGITS]} "
            f"({old['bytes']:,} bytes, now {new['bytes']:,})"
        )


def content_differs(old: model_file.ModelReader, new: model_file.ModelReader, changed: bool) -> Iterator[str]:
    """Differences of the content of a model and of its replay."""
    declared = Options(command_line.option_groups()).declared
    for name, before, after in value_differences(old.metadata["options"], new.metadata["options"]):
        if name in declared and declared[name].file and "none" not in (before, after):
            continue  # the same file by another path, or its content differs below
        yield f"flags: --{name}: {before}, now {after}"
    seeds = old.metadata["journal"][-1]["seed"], new.metadata["journal"][-1]["seed"]
    if seeds[0] != seeds[1]:
        yield f"seed: {seeds[0]}, now {seeds[1]}"
    found = array_differences(old, new)
    if found:
        more = f"; {len(found) - 1} more arrays differ" if len(found) > 1 else ""
        yield f"array {found[0].name}: {found[0].what}{more}"
    for name, before, after in value_differences(figures_of(old), figures_of(new)):
        yield f"{name.replace('_', ' ')}: {before}, now {after}"
    if not found and "entities" in old.metadata and not changed:
        yield from entities_differ(old, new)


def entities_differ(old: model_file.ModelReader, new: model_file.ModelReader) -> Iterator[str]:
    """Differences of the entities in the files beside two models."""
    from vwlite.entities import store_file

    try:
        one, other = (store_file.find(reader)[1] for reader in (old, new))
    except ModelError as error:
        yield str(error)
        return
    assert one is not None and other is not None
    for owner in one.totals:
        a, b = (
            {key: (pending, record) for key, _, pending, record in store.rows(owner)} if owner in store.totals else {}
            for store in (one, other)
        )
        n = sum(a.get(key) != b.get(key) for key in a.keys() | b.keys())
        if n:
            yield f"entities of {owner}: {n:,} of {len(a.keys() | b.keys()):,} differ"
