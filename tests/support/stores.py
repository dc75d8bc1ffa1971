"""Models with more entities than memory may hold."""

import random

from vwlite.engine.workspace import Workspace

EFFECT = "--bayes_linear --random_effect user:x --posterior diagonal"


def traffic(n, users, seed):
    numbers = random.Random(seed)
    return [
        f"{numbers.choice([1, -1])} |user u{int(users * numbers.random() ** 2)} |x a:{numbers.random():.3f} b"
        for _ in range(n)
    ]


def probe(users):
    return [f"|user u{user} |x a:0.5 b" for user in range(users)]


def limited(limit):
    return f"--entity_limit {limit}"


def trained(path, flags="--entity_limit 5", seed=1, users=40):
    workspace = Workspace(f"{EFFECT} {flags}")
    workspace.learn(traffic(300, users, seed))
    workspace.save(path)
    return workspace.predict(probe(users))


def state(path, limit=3, users=40):
    return Workspace.load(path, limited(limit)).predict(probe(users))
