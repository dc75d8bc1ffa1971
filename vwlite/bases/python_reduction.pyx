"""Adapter of a reduction in Python: a learner of the stack.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Design:
a) A PythonReduction calls the methods of a vwlite.Reduction, with the GIL, and checks the results. A method that the
   class doesn't define costs nothing: the base is called instead, without the GIL.
b) An ExampleView is an Example for Python. It is invalid after the method that got it has returned, so that no method
   reads another line by mistake. One object serves all calls, unless a method has stored it.
c) Label, weight and initial prediction are restored when a method returns or raises; a factor on the weight by a
   learner below stays, as without the method. Values that a method sets are validated at once, and labels again when
   they are passed to the base, so that no learner below gets a value that the driver would refuse.
d) Examples without label or weight are predicted, so that methods need not handle them. Labels without weight then
   don't widen the range of predictions, as the label that the method would set is not known.
e) An exception of a method becomes a ReductionError: one line with the place in the input, the method and the line of
   its source. A VwliteError, such as an OptionError of __init__ or an error of the base, propagates.
"""
cimport cython
from cpython.ref cimport Py_DECREF, PyObject
from libc.float cimport FLT_MAX
from libc.math cimport NAN, fabs, isnan
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example, groups_of
from vwlite.core.learner cimport Learner, Scored
from vwlite.core.losses cimport takes
from vwlite.core.reasons cimport FINE

from vwlite.core.learner import chain
from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.errors import ReductionError, VwliteError

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object thing)
    double PyFloat_AS_DOUBLE(object thing)
    PyObject* PyObject_Vectorcall(PyObject* function, PyObject** arguments, size_t n, PyObject* names)
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET

cdef extern from *:
    """
    static PyObject* vwl_raised(void) { return NULL; }
    """
    object raised "vwl_raised" ()     # propagates an exception that is already set

LONGEST_REASON = 300                  # characters of an exception's text


@cython.final
@cython.binding(False)
cdef class ExampleView:
    """View of an example for a method of a Reduction; after the method returns, its use raises RuntimeError.

    Attributes:
        label: NaN if the example has none.
        weight: The importance weight.
        initial: The initial prediction.
        labelled: Whether there is a label.
        tag: The tag.
        prediction: The last prediction of the base.
        score: The unclipped sum of that prediction. A method that returns another prediction must also set the score if
            there is a link below; otherwise the prediction becomes the score.
        loss: The loss of that prediction and the label; the value after learning is reported.

    label, weight, initial, score and loss can be set. Raises ValueError for a number that is not finite, or a
    negative weight.
    """

    cdef Example ex                   # None after the method has returned
    cdef bint relabelled, reweighted  # set by the method
    cdef double factor                # on the weight, by learners below: it stays for the driver's counts

    cdef inline Example here(self):
        if self.ex is None:
            raise RuntimeError("the example is gone: it can be used until the method that got it returns; copy what is "
                               "needed later")
        return self.ex

    @property
    def label(self):
        cdef Example ex = self.here()
        return ex.label if ex.labelled else NAN

    @label.setter
    def label(self, value):
        cdef Example ex = self.here()
        ex.label = finite(value, "label")
        ex.labelled = self.relabelled = True

    @property
    def weight(self):
        return self.here().weight

    @weight.setter
    def weight(self, value):
        cdef Example ex = self.here()
        cdef float weight = finite(value, "weight")
        if weight < 0:
            raise ValueError(f"the weight {value} is negative")
        ex.weight = weight
        self.reweighted = True

    @property
    def initial(self):
        return self.here().initial

    @initial.setter
    def initial(self, value):
        cdef Example ex = self.here()
        ex.initial = finite(value, "initial prediction")

    @property
    def loss(self):
        return self.here().loss

    @loss.setter
    def loss(self, value):
        cdef Example ex = self.here()
        ex.loss = finite(value, "loss")

    @property
    def labelled(self):
        return bool(self.here().labelled)

    @property
    def prediction(self):
        return self.here().prediction

    @property
    def score(self):
        return self.here().score

    @score.setter
    def score(self, value):
        cdef Example ex = self.here()
        ex.score = finite(value, "score")

    @property
    def tag(self):
        cdef Example ex = self.here()
        return ex.tag[:ex.tag_length].decode("utf-8", "surrogateescape")

    def __len__(self):
        return self.here().n

    def features(self):
        """List of (hash, value) of each feature in order of evaluation, with the constant and the crossed ones."""
        cdef Example ex = self.here()
        cdef size_t i
        return [(ex.features[i].hash, ex.features[i].value) for i in range(ex.n)]

    def namespaces(self):
        """The selected namespaces, each a Group of vwlite/core/view.py.

        A Group has the letter, name, names and features (hash, value) of a namespace.

        The names of features are None unless the class sets `needs_names`.
        """
        return groups_of(self.here())


cdef float finite(value, str what) except? -1e10:
    """Convert to a number that is finite in single precision. Raises TypeError or ValueError for anything else."""
    cdef double number = value
    if not fabs(number) <= FLT_MAX:
        raise ValueError(f"the {what} {value} is no finite 32-bit number")
    return <float>number


@cython.final
@cython.binding(False)                # faster calls
cdef class Base:
    """The learner below a Reduction, for its methods."""

    cdef Learner learner
    cdef bint any_label

    def predict(self, ExampleView example not None):
        """Return the base's prediction."""
        cdef Example ex = example.here()
        if ex.labelled and (example.relabelled or self.any_label):
            self.check_label(ex, False)
        return self.learner.predict(ex)

    def learn(self, ExampleView example not None):
        """Let the base learn the example; returns its prediction before. One without weight is only predicted."""
        return self.teach(example, example.here(), False)

    def update(self, ExampleView example not None):
        """Let the base learn the example that it has just predicted."""
        return self.teach(example, example.here(), True)

    cdef float teach(self, ExampleView example, Example ex, bint predicted) except? -1e10:
        cdef float weight = ex.weight, prediction
        if not (ex.labelled and weight > 0):
            return ex.prediction if predicted else self.learner.predict(ex)
        if example.relabelled or self.any_label:
            self.check_label(ex, True)
        prediction = self.learner.update(ex) if predicted else self.learner.learn(ex)
        if ex.weight != weight:
            example.factor *= <double>ex.weight / weight
        return prediction

    def sensitivity(self, ExampleView example not None):
        """Change of the base's last prediction per unit of importance weight and of dL/dp."""
        return self.learner.sensitivity(example.here())

    @property
    def name(self):
        """Name of the learner."""
        return self.learner.name

    cdef int check_label(self, Example ex, bint settles) except -1:
        """Raise ValueError for a label that the learners below refuse; the driver has checked another one."""
        cdef int reason = FINE if takes(self.learner.loss, ex.label) else self.learner.vet_label(ex, settles)
        if reason != FINE:
            raise ValueError(f"the label {ex.label:g} is passed to the base: {REASONS_IN_WORDS[reason]}")
        return 0


@cython.final
cdef class PythonReduction(Learner):
    """Learner that calls the methods of a Reduction.

    Args:
        base: The learners below.
        cls: The class, of vwlite.Reduction.
        options: The options of the run.
        taken: Options of the class that are given.
        plugin: Origin of the class, for the model.
    """

    cdef readonly str name
    cdef readonly dict plugin
    cdef readonly bint holds_vectors, needs_names, finishes, changes_labels
    cdef readonly object reduction
    cdef object driver                # gives the position of an example; None outside of a run
    cdef ExampleView view
    cdef object root                  # the base class, whose methods count as undefined
    cdef bint any_label
    cdef bint of_scores               # predictions are scores, as there is no link below
    cdef str learn_name               # the method that learn() calls
    # methods of the class; None: that of the base is called
    cdef object predict_method, learn_method, update_method, sensitivity_method, finish_method

    def __init__(self, Learner base not None, cls, root, options, dict taken, dict plugin):
        super().__init__(base, taken)
        cdef Base door = Base()
        door.learner = base
        self.root = root
        self.any_label = door.any_label = cls.any_label
        self.name, self.plugin = cls.name, plugin
        self.holds_vectors, self.needs_names = cls.holds_vectors, cls.needs_names
        self.view = ExampleView()
        self.reduction = cls.__new__(cls)
        self.reduction.base = door
        self.hook("__init__", options)
        self.predict_method = self.method("predict", cls.any_label)
        self.learn_method = self.method("learn", self.predict_method is not None)
        self.learn_name = "learn" if overrides(cls, root, "learn") else "predict"
        self.of_scores = not any([learner.links for learner in chain(base)])
        self.update_method = self.method("update")
        self.sensitivity_method = self.method("sensitivity")
        self.finish_method = self.method("finish_example")
        self.finishes = self.finish_method is not None
        self.changes_labels = self.learn_method is not None

    cdef object method(self, str name, bint always=False):
        return getattr(self.reduction, name) if always or overrides(type(self.reduction), self.root, name) else None

    cdef float predict(self, Example ex) except? -1e10 nogil:
        if self.predict_method is None:
            return self.base.predict(ex)
        with gil:
            return self.predicted("predict", self.predict_method, ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        if self.learn_method is None:
            return self.base.learn(ex)
        if not (ex.labelled and ex.weight > 0):
            return self.predict(ex)
        with gil:
            return self.predicted(self.learn_name, self.learn_method, ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        if self.update_method is None:
            return self.base.update(ex) if self.learn_method is None else self.learn(ex)
        if not (ex.labelled and ex.weight > 0):
            return ex.prediction
        with gil:
            return self.predicted("update", self.update_method, ex)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        if self.predict_method is None:
            return self.base.multipredict(ex, count, step, to)
        return Learner.multipredict(self, ex, count, step, to)

    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
            except -1 nogil:
        if self.update_method is None and self.learn_method is None:
            return self.base.multiupdate(ex, count, step, labels, at)
        return Learner.multiupdate(self, ex, count, step, labels, at)

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        if self.sensitivity_method is None:
            return self.base.sensitivity(ex)
        with gil:
            return self.number("sensitivity", self.call("sensitivity", self.sensitivity_method, ex), NAN)

    cdef int finish_example(self, Example ex) except -1 nogil:
        with gil:
            self.call("finish_example", self.finish_method, ex)
        return 0

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return FINE if self.any_label else self.base.vet_label(ex, settles)

    cdef float predicted(self, str name, method, Example ex) except? -1e10:
        """Call a method that predicts, and set the prediction."""
        found = self.call(name, method, ex)
        cdef float prediction = self.number(name, found, ex.prediction)
        if self.of_scores and prediction != ex.prediction:
            ex.score = prediction
        ex.prediction = prediction
        return prediction

    cdef object call(self, str name, method, Example ex):
        """Call a method with an example; returns its result. Raises ReductionError if it raises."""
        cdef ExampleView view = self.view
        cdef float label = ex.label, weight = ex.weight, initial = ex.initial
        cdef bint labelled = ex.labelled
        cdef PyObject* found
        cdef PyObject* arguments[2]
        if view.ex is not None:             # nested call
            view = ExampleView.__new__(ExampleView)
        elif Py_REFCNT(view) > 2:           # the method has stored it
            self.view = view = ExampleView.__new__(ExampleView)
        view.ex, view.relabelled, view.reweighted, view.factor = ex, False, False, 1
        arguments[1] = <PyObject*>view      # arguments[0] is reserved for the object of a bound method (vectorcall)
        found = PyObject_Vectorcall(<PyObject*>method, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
        view.ex = None
        ex.label, ex.initial, ex.labelled = label, initial, labelled
        if view.reweighted:
            ex.weight = <float>(weight * view.factor)
        if found == NULL:
            self.explain(name)
        result = <object>found
        Py_DECREF(result)
        return result

    cdef int explain(self, str name) except -1:
        """Raise the exception of a method as a ReductionError."""
        try:
            raised()
        except VwliteError:
            raise
        except Exception as error:
            raise self.failure(name, error, self.place()) from error

    cdef float number(self, str name, found, float left) except? -1e10:
        """Convert the result of a method to a number: finite, or the prediction `left` by the base."""
        cdef double number
        if type(found) is float:
            number = PyFloat_AS_DOUBLE(found)
            if fabs(number) <= FLT_MAX:
                return <float>number
        try:
            number = found
        except (TypeError, ValueError):
            raise self.refusal(name, found, "not a number", self.place()) from None
        if not fabs(number) <= FLT_MAX and not (number == left or isnan(number) and isnan(left)):
            raise self.refusal(name, found, "no finite 32-bit number", self.place())
        return <float>number

    cdef object refusal(self, str name, found, str why, str place=""):
        return ReductionError(f"{place}{self.called(name)} returned {shown(found)}, which is {why}")

    cdef object failure(self, str name, error, str place=""):
        """The ReductionError for an exception of a method."""
        return ReductionError(f"{place}{self.called(name)} failed: {type(error).__name__}: {shown(error, str)}"
                              f"{raised_at(error, type(self.reduction).__module__)}")

    cdef str called(self, str name):
        return f"{type(self.reduction).__name__}.{name}"

    cdef str place(self):
        return "" if self.driver is None else f"{self.driver.place()}: "

    def hook(self, name, *arguments):
        """Call a method without an example; returns its result. Raises ReductionError if it raises."""
        try:
            return getattr(self.reduction, name)(*arguments)
        except VwliteError:
            raise
        except Exception as error:
            raise self.failure(name, error) from error

    def init_driver(self, driver):
        """See Learner."""
        self.driver = driver

    def save_load(self, io):
        """See Learner."""
        self.hook("save_load", io)

    def end_pass(self):
        """See Learner; a Reduction can't request further passes."""
        self.hook("end_pass")

    def end_examples(self):
        """See Learner."""
        self.hook("end_examples")

    def finish(self):
        """See Learner."""
        self.hook("finish")

    def metrics(self):
        """See Learner; from the second copy on, names have the number of the copy."""
        found = self.hook("metrics")
        if not isinstance(found, dict) or not all(
                isinstance(name, str) and isinstance(value, (int, float, str)) for name, value in found.items()):
            raise self.refusal("metrics", found, "no dict of numbers and texts by name")
        return {self.of_copy(name): value for name, value in found.items()}

    def settings(self):
        """See Learner."""
        return self.lines("settings")

    def unmatched(self):
        """See Learner."""
        return self.lines("unmatched")

    def lines(self, name):
        """Call a hook that returns lines of text."""
        found = self.hook(name)
        if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
            raise self.refusal(name, found, "no list of texts")
        return found


def shown(thing, as_text=repr):
    """Format a value or an exception in one line."""
    try:
        text = " ".join(as_text(thing).split())
    except Exception:
        text = f"a {type(thing).__name__} that can't be shown"
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def raised_at(error, module):
    """Source line of an exception, in brackets: the last one in the module, or else the last in Python."""
    import sys
    source = getattr(sys.modules.get(module), "__file__", None)
    trace, place, own = error.__traceback__, "", ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.endswith(".pyx"):
            place = f" ({name}:{trace.tb_lineno})"
        if name == source:
            own = place
        trace = trace.tb_next
    return own or place


def overrides(cls, root, method):
    """Whether a class overrides a method of `root`."""
    return getattr(cls, method) is not getattr(root, method)
