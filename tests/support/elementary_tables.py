"""Tables and polynomials of vwlite/core/elementary.h: `python -m tests.support.elementary_tables` prints them.

Polynomials interpolate at Chebyshev nodes, which is within a factor of 2 or so of the best approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mpmath import mp, mpf

mp.prec = 400  # also enough for erfc far out, by its asymptotic series

Real = Any  # mpmath's numbers
STEPS = 64  # rows of each table
LOG_FIRST = mpf("0.69140625")  # the rows of the table of logarithms cover LOG_FIRST ... 2 LOG_FIRST
LOG_REACH = mpf(2) ** -7 + mpf(2) ** -12  # largest r = x / c - 1
EXP_REACH = mp.log(2) / (2 * STEPS) * (1 + mpf(2) ** -20)


def rounded(x: Real, bits: int) -> Real:
    """`x` to a multiple of 2**-bits."""
    return mp.nint(mp.ldexp(x, bits)) / mp.ldexp(1, bits)


def literal(x: Real) -> str:
    """A C literal of the double nearest to `x`."""
    text = float(x).hex()
    mantissa, exponent = text.split("p")
    return f"{mantissa.rstrip('0').removesuffix('.') if '.' in mantissa else mantissa}p{exponent}"


def polynomial(series: Callable[[int], Real], reach: Real, terms: int) -> list[Real]:
    """Coefficients, lowest first, of a polynomial near a power series for |x| <= reach."""
    return interpolation(lambda x: mp.fsum(series(n) * x**n for n in range(80)), reach, terms)


def interpolation(function: Callable[[Real], Real], reach: Real, terms: int) -> list[Real]:
    """Coefficients, lowest first, of the polynomial through a function's values at Chebyshev nodes."""
    nodes = [reach * mp.cos(mp.pi * (2 * i + 1) / (2 * terms)) for i in range(terms)]
    powers = mp.matrix(terms, terms)
    for i in range(terms):
        for j in range(terms):
            powers[i, j] = nodes[i] ** j
    return list(mp.lu_solve(powers, mp.matrix([function(x) for x in nodes])))


def factors(step: Real) -> list[Real]:
    """c0 ... c3 of (c0 + c1 t) (c2 + c3 t + t^2), a cubic polynomial near e^(step t), |t| <= 1/2; exactly 1 at 0."""
    a, b, c = polynomial(lambda n: step ** (n + 1) / mp.factorial(n + 1), mpf("0.5"), 3)
    root = mp.findroot(lambda t: 1 + t * (a + t * (b + t * c)), -1.6 / step)  # the real one
    return [-root * c, c, -1 / (root * c), b / c + root]


def array(name: str, values: list[str], per_line: int) -> list[str]:
    """Lines of a C array."""
    rows = [", ".join(values[i : i + per_line]) for i in range(0, len(values), per_line)]
    return [f"static const {name}[{len(values)}] = {{", *(f"    {row}," for row in rows), "};"]


def coefficients(name: str, series: Callable[[int], Real], reach: Real, terms: int) -> list[str]:
    """Lines of a C array with a polynomial."""
    return array(f"double {name}", [literal(c) for c in polynomial(series, reach, terms)], 4)


def logarithms() -> list[str]:
    """Rows {1 / c, log c to a multiple of 2**-42, the rest of it, 64 log2 c}; 1 / c has 12 bits, and is 1 around 1."""
    rows = []
    for j in range(STEPS):
        # rows are equal steps of the bit pattern: their width is 2**-7 below 1, and 2**-6 above
        places = mpf(j) + mpf("0.5")
        x = LOG_FIRST + places / 128
        if x >= 1:
            x = 1 + (x - 1) * 2
        inverse = rounded(1 / x, 11 if x > 1 else 10)
        high = rounded(-mp.log(inverse), 42)
        values = (inverse, high, -mp.log(inverse) - high, -STEPS * mp.log(inverse, 2))
        rows.append(f"{{{', '.join(map(literal, values))}}}")
    return array("vwl_log_row vwl_logs", rows, 1)


def powers() -> list[str]:
    """Rows {2^(j/64) as a double, the relative rest}."""
    rows = []
    for j in range(STEPS):
        exact = mpf(2) ** (mpf(j) / STEPS)
        near = mpf(float(exact))
        rows.append(f"{{{literal(near)}, {literal(exact / near - 1)}}}")
    return array("vwl_power_row vwl_powers", rows, 2)


def error_function() -> list[str]:
    """Eight polynomials near e^(x^2) erfc x, in the distance of u = 4 / (2 + x) from the middles of equal parts."""

    def near(middle: Real, t: Real) -> Real:
        x = 4 / (middle + t) - 2
        return mp.exp(x * x) * mp.erfc(x)

    rows: list[Real] = []
    for part in range(8):
        middle = mpf(2 * part + 1) / 8
        rows += interpolation(partial(near, middle), mpf(1) / 8, 12)
    return array("double vwl_erfc_terms", [literal(c) for c in rows], 4)


def split(name: str, x: Real, bits: int) -> list[str]:
    """Lines of two constants, a multiple of 2**-bits and the rest."""
    high = rounded(x, bits)
    return [f"#define {name}_HIGH {literal(high)}", f"#define {name}_LOW {literal(x - high)}"]


def tables() -> str:
    """The generated part of the header."""
    step = mp.log(2) / STEPS
    return "\n".join(
        [
            f"#define VWL_STEPS_OF_E {literal(1 / step)} /* 64 / log 2 */",
            *split("VWL_STEP", step, 40),
            *split("VWL_LOG_2", mp.log(2), 42),
            *powers(),
            *logarithms(),
            "/* (e^r - 1 - r) / r^2 */",
            *coefficients("vwl_exp_terms", lambda n: 1 / mp.factorial(n + 2), EXP_REACH, 4),
            "/* 2^(t/64) = (c0 + c1 t) (c2 + t (c3 + t)) */",
            *array("double vwl_brief_exp_factors", [literal(c) for c in factors(step)], 4),
            "/* (log(1 + r) - r + r^2 / 2) / r^3 */",
            *coefficients("vwl_log_terms", lambda n: mpf(-1) ** n / (n + 3), LOG_REACH, 5),
            "/* the same, for pow */",
            *coefficients("vwl_pow_terms", lambda n: mpf(-1) ** n / (n + 3), LOG_REACH, 7),
            "/* (log(1 + r) - r) / r^2 */",
            *coefficients("vwl_brief_log_terms", lambda n: mpf(-1) ** (n + 1) / (n + 2), LOG_REACH, 3),
            "/* 64 log2(1 + r) / r */",
            *coefficients("vwl_powf_terms", lambda n: mpf(-1) ** n / (n + 1) / step, LOG_REACH, 5),
            "/* (e^x - 1 - x - x^2 / 2) / x^3 for |x| < 1/8 */",
            *coefficients("vwl_expm1_terms", lambda n: 1 / mp.factorial(n + 3), mpf("0.126"), 8),
            "/* e^(x^2) erfc x */",
            *error_function(),
        ]
    )


if __name__ == "__main__":
    print(tables())
