"""Arrays of NumPy and SciPy: the same examples as lines of text with numbers as names."""

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support.records import number
from vwlite import Workspace
from vwlite.errors import ParseError

RANDOM = np.random.default_rng(7)
X = np.where(RANDOM.random((60, 5)) < 0.4, 0, RANDOM.normal(size=(60, 5))).astype(np.float32)
Y = RANDOM.integers(0, 3, 60).astype(float)
FLAGS = ["", "--bayes_linear", "--loss_function logistic --hash all", "-q ::", "--hash_seed 5"]


def lines(x: np.ndarray, y: np.ndarray, names: list[str] | None = None) -> list[str]:
    columns = names or [str(k) for k in range(x.shape[1])]
    return [
        f"{label:g} | " + " ".join(f"{columns[k]}:{number(value)}" for k, value in enumerate(row) if value)
        for row, label in zip(x, y, strict=True)
    ]


@pytest.mark.parametrize("flags", FLAGS)
def test_dense_sparse_and_text_are_the_same_examples(flags):
    y = np.where(Y > 1, 1, -1) if "logistic" in flags else Y
    dense, sparse, text = Workspace(flags), Workspace(flags), Workspace(flags)
    found = dense.learn(X, y)
    assert found.dtype == np.float32
    assert found.tolist() == sparse.learn(sp.csr_matrix(X), y).tolist() == text.learn(lines(X, y))
    assert dense.predict(X).tolist() == text.predict(lines(X, y))


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int8, np.uint64, bool, object])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_type_and_layout_of_numbers_is_read(kind, order):
    x = np.asarray(np.round(np.abs(X)), dtype=kind, order=order)
    assert Workspace().learn(x, Y).tolist() == Workspace().learn(lines(x.astype(np.float32), Y))
    assert Workspace().learn(x[::2, ::-1], Y[::2]).tolist() == Workspace().learn(
        lines(x.astype(np.float32)[::2, ::-1], Y[::2])
    )


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "coo_array", "lil_matrix"])
def test_any_sparse_matrix_is_read(form):
    assert Workspace().learn(getattr(sp, form)(X), Y).tolist() == Workspace().learn(X, Y).tolist()


def test_columns_may_have_names():
    names = ["price", "size of it", "a:b", "x|y", "é"]
    cut = ["price", "size_of_it", "a_b", "x_y", "é"]
    workspace, text = Workspace(), Workspace()
    assert workspace.learn(X, Y, columns=names).tolist() == text.learn(lines(X, Y, cut))
    assert workspace.predict(X[:, ::-1], columns=names[::-1]).tolist() == pytest.approx(
        text.predict(lines(X, Y, cut)), abs=1e-5
    )


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two columns are called 'b'"):
        Workspace().learn(np.eye(3), [1, 2, 3], columns=["a", "b", "b"])


def test_a_row_of_one_dimension_is_one_example():
    workspace = Workspace()
    assert isinstance(workspace.learn(X[0], 1.0), float)
    assert workspace.predict(X[0]) == workspace.predict(X)[0]


def test_labels_weights_and_tags_go_beside():
    weights = RANDOM.random(60).astype(np.float32)
    text = [line.replace(" |", f" {number(weight)} |", 1) for line, weight in zip(lines(X, Y), weights, strict=True)]
    assert Workspace().learn(X, Y, weights, [f"t{i}" for i in range(60)]).tolist() == Workspace().learn(text)
    assert Workspace().learn(X, Y.tolist(), iter(weights)).tolist() == Workspace().learn(text)
    assert Workspace().learn(X, Y.reshape(-1, 1), 2).tolist() == Workspace().learn(X, Y, np.full(60, 2)).tolist()


def test_several_thousand_rows_and_many_columns():
    x = RANDOM.normal(size=(3001, 3)).astype(np.float32)
    y = RANDOM.integers(0, 2, 3001)
    assert Workspace().learn(x, y).tolist() == Workspace().learn(lines(x, y))
    wide = sp.random_array((20, 100_000), density=0.0005, rng=RANDOM, format="csr", dtype=np.float32)
    assert Workspace().learn(wide, Y[:20]).tolist() == Workspace().learn(wide.toarray(), Y[:20]).tolist()


def test_classes_give_arrays_of_classes():
    workspace, numbered = Workspace("--oaa 3"), Workspace("--oaa 3")
    workspace.learn(X, np.array(["red", "green", "blue"])[Y.astype(int)])
    numbered.learn(X, Y.astype(int) + 1)
    assert set(workspace.predict(X)) <= {"red", "green", "blue"}
    assert set(numbered.predict(X).tolist()) <= {1, 2, 3}
    probable = Workspace("--oaa 3 --probabilities --loss_function logistic").learn(X, Y.astype(int) + 1)
    assert all(sum(one.values()) == pytest.approx(1) for one in probable)


@pytest.mark.parametrize(
    ("x", "y", "kind", "match"),
    [
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), [1, 2], ParseError, "row 2: the feature's value is not finite: 0=nan"),
        (np.array([[1.0, 2.0], [1.0, 1e300]]), [1, 2], ParseError, "row 2: .*not finite: 1=1.0000000000000001e[+]300"),
        (np.array([["a", "b"]]), [1], TypeError, "values of type <U1, where numbers are expected"),
        (np.array([[1, "b"]], object), [1], TypeError, "rows 1 to 1 hold a value that is no number"),
        (np.zeros((2, 2, 2)), None, ValueError, "x has 3 dimensions"),
        (np.zeros((2, 2)), [1], ValueError, "y has 1 values, and there are 2 rows"),
        (np.zeros((2, 2)), [1, np.inf], ParseError, "row 2: the label.*not finite: label=inf"),
        (np.zeros((2, 2)), "y", TypeError, "y is the text 'y', where one value for each row"),
        (np.zeros((2, 2)), np.zeros((2, 2)), ValueError, "y has 2 dimensions"),
    ],
)
def test_bad_arrays_are_refused_with_the_place(x, y, kind, match):
    with pytest.raises(kind, match=match):
        Workspace().learn(x, y)


def test_names_must_be_as_many_as_columns():
    with pytest.raises(ValueError, match="there are 1 names of columns, and x has 5 columns"):
        Workspace().learn(X, Y, columns=["a"])
    with pytest.raises(TypeError, match="the columns of an array are a list of their names"):
        Workspace().learn(X, Y, columns="a:number")


def test_missing_numbers_can_be_skipped():
    x = X.copy()
    x[x == 0] = np.nan
    assert Workspace("--missing skip").learn(x, Y).tolist() == Workspace().learn(X, Y).tolist()
    assert Workspace("--missing skip").learn(sp.csr_matrix(x), Y).tolist() == Workspace().learn(X, Y).tolist()


def test_an_empty_array_is_no_example():
    assert Workspace().learn(np.zeros((0, 3)), []).shape == (0,)
    assert Workspace().learn(np.zeros((2, 0)), [1, 2]).tolist() == Workspace().learn(["1 |", "2 |"])
