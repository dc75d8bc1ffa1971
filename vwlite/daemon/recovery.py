"""Loads a daemon's model: from a file, or from a checkpoint and the later entries of the journal (recovery)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from vwlite.core.files import sweep
from vwlite.core.options import Option, Options, renamed
from vwlite.daemon.engine import NOT_HERE, Engine
from vwlite.daemon.reload import ModelOnDisk
from vwlite.daemon.saving import CHECKPOINT, stream
from vwlite.engine import plugins
from vwlite.engine.command_line import option_groups
from vwlite.engine.daemon_flags import ASIDE, of_the_model
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.model import model_file

if TYPE_CHECKING:
    from vwlite.daemon.journal import Journal
    from vwlite.daemon.log import Log


def loaded(options: Options, journal: Journal | None, log: Log) -> tuple[Engine, ModelOnDisk | None]:
    """Loads the model, with all entries of the journal, and the file that SIGHUP loads, if any. Raises VwliteError."""
    path = options["initial_regressor"] or options["final_regressor"]
    original = None
    if path is not None:
        loads = journal is None or not os.path.exists(os.path.join(journal.folder, CHECKPOINT))
        original = ModelOnDisk(options, path, known=loads or path == options["final_regressor"])
    return Engine(options) if journal is None else recover(options, journal, log), original


def recover(options: Options, journal: Journal, log: Log) -> Engine:
    """Loads the checkpoint and learns the later entries of the journal.

    Entries that were learned with other flags are learned with those flags again, so that the model is the one that was
    acknowledged.
    """
    checkpoint = os.path.join(journal.folder, CHECKPOINT)
    sweep(journal.folder, ".vwlite-")  # of any process: the journal is locked, so no other one writes there
    flags = of_the_model(options)
    if not os.path.exists(checkpoint):
        engine = Engine(options)
        replay(engine, journal, 0, log)
        engine.save(checkpoint, stream(journal, journal.last, flags))  # later starts don't need -i
        return engine
    if options.given("initial_regressor"):
        log.info("loading the checkpoint; -i is ignored", checkpoint=checkpoint)
    place: dict[str, Any] = model_file.open(checkpoint).metadata.get("stream") or {}
    if place.get("id") != journal.id or not {"flags", "entry"} <= place.keys():
        raise VwliteError(
            f"{checkpoint}: is not the checkpoint of the journal beside it; put back the one that is, or give "
            "another --journal folder"
        )
    before, after = dict(place["flags"]), int(place["entry"])
    if before != flags and journal.last > after:
        log.info("the journal has lines that were learned with other flags", flags=json.dumps(before))
        engine = load_checkpoint(earlier_options(before, checkpoint), checkpoint)
        replay(engine, journal, after, log)
        after = journal.last
        engine.save(checkpoint, stream(journal, after, before))
    engine = load_checkpoint(options, checkpoint)
    replay(engine, journal, after, log)
    if before != flags:
        engine.save(checkpoint, stream(journal, journal.last, flags))
    return engine


def earlier_options(flags: dict[str, Any], checkpoint: str) -> Options:
    """Rebuilds the options of the daemon that wrote a checkpoint from its flags. Raises VwliteError.

    A checkpoint may come from an untrusted source: only flags are accepted that a daemon with a journal could have had
    and that name no file. The fixed effect is loaded from the checkpoint, not from the file that it was once read from.
    """
    options = Options(option_groups())
    options.accepted = True
    flags = renamed(flags, options.declared)
    foreign = [name for name in flags if name in options and is_foreign(options.declared[name])]
    if foreign:
        raise ModelError(
            f"{checkpoint}: the file sets --{', --'.join(foreign)}, which no checkpoint stores; put back the one that "
            "vwlite saved"
        )
    for name, value in flags.items():
        if name not in options and (plugin := plugins.claim(name)):
            plugins.declare(plugin, options)
        if name not in options:
            raise VwliteError(
                f"{checkpoint}: the lines in its journal were learned with --{name}, which this vwlite does not know; "
                "start the version that wrote them once more"
            )
        if name == "fixed_effect":
            continue
        try:
            options.set(name, value)
        except OptionError as error:
            raise ModelError("\n".join(f"{checkpoint}: in the flags, {reason}" for reason in error.errors)) from error
    return options


def is_foreign(option: Option) -> bool:
    """Whether an option can't be among the flags of a checkpoint."""
    return option.name in {*ASIDE, *NOT_HERE, "testonly"} or (bool(option.file) and option.name != "fixed_effect")


def load_checkpoint(options: Options, checkpoint: str) -> Engine:
    """Loads the model of a checkpoint, with its counts of examples."""
    options.set("initial_regressor", checkpoint)
    options.set("preserve_performance_counters", True)
    return Engine(options)


def replay(engine: Engine, journal: Journal, after: int, log: Log) -> None:
    """Learns the journal's entries whose numbers are greater than `after`."""
    count = 0
    for _, lines in journal.entries(after):
        engine.learn_again(lines)
        count += 1
    if count:
        log.info("learned the journal's entries after the checkpoint", entries=count, last=journal.last)
