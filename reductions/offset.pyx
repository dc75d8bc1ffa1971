"""offset: a fixed term of the score.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Score: s = b o + f(x) on the link scale, o = initial + fixed(x): the example's initial prediction and the score of a
saved model (--fixed_effect), which stays as it is. The learner below gets b o as the example's initial prediction, so
it learns f, the residual of the offset. Without any of the options, an initial prediction counts as is (b = 1).

The fixed model reads the line by its own options (-q, --ignore, --noconstant, -b ...), without the initial prediction,
which counts once. Its arrays and options are saved in the new model, which so needs no other file.

b is --offset_scale, 1 if it is not given. With --offset_scale fit, b ~ N(1, 1/P), P = --offset_l2 at first, is the one
coefficient of a Bayesian model of the feature o with f(x) as its own offset, updated with each example of weight w:

    squared, classic   P <- P + w o^2, then b <- b + w o (y - s) / P            recursive least squares, noise 1
    logistic           b <- argmin_b  w log(1 + e^-y(b o + f)) + P/2 (b - b')^2, b' the old b
                       P <- P + w q (1 - q) o^2, q = 1/(1 + e^-s) at the new b  Chapelle and Li 2011, Algorithm 3

b and f learn from the same prediction, that before the update.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabs, isfinite, isnan, sqrt
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.draws cimport mix
from vwlite.core.elementary cimport exp
from vwlite.core.example cimport Example
from vwlite.core.joint cimport JointScores
from vwlite.core.learner cimport Learner, Learners, Scored
from vwlite.core.reasons cimport FINE
from vwlite.core.terms cimport FIXED_EFFECT, INITIAL, Terms
from vwlite.features.interactions cimport Interactions

from vwlite.core.learner import vetters, walk
from vwlite.core.losses import loss_name
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import ModelError, OptionError

OPTIONS = OptionGroup("offset: a fixed term of the score", (
    Option("fixed_effect", str, "a saved model whose score is added to each example's initial prediction; it learns "
           "nothing, and is saved in the new model", necessary=True, keep=True, metavar="FILE", file="read"),
    Option("offset_scale", float, "factor on the initial prediction and the fixed effect; 'fit' learns it (squared, "
           "classic and logistic loss)", necessary=True, keep=True, words=("fit",), metavar="S|fit"),
    Option("offset_l2", float, "precision of the prior of --offset_scale fit, whose mean is 1", default=1.0,
           above=0, necessary=True, keep=True, fixed=True, metavar="P", needs=("offset_scale=fit",)),
), examples=(
    "vwlite data.vw --loss_function logistic --fixed_effect start.model --offset_scale fit --offset_l2 10",
))

FITTING_LOSSES = ("squared", "classic", "logistic")

cdef enum:
    MOST_STEPS = 1000                 # of Newton's method; bisection alone crosses the range of doubles in so many


def setup(builder):
    """The learner, if --fixed_effect or --offset_scale is given."""
    return Offset(builder)


cdef class Offset(Learner):
    """Offset of the score: initial prediction and fixed model, times a scale.

    Raises OptionError for options that don't go together, ModelError for a fixed model that can't be read.
    """

    name = "offset"
    adds_up = True
    cdef readonly bint holds_vectors  # one scale serves all weight vectors
    cdef readonly bint vets, needs_names        # if the fixed model does, or its crossed features
    cdef object run_options
    cdef object fixed_models          # returns the function that opens one
    cdef readonly object fixed        # a FixedModel, or None
    cdef Learner fixed_top
    cdef Learners vetters             # of the fixed model
    cdef readonly Interactions interactions              # of the fixed model
    cdef bint constant                # whether the fixed model has one
    cdef Example view                 # the line as the fixed model sees it
    cdef bint has_fixed, fixed_vets, fits, logistic
    cdef bint looked, come            # an example was seen; one with an initial prediction
    # state
    cdef readonly double scale, precision

    def __init__(self, builder):
        base, options = builder.base, builder.options
        super().__init__(base, {option.name: options[option.name] for option in OPTIONS.options
                                if options.given(option.name)})
        self.run_options, self.fixed_models = options, builder.fixed_models
        self.view = Example()
        scale = options["offset_scale"]
        self.fits = scale == "fit"
        self.holds_vectors = not self.fits
        self.scale = 1 if scale is None or self.fits else scale
        self.precision = options["offset_l2"]
        loss = loss_name(options)
        if self.fits and loss not in FITTING_LOSSES:
            raise OptionError([f"--offset_scale fit goes with --loss_function {', '.join(FITTING_LOSSES)}, not {loss}: "
                               "give the scale as a number"])
        self.logistic = loss == "logistic"
        for learner in walk(base):
            learner.spare_initial()
        # the fixed effect of a loaded model is loaded with its state
        if options["fixed_effect"] and options.source("fixed_effect") != "model":
            self.take(builder.fixed_models().open(options["fixed_effect"]))

    @property
    def initial_scale(self):
        """The factor on an initial prediction."""
        return self.scale

    def take(self, fixed):
        """Set the fixed model."""
        self.fixed = fixed
        self.fixed_top = fixed.top
        self.interactions = fixed.interactions
        self.constant = fixed.constant
        self.has_fixed = True
        self.vetters = vetters(fixed.top, False)
        self.fixed_vets = self.vetters.n > 0
        self.vets = self.fixed_vets or bool(fixed.interactions.patterns)
        self.needs_names = any(learner.needs_names for learner in walk(fixed.top))

    def init_driver(self, driver):
        """Give the fixed model's learners the driver, which locates an example for their messages."""
        for learner in walk(self.fixed_top) if self.has_fixed else ():
            learner.init_driver(driver)

    def across_entities(self, learns):
        """The scale, if it is learned."""
        return [("--offset_scale fit", "the scale as a number")] if self.fits else []

    def begin_threads(self, others):
        """Give each thread a fixed model of its own."""
        for other in others if self.has_fixed else ():
            other.take(self.fixed.twin())

    cdef double known(self, Example ex) except? -1e10 nogil:
        """Offset before scaling."""
        cdef double score
        self.see(ex)
        if not self.has_fixed:
            return ex.initial
        self.look(ex)
        self.fixed_top.predict(self.view)
        score = self.view.score
        return ex.initial + (0 if isnan(score) else score)

    cdef inline void see(self, Example ex) noexcept nogil:
        """Note that there was an example, and whether it had an initial prediction."""
        self.looked = True
        self.come |= ex.initial != 0

    cdef int look(self, Example ex) except -1 nogil:
        """Build the fixed model's view of the example; returns the Reason why it can't, FINE after vet()."""
        self.view.look_again(ex, self.constant)
        return self.interactions.expand(self.view)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, prediction
        cdef double known
        if ex.recalls:
            self.see(ex)
            return self.base.predict(ex)
        known = self.known(ex)
        ex.initial = bounded(self.scale * known)
        ex.known.variance = 0
        prediction = self.base.predict(ex)
        if self.fits and ex.known.wants_variance:
            ex.known.variance += known * known / self.precision
        ex.initial = initial
        return prediction

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        cdef float initial = ex.initial
        cdef double known = self.known(ex)
        if self.has_fixed:
            to.add(0, FIXED_EFFECT, known - initial, self.scale, 0)
        if initial != 0:
            to.add(0, INITIAL, initial, self.scale, 0)
        ex.initial = bounded(self.scale * known)
        self.base.terms(ex, to)
        ex.initial = initial
        return 0

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        if self.fits:
            to.add(mix(<uint64_t><size_t><void*>self, 0), self.known(ex) / sqrt(self.precision))
        return self.base.uncertainty(ex, to)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        cdef float initial = ex.initial
        ex.initial = bounded(self.scale * self.known(ex))
        self.base.multipredict(ex, count, step, to)
        ex.initial = initial
        return 0

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, given, prediction
        cdef double known
        if ex.recalls:
            self.see(ex)
            return self.base.learn(ex)
        known = self.known(ex)
        given = bounded(self.scale * known)
        ex.initial = given
        prediction = self.base.learn(ex)
        ex.initial = initial
        if self.fits and ex.labelled and 0 < ex.weight <= FLT_MAX:
            self.fit(ex, known, given)
        return prediction

    cdef int vet(self, Example ex) except -1 nogil:
        cdef int reason = FINE
        if self.fixed_vets or (self.vets and ex.n_parsed > self.interactions.safe):
            reason = self.look(ex)
            if self.fixed_vets and reason == FINE:
                reason = self.vetters.vet_all(self.view)
            ex.problem_at = self.view.problem_at
        return reason

    cdef void fit(self, Example ex, double known, double given) noexcept nogil:
        """Update the scale by an example; ex.score is that of the prediction before."""
        cdef double rest = <double>ex.score - given, scale, precision, share, s
        if self.logistic:
            share = (ex.label - self.loss.low) / (self.loss.high - self.loss.low)
            scale = mode(self.scale, self.precision, known, rest, share, ex.weight)
            s = scale * known + rest
            precision = self.precision + ex.weight * sigmoid(s) * sigmoid(-s) * known * known
        else:
            precision = self.precision + ex.weight * known * known
            scale = self.scale + ex.weight * known / precision * (ex.label - <double>ex.score)
        if isfinite(scale) and isfinite(precision):
            self.scale = scale
            self.precision = precision

    def unmatched(self):
        """Warning of a scale that had no effect, as no example had an initial prediction."""
        scale = self.run_options["offset_scale"]
        if scale is None or self.has_fixed or self.come or not self.looked:
            return []
        of_model = " (of the model)" if self.run_options.source("offset_scale") == "model" else ""
        scale = scale if self.fits else f"{scale:g}"
        return [f"nothing matched --offset_scale {scale}{of_model}: no example has an initial "
                "prediction, the third number of a line"]

    def save_load(self, io):
        # a model made with a fixed number for the scale saves none
        if self.fits and (io.saving or io.has("scale")):
            self.scale = io.float64("scale", self.scale)
            self.precision = io.float64("precision", self.precision)
            if not (isfinite(self.scale) and isfinite(self.precision) and self.precision > 0):
                io.refuse("its scale or its precision is not a finite number")
        if not io.saving:
            self.load_fixed(io)
        elif self.fixed is not None:
            self.fixed.save(io)

    def load_fixed(self, io):
        """Load the fixed effect that a model was saved with; raises ModelError if the options name another one."""
        path = self.run_options["fixed_effect"]
        if path is None:
            return
        models = self.fixed_models()
        if not io.has("fixed.metadata") and self.fixed is not None:
            raise ModelError(f"{io.reader.path}: was trained without a fixed effect, and can't go on with one: "
                             "leave --fixed_effect out, or train a new model")
        metadata = models.saved_metadata(io)
        if self.fixed is None:
            self.take(models.untaught(metadata, path))
        elif self.fixed.id != metadata["id"]:
            raise ModelError(f"{io.reader.path}: holds the fixed effect with the id {metadata['id']}, --fixed_effect "
                             f"{path} has the id {self.fixed.id}: leave --fixed_effect out, or train a new model")
        self.fixed.load(io)

    def joint(self, *initials):
        """Joint posterior (means, covariance) of the scores of examples with an initial prediction only, for tests."""
        cdef Example ex = Example()
        cdef JointScores scores = JointScores()
        for initial in initials:
            ex.initial = initial
            ex.known.wants_variance = True
            self.predict(ex)
            scores.begin(ex.score)
            self.uncertainty(ex, scores)
        return scores.moments()

    def metrics(self):
        if not self.fits:
            return {}
        return {"offset scale": self.scale, "offset scale's precision": self.precision}


cdef inline float bounded(double x) noexcept nogil:
    """Clip to finite numbers of single precision."""
    return <float>max(-<double>FLT_MAX, min(<double>FLT_MAX, x))


cdef inline double sigmoid(double s) noexcept nogil:
    """Logistic function 1 / (1 + e^-s), without overflow."""
    cdef double e = exp(-fabs(s))
    return 1 / (1 + e) if s >= 0 else e / (1 + e)


cdef double mode(double mean, double precision, double o, double rest, double share, double weight) noexcept nogil:
    """Posterior mode: argmin_b  weight (log(1 + e^s) - share s) + precision/2 (b - mean)^2,  s = b o + rest.

    Newton's method between bounds: where the slope vanishes, precision (b - mean) = weight o (share - q), 0 < q < 1.
    A step that leaves the bounds, or does not halve the slope, is replaced by bisection.
    """
    cdef double b = mean, next, q, rest_of_q, slope, before = 0
    cdef double one = mean + weight * o / precision * (share - 1), other = mean + weight * o / precision * share
    cdef double low = min(one, other), high = max(one, other)
    cdef int i
    for i in range(MOST_STEPS):
        q = sigmoid(b * o + rest)
        rest_of_q = sigmoid(-b * o - rest)        # 1 - q would cancel when q is nearly 1
        slope = weight * o * (q * (1 - share) - rest_of_q * share) + precision * (b - mean)
        if slope > 0:
            high = b
        else:
            low = b
        next = b - slope / (weight * o * o * q * rest_of_q + precision)
        if fabs(next - b) <= 1e-15 * max(1.0, fabs(b)):
            return next
        if not low < next < high or (i and 2 * fabs(slope) > before):
            next = low + (high - low) / 2
            if next == low or next == high:
                return next
        before = fabs(slope)
        b = next
    return b
