"""Base classes of learners. The contract is in learner.pxd."""
from enum import Enum

from libc.math cimport NAN, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from vwlite.core.example cimport Feature, SimpleExample
from vwlite.core.reasons cimport FINE
from vwlite.core.terms cimport Terms

from vwlite.core.types import LabelType, PredictionType


cdef class Learner:
    """Base class of learners.

    Class attributes describe a learner: ``name``; ``takes_label`` and ``gives_prediction``, its types upwards;
    ``base_label`` and ``base_prediction``, its types downwards (None for a bottom learner); ``multiline``: it learns
    multi-line examples; ``feature_width``: the number of weight vectors it needs of its base; ``holds_vectors``: it
    supports ``ex.offset``, otherwise it is copied for each weight vector (replicas.pyx); ``vets``: it may refuse
    examples; ``finishes``: finish_example() is called; ``needs_names``: it reads the features' names;
    ``has_posterior``: it gives variances and draws of scores, ``has_noise``: also the noise of labels;
    ``gives_probabilities``: it uses --probabilities; ``effect``: the name of the random effect whose entities it has
    parameters for, None for the whole score; ``sets_aside``: namespaces that it reads, but not as features;
    ``part_names``: the names of ``ex.known.parts``; ``waits_for_pass``: it learns nothing before a pass ends, and
    ``instead``: options with which it learns without passes; ``asks_again``: it may then want a further pass;
    ``classes``: the ClassNames of a learner of classes; ``has_slots``: it is a TableLearner; ``copied``: the learners
    beside it are copies of its base, and ``copy``: the number of the copy that the learner belongs to;
    ``predicts_first``: VW reports its prediction before the range of labels includes the example's own label. A learner
    of decisions has ``decisions``, the number made in all runs, which it saves and the driver counts; and
    ``costs_allowed``, their range or (NaN, NaN). ``links``: predictions may be on another scale than scores;
    ``changes_labels``: the base may get other labels than those of the data; ``adds_up``: its score is that of its
    base, plus those of the effects beside it, and ``initial_scale`` times an initial prediction; ``plugin``: the
    origin of a learner that is no part of vwlite; ``begin_anew``: learners beside it of which nothing is loaded with a
    model.
    """

    name = "learner"
    takes_label = LabelType.SIMPLE
    gives_prediction = PredictionType.SCALAR
    base_label = LabelType.SIMPLE
    base_prediction = PredictionType.SCALAR
    multiline = False
    base_multiline = False
    feature_width = 1
    holds_vectors = False
    vets = False
    needs_names = False
    has_posterior = False
    has_noise = False
    gives_probabilities = False
    effect = None
    instead = ""
    sets_aside = ()
    part_names = ()
    waits_for_pass = False
    asks_again = False
    classes = None
    has_slots = False
    copied = False
    finishes = False
    links = False
    changes_labels = False
    plugin = None
    predicts_first = False
    adds_up = False
    initial_scale = 1.0
    begin_anew = ()

    def __init__(self, Learner base=None, taken=None):
        self.base = base
        self.beside = []
        self.options = dict(taken or {})
        self.width = self.step = 1
        if base is not None:
            self.loss = base.loss

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return self.base.predict(ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        return self.base.learn(ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        return self.learn(ex)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        cdef uint32_t i, offset = ex.offset
        for i in range(count):
            ex.offset = offset + i * step
            to[i].prediction = self.predict(ex)
            to[i].score = ex.score
        ex.offset = offset
        return 0

    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
            except -1 nogil:
        cdef uint32_t i, offset = ex.offset
        for i in range(count):
            ex.offset, ex.label = offset + i * step, labels[i]
            ex.score, ex.prediction = at[i].score, at[i].prediction
            self.update(ex)
        ex.offset = offset
        return 0

    cdef Py_ssize_t learn_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        return 0

    cdef Py_ssize_t predict_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        return self.base.sensitivity(ex)

    cdef int finish_example(self, Example ex) except -1 nogil:
        return 0

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        return 0 if self.base is None else self.base.uncertainty(ex, to)

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        return self.base.terms(ex, to) if self.base is not None else terms_alone(self, ex, to)

    cdef int vet(self, Example ex) except -1 nogil:
        return FINE

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return FINE if self.base is None else self.base.vet_label(ex, settles)

    cdef int identify(self, Example ex) except -1 nogil:
        return 0

    cdef int meet(self, Example ex) except -1 nogil:
        return 0

    cdef double experience(self, Example ex) except? -1 nogil:
        return 0

    def remark(self, text):
        """Log a remark during the run: by ``tell`` if it is set, otherwise as a Python warning."""
        if self.tell is not None:
            self.tell(text)
            return
        import warnings
        warnings.warn(text, RuntimeWarning, stacklevel=2)

    @property
    def owner(self):
        """Prefix of the learner's fields in a model file."""
        return self.of_copy(self.name.partition("-")[0])

    def of_copy(self, owner):
        """Prefix of fields, with the number of the copy that the learner belongs to."""
        return f"{self.copy}:{owner}" if self.copy else owner

    def set_place(self, width, step):
        """Set `width` and `step`; called once, when the stack is complete."""
        self.width, self.step = width, step
        self.set_width(width)

    def set_width(self, width):
        """Set the number of weight vectors that the learners above need of this one."""

    def init_driver(self, driver):
        """Hook: the driver of the stack has been made; called once."""

    def save_load(self, io):
        """Save or load the state, one line for each field: ``self.x = io.float32("x", self.x)``."""

    def spare_initial(self):
        """Regularize weights only, not an example's initial prediction; called once, by a learner above."""

    def entities(self):
        """(name, number of examples learned, {hash: (mean, variance)}) of each entity; None if it has no entities."""

    def n_entities(self):
        """The number of entities; None if it has no entities."""

    def limit_entities(self, limit, store):
        """Hold at most `limit` entities in memory (LRU), the others in an EntityStore."""

    def mark(self):
        """Save the current state for return_to_mark()."""

    def return_to_mark(self):
        """Restore the state at mark()."""

    def unmark(self):
        """Discard the state saved by mark()."""

    def close_batches(self):
        """Learn from pending batches."""

    def settings(self):
        """Lines for the header of a run."""
        return []

    def expect(self, n_bytes):
        """Hook: the run has read, or is about to read, so many bytes of text; called before the first, and whenever
        twice as much has been read."""

    def end_pass(self):
        """Hook: a pass over the data ended; returns the Verdict on further passes, None without a preference."""

    def interrupt(self):
        """Hook: a signal came; long computations must end soon, in a state that can be saved."""

    def end_examples(self):
        """Hook: the last example is done."""

    def finish(self):
        """Hook: the learner is no longer used; frees resources."""

    def across_entities(self, learns):
        """What the learner does across entities, so that threads can't share them (--threads).

        A list of (flags, what to give instead or None); `learns`: the run learns. A learner with random effects speaks
        for those below it.
        """
        return [(self.name, None)]

    def begin_threads(self, others):
        """Hook: threads begin. `others` is this learner in the stack of each thread: they get its settings, and its
        entities."""

    def end_threads(self, others):
        """Hook: get the entities back, with what was learned since."""

    def metrics(self):
        """Metrics of the run: name -> number."""
        return {}

    def unmatched(self):
        """Warnings: a line for each name in the learner's options that no example had; see also unmatched.pxd."""
        return []


cdef int terms_alone(Learner learner, Example ex, Terms to) except -1 nogil:
    """Terms of a bottom learner: the score of each feature alone is its weight."""
    cdef const Feature* features = ex.features
    cdef size_t n = ex.n, i
    cdef float initial = ex.initial
    ex.initial, ex.n, ex.features = 0, 1, to.one
    for i in range(n):
        to.one[0].hash, to.one[0].value = features[i].hash, 1
        ex.known.variance = NAN
        learner.predict(ex)
        to.add(features[i].hash, <int32_t>i, features[i].value, ex.score, sqrt(ex.known.variance))
    ex.features, ex.n, ex.initial = features, n, initial
    return 0


cdef class Bottom(Learner):
    """Base class of bottom learners: owns the loss, and saves the range of labels."""

    base_label = None
    base_prediction = None

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.loss.vet(ex.label, settles)

    def save_load(self, io):
        self.loss.save_load(io)


class Verdict(Enum):
    """Request of a learner after a pass."""

    GO_ON = "go on"       # passes by the options
    AGAIN = "again"       # one more pass, whatever the options
    DONE = "done"         # converged: further passes would change nothing


ctypedef float (*Hot)(void*, Example) except? -1e10 nogil
ctypedef int (*Checked)(void*, Example) except -1 nogil
ctypedef int (*Random)(void*, Example, void*) except -1 nogil
ctypedef double (*Known)(void*, Example) except? -1 nogil

cdef float predict_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.predict(ex)

cdef float learn_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.learn(ex)

cdef int finish_example_of(Learner learner, Example ex) except -1 nogil:
    return learner.finish_example(ex)

cdef float update_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.update(ex)

cdef float sensitivity_of(Learner learner, Example ex) except? -1e10 nogil:
    return learner.sensitivity(ex)

cdef int identify_of(Learner learner, Example ex) except -1 nogil:
    return learner.identify(ex)

cdef int uncertainty_of(Learner learner, Example ex, JointScores to) except -1 nogil:
    return learner.uncertainty(ex, to)

cdef int terms_of(Learner learner, Example ex, Terms to) except -1 nogil:
    return learner.terms(ex, to)

cdef int meet_of(Learner learner, Example ex) except -1 nogil:
    return learner.meet(ex)

cdef int vet_of(Learner learner, Example ex) except -1 nogil:
    return learner.vet(ex)

cdef double experience_of(Learner learner, Example ex) except? -1 nogil:
    return learner.experience(ex)


# Function pointers with exact types: C may not call a function through a pointer of another type.
cdef Hot call_predict = <Hot>predict_of
cdef Hot call_update = <Hot>update_of
cdef Hot call_learn = <Hot>learn_of
cdef Checked call_finish_example = <Checked>finish_example_of
cdef Hot call_sensitivity = <Hot>sensitivity_of
cdef Checked call_identify = <Checked>identify_of
cdef Random call_uncertainty = <Random>uncertainty_of
cdef Checked call_meet = <Checked>meet_of
cdef Random call_terms = <Random>terms_of
cdef Checked call_vet = <Checked>vet_of
cdef Known call_experience = <Known>experience_of


cdef class Learners:
    """Array of learners, called by index without the GIL."""

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

    cdef float learn(self, size_t i, Example ex) except? -1e10 nogil:
        return call_learn(self.pointers[i], ex)

    cdef int finish_example(self, size_t i, Example ex) except -1 nogil:
        return call_finish_example(self.pointers[i], ex)

    cdef float update(self, size_t i, Example ex) except? -1e10 nogil:
        return call_update(self.pointers[i], ex)

    cdef float sensitivity(self, size_t i, Example ex) except? -1e10 nogil:
        return call_sensitivity(self.pointers[i], ex)

    cdef int identify(self, size_t i, Example ex) except -1 nogil:
        return call_identify(self.pointers[i], ex)

    cdef int uncertainty(self, size_t i, Example ex, JointScores to) except -1 nogil:
        return call_uncertainty(self.pointers[i], ex, <void*>to)

    cdef int terms(self, size_t i, Example ex, Terms to) except -1 nogil:
        return call_terms(self.pointers[i], ex, <void*>to)

    cdef int meet(self, size_t i, Example ex) except -1 nogil:
        return call_meet(self.pointers[i], ex)

    cdef int vet(self, size_t i, Example ex) except -1 nogil:
        return call_vet(self.pointers[i], ex)

    cdef double experience(self, size_t i, Example ex) except? -1 nogil:
        return call_experience(self.pointers[i], ex)

    cdef int vet_all(self, Example ex) except -1 nogil:
        """Call vet() of each; returns the first Reason that is not FINE."""
        cdef size_t i
        cdef int reason = FINE
        for i in range(self.n):
            reason = call_vet(self.pointers[i], ex)
            if reason != FINE:
                break
        return reason


def end_pass(Learner top):
    """Call end_pass() of a stack; returns the joint Verdict: AGAIN if one learner wants another pass, DONE if all with
    a preference want none.
    """
    verdicts = {learner.end_pass() for learner in walk(top)} - {None}
    if Verdict.AGAIN in verdicts:
        return Verdict.AGAIN
    return Verdict.DONE if verdicts == {Verdict.DONE} else Verdict.GO_ON


def chain(Learner top):
    """The learners from the top down to the bottom learner, without those beside them."""
    cdef Learner learner = top
    while learner is not None:
        yield learner
        learner = learner.base


def walk(Learner top, copies=True):
    """All learners of a stack, top to bottom; those beside a base come before it. Without `copies`, only the first
    copy is included.
    """
    for learner in chain(top):
        yield learner
        for other in learner.beside if copies or not learner.copied else ():
            yield from walk(other, copies)


def finishers(Learner top):
    """The learners with finish_example()."""
    return Learners([learner for learner in walk(top) if learner.finishes])


def vetters(Learner top, multiline):
    """The learners that may refuse examples (vet): those of multi-line examples, or those of single lines."""
    return Learners([learner for learner in chain(top) if learner.vets and bool(learner.multiline) == multiline])
