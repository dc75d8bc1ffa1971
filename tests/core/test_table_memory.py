"""Memory of the weight table: huge pages only for long texts, the same results without them, and too little of it."""

import os
import re
import resource
import subprocess
import sys

import pytest

from tests.support.command import VWLITE, run

# what the kernel takes away before the command begins
FORBID = "import ctypes, os, sys; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
LIMIT = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29)); \
os.execv(sys.argv[1], sys.argv[1:])"


def lines(count: int) -> str:
    return "".join(
        f"{(-1) ** (i * i // 3)} |a user={i * 7919 % 5003} item={i * 31 % 997} |b x:{i % 7}\n" for i in range(count)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="prctl and huge pages are Linux's")
def test_the_same_results_where_huge_pages_are_forbidden(tmp_path):
    data = tmp_path / "data"
    data.write_text(lines(20_000))
    words = [*VWLITE, str(data), "-b", "20", "--quiet", "-p", "/dev/stdout"]
    allowed = subprocess.run(words, capture_output=True, check=True).stdout
    forbidden = subprocess.run([sys.executable, "-c", FORBID, *words], capture_output=True, check=True).stdout
    assert allowed.count(b"\n") == 20_000
    assert allowed == forbidden
    piped = run("-b", "20", "--quiet", "-p", "/dev/stdout", text=data.read_bytes()).stdout
    assert piped.encode() == allowed


def memory(*words: str) -> int:
    """Runs the command; returns the most memory that it took, in kB."""
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return int(subprocess.run([sys.executable, "-c", measure, *VWLITE, *words], capture_output=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
def test_a_short_run_with_a_large_table_takes_little_memory(tmp_path):
    data = tmp_path / "data"
    data.write_text(lines(20))
    small, large = (memory(str(data), "--quiet", "-b", bits) for bits in ("10", "26"))
    assert large < small + 20_000  # the table has 1 GB


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
def test_a_long_text_of_few_features_takes_memory_for_these(tmp_path):
    data = tmp_path / "data"
    data.write_text("".join(f"{(-1) ** i} |a user={i % 499} b_longer_name={i % 89}\n" for i in range(200_000)))
    small, large = (memory(str(data), "--quiet", "-b", bits) for bits in ("10", "24"))
    assert large < small + 30_000  # the table has 256 MB


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS has no effect elsewhere")
@pytest.mark.skipif("VWLITE_SANITIZED" in os.environ, reason="the address sanitizer maps terabytes")
def test_a_limit_below_the_table_is_explained(tmp_path):
    data = tmp_path / "data"
    data.write_text("1 |a b\n")
    words = [*VWLITE, str(data), "-b", "28", "--quiet"]
    refused = subprocess.run([sys.executable, "-c", LIMIT, *words], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert re.fullmatch(r"vwlite: error: -b 28 needs 4\.0 GiB of memory: use fewer bits\n", refused.stderr)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 29
