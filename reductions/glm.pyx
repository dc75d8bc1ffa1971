"""glm: Bayesian linear and logistic regression.        SIMPLE -> SCALAR, bottom learner

Score s = o + sum_k t_k x_k, where o is the example's initial prediction. The coefficients t have a Gaussian posterior
with mean m and precision H. A batch of examples (one, N, or all) moves m to the minimum over t of

    sum_i w_i L(y_i, s_i) + d/2 (t - m)' H (t - m) + (1 - d) l/2 t't                L: log(1 + e^-ys) or (s - y)^2 / 2

and then H to  d H + X' diag(w L'') X + (1 - d) l I:  the posterior of the batches before is the prior of the next one,
with the weight d (--forget); the first prior, N(0, 1/l), has the weight 1 - d. With d = 1 and a diagonal H this is
Algorithm 3 of Chapelle and Li 2011; with forgetting, of Saha and others 2020, "Lambda Learner". The optimum of a batch
of one example lies on the line m + H^-1 x g, so it is the root of one equation in s.

A single example updates a logistic model by moment matching: to the mean and variance of s under the exact posterior
of this one example (assumed density filtering: Opper 1998, Minka 2001). --posterior_mode uses the mode instead, and the
curvature there (Laplace approximation), as in the equations above. That is inaccurate while the data are few, and the
error stays in the posterior: nominal 90% intervals then hold 81 to 88% instead of 88 to 91%. Larger batches use the
mode.

Squared loss is exact recursive least squares. Its noise variance v doesn't change m; the posterior is N(m, v H^-1), and
v, unless given, is the mean of (y - s)^2 / (1 + x' H^-1 x) (normal-inverse-gamma conjugacy).

--square and --logistic fit each batch, which by default is all of a pass, by itself (d = 0).
"""
import struct

from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from vwlite.bayes.batches cimport Batches
from vwlite.bayes.posterior cimport MOST_CORRELATED, data_of, prior_mean, ridge
from vwlite.core.example cimport CONSTANT_HASH, Example, Feature
from vwlite.core.joint cimport JointScores
from vwlite.core.reasons cimport FINE, POSTERIOR_FULL
from vwlite.entities.record cimport (
    ABSENT, MOST_FULL, UNCOUNTED, Record, hashes_of, lookup, means_of, name_of, precisions_of, triangle,
)
from vwlite.entities.table cimport EntityTable

from vwlite.core.losses import make_loss
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError
from vwlite.features.interactions import namespace_hash

cdef extern from "vwlite/core/newton.h" nogil:
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)

cdef enum:
    FULL_AT_MOST = 512                # coefficients of a full posterior before auto makes it diagonal
    BOUND = 2048                      # coefficients beyond which --posterior full refuses a line

LEAST_LINEAR = 1e-10                  # see posterior.pxd
LEAST_LOGISTIC = 0.1

KINDS = ("bayes_logistic", "bayes_linear", "logistic", "square")

OPTIONS = OptionGroup("glm: linear and logistic models with a posterior", (
    Option("bayes_logistic", bool, "Bayesian logistic regression, updated by each batch", necessary=True, keep=True,
           fixed=True, loss="logistic", task="personal"),
    Option("bayes_linear", bool, "Bayesian linear regression, updated by each batch", necessary=True, keep=True,
           fixed=True, loss="squared", task="personal"),
    Option("logistic", bool, "logistic regression, fitted to each batch by itself", necessary=True, keep=True,
           fixed=True, loss="logistic"),
    Option("square", bool, "linear regression, fitted to each batch by itself", necessary=True, keep=True,
           fixed=True, loss="squared"),
    Option("posterior", str, "what is stored of the posterior precision: all of it (full), its diagonal, all of it up "
           "to --posterior_full coefficients and then its diagonal (auto), or nothing (identity)",
           default="auto", keep=True, fixed=True, alike=("auto", "full"),
           choices=("auto", "full", "diagonal", "identity")),
    Option("posterior_full", int, "coefficients of one entity up to which its posterior is full; beyond, auto makes it "
           f"diagonal (default: {FULL_AT_MOST}), and full refuses the line (default: {BOUND:,})",
           least=MOST_CORRELATED, most=MOST_FULL, keep=True, metavar="N"),
    Option("batch_size", str, "examples of an entity that are learned together: a number, or 'all' of a pass (default: "
           "1; all for --square and --logistic)", keep=True, metavar="N|all",
           needs=tuple(f"{kind} & learning" for kind in KINDS)),
    Option("forget", float, "weight of the earlier posterior in each update by a batch; the rest decays to the prior. "
           "With --random_effect entities forget, and the fixed part does not",
           default=1.0, least=0, most=1, keep=True, needs=("bayes_logistic & learning", "bayes_linear & learning")),
    Option("forget_time", str, "forget per unit of time instead; a feature in this namespace has the time as its value",
           keep=True, fixed=True, metavar="NAMESPACE", needs=("forget",)),
    Option("posterior_mode", bool, "--bayes_logistic uses the mode of each single example's posterior and the "
           "curvature there, as Lambda Learner does, not its mean and variance: intervals are too narrow", keep=True,
           needs=("bayes_logistic & learning",)),
    Option("moments", bool, "the opposite of --posterior_mode, which is the default", keep=True,
           needs=("bayes_logistic & learning",)),
    Option("intercept_l2", float, "ridge of the intercept (default: as of the others); 1e-6 hardly shrinks it",
           above=0, keep=True),
    Option("noise", str, "variance of the noise under squared loss: a number, or 'auto' to estimate it", default="auto",
           keep=True, metavar="V|auto", needs=("bayes_linear", "square")),
), needs=KINDS, examples=(
    "vwlite ratings.vw --bayes_linear --columns prediction,sd -p predictions",
    "vwlite data.vw --bayes_logistic --l2 10 --posterior auto --posterior_full 64 --forget 0.999",
    "vwlite data.vw --logistic --l2 1",
    "vwlite ratings.vw --square --batch_size all --noise auto --intercept_l2 1e-6",
    "vwlite timed.vw --bayes_linear --forget 0.5 --forget_time t",
    "vwlite data.vw --bayes_logistic --posterior_mode",
    "vwlite data.vw --bayes_logistic --moments",
))

IN_WORDS = "a Bayesian model of the whole score"
POSTERIORS = KINDS                    # flags of learners with a posterior


def kind_of(options):
    """The one of the four flags that is given, or None; raises OptionError for two of them."""
    given = [kind for kind in KINDS if options[kind]]
    if len(given) > 1:
        raise OptionError([f"--{given[0]} and --{given[1]} are two bottom learners: give one of them"])
    return given[0] if given else None


def takes_moments(options):
    """Whether --bayes_logistic learns single examples by moment matching; the command line overrides the model."""
    typed = [name for name in ("moments", "posterior_mode")
             if options.given(name) and options.source(name) != "model"]
    if len(typed) > 1:
        raise OptionError(["--moments and --posterior_mode are opposites: give one of them"])
    if typed and options["batch_size"] not in (None, "1"):
        raise OptionError([f"--{typed[0]} applies to single examples: leave it or --batch_size out"])
    moments = typed == ["moments"] if typed else not options["posterior_mode"]
    for name in ("moments", "posterior_mode"):
        if name not in typed:
            options.set(name, moments == (name == "moments"), "model")
    return moments


def upgrade(kept, typed):
    """Options of a model of version 0.1.0: it used the mode unless --moments was given, and did not save that."""
    if kept.get("bayes_logistic") and not kept.get("moments"):
        return kept | {"posterior_mode": True}
    return kept


def namespaces_named(options):
    """Namespace of --forget_time: see unmatched.pyx."""
    if options["forget_time"]:
        yield "forget_time", options["forget_time"], None, "parsed", (options["forget_time"],)


def tell_mode(builder):
    """Log a remark if the intervals are too narrow."""
    options = builder.options
    if options["interval"] and options["posterior_mode"] and options["batch_size"] in (None, "1"):
        builder.note("models learned one example at a time by --posterior_mode have intervals that are too narrow")


def setup(builder):
    """The bottom learner of the stack, unless gd is the fixed part of random effects."""
    options = builder.options
    kind = kind_of(options)
    if kind is None or (options["random_effect"] and options["fixed"] != "same"):
        return None
    beside_effects = options["random_effect"] and options["posterior"] != "identity"
    l2 = options["l2"] if options.given("l2") else 0.0 if beside_effects else 1.0
    if options.given("l2") and not l2 > 0:
        raise OptionError([f"--l2 {l2:g}: the ridge of --{kind} is above 0; 1e-6 hardly shrinks coefficients"])
    tell_mode(builder)
    return GLM(options, kind, "glm", l2)


def effect(builder, name, l2):
    """The learner of a random effect, None if no kind is given; the ridge l2 is None if it is estimated."""
    options = builder.options
    kind = kind_of(options)
    if kind is None:
        return None
    tell_mode(builder)
    to_mean = options["shrink"] == "mean" and options["fixed"] != "same"  # otherwise the fixed part is the mean
    return GLM(options, kind, f"random_effect.{name}", l2, to_mean)


cdef class GLM(Batches):
    """Bayesian GLM: options, saved state, Python API. The updates are in vwlite/bayes/posterior.pyx and batches.pyx."""

    cdef readonly str name
    cdef str part                     # "glm", the learner of the whole stack, or "random_effect.user", of an effect
    cdef readonly bint vets           # --posterior full refuses lines with too many coefficients
    cdef readonly dict names          # names of some features by hash, as far as set
    cdef bint l2_given                # by this run, not by the model
    cdef public list covariance       # estimated prior covariance: by rows, in units of the noise; it may be singular

    def __init__(self, options, kind, owner, l2, to_mean=False):
        taken = {kind: True, "l2": "auto" if l2 is None else l2}
        taken |= {option.name: options[option.name] for option in OPTIONS.options
                  if option.name not in KINDS and options.given(option.name)}
        super().__init__(None, taken)
        self.name = kind
        self.names = {CONSTANT_HASH: "intercept"}
        self.part = owner
        self.loss = make_loss(options, options["testonly"])
        self.logistic = kind in ("logistic", "bayes_logistic")
        bayesian = kind in ("bayes_logistic", "bayes_linear")
        if not bayesian and options.given("forget"):
            raise OptionError([f"--{kind} fits each batch by itself, so --forget has no effect: "
                               f"give --bayes_{'logistic' if self.logistic else 'linear'}"])
        if options["forget_time"] is not None and not options.given("forget"):
            raise OptionError(["--forget_time needs --forget D, the weight of the posterior after one unit of time"])
        self.forget = options["forget"] if bayesian else 0
        self.moments = kind == "bayes_logistic" and takes_moments(options)
        self.full = options["posterior"] in ("auto", "full")
        self.identity = options["posterior"] == "identity"
        if not self.full and options.source("posterior_full") not in ("model", "default"):
            raise OptionError([f"--posterior_full has no effect with --posterior {options['posterior']}: leave one of "
                               "them out"])
        self.estimates_prior = l2 is None
        self.table_of_scales = EntityTable(False, False)
        self.stale_ratio = 1
        self.l2 = self.first_l2 = 1 if l2 is None else l2
        option = "l2" if owner == "glm" else "effect_l2"
        self.l2_given = l2 is not None and options.source(option) in ("command line", "config file")
        self.least = LEAST_LOGISTIC if self.logistic else LEAST_LINEAR
        self.intercept_l2 = options["intercept_l2"] or 0
        self.batch_size = batch_size(options, 1 if bayesian else 0)
        self.set_noise(options)
        self.timed = options["forget_time"] is not None
        if self.timed:
            self.time_namespace = namespace_hash(options, options["forget_time"])
        self.table = EntityTable(self.full, self.forget < 1)
        self.table.informed = self.full
        if owner == "glm" and options["random_effect"]:
            # The fixed part learns from an example only what the entity's prior leaves of its information. That adds
            # up over all of time: if the fixed part forgot, nothing would hold it, and entities would depend on a
            # mean that diverges.
            self.forget = min(bayesian, 1)
        self.table.strict = self.vets = options["posterior"] == "full"
        self.table.most_full = options["posterior_full"] or (BOUND if self.table.strict else FULL_AT_MOST)
        if to_mean:
            self.shrink_to_mean()

    @property
    def owner(self):
        """See Learner."""
        return self.of_copy(self.part)

    def shrink_to_mean(self):
        """Shrink entities without data to the mean of all entities from now on."""
        self.table_of_means = EntityTable(False, False)
        self.center = self.table_of_means.make(0, NULL, 0, 2)

    def set_noise(self, options):
        """Set the noise variance by --noise: a number, or auto."""
        text = options["noise"]
        self.noise = 1
        self.estimates_noise = text == "auto" and not self.logistic
        if text != "auto":
            try:
                self.noise = float(text)
            except ValueError:
                self.noise = 0
            if not (isfinite(self.noise) and self.noise > 0):
                raise OptionError([f"--noise {text}: expected a variance above 0, or auto"])
            if self.logistic:
                raise OptionError(["--noise needs squared loss; a logistic model has no noise"])

    @property
    def waits_for_pass(self):
        """True if a batch is all of a pass."""
        return self.batch_size == 0

    instead = "--bayes_logistic or --bayes_linear, or another --batch_size"

    @property
    def has_noise(self):
        """False for logistic models, whose labels are one of two classes."""
        return not self.logistic

    @property
    def effect(self):
        """Name of the random effect, or None."""
        return self.part.partition(".")[2] or None

    @property
    def sets_aside(self):
        """Namespaces whose features are not used as features."""
        return [self.options["forget_time"]] if self.timed else []

    cdef int vet(self, Example ex) except -1 nogil:
        if self.table.strict and ex.labelled and self.is_beyond(ex):
            ex.problem_at = ex.text
            return POSTERIOR_FULL
        return FINE

    cdef bint is_beyond(self, Example ex) except -1 nogil:
        """Whether the example has too many new features for a full posterior."""
        cdef Record* record
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        if record != NULL and not record.full:
            return False
        return (record.n if record != NULL else 0) + self.new_to(record, ex.features, ex.n) > self.table.most_full

    def settings(self):
        """Lines of the header."""
        size = self.batch_size or "all of a pass"
        known = f"{self.l2:g}"
        if self.estimates_prior:
            known = f"auto, {known} by now" if self.spread_count else "auto"
        return [f"{self.owner}: {self.name}, ridge = {known}, posterior = {self.options.get('posterior', 'auto')}, "
                f"forget = {self.forget:g}, batch = {size}"]

    def tell_diagonal(self, name):
        """Log a remark that a posterior has become diagonal."""
        self.remark(f"{self.owner}: {f'{name!r} has' if name else 'there are'} more than {self.table.most_full:,} "
                    "coefficients, so the posterior is diagonal from here on, without their covariances "
                    "(--posterior_full N sets how many may have a full one)")

    def tell_size(self, coefficients):
        """Log a remark that the posteriors are large."""
        self.remark(f"{self.owner}: full posteriors are about to take more than 1 GB of memory; --posterior diagonal "
                    f"would take about {max(1, round(coefficients * 24e-6)):,} MB, and a smaller --posterior_full less "
                    "than now")

    def save_load(self, io):
        from vwlite.entities.limited import save_load_table
        if self.part == "glm":        # otherwise the bottom learner saves the range of predictions
            self.loss.save_load(io)
        l2 = io.float64("l2", self.l2)
        if not io.saving and not 0 <= l2 < INFINITY:
            io.refuse("its ridge is not a number of 0 or more")
        if not self.l2_given:
            self.l2 = l2
        self.spread_sum = io.float64("spread_sum", self.spread_sum)
        self.spread_count = io.float64("spread_count", self.spread_count)
        self.dof_sum = io.float64("dof_sum", self.dof_sum) if io.saving or io.has("dof_sum") else UNCOUNTED
        self.save_load_prior(io)
        self.noise_sum = io.float64("noise_sum", self.noise_sum)
        self.noise_count = io.float64("noise_count", self.noise_count)
        save_load_table(self.table, io)
        if not self.is_sound():
            io.refuse("it has precisions below 0")
        if not io.saving:
            self.refactor_all()
        if io.saving or io.has("scaled"):
            self.scaled = io.int64("scaled", self.scaled)
        io.owner = f"{self.owner}.scale"
        if self.scales != NULL or (not io.saving and io.has("key")):
            save_load_table(self.table_of_scales, io)
            self.squares, self.scales = self.table_of_scales.find(0), self.table_of_scales.find(1)
            if not self.has_scales():
                io.refuse("the scales of its features are inconsistent")
        io.owner = f"{self.owner}.mean"
        if self.center == NULL and not io.saving and io.has("key"):
            self.shrink_to_mean()     # with a fixed part of the same kind, as version 0.1.0 did
        if self.center != NULL:
            save_load_table(self.table_of_means, io)
            self.center = self.table_of_means.find(0)
            if self.center == NULL:
                io.refuse("the mean of its effects is missing")
        io.owner = self.owner
        if not io.saving:
            self.version += 1

    cdef bint has_scales(self) noexcept nogil:
        """Whether every feature has a scale, and all are above 0."""
        cdef size_t k
        if self.squares == NULL or self.scales == NULL or self.squares.n != self.scales.n:
            return False
        for k in range(self.scales.n):
            if not (hashes_of(self.squares)[k] == hashes_of(self.scales)[k] and means_of(self.scales)[k] > 0
                    and precisions_of(self.squares)[k] >= 1):
                return False
        return True

    cdef bint is_sound(self) noexcept nogil:
        """Whether the prior precisions and the precisions from the data are valid: not negative."""
        cdef Record* record = self.table.oldest
        cdef size_t k
        while record != NULL:
            if not (record.prior > 0 or (record.prior == 0 and self.l2 == 0)):
                return False
            for k in range(record.n if not self.identity else 0):
                if data_of(self, record, k) < 0:
                    return False
            record = record.newer
        return True

    cdef void refactor_all(self) noexcept nogil:
        """Compute the Cholesky factors that models of the first version lack, except very large ones (when needed)."""
        cdef Record* record = self.table.oldest
        while record != NULL:
            if (record.factored and not self.is_factored(record) and record.prior == self.l2
                    and record.n <= <uint32_t>BOUND):
                self.refactor(record)
            record = record.newer

    def save_load_prior(self, io):
        """Save or load the coefficients that share an estimated prior, and its precision by rows."""
        cdef size_t i, j, d = self.n_prior
        rows = b"".join([struct.pack("<d", self.prior[i * MOST_CORRELATED + j]) for i in range(d) for j in range(d)])
        hashes = io.array("prior_hash", "U32", b"".join([struct.pack("<I", self.prior_hashes[i]) for i in range(d)]))
        precision = io.array("prior_precision", "F64", rows)
        if io.saving:
            if self.covariance:
                io.array("prior_covariance", "F64", struct.pack(f"<{d * d}d", *self.covariance))
            return
        d = len(hashes)
        if d > MOST_CORRELATED or len(precision) != d * d or not all(isfinite(one) for one in precision):
            io.refuse("its prior is inconsistent")
        self.n_prior = d
        for i in range(d):
            self.prior_hashes[i] = hashes[i]
            for j in range(d):
                self.prior[i * MOST_CORRELATED + j] = precision[i * d + j]
        if io.has("prior_covariance"):
            self.covariance = list(io.array("prior_covariance", "F64", None))
            if (len(self.covariance) != d * d or not all(isfinite(one) for one in self.covariance)
                    or min(self.covariance[::d + 1], default=0) < 0):
                io.refuse("its prior is inconsistent")

    def prior_covariance(self):
        """Estimated prior covariance: (hashes, its rows) of the coefficients estimated together; None otherwise."""
        if not self.n_prior:          # no numpy needed
            return None
        import numpy as np

        from vwlite.bayes.moments import inverses
        d = self.n_prior
        if self.covariance:
            covariance = np.array(self.covariance).reshape(d, d)
        else:
            precision = [self.prior[i * MOST_CORRELATED + j] for i in range(d) for j in range(d)]
            with np.errstate(over="ignore", invalid="ignore"):
                covariance = inverses(np.array(precision).reshape(d, d))
        return [self.prior_hashes[i] for i in range(d)], (self.scale() * covariance).tolist()

    def prior_moments(self):
        """Prior of a new entity: hash -> (mean, standard deviation); the key None stands for all other hashes."""
        cdef size_t k, n = 0 if self.center == NULL else self.center.n
        own = [CONSTANT_HASH, *[hashes_of(self.center)[k] for k in range(min(n, <size_t>MOST_CORRELATED))]]
        found = {hash: (prior_mean(self, hash), self.prior_sd(ridge(self, hash))) for hash in own}
        hashes, covariance = self.prior_covariance() or ([], [])
        found |= {hash: (prior_mean(self, hash), sqrt(covariance[i][i])) for i, hash in enumerate(hashes)}
        return found | {None: (0.0, self.prior_sd(self.l2))}

    cdef double prior_sd(self, double precision) noexcept:
        return sqrt(self.scale() / precision) if precision > 0 else INFINITY

    @property
    def noise_variance(self):
        """Noise variance under squared loss; None for logistic models."""
        return None if self.logistic else self.scale()

    def metrics(self):
        """Estimated parameters: standard deviations, correlations and noise."""
        figures = {}
        if self.fit_weight > 0:
            figures["loss after the fit"] = self.fit_loss / self.fit_weight
        if self.estimates_prior and self.n_prior:
            hashes, covariance = self.prior_covariance()
            names = [self.names.get(hash, f"feature {hash}") for hash in hashes]
            for i, name in enumerate(names):
                figures[f"{self.owner} sd of {name}"] = sqrt(covariance[i][i])
                for j in range(i):
                    if covariance[i][i] * covariance[j][j] > 0:
                        figures[f"{self.owner} correlation of {names[j]} and {name}"] = (
                            covariance[i][j] / sqrt(covariance[i][i] * covariance[j][j]))
        elif self.estimates_prior:
            figures[f"{self.owner} sd"] = sqrt(self.scale() / self.l2)
        if self.estimates_noise and self.noise_count >= 2:
            figures[f"{self.owner} noise"] = self.scale()
        if self.table.limited:
            figures[f"{self.owner} entities in memory"] = self.table.count
            figures[f"{self.owner} entities on disk only"] = self.table.total - self.table.count
        return figures

    def coefficients(self, unsigned long long key=0):
        """Posterior of an entity's coefficients: hash -> (mean, variance); None if the entity is unknown.

        The variances are those of the posterior: the diagonal of the inverse of its precision.
        """
        cdef Record* record
        self.table.bring(key)
        record = self.table.find(key)
        return None if record == NULL else self.coefficients_of(record)

    def entities(self):
        """(name, number of examples learned, coefficients()) of each entity, in the order of a model file."""
        if not self.table.limited:
            yield from self.entities_of(self.table)
            return
        for table in self.table.one_by_one():
            yield from self.entities_of(table)

    def n_entities(self):
        """The number of entities, in memory and on disk."""
        return self.table.total if self.table.limited else self.table.count

    def entities_of(self, EntityTable table):
        """The same as entities(), for the entities in memory of a table."""
        cdef Record* record = table.oldest
        while record != NULL:
            name = (<bytes>name_of(record)[:record.name_length]).decode("utf-8", "surrogateescape")
            yield name, record.count, self.coefficients_of(record)
            record = record.newer

    cdef dict coefficients_of(self, Record* record):
        cdef size_t d, k
        cdef double* v
        d = record.n
        found = {}
        self.reserve(5 * d + triangle(d))
        v = self.work
        if record.full:
            self.factor(record, v + d)
        self.follow(record, v + 2 * d + triangle(d), v + d)
        for k in range(d):
            if record.full:
                variance = self.unit_variance(k, d, v)
            else:
                variance = 1 / max(data_of(self, record, k) + ridge(self, hashes_of(record)[k]), 1e-300)
            found[hashes_of(record)[k]] = (means_of(record)[k] - v[2 * d + triangle(d) + k], variance * self.scale())
        return found

    def joint(self, rows, unsigned long long key=0):
        """Joint posterior (means, covariance) of scores of lists of (hash, value), for the entity `key`; for tests."""
        cdef Example ex = Example()
        cdef JointScores scores = JointScores()
        cdef size_t longest = max(map(len, rows))
        cdef Feature* room = <Feature*>malloc((longest + 1) * sizeof(Feature))
        if room == NULL:
            raise MemoryError
        try:
            for features in rows:
                for k, (hash, value) in enumerate(features):
                    room[k].hash, room[k].value = hash, value
                ex.features, ex.n, ex.entity = room, len(features), key
                self.predict(ex)
                scores.begin(ex.score)
                self.uncertainty(ex, scores)
        finally:
            free(room)
        return scores.moments()

    def slot_of(self, unsigned int hash, unsigned int offset=0):
        """Slot of a feature, for an audit: its hash, as coefficients have no collisions."""
        return hash

    def weight_at(self, unsigned int hash, unsigned int offset=0):
        """(mean, precision from the data, 0) of a coefficient of the bottom learner, for audits."""
        cdef Record* record = self.table.find(0)
        cdef uint32_t place = ABSENT if record == NULL else lookup(record, hash, 0)
        if place == ABSENT:
            return 0.0, 0.0, 0.0
        return means_of(record)[place], data_of(self, record, place), 0.0


def batch_size(options, usual):
    """Batch size: --batch_size as a number, 0 for 'all'."""
    text = options["batch_size"]
    if text is None:
        return usual
    if text == "all":
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise OptionError([f"--batch_size {text}: expected a number of examples, or all"])
    return int(text)
