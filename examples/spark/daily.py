"""A daily update: posteriors of users in a folder, each day's rows learned after the day before, and a model file.

    python daily.py FOLDER     with `pip install 'vwlite[spark]'` and Java 17

Only users with rows today are read, learned and written. The last model is that of one run over all days.
"""

import random
import sys
from pathlib import Path

from pyspark.sql import DataFrame

from vwlite import spark as vws

FLAGS = "--random_effect user:ad --bayes_logistic --link logistic --fixed none --effect_l2 1 --shrink zero"
COLUMNS = "user:entity topic:category@ad price:number@ad /.*/:ignore"
folder = Path(sys.argv[1])
spark = vws.session("local[2]", spark__driver__memory="1500m", spark__sql__shuffle__partitions="4")
spark.sparkContext.setLogLevel("OFF")


def day(number: int) -> DataFrame:
    """The clicks of a day, by a third of the users: some like cars, all like it cheap."""
    rng = random.Random(number)
    rows = []
    for i in range(3000):
        user, topic, price = rng.randrange(number % 3, 300, 3), rng.choice(["car", "book"]), round(rng.random(), 2)
        likes = (user % 2 == 0) == (topic == "car")
        rows.append((f"u{user}", topic, price, 1.0 if rng.random() < 0.3 + 0.4 * likes - 0.2 * price else -1.0, i))
    return spark.createDataFrame(rows, "user string, topic string, price double, click double, time long")


path = str(folder / "users")
for number in range(4):
    rows = day(number)
    if number == 0:
        users = vws.fit(rows, FLAGS, order="time", label="click", columns=COLUMNS, path=path)
    else:
        users = vws.update(path, rows)
    print(f"day {number}: {users.changed.count()} users learned, {users.table.count()} known")
users.compact()
ask = spark.createDataFrame(
    [("u0", "car", 0.1), ("u1", "car", 0.1), ("new", "car", 0.1)], "user string, topic string, price double"
)
for row in users.transform(ask, ["prediction", "sd"]).collect():
    print(f"{row.user}: {row.vw_prediction:.2f}, sd {row.vw_sd:.2f}")
vws.read(path).to_model(str(folder / "users.model"))
print(f"vwlite -t -i {folder / 'users.model'} predicts the same")
spark.stop()
