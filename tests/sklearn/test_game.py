"""GAMEClassifier and GAMERegressor: models of entities."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from vwlite.sklearn import GAMEClassifier, GAMERegressor, VWRegressor

RANDOM = np.random.default_rng(5)
N = 3000
USER, ITEM = RANDOM.integers(0, 100, N), RANDOM.integers(0, 40, N)
AGE = RANDOM.normal(size=N)
OF_USER, OF_ITEM, SLOPE = RANDOM.normal(size=100), RANDOM.normal(size=40), RANDOM.normal(size=100)
PLAIN = 3 + OF_USER[USER] + OF_ITEM[ITEM] + 0.5 * AGE + 0.5 * RANDOM.normal(size=N)
SLOPED = 3 + SLOPE[USER] * AGE + 0.3 * RANDOM.normal(size=N)
TABLE = pd.DataFrame({"user": [f"u{i}" for i in USER], "item": ITEM, "age": AGE})
TRAIN, TEST = slice(0, 2000), slice(2000, N)


@pytest.mark.parametrize("sweeps", [10, 0])
def test_effects_of_users_and_items_are_found(sweeps):
    model = GAMERegressor(["user", "item"], sweeps=sweeps).fit(TABLE[TRAIN], PLAIN[TRAIN])
    assert np.std(model.predict(TABLE[TEST]) - PLAIN[TEST]) < 0.56  # the noise has 0.5
    plain = VWRegressor().fit(TABLE[["age"]][TRAIN], PLAIN[TRAIN])
    assert np.std(plain.predict(TABLE[["age"]][TEST]) - PLAIN[TEST]) > 1.2


@pytest.mark.parametrize("effects", [{"user": ["age"]}, {"user": "*"}])
def test_users_have_slopes_of_their_own(effects):
    model = GAMERegressor(effects).fit(TABLE[["user", "age"]][TRAIN], SLOPED[TRAIN])
    assert np.std(model.predict(TABLE[["user", "age"]][TEST]) - SLOPED[TEST]) < 0.4
    level = GAMERegressor(["user"]).fit(TABLE[["user", "age"]][TRAIN], SLOPED[TRAIN])
    assert np.std(level.predict(TABLE[["user", "age"]][TEST]) - SLOPED[TEST]) > 0.8


def test_a_new_user_is_predicted_with_less_certainty():
    model = GAMERegressor(["user"]).fit(TABLE, PLAIN)
    asked = pd.DataFrame({"user": ["u1", "nobody yet", None], "item": [1, 1, 1], "age": [0.0] * 3})
    prediction, sd = model.predict(asked, return_std=True)
    assert sd[0] < sd[1]
    assert prediction[1] == pytest.approx(prediction[2], abs=0.2)
    assert prediction[1] == pytest.approx(3, abs=0.6)


def test_learning_goes_on_after_a_fit_of_all():
    model = GAMERegressor(["user", "item"]).fit(TABLE[:1000], PLAIN[:1000])
    before = np.std(model.predict(TABLE[TEST]) - PLAIN[TEST])
    model.partial_fit(TABLE[1000:2000], PLAIN[1000:2000])
    assert np.std(model.predict(TABLE[TEST]) - PLAIN[TEST]) < before - 0.005


def test_a_copy_goes_on_alike():
    model = GAMERegressor(["user"]).fit(TABLE[:500], PLAIN[:500])
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_array_equal(other.predict(TABLE), model.predict(TABLE))
        other.partial_fit(TABLE[500:], PLAIN[500:])
    model.partial_fit(TABLE[500:], PLAIN[500:])
    assert_array_equal(other.predict(TABLE), model.predict(TABLE))
    assert model.workspace_.to_bytes() == other.workspace_.to_bytes()


@pytest.mark.parametrize("sweeps", [10, 0])
def test_classes_of_users_are_found(sweeps):
    for labels in (PLAIN > 3, np.where(PLAIN > 4, "high", np.where(PLAIN > 2, "middle", "low"))):
        model = GAMEClassifier(["user", "item"], sweeps=sweeps).fit(TABLE[TRAIN], labels[TRAIN])
        assert model.score(TABLE[TEST], labels[TEST]) > (0.8 if labels.dtype == bool else 0.7)
        assert model.predict_proba(TABLE[:5]).sum(axis=1) == pytest.approx(np.ones(5))
        assert model.partial_fit(TABLE[TEST], labels[TEST]).score(TABLE[TEST], labels[TEST]) > 0.7


def test_entities_may_be_numbers_of_any_type_and_columns_of_an_array():
    frames = [TABLE[["item", "age"]].astype({"item": kind}) for kind in (int, float, "int8", str, "category", object)]
    found = [GAMERegressor(["item"]).fit(frame, PLAIN).predict(frame) for frame in frames]
    found.append(GAMERegressor([0]).fit(frames[0].to_numpy(), PLAIN).predict(frames[0].to_numpy()))
    for each in found[1:]:
        assert each == pytest.approx(found[0], abs=1e-4)


def test_names_of_entities_may_be_any():
    names = ["u", "the item, or: thing"]
    frame = TABLE.rename(columns={"user": names[0], "item": names[1]}).assign(useful=1.0)
    expected = GAMERegressor(["user", "item"]).fit(TABLE.assign(useful=1.0), PLAIN).predict(TABLE.assign(useful=1.0))
    assert GAMERegressor(names).fit(frame, PLAIN).predict(frame) == pytest.approx(expected, abs=1e-4)


def test_without_entities_it_is_a_linear_model():
    x = TABLE[["age"]]
    assert_array_equal(GAMERegressor().fit(x, PLAIN).predict(x), VWRegressor().fit(x, PLAIN).predict(x))


@pytest.mark.parametrize("flags", ["--fixed gd", "--shrink zero", "--square --effect_l2 reml"])
def test_flags_change_parts_of_the_model(flags):
    parameters = {"effect_l2": "reml", "flags": "--square"} if "reml" in flags else {"flags": flags}
    model = GAMERegressor(["user", "item"], **parameters).fit(TABLE[TRAIN], PLAIN[TRAIN])
    assert np.std(model.predict(TABLE[TEST]) - PLAIN[TEST]) < 0.6
