"""The equations of a mixed model, factored: one effect by entity, everything else as one dense matrix.

The unknowns are s_1 of the effect with most coefficients, whose entities no equation connects directly, and the rest:
those of the other effects and of the fixed part, R = [Z_2 L_2 .. X]. With A_e = L_1'Z_e'Z_e L_1 + I of each entity, the
Schur complement of the rest is S = R'R - sum_e R'Z_e L_1 A_e^-1 L_1'Z_e'R (plus I for the effects in it).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from vwlite.core.elementary import array_log

Array = NDArray[np.float64]

BUFFER = 4_000_000  # the most numbers of a dense matrix that is processed in pieces


class Part(NamedTuple):
    """One effect."""

    z: Any  # (examples, entities * size), CSR: the columns of an entity are adjacent
    size: int  # coefficients of an entity
    alike: bool  # one variance for all coefficients
    factor: Array | None  # L, where it is given

    @property
    def entities(self) -> int:
        """The number of entities."""
        return int(self.z.shape[1]) // self.size


class Found(NamedTuple):
    """A solution: s_r of each part, (entities, size), and the fixed coefficients."""

    random: list[Array]
    fixed: Array


class Right(NamedTuple):
    """Right sides: of the first part, and of the rest without its factors."""

    first: Array
    rest: Array


class System:
    """Fixed columns X and the parts; the first of `order` is eliminated.

    Args:
        x: (examples, p), CSR, of full rank.
        parts: The effects.
        ridge: What is added to X'X, (p,).
        passive: Only the effects are solved for, given b: then X need not be of full rank.
    """

    def __init__(self, x: Any, parts: list[Part], ridge: Array, passive: bool = False) -> None:
        self.passive = passive
        self.parts = parts
        self.order = sorted(range(len(parts)), key=lambda r: -parts[r].z.shape[1])
        self.first = parts[self.order[0]]
        self.others = [parts[r] for r in self.order[1:]]
        self.x = x
        self.p = x.shape[1]
        self.ridge = ridge
        self.rest = sparse.hstack([*(part.z for part in self.others), x], format="csr")
        self.q = self.rest.shape[1] - self.p
        self.w = np.ones(0)

    def weigh(self, w: Array) -> System:
        """Sets the weights of the examples, and computes the products of X and Z with them."""
        self.w = w
        size, n = self.first.size, self.first.entities
        weighted = sparse.diags_array(w)
        gram = (self.first.z.T @ (weighted @ self.first.z)).tocoo()
        self.own = np.zeros((n, size, size))
        self.own[gram.row // size, gram.row % size, gram.col % size] = gram.data
        weighted_rest = weighted @ self.rest
        self.between = (self.first.z.T @ weighted_rest).tocsr()
        self.among = dense(self.rest.T @ weighted_rest)
        self.among[range(self.q, self.q + self.p), range(self.q, self.q + self.p)] += self.ridge
        return self

    def centered(self, y: Array) -> tuple[Array, Array]:
        """The residuals of labels after a fit of the fixed part alone, and its coefficients; improves precision.

        With a ridge the labels are left as they are, because the ridge is around zero.
        """
        if self.p == 0 or self.ridge.any():
            return y, np.zeros(self.p)
        lower = cholesky(self.among[self.q :, self.q :])
        fixed = substitute(lower, self.x.T @ (self.w * y))
        fixed += substitute(lower, self.x.T @ (self.w * (y - self.x @ fixed)))
        return y - self.x @ fixed, fixed

    def right(self, r: Array) -> Right:
        """Z'r and X'r."""
        return Right((self.first.z.T @ r).reshape(-1, self.first.size), self.rest.T @ r)

    def factor(self, factors: list[Array]) -> Factored:
        """Factors the system for these L; raises LinAlgError if rounding makes it singular."""
        return Factored(self, factors)

    def scores(self, factors: list[Array], found: Found) -> Array:
        """X b + Z L s."""
        total = self.x @ found.fixed
        for part, factor, s in zip(self.parts, factors, found.random, strict=True):
            total = total + part.z @ (s @ factor.T).ravel()
        return np.asarray(total)

    def products(self, r: Array, found: Found) -> list[Array]:
        """sum_e (Z_e'r) s_e' of each part."""
        return [(part.z.T @ r).reshape(-1, part.size).T @ s for part, s in zip(self.parts, found.random, strict=True)]


class Factored:
    """The factored system for some L: solutions, inverses and derivatives."""

    def __init__(self, system: System, factors: list[Array]) -> None:
        self.system = system
        self.of_first = factors[system.order[0]]
        self.of_others = [factors[r] for r in system.order[1:]]
        q = system.q
        size = system.first.size
        a = self.of_first.T @ system.own @ self.of_first + np.eye(size)
        self.lower = np.linalg.cholesky(a)
        self.inverse_lower = np.linalg.inv(self.lower)
        self.reduce = self.inverse_lower @ self.of_first.T  # A = lower lower'; lower^-1 L_1'
        self.reduced = (blocks(self.reduce) @ system.between).tocsr()
        self.left = system.among - dense(self.reduced.T @ self.reduced)
        self.spread = sparse.block_diag(
            [
                *(
                    sparse.kron(sparse.eye_array(part.entities), factor)
                    for part, factor in zip(system.others, self.of_others, strict=True)
                ),
                sparse.eye_array(system.p),
            ],
            format="csr",
        )
        self.left_spread = self.left @ self.spread
        schur = self.spread.T @ self.left_spread
        schur[range(q), range(q)] += 1
        self.schur = schur
        self.schur_lower = cholesky(schur[:q, :q] if system.passive else schur)

    def solve(self, right: Right) -> tuple[Found, float]:
        """The solution (of a passive system: for fixed coefficients of 0), and the right side's product with it."""
        first = np.einsum("eij,ej->ei", self.reduce, right.first)
        k = len(self.schur_lower)
        rest = (self.spread.T @ (right.rest - self.reduced.T @ first.ravel()))[:k]
        half = linalg.solve_triangular(self.schur_lower, rest, lower=True, check_finite=False)
        solved = np.zeros(self.system.rest.shape[1])
        solved[:k] = linalg.solve_triangular(self.schur_lower, half, lower=True, trans="T", check_finite=False)
        first_left = first - (self.reduced @ (self.spread @ solved)).reshape(first.shape)
        s = np.einsum("eji,ej->ei", self.inverse_lower, first_left)
        return self.in_order(s, solved), float((first * first).sum() + half @ half)

    def in_order(self, first: Array, rest: Array) -> Found:
        """Numbers of the first part and the rest, as the caller has the parts; trailing dimensions stay."""
        random: list[Array] = [np.zeros(0)] * len(self.system.parts)
        random[self.system.order[0]] = first
        at = 0
        for r in self.system.order[1:]:
            part = self.system.parts[r]
            width = part.z.shape[1]
            random[r] = rest[at : at + width].reshape(part.entities, part.size, *rest.shape[1:])
            at += width
        return Found(random, rest[at:])

    def log_determinant(self, with_fixed: bool) -> float:
        """The log determinant of the system of the effects, or of the whole system."""
        diagonal = self.schur_lower.diagonal()[: None if with_fixed else self.system.q]
        firsts = np.diagonal(self.lower, axis1=1, axis2=2)
        return 2 * float(array_log(firsts).sum() + array_log(diagonal).sum())

    @cached_property
    def inverses(self) -> Array:
        """A_e^-1."""
        return np.einsum("eki,ekj->eij", self.inverse_lower, self.inverse_lower)

    def inverse_of_rest(self, with_fixed: bool) -> Array:
        """S^-1, or that of its effects alone."""
        q = self.system.q
        if with_fixed or self.system.p == 0:
            return inverse(self.schur_lower)
        return inverse(self.schur_lower[:q, :q])

    def reach(self, inverse_of_rest: Array) -> Array:
        """Of each entity of the first part, Z_e'R S^-1 R'Z_e: (entities, size, size)."""
        system, k = self.system, len(inverse_of_rest)
        size, n = system.first.size, system.first.entities
        if k == 0:
            return np.zeros((n, size, size))
        across = (system.between @ self.spread)[:, :k].tocsr()
        found = np.empty((n, size, size))
        at_once = max(1, BUFFER // (k * size))
        for begin in range(0, n, at_once):
            rows = across[begin * size : (begin + at_once) * size]
            spread = rows @ inverse_of_rest
            if size == 1:
                found[begin : begin + at_once, 0, 0] = rows.multiply(spread).sum(axis=1)
                continue
            shape = (-1, size, k)
            found[begin : begin + at_once] = spread.reshape(shape) @ rows.toarray().reshape(shape).swapaxes(1, 2)
        return found

    def leverages(self) -> Array:
        """Of each example, z'L (L'Z'Z L + I)^-1 L'z: the variance of its score, given b."""
        system = self.system
        q = system.q
        own = (system.first.z @ blocks(self.reduce).T).tocsr()
        found = np.asarray(own.multiply(own).sum(axis=1)).ravel()
        if q == 0:
            return found
        spread = self.spread[:q, :q]
        middle = spread @ self.inverse_of_rest(False) @ spread.T
        left = (system.rest[:, :q] - own @ self.reduced[:, :q]).tocsr()
        at_once = max(1, BUFFER // q)
        for begin in range(0, left.shape[0], at_once):
            rows = left[begin : begin + at_once]
            found[begin : begin + at_once] += np.asarray(rows.multiply(rows @ middle).sum(axis=1)).ravel()
        return found

    def traces(self, with_fixed: bool) -> list[Array]:
        """Of each part, sum_e [Z'Z L (L'Z'Z L + I)^-1]_ee: half of the derivative of the log determinant by L."""
        system = self.system
        rest = self.inverse_of_rest(with_fixed)
        k = len(rest)
        found: list[Array] = [np.zeros(0)] * len(system.parts)
        own = system.own @ self.of_first @ self.inverses
        back = own @ self.of_first.T - np.eye(system.first.size)
        reach = self.reach(rest) @ self.of_first @ self.inverses
        found[system.order[0]] = (own + back @ reach).sum(axis=0)
        at = 0
        for r in system.order[1:]:
            part = system.parts[r]
            width, size = part.z.shape[1], part.size
            left = self.left_spread[at : at + width, :k]
            right = rest[at : at + width]
            found[r] = np.array(
                [[np.einsum("ij,ij->", left[i::size], right[j::size]) for j in range(size)] for i in range(size)]
            )
            at += width
        return found


def dense(matrix: Any) -> Array:
    """A sparse matrix as an array."""
    return np.asarray(matrix.toarray())


def blocks(matrices: Array) -> Any:
    """The block diagonal matrix of some, shape (n, d, d)."""
    n, d, _ = matrices.shape
    if d == 1:
        return sparse.diags_array(matrices[:, 0, 0], format="csr")
    return sparse.bsr_array((matrices, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d))


def cholesky(a: Array) -> Array:
    """The Cholesky factor; raises LinAlgError if there is none."""
    if len(a) == 0:
        return a
    lower, failed = linalg.lapack.dpotrf(a, lower=1, clean=1)
    if failed or not np.isfinite(lower[-1, -1]):
        raise np.linalg.LinAlgError("not positive definite")
    return np.asarray(lower)


def substitute(lower: Array, b: Array) -> Array:
    """Solves A x = b, given the Cholesky factor of A."""
    return np.asarray(linalg.lapack.dpotrs(lower, b, lower=1)[0])


def inverse(lower: Array) -> Array:
    """The log determinant of the matrix with this Cholesky factor."""
    if len(lower) == 0:
        return lower
    half = linalg.lapack.dpotri(lower, lower=1)[0]
    both = half + half.T
    np.fill_diagonal(both, half.diagonal())
    return np.asarray(both)
