"""combined: earlier models combined as an offset of the score.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Score: s = initial + sum_k b_k s_k(x) + f(x). s_k are the scores of saved models (--residual), which stay as they are.
The learner below gets initial + sum_k b_k s_k as the example's initial prediction, so it learns f, what all of them
together leave.

The coefficients b are those of weighted least squares on labelled data that none of the models has learned
(--residual_fit): they minimise sum_i w_i (y_i - initial_i - sum_k b_k s_k(x_i))^2, with the smallest norm if several
do. This is a stacked regression (Breiman 1996, "Stacked regressions") without a constant, which f has. Without
--residual_fit each model counts 1 / K.

The models and the coefficients are saved in the new model, which needs no other file.
"""
from libc.math cimport isnan
from libc.stdlib cimport calloc, free

from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.reasons cimport FINE
from vwlite.features.interactions cimport Interactions

from vwlite.core.learner import vetters, walk
from vwlite.core.losses import loss_name
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import ModelError, OptionError

OPTIONS = OptionGroup("combined: earlier models as an offset", (
    Option("residual", str, "a saved model whose score, times a coefficient, is added to each example's initial "
           "prediction; several are combined; they learn nothing, and are saved in the new model", many=True,
           necessary=True, keep=True, metavar="FILE", file="read"),
    Option("residual_fit", str, "labelled data to which the coefficients of --residual are fitted by weighted least "
           "squares (squared and classic loss)", metavar="FILE", file="read", needs=("residual",)),
), examples=(
    "vwlite data.vw --residual start.model --residual_fit more.vw",
))

FITTING_LOSSES = ("squared", "classic")


def setup(builder):
    """The learner, if --residual is given."""
    return Combined(builder)


cdef class Part:
    """A saved model, and those after it."""

    cdef readonly object fixed        # a FixedModel
    cdef Learner top
    cdef Learners vetters
    cdef readonly Interactions interactions
    cdef bint constant, vets
    cdef Example view                 # the line as the model sees it
    cdef Part next

    def __init__(self, fixed, Part next):
        self.fixed, self.top, self.next = fixed, fixed.top, next
        self.interactions, self.constant = fixed.interactions, fixed.constant
        self.vetters = vetters(fixed.top, False)
        self.vets = self.vetters.n > 0 or bool(fixed.interactions.patterns)
        self.view = Example()

    cdef double score(self, Example ex, const double* b) except? -1e10 nogil:
        """The sum of the models' scores, times coefficients."""
        cdef double found
        self.view.look_again(ex, self.constant)
        self.interactions.expand(self.view)
        self.top.predict(self.view)
        found = 0 if isnan(self.view.score) else b[0] * self.view.score
        return found if self.next is None else found + self.next.score(ex, b + 1)

    cdef int vet(self, Example ex) except -1 nogil:
        """The Reason why one of the models can't use the example."""
        cdef int reason = FINE
        if self.vets:
            self.view.look_again(ex, self.constant)
            reason = self.interactions.expand(self.view)
            if reason == FINE:
                reason = self.vetters.vet_all(self.view)
            ex.problem_at = self.view.problem_at
        return reason if reason != FINE or self.next is None else self.next.vet(ex)


cdef class Combined(Learner):
    """Adds the combined scores of saved models to the initial prediction.

    Raises OptionError for options that don't go together, ModelError for a model that can't be read.
    """

    name = "combined"
    holds_vectors = True              # one combination serves all weight vectors
    cdef readonly bint vets, needs_names
    cdef object run_options
    cdef object fixed_models          # returns the function that opens one
    cdef list models
    cdef Part first
    cdef double* b
    cdef bint fitted

    def __init__(self, builder):
        options = builder.options
        super().__init__(builder.base, {"residual": options["residual"]})
        self.run_options, self.fixed_models = options, builder.fixed_models
        self.models = []
        loss = loss_name(options)
        if options["residual_fit"] and loss not in FITTING_LOSSES:
            raise OptionError([f"--residual_fit goes with --loss_function {' and '.join(FITTING_LOSSES)}, not {loss}: "
                               "leave it out, and each model counts alike"])
        for learner in walk(builder.base):
            learner.spare_initial()
        # the models of a loaded model are loaded with its state
        if options.source("residual") == "model":
            return
        opened = builder.fixed_models()
        models = [opened.open(path) for path in options["residual"]]
        numbers = [1.0 / len(models) for _ in models]
        if options["residual_fit"]:
            numbers = opened.combination(models, options["residual_fit"])
            self.fitted = True
        self.take(models, numbers)

    def __dealloc__(self):
        free(self.b)

    def take(self, models, numbers):
        """Set the models and their coefficients."""
        cdef size_t i
        free(self.b)
        self.b = <double*>calloc(len(models) + 1, sizeof(double))
        if self.b == NULL:
            raise MemoryError
        for i, number in enumerate(numbers):
            self.b[i] = number
        self.models = models
        self.first = None
        for fixed in reversed(models):
            self.first = Part(fixed, self.first)
        parts = self.parts()
        self.vets = any([(<Part>part).vets for part in parts])
        self.needs_names = any(learner.needs_names for fixed in models for learner in walk(fixed.top))

    def parts(self):
        """The models of the learner in order."""
        cdef Part part = self.first
        found = []
        while part is not None:
            found.append(part)
            part = part.next
        return found

    def init_driver(self, driver):
        """Give the models' learners the driver, which locates an example for their messages."""
        for fixed in self.models:
            for learner in walk(fixed.top):
                learner.init_driver(driver)

    cdef float known(self, Example ex) except? -1e10 nogil:
        """The initial prediction with the combined scores."""
        return <float>(ex.initial + self.first.score(ex, self.b))

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, prediction
        ex.initial = self.known(ex)
        prediction = self.base.predict(ex)
        ex.initial = initial
        return prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, prediction
        ex.initial = self.known(ex)
        prediction = self.base.learn(ex)
        ex.initial = initial
        return prediction

    cdef int vet(self, Example ex) except -1 nogil:
        return self.first.vet(ex)

    @property
    def coefficients(self):
        """The coefficients of the models in order."""
        cdef size_t i
        return [self.b[i] for i in range(len(self.models))]

    def settings(self):
        """The line of the header with the coefficients."""
        how = "by least squares" if self.fitted else "given"
        pairs = zip(self.run_options["residual"], self.coefficients, strict=True)
        words = ", ".join(f"{path} {number:.6g}" for path, number in pairs)
        return [f"residual of {words} ({how})"]

    def metrics(self):
        return {f"coefficient of {path}": number
                for path, number in zip(self.run_options["residual"], self.coefficients, strict=True)}

    def save_load(self, io):
        if io.saving:
            for i, fixed in enumerate(self.models):
                fixed.save(io, f"{i}.fixed")
            io.array("coefficients", "F64", self.as_bytes())
            return
        paths = self.run_options["residual"]
        opened = self.fixed_models()
        if self.models:
            if not io.has("coefficients"):
                raise ModelError(f"{io.reader.path}: was trained without --residual, and can't go on with it: leave it "
                                 "out, or train a new model")
            ids = [opened.saved_metadata(io, f"{i}.fixed")["id"] for i in range(len(self.models))
                   if io.has(f"{i}.fixed.metadata")]
            if ids != [fixed.id for fixed in self.models] or io.has(f"{len(self.models)}.fixed.metadata"):
                raise ModelError(f"{io.reader.path}: holds other models than those of --residual: leave it out, or "
                                 "train a new model")
        models = [opened.untaught(opened.saved_metadata(io, f"{i}.fixed"), path) for i, path in enumerate(paths)]
        for i, fixed in enumerate(models):
            fixed.load(io, f"{i}.fixed")
        numbers = list(io.array("coefficients", "F64", None))
        if len(numbers) != len(models) or any(number != number or abs(number) > 1e30 for number in numbers):
            io.refuse("its coefficients are not a number for each model")
        self.take(models, numbers)

    def as_bytes(self):
        """The coefficients as a model file holds them."""
        from array import array
        return bytearray(array("d", self.coefficients).tobytes())
