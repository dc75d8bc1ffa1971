"""The example of a daemon that is killed runs as it stands."""

from tests.support.scripts import play


def test_a_daemon_that_was_killed_has_lost_nothing(tmp_path):
    played = play("", "daemon.sh", tmp_path / "out")
    assert played.printed.count("\nidentical\n") == 2
    assert '"examples": 875' in played.printed
    assert (played.out / "daemon.p").read_bytes() == (played.out / "run.p").read_bytes()
    assert not (played.out / "pid").exists()
