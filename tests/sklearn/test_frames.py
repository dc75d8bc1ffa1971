"""Data frames of any make: texts are categories, and the same values give the same model."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from vwlite.sklearn import VWClassifier, VWRegressor
from vwlite.sklearn.frames import words_of

N = 60
PRICE = np.random.default_rng(0).normal(size=N)
CITY = np.array(["Bonn", "Rome", "Oslo"])[np.arange(N) % 3]
NEW = np.arange(N) % 2 == 0
Y = PRICE + np.array([0.0, 5.0, -5.0])[np.arange(N) % 3] + NEW
PANDAS = pd.DataFrame({"price": PRICE, "city": CITY, "new": NEW})
MAKES = {
    "pandas": PANDAS,
    "pandas with objects": PANDAS.astype({"city": object}),
    "pandas with categories": PANDAS.astype({"city": "category"}),
    "pandas with numbers that may be missing": PANDAS.astype({"price": "Float64", "new": "boolean"}),
    "pandas of arrow": PANDAS.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas(PANDAS),
    "polars with categories": pl.from_pandas(PANDAS).with_columns(pl.col("city").cast(pl.Categorical)),
    "arrow": pa.Table.from_pandas(PANDAS),
    "arrow with a dictionary": pa.Table.from_pandas(PANDAS.astype({"city": "category"})),
}


@pytest.mark.parametrize("make", MAKES)
def test_each_make_of_table_gives_the_same_model(make):
    model = VWRegressor().fit(MAKES[make], Y)
    assert model.feature_names_in_.tolist() == ["price", "city", "new"]
    assert model.text_columns_ == ["city"]
    assert model.score(MAKES[make], Y) > 0.99
    assert_array_equal(model.predict(MAKES[make]), VWRegressor().fit(PANDAS, Y).predict(PANDAS))


@pytest.mark.parametrize("make", MAKES)
def test_a_table_of_numbers_is_the_array_of_its_numbers(make):
    table = MAKES[make]
    numbers = table.select(["price", "new"]) if hasattr(table, "select") else table[["price", "new"]]
    array = np.column_stack((PRICE, NEW))
    found = VWRegressor().fit(numbers, Y).predict(numbers)
    assert_allclose(found, VWRegressor().fit(array, Y).predict(array), rtol=1e-5)


def test_a_category_without_text_is_left_out_and_a_new_one_unknown():
    model = VWRegressor().fit(PANDAS, Y)
    some = PANDAS[:3].assign(price=0.0, new=False)
    none, unknown = (model.predict(some.assign(city=city)) for city in ([None, np.nan, pd.NA], ["Lima"] * 3))
    assert_array_equal(none, unknown)
    assert len(set(none)) == 1
    assert (model.predict(some) != none).all()


def test_whole_numbers_are_categories_if_the_column_says_so():
    frame = pd.DataFrame({"shop": np.arange(N) % 3})
    numbers, shops = VWRegressor().fit(frame, Y), VWRegressor().fit(frame.astype("category"), Y)
    assert shops.score(frame.astype("category"), Y) > 0.8 > numbers.score(frame, Y)
    with pytest.raises(ValueError, match="'shop' held texts in fit, and holds numbers now"):
        shops.predict(frame)


def test_mixed_columns_work_in_cross_validation_and_search():
    labels = np.where(Y > 0, "dear", "cheap")
    assert cross_val_score(VWClassifier(), PANDAS, labels).mean() > 0.9
    search: BaseEstimator = GridSearchCV(VWClassifier(), {"learner": ["bayes", "gd"], "l2": [0.1, 1e-3]})
    assert np.mean(search.fit(PANDAS, labels).predict(PANDAS) == labels) > 0.9


def test_parts_of_a_frame_may_lack_categories():
    parts = VWRegressor().partial_fit(PANDAS[:1], Y[:1])
    parts.partial_fit(PANDAS[1:30], Y[1:30]).partial_fit(PANDAS[30:31].assign(city=[None]), Y[30:31])
    parts.partial_fit(PANDAS[31:], Y[31:])
    assert parts.score(PANDAS, Y) > 0.99


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6) | st.sampled_from(["_label", "a b", "a_b", "a:b", "a|b", "0", ""]), max_size=8))
def test_names_of_columns_become_different_words(names):
    words = words_of(names)
    assert len(words) == len(names)
    assert all(word and not set(word) & set(" \t\n\r:|") for word in words)
    if len(set(names)) == len(names):
        assert len(set(words)) == len(words)


def test_names_that_the_text_format_has_no_room_for_are_columns_like_others():
    names = ["a b", "a_b", "_label", "|:"]
    x = np.random.default_rng(2).normal(size=(N, 4))
    y = x @ [1, 2, 3, 4]
    found = VWRegressor().fit(pd.DataFrame(x, columns=names), y).predict(pd.DataFrame(x, columns=names))
    assert_allclose(found, VWRegressor().fit(x, y).predict(x), rtol=1e-4)
    text = pd.DataFrame(x, columns=names).assign(_weight=["x"] * N)
    assert VWRegressor().fit(text, y).score(text, y) > 0.99
