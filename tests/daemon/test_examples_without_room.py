"""Examples that a daemon can't use, or for whose model there is no room, are answered, and nobody else notices."""

import contextlib
import sys

from tests.support import leftovers
from tests.support.daemon import ask, serving, wait_until
from vwlite import Workspace

LIMITED = ["--bayes_linear", "--random_effect", "u:a", "--entity_limit", "2"]

# A daemon whose memory has no room for more than twice the entities.
NARROW = """
import sys
from vwlite.entities import store as entity_store
from vwlite.cli import main
made = entity_store.EntityStore.__init__
def narrow(store, *about):
    made(store, *about)
    store.backoff.spare = 0
entity_store.EntityStore.__init__ = narrow
sys.exit(main(sys.argv[1:]))
"""


def crossed(namespaces: bytes, count: int) -> bytes:
    """A line with so many features in each of the namespaces."""
    features = b" ".join(b"%x" % number for number in range(count))
    return b" ".join(b"|%c %b" % (name, features) for name in namespaces) + b"\n"


def test_a_line_with_too_many_crossed_features_is_no_concern_of_others(tmp_path):
    with serving(tmp_path, "--interactions", "abc") as daemon, daemon.connect() as other:
        assert ask(other, b"|z q") == b"0\n"
        daemon.talk(crossed(b"abc", 260))  # 3 kB
        assert ask(other, b"|z q") == b"0\n"


def test_a_line_with_too_many_crossed_features_is_answered(tmp_path):
    with serving(tmp_path, "--interactions", "abc") as daemon:
        answers = daemon.talk(b"1 'one|a x\n1 'two|a x\n" + crossed(b"abc", 260) + b"!ping\n").splitlines()
    assert [line[:6] for line in answers] == [b"0 one", answers[1][:6], b"!error", b"!pong"]
    assert answers[2].startswith(b"!error line 3, column 2: more than 32,768 features")


def test_a_decision_with_too_many_crossed_features_is_answered(tmp_path):
    with serving(tmp_path, "--interactions", "abc", "--explore", "epsilon") as daemon:
        bad = b"0:1:0.5 |a x\n" + crossed(b"abc", 260) + b"\n"
        answers = daemon.talk(b"|a x\n|b y\n\n" + bad + b"|a x\n|b y\n\n").splitlines()
    assert [answer[:7] for answer in answers] == [b"0:0.5,1", b"", b"!error ", b"0:0.5,1", b""]
    assert answers[2].startswith(b"!error line 5, column 2: more than 32,768 features")


def test_nobody_gets_the_answers_of_a_client_whose_entities_find_no_room(tmp_path):
    with leftovers.small_disk(tmp_path / "small", 1 << 20) as place:
        words = ["-f", str(place / "m"), *LIMITED]
        with serving(tmp_path, *words) as daemon, daemon.connect() as other:
            daemon.talk(b"".join(b"1 'secret%d|u a%d |a x%d\n" % (n, n, n) for n in range(30000)))
            assert b"secret" not in ask(other, b"!ping")
            other.sendall(b"|z q\n")
            assert b"secret" not in other.recv(1 << 20)


def of_entities(numbers):
    return b"".join(b"%d |u a%d |a x%d\n" % (1 - n % 3, n, n % 50) for n in numbers)


def test_entities_find_room_again_on_a_disk_that_was_full(tmp_path):
    with leftovers.small_disk(tmp_path / "small", 1 << 20) as place:
        words = ["-f", str(place / "m"), *LIMITED]
        (place / "filler").write_bytes(bytes(900_000))
        with serving(tmp_path, *words) as daemon:
            assert b"!" not in daemon.talk(of_entities(range(1000)))
            refused = daemon.talk(b"!save\n")
            assert refused.startswith(b"!error ") and b"no space left" in refused
            (place / "filler").unlink()
            with daemon.connect() as client:
                assert not ask(client, b"1 |u a3 |a x").startswith(b"!")
                assert ask(client, b"!save").startswith(b"!saved")
            assert daemon.end() == 0
        reference = Workspace(LIMITED)
        reference.learn([*of_entities(range(1000)).splitlines(), b"1 |u a3 |a x"])
        lines = [b"|u a%d |a x%d" % (n, n % 50) for n in range(1000)]
        assert Workspace.load(place / "m").predict(lines) == reference.predict(lines)


def test_what_memory_has_no_room_for_either_is_answered_as_not_learned(tmp_path):
    with leftovers.small_disk(tmp_path / "small", 1 << 20) as place:
        filler = place / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        words = ["-f", str(place / "m"), *LIMITED]
        with serving(tmp_path, *words, start=[sys.executable, "-c", NARROW]) as daemon, daemon.connect() as client:
            lines = of_entities(range(100)).splitlines(keepends=True)
            answers = daemon.talk(b"".join(lines)).splitlines()
            assert len(answers) == 100 and answers[-1].startswith(b"!error not learned: ")
            assert b"no space left on the disk" in answers[-1]
            assert daemon.talk(b"|u a1 |a x1\n|u a99 |a x2\n").count(b"!") == 0
            filler.unlink()
            learned = [line for line, answer in zip(lines, answers, strict=True) if not answer.startswith(b"!")]
            wait_until(lambda: not ask(client, b"1 |u a3 |a x").startswith(b"!"))
            assert daemon.end() == 0
        reference = Workspace(LIMITED)
        reference.learn([*learned, b"1 |u a3 |a x"])
        probes = [b"|u a%d |a x%d" % (n, n % 50) for n in range(100)]
        assert Workspace.load(place / "m").predict(probes) == reference.predict(probes)
