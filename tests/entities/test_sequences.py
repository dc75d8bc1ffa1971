"""Entities share one copy of their features' hashes: models are the same, and smaller."""

import random

import numpy as np
import pytest

from tests.support.effects import effect
from tests.support.models import arrays
from vwlite import Workspace

FLAGS = "--bayes_linear --random_effect user:* --posterior diagonal --shrink zero --effect_l2 1 --noise 1 --fixed none"
USERS = range(30)


def line(user: int, features: list[str], generator: random.Random) -> str:
    return f"{generator.random():.3f} |user u{user} |x " + " ".join(f"{f}:{generator.random():.2f}" for f in features)


def traffic(kind: str) -> list[tuple[int, str]]:
    """Lines whose features come in the same order, with gaps, in any order, or many."""
    generator = random.Random(kind)
    lines = []
    for turn in range(6):
        for user in USERS:
            features = [f"f{turn}_{i}" for i in range(40 if kind == "many" else 8)]
            if kind == "gaps":
                features = [each for each in features if generator.random() < 0.9]
            elif kind == "any order":
                features = generator.sample([f"f{i}" for i in range(300)], 30)
            elif kind == "few kinds":
                features = [f"{each}{user % 4 if turn else ''}" for each in features]
            lines.append((user, line(user, features, generator)))
    return lines


def coefficients(workspace: Workspace, folder) -> dict[str, list[bytes]]:
    """Hashes, means and precisions by the name of the entity."""
    workspace.save(folder / "model")
    own = {name.rpartition(".")[2]: each for name, each in arrays(folder / "model").items() if ".user" in name}
    found, at, at_name = {}, 0, 0
    names = own["name"][2]
    sizes, lengths = (np.frombuffer(own[name][2], np.uint32) for name in ("coefficients", "name_length"))
    for n, length in zip(sizes, lengths, strict=True):
        parts = [
            np.frombuffer(own[name][2], kind)[at : at + n].tobytes()
            for name, kind in (("hash", np.uint32), ("mean", float), ("precision", float))
        ]
        found[names[at_name : at_name + length].decode()] = parts
        at += n
        at_name += length
    return found


@pytest.mark.parametrize("kind", ["same", "gaps", "any order", "few kinds", "many"])
def test_an_entity_learns_as_if_it_were_alone(tmp_path, kind):
    lines = traffic(kind)
    workspace = Workspace(FLAGS)
    workspace.learn([text for _, text in lines[: len(lines) // 2]])
    workspace.save(tmp_path / "half")
    workspace = Workspace.load(tmp_path / "half")
    workspace.learn([text for _, text in lines[len(lines) // 2 :]])
    together = coefficients(workspace, tmp_path)
    assert len(together) == len(USERS)
    for user in USERS:
        alone = Workspace(FLAGS)
        alone.learn([text for one, text in lines if one == user])
        assert coefficients(alone, tmp_path)[f"u{user}"] == together[f"u{user}"]


@pytest.mark.parametrize("first", ["", "z ", "b a "])
def test_features_in_the_same_order_are_in_memory_once(first):
    workspace = Workspace(FLAGS)
    workspace.learn(f"1 |user first |x {first}c")
    for user in range(1000):
        workspace.learn(f"1 |user {user} |x " + " ".join("abcdefghijklmnopqrst"))
    assert effect(workspace, "user").table.bytes < 23 * 21 * 1000
