"""Elementary functions: their errors against mpmath, and their special values against the C library's."""

import re
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

from tests.support.elementary_tables import tables
from vwlite.core import elementary

HEADER = Path(elementary.__file__).with_name("elementary.h")
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-320]
SPECIAL += [1.7976931348623157e308, -1.7976931348623157e308, 710.0, 709.782712893384, 709.7827128933841]
SPECIAL += [-745.1332191019411, -745.1332191019412, -746.0, 1e-20, -1e-20, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0]
SPECIAL += [1e10, -1e10, 2.0**53, -(2.0**53), 2.0**53 - 1, -(2.0**52) - 1, 1e300]
SPECIAL += [np.nextafter(1, 0), np.nextafter(1, 2), np.nextafter(-1, 0)]
SPECIAL_FLOATS = [*SPECIAL[:7], 1e-45, -1e-45, 1.17549435e-38, 3.40282347e38, 88.72283, 88.72284, -103.97, -104.0]
SPECIAL_FLOATS += [0.5, -2.0]
N = 4000


def uniform(low, high):
    return np.random.default_rng(1).uniform(low, high, N)


def magnitudes(low, high):
    """Of both signs, evenly by their logarithm."""
    draws = np.random.default_rng(2)
    return draws.choice([-1, 1], N) * np.exp(draws.uniform(np.log(low), np.log(high), N))


def bits(kind=np.float64):
    """Numbers of random bit patterns, finite."""
    size = np.dtype(kind).itemsize
    found = np.frombuffer(np.random.default_rng(3).bytes(N * size), kind)
    return found[np.isfinite(found)]


def positive(x):
    return np.abs(x[x != 0])


EXP = [uniform(-745, 709.7), uniform(-1, 1), magnitudes(1e-20, 1), uniform(-708, -650), uniform(708, 709.78)]
LOG = [
    uniform(0.5, 2),
    1 + uniform(-0.02, 0.02),
    positive(1 + magnitudes(1e-17, 0.5)),
    positive(bits()),
    uniform(0, 1e-310),
]
MORE = [uniform(-0.99, 1), magnitudes(1e-300, 0.9), 1 / positive(bits()), magnitudes(1e-17, 1e-2), uniform(0, 100)]
LESS = [uniform(-0.13, 0.13), uniform(-1, 1), uniform(-40, 709), magnitudes(1e-300, 0.5)]
TAIL = [uniform(-6, 6), uniform(0, 26), magnitudes(1e-20, 1)]


def errors(found, exact, kind=np.float64):
    """Errors in units in the last place of the exact results."""
    digits, least = np.finfo(kind).nmant + 1, np.finfo(kind).minexp
    ulps = (mp.ldexp(1, max(mp.frexp(e)[1] - 1, least) + 1 - digits) for e in exact)
    return max(float(abs(mpf(float(f)) - e) / u) for f, e, u in zip(found, exact, ulps, strict=True))


def exactly(function, *arguments):
    with mp.workprec(140):
        return [function(*(mpf(float(x)) for x in each)) for each in zip(*arguments, strict=True)]


@pytest.mark.parametrize(
    ("name", "function", "bound", "arguments"),
    [
        ("exp", mp.exp, 0.6, [EXP[0][EXP[0] > -700], *EXP[1:3], EXP[4]]),
        ("exp", mp.exp, 1, EXP),
        ("log", mp.log, 0.6, LOG),
        ("log1p", mp.log1p, 0.7, MORE),
        ("expm1", mp.expm1, 0.8, LESS),
        ("erfc", mp.erfc, 8, TAIL),
    ],
)
def test_error_of_double(name, function, bound, arguments):
    for x in arguments:
        assert errors(getattr(elementary, f"array_{name}")(x), exactly(function, x)) < bound


@pytest.mark.parametrize(
    ("name", "function", "arguments"),
    [
        ("expf", mp.exp, [uniform(-104, 88.7), uniform(-1, 1), magnitudes(1e-10, 1)]),
        ("logf", mp.log, [*LOG[:3], positive(bits(np.float32)), uniform(1e-45, 1e-39)]),
    ],
)
def test_error_of_float(name, function, arguments):
    for x in arguments:
        x = x.astype(np.float32)
        x = x[x != 0] if name == "logf" else x
        assert errors(getattr(elementary, f"array_{name}")(x), exactly(function, x), np.float32) < 0.503


@pytest.mark.parametrize(
    ("name", "function", "bound", "arguments"),
    [
        ("brief_exp", mp.exp, 1e-11, [EXP[0][EXP[0] > -700], *EXP[1:3]]),
        ("brief_log", mp.log, 1e-9, LOG),
    ],
)
def test_relative_error_of_brief(name, function, bound, arguments):
    for x in arguments:
        for found, exact in zip(getattr(elementary, f"array_{name}")(x), exactly(function, x), strict=True):
            assert abs(mpf(float(found)) - exact) <= bound * abs(exact)


@pytest.mark.parametrize("base", LOG)
def test_error_of_pow(base):
    base = base[np.log(base) != 0]
    for logs, bound in ((uniform(-700, 709.7), 0.6), (uniform(-745, -700), 1), (uniform(-1, 1), 0.6)):
        y = logs[: len(base)] / np.log(base)
        assert errors(elementary.array_pow(base, y), exactly(mp.power, base, y)) < bound


def test_error_of_powf():
    for base in (LOG[0], 1 + uniform(-0.02, 0.02), positive(bits(np.float32))):
        base = base.astype(np.float32)
        base = base[np.log(base) != 0]
        y = (uniform(-100, 88)[: len(base)] / np.log(base)).astype(np.float32)
        assert errors(elementary.array_powf(base, y), exactly(mp.power, base, y), np.float32) < 0.503


def same(found, expected):
    """Equal, with the signs of zeros, or both NaN."""
    return np.array_equal(found, expected, equal_nan=True) and np.array_equal(
        np.signbit(found)[~np.isnan(found)], np.signbit(expected)[~np.isnan(found)]
    )


@np.errstate(all="ignore")
@pytest.mark.parametrize("name", ["exp", "log", "log1p", "expm1", "brief_exp", "brief_log"])
def test_special_values_of_doubles(name):
    x = np.array(SPECIAL)
    found, expected = getattr(elementary, f"array_{name}")(x), getattr(np, name.removeprefix("brief_"))(x)
    exact = (expected == 0) | ~np.isfinite(expected)
    assert same(found[exact], expected[exact])
    assert np.allclose(found[~exact], expected[~exact], rtol=1e-9, atol=1e-323)


@np.errstate(all="ignore")
@pytest.mark.parametrize("name", ["exp", "log"])
def test_special_values_of_floats(name):
    x = np.array(SPECIAL_FLOATS, np.float32)
    found, expected = getattr(elementary, f"array_{name}f")(x), getattr(np, name)(x)
    exact = (expected == 0) | ~np.isfinite(expected)
    assert same(found[exact], expected[exact])
    assert np.allclose(found[~exact], expected[~exact], rtol=1e-6, atol=2e-45)


@np.errstate(all="ignore")
@pytest.mark.parametrize(("kind", "name"), [(np.float64, "pow"), (np.float32, "powf")])
def test_special_values_of_powers(kind, name):
    special = np.array(SPECIAL if kind is np.float64 else SPECIAL_FLOATS, kind)
    x, y = (at.ravel() for at in np.meshgrid(special, special))
    found, expected = getattr(elementary, f"array_{name}")(x, y), np.power(x, y)
    exact = (expected == 0) | (expected == 1) | ~np.isfinite(expected)
    assert same(found[exact], expected[exact])
    assert np.allclose(found[~exact], expected[~exact], rtol=1e-6, atol=2e-45 if kind is np.float32 else 1e-323)


def test_special_values_of_erfc():
    x = [np.inf, -np.inf, 0.0, -0.0, 30.0, -30.0, 1e300, -1e300]
    assert elementary.array_erfc(x).tolist() == [0, 2, 1, 1, 0, 2, 0, 2]
    assert np.isnan(elementary.array_erfc(np.nan))


def test_float_functions_are_monotonic():
    for low, high, name in ((-104, 88, "expf"), (-1e-3, 1e-3, "expf"), (1e-38, 1e38, "logf"), (0.9, 1.1, "logf")):
        start, end = (int(np.array(abs(x), np.float32).view(np.uint32)) for x in (low, high))
        if low < 0:
            start = 0
        at = np.arange(start, end, max((end - start) // 1_000_000, 1), dtype=np.uint32).view(np.float32)
        for x in [at] if low > 0 else [at, -at[::-1]]:
            assert (np.diff(getattr(elementary, f"array_{name}")(x)) >= 0).all()
    # every float around those where the table's row changes
    around = np.arange(-200, 200)
    for edge in (np.arange(-200, 200) + 0.5) * np.log(2) / 64:
        bits = np.float32(edge).view(np.int32) + around
        assert (np.diff(elementary.array_expf(np.sort(bits.astype(np.int32).view(np.float32)))) >= 0).all()
    for row in range(64):
        bits = 0x3F310000 + (row << 17) + around
        assert (np.diff(elementary.array_logf(bits.astype(np.int32).view(np.float32))) >= 0).all()


def test_arrays_keep_their_shape():
    assert elementary.array_exp(np.zeros((2, 3))[:, ::2]).tolist() == [[1, 1], [1, 1]]
    assert elementary.array_log(1.0).shape == ()
    with pytest.raises(ValueError, match="as many powers"):
        elementary.array_pow([1, 2], [1])


def test_tables_in_the_header_are_the_generated_ones():
    assert tables() in HEADER.read_text()


def test_header_calls_no_function_of_the_c_library():
    code = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    assert re.findall(r"#include (\S+)", code) == ["<stdint.h>", "<string.h>"]
    called = set(re.findall(r"\b(\w+)\(", code)) - {"if", "return", "sizeof", "__attribute__", "defined"}
    assert {name for name in called if not name.lower().startswith("vwl_")} <= {
        "memcpy",
        "__builtin_expect",
        "__builtin_fabs",
    }
