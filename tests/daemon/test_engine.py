"""What a daemon refuses to be, before it listens."""

import pytest

from vwlite.daemon.engine import Engine
from vwlite.daemon.start import check
from vwlite.engine.command_line import option_groups, parse
from vwlite.errors import OptionError


@pytest.mark.parametrize(
    "flags",
    ["--square", "--logistic --random_effect user", "--bayes_linear --batch_size all", "--random_effect u --square"],
)
def test_learners_that_wait_for_the_end_of_a_pass_would_wait_for_ever(flags):
    with pytest.raises(OptionError, match="a daemon has no passes"):
        Engine(parse(["--daemon", *flags.split()], option_groups()))
    learner = flags.replace("--batch_size all", "")  # which under -t means nothing
    Engine(parse(["--daemon", "-t", *learner.split()], option_groups()))


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("-d data.txt", "--data and a daemon: examples come through the socket"),
        ("data.txt", "data.txt: examples come through the socket"),
        ("--passes 3", "--passes and a daemon: each line is seen once"),
        ("-p out.txt", "--predictions and a daemon: answers are sent to the client that asks"),
        ("--report auc", "!stats has the metrics of a daemon"),
        ("--socket s --port 1", "--socket replaces --port"),
        ("--cert c", "--cert and --key go together"),
        ("--journal j -t", "with -t nothing is"),
        ("--autosave 5s", "--autosave needs a file"),
        ("--autosave 5x -f m", "--autosave 5x: expected"),
        ("--bind 0.0.0.0", "--bind 0.0.0.0 accepts connections from other machines"),
        ("--bind example.org", "give --token_file"),
    ],
)
def test_flags_that_mean_nothing_or_too_much_are_refused(flags, reason):
    with pytest.raises(OptionError, match=reason.replace("?", r"\?")):
        check(parse(["--daemon", *flags.split()], option_groups()))


@pytest.mark.parametrize("flags", ["--bind 127.0.0.1", "--bind ::1", "--bind localhost", "--bind 0.0.0.0 --insecure"])
def test_addresses_that_only_this_machine_can_reach_need_no_token(flags):
    check(parse(["--daemon", *flags.split()], option_groups()))
