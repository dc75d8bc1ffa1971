"""Builds a mixed model from the examples that Sweeps stores, fits it, and writes the estimates to the learners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vwlite.bayes import fitted
from vwlite.bayes.blas import in_one_thread
from vwlite.core.elementary import array_log
from vwlite.core.view import CONSTANT
from vwlite.mixed.columns import Columns, effect_columns, fixed_columns, independent, sharing
from vwlite.mixed.linear import Fit, fit_linear
from vwlite.mixed.logistic import MOST_ROUNDS, Data, fit_logistic, probabilities
from vwlite.mixed.posterior import Known, known, smallest_norm
from vwlite.mixed.system import Array, Part, System

MOST_DENSE = 4000  # coefficients beside those of the effect with most of them
MOST_LOGISTIC = 500  # fixed coefficients, each of them a parameter of the likelihood
MOST_BLOCKS = 30_000_000  # numbers of the matrices of all entities of an effect
SMALLEST_SPREAD = 1e-8  # least prior variance in tables, relative to the noise over a column's mean square
FLAT = 1e-8  # a negligible ridge, relative to the least information of the data about a fixed coefficient
BEYOND = 1e100  # coefficients this large are undetermined in double precision
NO_HASHES = np.zeros(0, np.uint32)
NO_MATRIX = np.zeros((0, 0))


class Settings(NamedTuple):
    """The options of a learner that affect the fit."""

    full: bool  # the posterior
    noise: float | None  # None to estimate it
    ridge: float
    estimated: bool  # the ridge
    intercept_ridge: float  # 0: as the others'
    centered: bool  # entities are shrunk to their mean
    logistic: bool


class Lean(NamedTuple):
    """How the entities of an effect depend on the fixed part, in the order of their keys."""

    keys: NDArray[np.uint64]
    counts: NDArray[np.int64]  # examples, to detect entities that have learned since
    hashes: NDArray[np.uint32]
    values: Array  # K of each entity by rows, (entities * size * p)


class Result(NamedTuple):
    """Metrics for the summary, and the part of the posterior that tables don't hold."""

    figures: dict[str, float | str]
    fixed_hashes: NDArray[np.uint32]
    leans: list[Lean | None]


class Problem:
    """The parts of a base and effects that learn, as one mixed model of the stored examples.

    Args:
        kept: The examples, a Sweeps that has begun.
        base: The learner of the fixed part, None if there is none or if it is frozen.
        effects: The learners of the effects, None for those that are frozen.
        flat: Nothing is known of the fixed coefficients beforehand.
        least: Examples of an entity below which it has no say.
    """

    def __init__(self, kept: Any, base: Any, effects: list[Any], flat: bool, least: float) -> None:
        self.base, self.flat, self.n_effects = base, flat, len(effects)
        self.y, self.w, self.offset = kept.targets()
        self.chosen = self.w > 0
        self.learners: list[Any] = []
        self.settings: list[Settings] = []
        self.columns: list[Columns] = []
        self.numbers: list[int] = []  # of these effects, among all
        for r, learner in enumerate(effects):
            if learner is None:
                continue
            about = Settings(*fitted.settings(learner))
            columns = effect_columns(kept, r + 1, self.chosen, not (about.full and about.estimated))
            if len(columns.keys):
                self.numbers.append(r)
                self.learners.append(learner)
                self.settings.append(about)
                self.columns.append(columns)
        if base is None:
            self.hashes, self.scale = np.zeros(0, np.uint32), np.zeros(0)
            self.x = sparse.csr_array((len(self.y), 0))
        else:
            self.hashes, self.scale, self.x = fixed_columns(kept, len(self.y))
        self.logistic = any(about.logistic for about in self.settings)
        if self.logistic:
            self.y = (self.y > 0).astype(float)
        self.silent = [columns.counts < least for columns in self.columns]
        self.taken = np.zeros(0, np.intp)
        self.widths: list[int] = []

    @property
    def is_within_bounds(self) -> bool:
        """Whether the parts can be fitted jointly."""
        widths = [columns.z.shape[1] for columns in self.columns]
        centers = sum(
            np.unique(columns.hashes).size
            for columns, about in zip(self.columns, self.settings, strict=True)
            if about.centered
        )
        return (
            bool(widths)
            and sum(widths) - max(widths) + len(self.hashes) + centers <= MOST_DENSE
            and all(columns.z.shape[1] * columns.hashes.shape[1] <= MOST_BLOCKS for columns in self.columns)
            and not (self.logistic and len(self.hashes) + centers > MOST_LOGISTIC)
            and not (self.logistic and sum(widths) - max(widths) > MOST_DENSE // 2)
            and not any(
                about.intercept_ridge and (not columns.common or (about.estimated and not about.full))
                for columns, about in zip(self.columns, self.settings, strict=True)
            )
        )

    def parts(self) -> list[Part]:
        """The effects as parts of the system."""
        found = []
        for columns, about, silent in zip(self.columns, self.settings, self.silent, strict=True):
            z = columns.z[self.chosen]
            size = columns.hashes.shape[1]
            if silent.any():
                z.data[silent[z.indices // size]] = 0
            factor = None
            if not about.estimated:
                ridge = np.full(size, about.ridge)
                if about.intercept_ridge:
                    ridge[columns.hashes[0] == CONSTANT] = about.intercept_ridge
                factor = np.diag(columns.scale / np.sqrt(ridge))
            found.append(Part(z, size, not (columns.common and about.full), factor))
        return found

    def system(self, parts: list[Part]) -> System:
        """Independent fixed columns, the means of effects that have one, and the effects."""
        x, widths, ridge = [self.x[self.chosen]], [len(self.hashes)], [self.ridge_of_fixed()]
        for columns, about in zip(self.columns, self.settings, strict=True):
            if about.centered:
                x.append(columns.z[self.chosen] @ sharing(columns))
            widths.append(x[-1].shape[1] if about.centered else 0)
            ridge.append(np.zeros(widths[-1]))
        every = sparse.hstack(x, format="csr")
        every_ridge = np.concatenate(ridge)
        self.widths = widths
        self.taken = independent(every, self.w[self.chosen], every_ridge, widths)
        return System(every[:, self.taken], parts, every_ridge[self.taken])

    def ridge_of_fixed(self) -> Array:
        """The precision of the fixed part's prior, in units of the columns."""
        if self.base is None:
            return np.zeros(0)
        about = Settings(*fitted.settings(self.base))
        ridge = np.full(len(self.hashes), 0.0 if self.flat else about.ridge)
        if about.intercept_ridge:
            ridge[self.hashes == CONSTANT] = about.intercept_ridge
        return ridge / self.scale**2

    @in_one_thread
    def fit(self, restricted: bool, stopping: Callable[[], bool]) -> Result | None:
        """Fits the model and writes the estimates to the learners; None if double precision does not suffice."""
        with np.errstate(all="ignore"):
            try:
                return self.estimate(restricted, stopping)
            except np.linalg.LinAlgError:
                return None

    def estimate(self, restricted: bool, stopping: Callable[[], bool]) -> Result | None:
        """As fit; raises LinAlgError if a matrix is singular."""
        parts = self.parts()
        found, curvatures = self.fit_any(parts, restricted, stopping)
        coefficients = np.zeros(sum(self.widths))
        coefficients[self.taken] = found.fixed
        fixed, *centers = np.split(coefficients, np.cumsum(self.widths)[:-1])
        factors = [
            floored(factor) if part.factor is None else factor
            for factor, part in zip(found.factors, parts, strict=True)
        ]
        beyond = known(
            System(self.x[self.chosen], parts, np.zeros(len(fixed)), passive=True).weigh(curvatures), factors
        )
        precisions = [
            np.linalg.inv(factor @ factor.T) * columns.scale * columns.scale[:, None]
            for factor, columns in zip(factors, self.columns, strict=True)
        ]
        if not self.are_finite(beyond, precisions):
            return None
        n_implied = len(fixed) - int((self.taken < len(fixed)).sum())
        fixed = smallest_norm(beyond.information, fixed, n_implied)
        means = [
            (u + center_of(columns, center)) / columns.scale
            for u, center, columns in zip(found.random, centers, self.columns, strict=True)
        ]
        sane = all(np.isfinite(one).all() and np.abs(one).max(initial=0) < BEYOND for one in [fixed, *means])
        if not (sane and all(np.isfinite(one).all() for one in [beyond.information, *beyond.data])):
            return None
        self.hand_over(found, precisions, beyond, fixed, means)
        if found.restricted:  # which depends on the units of the fixed part
            units = np.concatenate([self.scale, np.ones(sum(self.widths[1:]))])
            found = found._replace(criterion=found.criterion + 2 * float(array_log(units[self.taken]).sum()))
        return Result(figures(found, parts, n_implied, self.logistic), self.hashes, self.leans(beyond))

    def are_finite(self, beyond: Known, precisions: list[Array]) -> bool:
        """Whether all precisions are finite, in the units of the features, too."""
        units = [self.scale, *(columns.scale for columns in self.columns)]
        data = zip([beyond.information, *beyond.data], units, strict=True)
        pieces = [*(one * unit * unit[:, None] for one, unit in data), *precisions]
        return all(np.isfinite(piece).all() for piece in pieces)

    def fit_any(self, parts: list[Part], restricted: bool, stopping: Callable[[], bool]) -> tuple[Fit, Array]:
        """The estimates, and the second derivatives of the losses at them."""
        system = self.system(parts)
        y, w, offset = self.y[self.chosen], self.w[self.chosen], self.offset[self.chosen]
        if self.logistic:
            return fit_logistic(system, Data(y, w, offset), stopping)
        return fit_linear(system.weigh(w), y - offset, restricted, self.settings[0].noise, stopping), w

    def hand_over(self, found: Fit, precisions: list[Array], beyond: Known, fixed: Array, means: list[Array]) -> None:
        """Writes the estimates to the tables."""
        n = int(self.chosen.sum())
        worth = max(n - len(self.taken) if found.restricted else n, 2)
        scores = self.x @ fixed
        for columns, mean in zip(self.columns, means, strict=True):
            scores = scores + columns.z @ (mean * columns.scale).ravel()
        if self.base is not None:
            information = beyond.information * self.scale * self.scale[:, None]
            if self.flat:
                told = information.diagonal()[information.diagonal() > 0]
                fitted.take_prior(self.base, NO_HASHES, NO_MATRIX, FLAT * float(told.min(initial=1.0)))
            fitted.take_noise(self.base, found.noise, worth)
            sizes, counts = np.array([len(fixed)], np.uint32), np.array([n])
            fitted.take(
                self.base, np.zeros(1, np.uint64), self.hashes[None], sizes, (fixed / self.scale)[None],
                information[None], counts,
            )  # fmt: skip
        for r, learner in enumerate(self.learners):
            columns, about = self.columns[r], self.settings[r]
            units = columns.scale * columns.scale[:, None]
            precision = precisions[r]
            if about.estimated and about.full and columns.common:
                fitted.take_prior(learner, columns.hashes[0], precision, about.ridge)
                learner.covariance = (found.factors[r] @ found.factors[r].T / units).ravel().tolist()
            elif about.estimated:
                fitted.take_prior(learner, NO_HASHES, NO_MATRIX, precision[0, 0])
            data = beyond.data[r] * units
            if self.silent[r].any():
                self.fit_silent(r, data, means[r], means[r].copy(), precision, scores)
            fitted.take_noise(learner, found.noise, worth)
            fitted.take(learner, columns.keys, columns.hashes, columns.sizes, means[r], data, columns.counts)
            fitted.end(learner)

    def fit_silent(self, r: int, data: Array, means: Array, centers: Array, precision: Array, scores: Array) -> None:
        """Fits entities that are not in the system, and have no coefficients yet, to the residuals of all others."""
        columns, silent = self.columns[r], np.flatnonzero(self.silent[r])
        size = columns.hashes.shape[1]
        places = (silent[:, None] * size + np.arange(size)).ravel()
        z = (columns.z[:, places] @ sparse.diags_array(np.tile(columns.scale, len(silent)))).tocsc()
        for _ in range(MOST_ROUNDS if self.logistic else 1):
            here = scores + self.offset
            w, left = curvatures_of(self.y, self.w, here) if self.logistic else (self.w, self.w * (self.y - here))
            gram = (z.T @ (sparse.diags_array(w) @ z)).tocoo()
            data[silent] = 0
            data[silent[gram.row // size], gram.row % size, gram.col % size] = gram.data
            pull = (z.T @ left).reshape(-1, size) - (means[silent] - centers[silent]) @ precision
            step = np.linalg.solve(data[silent] + precision, pull[:, :, None])[:, :, 0]
            moved = np.abs(z @ step.ravel()).max(initial=0)
            step *= min(1.0, 2 / moved) if self.logistic and moved > 0 else 1.0
            means[silent] += step
            scores = scores + z @ step.ravel()
            if moved < 1e-9:
                break

    def leans(self, beyond: Known) -> list[Lean | None]:
        """The dependence of all effects' entities on the fixed part."""
        found: list[Lean | None] = [None] * self.n_effects
        for r, columns, about, silent, lean in zip(
            self.numbers, self.columns, self.settings, self.silent, beyond.leans, strict=True
        ):
            if lean is None or not (columns.common and about.full and self.base is not None):
                continue
            values = lean * self.scale / columns.scale[:, None]
            heard = ~silent
            found[r] = Lean(columns.keys[heard], columns.counts[heard], columns.hashes[0].copy(), values[heard].ravel())
        return found


def begin_in_turn(kept: Any, base: Any, effects: list[Any], flat: bool) -> None:
    """Initial priors for parts that are fitted alternately, estimated from the data, so that they are scale-free.

    The prior of a fixed part with few coefficients and no information is nearly flat. Estimated priors of effects have
    the mean information of the data about a coefficient of an entity.
    """
    w = kept.targets()[1]
    if flat and base is not None and fitted.can_take(base):
        hashes, scale, x = fixed_columns(kept, kept.n)
        told = (x.T @ (sparse.diags_array(w) @ x)).diagonal() * scale**2
        if len(hashes) <= MOST_DENSE and (told > 0).any():
            fitted.take_prior(base, NO_HASHES, NO_MATRIX, FLAT * float(told[told > 0].min()))
    for r, learner in enumerate(effects):
        about = None if learner is None else Settings(*fitted.settings(learner))
        if about is None or not about.estimated or about.intercept_ridge or not fitted.can_take(learner):
            continue
        columns = effect_columns(kept, r + 1, w > 0, not about.full)
        told = (columns.z.T @ (sparse.diags_array(w) @ columns.z)).diagonal().reshape(columns.hashes.shape)
        told = told * columns.scale**2 / (4 if about.logistic else 1)
        if not (told > 0).any():
            continue
        if about.full and columns.common:
            mean = told.mean(axis=0)
            mean = np.where(mean > 0, mean, 1.0)
            fitted.take_prior(learner, columns.hashes[0], np.diag(mean), about.ridge)
        else:
            fitted.take_prior(learner, NO_HASHES, NO_MATRIX, float(told[told > 0].mean()))


def curvatures_of(y: Array, w: Array, scores: Array) -> tuple[Array, Array]:
    """Second derivatives and negative first derivatives of logistic losses."""
    p = probabilities(scores)
    return w * p * (1 - p), w * (y - p)


def floored(factor: Array) -> Array:
    """Bounds a factor's variances below, so that a table's precision is finite."""
    values, vectors = np.linalg.eigh(factor @ factor.T)
    values = np.maximum(values, SMALLEST_SPREAD * max(1.0, values[-1]))
    return np.asarray(np.linalg.cholesky((vectors * values) @ vectors.T))


def center_of(columns: Columns, center: Array) -> Array:
    """The mean of the effect for each of its columns, (entities, size)."""
    if len(center) == 0:
        return np.zeros(columns.hashes.shape)
    return np.asarray(sharing(columns) @ center).reshape(columns.hashes.shape)


def figures(found: Fit, parts: list[Part], n_implied: int, logistic: bool) -> dict[str, float | str]:
    """The metrics of a fit for the summary."""
    kind = "REML" if found.restricted else "maximum likelihood (Laplace)" if logistic else "maximum likelihood"
    if all(part.factor is not None for part in parts):
        how = "all parts at once" if logistic else f"all parts at once, noise by {kind}"
    else:
        how = f"{kind}, {'converged' if found.converged else 'has not converged'} after {found.steps} iterations"
    told: dict[str, float | str] = {"fit": how}
    told["REML criterion" if found.restricted else "-2 log likelihood"] = found.criterion
    if n_implied:
        told["fixed coefficients that follow from others"] = n_implied
    return {f"random_effect {name}": value for name, value in told.items()}
