"""The base of all learners. The contract is in learner.pxd."""
from libc.stdlib cimport free, malloc

from vwlite.parser cimport FINE

from vwlite.types import LabelType, PredictionType


cdef class Learner:
    """Base class.

    Class attributes say what a learner is: ``name``; ``takes_label`` and ``gives_prediction`` upwards;
    ``base_label`` and ``base_prediction`` downwards (None for a bottom learner); ``multiline`` whether an example is
    a block of lines; ``feature_width`` how many weight vectors it needs of its base; ``vets`` whether it may refuse
    examples; ``needs_names`` whether it reads the features' names; ``has_posterior`` whether it knows variances and
    draws; ``sets_aside`` the namespaces that are no features, though the learner looks at them; ``part_names`` what the
    numbers in ``ex.parts`` are; ``sweeps`` how often it fits all examples of a pass again when the pass ends;
    ``waits_for_pass`` whether it learns nothing before;
    ``has_slots`` whether it has a table of weights, ``columns()`` of an audit. A multiline learner has ``decisions``,
    those made in all runs: it saves them, and the driver counts them; and ``costs``, their range or (NaN, NaN).
    """

    name = "learner"
    takes_label = LabelType.SIMPLE
    gives_prediction = PredictionType.SCALAR
    base_label = LabelType.SIMPLE
    base_prediction = PredictionType.SCALAR
    multiline = False
    base_multiline = False
    feature_width = 1
    vets = False
    needs_names = False
    has_posterior = False
    sets_aside = ()
    part_names = ()
    sweeps = 0
    waits_for_pass = False
    has_slots = False

    def __init__(self, Learner base=None, taken=None):
        self.base = base
        self.beside = []
        self.options = dict(taken or {})
        if base is not None:
            self.loss = base.loss

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return self.base.predict(ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        return self.base.learn(ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        return self.learn(ex)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, float* scores) except -1 nogil:
        cdef uint32_t i, offset = ex.offset
        for i in range(count):
            ex.offset = offset + i * step
            scores[i] = self.predict(ex)
        ex.offset = offset
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        return self.base.sensitivity(ex)

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        return 0 if self.base is None else self.base.uncertainty(ex, to)

    cdef int vet(self, Example ex) except -1 nogil:
        return FINE if self.base is None else self.base.vet(ex)

    cdef int identify(self, Example ex) except -1 nogil:
        return 0

    cdef int meet(self, Example ex) except -1 nogil:
        return 0

    cdef double experience(self, Example ex) except? -1 nogil:
        return 0

    def remark(self, text):
        """Say something about the run while it goes on: a warning of Python's unless ``tell`` is set."""
        if self.tell is not None:
            self.tell(text)
            return
        import warnings
        warnings.warn(text, RuntimeWarning, stacklevel=2)

    @property
    def owner(self):
        """What the learner's fields are called after in a model file."""
        return self.name.partition("-")[0]

    def spread(self, width):
        """Called once when the stack is complete: the learners above need `width` weight vectors of this one."""

    def save_load(self, io):
        """One line a field: ``self.x = io.float32("x", self.x)`` reads and writes."""

    def spare_initial(self):
        """Asked once, by what stands above: take an example's initial prediction as it is, regularize weights only."""

    def entities(self):
        """(name, examples learnt from, {hash: (mean, variance)}) of each entity; None if it keeps none."""

    def limit_entities(self, limit, store):
        """Have no more than `limit` entities in memory, the others in an EntityStore."""

    def mark(self):
        """Remember what is known now."""

    def return_to_mark(self):
        """Forget what was learnt since."""

    def unmark(self):
        """Let go of what mark() remembered."""

    def close_batches(self):
        """Learn from examples that wait for others."""

    def settings(self):
        """Lines for the header of a run."""
        return []

    def long_run(self):
        """Once, when a run has proved long: time for what pays only then."""

    def end_pass(self):
        """After each pass over the data."""

    def interrupt(self):
        """A signal: what takes long should end soon, in a state that can be saved."""

    def end_examples(self):
        """After the last example."""

    def finish(self):
        """Before the learner goes away."""

    def metrics(self):
        """Figures about the run, name -> number."""
        return {}

    def unmatched(self):
        """A line for each thing that the learner's options name and no example so far had; see also sought.pxd."""
        return []


ctypedef float (*Hot)(void*, Example) except? -1e10 nogil
ctypedef int (*Checked)(void*, Example) except -1 nogil
ctypedef int (*Random)(void*, Example, void*) except -1 nogil
ctypedef double (*Known)(void*, Example) except? -1 nogil

cdef float predict_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.predict(ex)

cdef float update_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.update(ex)

cdef float sensitivity_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.sensitivity(ex)

cdef int identify_of(Learner learner, Example ex) except -1 nogil:
    return learner.identify(ex)

cdef int uncertainty_of(Learner learner, Example ex, JointScores to) except -1 nogil:
    return learner.uncertainty(ex, to)

cdef int meet_of(Learner learner, Example ex) except -1 nogil:
    return learner.meet(ex)

cdef int vet_of(Learner learner, Example ex) except -1 nogil:
    return learner.vet(ex)

cdef double experience_of(Learner learner, Example ex) except? -1 nogil:
    return learner.experience(ex)


# Variables, because C may not call a function as one of another type.
cdef Hot call_predict = <Hot>predict_of
cdef Hot call_update = <Hot>update_of
cdef Hot call_sensitivity = <Hot>sensitivity_of
cdef Checked call_identify = <Checked>identify_of
cdef Random call_uncertainty = <Random>uncertainty_of
cdef Checked call_meet = <Checked>meet_of
cdef Checked call_vet = <Checked>vet_of
cdef Known call_experience = <Known>experience_of


cdef class Learners:
    """Several learners."""

    def __cinit__(self, list each):
        self.each = each
        self.n = len(each)
        self.pointers = <void**>malloc((self.n + 1) * sizeof(void*))
        if self.pointers == NULL:
            raise MemoryError
        for i, learner in enumerate(each):
            self.pointers[i] = <void*>(<Learner?>learner)

    def __dealloc__(self):
        free(self.pointers)

    cdef float predict(self, size_t i, Example ex) except? -1e10 nogil:
        return call_predict(self.pointers[i], ex)

    cdef float update(self, size_t i, Example ex) except? -1e10 nogil:
        return call_update(self.pointers[i], ex)

    cdef float sensitivity(self, size_t i, Example ex) except? -1e10 nogil:
        return call_sensitivity(self.pointers[i], ex)

    cdef int identify(self, size_t i, Example ex) except -1 nogil:
        return call_identify(self.pointers[i], ex)

    cdef int uncertainty(self, size_t i, Example ex, JointScores to) except -1 nogil:
        return call_uncertainty(self.pointers[i], ex, <void*>to)

    cdef int meet(self, size_t i, Example ex) except -1 nogil:
        return call_meet(self.pointers[i], ex)

    cdef int vet(self, size_t i, Example ex) except -1 nogil:
        return call_vet(self.pointers[i], ex)

    cdef double experience(self, size_t i, Example ex) except? -1 nogil:
        return call_experience(self.pointers[i], ex)


def walk(Learner top):
    """The learners of a stack, top to bottom; those beside a base come before it."""
    cdef Learner learner = top
    while learner is not None:
        yield learner
        for other in learner.beside:
            yield from walk(other)
        learner = learner.base
