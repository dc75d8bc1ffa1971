"""Deals and gathers the records of entity tables. Design notes are in dealing.pxd."""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from vwlite.entities.record cimport Record, bytes_between, name_of
from vwlite.entities.table cimport MOST_SEQUENCES, EntityTable, Sequence, own_hashes

cdef struct Match:
    # which of a table's sequences stands for one of another table's
    bint looked                       # for it
    Sequence* found                   # NULL: none


cdef int deal(EntityTable table, list tables, uint32_t namespace) except -1:
    """Move every record to one of `tables`, which are empty; the i-th record gets the serial i.

    `namespace` is the hash of that of the entities.
    """
    cdef size_t n = len(tables), thread
    cdef uint64_t serial = 0
    cdef EntityTable to
    cdef Record* record = table.oldest
    cdef Record* newer
    cdef Match* matches = make_matches(n)
    try:
        while record != NULL:
            newer = record.newer
            record.serial = serial
            serial += 1
            thread = thread_of(name_of(record), record.name_length, namespace, <uint32_t>n)
            to = tables[thread]
            adopt(to, table, record, matches + thread * (MOST_SEQUENCES + 1))
            record = newer
    finally:
        free(matches)
    let_go(table)
    return 0


cdef int gather(EntityTable table, list tables) except -1:
    """Move the records of `tables` to the empty table, by their serials."""
    cdef size_t n = len(tables), i, first
    cdef EntityTable each
    cdef Record* record
    cdef Match* matches = make_matches(n)
    cdef Record** heads = <Record**>malloc((n + 1) * sizeof(Record*))
    try:
        if heads == NULL:
            raise MemoryError
        for i in range(n):
            heads[i] = (<EntityTable>tables[i]).oldest
        while True:
            first = n
            for i in range(n):
                if heads[i] != NULL and (first == n or heads[i].serial < heads[first].serial):
                    first = i
            if first == n:
                break
            record = heads[first]
            heads[first] = record.newer
            each = tables[first]
            adopt(table, each, record, matches + first * (MOST_SEQUENCES + 1))
    finally:
        free(matches)
        free(heads)
    for each in tables:
        let_go(each)
    return 0


cdef Match* make_matches(size_t n) except NULL:
    cdef size_t size = (n + 1) * (MOST_SEQUENCES + 1) * sizeof(Match)
    cdef Match* matches = <Match*>malloc(size)
    if matches == NULL:
        raise MemoryError
    memset(matches, 0, size)
    return matches


cdef int let_go(EntityTable table) except -1:
    """Empty a table whose records are elsewhere."""
    table.oldest = table.newest = NULL
    table.count = table.bytes = 0
    table.has_last = False
    memset(table.slots, 0, (table.mask + 1) * sizeof(uint64_t))
    return 0


cdef int adopt(EntityTable table, EntityTable before, Record* record, Match* matches) except -1:
    """Append a record of another table, which is to let all of them go."""
    cdef size_t i
    cdef Match* match
    if 2 * (table.count + 1) > table.mask:
        table.grow_slots()
    if not record.own:
        i = (<char*>record.hashes - <char*>before.sequences[0].hashes) // sizeof(Sequence)
        match = matches + i
        if not match.looked:
            match.looked = True
            match.found = matching(table, &before.sequences[i])
        if match.found != NULL:
            record.hashes = match.found.hashes
        else:
            own_hashes(record)
    record.older, record.newer = table.newest, NULL
    if table.newest != NULL:
        table.newest.newer = record
    else:
        table.oldest = record
    table.newest = record
    table.put(record)
    table.count += 1
    table.bytes += table.size(record) + bytes_between(record)
    return 0


cdef Sequence* matching(EntityTable table, Sequence* sequence) noexcept:
    """The sequence of a table that begins with another one, or the other one continues; NULL if there is no place."""
    cdef size_t i
    cdef Sequence* each
    for i in range(table.n_sequences):
        each = &table.sequences[i]
        if memcmp(each.hashes, sequence.hashes, min(each.n, sequence.n) * sizeof(uint32_t)) == 0:
            break
    else:
        if table.n_sequences == MOST_SEQUENCES:
            return NULL
        each = &table.sequences[table.n_sequences]
        each.n = 0
        table.n_sequences += 1
        table.votes = 0               # the candidate's place is taken
    if each.n < sequence.n:
        memcpy(each.hashes, sequence.hashes, sequence.n * sizeof(uint32_t))
        each.n = sequence.n
    return each
