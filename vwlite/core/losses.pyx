"""Loss functions.

Each has: loss L(p, y); derivative dL/dp; the squared gradient for adaptive rates; and two updates, the plain gradient
step and the importance-invariant one, which follows the gradient flow continuously for the total step n = scale * ppu
(Karampatziakis and Langford 2011, "Online importance weight aware updates"). An update is the factor u in
w_i += u * rate_i * x_i.

Losses of two classes (logistic, hinge, and any under --binary) accept the labels 1 and -1, or 1 and 0. A label of 1 is
the positive class in both codings; the first -1 or 0 fixes the coding, so nothing else depends on the data's order.
"""
from libc.float cimport FLT_MAX
from libc.math cimport NAN, isfinite, isnan

from vwlite.core.elementary cimport exp, expf, expm1, log, log1p, logf
from vwlite.core.equations cimport (
    FEW, evaluate_logistic, evaluate_squared, logistic_flow, squared_flow, squared_loss,
)
from vwlite.core.reasons cimport (
    FINE, LABEL_BINARY, LABEL_COUNT, LABEL_FINITE, LABEL_LARGE, LABEL_NOT_SIGN, LABEL_NOT_ZERO_ONE, LABEL_RANGE,
)

from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError

# learners with a logistic loss of their own classify labels by sign
CLASSES = ("loss_function=logistic & !bayes_logistic & !logistic",)

OPTIONS = OptionGroup("Loss", (
    Option("loss_function", str, "the loss that is minimised", default="squared", keep=True, vw_forgets=True,
           choices=("squared", "classic", "logistic", "hinge", "quantile", "expectile", "poisson"), task="learn"),
    Option("quantile_tau", float, "the quantile that --loss_function quantile estimates", default=0.5, least=0, most=1,
           keep=True, vw_forgets=True, needs=("loss_function=quantile",)),
    Option("expectile_q", float, "the expectile that --loss_function expectile estimates (needed with it)",
           above=0, most=0.5, keep=True, vw_forgets=True, needs=("loss_function=expectile",)),
    Option("logistic_min", float, "the label of the negative class with --loss_function logistic",
           default=-1.0, keep=True, vw_forgets=True, needs=CLASSES),
    Option("logistic_max", float, "the label of the positive class with --loss_function logistic",
           default=1.0, keep=True, vw_forgets=True, needs=CLASSES),
    Option("min_prediction", float, "smallest prediction (default: the smallest label seen)",
           keep=True, vw_forgets=True),
    Option("max_prediction", float, "largest prediction (default: the largest label seen)",
           keep=True, vw_forgets=True),
), examples=(
    "vwlite ratings.vw --loss_function logistic --logistic_min 1 --logistic_max 5",
    "vwlite ratings.vw --loss_function quantile --quantile_tau 0.9",
    "vwlite ratings.vw --loss_function expectile --expectile_q 0.3",
    "vwlite ratings.vw --min_prediction 1 --max_prediction 5",
))

cdef float LARGEST_LABEL = 1e18       # its square is finite in single precision


cdef class Loss:
    """Base class of losses: valid labels, and their range."""

    def __cinit__(self, *_):
        self.negative = NAN
        self.low, self.high = -1, 1
        self.least, self.most = -LARGEST_LABEL, LARGEST_LABEL

    cdef int vet(self, float y, bint settle) noexcept nogil:
        if self.least <= y <= self.most or y == self.negative:
            return FINE
        if self.as_vw:
            return LABEL_FINITE
        if not self.two_classes:
            return LABEL_LARGE
        if not isnan(self.negative):
            return LABEL_NOT_SIGN if self.negative < 0 else LABEL_NOT_ZERO_ONE
        if y != 0 and y != -1:
            return LABEL_BINARY
        if settle:
            self.settle_on(y)
        return FINE

    cdef void settle_on(self, float negative) noexcept nogil:
        """Fix the label of the negative class."""
        self.negative = negative

    def prepare(self, options, bint may_be_as_vw):
        """Set which labels are accepted under the options."""
        self.as_vw = may_be_as_vw and options["vw_compat"]
        self.two_classes = not self.as_vw and (self.two_classes or options["binary"] and self.name != "poisson"
                                               and self.name != "logistic")
        if self.as_vw:
            self.least, self.most = -FLT_MAX, FLT_MAX
        elif self.two_classes:
            self.least = self.most = 1

    def save_load(self, io):
        """Save or load the range of labels and the coding of two classes; called by the learner that owns the loss."""
        low, high = io.float32("min_label", self.min_label), io.float32("max_label", self.max_label)
        if not io.saving and not (isfinite(low) and isfinite(high)):
            io.refuse("the range of its labels is infinite")
        if not io.saving:
            self.set_range(low, high)
        if io.saving and not isnan(self.negative):
            io.float32("negative_label", self.negative)
        elif not io.saving and io.has("negative_label") and self.two_classes:
            negative = io.float32("negative_label", 0)
            if negative not in (-1, 0):
                io.refuse("its negative class is labelled neither -1 nor 0")
            self.settle_on(negative)

    def set_range(self, low, high):
        """Set the ends of the range of predictions that are not given; the range is never empty."""
        if not self.given_low:
            self.min_label = min(low, self.max_label) if self.given_high else low
        if not self.given_high:
            self.max_label = max(high, self.min_label) if self.given_low else high

    cdef void see(self, float y) noexcept nogil:
        """Widen the range of predictions to the label."""
        if self.still:
            return
        if y < self.min_label and not self.given_low:
            self.min_label = y
        if y > self.max_label and not self.given_high:
            self.max_label = y

    cdef float loss(self, float p, float y) noexcept nogil:
        return 0

    cdef float derivative(self, float p, float y) noexcept nogil:
        return 0

    cdef void evaluate(self, Point* at) noexcept nogil:
        """Compute loss, derivative and squared gradient at (p, y)."""
        at.loss = self.loss(at.p, at.y)
        at.derivative = self.derivative(at.p, at.y)
        at.square = at.derivative * at.derivative

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        return self.plain_update(at, scale)

    cdef float plain_update(self, const Point* at, float scale) noexcept nogil:
        return -scale * at.derivative

    def at(self, float p, float y, float scale=1, float ppu=1):
        """(loss, derivative, squared gradient, invariant update, plain update) at a point, for tests."""
        cdef Point point
        point.p, point.y = p, y
        self.evaluate(&point)
        return (point.loss, point.derivative, point.square,
                self.update(&point, scale, ppu), self.plain_update(&point, scale))


cdef class Squared(Loss):
    """Squared loss (p - y)^2 of real labels; linear outside the range of labels, where predictions are clipped anyway.

    Flow: dp/dn = 2(y - p), so p moves by (y - p)(1 - exp(-2n)).
    """

    cdef float loss(self, float p, float y) noexcept nogil:
        return squared_loss(p, y, self.min_label, self.max_label)

    cdef float derivative(self, float p, float y) noexcept nogil:
        return 2 * (self.clip(p) - y)

    cdef void evaluate(self, Point* at) noexcept nogil:
        evaluate_squared(at, self.min_label, self.max_label)

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        return squared_flow(at.p, at.y, scale, ppu)

    cdef float plain_update(self, const Point* at, float scale) noexcept nogil:
        return 2 * (at.y - at.p) * scale


cdef class Classic(Squared):
    """Classic: squared loss without clipping inside the loss and without the invariant update."""

    cdef float loss(self, float p, float y) noexcept nogil:
        return (p - y) * (p - y)

    cdef float derivative(self, float p, float y) noexcept nogil:
        return 2 * (p - y)

    cdef void evaluate(self, Point* at) noexcept nogil:
        at.loss = (at.p - at.y) * (at.p - at.y)
        at.derivative = 2 * (at.p - at.y)
        at.square = 4 * (at.p - at.y) * (at.p - at.y)

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        return 2 * (at.y - at.p) * scale


cdef class Logistic(Loss):
    """Logistic loss log(1 + exp(-yp)) for labels -1 and +1; a label in between is a mixture of the two.

    With s = (y - min)/(max - min) the share of the positive class, every quantity is s f(+1) + (1 - s) f(-1).
    Flow: for y = +1, dp/dn = 1/(1 + exp(p)), so with z = p + exp(p) the end point solves z' = z + n; the solution
    is p' = x - W(e^x) with x = n + p + exp(p) and W Lambert's function.
    """
    def __cinit__(self, float low, float high, bint shares):
        """`shares`: labels between low and high are accepted, too."""
        self.low, self.high = self.least, self.most = low, high
        self.width = high - low
        self.two_classes = not shares

    cdef int vet(self, float y, bint settle) noexcept nogil:
        if self.two_classes or self.as_vw:
            return Loss.vet(self, y, settle)
        return FINE if self.low <= y <= self.high else LABEL_RANGE

    cdef void settle_on(self, float negative) noexcept nogil:
        Loss.settle_on(self, negative)
        self.low = negative
        self.width = self.high - negative

    cdef float loss(self, float p, float y) noexcept nogil:
        cdef float s = (y - self.low) / self.width
        if s == 1:
            return softplus(-p)
        if s == 0:
            return softplus(p)
        return s * softplus(-p) + (1 - s) * softplus(p)

    cdef float derivative(self, float p, float y) noexcept nogil:
        cdef float s = (y - self.low) / self.width
        if s == 1:
            return -1 / (1 + expf(p))
        if s == 0:
            return 1 / (1 + expf(-p))
        return -s / (1 + expf(p)) + (1 - s) / (1 + expf(-p))

    cdef void evaluate(self, Point* at) noexcept nogil:
        # sign is exactly 1 or -1 for nearly every example, in an order that no branch predictor can learn
        cdef float sign = 2 * (at.y - self.low) / self.width - 1
        if sign * sign == 1:
            evaluate_logistic(at, sign)
            return
        at.loss = self.loss(at.p, at.y)
        at.derivative = self.derivative(at.p, at.y)
        at.square = at.derivative * at.derivative

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        cdef float s = (at.y - self.low) / self.width, sign = 2 * s - 1
        if sign * sign == 1:
            return logistic_flow(at.p, sign, at.exponential, scale, ppu)
        return (s * logistic_flow(at.p, 1, expf(at.p), scale, ppu)
                + (1 - s) * logistic_flow(at.p, -1, expf(-at.p), scale, ppu))


cdef class Signs(Logistic):
    """Logistic loss by the sign of the label: above 0 is the positive class, any other the negative one."""

    cdef float loss(self, float p, float y) noexcept nogil:
        return softplus(-p if y > 0 else p)

    cdef float derivative(self, float p, float y) noexcept nogil:
        return -1 / (1 + expf(p)) if y > 0 else 1 / (1 + expf(-p))

    cdef void evaluate(self, Point* at) noexcept nogil:
        at.y = self.high if at.y > 0 else self.low
        Logistic.evaluate(self, at)


cdef inline float softplus(float x) noexcept nogil:
    """Softplus log(1 + exp(x)); exactly 0 if 1 + exp(x) rounds to 1: then learning stops, as in VW."""
    return x if x > 80 else logf(1 + expf(x))


cdef class Hinge(Loss):
    """Hinge loss max(0, 1 - yp) for labels -1 and +1. Flow: constant slope until yp = 1, where it stops."""

    def __cinit__(self):
        self.two_classes = True

    cdef void settle_on(self, float negative) noexcept nogil:
        Loss.settle_on(self, negative)
        self.low = negative

    cdef inline float sign(self, float y) noexcept nogil:
        return -1 if y == 0 and self.low == 0 else y

    cdef void see(self, float y) noexcept nogil:
        Loss.see(self, self.sign(y))

    cdef float loss(self, float p, float y) noexcept nogil:
        cdef float e = 1 - self.sign(y) * p
        return e if e > 0 else 0

    cdef float derivative(self, float p, float y) noexcept nogil:
        y = self.sign(y)
        return 0 if y * p >= 1 else -y

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        cdef float y = self.sign(at.y), e = 1 - y * at.p
        if e <= 0:
            return 0
        return y * (scale if scale * ppu < e else e / ppu)


cdef class Quantile(Loss):
    """Quantile loss: tau (y - p) if y > p, else (1 - tau)(p - y) (Koenker and Bassett 1978). Flow: stops at p = y."""
    cdef float tau

    def __cinit__(self, float tau):
        self.tau = tau

    cdef float loss(self, float p, float y) noexcept nogil:
        cdef float e = y - p
        return self.tau * e if e > 0 else -(1 - self.tau) * e

    cdef float derivative(self, float p, float y) noexcept nogil:
        cdef float e = y - p
        if e == 0:
            return 0
        return -self.tau if e > 0 else 1 - self.tau

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        cdef float e = at.y - at.p, n = scale * ppu
        if e == 0:
            return 0
        if e > 0:
            return self.tau * scale if self.tau * n < e else e / ppu
        return -(1 - self.tau) * scale if -(1 - self.tau) * n > e else e / ppu


cdef class Expectile(Loss):
    """Expectile loss: squared loss times q if the prediction is above the label, else 1 - q (Newey and Powell 1987)."""
    cdef float q

    def __cinit__(self, float q):
        self.q = q

    cdef inline float share(self, float p, float y) noexcept nogil:
        return 1 - self.q if y > p else self.q

    cdef float loss(self, float p, float y) noexcept nogil:
        return self.share(p, y) * (y - p) * (y - p)

    cdef float derivative(self, float p, float y) noexcept nogil:
        return 2 * self.share(p, y) * (p - y)

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        return squared_flow(at.p, at.y, scale * self.share(at.p, at.y), ppu)


cdef class Poisson(Loss):
    """Poisson deviance 2(y log(y/e^p) - (y - e^p)) of counts y >= 0; p is the logarithm of the mean.

    Flow: dp/dn = y - e^p, solved in closed form with q = e^-p.
    """

    def __cinit__(self):
        self.least = 0

    cdef int vet(self, float y, bint settle) noexcept nogil:
        return LABEL_COUNT if y < 0 and not self.as_vw else Loss.vet(self, y, settle)

    cdef float loss(self, float p, float y) noexcept nogil:
        cdef double bounded = max(-44.0, min(44.0, <double>p))
        return <float>(2 * (y * (log(y + 1e-6) - bounded) - (y - exp(bounded))))

    cdef float derivative(self, float p, float y) noexcept nogil:
        return <float>(exp(max(-44.0, min(44.0, <double>p))) - y)

    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil:
        cdef double log_mean = max(-44.0, min(44.0, <double>at.p)), n = <double>scale * ppu
        cdef double mean = exp(log_mean)
        if n * (mean + at.y) < FEW:   # the gradient changes by the mean as p moves by one
            return <float>((at.y - mean) * scale)
        if at.y > 0 and at.y * n > 500:
            return <float>((log(at.y) - log_mean) / ppu)     # the end of the flow; expm1 would overflow
        if at.y > 0:
            return <float>(at.y * scale - log1p(mean * expm1(at.y * n) / at.y) / ppu)
        return <float>(-log1p(mean * n) / ppu)


def loss_name(options):
    """Name of the loss that is minimised: the one implied by the learner's option, or else that of --loss_function.

    Raises OptionError when they differ.
    """
    name = options["loss_function"]
    implied = implied_loss(options)
    if implied is not None:
        learner, name = implied
        if options.given("loss_function") and options["loss_function"] != name:
            raise OptionError([f"--{learner} minimises the {name} loss: leave --loss_function "
                               f"{options['loss_function']} out"])
    return name


def implied_loss(options):
    """(option, loss) of the first given option that implies a loss, or None."""
    for name, option in options.declared.items():
        if option.loss and options[name]:
            return name, option.loss
    return None


def make_loss(options, predict_only=False):
    """Make the loss that the options choose.

    Raises OptionError for values that conflict.
    """
    cdef Loss loss
    name = loss_name(options)
    if name == "squared":
        loss = Squared()
    elif name == "classic":
        loss = Classic()
    elif name == "logistic" and implied_loss(options):
        loss = Signs(-1, 1, False)
    elif name == "logistic":
        if not options["logistic_min"] < options["logistic_max"]:
            raise OptionError(["--logistic_min must be less than --logistic_max"])
        shares = options.given("logistic_min") or options.given("logistic_max")
        loss = Logistic(options["logistic_min"], options["logistic_max"], shares)
    elif name == "hinge":
        loss = Hinge()
    elif name == "quantile":
        loss = Quantile(options["quantile_tau"])
    elif name == "expectile":
        if options["expectile_q"] is None:
            raise OptionError(["--loss_function expectile needs --expectile_q Q with 0 < Q <= 0.5"])
        loss = Expectile(options["expectile_q"])
    else:
        loss = Poisson()
    loss.name = name
    loss.prepare(options, implied_loss(options) is None)
    loss.still = predict_only
    set_first_range(loss, options["min_prediction"], options["max_prediction"])
    return loss


cdef int set_first_range(Loss loss, low, high) except -1:
    """Set the range of predictions before any label; an end that is not given follows the labels."""
    given = low is not None or high is not None
    loss.given_low, loss.given_high = low is not None, high is not None
    reach = 50 if loss.name in ("logistic", "poisson") else 0
    if loss.as_vw:
        loss.given_low = loss.given_high = given
        reach = 0 if given or loss.still else reach  # as in VW, although the loss should set another range
    loss.min_label = -reach if low is None else low
    loss.max_label = reach if high is None else high
    if loss.as_vw:
        return 0
    if loss.min_label > loss.max_label and (reach or (loss.given_low and loss.given_high)):
        raise OptionError([f"the range of predictions is empty: the smallest is {loss.min_label:g}, the largest "
                           f"{loss.max_label:g}: change --min_prediction or --max_prediction"])
    loss.set_range(loss.min_label, loss.max_label)
