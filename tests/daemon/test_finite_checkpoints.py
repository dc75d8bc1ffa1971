"""A daemon never makes a checkpoint that it could not start from, whatever clients send."""

import signal

import pytest

from tests.engine.test_finite_weights import INFINITE, WILD
from tests.support.daemon import ask, serving

HARD = "".join(f"{line}\n" for line in (*WILD, *INFINITE) * 5).encode()
FLAGS = (
    "",
    "--sgd -l 1e30",
    "--l2 10 --sgd",
    "--l1 1e38 --l2 1e38",
    "--power_t 100",
    "--loss_function logistic",
    "--bayes_linear",
    "--bayes_logistic",
    "--random_effect g --bayes_linear",
)


@pytest.mark.parametrize("flags", FLAGS)
def test_a_checkpoint_can_be_started_from(flags, folder):
    words = ["--journal", "journal", *flags.split(), "--vw_compat"]
    with serving(folder, *words) as daemon:
        daemon.talk(HARD)
        with daemon.connect() as client:
            assert ask(client, b"!save").startswith(b"!saved ")
            before = ask(client, b"|f a |g u")
        daemon.end(signal.SIGKILL)
    with serving(folder, *words) as daemon, daemon.connect() as client:
        assert ask(client, b"|f a |g u") == before
        assert ask(client, b"1 |f a") != b""
