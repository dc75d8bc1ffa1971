"""What the journal has and the checkpoints have not, learned at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vwlite.features.interactions import LIMIT_OF_A_DAEMON
from vwlite.http.entries import Entry, Header, labels_of, split

if TYPE_CHECKING:
    from vwlite.daemon.journal import Journal
    from vwlite.http.host import Host
    from vwlite.http.memory import Memory
    from vwlite.http.model import Model


def recover(house: Host, memory: Memory, journal: Journal) -> None:
    """Learns what the journal has and the checkpoints have not.

    A checkpoint may have entries that were not committed when the process was killed. Their numbers are never used for
    others, and get empty entries: the journal has no gap, which would be damage.

    Args:
        house: The models.
        memory: Those in memory.
        journal: Their journal.
    """
    by_uid = {each.uid: name for name, each in house.known.items()}
    count = 0
    for number, data in journal.entries(journal.first() - 1):
        entry = Entry.read(number, data)
        header = entry.header
        name = by_uid.get(header.model)
        if name is not None and number > house.known[name].entry:
            learn_again(memory.load(name), entry)
            count += 1
        if number > house.state.entry and name is not None:
            house.commits.effects(header)(house.state)
    house.state.apply(journal.last)
    house.state.commit()
    newest = max((each.entry for each in house.known.values()), default=0)
    while journal.last < newest:
        journal.append(Entry.write(Header(""), b""))
    house.commits.done = journal.committed
    if count:
        house.log.info("learned the journal's entries after the checkpoints", entries=count, last=journal.last)


def learn_again(model: Model, entry: Entry) -> None:
    """Learns an entry of the journal."""
    model.engine.limit_crossing(None)
    if entry.header.labels is not None:
        model.kind.restore(entry.header.labels)
    lines = split(entry.text, model.engine.blocks)
    answers = model.run(lines)
    given = entry.header.answers or answers
    if entry.header.scored:
        labels = labels_of(lines, model.engine.workspace.top.takes_label)
        model.score(labels, given if len(given) == len(answers) else answers)
    model.note_loss()
    model.names.read(lines, model.examples)
    model.engine.take_learned()
    model.entry = entry.number
    model.engine.limit_crossing(model.engine.options["crossing_limit"] or LIMIT_OF_A_DAEMON)
