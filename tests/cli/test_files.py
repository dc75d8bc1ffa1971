"""No file is harmed that was not meant: whatever a command line names, twice, as a device, a pipe or a link."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.command import VWLITE, run
from tests.support.daemon import refusal, serving, wait_until
from vwlite.core import files
from vwlite.errors import ModelError
from vwlite.model import model_file

TEXT = "".join(f"{1 if i % 3 else -1} 'tag{i} |a x{i % 5} y:{i % 7 + 0.5} |b z{i % 2}\n" for i in range(40))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own with data and a model in it."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(TEXT)
    run("data.txt", "-f", "good.model", "--quiet")
    Path("conf.toml").write_text("passes = 1\n")
    os.symlink("data.txt", "symbolic")
    os.link("data.txt", "hard")
    (tmp_path / "link").symlink_to(".")
    return tmp_path


def listing() -> dict[str, bytes]:
    """What is in the folder, links not followed into it."""
    return {path: Path(path).read_bytes() for path in sorted(os.listdir()) if os.path.isfile(path)}


# One file for two things


OUTPUTS = ["-f", "-p", "-r", "--readable_model", "--invert_hash", "--cache_file"]


@pytest.mark.parametrize("name", ["data.txt", "./data.txt", "symbolic", "hard", "link/data.txt"])
@pytest.mark.parametrize("flag", OUTPUTS)
def test_no_output_goes_over_the_data(flag, name):
    before = listing()
    done = run("-d", "data.txt", flag, name, status=1)
    (line,) = done.stderr.splitlines()
    assert line.startswith("vwlite: error: the data and --") and "are the same file, data.txt" in line
    assert listing() == before


@pytest.mark.parametrize("flag", [flag for flag in OUTPUTS if flag != "-f"])
def test_no_output_goes_over_the_model(flag):
    before = listing()
    done = run("data.txt", "-i", "good.model", flag, "good.model", status=1)
    assert "--initial_regressor" in done.stderr and "are the same file, good.model" in done.stderr
    assert listing() == before


@pytest.mark.parametrize("one", OUTPUTS)
@pytest.mark.parametrize("other", OUTPUTS)
def test_no_two_outputs_are_one_file(one, other):
    if one >= other:
        pytest.skip("the same pair, or one flag twice")
    before = listing()
    done = run("data.txt", one, "new", other, "link/new", status=1)
    assert "are the same file" in done.stderr
    assert listing() == before


@pytest.mark.parametrize(
    "words",
    [
        "--config conf.toml -p conf.toml",
        "--fixed_effect good.model -f good.model",
        "-c -p data.txt.vwlite_cache",
        "-f new -p new.entities",
        "-i good.model -f new -p new.entities.new",
        "-f new --save_per_pass --passes 3 --holdout_off -p new.2",
        "-f new --save_per_pass --passes 3 --holdout_off -i new.0",
    ],
)
def test_files_that_are_named_otherwise_are_kept_apart_too(words):
    Path("new.0").write_bytes(Path("good.model").read_bytes())
    before = listing()
    done = run("data.txt", *words.split(), status=1)
    assert "name another file" in done.stderr and done.stderr.count("\n") == 1
    assert listing() == before


@pytest.mark.parametrize("flag", ["-f", "-i", "--readable_model", "--invert_hash", "--cache_file", "--fixed_effect"])
def test_a_dash_is_no_stream_where_a_file_is_wanted(flag):
    for words in (["data.txt"], ["--daemon", "--port", "0"] if flag in ("-f", "-i") else ["data.txt"]):
        before = listing()
        assert "-: only --data, --predictions and --raw_predictions take - " in run(*words, flag, "-", status=1).stderr
        assert listing() == before
    if flag in ("-f", "--readable_model"):
        run("data.txt", flag, "./-")
        assert Path("-").stat().st_size > 0


def test_standard_streams_are_looked_at_like_files():
    for words, redirected in (("-p data.txt", "< data.txt"), ("-p /dev/stdout data.txt", ">> data.txt")):
        done = subprocess.run(
            f"{sys.executable} -m vwlite {words} {redirected}", shell=True, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1 and "are the same file" in done.stderr
        assert Path("data.txt").read_text() == TEXT


def test_what_is_meant_is_allowed():
    run("data.txt", "-i", "good.model", "-f", "good.model")
    run("data.txt", "-i", "good.model", "-f", "link/good.model")
    run("data.txt", "-p", "/dev/null", "-r", "/dev/null", "-f", "/dev/null")
    with open("both", "w") as file:
        subprocess.run([*VWLITE, "data.txt", "-p", "/dev/stdout", "-r", "/dev/stdout"], stdout=file, check=True)
    assert len(Path("both").read_text().splitlines()) == 80
    run("-d", "data.txt", "-d", "data.txt", "-p", "p", "--save_per_pass", "-f", "m", "--passes", "2", "-t")


@pytest.mark.parametrize(
    "words",
    [
        "--pid_file x --port_file link/x",
        "--pid_file token --token_file token",
        "--port_file good.model -i good.model",
        "--pid_file good.model -f good.model",
        "--socket s --pid_file s",
        "--journal j -f j/checkpoint.model",
        "--journal j --pid_file link/j/pid",
    ],
)
def test_files_of_a_daemon_are_kept_apart(words):
    Path("token").write_text("0123456789abcdef")
    Path("token").chmod(0o600)
    Path("j").mkdir()
    before = listing()
    place = [] if "--socket" in words else ["--port", "0"]
    said = refusal("--daemon", *place, *words.split())
    assert "name another" in said
    assert listing() == before and os.listdir("j") == []


@pytest.mark.parametrize(
    "words",
    ["residual data.txt data.txt -o data.txt", "simulate data.txt --curves data.txt", "client -o hard data.txt"],
)
def test_subcommands_keep_their_files_apart(words):
    assert "are the same file" in run(*words.split(), status=1).stderr
    assert Path("data.txt").read_text() == TEXT


# What is no regular file


def device(kind: int, major: int, minor: int) -> None:
    os.mknod("device", kind | 0o600, os.makedev(major, minor))


@AS_ROOT
@pytest.mark.parametrize("flag", ["-f", "-p", "-r", "--readable_model", "--invert_hash"])
def test_a_device_is_written_to_and_stays(flag):
    device(stat.S_IFCHR, 1, 3)  # as /dev/null
    run("data.txt", flag, "device")
    assert stat.S_ISCHR(os.lstat("device").st_mode)


@AS_ROOT
def test_a_device_is_no_cache_and_stays():
    device(stat.S_IFCHR, 1, 3)
    done = run("data.txt", "--cache_file", "device", status=1)
    assert done.stderr.startswith("vwlite: error: device: ") and "no regular file" in done.stderr
    assert stat.S_ISCHR(os.lstat("device").st_mode)


@AS_ROOT
@pytest.mark.parametrize("flag", ["-f", "-p", "-r", "--readable_model", "--invert_hash", "--cache_file"])
def test_a_disk_is_never_written_to(flag):
    device(stat.S_IFBLK, 7, 250)  # a loop device that is not set up
    done = run("data.txt", flag, "device", status=1)
    assert "vwlite: error: device: " in done.stderr
    assert stat.S_ISBLK(os.lstat("device").st_mode)


@AS_ROOT
def test_files_of_a_daemon_may_be_devices_and_those_stay(folder):
    device(stat.S_IFCHR, 1, 3)
    with serving(folder, "--pid_file", "device") as daemon:
        assert daemon.end() == 0
    assert stat.S_ISCHR(os.lstat("device").st_mode)


def test_a_pipe_without_a_reader_or_writer_hangs_nothing():
    os.mkfifo("pipe")
    for flag in ("--pid_file", "--port_file"):
        assert "is a pipe without a reader" in refusal("--daemon", "--port", "0", flag, "pipe")
    assert "no regular file" in run("data.txt", "--cache_file", "pipe", status=1).stderr
    assert stat.S_ISFIFO(os.lstat("pipe").st_mode)


def test_a_pipe_with_a_reader_gets_the_port(folder):
    os.mkfifo("pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_text()))
    reader.start()
    with serving(folder, "--pid_file", "pipe") as daemon:
        reader.join()
        assert got == [f"{daemon.process.pid}\n"]
        daemon.end()
    assert stat.S_ISFIFO(os.lstat("pipe").st_mode)


def test_a_link_to_standard_output_is_written_through():
    os.symlink("/dev/stdout", "out")
    os.symlink("/proc/self/fd/1", "out2")
    for name in ("out", "out2", "/proc/self/fd/1", "/dev/fd/1"):
        with open("file", "w") as file:
            inode = os.fstat(file.fileno()).st_ino
            subprocess.run([*VWLITE, "data.txt", "--quiet", "-p", name], stdout=file, check=True)
        assert os.stat("file").st_ino == inode
        assert len(Path("file").read_text().splitlines()) == 40
    assert os.path.islink("out")


# What stays of a file that is replaced, and what of a writer that was killed


@pytest.mark.parametrize("flag", ["-f", "-p", "-r", "--readable_model", "--cache_file"])
def test_permissions_stay_those_of_the_file_replaced(flag):
    run("data.txt", flag, "out", "--quiet")
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o666 & ~umask()
    os.chmod("out", 0o640)
    if os.geteuid() == 0:
        os.chown("out", 1234, 2345)
    inode = os.stat("out").st_ino
    run("data.txt", flag, "out", "--quiet", *(["-k"] if flag == "--cache_file" else []))
    found = os.stat("out")
    assert stat.S_IMODE(found.st_mode) == 0o640 and found.st_ino != inode
    if os.geteuid() == 0:
        assert (found.st_uid, found.st_gid) == (1234, 2345)


def umask() -> int:
    old = os.umask(0o22)
    os.umask(old)
    return old


def temporary() -> list[str]:
    return [name for name in os.listdir() if name.startswith(files.PREFIX)]


def test_what_killed_writers_leave_is_removed_by_the_next_and_nothing_else():
    os.mkfifo("pipe")
    writer = subprocess.Popen([*VWLITE, "pipe", "-p", "p", "--cache_file", "c", "--quiet"])
    with open("pipe", "w") as data:
        data.write(TEXT)
        data.flush()
        wait_until(lambda: len(temporary()) == 1)  # a pipe needs no cache that stays
        run("data.txt", "-p", "other", "--quiet")
        assert len(temporary()) == 1  # its writer lives
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(temporary()) == 1
    Path(".vwlite-new-mine.txt").write_text("kept")
    os.mkfifo(".vwlite-new-pipe.tmp")
    run("data.txt", "-p", "other", "--quiet")
    assert temporary() in (
        [".vwlite-new-mine.txt", ".vwlite-new-pipe.tmp"],
        [".vwlite-new-pipe.tmp", ".vwlite-new-mine.txt"],
    )
    assert not os.path.exists("p")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("flags", ["", "--bayes_linear --random_effect b --entity_limit 3"])
def test_a_killed_save_leaves_nothing_for_ever(step, flags):
    script = (
        "import os, signal, sys; from vwlite import Workspace\n"
        "workspace = Workspace(sys.argv[1]); workspace.learn('1 |a x |b z')\n"
        f"os.{step} = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n"
        "workspace.save('m')"
    )
    assert subprocess.run([sys.executable, "-c", script, flags], check=False).returncode == -signal.SIGKILL
    assert temporary()
    run("data.txt", "-f", "m", "--quiet", *flags.split())
    assert temporary() == []
    run("data.txt", "-t", "-i", "m")


def test_a_file_that_is_read_only_is_not_replaced(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root is denied nothing
    with pytest.raises(PermissionError):
        files.NewFile("data.txt")
    with pytest.raises(ModelError, match="permission denied"):
        model_file.require_writable("data.txt")
