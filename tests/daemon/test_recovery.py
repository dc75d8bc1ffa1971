"""Models of entities and decisions, whole with all that is drawn at random, after kill -9."""

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.daemon import ask, by_file, decisions_to_learn, read_lines, refusal, serving
from tests.support.models import arrays
from tests.support.stores import EFFECT, traffic
from vwlite import Workspace

FILES = ["--journal", "journal", "-f", "final.model"]
AUTOSAVES = [[], ["--autosave", "40"]]  # examples after which a checkpoint takes the place of lines


def in_pieces(daemon_flags: Sequence[str], folder: Path, pieces: Sequence[tuple[bytes, int]]) -> bytes:
    """The answers to pieces of so many lines of answers, each by a daemon that is killed as soon as it has answered."""
    answers = b""
    for text, count in pieces:
        with serving(folder, *daemon_flags, *FILES) as daemon, daemon.connect() as client:
            client.sendall(text)
            answers += b"".join(read_lines(client, count))
            daemon.kill()
    return answers


def finish(daemon_flags: Sequence[str], folder: Path) -> None:
    """Come back once more and end well, which saves the model."""
    with serving(folder, *daemon_flags, *FILES) as daemon:
        assert daemon.end() == 0


# entities beyond memory


def lines_of_users(count: int, seed: int) -> bytes:
    return "".join(f"{line}\n" for line in traffic(count, users=40, seed=seed)).encode()


@pytest.mark.parametrize("autosave", AUTOSAVES)
def test_entities_beyond_memory_come_back_as_in_a_run_that_nobody_killed(autosave, tmp_path):
    flags = [*EFFECT.split(), "--entity_limit", "5", *autosave]
    texts = [lines_of_users(70, seed) for seed in range(5)]
    expected, _ = by_file(tmp_path, b"".join(texts), *flags[: len(flags) - len(autosave)])
    assert (tmp_path / "file.model.entities").exists()
    assert in_pieces(flags, tmp_path, [(text, 70) for text in texts]) == expected
    finish(flags, tmp_path)
    assert served(tmp_path / "final.model") == served(tmp_path / "file.model")


def served(model: Path) -> list[float]:
    """Predictions for all users, as a model that was saved makes them."""
    loaded = Workspace.load(model, "--entity_limit 5")
    return [loaded.predict(f"|user u{user} |x a:{0.1 * (user % 7)} b") for user in range(45)]


def test_a_checkpoint_with_entities_on_disk_is_gone_on_from(tmp_path):
    """Killed after a checkpoint and before the next: the entities of the checkpoint are those of its own time."""
    flags = [*EFFECT.split(), "--entity_limit", "3"]
    first, second, third = (lines_of_users(100, seed) for seed in (1, 2, 3))
    expected, _ = by_file(tmp_path, first + second + third, *flags)
    with serving(tmp_path, *flags, *FILES) as daemon, daemon.connect() as client:
        client.sendall(first)
        answers = b"".join(read_lines(client, 100))
        assert daemon.end() == 0
    assert (tmp_path / "journal" / "checkpoint.model.entities").exists()
    answers += in_pieces(flags, tmp_path, [(second, 100), (third, 100)])
    assert answers == expected
    finish(flags, tmp_path)
    assert served(tmp_path / "final.model") == served(tmp_path / "file.model")


def test_entities_of_a_checkpoint_that_are_gone_are_said(tmp_path):
    flags = [*EFFECT.split(), "--entity_limit", "3", *FILES]
    with serving(tmp_path, *flags) as daemon:
        daemon.talk(lines_of_users(50, 1))
        assert daemon.end() == 0
    (tmp_path / "journal" / "checkpoint.model.entities").rename(tmp_path / "kept")
    said = refusal("--port", "0", *flags, folder=tmp_path)
    assert said.count("\n") == 1
    assert "journal/checkpoint.model.entities" in said
    shutil.copy(tmp_path / "kept", tmp_path / "journal" / "checkpoint.model.entities")
    finish(flags[: -len(FILES)], tmp_path)
    assert len(set(served(tmp_path / "final.model"))) > 10


# decisions

POLICIES = {
    "ucb": "--explore ucb --bayes_linear",
    "thompson": "--thompson --bayes_linear --random_seed 7",
    "thompson, logistic": "--thompson --bayes_logistic --cost_range=-1,0 --random_seed 11 --batch_size 3",
    "epsilon": "--explore epsilon --explore_rate 0.5 --bayes_linear --random_seed 3",
    "thompson of users": "--thompson --bayes_linear --random_effect t:a --random_seed 5",
}


def decisions(count: int, seed: int, tags: bool, learned: bool) -> bytes:
    """Decisions with tags or without; if `learned`, of all of them a cost is known."""
    found = decisions_to_learn(2 * count, seed).split(b"\n\n")
    if learned:
        found = [each for each in found if re.search(rb"^\d:", each, re.M)]
    text = b"\n\n".join(found[:count]) + b"\n\n"
    return text if tags else re.sub(rb"^shared \w+", b"shared ", text, flags=re.M)


@pytest.mark.parametrize("autosave", AUTOSAVES)
@pytest.mark.parametrize("policy", POLICIES)
def test_decisions_and_draws_go_on_as_in_a_run_that_nobody_killed(policy, autosave, tmp_path):
    flags = POLICIES[policy].split()
    texts = [decisions(25, seed, tags=False, learned=True) for seed in range(5)]
    expected, model = by_file(tmp_path, b"".join(texts), *flags)
    found = in_pieces([*flags, *autosave], tmp_path, [(text, 50) for text in texts])
    assert found == expected
    finish(flags, tmp_path)
    assert arrays(tmp_path / "final.model") == model


def test_draws_by_tags_go_on_though_some_decisions_were_only_asked_for(tmp_path):
    """Those without a tag draw by their number, and what is only asked for is counted in no journal."""
    flags = POLICIES["thompson"].split()
    texts = [decisions(25, seed, tags=True, learned=False) for seed in range(3)]
    expected, _ = by_file(tmp_path, b"".join(texts), *flags)
    assert in_pieces(flags, tmp_path, [(text, 50) for text in texts]) == expected


@pytest.mark.parametrize("policy", ["thompson", "epsilon"])
def test_a_seed_makes_a_difference(policy, tmp_path):
    """Or the tests above would say nothing about draws."""
    text = decisions(30, 1, tags=False, learned=True)
    flags = POLICIES[policy].split()
    one, _ = by_file(tmp_path, text, *flags)
    other, _ = by_file(tmp_path, text, *flags[:-1], "1234")
    assert one != other


def test_a_decision_that_was_cut_by_a_kill_was_not_learned(tmp_path):
    flags = POLICIES["ucb"].split()
    text = decisions(20, 1, tags=True, learned=True)
    expected, model = by_file(tmp_path, text, *flags)
    number = random.Random(1).randrange(len(text.split(b"\n\n")[5]))
    with serving(tmp_path, *flags, *FILES) as daemon, daemon.connect() as client:
        client.sendall(text)
        answers = b"".join(read_lines(client, 40))
        client.sendall(text.split(b"\n\n")[5][:number])
        with daemon.connect() as other:
            assert ask(other, b"!ping") == b"!pong\n"
        daemon.kill()
    assert answers == expected
    finish(flags, tmp_path)
    assert arrays(tmp_path / "final.model") == model
