"""A full disk: predictions go on, nothing is acknowledged that is not kept, and all goes on when there is room."""

import pytest

from tests.support import leftovers
from tests.support.daemon import serving
from tests.support.leftovers import fill
from vwlite import Workspace

FLAGS = ["--loss_function", "logistic"]
SIZE = 4 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    with leftovers.small_disk(tmp_path / "small", SIZE) as place:
        yield place


def lines_of(count, start=0):
    return [b"%d |x a%d b%d:0.5\n" % ((-1) ** (i % 3), i % 17, i % 5) for i in range(start, start + count)]


def test_what_is_learned_is_acknowledged_when_there_is_room_again(small_disk, tmp_path):
    with serving(tmp_path, *FLAGS, "--journal", str(small_disk / "journal"), "-f", "m") as daemon:
        first, more, last = lines_of(50), lines_of(20000, 50), lines_of(30, 20050)
        answers = daemon.talk(b"".join(first))
        assert answers.count(b"\n") == 50
        filler = fill(small_disk)
        with daemon.connect() as waiting, waiting.makefile("rb") as heard:
            # too much for what room a segment has already
            waiting.sendall(b"".join(more))
            daemon.wait_for("journal can't be written")
            # others are served, but not taught
            assert daemon.talk(b"|x a1\n|x a2\n").count(b"\n") == 2
            refused = daemon.talk(last[0])
            assert refused.startswith(b"!error not learned: ") and b"No space left on device" in refused
            filler.unlink()
            daemon.wait_for("journal can be written again")
            told = [heard.readline() for _ in more]
        after = daemon.talk(b"".join(last))
        acknowledged = [line for line, answer in zip(more, told, strict=True) if not answer.startswith(b"!")]
        assert len(acknowledged) > 0 and b"!" not in after
        daemon.kill()
    with serving(tmp_path, *FLAGS, "--journal", str(small_disk / "journal"), "-f", "m") as daemon:
        found = [float(line) for line in daemon.talk(b"".join(b"|x a%d\n" % i for i in range(17))).split()]
    reference = Workspace(FLAGS)
    reference.learn([*first, *acknowledged, *last])
    assert found == pytest.approx(reference.predict([b"|x a%d" % i for i in range(17)]), abs=1e-6)


def test_a_save_that_has_no_room_is_told_and_keeps_the_old_model(small_disk, tmp_path):
    with serving(tmp_path, *FLAGS, "-f", str(small_disk / "m")) as daemon:
        assert daemon.talk(b"".join(lines_of(10)) + b"!save\n").endswith(f"!saved {small_disk / 'm'}\n".encode())
        before = (small_disk / "m").read_bytes()
        filler = fill(small_disk)
        answer = daemon.talk(b"".join(lines_of(10)) + b"!save\n").splitlines()[-1]
        assert answer.startswith(b"!error ") and b"no space left" in answer
        assert (small_disk / "m").read_bytes() == before
        assert daemon.talk(b"|x a1\n").count(b"\n") == 1
        filler.unlink()
        assert b"!saved" in daemon.talk(b"!save\n")
