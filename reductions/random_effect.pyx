"""random_effect: generalised linear mixed models.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Score: s = initial + fixed(x) + sum_r effect_r(x), on the link scale. fixed is the learner below; effect_r is a small
model of the entity (user, item, ...) that the example names in the effect's namespace (GAME of Zhang and others 2016,
"GLMix"). An example updates all parts jointly (vwlite/bayes/together.pxd). A fixed part of gd learns before the
effects. Parts that learn in batches learn in turn, each with the scores of the others as its offset.

    --random_effect user           a number for each user: lme4's (1 | user)
    --random_effect user:ctx,ad    and a coefficient for each feature of namespaces ctx and ad: (1 + ctx + ad | user)
    --random_effect 'user:*'       and one for every feature of the example

The feature in the namespace names the entity; values other than 1 are refused. If an example names no entity, the other
parts predict it and learn from it. Namespaces of entities are no features of any part. --sweeps, --square and
--logistic fit all parts to all examples of a pass: as one mixed model (vwlite/mixed/linear.py), or where that can't be
done by coordinate descent, at most --sweeps times.
"""
import math

from libc.math cimport NAN, isfinite, sqrt
from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from vwlite.bases.effects cimport INTERCEPT, MOST_EFFECTS, MOST_NAMESPACES, NAMED, Effect, Effects
from vwlite.bayes.batches cimport Batches
from vwlite.bayes.dealt cimport begin_outcome, share_settings, end_outcome, add_counts, recall_outcome
from vwlite.bayes.leaning cimport Leans
from vwlite.bayes.sweeps cimport Sweeps, entity_score
from vwlite.bayes.together cimport Together
from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport pow
from vwlite.core.example cimport Example, Feature
from vwlite.core.joint cimport JointScores
from vwlite.core.outcome cimport Outcome
from vwlite.entities.dealing cimport deal, gather
from vwlite.core.terms cimport FIND, Terms

from vwlite.core.learner import Verdict
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import ModelError, OptionError

LEARNING = ("random_effect & learning",)

OPTIONS = OptionGroup("random_effect: a model for each user, item, ...", (
    Option("random_effect", str, "a model for each entity named in namespace NAME: an intercept, and coefficients of "
           "the features of other namespaces ('*': all); may be repeated", many=True, necessary=True, keep=True,
           fixed=True, metavar="NAME[:NAMESPACE,..]", task="personal"),
    Option("fixed", str, "the global part: the same learner as the effects, with a flat prior unless --l2 is given, "
           "gd, or none", default="same", keep=True, fixed=True, choices=("same", "gd", "none")),
    Option("effect_l2", str, "ridge of the effects (the precision of their prior): a number, one for each effect, or "
           "'auto' to estimate it, or 'reml' to do so by restricted maximum likelihood (linear models of a whole pass)",
           default="auto", keep=True, by_name=True, metavar="L|NAME=L,..|auto|reml"),
    Option("shrink", str, "what effects without data shrink to: zero, or the mean of all entities, which with --fixed "
           "same is the fixed part's prediction (default: mean; with --fixed gd zero)", keep=True, fixed=True,
           choices=("zero", "mean")),
    Option("entity_min", int, "examples of an entity before its model is used", default=0, least=0, keep=True,
           metavar="N"),
    Option("count_weight", str, "weight an example by a power of the number of examples of its entity so far, at mean "
           "1: user=-0.5 lets frequent users count less", keep=True, by_name=True, metavar="NAME=A,..",
           needs=LEARNING),
    Option("freeze", str, "learn nothing in this effect (or in 'fixed')", many=True, metavar="NAME", needs=LEARNING),
    Option("refit", str, "learn this effect of a loaded model anew, and nothing else: its entities begin at the prior, "
           "all other parts are frozen", metavar="NAME",
           needs=("random_effect & initial_regressor & learning & command",)),
    Option("entity_limit", int, "hold at most so many entities of each effect in memory; the least recently used are "
           "on disk, in MODEL.entities once the model is saved", least=1, most=2**31, metavar="N"),
    Option("sweeps", int, "fit all parts to the examples of a pass when it ends: jointly, or where that can't be done "
           "in turn, at most so many times", least=1, metavar="N", needs=LEARNING),
), needs=("random_effect",), examples=(
    "vwlite ratings.vw --bayes_linear --random_effect user --random_effect item -f model",
    "vwlite ratings.vw --bayes_linear --random_effect user:a --fixed same --effect_l2 auto --shrink mean",
    "vwlite ratings.vw --square --random_effect user --random_effect item --effect_l2 reml --sweeps 10",
    "vwlite ratings.vw --bayes_linear --random_effect user --entity_min 3 --entity_limit 1000 --count_weight user=-0.5",
    "vwlite ratings.vw --bayes_linear --random_effect user -i effects.model --freeze fixed",
    "vwlite ratings.vw -i effects.model --refit user -f refitted.model",
))

# the option that chooses the learner of the global part, and its values by module
CHOOSES = ("fixed", {"gd": "gd", "table": "gd", "glm": "same"})


def namespaces_named(options):
    """Namespaces of entities, and of the features of effects: see unmatched.pyx."""
    for text in options["random_effect"]:
        name, _, rest = text.partition(":")
        yield "random_effect", text, name if rest else None, "parsed", (name,)
        for other in rest.split(",") if rest not in ("", "*") else ():
            yield "random_effect", text, other, "used", (name, other)


def setup(builder):
    """The learner, if --random_effect is given."""
    options = builder.options
    if not options["random_effect"]:
        return None
    if options["shrink"] is None:
        options.set("shrink", "zero" if options["fixed"] == "gd" else "mean", "model")
    for name in ("fixed", "effect_l2"):
        if not options.given(name):
            options.set(name, options[name], "model")    # so that a model keeps it, whatever later versions choose
    specs = [parse_spec(text) for text in options["random_effect"]]
    names = [name for name, _ in specs]
    if len(set(names)) < len(names) or {"fixed", "score", "sd"} & set(names):
        raise OptionError([f"--random_effect {' '.join(names)}: each needs a namespace of its own, other than fixed, "
                           "score and sd, which mean something else"])
    if len(specs) > MOST_EFFECTS:
        raise OptionError([f"at most {MOST_EFFECTS} random effects"])
    ridges = by_name("effect_l2", options["effect_l2"], names, None)
    for name, ridge in ridges.items():
        if ridge is not None and ridge <= 0:
            raise OptionError([f"--effect_l2 {name}={ridge:g}: a ridge is above 0"])
    learners = [builder.effect(name, ridges[name]) for name in names]
    if None in learners:
        raise OptionError([f"--random_effect {names[0]} needs a learner for the effects: one of "
                           f"{', '.join(builder.flags_of_posteriors())}"])
    whole_pass = options["sweeps"] or any(learner.batch_size == 0 for learner in learners)
    possible = whole_pass and "logistic" not in learners[0].name and options["fixed"] != "gd"
    if is_restricted(options) and options.source("effect_l2") != "model" and not possible:
        raise OptionError(["--effect_l2 reml is for linear models fitted to a whole pass: --square, or --bayes_linear "
                           "with --sweeps, and --fixed same or none"])
    return RandomEffect(options, builder.base, specs, learners)


def upgrade(kept, typed):
    """Defaults of version 0.1.0, whose models don't name them; later models save these options."""
    if kept.get("random_effect"):
        return {"fixed": "gd", "shrink": "zero", "effect_l2": "1"} | kept
    return kept


def parse_spec(text):
    """Parse user:ctx,ad into ('user', ['ctx', 'ad']); None instead of a list stands for all features."""
    name, separator, rest = text.partition(":")
    named = rest.split(",") if separator else []
    if not name or (separator and not all(named)) or len(named) > MOST_NAMESPACES:
        raise OptionError([f"--random_effect {text}: expected NAMESPACE, NAMESPACE:NAMESPACE,.. (at most "
                           f"{MOST_NAMESPACES}) or NAMESPACE:*"])
    return name, None if named == ["*"] else named


def is_restricted(options):
    """Whether variances are estimated by restricted maximum likelihood (REML)."""
    return any(part.rpartition("=")[2] == "reml" for part in options["effect_l2"].split(","))


def by_name(option, text, names, otherwise):
    """Parse name=number,..: a dict by name, with None for auto and reml; a number without a name is for every name."""
    values = dict.fromkeys(names, otherwise)
    for part in text.split(","):
        name, separator, number = part.rpartition("=")
        try:
            value = None if number in ("auto", "reml") and option == "effect_l2" else float(number)
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise OptionError([f"--{option} {text}: {number!r} is not a number"])
        if separator and name not in values:
            raise OptionError([f"--{option} {text}: there is no random effect {name!r}, only {', '.join(names)}"])
        values |= {name: value} if separator else dict.fromkeys(names, value)
    return values


cdef class RandomEffect(Effects):
    """Mixed model: the sum of the fixed part (base) and of the models of an example's entities."""

    name = "random_effect"
    adds_up = True
    has_posterior = True

    cdef object run_options
    cdef Together together            # joint updates of the base and the effects
    cdef bint anchored                # the fixed part has a posterior, and effects depend on it
    cdef list powers
    cdef list frozen                  # names of parts that learn nothing
    cdef bint fixed_frozen, weighs
    cdef double least                 # --entity_min
    cdef Batches one_effect           # the first, which estimates the noise if there is no fixed part
    cdef bint logistic
    cdef bint restricted              # variances are estimated by REML
    cdef bint flat                    # the fixed part has a flat prior
    cdef Feature* combined            # features that entities add to the fixed part's
    cdef size_t combined_size
    # state
    cdef public double weight_sum, weight_count
    cdef Leans leans                  # dependence of entities on the fixed part
    # during a pass, until its end
    cdef readonly size_t sweeps       # 0: every example is learned as it comes
    cdef Sweeps kept
    cdef dict fitted                  # metrics of the fit

    def __init__(self, options, base, specs, learners):
        taken = {option.name: options[option.name] for option in OPTIONS.options if options.given(option.name)}
        super().__init__(base, taken, specs, learners, options)
        self.run_options = options
        intercepts = all([self.effects[i].kind == INTERCEPT for i in range(self.n_effects)])
        self.together = Together(base, learners, intercepts)
        self.anchored = self.together.anchored
        self.least = options["entity_min"]
        powers = by_name("count_weight", options["count_weight"] or "0", self.names, 0.0)
        self.powers = list(powers.values())
        self.weighs = any(self.powers)
        self.frozen = self.parts_frozen(options)
        self.fixed_frozen = "fixed" in self.frozen
        for i, name in enumerate(self.names):
            self.effects[i].power = powers[name]
            self.effects[i].frozen = name in self.frozen
        if self.frozen:
            self.together.sum_ends()
        self.restricted = is_restricted(options)
        self.one_effect = learners[0]
        self.logistic = "logistic" in learners[0].name
        self.flat = not options.given("l2")
        at_once = any(learner.batch_size == 0 for learner in learners)
        self.sweeps = options["sweeps"] or (1 if at_once else 0)
        if options["entity_limit"] and self.sweeps:
            if not options["testonly"]:
                raise OptionError(["--entity_limit keeps entities on disk, but --sweeps (and a batch of all examples, "
                                   "the default of --square and --logistic) keeps all examples in memory: leave one of "
                                   "the two out; with -t they go together"])
            self.sweeps = 0
        self.fitted = {}
        self.leans = Leans()
        if self.sweeps:
            frozen = [self.fixed_frozen, *(name in self.frozen for name in self.names)]
            self.kept = Sweeps(base, self.learners, frozen, self.least)

    def parts_frozen(self, options):
        """The names of the parts that learn nothing: those of --freeze, or all but that of --refit."""
        parts = ["fixed", *self.names]
        for flag, names in (("freeze", options["freeze"]), ("refit", [options["refit"]] if options["refit"] else [])):
            unknown = [name for name in names if name not in (parts if flag == "freeze" else self.names)]
            if unknown:
                raise OptionError([f"--{flag} {unknown[0]}: there is no such part, only "
                                   f"{', '.join(parts if flag == 'freeze' else self.names)}"])
        if not options["refit"]:
            return list(options["freeze"])
        for flag, why in (("freeze", "all other parts are frozen"), ("entity_limit", "all entities begin anew")):
            if options[flag]:
                raise OptionError([f"--refit {options['refit']} does not go with --{flag}: {why}: leave --{flag} out"])
        return [name for name in parts if name != options["refit"]]

    @property
    def waits_for_pass(self):
        """True with sweeps."""
        return self.sweeps > 0

    instead = "no --sweeps"

    @property
    def begin_anew(self):
        """The effect of --refit."""
        return [self.beside[r] for r, name in enumerate(self.names) if name == self.run_options["refit"]]

    def __dealloc__(self):
        free(self.combined)

    # one example

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        cdef double total, variance
        cdef bint leans = self.anchored or (ex.known.wants_variance and self.leaning())
        if ex.recalls:
            return self.recall(ex)
        if ex.outcome != NULL:
            self.one_effect.table.serial = ex.outcome.serial
        self.resolve(ex)
        if ex.first_visit:
            ex.first_visit = False
            self.count_entities()
        ex.known.noise = 0
        self.base.predict(ex)
        total = ex.score
        variance = ex.known.variance
        ex.known.parts[0] = ex.score
        self.together.begin()
        for r in range(self.n_effects):
            if self.effects[r].present:
                self.point(ex, &self.effects[r], features, n)
                self.effects[r].score = entity_score(self.learners, r, ex, self.least)
                variance += ex.known.variance
                if leans and not self.is_newcomer(r, ex):
                    self.together.glance(r, ex)
        self.unpoint(ex, features, n, initial)
        for r in range(self.n_effects):
            if self.anchored and self.together.taken[r]:
                self.effects[r].score += self.together.shift(r, False)
            total += self.effects[r].score
            ex.known.parts[r + 1] = <float>self.effects[r].score
        if ex.known.wants_variance and ex.known.noise == 0 and not self.logistic:
            ex.known.noise = self.one_effect.scale()
        if leans and ex.known.wants_variance:
            variance += self.variance_by_leaning(ex)
        ex.known.variance = variance
        ex.score = <float>total
        ex.prediction = self.loss.clip(ex.score) if isfinite(ex.score) else 0
        if ex.outcome != NULL:
            self.tell_outcome(ex)
        return ex.prediction

    cdef inline bint leaning(self) noexcept nogil:
        """Whether the fixed part's variance depends on the entities: as they lean, or as a fit has found."""
        return self.anchored or (self.leans.n > 0 and self.together.fixed is not None)

    cdef inline bint is_newcomer(self, size_t r, Example ex) except -1 nogil:
        """Whether the entity has fewer examples than --entity_min, so that its model is not used."""
        return self.least > 0 and self.learners.experience(r, ex) < self.least

    cdef int lean(self, Example ex) except -1 nogil:
        """Set the features by which the score depends on the fixed part, given the example's entities.

        After a joint fit of all parts, the fit's own factors hold for an entity; once the entity has learned again, its
        posterior gives them.
        """
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, added = 0, r, more
        cdef float initial = ex.initial
        if self.leans.n:
            grow(&self.combined, &self.combined_size, self.n_effects * self.leans.n, sizeof(Feature))
            for r in range(self.n_effects):
                if self.together.taken[r]:
                    self.point(ex, &self.effects[r], features, n)
                    more = self.leans.add(r, ex.entity, self.learners.experience(r, ex), ex, self.combined + added)
                    added += more
                    self.together.taken[r] = more == 0
            self.unpoint(ex, features, n, initial)
        if not self.anchored:
            self.together.begin()
        self.together.damp(ex, self.combined, added)
        return 0

    cdef double variance_by_leaning(self, Example ex) except? -1e10 nogil:
        """Change of the fixed part's variance of the score by the dependence of the entities on it."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n
        cdef double before
        self.base.predict(ex)
        before = ex.known.variance
        self.lean(ex)
        self.base.predict(ex)
        ex.features, ex.n = features, n
        return ex.known.variance - before

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        self.predict(ex)              # the scores of effects, as they follow the fixed part
        self.base.terms(ex, to)
        for r in range(self.n_effects):
            if self.effects[r].present:
                to.part = <uint32_t>r + 1
                self.point(ex, &self.effects[r], features, n)
                self.effect_terms(r, ex, to)
        self.unpoint(ex, features, n, initial)
        to.part = 0
        return 0

    cdef int effect_terms(self, size_t r, Example ex, Terms to) except -1 nogil:
        """Terms of an effect, whose entity and features the example has."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, i
        cdef double weight, sd
        ex.features, ex.n = to.one, 1
        for i in range(n):
            to.one[0].hash, to.one[0].value = features[i].hash, 1
            weight = entity_score(self.learners, r, ex, self.least)
            sd = sqrt(ex.known.variance) if ex.known.wants_variance else NAN
            if self.effects[r].kind == INTERCEPT:
                weight = self.effects[r].score
            elif self.anchored and not self.is_newcomer(r, ex):
                # it is the only effect, so that its coefficients follow each by itself
                self.together.begin()
                self.together.glance(r, ex)
                if self.together.taken[r]:
                    weight += self.together.shift(r, False)
            to.add(features[i].hash, FIND, features[i].value, weight, sd)
        ex.features, ex.n = features, n
        return 0

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        self.together.begin()
        for r in range(self.n_effects):
            if self.effects[r].present:
                self.point(ex, &self.effects[r], features, n)
                ex.known.newcomer = self.is_newcomer(r, ex)
                if self.leaning():
                    self.together.glance(r, ex)
                self.learners.uncertainty(r, ex, to)
                ex.known.newcomer = False
        self.unpoint(ex, features, n, ex.initial)
        if self.leaning():
            self.lean(ex)
        self.base.uncertainty(ex, to)
        ex.features, ex.n = features, n
        return 0

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef float prediction = ex.prediction, score = ex.score, weight = ex.weight
        cdef double variance = ex.known.variance
        ex.loss = self.loss.loss(prediction, ex.label)
        if not isfinite(score):       # then its features are not finite either
            self.left_out += 1
            return prediction
        if ex.recalls:
            recall_outcome(self.one_effect, ex.outcome)
            return prediction
        if self.sweeps:
            if self.kept is not None:
                self.keep(ex)
            return prediction
        if self.weighs:
            ex.weight *= self.count_weight(ex)
        if ex.weight > 0:
            if ex.outcome != NULL:
                begin_outcome(self.one_effect, ex.outcome)
            self.update_parts(ex)
            if ex.outcome != NULL:
                end_outcome(self.one_effect, ex.outcome)
        ex.weight, ex.prediction, ex.score, ex.known.variance = weight, prediction, score, variance
        ex.loss = self.loss.loss(prediction, ex.label)
        return prediction

    cdef int update_parts(self, Example ex) except -1 nogil:
        """Joint update of all parts. A fixed part of another kind learns first; parts with pending batches in turn."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        cdef bint joint = self.together.fixed is not None and not self.fixed_frozen, single = True
        cdef double certain = initial
        for r in range(self.n_effects):
            if self.effects[r].present and not self.effects[r].frozen:
                self.point(ex, &self.effects[r], features, n)
                single = self.together.can_step(r, ex) and single
        self.unpoint(ex, features, n, initial)
        if not single or (joint and not self.together.fixed.learns_single(ex)):
            self.together.sum_ends()
            return self.update_in_turn(ex)
        if not joint:
            certain = ex.known.parts[0] if self.fixed_frozen else self.update_fixed(ex)
        self.together.begin()
        for r in range(self.n_effects):
            if not self.effects[r].present:
                continue
            if self.effects[r].frozen:
                certain += self.effects[r].score
                continue
            self.point(ex, &self.effects[r], features, n)
            self.together.look(r, ex)
        self.unpoint(ex, features, n, initial)
        self.together.step(ex, joint, certain)
        return 0

    cdef double update_fixed(self, Example ex) except? -1e10 nogil:
        """Update the fixed part, with the scores of the effects as its offset; returns its new score."""
        cdef float initial = ex.initial
        ex.initial = <float>(initial + self.sum_of_effects())
        self.base.update(ex)
        ex.initial = initial
        self.base.predict(ex)
        return ex.score

    cdef int update_in_turn(self, Example ex) except -1 nogil:
        """Update the fixed part, then each effect, each with the current scores of the others as its offset."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        cdef double fixed = ex.known.parts[0] if self.fixed_frozen else self.update_fixed(ex)
        cdef double others = self.sum_of_effects()
        cdef Effect* effect
        for r in range(self.n_effects):
            effect = &self.effects[r]
            if not effect.present or effect.frozen:
                continue
            self.point(ex, effect, features, n)
            self.together.follow(r, ex)
            others -= effect.score
            ex.initial = <float>(fixed + others)
            self.learners.predict(r, ex)
            self.learners.update(r, ex)
            effect.score = entity_score(self.learners, r, ex, self.least)
            others = self.sum_of_effects()
        self.unpoint(ex, features, n, initial)
        return 0

    cdef float count_weight(self, Example ex) except? -1e10 nogil:
        """Weight of an example by --count_weight: a product of powers of the entities' counts, over its mean so far."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        cdef double weight = 1
        for r in range(self.n_effects):
            if self.effects[r].present and self.effects[r].power != 0:
                self.point(ex, &self.effects[r], features, n)
                weight *= pow(self.learners.experience(r, ex) + 1, self.effects[r].power)
        self.unpoint(ex, features, n, initial)
        self.weight_sum += weight
        self.weight_count += 1
        return <float>(weight * self.weight_count / self.weight_sum)

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        """Sensitivity of the score to an update of all parts."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial, total = 0
        self.resolve(ex)
        self.together.begin()
        for r in range(self.n_effects):
            if self.effects[r].present:
                self.point(ex, &self.effects[r], features, n)
                total += self.learners.sensitivity(r, ex)
                if self.leaning():
                    self.together.glance(r, ex)
        self.unpoint(ex, features, n, initial)
        if self.leaning():
            self.lean(ex)
        total += self.base.sensitivity(ex)
        ex.features, ex.n = features, n
        return total

    # sweeps

    cdef int keep(self, Example ex) except -1 nogil:
        """Store an example for the sweeps at the end of the pass."""
        cdef size_t r
        cdef Effect* effect
        self.kept.keep(ex)
        for r in range(self.n_effects):
            effect = &self.effects[r]
            if not effect.present:
                continue
            if effect.kind == INTERCEPT:
                self.kept.keep_piece(r + 1, effect.entity, self.intercept, 1)
            elif effect.kind == NAMED:
                self.kept.keep_piece(r + 1, effect.entity, effect.features, effect.n)
                self.name_features(effect, ex, r)
            else:
                self.kept.keep_whole(r + 1, effect.entity)
            self.name_entity(effect, ex, r)
        return 0

    @property
    def asks_again(self):
        """Whether a second pass is needed, to measure the held-out loss after the fit."""
        options = self.run_options
        return (self.sweeps > 0 and options["holdout_after"] > 0 and options["passes"] == 1
                and not options["testonly"])

    def end_pass(self):
        """Fit all parts to the examples of the first pass; later passes only predict."""
        self.later_pass = True
        if self.kept is None:
            return None
        self.kept.begin(self.powers)
        self.fitted = self.fit_at_once() or self.fit_in_turn()
        self.kept.end()
        self.together.anchor()
        self.together.sum_ends()
        self.fitted["loss after the fit"] = self.kept.loss
        self.kept = None
        return Verdict.AGAIN if self.asks_again else None

    def fit_at_once(self):
        """Fit all parts jointly; returns the metrics, or None if they must be fitted in turn."""
        from vwlite.bayes.fitted import can_take
        linear = isinstance(self.base, Batches) or self.base.name == "nothing" or self.fixed_frozen
        base, learners = self.to_fit()
        known = [learner for learner in (base, *learners) if learner is not None]
        if not linear or not all(can_take(learner) for learner in known):
            return None
        from vwlite.mixed.problem import Problem
        problem = Problem(self.kept, base, learners, self.flat, self.least)
        found = problem.fit(self.restricted, self.kept.is_stopping) if problem.is_within_bounds else None
        if found is None:
            return None
        self.leans.take(found.fixed_hashes, found.leans)
        return found.figures

    def to_fit(self):
        """The learners of the fixed part and of the effects; None for those that are frozen or gd."""
        effects = [None if self.effects[r].frozen else self.beside[r] for r in range(self.n_effects)]
        return self.base if isinstance(self.base, Batches) and not self.fixed_frozen else None, effects

    def fit_in_turn(self):
        """Fit the parts in turn (coordinate descent); returns the metrics."""
        for learner in self.beside:
            learner.covariance = None
        from vwlite.mixed.problem import begin_in_turn
        begin_in_turn(self.kept, *self.to_fit(), self.flat)
        self.kept.descend(self.sweeps)
        done = self.kept.done
        how = "converged after" if self.kept.converged else "stopped after"
        return {"random_effect fit": f"parts in turn, {how} {done} sweep{'s' if done != 1 else ''}"}

    def interrupt(self):
        """Interrupt: fit the examples read so far once, or stop the fit after the current part."""
        if self.kept is not None:
            self.kept.interrupt()

    def end_examples(self):
        """Fit the examples of an interrupted pass."""
        if self.kept is not None and self.kept.n:
            self.end_pass()

    # threads

    def across_entities(self, learns):
        """What threads can't share: several effects, a fixed part, and what all entities determine together."""
        options, found = self.run_options, []
        if self.n_effects > 1:
            found.append(("several random effects", "one --random_effect"))
        if self.base.name != "nothing":
            found.append((f"--fixed {options['fixed']}",
                          "--fixed none (--fixed_effect adds the score of a saved model)"))
        if options["entity_limit"]:
            found.append(("--entity_limit", "no --entity_limit"))
        if not learns:
            return found
        if self.one_effect.estimates_prior:
            found.append((f"--effect_l2 {options['effect_l2']}", "--effect_l2 N"))
        if self.one_effect.center != NULL:
            found.append(("--shrink mean", "--shrink zero"))
        if self.weighs:
            found.append(("--count_weight", "no --count_weight"))
        if self.sweeps:
            found.append(("--sweeps", "no --sweeps") if options["sweeps"] else
                         ("a batch of all examples", "--batch_size N"))
        return found

    def begin_threads(self, others):
        """Deal the entities to the threads."""
        cdef list effects = [other.beside[0] for other in others]
        share_settings(self.one_effect, effects)
        deal(self.one_effect.table, [other.table for other in effects], self.effects[0].namespace)

    def end_threads(self, others):
        """Gather the entities from the threads."""
        cdef list effects = [other.beside[0] for other in others]
        add_counts(self.one_effect, effects)
        gather(self.one_effect.table, [other.table for other in effects])

    cdef void tell_outcome(self, Example ex) noexcept nogil:
        """Write the outcome of a prediction."""
        cdef Outcome* outcome = ex.outcome
        cdef const Effect* effect = &self.effects[0]
        outcome.present, outcome.known_before = effect.present, effect.known_before
        outcome.name, outcome.name_length = effect.name, effect.name_length
        outcome.score, outcome.variance = ex.score, ex.known.variance
        outcome.fixed, outcome.effect = ex.known.parts[0], ex.known.parts[1]

    cdef float recall(self, Example ex) except? -1e10 nogil:
        """Predict by the outcome that a thread has written, in units of the noise as it is estimated so far."""
        cdef const Outcome* outcome = ex.outcome
        cdef Effect* effect = &self.effects[0]
        effect.present, effect.known_before = outcome.present, outcome.known_before
        if ex.first_visit:
            ex.first_visit = False
            self.count_entities()
        ex.known.noise = 0
        if ex.known.wants_variance:
            ex.known.noise = 0 if self.logistic else self.one_effect.scale()
            ex.known.variance = outcome.variance * self.one_effect.scale()
        ex.known.parts[0], ex.known.parts[1] = outcome.fixed, outcome.effect
        ex.score = outcome.score
        ex.prediction = self.loss.clip(ex.score) if isfinite(ex.score) else 0
        return ex.prediction

    # state and metrics

    def save_load(self, io):
        if io.saving and self.kept is not None and self.kept.n:
            raise ModelError(f"{self.kept.n} examples wait for the end of their pass: call end_pass() before save()")
        self.weight_sum = io.float64("weight_sum", self.weight_sum)
        self.weight_count = io.float64("weight_count", self.weight_count)
        self.leans.save_load(io, self.names)
        if not io.saving and self.run_options["refit"]:
            self.leans = Leans()      # which are of the entities that begin anew, too
            self.weight_sum = self.weight_count = 0
        if self.together.marginal is not None:
            io.owner = self.of_copy("random_effect_sums")     # the fields of an effect begin with random_effect.NAME
            self.together.marginal.save_load(io)

    def metrics(self):
        """Metrics: examples and entities of each effect, and the loss after the fit."""
        return self.counts_of_entities() | self.fitted
