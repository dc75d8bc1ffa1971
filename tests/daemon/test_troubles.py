"""Examples that a daemon can't use, or for whose model there is no room, are answered, and nobody else notices."""

from tests.support.daemon import ask, serving


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
    assert answers[2].startswith(b"!error line 3, column 2: more than 16,777,216 features")


def test_a_decision_with_too_many_crossed_features_is_answered(tmp_path):
    with serving(tmp_path, "--interactions", "abc", "--explore", "epsilon") as daemon:
        bad = b"0:1:0.5 |a x\n" + crossed(b"abc", 260) + b"\n"
        answers = daemon.talk(b"|a x\n|b y\n\n" + bad + b"|a x\n|b y\n\n").splitlines()
    assert [answer[:7] for answer in answers] == [b"0:0.5,1", b"", b"!error ", b"0:0.5,1", b""]
    assert answers[2].startswith(b"!error line 5, column 2: more than 16,777,216 features")
