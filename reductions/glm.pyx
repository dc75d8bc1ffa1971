"""glm: linear and logistic models that know how sure they are.        SIMPLE -> SCALAR, bottom learner

Score s = o + sum_k t_k x_k, where o is the example's initial prediction. A batch of examples (one, N, or all) moves the
coefficients from the mean m to the minimum over t of

    sum_i w_i L(y_i, s_i) + d/2 (t - m)' H (t - m) + (1 - d) l/2 t't                L: log(1 + e^-ys) or (s - y)^2 / 2

and then the precision H to  d H + X' diag(w L'') X + (1 - d) l I:  the posterior of the batches before is the prior of
the next one, d of it (--forget), the rest being the first prior, N(0, 1/l). With d = 1 and a diagonal H this is
Algorithm 3 of Chapelle and Li 2011; with forgetting, of Saha and others 2020, "Lambda Learner". A batch of one example
needs no search in many dimensions: its optimum lies on the line m + H^-1 x g, so one equation in s is left.

The mode of a single example's posterior, and the curvature there, is a poor picture of it while little is known, and
the error stays in the posterior: nominal 90% intervals hold about 86%. --moments takes mean and variance of s under the
exact posterior of the one example instead (assumed density filtering: Opper 1998, Minka 2001): about 90%, and
coefficients up to a fifth nearer to the truth. Larger batches hardly need it.

Squared loss is exact recursive least squares. Its noise v doesn't move the coefficients; the posterior is N(m, v H^-1),
and v, unless given, is the mean of (y - s)^2 / (1 + x' H^-1 x) (normal-inverse-gamma conjugacy).

--square and --logistic fit each batch, which by default is all of a pass, by itself (d = 0).
"""
import struct

from libc.float cimport FLT_MAX
from libc.math cimport fabs, isfinite, pow, sqrt
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from vwlite.entities cimport (
    ABSENT, EntityTable, Record, Waiting, clocks_of, hashes_of, lookup, means_of, name_of, precisions_of,
)
from vwlite.example cimport CONSTANT_HASH, Example, Feature, extent_end
from vwlite.learner cimport Learner
from vwlite.parser cimport FINE, LABEL_BINARY
from vwlite.random cimport mix, normal

from vwlite.errors import OptionError
from vwlite.interactions import namespace_hash
from vwlite.losses import make_loss
from vwlite.options import Option, OptionGroup

OPTIONS = OptionGroup("glm: linear and logistic models with a posterior", (
    Option("bayes_logistic", bool, "logistic model, updated by each batch", necessary=True, keep=True, fixed=True),
    Option("bayes_linear", bool, "linear model, updated by each batch", necessary=True, keep=True, fixed=True),
    Option("logistic", bool, "logistic model, fitted to each batch by itself", necessary=True, keep=True, fixed=True),
    Option("square", bool, "linear model, fitted to each batch by itself", necessary=True, keep=True, fixed=True),
    Option("posterior", str, "what is kept of the precision of the coefficients", default="full", keep=True, fixed=True,
           choices=("full", "diagonal", "identity")),
    Option("batch_size", str, "examples of an entity that are learnt together: a number, or 'all' of a pass (default: 1; "
           "all for --square and --logistic)", keep=True, metavar="N|all"),
    Option("forget", float, "share of what is known that each batch leaves in force; the rest decays to the prior",
           default=1.0, least=0, most=1, keep=True),
    Option("forget_time", str, "forget per unit of time instead, as told by the value of the feature in this namespace",
           keep=True, fixed=True, metavar="NAMESPACE"),
    Option("moments", bool, "--bayes_logistic takes mean and variance of the posterior of each example instead of its mode "
           "and the curvature there: intervals as wide as they should be, and smaller errors", keep=True),
    Option("intercept_l2", float, "ridge of the intercept (default: as the others); 1e-6 leaves it nearly free", above=0,
           keep=True),
    Option("noise", str, "variance of the noise under squared loss: a number, or 'auto' to estimate it", default="auto",
           keep=True, metavar="V|auto"),
))

KINDS = ("bayes_logistic", "bayes_linear", "logistic", "square")

cdef enum:
    MOST_CORRELATED = 16              # coefficients whose covariance is estimated
    SMALL = 64                        # coefficients up to which problems are solved here, larger ones by SciPy

cdef double BEYOND = 1e100            # scores and coefficients that numbers of float32 only lead to by rounding

cdef extern from "newton.h" nogil:
    ctypedef struct vwl_batch:
        size_t n, d
        const double* x
        const double* y
        const double* w
        const double* o
        int logistic
        const double* a
        const double* m
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)
    double vwl_sigmoid(double t)
    double vwl_logistic_step(double s, double z, double y, double w)
    void vwl_logistic_moments(double s, double z, double y, double w, double* mean, double* variance)
    double vwl_objective(const vwl_batch* p, const double* t, double* gradient, double* curvature, double* delta)
    double vwl_minimise(const vwl_batch* p, double* t, double* curvature, double* work)


def kind_of(options):
    """The one of the four that is asked for, or None; raises OptionError for two of them."""
    given = [kind for kind in KINDS if options[kind]]
    if len(given) > 1:
        raise OptionError([f"--{given[0]} and --{given[1]} are two bottom learners: give one of them"])
    return given[0] if given else None


def setup(options, base):
    """The learner of the whole stack, unless random effects leave that to gd."""
    kind = kind_of(options)
    if kind is None or (options["random_effect"] and options["fixed"] != "same"):
        return None
    l2 = options["l2"] if options.given("l2") else 1.0
    if not l2 > 0:
        raise OptionError([f"--l2 {l2:g}: the ridge of --{kind} is above 0; 1e-6 leaves coefficients nearly free"])
    return GLM(options, kind, "glm", l2)


cdef class GLM(Learner):
    """Coefficients with a Gaussian posterior, of the whole stack or of each entity (`ex.entity`)."""

    base_label = None
    base_prediction = None
    vets = True
    has_posterior = True

    cdef readonly str name, owner
    cdef readonly dict names          # of some features, by hash, if somebody tells
    cdef readonly EntityTable table
    cdef EntityTable table_of_means   # where entities are shrunk to their mean: sum and number, in one record
    cdef Record* center
    cdef bint center_fixed            # while all entities are fitted anew
    cdef EntityTable marked           # what sweeps return to
    cdef object marked_noise
    cdef bint at_once                 # all examples that come are one batch
    cdef double left                  # of an identity, in the prior of the batch at hand
    cdef bint given_range, moments, logistic, full, identity, estimates_noise, timed
    cdef readonly size_t batch_size   # 0: all of a pass
    cdef public double l2
    cdef bint l2_given                # for this run, not by the model
    cdef readonly bint estimates_prior
    cdef double first_l2, spread_sum, spread_count
    cdef size_t n_prior               # a prior of its own for each of these coefficients, and their covariance
    cdef uint32_t[MOST_CORRELATED] prior_hashes
    cdef double[MOST_CORRELATED * MOST_CORRELATED] prior
    cdef double intercept_l2, forget, noise
    cdef uint32_t time_namespace
    # state
    cdef public double noise_sum, noise_count
    # room for an update
    cdef double* work
    cdef size_t work_size
    cdef uint32_t* places             # of the features gathered
    cdef uint32_t* hashes             # and their hashes
    cdef uint32_t* touched            # of each coefficient: which of those gathered it is, + 1
    cdef size_t gathered_size, touched_size
    cdef double* drawn                # coefficients of the last draw from a full posterior
    cdef size_t drawn_size
    cdef uint64_t drawn_key
    cdef Record* drawn_record
    cdef uint64_t drawn_version, version

    def __init__(self, options, kind, owner, l2, to_mean=False):
        taken = {kind: True, "l2": "auto" if l2 is None else l2}
        taken |= {option.name: options[option.name] for option in OPTIONS.options
                  if option.name not in KINDS and options.given(option.name)}
        super().__init__(None, taken)
        self.name = kind
        self.names = {CONSTANT_HASH: "intercept"}
        self.owner = owner
        self.loss = make_loss(options, options["testonly"])
        self.given_range = options.given("min_prediction") or options.given("max_prediction")
        self.logistic = kind in ("logistic", "bayes_logistic")
        bayesian = kind in ("bayes_logistic", "bayes_linear")
        if not bayesian and options.given("forget"):
            raise OptionError([f"--{kind} fits each batch by itself, so there is nothing to --forget: "
                               f"give --bayes_{'logistic' if self.logistic else 'linear'}"])
        if options["forget_time"] is not None and not options.given("forget"):
            raise OptionError(["--forget_time needs --forget D: how much is left after one unit of time"])
        self.forget = options["forget"] if bayesian else 0
        self.moments = options["moments"]
        if self.moments and (kind != "bayes_logistic" or options["batch_size"] not in (None, "1")):
            raise OptionError(["--moments is about single examples of --bayes_logistic"])
        self.full = options["posterior"] == "full"
        self.identity = options["posterior"] == "identity"
        self.estimates_prior = l2 is None
        self.l2 = self.first_l2 = 1 if l2 is None else l2
        ridge = "l2" if owner == "glm" else "effect_l2"
        self.l2_given = l2 is not None and options.source(ridge) in ("command line", "config file")
        self.intercept_l2 = options["intercept_l2"] or 0
        self.batch_size = batch_size(options, 1 if bayesian else 0)
        self.set_noise(options)
        self.timed = options["forget_time"] is not None
        if self.timed:
            self.time_namespace = namespace_hash(options, options["forget_time"])
        self.table = EntityTable(self.full, self.forget < 1)
        if to_mean:
            self.table_of_means = EntityTable(False, False)
            self.center = self.table_of_means.make(0, NULL, 0, 2)

    def __dealloc__(self):
        free(self.work)
        free(self.places)
        free(self.hashes)
        free(self.touched)
        free(self.drawn)

    def set_noise(self, options):
        """--noise: a number, or auto."""
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
                raise OptionError(["--noise is of squared loss; a logistic model has none"])

    @property
    def sets_aside(self):
        """Namespaces whose features are no features."""
        return [self.options["forget_time"]] if self.timed else []

    cdef inline double ridge(self, uint32_t hash) noexcept nogil:
        """The prior's precision of a coefficient."""
        cdef size_t i
        for i in range(self.n_prior):
            if self.prior_hashes[i] == hash:
                return self.prior[i * MOST_CORRELATED + i]
        return self.intercept_l2 if self.intercept_l2 > 0 and hash == CONSTANT_HASH else self.l2

    cdef inline double scale(self) noexcept nogil:
        """The variance of the noise, by which precisions are to be divided."""
        if self.estimates_noise and self.noise_count >= 2 and self.noise_sum > 0:
            return self.noise_sum / self.noise_count
        return self.noise

    cdef inline double prior_mean(self, uint32_t hash) noexcept nogil:
        cdef uint32_t place
        if self.center == NULL:
            return 0
        place = lookup(self.center, hash, 0)
        return means_of(self.center)[place] / precisions_of(self.center)[place] if place != ABSENT else 0

    cdef double experience(self, Example ex) except? -1 nogil:
        cdef Record* record
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        return record.count + record.n_waiting if record != NULL else 0

    # prediction

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef Record* record
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef double score = ex.initial, mean
        cdef uint32_t place = ABSENT
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        if ex.draw:
            score += self.drawn_score(ex, record)
        elif record != NULL or self.center != NULL:
            while feature < end:
                place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
                if place == ABSENT:
                    score += self.prior_mean(feature.hash) * feature.value
                else:
                    mean = means_of(record)[place]
                    if self.table.clocked and clocks_of(record)[place] != record.clock:
                        mean = self.decayed(record, place, NULL)
                    score += mean * feature.value
                feature += 1
        if ex.wants_variance:
            ex.variance = self.variance(ex, record) * self.scale()
        ex.score = <float>score
        ex.prediction = self.loss.clip(ex.score) if isfinite(ex.score) else 0
        return ex.prediction

    cdef double decayed(self, Record* record, uint32_t place, double* precision) noexcept nogil:
        """A diagonal coefficient's mean as it is by now, and what data still say about its precision."""
        cdef double before = precisions_of(record)[place], mean = means_of(record)[place]
        cdef double l2 = self.ridge(hashes_of(record)[place])
        cdef double elapsed = record.clock - clocks_of(record)[place] if self.table.clocked else 0
        cdef double share = pow(self.forget, elapsed), center
        if self.identity:             # each batch forgets a share of I, and ends with I
            center = self.prior_mean(hashes_of(record)[place])
            return center + pow(self.forget / (self.forget + (1 - self.forget) * l2), elapsed) * (mean - center)
        if precision != NULL:
            precision[0] = share * before
        mean = share * (before + self.ridge_before(record, place)) * mean
        if self.center != NULL:
            mean += (l2 - share * self.ridge_before(record, place)) * self.prior_mean(hashes_of(record)[place])
        return mean / (share * before + l2)

    cdef double variance(self, Example ex, Record* record) except? -1 nogil:
        """x' H^-1 x."""
        cdef size_t k, n = self.gather(ex.features, ex.n, record)
        cdef double* x = self.work
        cdef double total = 0, precision
        cdef uint32_t place
        for k in range(n):
            place = self.places[k]
            if place == ABSENT:
                total += x[k] * x[k] / self.ridge(self.hashes[k])
            elif not self.full:
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    self.decayed(record, place, &precision)
                total += x[k] * x[k] / (precision + self.ridge(hashes_of(record)[place]))
        if self.full and record != NULL and record.n:
            total += self.full_variance(record, n)
        return total

    cdef double full_variance(self, Record* record, size_t n) except? -1 nogil:
        """Of the features that the record knows."""
        cdef size_t d = record.n, k
        cdef double* v
        self.reserve(n + d + d * (d + 1) // 2)
        v = self.work + n
        for k in range(d):
            v[k] = 0
        for k in range(n):
            if self.places[k] != ABSENT:
                v[self.places[k]] = self.work[k]
        self.factor(record, 1, v + d)
        vwl_forward(v + d, d, v)
        return vwl_dot_product(v, v, d)

    cdef int factor(self, Record* record, double share, double* into) noexcept nogil:
        """The Cholesky factor of share of what data say, plus the prior."""
        self.precision(record, share, into)
        vwl_cholesky(into, record.n)
        return 0

    cdef void precision(self, Record* record, double share, double* into) noexcept nogil:
        cdef size_t d = record.n, k
        cdef const double* data = precisions_of(record)
        for k in range(d * (d + 1) // 2):
            into[k] = share * data[k]
        for k in range(d):
            into[k * (k + 1) // 2 + k] += self.ridge(hashes_of(record)[k])
        if self.n_prior > 1:
            self.add_prior_covariance(record, into)

    cdef void add_prior_covariance(self, Record* record, double* into) noexcept nogil:
        """What the prior's precision has off its diagonal."""
        cdef size_t i, j
        cdef uint32_t a, b
        for i in range(self.n_prior):
            a = lookup(record, self.prior_hashes[i], 0)
            for j in range(i):
                b = lookup(record, self.prior_hashes[j], 0)
                if a != ABSENT and b != ABSENT:
                    into[<size_t>max(a, b) * (max(a, b) + 1) // 2 + min(a, b)] += self.prior[i * MOST_CORRELATED + j]

    cdef double drawn_score(self, Example ex, Record* record) except? -1e10 nogil:
        """The example's features times coefficients drawn from the posterior: functions of ex.draw, entity and hash."""
        cdef uint64_t key = mix(ex.draw ^ ex.entity, 0)
        cdef double scale = ex.draw_scale * sqrt(self.scale()), total = 0, mean, precision
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef uint32_t place = ABSENT
        if self.full and record != NULL and not (key == self.drawn_key and record == self.drawn_record
                                                 and self.version == self.drawn_version):
            self.draw(record, key)
        while feature < end:
            place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
            if place == ABSENT:
                total += feature.value * (self.prior_mean(feature.hash)
                                          + scale * normal(key, feature.hash) / sqrt(self.ridge(feature.hash)))
            elif self.full:
                total += feature.value * (means_of(record)[place] + scale * self.drawn[place])
            else:
                mean = means_of(record)[place]
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    mean = self.decayed(record, place, &precision)
                precision += self.ridge(feature.hash)
                total += feature.value * (mean + scale * normal(key, feature.hash) / sqrt(precision))
            feature += 1
        return total

    cdef int draw(self, Record* record, uint64_t key) except -1 nogil:
        """self.drawn from N(0, H^-1): L'^-1 z, where H = L L'."""
        cdef size_t d = record.n, k
        cdef void* room
        if d > self.drawn_size:
            room = realloc(self.drawn, d * sizeof(double))
            if room == NULL:
                with gil:
                    raise MemoryError
            self.drawn = <double*>room
            self.drawn_size = d
        self.reserve(d * (d + 1) // 2)
        self.factor(record, 1, self.work)
        for k in range(d):
            self.drawn[k] = normal(key, hashes_of(record)[k])
        vwl_backward(self.work, d, self.drawn)
        self.drawn_key, self.drawn_record, self.drawn_version = key, record, self.version
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        if self.table.limited:
            self.table.bring(ex.entity)
        return <float>self.variance(ex, self.table.find(ex.entity))

    cdef int vet(self, Example ex) except -1 nogil:
        if self.logistic and ex.labelled and ex.label != 1 and ex.label != -1 and ex.label != 0:
            return LABEL_BINARY
        return FINE

    # learning

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef Record* record
        if not (ex.labelled and 0 < ex.weight <= FLT_MAX and isfinite(ex.initial)):
            return ex.prediction
        ex.loss = self.loss.loss(ex.prediction, ex.label)
        self.meet(ex)
        record = self.table.find(ex.entity)
        record.changed = True
        if self.batch_size == 1 and not record.n_waiting and not self.at_once:
            self.step(record, ex)
        else:
            self.table.wait(record, ex)
            # more than a batch may wait where the model was made with larger ones
            if 0 < self.batch_size <= record.n_waiting and not self.at_once:
                self.solve(record, self.time_of(ex, record.clock + (not self.timed)))
        return ex.prediction

    cdef int meet(self, Example ex) except -1 nogil:
        cdef Record* record
        if self.table.limited:
            self.table.bring(ex.entity)
        if self.table.find(ex.entity) == NULL:
            record = self.table.make(ex.entity, ex.entity_name, ex.entity_name_length, <uint32_t>ex.n)
            record.prior = self.l2
            record.clock = self.time_of(ex, 0)
        return 0

    cdef double time_of(self, Example ex, double otherwise) noexcept nogil:
        """The value of the example's timestamp; never before the record's clock."""
        cdef size_t i
        if self.timed:
            for i in range(ex.n_extents):
                if ex.extents[i].hash == self.time_namespace and ex.extents[i].begin < extent_end(ex, i):
                    return max(otherwise, <double>ex.linear[ex.extents[i].begin].value)
        return otherwise

    cdef int step(self, Record* record, Example ex) except -1 nogil:
        """A batch of one example."""
        cdef size_t n, d, k
        cdef double* x
        cdef double* u
        cdef double* mean
        cdef double y, w = ex.weight, s, z = 0, g, c, q, t, v, now
        cdef uint32_t place
        record = self.admit(record, ex.features, ex.n)
        now = self.time_of(ex, record.clock + (not self.timed))
        if self.full:
            self.pass_time(record, now, 0)
        n = self.gather(ex.features, ex.n, record)
        if not self.full:
            self.pass_time(record, now, n)
        d = record.n
        self.reserve(n + (d + d * (d + 1) // 2 if self.full else n))
        x = self.work
        u = x + n                     # H^-1 x
        mean = means_of(record)
        s = ex.initial
        for k in range(n):
            s += mean[self.places[k]] * x[k]
        if self.full:
            for k in range(d):
                u[k] = 0
            for k in range(n):
                u[self.places[k]] = x[k]
            self.solve_for(record, u, u + d)
            for k in range(n):
                z += x[k] * u[self.places[k]]
        else:
            for k in range(n):
                place = self.places[k]
                u[k] = x[k] / (self.left * precisions_of(record)[place] + self.ridge(hashes_of(record)[place]))
                z += x[k] * u[k]
        if not (0 < z * w and isfinite(z * w) and fabs(s) < BEYOND):
            return 0                  # nothing to learn from, or beyond double precision
        if self.logistic:
            y = 1 if ex.label > 0 else -1
            if self.moments:
                vwl_logistic_moments(s, z, y, w, &t, &v)
                c = max(1 / v - 1 / z, 0)
                g = (t - s) / z
            else:
                t = vwl_logistic_step(s, z, y, w)
                q = vwl_sigmoid(t)
                c = w * q * (1 - q)
                g = w * y * vwl_sigmoid(-y * t)
        else:
            y = ex.label
            c = w
            g = w * (y - s) / (1 + z * w)
        if not (isfinite(c) and fabs(g) < BEYOND):
            return 0
        if not self.logistic:
            self.noise_sum += w * (y - s) * (y - s) / (1 + z * w)
            self.noise_count += 1
        if self.full:
            for k in range(d):
                mean[k] += u[k] * g
                if self.center != NULL:
                    self.move_center(hashes_of(record)[k], u[k] * g, 0)
        else:
            for k in range(n):
                mean[self.places[k]] += u[k] * g
                if self.center != NULL:
                    self.move_center(self.hashes[k], u[k] * g, 0)
        self.add_curvature(record, n, c)
        self.learnt(record, 1)
        return 0

    cdef void add_curvature(self, Record* record, size_t n, double c) noexcept nogil:
        """H += c x x', of the features gathered."""
        cdef size_t i, j, k, l
        cdef double* x = self.work
        cdef double* data = precisions_of(record)
        for k in range(n):
            i = self.places[k]
            if self.identity:
                data[i] = 1 - self.ridge(hashes_of(record)[i])
            elif not self.full:
                data[i] += c * x[k] * x[k]
            else:
                for l in range(n):
                    j = self.places[l]
                    if j <= i:
                        data[i * (i + 1) // 2 + j] += c * x[k] * x[l]

    cdef Record* admit(self, Record* record, const Feature* features, size_t n) except NULL nogil:
        cdef uint32_t place = ABSENT, missing = 0
        cdef size_t k
        for k in range(n):
            place = lookup(record, features[k].hash, place + 1)
            missing += place == ABSENT
        if missing:
            self.version += 1
            record = self.table.room(record, record.n + missing)
            for k in range(n):
                place = lookup(record, features[k].hash, place + 1)
                if place == ABSENT:
                    place = self.table.place(record, features[k].hash)
                    self.spread_count += not (self.intercept_l2 > 0 and features[k].hash == CONSTANT_HASH)
                    if self.center != NULL:
                        means_of(record)[place] = self.prior_mean(features[k].hash)
                        self.move_center(features[k].hash, means_of(record)[place], 1)
        return record

    cdef int move_center(self, uint32_t hash, double by, int more) except -1 nogil:
        """A coefficient of one entity has moved, or is new."""
        cdef uint32_t place
        if self.center_fixed:
            return 0
        place = lookup(self.center, hash, 0)
        if place == ABSENT:
            self.center = self.table_of_means.room(self.center, self.center.n + 1)
            place = self.table_of_means.place(self.center, hash)
        means_of(self.center)[place] += by
        precisions_of(self.center)[place] += more
        return 0

    cdef size_t gather(self, const Feature* features, size_t count, Record* record) except? 0xFFFFFFFF nogil:
        """Features with those of one coefficient summed: values in self.work, places in self.places; returns how many."""
        cdef size_t k, n = 0, d = record.n if record != NULL else 0
        cdef uint32_t place = ABSENT
        self.reserve(count)
        self.reserve_places(count, d)
        for k in range(count):
            place = ABSENT if record == NULL else lookup(record, features[k].hash, place + 1)
            if place != ABSENT:
                if self.touched[place]:
                    self.work[self.touched[place] - 1] += features[k].value
                    continue
                self.touched[place] = <uint32_t>n + 1
            self.places[n] = place
            self.hashes[n] = features[k].hash
            self.work[n] = features[k].value
            n += 1
        for k in range(n):
            if self.places[k] != ABSENT:
                self.touched[self.places[k]] = 0
        return n

    cdef int pass_time(self, Record* record, double now, size_t n) except -1 nogil:
        """Forget what the time since the last batch, or the batch itself, makes forget; take a new prior in.

        With lazy clocks and an unchanged prior only the n features gathered are brought up to date, or all if n is 0.
        """
        cdef double share = 1
        cdef size_t i, k, d = record.n
        cdef double* mean = means_of(record)
        cdef double* data = precisions_of(record)
        cdef double* right
        if self.forget < 1:
            share = pow(self.forget, now - record.clock)
        self.left = share if self.identity else 1
        record.clock = now
        if share == 1 and record.prior == self.l2 and not (n and self.table.clocked):
            return 0
        if self.full:
            # t = (d E + P)^-1 d (E + P) m, the minimum of the two quadratic terms
            self.reserve(2 * d + d * (d + 1) // 2)
            right = self.work
            vwl_multiply(data, d, mean, right)
            for k in range(d):
                right[k] = share * (right[k] + self.ridge_before(record, k) * mean[k])
                if self.center != NULL:
                    right[k] += ((self.ridge(hashes_of(record)[k]) - share * self.ridge_before(record, k))
                                 * self.prior_mean(hashes_of(record)[k]))
            for k in range(d * (d + 1) // 2):
                data[k] *= share
            self.solve_for(record, right, right + 2 * d)
            for k in range(d):
                mean[k] = right[k]
        elif n and record.prior == self.l2:
            for k in range(n):
                i = self.places[k]
                mean[i] = self.decayed(record, <uint32_t>i, &data[i])
                clocks_of(record)[i] = now
        else:
            for k in range(d):
                mean[k] = self.decayed(record, <uint32_t>k, &data[k])
                if self.table.clocked:
                    clocks_of(record)[k] = now
        record.prior = self.l2
        self.version += 1
        return 0

    cdef inline double ridge_before(self, Record* record, size_t k) noexcept nogil:
        """The ridge that the means were worked out with."""
        if self.n_prior:
            return self.ridge(hashes_of(record)[k])
        return self.intercept_l2 if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH else record.prior

    cdef int solve_for(self, Record* record, double* b, double* room) except -1 nogil:
        """H^-1 b in place, for a full posterior; room has d (d + 1) / 2."""
        cdef size_t d = record.n
        self.precision(record, 1, room)
        if d > SMALL:
            with gil:
                from vwlite.solve import solve
                solve(<double[:d * (d + 1) // 2]>room, <double[:d]>b)
        else:
            vwl_cholesky(room, d)
            vwl_forward(room, d, b)
            vwl_backward(room, d, b)
        return 0

    cdef int learnt(self, Record* record, size_t n) except -1 nogil:
        """Books of an update."""
        record.count += n
        self.version += 1
        if self.estimates_prior and not self.at_once and not self.n_prior:
            self.spread_sum -= record.spread
            record.spread = self.spread(record)
            self.spread_sum += record.spread
            self.estimate_ridge()
        return 0

    # the prior's variance, by expectation and maximisation: the mean over entities of m^2 + Var (Laird and Ware 1982)

    cdef double spread(self, Record* record) except? -1 nogil:
        """Sum of m^2 + Var of the coefficients that the ridge is of."""
        cdef size_t d = record.n, i, k
        cdef double total = 0, variance, scale = self.scale(), delta
        cdef double* v
        cdef bint exact = self.full and d <= SMALL
        self.reserve(d + d * (d + 1) // 2)
        v = self.work
        if exact:
            self.factor(record, 1, v + d)
        for k in range(d):
            if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH:
                continue
            if exact:
                for i in range(d):
                    v[i] = i == k
                vwl_forward(v + d, d, v)
                variance = vwl_dot_product(v, v, d)
            else:
                variance = precisions_of(record)[k * (k + 1) // 2 + k if self.full else k] \
                    + self.ridge(hashes_of(record)[k])
                variance = 1 / variance
            delta = means_of(record)[k] - self.prior_mean(hashes_of(record)[k])
            total += delta * delta + scale * variance
        return total

    cdef void estimate_ridge(self) noexcept nogil:
        """One coefficient's worth of belief in the first ridge keeps the first few entities from running away."""
        cdef double scale = self.scale()
        cdef double variance = (self.spread_sum + scale / self.first_l2) / (self.spread_count + 1)
        if variance > 0 and isfinite(variance):
            self.l2 = min(max(scale / variance, 1e-9), 1e9)

    cdef int estimate_prior(self) except -1:
        """After a fit of all entities: the prior of the coefficients, each its own with their covariance if the posterior
        is full and they are few, else one ridge for all; and the means that go with it."""
        from vwlite import variance
        cdef Record* record = self.table.oldest
        cdef size_t i, k, n = 0, total = 0
        cdef bint structured
        hashes = {}
        while record != NULL:
            n += record.n > 0
            total += record.n
            for k in range(record.n if len(hashes) <= MOST_CORRELATED else 0):
                hashes.setdefault(hashes_of(record)[k], len(hashes))
            record = record.newer
        structured = self.full and 0 < len(hashes) <= MOST_CORRELATED and not self.intercept_l2
        if structured:
            self.estimate_covariance(variance, list(hashes), n)
        elif total:
            self.estimate_one(variance, total)
        return 0

    cdef object noise_of(self, variance, double explained):
        return variance.Noise(self.estimates_noise, self.noise_sum, self.noise_count, explained, self.noise)

    cdef int estimate_covariance(self, variance, list hashes, size_t n) except -1:
        """The covariance of all coefficients."""
        import numpy as np
        cdef size_t d = len(hashes), i, j, k, at = 0
        cdef Record* record = self.table.oldest
        cdef uint32_t a, c
        data, means, start = np.zeros((n, d, d)), np.zeros((n, d)), np.zeros((d, d))
        center = np.array([self.prior_mean(hash) for hash in hashes])
        cdef double[:, :, ::1] data_view = data
        cdef double[:, ::1] means_view = means
        while record != NULL:
            if record.n:
                for i in range(d):
                    a = lookup(record, hashes[i], 0)
                    if a == ABSENT:
                        means_view[at, i] = center[i]
                        continue
                    means_view[at, i] = means_of(record)[a]
                    for j in range(d):
                        c = lookup(record, hashes[j], 0)
                        if c != ABSENT:
                            k = <size_t>max(a, c) * (max(a, c) + 1) // 2 + min(a, c)
                            data_view[at, i, j] = precisions_of(record)[k]
                at += 1
            record = record.newer
        known = {self.prior_hashes[i]: i for i in range(self.n_prior)}
        for i in range(d):
            start[i, i] = self.ridge(hashes[i])
            for j in range(d):
                if i != j and hashes[i] in known and hashes[j] in known:
                    start[i, j] = self.prior[<size_t>known[hashes[i]] * MOST_CORRELATED + <size_t>known[hashes[j]]]
        means -= center
        b = np.einsum("nij,nj->ni", data + start, means)
        explained = float((b * means).sum())
        noise = self.noise_of(variance, explained)
        precision, means = variance.covariance(data, b, start, noise)
        self.noise_sum += explained - float((b * means).sum())
        means_view = means
        self.n_prior = d
        for i in range(d):
            self.prior_hashes[i] = hashes[i]
            for j in range(d):
                self.prior[i * MOST_CORRELATED + j] = precision[i, j]
        record = self.table.oldest
        at = 0
        while record != NULL:
            if record.n:
                for i in range(d):
                    a = lookup(record, hashes[i], 0)
                    if a != ABSENT:
                        means_of(record)[a] = means_view[at, i] + <double>center[i]
                at += 1
            record = record.newer
        self.version += 1
        return 0

    cdef int estimate_one(self, variance, size_t total) except -1:
        """One ridge for all coefficients, as if they were uncorrelated."""
        import numpy as np
        cdef Record* record = self.table.oldest
        cdef size_t k, at = 0
        data, means = np.zeros(total), np.zeros(total)
        cdef double[::1] data_view = data, means_view = means
        while record != NULL:
            for k in range(record.n):
                data_view[at] = precisions_of(record)[k * (k + 1) // 2 + k if self.full else k]
                means_view[at] = means_of(record)[k] - self.prior_mean(hashes_of(record)[k])
                at += 1
            record = record.newer
        b = (data + self.l2) * means
        self.l2 = variance.ridge(data, b, self.l2, self.noise_of(variance, float(b @ means)))
        record = self.table.oldest
        while record != NULL:
            if record.n:
                self.pass_time(record, record.clock, 0)
            record = record.newer
        return 0

    # batches

    cdef int solve(self, Record* record, double now) except -1 nogil:
        """The batch that waits."""
        cdef Waiting* waiting
        cdef const Feature* features
        cdef vwl_batch batch
        cdef size_t n = record.n_waiting, d = 0, i, j, k, packed
        cdef uint32_t place = ABSENT
        cdef double* x
        cdef double* t
        cdef double* curvature
        cdef double* prior
        cdef double* data
        cdef double* mean
        cdef double value
        waiting = record.waiting
        while waiting != NULL:
            record = self.admit(record, <const Feature*>(waiting + 1), waiting.n)
            waiting = waiting.before
        self.pass_time(record, now, 0)
        mean = means_of(record)
        data = precisions_of(record)
        # the unknowns: all coefficients if they are correlated, else those that the batch has
        self.reserve_places(record.n, record.n)
        if self.full:
            d = record.n
            for k in range(d):
                self.places[k] = <uint32_t>k
                self.touched[k] = <uint32_t>k + 1
        else:
            waiting = record.waiting
            while waiting != NULL:
                features = <const Feature*>(waiting + 1)
                for k in range(waiting.n):
                    place = lookup(record, features[k].hash, place + 1)
                    if not self.touched[place]:
                        self.places[d] = place
                        d += 1
                        self.touched[place] = <uint32_t>d
                waiting = waiting.before
        if d > SMALL:
            with gil:
                self.solve_large(record, d)
        elif d:
            packed = d * (d + 1) // 2
            self.reserve(n * (d + 3) + 2 * d + 4 * packed + 5 * d)
            x = self.work
            batch.x, batch.y, batch.w, batch.o = x, x + n * d, x + n * (d + 1), x + n * (d + 2)
            t = x + n * (d + 3)
            batch.m = t + d
            prior = t + 2 * d
            batch.a = prior
            curvature = prior + packed
            batch.n, batch.d, batch.logistic = n, d, self.logistic
            self.lay_out(record, d, x)
            self.lay_out_prior(record, d, prior, t)
            value = vwl_minimise(&batch, t, curvature, curvature + packed)
            if are_sane(value, t, d, curvature, packed):
                self.take(record, d, t, curvature)
                self.noise_sum += max(2 * value, 0)
                self.noise_count += n
        for k in range(d):
            self.touched[self.places[k]] = 0
        self.table.forget_waiting(record)
        self.learnt(record, n)
        return 0

    cdef void lay_out(self, Record* record, size_t d, double* x) noexcept nogil:
        """The batch as a dense matrix by rows, then labels, weights and offsets; oldest first."""
        cdef Waiting* waiting = record.waiting
        cdef const Feature* features
        cdef size_t n = record.n_waiting, i = n, k
        cdef double* y = x + n * d
        cdef double* row
        cdef uint32_t place = ABSENT
        memset(x, 0, n * d * sizeof(double))
        while waiting != NULL:
            i -= 1
            row = x + i * d
            features = <const Feature*>(waiting + 1)
            for k in range(waiting.n):
                place = lookup(record, features[k].hash, place + 1)
                row[self.touched[place] - 1] += features[k].value
            y[i] = self.target(waiting.label)
            y[n + i] = waiting.weight
            y[2 * n + i] = waiting.initial
            waiting = waiting.before

    cdef inline double target(self, double label) noexcept nogil:
        return label if not self.logistic else 1 if label > 0 else -1

    cdef void lay_out_prior(self, Record* record, size_t d, double* prior, double* t) noexcept nogil:
        """Precision (packed) and mean of the unknowns, the mean twice: as where to start and as the prior's."""
        cdef size_t k
        if self.full:
            self.precision(record, 1, prior)
        else:
            memset(prior, 0, d * (d + 1) // 2 * sizeof(double))
        for k in range(d):
            if not self.full:
                prior[k * (k + 1) // 2 + k] = (self.left * precisions_of(record)[self.places[k]]
                                               + self.ridge(hashes_of(record)[self.places[k]]))
            t[k] = t[d + k] = means_of(record)[self.places[k]]

    cdef int move(self, Record* record, size_t place, double mean) except -1 nogil:
        if self.center != NULL:
            self.move_center(hashes_of(record)[place], mean - means_of(record)[place], 0)
        means_of(record)[place] = mean
        return 0

    cdef int take(self, Record* record, size_t d, const double* t, const double* curvature) except -1 nogil:
        """The solution of a batch becomes the record's."""
        cdef size_t k, place
        cdef double* data = precisions_of(record)
        for k in range(d):
            place = self.places[k]
            self.move(record, place, t[k])
            if self.identity:
                data[place] = 1 - self.ridge(hashes_of(record)[place])
            elif not self.full:
                data[place] += curvature[k * (k + 1) // 2 + k]
        if self.full:
            for k in range(d * (d + 1) // 2):
                data[k] += curvature[k]
        return 0

    cdef int solve_large(self, Record* record, size_t d) except -1:
        """A batch with many unknowns, by SciPy."""
        from vwlite.solve import minimise
        import numpy as np
        cdef Waiting* waiting = record.waiting
        cdef size_t n = record.n_waiting, count = 0, k
        while waiting != NULL:
            count += waiting.n
            waiting = waiting.before
        cdef bint dense = 4 * count > n * d
        room = np.empty(n * (d + 3) if dense else 1)
        cdef double[::1] room_view = room
        if dense:
            self.lay_out(record, d, &room_view[0])
            features, targets = room[:n * d].reshape(n, d), room[n * d:].reshape(3, n)
        else:
            features, targets = self.lay_out_sparse(record, d, count)
        packed = d * (d + 1) // 2 if self.full else d
        prior = np.empty(packed)
        start = np.empty(d)
        cdef double[::1] prior_view = prior, start_view = start
        if self.full:
            self.precision(record, 1, &prior_view[0])
        for k in range(d):
            if not self.full:
                prior_view[k] = (self.left * precisions_of(record)[self.places[k]]
                                 + self.ridge(hashes_of(record)[self.places[k]]))
            start_view[k] = means_of(record)[self.places[k]]
        try:
            found, curvature, value = minimise(features, *targets, self.logistic, prior, start)
        except FloatingPointError:
            return 0
        cdef double[::1] found_view = found, curvature_view = curvature
        if not are_sane(value, &found_view[0], d, &curvature_view[0], packed):
            return 0
        cdef double* data = precisions_of(record)
        for k in range(d):
            self.move(record, self.places[k], found_view[k])
            if self.identity:
                data[self.places[k]] = 1 - self.ridge(hashes_of(record)[self.places[k]])
            elif not self.full:
                data[self.places[k]] += curvature_view[k]
        if self.full:
            for k in range(packed):
                data[k] += curvature_view[k]
        self.noise_sum += max(2 * <double>value, 0)
        self.noise_count += n
        return 0

    cdef object lay_out_sparse(self, Record* record, size_t d, size_t count):
        """The batch as a sparse matrix, and (labels, weights, offsets)."""
        import numpy as np
        from scipy import sparse
        cdef Waiting* waiting = record.waiting
        cdef const Feature* features
        cdef size_t n = record.n_waiting, i = n, k
        cdef uint32_t place = ABSENT
        values, columns, rows, targets = np.empty(count), np.empty(count, np.int32), np.zeros(n + 1, np.int64), np.empty((3, n))
        cdef double[::1] value_view = values
        cdef int[::1] column_view = columns
        cdef long long[::1] row_view = rows
        cdef double[:, ::1] target_view = targets
        while waiting != NULL:
            i -= 1
            row_view[i + 1] = count
            count -= waiting.n
            features = <const Feature*>(waiting + 1)
            for k in range(waiting.n):
                place = lookup(record, features[k].hash, place + 1)
                value_view[count + k] = features[k].value
                column_view[count + k] = <int>self.touched[place] - 1
            target_view[0, i] = self.target(waiting.label)
            target_view[1, i] = waiting.weight
            target_view[2, i] = waiting.initial
            waiting = waiting.before
        x = sparse.csr_array((values, columns, rows), shape=(n, d))
        x.sum_duplicates()
        return x, targets

    def settings(self):
        """What a header shows."""
        size = self.batch_size or "all of a pass"
        return [f"{self.owner}: {self.name}, ridge = {self.l2:g}, posterior = {self.options.get('posterior', 'full')}, "
                f"forget = {self.forget:g}, batch = {size}"]

    def end_pass(self):
        """With --batch_size all the pass is the batch."""
        if self.batch_size == 0:
            self.close_batches()

    def limit_entities(self, limit, store):
        """Have no more than `limit` entities in memory."""
        from vwlite.limited import LimitedTable
        table = LimitedTable(self.table.full, self.table.clocked)
        table.keep(limit, store, store.add(self.owner))
        self.table = table

    def mark(self):
        """Copy what is known; who the entities are need not be forgotten."""
        self.close_batches()
        self.marked = self.table.copy()
        self.marked_noise = self.noise_sum, self.noise_count

    def return_to_mark(self):
        """Back to the copy. The mean that entities are shrunk to stays until all are fitted anew."""
        self.table.restore(self.marked, self.l2)
        self.noise_sum, self.noise_count = self.marked_noise
        self.center_fixed = True
        self.at_once = True
        self.version += 1

    def unmark(self):
        """Let go of the copy."""
        self.marked = None
        self.at_once = False

    def close_batches(self):
        """Learn what waits for a full batch, entity by entity."""
        cdef Record* record = self.table.oldest
        cdef uint64_t key
        if self.table.limited:
            for key in self.table.waiting():
                self.table.bring(key)
                record = self.table.find(key)
                if record.n_waiting:
                    record.changed = True
                    self.solve(record, record.clock + (not self.timed))
            return
        with nogil:
            while record != NULL:
                key = record.key
                if record.n_waiting:
                    self.solve(record, record.clock + (not self.timed))
                    record = self.table.find(key)
                record = record.newer
        if self.at_once and self.estimates_prior:
            self.estimate_prior()
        if self.center_fixed and self.center != NULL:
            self.find_center()
        self.center_fixed = False

    cdef int find_center(self) except -1:
        """The means of all entities' coefficients."""
        cdef Record* record = self.table.oldest
        cdef size_t k
        self.center_fixed = False
        self.table_of_means.empty(self.center)
        while record != NULL:
            for k in range(record.n):
                self.move_center(hashes_of(record)[k], means_of(record)[k], 1)
            record = record.newer
        return 0

    # books

    cdef int reserve(self, size_t n) except -1 nogil:
        """Room for n doubles in self.work; what is there stays."""
        cdef void* room
        if n > self.work_size:
            room = realloc(self.work, n * sizeof(double))
            if room == NULL:
                with gil:
                    raise MemoryError(f"{8 * n:,} bytes to learn from a batch: take a smaller --batch_size")
            self.work = <double*>room
            self.work_size = n
        return 0

    cdef int reserve_places(self, size_t n, size_t d) except -1 nogil:
        """Room for n features gathered, and d coefficients touched."""
        cdef void* places
        cdef void* hashes
        cdef void* touched
        if n > self.gathered_size:
            places = realloc(self.places, n * sizeof(uint32_t))
            if places != NULL:
                self.places = <uint32_t*>places
            hashes = realloc(self.hashes, n * sizeof(uint32_t))
            if hashes != NULL:
                self.hashes = <uint32_t*>hashes
            if places == NULL or hashes == NULL:
                with gil:
                    raise MemoryError
            self.gathered_size = n
        if d > self.touched_size:
            touched = realloc(self.touched, d * sizeof(uint32_t))
            if touched == NULL:
                with gil:
                    raise MemoryError
            self.touched = <uint32_t*>touched
            memset(self.touched + self.touched_size, 0, (d - self.touched_size) * sizeof(uint32_t))
            self.touched_size = d
        return 0

    def save_load(self, io):
        if self.owner == "glm":       # else the stack's bottom learner keeps the range of predictions
            low, high = io.float32("min_label", self.loss.min_label), io.float32("max_label", self.loss.max_label)
            if not io.saving and not self.given_range:
                self.loss.min_label, self.loss.max_label = low, high
        l2 = io.float64("l2", self.l2)
        if not self.l2_given:
            self.l2 = l2
        self.spread_sum = io.float64("spread_sum", self.spread_sum)
        self.spread_count = io.float64("spread_count", self.spread_count)
        self.save_load_prior(io)
        self.noise_sum = io.float64("noise_sum", self.noise_sum)
        self.noise_count = io.float64("noise_count", self.noise_count)
        self.table.save_load(io)
        if not io.saving and not self.is_sound():
            io.refuse("there are precisions below 0 in it")
        if self.center != NULL:
            io.owner = f"{self.owner}.mean"
            self.table_of_means.save_load(io)
            self.center = self.table_of_means.find(0)
            if self.center == NULL:
                io.refuse("the mean of its effects is not there")
            io.owner = self.owner
        if not io.saving:
            self.version += 1

    cdef bint is_sound(self) noexcept nogil:
        """Whether priors and what data say about each coefficient could be precisions."""
        cdef Record* record = self.table.oldest
        cdef size_t k
        while record != NULL:
            if not record.prior > 0:
                return False
            for k in range(record.n if not self.identity else 0):
                if precisions_of(record)[k * (k + 1) // 2 + k if self.full else k] < 0:
                    return False
            record = record.newer
        return True

    def save_load_prior(self, io):
        """The coefficients that have a prior of their own, and its precision by rows."""
        cdef size_t i, j, d = self.n_prior
        rows = b"".join([struct.pack("<d", self.prior[i * MOST_CORRELATED + j]) for i in range(d) for j in range(d)])
        hashes = io.array("prior_hash", "U32", b"".join([struct.pack("<I", self.prior_hashes[i]) for i in range(d)]))
        precision = io.array("prior_precision", "F64", rows)
        if io.saving:
            return
        d = len(hashes)
        if d > MOST_CORRELATED or len(precision) != d * d or not all(isfinite(one) for one in precision):
            io.refuse("its prior doesn't hold together")
        self.n_prior = d
        for i in range(d):
            self.prior_hashes[i] = hashes[i]
            for j in range(d):
                self.prior[i * MOST_CORRELATED + j] = precision[i * d + j]

    def prior_covariance(self):
        """(hashes, rows of the covariance) of the coefficients whose prior was estimated together; None otherwise."""
        import numpy as np
        if not self.n_prior:
            return None
        d = self.n_prior
        precision = np.array([self.prior[i * MOST_CORRELATED + j] for i in range(d) for j in range(d)]).reshape(d, d)
        return [self.prior_hashes[i] for i in range(d)], (self.scale() * np.linalg.inv(precision)).tolist()

    def metrics(self):
        """What was estimated."""
        figures = {}
        if self.estimates_prior and self.n_prior:
            hashes, covariance = self.prior_covariance()
            names = [self.names.get(hash, f"feature {hash}") for hash in hashes]
            for i, name in enumerate(names):
                figures[f"{self.owner} sd of {name}"] = sqrt(covariance[i][i])
                for j in range(i):
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
        """hash -> (mean, variance) of an entity's coefficients, as they were last learnt; None if it is unknown.

        The variances are those of the posterior: the diagonal of the inverse of its precision.
        """
        cdef Record* record
        self.table.bring(key)
        record = self.table.find(key)
        return None if record == NULL else self.coefficients_of(record)

    def entities(self):
        """(name, examples learnt from, coefficients() of it) of each entity, in the order of a model file."""
        if not self.table.limited:
            yield from self.entities_of(self.table)
            return
        for table in self.table.one_by_one():
            yield from self.entities_of(table)

    def entities_of(self, EntityTable table):
        """The same, of all in the memory of a table."""
        cdef Record* record = table.oldest
        while record != NULL:
            name = (<bytes>name_of(record)[:record.name_length]).decode("utf-8", "surrogateescape")
            yield name, record.count, self.coefficients_of(record)
            record = record.newer

    cdef dict coefficients_of(self, Record* record):
        cdef size_t d, i, k
        cdef double* v
        d = record.n
        found = {}
        self.reserve(d + d * (d + 1) // 2)
        v = self.work
        if self.full:
            self.factor(record, 1, v + d)
        for k in range(d):
            if self.full:
                for i in range(d):
                    v[i] = i == k
                vwl_forward(v + d, d, v)
                variance = vwl_dot_product(v, v, d)
            else:
                variance = 1 / (precisions_of(record)[k] + self.ridge(hashes_of(record)[k]))
            found[hashes_of(record)[k]] = (means_of(record)[k], variance * self.scale())
        return found

    def drawn_at(self, features, unsigned long long draw, float scale=1, unsigned long long key=0):
        """The score of (hash, value) pairs under a draw from the posterior (draw > 0), for tests."""
        cdef Example ex = Example()
        cdef Feature* room = <Feature*>malloc((len(features) + 1) * sizeof(Feature))
        if room == NULL:
            raise MemoryError
        for k, (hash, value) in enumerate(features):
            room[k].hash, room[k].value = hash, value
        ex.features, ex.n = room, len(features)
        ex.entity, ex.draw, ex.draw_scale = key, draw, scale
        try:
            self.predict(ex)
        finally:
            free(room)
        return ex.score

    def slot_of(self, unsigned int hash):
        """What an audit shows as a feature's slot: coefficients have no collisions, and so their own hash."""
        return hash

    def weight_at(self, unsigned int hash):
        """(mean, precision that data gave, 0) of a coefficient of the whole stack, for audits."""
        cdef Record* record = self.table.find(0)
        cdef uint32_t place = ABSENT if record == NULL else lookup(record, hash, 0)
        if place == ABSENT:
            return 0.0, 0.0, 0.0
        return (means_of(record)[place],
                precisions_of(record)[<size_t>place * (place + 1) // 2 + place if self.full else place], 0.0)


cdef bint are_sane(double value, const double* t, size_t d, const double* curvature, size_t n) noexcept nogil:
    """Whether the solution of a batch is one that double precision can tell; numbers of 1e38 may be beyond it."""
    cdef size_t i
    cdef bint sane = isfinite(value)
    for i in range(d):
        sane = sane and fabs(t[i]) < BEYOND
    for i in range(n):
        sane = sane and isfinite(curvature[i])
    return sane


def batch_size(options, usual):
    """--batch_size as a number, 0 for 'all'."""
    text = options["batch_size"]
    if text is None:
        return usual
    if text == "all":
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise OptionError([f"--batch_size {text}: expected a number of examples, or all"])
    return int(text)


def minimise(x, y, w, o, a, m, start, logistic):
    """The batch solver on plain numbers, for tests: (t, objective, curvature, objective at start, gradient at start).

    x: rows of features; y, w, o: labels (-1 or 1 if logistic), weights, offsets; a, m: precision (rows) and mean of the
    prior. The curvature is that of the losses at t, without the prior's.
    """
    cdef size_t n = len(x), d = len(start), i, packed = d * (d + 1) // 2
    cdef vwl_batch batch
    rows = memoryview_of([value for row in x for value in row])
    columns = [memoryview_of(column) for column in (y, w, o, m, [a[i][j] for i in range(d) for j in range(i + 1)])]
    cdef double[::1] xs = rows, ys = columns[0], ws = columns[1], os = columns[2], ms = columns[3], prior = columns[4]
    cdef double[::1] t = memoryview_of(start), curvature = memoryview_of([0] * packed)
    cdef double[::1] work = memoryview_of([0] * (2 * packed + 5 * d)), gradient = memoryview_of([0] * d)
    batch.n, batch.d, batch.logistic = n, d, logistic
    batch.x, batch.y, batch.w, batch.o, batch.a, batch.m = &xs[0], &ys[0], &ws[0], &os[0], &prior[0], &ms[0]
    before = vwl_objective(&batch, &t[0], &gradient[0], &curvature[0], &work[0])
    value = vwl_minimise(&batch, &t[0], &curvature[0], &work[0])
    symmetric = [[curvature[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in range(d)] for i in range(d)]
    return list(t), value, symmetric, before, list(gradient)


def memoryview_of(numbers):
    from array import array
    return array("d", numbers)
