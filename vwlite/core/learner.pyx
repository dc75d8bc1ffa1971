"""The base of all learners. The contract is in learner.pxd."""
from enum import Enum

from libc.stdlib cimport free, malloc

from vwlite.core.reasons cimport FINE

from vwlite.core.types import LabelType, PredictionType


cdef class Learner:
    """Base class.

    Class attributes say what a learner is: ``name``; ``takes_label`` and ``gives_prediction`` upwards; ``base_label``
    and ``base_prediction`` downwards (None for a bottom learner); ``multiline`` whether an example is a block of lines;
    ``feature_width`` how many weight vectors it needs of its base; ``holds_vectors`` whether it does as ``ex.offset``
    says, or has to be copied for each weight vector (replicas.pyx); ``vets`` whether it may refuse examples;
    ``finishes`` whether it is told when an example is done; ``needs_names`` whether it reads the features' names;
    ``has_posterior`` whether it knows variances and draws, ``has_noise`` whether of labels, too;
    ``gives_probabilities`` whether --probabilities concern it; ``effect`` the name of the entities that it has
    parameters for, None if it is of the whole score; ``sets_aside`` the namespaces that are no features, though the
    learner looks at them; ``part_names`` what the numbers in ``ex.known.parts`` are; ``waits_for_pass`` whether it
    learns nothing before a pass ends, and ``instead`` what then learns without passes; ``asks_again`` whether it may
    want a further one then; ``classes`` the ClassNames of a learner of classes; ``has_slots`` whether it is a
    TableLearner; ``copied`` whether those beside it are copies of its base, and ``copy`` which copy the learner belongs
    to; ``predicts_first`` whether VW reports of it what it predicts before the range of labels includes the example's
    own. A learner that takes decisions has ``decisions``, those made in all runs: it saves them, and the driver counts
    them; and ``costs_allowed``, their range or (NaN, NaN). ``links`` says that predictions may be on another scale than
    scores, ``changes_labels`` that the labels handed down may be others than those of the data; ``plugin`` is where a
    learner comes from that is no part of vwlite.
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

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        return self.base.sensitivity(ex)

    cdef int finish_example(self, Example ex) except -1 nogil:
        return 0

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        return 0 if self.base is None else self.base.uncertainty(ex, to)

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
        """Say something about the run while it goes on: a warning of Python's unless ``tell`` is set."""
        if self.tell is not None:
            self.tell(text)
            return
        import warnings
        warnings.warn(text, RuntimeWarning, stacklevel=2)

    @property
    def owner(self):
        """What the learner's fields are called after in a model file."""
        return self.of_copy(self.name.partition("-")[0])

    def of_copy(self, owner):
        """A name for fields, with the number of the copy that the learner belongs to."""
        return f"{self.copy}:{owner}" if self.copy else owner

    def set_place(self, width, step):
        """Called once, when the stack is complete: see `width` and `step`."""
        self.width, self.step = width, step
        self.set_width(width)

    def set_width(self, width):
        """The learners above need so many weight vectors of this one."""

    def init_driver(self, driver):
        """Called once, when the driver of the stack has been made."""

    def save_load(self, io):
        """One line a field: ``self.x = io.float32("x", self.x)`` reads and writes."""

    def spare_initial(self):
        """Asked once, by what stands above: take an example's initial prediction as it is, regularize weights only."""

    def entities(self):
        """(name, examples learned from, {hash: (mean, variance)}) of each entity; None if it keeps none."""

    def limit_entities(self, limit, store):
        """Have no more than `limit` entities in memory, the others in an EntityStore."""

    def mark(self):
        """Remember what is known now."""

    def return_to_mark(self):
        """Forget what was learned since."""

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
        """After each pass over the data; what the learner wants next: a Verdict, None if it doesn't care."""

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
        """A line for each thing that the learner's options name and no example so far had; see also unmatched.pxd."""
        return []


cdef class Bottom(Learner):
    """Base class of bottom learners: has a loss, and saves the range of labels."""

    base_label = None
    base_prediction = None

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.loss.vet(ex.label, settles)

    def save_load(self, io):
        self.loss.save_load(io)


class Verdict(Enum):
    """What a learner wants after a pass."""

    GO_ON = "go on"       # passes as the options have it
    AGAIN = "again"       # one more pass, whatever they say
    DONE = "done"         # nothing would change any more


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

cdef int meet_of(Learner learner, Example ex) except -1 nogil:
    return learner.meet(ex)

cdef int vet_of(Learner learner, Example ex) except -1 nogil:
    return learner.vet(ex)

cdef double experience_of(Learner learner, Example ex) except? -1 nogil:
    return learner.experience(ex)


# Variables, because C may not call a function as one of another type.
cdef Hot call_predict = <Hot>predict_of
cdef Hot call_update = <Hot>update_of
cdef Hot call_learn = <Hot>learn_of
cdef Checked call_finish_example = <Checked>finish_example_of
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

    cdef int meet(self, size_t i, Example ex) except -1 nogil:
        return call_meet(self.pointers[i], ex)

    cdef int vet(self, size_t i, Example ex) except -1 nogil:
        return call_vet(self.pointers[i], ex)

    cdef double experience(self, size_t i, Example ex) except? -1 nogil:
        return call_experience(self.pointers[i], ex)

    cdef int vet_all(self, Example ex) except -1 nogil:
        """The first reason that one of them has."""
        cdef size_t i
        cdef int reason = FINE
        for i in range(self.n):
            reason = call_vet(self.pointers[i], ex)
            if reason != FINE:
                break
        return reason


def end_pass(Learner top):
    """Tell a stack that a pass has ended; the Verdict of its learners: AGAIN if one wants another pass, DONE if those
    that have an opinion want none.
    """
    verdicts = {learner.end_pass() for learner in walk(top)} - {None}
    if Verdict.AGAIN in verdicts:
        return Verdict.AGAIN
    return Verdict.DONE if verdicts == {Verdict.DONE} else Verdict.GO_ON


def chain(Learner top):
    """The learners that stand on each other, top to bottom."""
    cdef Learner learner = top
    while learner is not None:
        yield learner
        learner = learner.base


def walk(Learner top, copies=True):
    """The learners of a stack, top to bottom; those beside a base come before it. Without `copies` the first of them
    stands for all.
    """
    for learner in chain(top):
        yield learner
        for other in learner.beside if copies or not learner.copied else ():
            yield from walk(other, copies)


def finishers(Learner top):
    """The learners that are told when an example is done."""
    return Learners([learner for learner in walk(top) if learner.finishes])


def vetters(Learner top, multiline):
    """The learners that may refuse examples: those of multi-line ones, or those of single lines."""
    return Learners([learner for learner in chain(top) if learner.vets and bool(learner.multiline) == multiline])
