"""Models of entities on Apache Spark: it partitions, shuffles and repeats tasks, and vwlite learns inside each task.

    from vwlite import spark as vws
    users = vws.fit(clicks, "--random_effect user:ctx --bayes_logistic --fixed none", label="clicked", order="time",
                    columns="user:entity city:category@ctx price:number@ctx score:initial", path="lake/users")
    users = vws.update("lake/users", today)
    scored = users.transform(today, ["prediction", "sd"])
    users.to_model("users.model")

Needs `pip install 'vwlite[spark]'` and Java 17. docs/scale.md says when that is worth it.
"""

from vwlite.spark.checks import session
from vwlite.spark.entities import Entities, read
from vwlite.spark.fitting import fit, update
from vwlite.spark.fixed import mix_fixed, score_fixed
from vwlite.spark.following import follow
from vwlite.spark.game import game, score_game
from vwlite.spark.gradients import fit_fixed
from vwlite.spark.storage import vacuum

__all__ = [
    "Entities",
    "fit",
    "fit_fixed",
    "follow",
    "game",
    "mix_fixed",
    "read",
    "score_fixed",
    "score_game",
    "session",
    "update",
    "vacuum",
]
