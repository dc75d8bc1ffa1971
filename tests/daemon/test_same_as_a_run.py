"""A daemon answers and learns as a run over a file with the same lines does."""

import itertools
import json
import random
import threading

import pytest

from tests.support.daemon import UCB, ask, by_file, decisions_to_learn, lines_to_learn, serving, talk
from tests.support.models import arrays


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "-q ab --loss_function logistic --link logistic --logistic_min -2 --logistic_max 2 --classweight 1:2",
        "--bayes_linear --batch_size 7 --columns prediction,score,initial,sd,low,high --interval 0.9",
        "--random_effect b:a --bayes_linear",
        "--vw_compat --binary",
    ],
)
def test_answers_and_the_saved_model_are_those_of_a_run_over_a_file(flags, tmp_path):
    text = lines_to_learn(500)
    expected, model = by_file(tmp_path, text, *flags.split())
    with serving(tmp_path, *flags.split(), "-f", "served.model") as daemon:
        assert daemon.talk(text, [1, 10, 100, 1000, 5000]) == expected
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


@pytest.mark.parametrize(
    "flags", ["--thompson --bayes_logistic -q ua", UCB, "--explore epsilon --explore_rate 0.3 --random_seed 5"]
)
def test_answers_to_decisions_and_the_saved_model_are_those_of_a_run_over_a_file(flags, tmp_path):
    text = decisions_to_learn(100)
    expected, model = by_file(tmp_path, text, *flags.split())
    assert expected.count(b"\n\n") > 50
    with serving(tmp_path, *flags.split(), "-f", "served.model") as daemon:
        assert daemon.talk(text, [1, 10, 100, 1000, 2000]) == expected
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_a_model_goes_on_from_where_it_was(tmp_path):
    text = lines_to_learn(400)
    half = text.index(b"\n", len(text) // 2) + 1
    expected, model = by_file(tmp_path, text)
    by_file(tmp_path, text[:half])
    with serving(tmp_path, "-i", "file.model", "-f", "served.model") as daemon:
        assert expected.endswith(daemon.talk(text[half:]))
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_only_testing_changes_nothing(models, lines, tmp_path):
    text, expected = lines
    with serving(tmp_path, "-i", str(models / "lines.model"), "-t", "-f", "after.model") as daemon:
        assert daemon.talk(text) == expected
        assert daemon.talk(text) == expected
        assert json.loads(daemon.talk(b"!stats\n"))["learns"] is False
        assert daemon.end() == 0
    before, after = arrays(models / "lines.model"), arrays(tmp_path / "after.model")
    assert {name for name in before if before[name] != after[name]} == set()


def test_lines_of_several_clients_are_learned_in_some_order(tmp_path):
    first, second = lines_to_learn(3, seed=3), lines_to_learn(3, seed=4)
    first, second = (text.replace(b"|b", b"|a shared |b") for text in (first, second))
    with serving(tmp_path, "-f", "served.model") as daemon:
        answers: dict[bytes, bytes] = {}
        gate = threading.Barrier(2)

        def client(text: bytes) -> None:
            with daemon.connect() as one:
                gate.wait()
                answers[text] = talk(one, text)

        threads = [threading.Thread(target=client, args=(text,)) for text in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert daemon.end() == 0
    served = arrays(tmp_path / "served.model")
    for mine in itertools.combinations(range(6), 3):
        sources = [iter(second.splitlines(True)), iter(first.splitlines(True))]
        predicted, model = by_file(tmp_path, b"".join(next(sources[place in mine]) for place in range(6)))
        told = predicted.splitlines(True)
        if model == served and b"".join(told[place] for place in mine) == answers[first]:
            return
    raise AssertionError("the model is that of no order")


def test_clients_that_take_turns_share_one_model(tmp_path):
    text = lines_to_learn(60)
    expected, model = by_file(tmp_path, text)
    draw = random.Random(1)
    with serving(tmp_path, "-f", "served.model") as daemon:
        clients = [daemon.connect() for _ in range(5)]
        answers = [ask(draw.choice(clients), line) for line in text.splitlines()]
        for client in clients:
            client.close()
        assert daemon.end() == 0
    assert b"".join(answers) == expected
    assert arrays(tmp_path / "served.model") == model
