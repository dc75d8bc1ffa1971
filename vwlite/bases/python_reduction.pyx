"""A reduction in Python, as a learner of the stack.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Design:
a) A PythonReduction hands examples to the methods of a vwlite.Reduction, with the GIL, and looks at what they return. A
   method that the class doesn't have costs nothing: the base is called instead, without the GIL.
b) An ExampleView is an Example as Python sees it. It is dead when the method that got it has returned, so that nobody
   reads another line than is meant. One object serves all calls, unless a method has kept it.
c) Label, weight and initial prediction are put back when a method has returned or raised; a factor that a learner below
   has put on the weight stays, as without the method. What a method sets is checked at once, labels also when they are
   handed down, so that no learner below gets what the driver would have refused.
d) Examples that can teach nothing, without label or weight, are predicted: no method has to think of them. Nor do
   labels without weight then widen the range of predictions, since nobody knows what would have been handed down.
e) What a method raises becomes a ReductionError: one line that says where in the input, in which method and in which
   line of its source. A VwliteError, such as an OptionError of __init__ or what the base raises, is handed on.
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
    object raised "vwl_raised" ()     # what has been raised and not yet handled is raised here

LONGEST_REASON = 300                  # characters of an exception's text


@cython.final
@cython.binding(False)
cdef class ExampleView:
    """An example as a method of a Reduction sees it, until the method returns; then using it raises RuntimeError.

    Attributes:
        label: NaN if the example has none.
        weight: The importance weight.
        initial: The initial prediction.
        labelled: Whether there is a label.
        tag: The tag.
        prediction: What the base has predicted last.
        score: The unclipped sum that it made the prediction from. A method that predicts something else sets it, too,
            where there is a link below; elsewhere it becomes the prediction by itself.
        loss: Of that prediction, and label; what a learner leaves here is counted.

    label, weight, initial, score and loss can be set. Raises ValueError for a number that is not finite, or a
    negative weight.
    """

    cdef Example ex                   # None when the method has returned
    cdef bint relabelled, reweighted  # by the method
    cdef double factor                # on the weight, of learners below: it stays for those who count

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
        """(hash, value) of each feature in order of evaluation, with the constant and the crossed ones."""
        cdef Example ex = self.here()
        cdef size_t i
        return [(ex.features[i].hash, ex.features[i].value) for i in range(ex.n)]

    def namespaces(self):
        """The namespaces that count, each a Group of vwlite/engine/audit.py.

        A Group has the letter, name, names and features (hash, value) of a namespace.

        The names of features are None unless the class says that it `needs_names`.
        """
        return groups_of(self.here())


cdef float finite(value, str what) except? -1e10:
    """A number that is finite in single precision. Raises TypeError or ValueError for anything else."""
    cdef double number = value
    if not fabs(number) <= FLT_MAX:
        raise ValueError(f"the {what} {value} is no finite 32-bit number")
    return <float>number


@cython.final
@cython.binding(False)                # quicker to call
cdef class Base:
    """The learner below a Reduction."""

    cdef Learner learner
    cdef bint any_label

    def predict(self, ExampleView example not None):
        """The base's prediction."""
        cdef Example ex = example.here()
        if ex.labelled and (example.relabelled or self.any_label):
            self.check_label(ex, False)
        return self.learner.predict(ex)

    def learn(self, ExampleView example not None):
        """The base learns from the example; the prediction it made before. Of no weight, the example is predicted."""
        return self.teach(example, example.here(), False)

    def update(self, ExampleView example not None):
        """The base learns from the example that it has just predicted."""
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
        """How far the prediction that the base has just made would move per unit of importance weight and of dL/dp."""
        return self.learner.sensitivity(example.here())

    @property
    def name(self):
        """What the learner is called."""
        return self.learner.name

    cdef int check_label(self, Example ex, bint settles) except -1:
        """Raises ValueError for a label that the learners below can't take; the driver has seen another one."""
        cdef int reason = FINE if takes(self.learner.loss, ex.label) else self.learner.vet_label(ex, settles)
        if reason != FINE:
            raise ValueError(f"the label {ex.label:g} is handed down: {REASONS_IN_WORDS[reason]}")
        return 0


@cython.final
cdef class PythonReduction(Learner):
    """Calls the methods of a Reduction.

    Args:
        base: The learners below.
        cls: The class, of vwlite.Reduction.
        options: The options of the run.
        taken: Those of the class that were given.
        plugin: Where the class comes from, for the model.
    """

    cdef readonly str name
    cdef readonly dict plugin
    cdef readonly bint holds_vectors, needs_names, finishes, changes_labels
    cdef readonly object reduction
    cdef object driver                # knows where an example stands, None outside of a run
    cdef ExampleView view
    cdef object root                  # the class whose methods stand for what the reduction leaves out
    cdef bint any_label
    cdef bint of_scores               # predictions are scores: there is no link below
    cdef str learn_name               # of the method that learn() has been left to
    # None where there is nothing but the base's
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
        """What a method predicts."""
        found = self.call(name, method, ex)
        cdef float prediction = self.number(name, found, ex.prediction)
        if self.of_scores and prediction != ex.prediction:
            ex.score = prediction
        ex.prediction = prediction
        return prediction

    cdef object call(self, str name, method, Example ex):
        """Call a method with an example; what it returns. Raises ReductionError if it raises."""
        cdef ExampleView view = self.view
        cdef float label = ex.label, weight = ex.weight, initial = ex.initial
        cdef bint labelled = ex.labelled
        cdef PyObject* found
        cdef PyObject* arguments[2]
        if view.ex is not None:             # one call inside of another
            view = ExampleView.__new__(ExampleView)
        elif Py_REFCNT(view) > 2:           # somebody has kept it
            self.view = view = ExampleView.__new__(ExampleView)
        view.ex, view.relabelled, view.reweighted, view.factor = ex, False, False, 1
        arguments[1] = <PyObject*>view      # arguments[0] is where a bound method puts its object
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
        """Raise the exception that a method has raised, as a ReductionError."""
        try:
            raised()
        except VwliteError:
            raise
        except Exception as error:
            raise self.failure(name, error, self.place()) from error

    cdef float number(self, str name, found, float left) except? -1e10:
        """What a method returned, as a number: finite, or what the base had `left` as its prediction."""
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
        """The error of a method that raised."""
        return ReductionError(f"{place}{self.called(name)} failed: {type(error).__name__}: {shown(error, str)}"
                              f"{raised_at(error, type(self.reduction).__module__)}")

    cdef str called(self, str name):
        return f"{type(self.reduction).__name__}.{name}"

    cdef str place(self):
        return "" if self.driver is None else f"{self.driver.place()}: "

    def hook(self, name, *arguments):
        """Call a method that gets no example; what it returns. Raises ReductionError if it raises."""
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
        """See Learner; a Reduction has no say in how many passes there are."""
        self.hook("end_pass")

    def end_examples(self):
        """See Learner."""
        self.hook("end_examples")

    def finish(self):
        """See Learner."""
        self.hook("finish")

    def metrics(self):
        """See Learner; those of the second copy and so on have its number."""
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
        """What a hook returns that returns lines of text."""
        found = self.hook(name)
        if not isinstance(found, list) or not all(isinstance(line, str) for line in found):
            raise self.refusal(name, found, "no list of texts")
        return found


def shown(thing, as_text=repr):
    """A value or an exception in one line."""
    try:
        text = " ".join(as_text(thing).split())
    except Exception:
        text = f"a {type(thing).__name__} that can't be shown"
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def raised_at(error, module):
    """The last line of a module's source that an exception went through, or of any in Python, in brackets."""
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
    """Whether a class has a method of its own in place of that of the class it derives from."""
    return getattr(cls, method) is not getattr(root, method)
