"""Tables with Arrow's C data interface: the same examples as dicts of their rows."""

import datetime
import decimal
from typing import Any

import numpy as np
import pytest

from vwlite import Workspace
from vwlite.errors import OptionError, ParseError

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

ROWS: list[dict[str, Any]] = [
    {"price": 1.5, "city": "New York", "new": True, "n": 3, "long": "a text of more than twelve bytes"},
    {"price": 2.5, "city": "Rome", "new": False, "n": 0, "long": ""},
    {"price": None, "city": None, "new": None, "n": None, "long": None},
    {"price": -0.25, "city": "Rome", "new": True, "n": -7, "long": "é:|"},
]
Y = [1.0, 2.0, 3.0, 4.0]
KNOWN = [{name: value for name, value in row.items() if value is not None} for row in ROWS]


def frames():
    table = pa.Table.from_pylist(ROWS)
    yield "pyarrow", table
    yield "batch", pa.RecordBatch.from_pylist(ROWS)
    yield "reader", pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
    yield "slice", pa.concat_tables([table, table, table]).slice(4, 4)
    yield "large", table.cast(pa.schema([
        ("price", pa.float32()), ("city", pa.large_string()), ("new", pa.bool_()), ("n", pa.int8()),
        ("long", pa.string_view()),
    ]))  # fmt: skip
    yield "dictionary", table.set_column(1, "city", table["city"].dictionary_encode())
    yield "pandas", pd.DataFrame(ROWS).astype({"n": "Int64", "new": "boolean", "price": "Float64"})
    yield "polars", pl.DataFrame(ROWS)
    yield "categories", pl.DataFrame(ROWS).with_columns(pl.col("city").cast(pl.Categorical))


@pytest.mark.parametrize(("name", "frame"), [*frames()], ids=[name for name, _ in frames()])
@pytest.mark.parametrize("flags", ["", "--hash all --hash_seed 3"])
def test_a_table_is_the_dicts_of_its_rows(name, frame, flags):
    if name == "reader":
        frame = dict(frames())["reader"]  # it is read once
    assert Workspace(flags).learn(frame, Y).tolist() == Workspace(flags).learn(KNOWN, Y)


def test_duckdb_gives_tables_too():
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select 1.5::double price, 'Rome' city union all select 2.5, 'Bonn' order by price")
    assert Workspace().learn(relation, [1, 2]).tolist() == Workspace().learn(
        [{"price": 1.5, "city": "Rome"}, {"price": 2.5, "city": "Bonn"}], [1, 2]
    )


@pytest.mark.parametrize(
    "kind",
    ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
def test_every_kind_of_number_is_read(kind):
    values = [1, 0, 100, 7]
    numbers = np.array(values, kind)
    table = pa.table({"a": pa.array(numbers)})
    assert Workspace().learn(table, Y).tolist() == Workspace().learn([{"a": value} for value in values], Y)


def test_decimals_bools_binary_and_nothing():
    table = pa.table({
        "d": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.50"), None], pa.decimal128(9, 2)),
        "b": [True, False, None],
        "z": pa.array([b"x", b"", None]),
        "n": pa.nulls(3),
    })  # fmt: skip
    records = [{"d": 1.25, "b": True, "z": "x"}, {"d": -3.5, "z": ""}, {}]
    assert Workspace().learn(table, [1, 2, 3]).tolist() == Workspace().learn(records, [1, 2, 3])


def test_structs_and_lists_are_namespaces():
    rows: list[dict[str, Any]] = [
        {"a": 1.5, "s": {"x": 2.0, "y": "u"}, "l": ["p", "q"], "v": [1.0, 0.0, 3.0], "f": [1.0, 2.0]},
        {"a": 2.5, "s": {"x": None, "y": "w"}, "l": [], "v": [0.5], "f": [0.0, 4.0]},
        {"a": 3.5, "s": None, "l": None, "v": None, "f": None},
    ]
    table = pa.Table.from_pylist(rows)
    table = table.set_column(4, "f", table["f"].cast(pa.list_(pa.float64(), 2)))
    known = [{k: v for k, v in row.items() if v is not None} for row in rows]
    for shape in (table, table.slice(1), pl.DataFrame(rows)):
        skipped = 3 - len(shape)
        assert Workspace().learn(shape, [1, 2, 3][skipped:]).tolist() == Workspace().learn(
            known[skipped:], [1, 2, 3][skipped:]
        )


def test_labels_weights_tags_and_entities_are_columns_by_name():
    table = pa.table({
        "y": ["yes", "no", "yes"], "w": [1, 2, 0.5], "id": ["t1", "t2", "t3"], "user": ["ann", "bob", "ann"],
        "x": [1.0, 2.0, 3.0],
    })  # fmt: skip
    flags = "--bayes_logistic --random_effect user"
    ours, text = Workspace(flags), Workspace(flags)
    assert ours.learn(table, "y:binary(yes)", weight="w", tag="id").tolist() == pytest.approx(
        text.learn(["1 1 t1|user ann | x:1", "-1 2 t2|user bob | x:2", "1 0.5 t3|user ann | x:3"]), abs=1e-6
    )
    for words in (
        {"columns": "w:weight id:tag user:entity x:number", "y": "y:binary(yes)"},
        {"columns": {"w": "weight", "/^id$/": "tag", "/.*/": "auto"}, "y": "y:binary(yes)"},
    ):
        assert (
            Workspace(flags).learn(table, **words).tolist()
            == Workspace(flags).learn(table, "y:binary(yes)", weight="w", tag="id").tolist()
        )
    kept = Workspace(f"{flags} --label y:binary(yes) --columns_in 'w:weight id:tag /.*/:auto'")
    assert kept.learn(table).tolist() == Workspace(flags).learn(table, "y:binary(yes)", weight="w", tag="id").tolist()


def test_dates_give_the_parts_that_the_map_names():
    times = [datetime.datetime(2013, 1, 31, 5, 7), datetime.datetime(1969, 12, 31, 23), datetime.datetime(2024, 2, 29)]
    table = pa.table({"when": times, "day": pa.array([time.date() for time in times])})
    ours = Workspace().learn(table, [1, 2, 3], columns="when:date(year,month,day,dow,hour,minute) day:date(days)")
    epoch = datetime.date(1970, 1, 1)
    records = [
        {f"when.{name}": str(value) for name, value in (
            ("year", t.year), ("month", t.month), ("day", t.day), ("dow", t.weekday()), ("hour", t.hour),
            ("minute", t.minute))} | {"day.days": (t.date() - epoch).days}
        for t in times
    ]  # fmt: skip
    assert ours.tolist() == Workspace().learn(records, [1, 2, 3])
    for unit in ("s", "ms", "us", "ns"):
        cast = pa.table({"when": table["when"].cast(pa.timestamp(unit)), "day": table["day"].cast(pa.date64())})
        again = Workspace().learn(cast, [1, 2, 3], columns="when:date(year,month,day,dow,hour,minute) day:date(days)")
        assert again.tolist() == ours.tolist()


TABLE = pa.table({"a": [1.0, 2.0], "city": ["Rome", "Bonn"]})


@pytest.mark.parametrize(
    ("table", "words", "kind", "match"),
    [
        (TABLE, {"y": [1]}, ValueError, "y has 1 values, and there are 2 rows"),
        (TABLE, {"y": "zz"}, OptionError, "the table: no column matches --label zz.*there are a, city"),
        (TABLE, {"y": "city"}, ParseError, "row 1: the label is no number .*: city=Rome"),
        (
            TABLE,
            {"columns": "a:number"},
            OptionError,
            "no rule of --columns_in matches the column 'city': add city:ROLE",
        ),
        (TABLE, {"columns": "/^zz/:number /.*/:auto"}, OptionError, "no column matches --columns_in /\\^zz/:number"),
        (TABLE, {"columns": "a:number city:number"}, ParseError, "row 1: not a finite number, .*: city=Rome"),
        (TABLE, {"columns": "a:nonsense"}, OptionError, "there is no role 'nonsense', only auto, number"),
        (TABLE, {"columns": "/(/:number"}, OptionError, "not a regular expression"),
        (TABLE, {"columns": "a:label city:label"}, OptionError, "a and city are both the label"),
        (TABLE, {"y": "a", "columns": "a:date(hour) /.*/:auto"}, None, ""),
        (TABLE["a"], {}, TypeError, "a table is expected, and this is a single column"),
        (
            pa.table({"t": [datetime.datetime(2026, 1, 1)]}),
            {},
            TypeError,
            "the column 't' holds times: say what matters",
        ),
        (pa.table({"a": [float("nan")]}), {"y": [1]}, ParseError, "row 1: not a finite number.*a=nan"),
        (
            pa.table({"a": [1.0, float("nan")]}),
            {"y": [1, 2], "columns": "a:category"},
            ParseError,
            "row 2: not a finite",
        ),
        (pa.table({"a": [[["x"]]]}), {}, TypeError, "the column 'a' holds lists of '[+]l'"),
        (pa.table([[1], [2]], names=["a", "a"]), {}, OptionError, "two columns are called 'a'"),
        (
            pa.table({"a": [{1: 2}]}, schema=pa.schema([("a", pa.map_(pa.int8(), pa.int8()))])),
            {},
            TypeError,
            "not read here",
        ),
    ],
)
def test_bad_tables_are_refused_with_what_to_do(table, words, kind, match):
    workspace = Workspace()
    if kind is None:
        assert len(workspace.learn(table, **words)) == 2
        return
    with pytest.raises(kind, match=match):
        workspace.learn(table, **words)


def test_a_wrong_type_in_row_2001_is_found_there():
    table = pa.table({"a": [1.0] * 2000 + [float("inf")] + [1.0] * 10})
    workspace = Workspace()
    with pytest.raises(ParseError, match="row 2001: not a finite number"):
        workspace.learn(table, [1.0] * 2011)
    assert workspace.predict({"a": 1.0}) > 0.5  # the rows before it were learned


def test_columns_are_found_by_name_in_any_order():
    workspace = Workspace()
    workspace.learn(TABLE, [1, 2])
    assert workspace.predict(TABLE).tolist() == pytest.approx(workspace.predict(TABLE.select(["city", "a"])).tolist())


def test_a_column_that_is_missing_at_prediction_is_named():
    workspace = Workspace()
    workspace.learn(TABLE.append_column("w", pa.array([1.0, 2.0])), [1, 2], weight="w")
    with pytest.raises(ValueError, match="the table has no column 'city', which those that were learned had"):
        workspace.predict(TABLE.select(["a"]))
    more = TABLE.append_column("new", pa.array([1.0, 2.0]))
    assert workspace.predict(more).tolist() == pytest.approx(workspace.predict(TABLE).tolist())
    assert workspace.predict({"a": 1.0}) != 0  # dicts have what they have
    workspace.learn(TABLE.select(["a"]), [1, 2])  # a table that was learned lacked it, too
    assert workspace.predict(TABLE.select(["a"])).shape == (2,)


def test_a_column_of_several_types_is_named_with_the_row():
    mixed = pd.DataFrame({"b": [1.0] * 3000, "a": [None, *range(2000), "x", *range(998)]}, dtype=object)
    message = "the column 'a' has values of different types: row 2 is of type int, row 2002 of type str"
    with pytest.raises(TypeError, match=message):
        Workspace().learn(mixed, [1.0] * 3000)


def test_nan_of_pandas_is_missing():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 3.0]})
    assert Workspace().learn(frame, [1, 2]).tolist() == Workspace().learn([{"a": 1, "b": 2}, {"b": 3}], [1, 2])


def test_an_empty_table_is_no_example():
    assert Workspace().learn(TABLE.slice(0, 0), []).shape == (0,)


def test_the_index_of_a_shuffled_frame_is_no_column():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [1.0, 0.0, 1.0]})
    shuffled = frame.iloc[[2, 0, 1]]
    again = shuffled.reset_index(drop=True)
    for columns in (None, "a:number y:label"):
        y = None if columns else "y"
        expected = list(Workspace().learn(again, y=y, columns=columns))
        assert list(Workspace().learn(shuffled, y=y, columns=columns)) == expected
