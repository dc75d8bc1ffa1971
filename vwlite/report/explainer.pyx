"""Explainer: an observer that says of each example why its score is what it is, term by term.

Design:
a) After an example was predicted, the stack adds the terms of its score (core/terms.pxd), and the Explainer sorts them
   by size. It writes them as text or as a line of JSON into a TextBuffer, without the GIL, or makes dicts for Python.
b) The terms are those of the score of the stack. Of a learner of classes it is the score of the class predicted.
c) What the terms leave of the score is a term too, `(rest)`, unless it is as small as rounding: so they always add up,
   also where the score is no sum.
d) Of a decision the lines are explained one by one, into dicts; `decision` compares the two best.
"""
import math

from libc.float cimport FLT_EPSILON
from libc.math cimport NAN, fabs, isfinite, isnan, sqrt
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, qsort

from vwlite.core.arrays cimport grow
from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport CONSTANT_HASH, Block, Example, Row
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport MultiExample
from vwlite.core.observer cimport Observer
from vwlite.core.terms cimport FIND, FIXED_EFFECT, INITIAL, REST, Term, Terms
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.features.feature_names cimport FeatureNames, write_text
from vwlite.features.interactions cimport Interactions

from vwlite.core.learner import chain
from vwlite.core.types import PredictionType
from vwlite.errors import OptionError

cdef enum:
    EVERY_PART = 0xFFFFFFFF

cdef float SMALL_REST = 64 * FLT_EPSILON      # of the sum of the sizes of all terms

SINGLE = (PredictionType.SCALAR, PredictionType.CLASS, PredictionType.PROBABILITIES)


cdef class Explainer(Observer):
    """Explains predictions.

    Args:
        top: The stack.
        interactions: Its Interactions.
        parts: The names of the parts of a score; empty if it has one.
        sd: Whether standard deviations are computed; only learners with a posterior have them.
        most: How many terms are written of each part; 0 for all.
        only: The number of the one part that is written; by default all.
        as_json: Whether lines of JSON are written; otherwise text.

    Raises OptionError if the stack predicts neither numbers, classes nor actions.
    """

    cdef Learner top
    cdef ClassNames classes
    cdef Terms terms
    cdef FeatureNames names
    cdef public TextBuffer out        # None: dicts go to `found`
    cdef public list found
    cdef list part_names
    cdef tuple part_bytes
    cdef bint as_json, sd, in_parts
    cdef size_t most
    cdef uint32_t only
    cdef Term** order                 # of the terms, by part and size
    cdef size_t order_capacity
    cdef double rest

    def __init__(self, Learner top not None, Interactions interactions not None, *, parts=(), bint sd=True,
                 size_t most=0, uint32_t only=EVERY_PART, bint as_json=False):
        if not top.multiline and top.gives_prediction not in SINGLE:
            raise OptionError([f"a prediction of {top.gives_prediction.value} is no single score: it has no terms"])
        self.top, self.classes = top, top.classes if not top.multiline else None
        self.terms, self.names = Terms(), FeatureNames(interactions)
        self.part_names = list(parts)
        self.part_bytes = tuple([name.encode("utf-8", "surrogateescape") for name in parts])
        self.in_parts = len(self.part_names) > 1
        self.sd = sd
        self.most, self.only, self.as_json = most, only, as_json
        self.found = []

    def __dealloc__(self):
        free(self.order)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        cdef float prediction = ex.prediction, score = ex.score
        cdef double variance = ex.known.variance
        cdef uint32_t offset = ex.offset
        if self.classes is not None:
            ex.offset = (ex.class_predicted - self.classes.first) * self.top.step
        self.explain(self.top, ex)
        ex.offset = offset
        ex.prediction, ex.known.variance = prediction, variance
        if self.out is None:
            with gil:
                self.found.append(self.as_dict(ex))
        elif self.as_json:
            self.write_json(ex, self.out)
        else:
            self.write(ex, self.out)
        ex.score = score
        return 0

    cdef int explain(self, Learner learner, Example ex) except -1 nogil:
        """Collects the terms of the score of a single line that a learner has just predicted, sorted."""
        cdef double size = 0, total
        cdef size_t i
        cdef float score = ex.score
        cdef double variance
        cdef float[16] parts = ex.known.parts
        self.names.bind(ex)
        self.terms.clear()
        if self.classes is not None:     # `score` may be another one than that of the class
            learner.base.predict(ex)
            score = ex.score
        variance = ex.known.variance
        learner.terms(ex, self.terms)
        ex.score, ex.known.variance, ex.known.parts = score, variance, parts
        total = self.terms.total()
        for i in range(self.terms.n):
            size += fabs(self.terms.terms[i].value * self.terms.terms[i].weight)
            if self.terms.terms[i].place == FIND:
                self.place(ex, &self.terms.terms[i])
        if ex.initial != 0 and fabs(score - total) > SMALL_REST * size and not self.has(INITIAL):
            self.terms.part = 0
            self.terms.add(0, INITIAL, ex.initial, 1, 0)
            total += ex.initial
            size += fabs(ex.initial)
        if fabs(score - total) > SMALL_REST * size:
            self.terms.part = 0
            self.terms.add(0, REST, score - total, 1, NAN)
        grow(&self.order, &self.order_capacity, self.terms.n + 1, sizeof(Term*))
        for i in range(self.terms.n):
            self.order[i] = &self.terms.terms[i]
        sort(self.order, self.terms.n)
        return 0

    cdef bint has(self, int32_t place) noexcept nogil:
        """Whether there is a term of this place."""
        cdef size_t i
        for i in range(self.terms.n):
            if self.terms.terms[i].place == place:
                return True
        return False

    cdef void place(self, Example ex, Term* term) noexcept nogil:
        """Finds the feature of a term by its hash."""
        cdef size_t i
        for i in range(ex.n):
            if ex.features[i].hash == term.hash and i < self.names.n:
                term.place = <int32_t>i
                return

    cdef int name(self, Example ex, const Term* term, bint as_json) except -1 nogil:
        """Writes the name of a term."""
        if term.place >= 0 and <size_t>term.place < self.names.n:
            return self.names.write(ex, term.place, self.out, as_json)
        if term.place == INITIAL:
            return self.out.text(b"(initial)", 9)
        if term.place == FIXED_EFFECT:
            return self.out.text(b"(fixed effect)", 14)
        if term.place == REST:
            return self.out.text(b"(rest)", 6)
        if term.hash == CONSTANT_HASH:
            return self.out.text(b"Constant", 8)
        self.out.text(b"feature ", 8)
        return self.out.whole(term.hash)

    cdef int prediction(self, Example ex) except -1 nogil:
        """Writes the prediction as -p does."""
        if self.classes is not None:
            return self.classes.write(ex.class_predicted, self.out)
        return self.out.number(ex.prediction)

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        """Writes an explanation as text."""
        cdef size_t i = 0, end
        self.prediction(ex)
        to.tag(ex)
        to.text(b"  score ", 8)
        to.number(ex.score)
        if self.sd:
            to.text(b", sd ", 5)
            to.number(<float>sqrt(ex.known.variance))
        to.text(b"\n", 1)
        while i < self.terms.n:
            end = i
            while end < self.terms.n and self.order[end].part == self.order[i].part:
                end += 1
            if self.only == EVERY_PART or self.order[i].part == self.only:
                self.write_part(ex, i, end, to)
            i = end
        return to.text(b"\n", 1)

    cdef int write_part(self, Example ex, size_t begin, size_t end, TextBuffer to) except -1 nogil:
        """Writes the terms of a part."""
        cdef size_t i, last = end if self.most == 0 else min(end, begin + self.most)
        cdef double left = 0, total = 0
        cdef const Term* term
        if self.in_parts:
            for i in range(begin, end):
                total += self.order[i].value * self.order[i].weight
            to.text(b"  ", 2)
            self.part_name(self.order[begin].part)
            to.text(b" ", 1)
            to.number(<float>total)
            to.text(b"\n", 1)
        for i in range(begin, last):
            term = self.order[i]
            to.text(b"    " if self.in_parts else b"  ", 4 if self.in_parts else 2)
            if term.value * term.weight >= 0:
                to.text(b"+", 1)
            to.number(<float>(term.value * term.weight))
            to.text(b"  ", 2)
            self.name(ex, term, False)
            if term.place >= FIND:
                to.text(b"  ", 2)
                to.number(<float>term.value)
                to.text(b" x ", 3)
                to.number(<float>term.weight)
                if self.sd and not isnan(term.sd):
                    to.text(b", sd ", 5)
                    to.number(<float>term.sd)
            to.text(b"\n", 1)
        if last < end:
            for i in range(last, end):
                left += self.order[i].value * self.order[i].weight
            to.text(b"    " if self.in_parts else b"  ", 4 if self.in_parts else 2)
            if left >= 0:
                to.text(b"+", 1)
            to.number(<float>left)
            to.text(b"  in ", 5)
            to.whole(<uint32_t>(end - last))
            to.text(b" more\n", 6)
        return 0

    cdef int part_name(self, uint32_t part) except -1 nogil:
        """Writes the name of a part."""
        with gil:
            name = self.part_bytes[part]
            write_text(<const char*><bytes>name, len(name), self.out, self.as_json)
        return 0

    cdef int write_json(self, Example ex, TextBuffer to) except -1 nogil:
        """Writes an explanation as a line of JSON."""
        cdef size_t i, n = 0
        cdef uint32_t part = EVERY_PART, of_part = 0
        cdef double total
        cdef const Term* term
        to.text(b'{"prediction": ', 15)
        if self.classes is not None:
            self.class_name(ex)
        else:
            precise(to, ex.prediction)
        if ex.tag_length:
            to.text(b', "tag": "', 10)
            write_text(ex.tag, ex.tag_length, to, True)
            to.text(b'"', 1)
        to.text(b', "score": ', 11)
        precise(to, ex.score)
        if self.sd:
            to.text(b', "sd": ', 8)
            precise(to, sqrt(ex.known.variance))
        if self.in_parts:
            to.text(b', "parts": {', 12)
            for i in range(self.terms.n):
                total = 0 if i == 0 or self.order[i].part != self.order[i - 1].part else total
                total += self.order[i].value * self.order[i].weight
                if i + 1 < self.terms.n and self.order[i + 1].part == self.order[i].part:
                    continue
                if n:
                    to.text(b", ", 2)
                n += 1
                to.text(b'"', 1)
                self.part_name(self.order[i].part)
                to.text(b'": ', 3)
                precise(to, total)
            to.text(b"}", 1)
        to.text(b', "terms": [', 12)
        n = 0
        for i in range(self.terms.n):
            term = self.order[i]
            of_part = 0 if term.part != part else of_part + 1
            part = term.part
            if (self.only != EVERY_PART and part != self.only) or (self.most and of_part >= self.most):
                continue
            if n:
                to.text(b", ", 2)
            n += 1
            to.text(b"{", 1)
            if self.in_parts:
                to.text(b'"part": "', 9)
                self.part_name(part)
                to.text(b'", ', 3)
            to.text(b'"feature": "', 12)
            self.name(ex, term, True)
            to.text(b'", "value": ', 12)
            precise(to, term.value)
            to.text(b', "weight": ', 12)
            precise(to, term.weight)
            to.text(b', "term": ', 10)
            precise(to, (term.value * term.weight))
            if self.sd and not isnan(term.sd):
                to.text(b', "sd": ', 8)
                precise(to, term.sd)
            to.text(b"}", 1)
        return to.text(b"]}\n", 3)

    cdef int class_name(self, Example ex) except -1 nogil:
        """Writes the class predicted as a value of JSON: a number, or a name as a string."""
        with gil:
            value = self.classes.value(ex.class_predicted)
            if isinstance(value, str):
                name = value.encode("utf-8", "surrogateescape")
                self.out.text(b'"', 1)
                write_text(<const char*><bytes>name, len(name), self.out, True)
                self.out.text(b'"', 1)
            else:
                text = b"null" if value is None else str(value).encode()
                self.out.text(<const char*><bytes>text, len(text))
        return 0

    # for Python

    cdef dict as_dict(self, Example ex):
        """The explanation of a single line."""
        value = self.classes.value(ex.class_predicted) if self.classes is not None else ex.prediction
        found = {"prediction": value}
        if ex.tag_length:
            found["tag"] = ex.tag[:ex.tag_length].decode("utf-8", "replace")
        found["score"] = ex.score
        if self.sd:
            found["sd"] = math.sqrt(max(ex.known.variance, 0))
        terms = self.term_dicts(ex)
        if self.in_parts:
            found["parts"] = {}
            for term in terms:
                found["parts"][term["part"]] = found["parts"].get(term["part"], 0) + term["term"]
        found["terms"] = self.chosen(terms)
        return found

    cdef list chosen(self, list terms):
        """The terms that are shown."""
        cdef list shown = []
        counts = {}
        for term in terms:
            part = term.get("part")
            counts[part] = counts.get(part, 0) + 1
            if self.only != EVERY_PART and (not self.in_parts or part != self.part_names[self.only]):
                continue
            if not self.most or counts[part] <= self.most:
                shown.append(term)
        return shown

    cdef list term_dicts(self, Example ex):
        """The terms of the last explain(), by part and size."""
        cdef size_t i
        cdef const Term* term
        cdef TextBuffer before = self.out
        terms = []
        self.out = TextBuffer()
        for i in range(self.terms.n):
            term = self.order[i]
            self.name(ex, term, False)
            one = {"part": self.part_names[term.part]} if self.in_parts else {}
            one |= {"feature": self.out.drain().decode("utf-8", "replace"), "value": term.value,
                    "weight": term.weight, "term": term.value * term.weight}
            if self.sd and not isnan(term.sd):
                one["sd"] = term.sd
            terms.append(one)
        self.out = before
        return terms

    cdef int note_lines(self, MultiExample ex, Block block, const Row* rows, bint tested) except -1 nogil:
        with gil:
            self.found.append(self.decision(ex))
        return 0

    cdef dict decision(self, MultiExample ex):
        """Why a decision is as it is: the score of each line with its terms, and what is between the two best."""
        cdef size_t i
        cdef Learner learner = line_learner(self.top)
        # of the whole; scoring a line again writes over what the learners hold
        order = [ex.order[i] for i in range(ex.n_values)] if ex.order != NULL and ex.n_values else []
        values = [ex.values[i] for i in range(ex.n_values)] if ex.values != NULL else []
        scores = [ex.scores[i] for i in range(ex.n_lines)] if ex.scores != NULL else []
        rewards = bool(ex.rewards)
        sd = bool(self.sd and learner_has_posterior(self.top))
        before = ex.line.known.wants_variance
        actions = []
        for i in range(ex.n_lines):
            ex.select(i)
            ex.line.known.wants_variance = sd
            ex.line.offset = 0
            learner.predict(ex.line)
            self.explain(learner, ex.line)
            action = {"action": i + 1, "score": ex.line.score}
            if sd:
                action["sd"] = math.sqrt(max(ex.line.known.variance, 0))
            action["terms"] = self.term_dicts(ex.line)
            actions.append(action)
        ex.line.known.wants_variance = before
        scores = scores or [action["score"] for action in actions]
        probable = self.top.gives_prediction in (PredictionType.ACTION_PROBABILITIES, PredictionType.LINE_PROBABILITIES)
        for action, value in zip(actions, values if probable else (), strict=False):
            action["probability"] = value
        found = {}
        if ex.tag_length:
            found["tag"] = ex.tag[:ex.tag_length].decode("utf-8", "replace")
        best = sorted(range(len(actions)), key=lambda i: -scores[i] if rewards else scores[i])
        chosen = order[0] if order and order[0] < len(actions) else best[0]
        found |= {"chosen": chosen + 1, "scores_are": "rewards" if rewards else "costs",
                  "best": best[0] + 1 if best else None}
        if len(actions) > 1:
            other = best[1] if best[0] == chosen else best[0]
            found["runner_up"] = other + 1
            found["apart"] = actions[chosen]["score"] - actions[other]["score"]
            found["between"] = between(actions[chosen]["terms"], actions[other]["terms"])[:self.most or None]
        for action in actions:
            action["terms"] = self.chosen(action["terms"])
        return found | {"actions": actions}


def between(chosen, other):
    """What separates two actions: for each feature its terms in both, those that are furthest apart first."""
    sums = {}
    for at, terms in enumerate((chosen, other)):
        for term in terms:
            key = term.get("part"), term["feature"]
            sums.setdefault(key, [0.0, 0.0])[at] += term["term"]
    rows = [({"part": part} if part is not None else {}) | {"feature": feature, "chosen": a, "runner_up": b,
                                                            "difference": a - b}
            for (part, feature), (a, b) in sums.items() if a != b]
    return sorted(rows, key=lambda row: -abs(row["difference"]))


def line_learner(top):
    """The learner that scores single lines, of a stack of multi-line examples."""
    return next(learner for learner in chain(top) if not learner.multiline)


def learner_has_posterior(top):
    """Whether a stack gives variances of scores."""
    return any([learner.has_posterior for learner in chain(top)])


cdef double[19] POWERS = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                          1e12, 1e13]


cdef int precise(TextBuffer to, double value) except -1 nogil:
    """Writes a number for JSON in nine significant digits, from which a float is read back exactly."""
    cdef char[32] text
    cdef double size = fabs(value)
    cdef int exponent = -5, places, at = 32, digit
    cdef uint32_t number
    if not size < 1e9 or size < 1e-5:
        return rare(to, value)
    while size >= POWERS[exponent + 6]:       # 10^exponent <= size
        exponent += 1
    places = 8 - exponent
    number = <uint32_t>(size * POWERS[places + 5] + 0.5)
    while places > 0 and number % 10 == 0:
        number //= 10
        places -= 1
    digit = places
    while number or digit >= 0:
        if digit == 0 and places:
            at -= 1
            text[at] = b"."
        at -= 1
        text[at] = <char>(48 + number % 10)
        number //= 10
        digit -= 1
    if value < 0:
        at -= 1
        text[at] = b"-"
    return to.text(text + at, 32 - at)


cdef int rare(TextBuffer to, double value) except -1 nogil:
    """Writes a very large or small number; null for one that JSON does not have."""
    if value == 0:
        return to.text(b"0", 1)
    with gil:
        text = (f"{value:.9g}" if isfinite(value) else "null").encode()
        to.text(<const char*><bytes>text, len(text))
    return 0


cdef int compare(const void* one, const void* other) noexcept nogil:
    cdef const Term* a = (<const Term**>one)[0]
    cdef const Term* b = (<const Term**>other)[0]
    cdef double x = fabs(a.value * a.weight), y = fabs(b.value * b.weight)
    if a.part != b.part:
        return -1 if a.part < b.part else 1
    if x != y:
        return -1 if x > y else 1
    return -1 if a < b else a > b


cdef void sort(Term** order, size_t n) noexcept nogil:
    """Sorts terms by part, then by size; equal ones stay in their order."""
    cdef size_t i, j
    cdef Term* term
    if n > 32:
        qsort(order, n, sizeof(Term*), compare)
        return
    for i in range(1, n):
        term = order[i]
        j = i
        while j and compare(&term, &order[j - 1]) < 0:
            order[j] = order[j - 1]
            j -= 1
        order[j] = term
