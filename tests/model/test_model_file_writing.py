"""Writing a model leaves the new one or the old one, whatever happens meanwhile."""

import array
import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.model_files import ARRAYS, METADATA, content, read_bytes
from vwlite.errors import ModelError
from vwlite.model import model_file


@pytest.fixture
def model(tmp_path):
    path = str(tmp_path / "m.model")
    model_file.write(path, ARRAYS, METADATA)
    return path


def leftovers(path):
    return [other for other in Path(path).parent.iterdir() if other != Path(path)]


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_the_old_model_and_nothing_else(model, monkeypatch, step, failure):
    old = read_bytes(model)

    def fail(*args):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else ModelError) as caught:
            model_file.write(model, {}, {})
    if isinstance(failure, OSError):
        assert "older model there is unchanged: no space left on the disk; " in str(caught.value)
    assert read_bytes(model) == old
    assert leftovers(model) == []


def test_a_full_disk_leaves_the_old_model(model):
    old = read_bytes(model)
    script = (
        "import resource, signal, sys; from vwlite import errors; from vwlite.model import model_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: model_file.write(sys.argv[1], {'a': ('U8', [10**6], bytes(10**6))}, {})\n"
        "except errors.ModelError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, model], capture_output=True, text=True, check=True)
    assert "not saved" in done.stdout
    assert read_bytes(model) == old
    assert leftovers(model) == []


class InPieces:
    """Three bytes, one at a time."""

    nbytes = 3

    def __iter__(self):
        return iter([b"a", b"b", b"c"])


def test_an_array_in_pieces_is_written_whole_and_has_to_fit_its_shape(model):
    model_file.write(model, {"a": ("U8", [3], InPieces())}, {})
    assert bytes(model_file.open(model).array("a", "U8")) == b"abc"
    old = read_bytes(model)
    for dtype, shape in (("U8", [4]), ("U32", [1])):
        with pytest.raises(ValueError, match="3 bytes do not make"):
            model_file.write(model, {"a": (dtype, shape, InPieces())}, {})
    assert read_bytes(model) == old


def test_a_killed_writer_leaves_the_old_model(model):
    old = read_bytes(model)
    script = (
        "import os, signal, sys; from vwlite.model import model_file\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
        "model_file.write(sys.argv[1], {}, {})"
    )
    assert subprocess.run([sys.executable, "-c", script, model], check=False).returncode < 0
    assert read_bytes(model) == old


def test_data_are_on_disk_before_the_rename_and_the_folder_after(model, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(fd):
        steps.append("flush folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "flush file")
        fsync(fd)

    def noted_replace(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    model_file.write(model, ARRAYS, METADATA)
    assert steps == ["flush file", "rename", "flush folder"]


def test_an_open_reader_keeps_the_model_it_opened(model):
    reader = model_file.open(model)
    model_file.write(model, {"gd.weight": ("F32", [1], array.array("f", [9]))}, {})
    assert reader.array("gd.weight", "F32").tolist() == [0.5, -1.5, 2.0]
    assert model_file.open(model).array("gd.weight", "F32").tolist() == [9]


def test_permissions_follow_the_umask_and_then_the_old_model(tmp_path):
    path = tmp_path / "m.model"
    old = os.umask(0o027)
    try:
        model_file.write(path, {}, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        model_file.write(path, {}, {})
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "m.model"
    link.symlink_to("there/m.model")
    for number in range(2):  # the target is missing at first
        model_file.write(link, {}, {"number": number})
        assert link.is_symlink()
        assert not target.is_symlink()
        assert model_file.open(target).metadata["number"] == number


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "m.model"
    model_file.write(path, ARRAYS, METADATA)
    assert content(path)


def test_a_name_without_a_folder_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_file.write("m.model", {}, {})
    assert list(tmp_path.iterdir()) == [tmp_path / "m.model"]


def test_devices_and_pipes_are_written_to_and_not_replaced(tmp_path, model):
    model_file.write("/dev/null", ARRAYS, METADATA)
    assert Path("/dev/null").is_char_device()
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(read_bytes(pipe)))
    reader.start()
    model_file.write(pipe, ARRAYS, METADATA)
    reader.join()
    assert received == [read_bytes(model)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_device_that_takes_nothing_is_a_model_error():
    with pytest.raises(ModelError, match="no space left"):
        model_file.write("/dev/full", ARRAYS, METADATA)


def test_folders_files_in_the_way_and_protected_models_are_refused(tmp_path, model, monkeypatch):
    with pytest.raises(ModelError, match="is a folder"):
        model_file.write(tmp_path, {}, {})
    with pytest.raises(ModelError, match="a part of its path is a file"):
        model_file.write(f"{model}/x", {}, {})
    # Asked of the system in words, because the tests may run as root, whom nothing is denied.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ModelError, match="permission denied; "):
        model_file.write(model, {}, {})
    assert content(model)[0]["id"] == "abc"


@pytest.mark.parametrize(
    "broken",
    [("F16", [1], b"ab"), ("F32", [2], b"abcd"), ("U8", [2], memoryview(b"abcd")[::2])],
)
def test_arrays_that_contradict_themselves_are_refused_before_anything_is_written(model, broken):
    old = read_bytes(model)
    with pytest.raises(ValueError, match="array 'a'"):
        model_file.write(model, {"a": broken}, {})
    assert read_bytes(model) == old


def test_metadata_beyond_the_limit_of_the_format_are_refused(model, monkeypatch):
    monkeypatch.setattr(model_file, "HEADER_LIMIT", 1000)
    old = read_bytes(model)
    with pytest.raises(ModelError, match="of at most 1000; nothing was written"):
        model_file.write(model, {}, {"journal": "x" * 1000})
    assert read_bytes(model) == old


def test_equal_models_are_equal_files(model, tmp_path):
    again = str(tmp_path / "again")
    model_file.write(again, ARRAYS, METADATA)
    assert read_bytes(again) == read_bytes(model)
