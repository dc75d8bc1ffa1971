"""Numbers of predictions as text: Python's formats, which round as printf does, for every size of number."""

import random
import struct

import pytest

FLAGS = ["-t", "--noconstant", "--min_prediction=-3e38", "--max_prediction=3e38"]
EDGES = [0.0, 1.0, -1.0, 9.5, 10.0, 99999.0, 999999.0, 1e6, -1e6, 1048575.5, 999999.9375, 9.9999995, 0.0000005]
EDGES += [1e-4, 9.9999e-5, -1e-4, -9.9999e-5, 0.0000015, 0.5 + 2**-20, 1.25e-7, 1e7 + 1, 3e38, 1e-40, 2**-149]


def single(number: float) -> float:
    """The nearest number in single precision."""
    return struct.unpack("f", struct.pack("f", number))[0]


def numbers() -> list[float]:
    """Numbers of all sizes, and halves of the sixth decimal, which are rounded to the even digit."""
    source = random.Random(7)
    found = [source.choice((-1, 1)) * 10 ** source.uniform(-9, 9) for _ in range(6000)]
    found += [float(source.randrange(-(10**k), 10**k)) for k in range(1, 9) for _ in range(100)]
    found += [source.randrange(-(2**20), 2**20) / 2**k for k in range(1, 21) for _ in range(100)]
    return [single(number) for number in EDGES + found]


def shown(number: float, as_vw: bool) -> str:
    if number == int(number):
        return f"{number:.0f}"
    return f"{number:.6g}" if abs(number) < 1e-4 and not as_vw else f"{number:.6f}"


@pytest.mark.parametrize("compat", [[], ["--vw_compat"]])
def test_predictions_are_written_as_printf_would(run, compat):
    given = numbers()
    text, _ = run([f"1 1 {number!r} |a b" for number in given], *FLAGS, *compat)
    assert text.split() == [shown(number, bool(compat)) for number in given]
