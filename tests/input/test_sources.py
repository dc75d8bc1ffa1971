"""Whatever the examples come from, the parser reads plain bytes from a file descriptor."""

import builtins
import bz2
import contextlib
import functools
import gc
import gzip
import io
import lzma
import os
import select
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vwlite.errors import VwliteError
from vwlite.input.sources import open_source


def zstd(data):
    return zstandard.compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),  # a second sooner than with the usual effort
    ".zst": zstd,
}
PACKERS[".lzma"] = lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE, preset=0)
LINES = b"".join(b"1 |user u%d |ad a%d:%.3f\n" % (n, n * 7919 % 1000, n / 7) for n in range(100_000))


@functools.cache
def pack_lines(suffix):
    return PACKERS[suffix](LINES)


packed = pytest.mark.parametrize("suffix", PACKERS)


def count_descriptors():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_stays_open():
    """No test of this file may leave a thread or a file descriptor behind; what others left may go meanwhile."""
    gc.collect()
    threads, descriptors = threading.active_count(), count_descriptors()
    yield
    assert threading.active_count() <= threads
    assert count_descriptors() <= descriptors


@pytest.fixture
def make(tmp_path):
    def make(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return make


def drain(source):
    return b"".join(iter(lambda: os.read(source.fd, 1 << 16), b""))


def read_all(path):
    with contextlib.closing(open_source(path)) as source:
        return drain(source)


def test_a_plain_file_is_read_as_it_is(make):
    path = make("a.vw", LINES)
    source = open_source(path)
    assert (source.name, source.size, source.position()) == (path, len(LINES), 0)
    assert os.read(source.fd, 1000) == LINES[:1000]
    assert source.position() == 1000
    assert drain(source) == LINES[1000:]
    assert source.position() == len(LINES)
    source.close()
    source.close()


@packed
def test_a_packed_file_is_unpacked_and_measured_in_packed_bytes(make, suffix):
    data = pack_lines(suffix)
    path = make(f"a.vw{suffix}", data)
    source = open_source(path)
    assert (source.name, source.size) == (path, len(data))
    assert os.read(source.fd, 1)
    assert source.position() in range(1, len(data) + 1)
    assert drain(source) == LINES[1:]
    source.close()
    assert source.position() == len(data)
    source.close()


@packed
def test_suffixes_may_be_in_capitals(make, suffix):
    assert read_all(make(f"A{suffix.upper()}", PACKERS[suffix](b"1 | a\n"))) == b"1 | a\n"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_members_one_after_another_are_all_read(make, suffix, parts):
    assert read_all(make(f"a{suffix}", b"".join(map(PACKERS[suffix], parts)))) == b"".join(parts)


@packed
def test_a_packed_file_of_nothing_is_nothing(make, suffix):
    assert read_all(make(f"a{suffix}", PACKERS[suffix](b""))) == b""


@packed
def test_a_packed_file_without_a_byte_is_refused(make, suffix):
    path = make(f"a{suffix}", b"")
    with pytest.raises(VwliteError, match=r"is empty, which no compressed file is; ") as caught:
        open_source(path)
    assert str(caught.value).startswith(f"{path}: ")


@packed
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_file_cut_short_fails_on_close_after_what_could_be_read(make, suffix, kept):
    data = pack_lines(suffix)
    path = make(f"a{suffix}", data[: int(len(data) * kept)])
    source = open_source(path)
    read = drain(source)
    assert LINES.startswith(read)
    if suffix != ".bz2":  # which unpacks 900 kB or nothing
        assert len(read) > (kept / 2 - 0.02) * len(LINES)
    with pytest.raises(VwliteError, match=r"damaged or cut short near byte \d+ \(.+\); make or fetch") as caught:
        source.close()
    assert str(caught.value).startswith(f"{path}: ")
    source.close()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_changed_byte_fails_on_close(make, suffix):
    data = bytearray(pack_lines(suffix))
    data[len(data) // 2] ^= 0x55
    source = open_source(make(f"a{suffix}", data))
    drain(source)
    with pytest.raises(VwliteError, match="damaged"):
        source.close()


@packed
@given(st.binary(min_size=1, max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_any_bytes_are_unpacked_or_refused_with_the_name(make, suffix, data):
    source = open_source(make(f"a{suffix}", data))
    drain(source)
    message = source.name
    try:
        source.close()
    except VwliteError as error:
        message = str(error)
    assert message.startswith(source.name)


@packed
@pytest.mark.parametrize("read", [0, 1, 100_000])
def test_leaving_early_is_no_failure(make, suffix, read):
    source = open_source(make(f"a{suffix}", pack_lines(suffix)))
    while read > 0:
        read -= len(os.read(source.fd, read))
    source.close()


def test_damage_beyond_what_was_wanted_is_no_failure(make):
    source = open_source(make("a.gz", gzip.compress(b"1 | a\n" * 1000)[:-4]))
    while any(thread.name.startswith("unpack") for thread in threading.enumerate()):
        time.sleep(0.001)
    os.read(source.fd, 6)
    source.close()


def test_damage_right_after_the_last_byte_that_was_read_is_a_failure(make):
    source = open_source(make("a.gz", gzip.compress(b"1 | a\n")[:-4]))
    assert drain(source) == b"1 | a\n"
    with pytest.raises(VwliteError):
        source.close()


def test_leaving_early_is_no_death_where_sigpipe_is_deadly(make):
    path = make("a.gz", gzip.compress(LINES))
    script = (
        "import os, signal, sys; from vwlite.input.sources import open_source\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "source = open_source(sys.argv[1]); os.read(source.fd, 1); source.close(); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == "alive\n"


def test_a_named_pipe_is_read_and_has_no_size(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(b"1 | a\n"))
    writer.start()
    source = open_source(path)
    assert (source.size, source.position()) == (None, None)
    assert drain(source) == b"1 | a\n"
    source.close()
    writer.join()


def test_a_named_pipe_may_carry_packed_data_slowly_and_be_left(tmp_path):
    path = str(tmp_path / "pipe.gz")
    os.mkfifo(path)
    data = gzip.compress(LINES)
    with contextlib.ExitStack() as stack:
        writer = threading.Thread(
            target=lambda: stack.enter_context(open(path, "wb", buffering=0)).write(data[:20_000])
        )
        writer.start()
        source = open_source(path)
        assert LINES.startswith(os.read(source.fd, 1000))
        writer.join()
        assert source.size is None
        assert source.position() == 20_000
        # The writer is still there and silent: waiting for it would take for ever.
        while not select.select([source.fd], [], [], 0)[0]:
            time.sleep(0.001)
        source.close()


def test_process_substitution_is_read():
    script = (
        "import os, sys; from vwlite.input.sources import open_source\n"
        "source = open_source(sys.argv[1]); print(source.size, os.read(source.fd, 9)); source.close()"
    )
    command = ["bash", "-c", '"$0" -c "$1" <(echo 1)', sys.executable, script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "None b'1\\n'\n"


def run_on_stdin(script, **kwargs):
    script = f"import os, sys; from vwlite.input.sources import open_source\n{script}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, **kwargs).stdout


@pytest.mark.parametrize("name", [None, "-"])
def test_standard_input_is_read_and_stays_open(make, name):
    script = (
        f"s = open_source({name!r}); print(s.name, s.fd, s.size, s.position(), os.read(0, 2)); s.close(); os.fstat(0)"
    )
    assert run_on_stdin(script, input="ab") == "stdin 0 None None b'ab'\n"
    with open(make("a", b"abc")) as file:
        assert run_on_stdin(script, stdin=file) == "stdin 0 3 0 b'ab'\n"


def test_standard_input_that_is_closed_or_a_folder_is_refused():
    script = "try: open_source('-')\nexcept Exception as e: print(type(e).__name__, e)"
    expected = "VwliteError stdin: is closed or a folder; name a file with -d\n"
    assert run_on_stdin(f"os.close(0)\n{script}") == expected
    # Python doesn't start at all on a folder.
    assert run_on_stdin(f"os.dup2(os.open('/', os.O_RDONLY), 0)\n{script}") == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tarin.vw", "no such file; did you mean {folder}/train.vw?"),
        ("test", "no such file; did you mean {folder}/test.vw.gz?"),
        ("quite different", "no such file"),
        ("nowhere/train.vw", "no such file: the folder {folder}/nowhere does not exist"),
        ("train.vw/x", "a part of its path is a file, not a folder"),
        ("folder", "is a folder, not a file; name a file in it"),
        ("folder.gz", "is a folder, not a file; name a file in it"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_what_cannot_be_opened_is_explained_in_one_line(make, tmp_path, name, message):
    make("train.vw", b"")
    make("test.vw.gz", b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.gz").mkdir()
    path = f"{tmp_path}/{name}"
    with pytest.raises(VwliteError) as caught:
        open_source(path)
    assert str(caught.value) == f"{path}: {message.format(folder=tmp_path)}"


def test_a_name_in_the_current_folder_is_suggested_without_it(make, tmp_path, monkeypatch):
    make("train.vw", b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VwliteError, match=r"^tran.vw: no such file; did you mean train.vw\?$"):
        open_source("tran.vw")


def test_a_file_that_may_not_be_read_is_refused(make, monkeypatch):
    path = make("a", b"")

    def deny(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(VwliteError, match="permission denied; "):
        open_source(path)


def forbid(monkeypatch, *modules):
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        if name in modules:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)


def test_without_a_zstd_the_remedy_is_named(make, monkeypatch):
    path = make("a.zst", zstd(b""))
    forbid(monkeypatch, "zstandard", "compression")
    with pytest.raises(VwliteError, match=r"cannot unpack \.zst .*; pip install 'vwlite\[zstd\]'"):
        open_source(path)


def test_zstd_of_the_standard_library_comes_first(make, monkeypatch):
    library = types.SimpleNamespace(zstd=types.SimpleNamespace(ZstdFile=lambda file: io.BytesIO(b"from the library")))
    monkeypatch.setitem(sys.modules, "compression", library)
    forbid(monkeypatch, "zstandard")
    assert read_all(make("a.zst", zstd(b"from the package"))) == b"from the library"


def test_nothing_that_unpacks_is_imported_for_a_plain_file(make):
    script = (
        "import sys; from vwlite.input.sources import open_source; open_source(sys.argv[1]).close()\n"
        "print({'gzip', 'bz2', 'lzma', 'zlib', 'zstandard', 'difflib', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, make("a", b"")], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_place_in_a_source_that_another_thread_is_closing_is_unknown(tmp_path, monkeypatch):
    (tmp_path / "data").write_text("1 | a\n")
    source = open_source(str(tmp_path / "data"))
    assert source.position() == 0

    def gone(*_: object) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "lseek", gone)
    assert source.position() is None
    source.close()
