"""Vowpal Wabbit's JSON, an object a line: --json, and with the envelope of a decision service --dsjson.

    {"_label": 1, "_tag": "t7", "user": {"age": 0.4, "city": "Bonn", "new": true}, "pixels": [0.5, 0, 2], "hour": 7}

A key whose value is an object or array is a namespace, at any depth; other keys are features of the enclosing
namespace, at the top level of the one without a name. A number is a feature's value, `true` is 1; `false` and `null`
omit the feature; a string is appended to its name (`cityBonn`, with value 1), or with `chained` hashed with the name's
hash as its seed. An array holds numbers, whose features are numbered, and objects with more features of the namespace.

In the namespace of a random effect, a string or number is the name of the entity: {"user": "u7"} and {"user": 7} are
the entities `u7` and `7`, {"user": {"id": 7}} and {"user": {"id": "7"}} the entity `id7`.

Keys that begin with "_" are not features:

    _label   label, {"Label": , "Weight": , "Initial": } or "label weight initial"; also _label_Label, _label_Weight ...
             of classes or costs, all in one string: "cat", "cat 2", "1,3", "1:0.5 2:0"; a number is a class
    _tag     the tag
    _text    words, each a feature
    others   are ignored

In a multi-line example, the array `_multi` has an object for each action, and the keys beside it are shared. The label
of the chosen action is in its object, or at the top level with `_labelIndex`, which counts actions from 0: _label_Cost
and _label_Probability, {"Cost": , "Probability": }, or "action:cost:probability". The action's own number is not used.

dsjson has the example in the key `c`, and beside it the label, `_labelIndex`, `pdrop` and `_skipLearn`. The weight of a
line is 1 / (1 - pdrop), as that share of lines like it was left out of the log. A line with `_skipLearn` is predicted,
not learned. A line without `c` but with `EventId` is an outcome that came late, and no example. What else is beside `c`
(`a`, `p`, `_original_label_cost`, `VWState`, ...) is ignored.

The features are those that Vowpal Wabbit reads, with these exceptions:

- CR, LF and NUL in a string become '_', as blank, TAB, '|' and ':' do. In VW the first two stay, and a NUL ends the
  string. In names only these three become '_'. With `writable`, a name that text can't represent is refused.
- An object that has the same key twice is refused, where VW counts it twice.
- The namespace "" is the one without a name. VW gives it the index 0.
- With --hash all or --hash_seed, the namespace without a name has the hash that it has in text; in VW another.
- Features of namespaces whose names begin with a byte above 127 are read. VW loses them.
- After an array inside an object inside an array, numbering continues from the outer array, in VW from the inner one.
- A label at the top level without `_labelIndex` is refused; VW doesn't learn it, or ends the run. In dsjson
  `_label_Action`, from 1, does as well. `_label` at the top level with `_labelIndex`, labels behind `c` or `_multi`,
  and `_label_Cost` and similar keys inside an action, are read; VW ignores them or ends the run.
- VW drops lines of dsjson with `_skipLearn`, and those without `a`. It ignores `pdrop` in single-line examples.
- Probabilities above 1, and a pdrop below 0, are refused.
"""
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memset

from vwlite.core.example cimport PADDING, Block
from vwlite.core.reasons cimport LINE_LENGTH, TEXT_ENCODING, TEXT_MUCH
from vwlite.input.reader cimport LineReader
from vwlite.input.source_parser cimport SourceParser
from vwlite.input.vw_members cimport VwMembers
from vwlite.input.vw_rows cimport Assembly

from vwlite.core.types import is_multiline
from vwlite.parsers.entities import entity_namespaces

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

cdef enum:
    CAPACITIES = 4                    # of the text, for what is written behind it; with names twice that
    MOST_TEXT = 1 << 29               # bytes of a block: places in it have 32 bits


cdef class VwJsonParser(SourceParser):
    """Parser of VW's JSON in `paths` ("-" is standard input).

    Args:
        options: Of the run.
        paths: The files.
        digest: Whether to compute sha256 of each file.
        labels: The LabelType of the stack.
        multiline: Whether examples are multi-line ones; None: as the labels are.
        names: Whether learners read the names of features.
        enveloped: Whether lines are dsjson.
        chained: Whether the hash of a string begins with that of its name (--chain_hash).
        writable: Whether names that VW's text can't represent are refused.
    """

    cdef object labels
    cdef bint names, multiline, enveloped, chained, writable

    def __init__(self, options, paths, digest, labels, multiline, names, *, enveloped=False, chained=False,
                 writable=False):
        super().__init__(LineReader(list(paths), options["max_line_bytes"], digest, False), options,
                         entity_namespaces(options))
        self.labels = labels
        self.multiline = is_multiline(labels) if multiline is None else multiline
        self.names, self.enveloped, self.chained, self.writable = names, enveloped, chained, writable

    cdef int parse(self, Block block) except -1 nogil:
        with gil:
            self.parse_lines(block)
        return 0

    cdef int parse_lines(self, Block block) except -1:
        cdef Assembly rows = Assembly(self.naming, self.labels, block, self.names)
        cdef VwMembers members = VwMembers(rows, self.multiline, self.writable, self.enveloped, self.chained)
        cdef size_t at = 0, line = 0, stop, n = block.text_length
        cdef const uint8_t* found
        block.reserve_text((CAPACITIES << self.names) * n + 2 * PADDING if n <= MOST_TEXT else n + 2 * PADDING)
        rows.text = n + PADDING       # names are copied by 16 bytes, which must not overlap
        memset(block.text + n, 0, PADDING)
        members.text, members.end = <uint8_t*>block.text, n
        if block.begins and block.text[:3] == b"\xef\xbb\xbf":
            at = 3
        with nogil:
            members.good = vwl_utf8_problem(members.text, n)
            while at < n:
                found = <const uint8_t*>memchr(members.text + at, 10, n - at)
                stop = n if found == NULL else found - members.text
                self.line(members, at, stop, line, block.truncated)
                line += 1
                at = stop + 1
        rows.end_block()
        block.n_lines = line
        return 0

    cdef int line(self, VwMembers members, size_t start, size_t stop, size_t line, bint truncated) except -1 nogil:
        """Read a line into rows; a line of blanks is none."""
        cdef size_t at = members.blanks(start), bad
        if at >= stop:
            return 0
        if truncated or stop - start > self.limit:
            return members.refuse(LINE_LENGTH, start, line, start, stop)
        if stop > MOST_TEXT:
            return members.refuse(TEXT_MUCH, start, line, start, stop)
        if members.good < stop:       # of the block, a line before or this one
            bad = start + vwl_utf8_problem(members.text + start, stop - start)
            if bad < stop:
                return members.refuse(TEXT_ENCODING, bad, line, start, stop)
        return members.example(at, line, start, stop)
