"""Formats of predictions. Design notes are in predictions.pxd."""
from libc.math cimport sqrt
from libc.stdint cimport uint32_t

from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport NO_NUMBER, Choice, Example
from vwlite.core.multiline cimport MultiExample
from vwlite.core.textbuffer cimport TextBuffer

from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError
from vwlite.report.outputs import decimals

cdef enum Column:
    PREDICTION
    SCORE
    INITIAL
    SD
    LOW
    HIGH
    LABEL_SD
    LABEL_LOW
    LABEL_HIGH
    PART                              # the first part of the score; others follow

COLUMNS = {"prediction": PREDICTION, "score": SCORE, "initial": INITIAL, "sd": SD, "low": LOW, "high": HIGH,
           "label_sd": LABEL_SD, "label_low": LABEL_LOW, "label_high": LABEL_HIGH}
OF_VARIANCE = frozenset({"sd", "low", "high", "label_sd", "label_low", "label_high"})


def format_of(top):
    """The Format of a stack's predictions."""
    return FORMATS[top.gives_prediction](top.classes, top.loss.as_vw, top.takes_label is LabelType.COST_SENSITIVE)


cdef class Format:
    """Base class of the formats of predictions."""

    takes_columns = False

    def __init__(self, ClassNames classes=None, bint as_vw=False, by_class=False):
        self.classes = classes
        self.as_vw = as_vw

    def set_columns(self, names, parts):
        """Sets the columns of a prediction; `parts` names those of the score. Raises OptionError for unknown names."""
        if not self.takes_columns:
            raise OptionError(["--columns and --interval are for predictions of single lines, not of decisions or "
                               "several classes"])
        known = COLUMNS | {name: PART + i for i, name in enumerate(parts)}
        for name in names:
            if name not in known:
                raise OptionError([f"--columns {','.join(names)}: there is no column {name!r} here, only "
                                   f"{', '.join(known)}"])
        if len(names) > MOST_COLUMNS:
            raise OptionError([f"--columns: at most {MOST_COLUMNS}"])
        for i, name in enumerate(names):
            self.columns[i] = known[name]
        self.n_columns = len(names)

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        return 0

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        return 0

    cdef int collect(self, Example ex, list results) except -1 nogil:
        return 0

    cdef int finish(self, list results) except -1:
        """Appends buffered values to the results, after the current lines were run."""
        return 0

    cdef int write_columns(self, Example ex, TextBuffer to) except -1 nogil:
        """Writes the columns, separated by blanks."""
        cdef size_t i
        for i in range(self.n_columns):
            if i:
                to.text(b" ", 1)
            if self.columns[i] == PREDICTION and self.classes is not None:
                self.classes.write(ex.class_predicted, to)
            else:
                to.number(column(ex, self.columns[i]))
        return 0

    def cell(self, Example ex):
        """The prediction in the progress table."""
        return ""


cdef float column(Example ex, int which) noexcept nogil:
    if which >= PART:
        return ex.known.parts[which - PART]
    if which == PREDICTION:
        return ex.prediction
    if which == SCORE:
        return ex.score
    if which == INITIAL:
        return ex.initial
    if which == SD:
        return <float>sqrt(ex.known.variance)
    if which == LABEL_SD:
        return <float>sqrt(ex.known.variance + ex.known.noise)
    if which == LABEL_LOW:
        return ex.known.label_low
    if which == LABEL_HIGH:
        return ex.known.label_high
    return ex.known.low if which == LOW else ex.known.high


cdef class Scalar(Format):
    """A number, and the tag."""

    takes_columns = True

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        if self.n_columns:
            self.write_columns(ex, to)
        else:
            to.number(ex.prediction)
        return to.tag(ex)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        to.number(ex.score)
        return to.tag(ex)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef size_t i
        if self.n_columns:
            with gil:
                results.append(tuple([column(ex, self.columns[i]) for i in range(self.n_columns)]))
            return 0
        if self.n_values == VALUES_AT_ONCE:
            with gil:
                self.finish(results)
        self.values[self.n_values] = ex.prediction
        self.n_values += 1
        return 0

    cdef int finish(self, list results) except -1:
        cdef size_t i
        results += [self.values[i] for i in range(self.n_values)]
        self.n_values = 0
        return 0

    def cell(self, Example ex):
        return decimals(ex.prediction, 4, 4, self.as_vw)


cdef class Class(Format):
    """A class by number or name, and the tag."""

    takes_columns = True

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        if self.n_columns:
            self.write_columns(ex, to)
        else:
            self.classes.write(ex.class_predicted, to)
        return to.tag(ex)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        return write_values(self.classes, ex, to)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef size_t i
        with gil:
            found = self.classes.value(ex.class_predicted)
            if self.n_columns:
                found = tuple([found if self.columns[i] == PREDICTION else column(ex, self.columns[i])
                               for i in range(self.n_columns)])
            results.append(found)
        return 0

    def cell(self, Example ex):
        return str(self.classes.value(ex.class_predicted))


cdef int write_values(ClassNames classes, Example ex, TextBuffer to) except -1 nogil:
    """Writes class:number of each class, or of those that `order` lists, and the tag."""
    cdef uint32_t i
    for i in range(<uint32_t>ex.n_values):
        if i:
            to.text(b" ", 1)
        classes.write(classes.first + i if ex.order == NULL else ex.order[i], to)
        to.text(b":", 1)
        to.short_number(ex.values[i])
    return to.tag(ex)


cdef class Scores(Format):
    """A number for each class, and the tag."""

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        return write_values(self.classes, ex, to)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        return write_values(self.classes, ex, to)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef uint32_t i
        with gil:
            results.append({self.classes.value(self.classes.first + i): ex.values[i]
                            for i in range(<uint32_t>ex.n_values)})
        return 0

    def cell(self, Example ex):
        return str(self.classes.value(ex.class_predicted))


cdef class Classes(Format):
    """The predicted classes, separated by commas, and the tag."""

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        cdef size_t i
        for i in range(ex.n_values):
            if i:
                to.text(b",", 1)
            self.classes.write(ex.order[i], to)
        return to.tag(ex)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        cdef uint32_t i
        for i in range(<uint32_t>ex.n_scores):
            if i:
                to.text(b" ", 1)
            self.classes.write(self.classes.first + i, to)
            to.text(b":", 1)
            to.short_number(ex.values[i])
        return to.tag(ex)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef size_t i
        with gil:
            results.append([self.classes.value(ex.order[i]) for i in range(ex.n_values)])
        return 0

    def cell(self, Example ex):
        return ",".join([str(self.classes.value(ex.order[i])) for i in range(ex.n_values)])


cdef int write_line(MultiExample lines, size_t i, TextBuffer to) except -1 nogil:
    """Writes the class of a line; its number, from 1, if the line names none."""
    cdef const Choice* choice = lines.choice_of(i)
    if choice == NULL:
        return to.whole(<uint32_t>i + 1)
    if choice.number != NO_NUMBER:
        return to.whole(choice.number)
    return to.text(lines.text + choice.name, choice.name_length)


cdef object class_of_line(MultiExample lines, size_t i):
    """The class of a line as a Python object."""
    cdef const Choice* choice = lines.choice_of(i)
    if choice == NULL:
        return i + 1
    if choice.number != NO_NUMBER:
        return choice.number
    return lines.text[choice.name:choice.name + choice.name_length].decode("utf-8", "surrogateescape")


cdef int write_own_tag(MultiExample lines, size_t i, TextBuffer to) except -1 nogil:
    """Writes the tag of a line, and a line end."""
    lines.line.tag = lines.text + lines.rows[i].tag
    lines.line.tag_length = lines.rows[i].tag_length
    return to.tag(lines.line)


cdef int write_scores(MultiExample lines, TextBuffer to) except -1 nogil:
    """Writes class:score of each line and its tag, as VW's raw predictions."""
    cdef size_t i
    for i in range(lines.n_lines):
        write_line(lines, i, to)
        to.text(b":", 1)
        to.short_number(lines.scores[i])
        write_own_tag(lines, i, to)
    return 0


cdef int write_choice(MultiExample lines, TextBuffer to) except -1 nogil:
    """Writes the class of the chosen line, 0 for the others, each with its tag; then an empty line."""
    cdef size_t i
    for i in range(lines.n_lines):
        if i == lines.order[0]:
            write_line(lines, i, to)
        else:
            to.text(b"0", 1)
        write_own_tag(lines, i, to)
    return to.text(b"\n", 1)


cdef class LineChoice(Format):
    """For each line its class if it was chosen, else 0, and the line's tag; then an empty line."""

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        return write_choice(<MultiExample>ex, to)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        return write_scores(<MultiExample>ex, to)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        with gil:
            results.append(class_of_line(<MultiExample>ex, ex.order[0]))
        return 0

    def cell(self, Example ex):
        return str(class_of_line(<MultiExample>ex, ex.order[0]))


cdef class LineProbabilities(LineChoice):
    """The probability of each line, and the example's tag; then an empty line."""

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        cdef size_t i
        for i in range(ex.n_values):
            to.number(ex.values[i])
            to.tag(ex)
        return to.text(b"\n", 1)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef size_t i
        with gil:
            results.append([ex.values[i] for i in range(ex.n_values)])
        return 0


cdef class Actions(Format):
    """VW's format: action:number for each line, the chosen one first, then the tag and an empty line.

    VW's raw predictions don't identify actions, so raw predictions have the format of predictions here. With
    `by_class`, lines of classes have other raw predictions.
    """

    def __init__(self, ClassNames classes=None, bint as_vw=False, by_class=False):
        super().__init__(classes, as_vw)
        self.by_class = by_class

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        return write_actions(ex, ex.values, self.by_class, to)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        if self.by_class:
            return write_scores(<MultiExample>ex, to)
        return write_actions(ex, (<MultiExample>ex).scores, False, to)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        cdef size_t i
        with gil:
            results.append([(class_of_line(<MultiExample>ex, ex.order[i]) if self.by_class else ex.order[i],
                             ex.values[ex.order[i]]) for i in range(ex.n_values)])
        return 0

    def cell(self, Example ex):
        if self.by_class:
            return str(class_of_line(<MultiExample>ex, ex.order[0])) + "....."
        return f"{ex.order[0]}:{rounded(ex.values[ex.order[0]], self.as_vw)}"


cdef int write_actions(Example ex, const float* numbers, bint by_class, TextBuffer to) except -1 nogil:
    cdef size_t i
    for i in range(ex.n_values):
        if i:
            to.text(b",", 1)
        if by_class:
            write_line(<MultiExample>ex, ex.order[i], to)
            to.text(b":", 1)
            to.short_number(numbers[ex.order[i]])
        else:
            to.action(ex.order[i], numbers[ex.order[i]])
    to.tag(ex)
    return to.text(b"\n", 1)


cdef class Chosen(Format):
    """The number of the chosen line of each multi-line example, from 0, the tag and an empty line."""

    cdef int write(self, Example ex, TextBuffer to) except -1 nogil:
        to.whole(ex.order[0])
        to.tag(ex)
        return to.text(b"\n", 1)

    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil:
        cdef size_t i
        for i in range(ex.n_values):
            if i:
                to.text(b",", 1)
            to.action(<uint32_t>i, (<MultiExample>ex).scores[i])
        to.tag(ex)
        return to.text(b"\n", 1)

    cdef int collect(self, Example ex, list results) except -1 nogil:
        with gil:
            results.append(ex.order[0])
        return 0

    def cell(self, Example ex):
        return f"{ex.order[0]}:{rounded((<MultiExample>ex).scores[ex.order[0]], self.as_vw)}"


def rounded(float value, bint as_vw):
    """Formats a number with two significant digits; with as_vw, two decimals."""
    if not as_vw:
        return f"{value:.2g}"
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


FORMATS = {
    PredictionType.SCALAR: Scalar, PredictionType.CLASS: Class, PredictionType.SCORES: Scores,
    PredictionType.PROBABILITIES: Scores, PredictionType.CLASSES: Classes, PredictionType.ACTION: Chosen,
    PredictionType.LINE_CHOICE: LineChoice, PredictionType.LINE_PROBABILITIES: LineProbabilities,
    PredictionType.ACTION_SCORES: Actions, PredictionType.ACTION_PROBABILITIES: Actions,
}


def label_cell(kind, Example ex, bint as_vw):
    """The label in the progress table."""
    cdef MultiExample lines
    cdef size_t i
    if not ex.labelled:
        return "unknown"
    if kind is LabelType.SIMPLE:
        return decimals(ex.label, 4, 4, as_vw)
    if kind is LabelType.CONTEXTUAL_BANDIT:
        lines = ex
        if as_vw:
            return f"{lines.chosen}:{lines.cost:.2g}:{lines.probability:.2g}"
        return f"{lines.chosen}:{lines.cost:g}:{lines.probability:g}"
    if kind is LabelType.COST_SENSITIVE:
        return "known"
    return ",".join([choice_name(ex, i) for i in range(ex.n_choices)])


cdef str choice_name(Example ex, size_t i):
    cdef const Choice* choice = &ex.choices[i]
    if choice.name_length == 0:
        return str(choice.number) if choice.number != NO_NUMBER else "unknown"
    return ex.text[choice.name:choice.name + choice.name_length].decode("utf-8", "surrogateescape")
