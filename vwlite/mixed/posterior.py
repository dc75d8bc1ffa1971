"""The posterior of coefficients after a joint fit of all parts, in pieces that tables of entities can hold.

The posterior of all coefficients is normal; in units of the noise its precision is M = [Z'Z + P, Z'X; X'Z, X'X]. It is
stored as the marginal of the fixed coefficients (exact for examples without a known entity), and the conditional of
each entity given the fixed ones:  u_e | b ~ N(m_e - K_e (b - m_b), v (E_e + P)^-1).  With one effect this is exact;
with several, it neglects the dependence between entities of different effects, given b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from vwlite.mixed.system import Array, Factored, System

MOST_LEANING = 4_000_000  # the most numbers stored of the dependence of an effect's entities on the fixed part


class Known(NamedTuple):
    """In units of the columns of X and Z, and of the noise."""

    information: Array  # information of the data about the fixed coefficients, effects integrated out; (p, p)
    data: list[Array]  # E_e of each part, (entities, size, size)
    leans: list[Array | None]  # K_e of each part, (entities, size, p); None if too large


def known(system: System, factors: list[Array]) -> Known:
    """The posterior at the factors L, none of them singular; the system is a passive one."""
    factored = Factored(system, factors)
    q, p = system.q, system.p
    rest = factored.inverse_of_rest(False)
    across = factored.schur[:q, q:]
    solved = rest @ across
    information = factored.schur[q:, q:] - across.T @ solved
    information = (information + information.T) / 2
    reach = factored.reach(rest)
    size = system.first.size
    within = factored.of_first @ factored.inverses @ factored.of_first.T
    first = system.own - reach @ np.linalg.inv(np.eye(size) + within @ reach)
    data: list[Array] = [np.zeros(0)] * len(factors)
    data[system.order[0]] = (first + first.swapaxes(1, 2)) / 2
    at = 0
    for r in system.order[1:]:
        part = system.parts[r]
        n, d = part.entities, part.size
        places = at + np.arange(n * d).reshape(n, d)
        blocks = rest[places[:, :, None], places[:, None, :]]
        unit = np.linalg.inv(factors[r])
        more = unit.T @ (np.linalg.inv(blocks) - np.eye(d)) @ unit
        data[r] = (more + more.swapaxes(1, 2)) / 2
        at += n * d
    leans: list[Array | None] = [None] * len(factors)
    wanted = [part.z.shape[1] * p <= MOST_LEANING for part in system.parts]
    if p and any(wanted):
        spread = factored.spread[:q, :q] @ solved
        in_order = factored.in_order(np.zeros(0), np.vstack([spread, np.zeros((p, p))]))
        for r, one in enumerate(wanted):
            if one and r != system.order[0]:
                leans[r] = in_order.random[r]
        if wanted[system.order[0]]:
            reduced = factored.reduced[:, q:].toarray() - factored.reduced[:, :q] @ spread
            reduced = reduced.reshape(system.first.entities, size, p)
            leans[system.order[0]] = np.einsum("eji,ejp->eip", factored.reduce, reduced)
    return Known(information, data, leans)


def smallest_norm(information: Array, b: Array, n_implied: int) -> Array:
    """The shortest vector of fixed coefficients that fits as well as b, if some columns depend on others."""
    if n_implied == 0:
        return b
    diagonal = information.diagonal()
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1))
    vectors = linalg.eigh(information * scale * scale[:, None])[1]
    basis = linalg.qr(vectors[:, :n_implied] * scale[:, None], mode="economic")[0]
    return np.asarray(b - basis @ (basis.T @ b))
