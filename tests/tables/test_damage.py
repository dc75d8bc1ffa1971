"""Tables that were damaged, cut short, made by a later version or by an attacker: one clear error, never a crash."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.collisions import TWIN, USER
from tests.support.tables import INDEPENDENT, learned, rows
from vwlite import Workspace, tables
from vwlite.entities.arrow_tables import LISTS, NUMBERS
from vwlite.errors import ModelError, OptionError

FULL = f"--bayes_linear --noise 1 --posterior full {INDEPENDENT}"
DIAGONAL = f"--bayes_logistic --posterior diagonal --batch_size 3 --forget 0.9 {INDEPENDENT}"
TABLES = {flags: pa.Table.from_batches(learned(flags, rows())) for flags in (FULL, DIAGONAL)}
LARGE = pa.Table.from_batches(
    tables.learn(
        "--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink zero --effect_l2 1",
        [pa.record_batch({"user": ["a"] * 80, "c": [f"f{i}" for i in range(80)], "y": [1.0] * 80})],
        label="y",
        columns="user:entity c:category@c",
    )
)


def load(table: pa.Table, flags: str) -> Workspace:
    """A workspace with the entities of a table, which can predict."""
    workspace = Workspace(flags)
    workspace.add_entities(None, table)
    workspace.predict("1 |user u1 |ctx x:1 city=c1")
    return workspace


def changed(table: pa.Table, name: str, values: object) -> pa.Table:
    """A table with other values of a column; arrays keep their type, lists get that of the column."""
    at = table.column_names.index(name)
    column = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, table.field(at).type)
    return table.set_column(at, table.field(at).with_type(column.type).with_nullable(True), column)


def refusal(table: pa.Table, flags: str) -> str:
    """The one line of the error about a table."""
    with pytest.raises((ModelError, OptionError)) as caught:
        load(table, flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("flags", TABLES)
@pytest.mark.parametrize("name", ["entity", "key", *NUMBERS, *LISTS])
def test_a_missing_column_is_named(flags, name):
    assert repr(name) in refusal(TABLES[flags].drop_columns([name]), flags)


@pytest.mark.parametrize("flags", TABLES)
@pytest.mark.parametrize("name", ["entity", "key", *NUMBERS, *LISTS])
def test_nulls_are_refused(flags, name):
    table = TABLES[flags]
    assert repr(name) in refusal(changed(table, name, [None, *table[name].to_pylist()[1:]]), flags)


@pytest.mark.parametrize("name", ["key", *NUMBERS, *LISTS])
def test_columns_of_other_types_are_refused(name):
    assert repr(name) in refusal(changed(TABLES[FULL], name, pa.array(["text"] * 60)), FULL)


@pytest.mark.parametrize("flags", TABLES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", -1),
        ("prior", -1.0),
        ("dof", 1e9),
        ("posterior", 2),
        ("posterior", 7),
        ("posterior", -1),
        *((name, float("nan")) for name in ("clock", "latest", "prior", "spread", "dof")),
        *((name, float("inf")) for name in ("clock", "latest", "prior", "spread")),
    ],
)
def test_impossible_numbers_are_refused(flags, name, value):
    table = TABLES[flags]
    message = refusal(changed(table, name, [value, *table[name].to_pylist()[1:]]), flags)
    assert "not a sound table of entities" in message


@pytest.mark.parametrize("flags", TABLES)
def test_impossible_coefficients_are_refused(flags):
    table = TABLES[flags]
    first, *others = table["precision"].to_pylist()
    assert "below 0" in refusal(changed(table, "precision", [[-1.0, *first[1:]], *others]), flags)
    first, *others = table["mean"].to_pylist()
    assert "infinite or NaN" in refusal(changed(table, "mean", [[float("nan"), *first[1:]], *others]), flags)
    assert "'mean'" in refusal(changed(table, "mean", [first[1:], *others]), flags)
    assert "'mean'" in refusal(changed(table, "mean", [[*first, 1.0], *others]), flags)
    first, *others = table["hash"].to_pylist()
    assert "coefficient twice" in refusal(changed(table, "hash", [[first[1], *first[1:]], *others]), flags)


def test_keys_have_to_be_those_of_the_names():
    table = TABLES[FULL]
    keys = table["key"].to_pylist()
    assert "is not that of this name" in refusal(changed(table, "key", [b"12345678", *keys[1:]]), FULL)
    assert "is not that of this name" in refusal(changed(table, "key", keys[1:] + keys[:1]), FULL)
    names = table["entity"].to_pylist()
    assert "is there twice" in refusal(pa.concat_tables([table, table.slice(3, 1)]), FULL)
    assert "is not that of this name" in refusal(changed(table, "entity", ["", *names[1:]]), FULL)


def test_a_factor_has_to_be_one():
    flags = "--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink zero --effect_l2 1"
    assert LARGE["posterior"].to_pylist() == [2]
    load(LARGE, flags)
    factor = LARGE["factor"].to_pylist()[0]
    assert "factor" in refusal(changed(LARGE, "factor", [[*factor[:1], -1.0, *factor[2:]]]), flags)
    assert "factor" in refusal(changed(LARGE, "factor", [factor[:-1]]), flags)
    assert "factor" in refusal(changed(LARGE, "posterior", [1]), flags)


def test_counts_of_other_examples_are_refused():
    table = TABLES[DIAGONAL]
    waiting = table["waiting_n"].to_pylist()
    i = next(i for i, each in enumerate(waiting) if each)
    for value in (2**31 - 1, -1, -(2**31)):
        wrong = [[value, *each[1:]] if k == i else each for k, each in enumerate(waiting)]
        assert "waiting" in refusal(changed(table, "waiting_n", wrong), DIAGONAL)
    examples = table["waiting_example"].to_pylist()
    wrong = [each[:-1] if k == i else each for k, each in enumerate(examples)]
    assert "waiting_example" in refusal(changed(table, "waiting_example", wrong), DIAGONAL)
    wrong = [[float("inf"), *each[1:]] if k == i else each for k, each in enumerate(examples)]
    assert "infinite or NaN" in refusal(changed(table, "waiting_example", wrong), DIAGONAL)


def test_offsets_that_go_back_or_beyond_are_refused():
    table = TABLES[DIAGONAL]
    column = table["mean"].combine_chunks()
    good = np.array(column.offsets)
    for k, value in ((1, -5), (2, int(good[-1]) + 100), (1, int(good[3])), (len(good) - 2, 2**31 - 1)):
        bad = good.copy()
        bad[k] = value
        buffers = [None, pa.py_buffer(bad.astype(np.int32))]
        wrong = pa.Array.from_buffers(column.type, len(column), buffers, children=[column.values])
        refusal(changed(table, "mean", wrong), DIAGONAL)
    names = table["entity"].combine_chunks()
    bad = np.frombuffer(names.buffers()[1], np.int32).copy()
    bad[1] = -7
    wrong = pa.Array.from_buffers(pa.string(), len(names), [None, pa.py_buffer(bad), names.buffers()[2]])
    refusal(changed(table, "entity", wrong), DIAGONAL)


def with_metadata(table: pa.Table, **values: object) -> pa.Table:
    head = json.loads(table.schema.metadata[b"vwlite.entities"]) | values
    return table.replace_schema_metadata({b"vwlite.entities": json.dumps(head).encode()})


def test_a_later_version_asks_for_an_update():
    message = refusal(with_metadata(TABLES[FULL], version=2), FULL)
    assert "version 2" in message
    assert "pip install -U vwlite" in message


@pytest.mark.parametrize(
    "values",
    [
        {"version": 0},
        {"version": "1"},
        {"effect": 5},
        {"effect": ""},
        {"owner": "gd"},
        {"namespace": -1},
        {"namespace": 2**40},
        {"options": []},
        {"figures": {"example_number": "x"}},
        {"figures": {"example_number": 1e300}},
        {"sums": {"random_effect.user.l2": 5}},
        {"sums": {"random_effect.user.l2": ["F64", ["x"]]}},
        {"sums": {"random_effect.user.l2": ["F65", [1.0]]}},
        {"sums": {"random_effect.user.count": ["U32", [-1]]}},
        {"sums": {"random_effect.user.noise_sum": ["F64", []]}},
        {"sums": {"random_effect.user.l2": ["F64", [-1.0]]}},
    ],
)
def test_metadata_that_are_none_are_refused(values):
    refusal(with_metadata(TABLES[FULL], **values), FULL)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"version": 1}'])
def test_metadata_that_are_no_json_are_refused(text):
    refusal(TABLES[FULL].replace_schema_metadata({b"vwlite.entities": text}), FULL)


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    tables.write(TABLES[FULL], path)
    content = path.read_bytes()
    for size in (0, 3, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ModelError, match=r"t\.parquet") as caught:
            tables.read(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="no such file"):
        tables.read(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ModelError, match="'entity', 'key', 'count' and 19 more"):
        tables.read(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match="no file in this folder"):
        tables.read(tmp_path / "folder")


def trouble(function: Callable[..., object], *arguments: object) -> str:
    """The error message of a call; "" if it has none."""
    try:
        function(*arguments)
    except (ModelError, OptionError) as error:
        return str(error)
    return ""


@given(st.sampled_from([FULL, DIAGONAL]), st.data())
@settings(max_examples=150)
def test_any_damage_in_any_column_is_an_error_or_another_table(flags, data):
    """Bytes of a column's buffers that were changed: refused in one line, or a table of other numbers."""
    table = TABLES[flags].combine_chunks()
    name = data.draw(st.sampled_from(table.column_names))
    column = table[name].chunk(0)
    buffers = [bytearray(b) if b is not None else None for b in column.buffers()]
    there = [i for i, buffer in enumerate(buffers) if buffer]
    if not there:
        return
    which = data.draw(st.sampled_from(there))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(buffers[which]) - 1))
        buffers[which][at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    rebuilt = [None if buffer is None else pa.py_buffer(bytes(buffer)) for buffer in buffers]
    try:
        if pa.types.is_list(column.type):
            values = pa.Array.from_buffers(column.type.value_type, len(column.values), rebuilt[2:])
            wrong = pa.Array.from_buffers(column.type, len(column), rebuilt[:2], children=[values])
        else:
            wrong = pa.Array.from_buffers(column.type, len(column), rebuilt)
    except pa.ArrowInvalid:  # pyarrow sees some damage itself
        return
    bad = table.set_column(table.column_names.index(name), table.field(name).with_nullable(True), wrong)
    assert "\n" not in trouble(load, bad, flags)


@given(st.binary(max_size=3), st.integers(0, 2**32))
@settings(max_examples=60)
def test_any_damage_in_a_file_is_an_error_or_another_table(tmp_path_factory, content, at):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    tables.write(TABLES[FULL], path)
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    assert "\n" not in trouble(lambda: load(tables.read(path), FULL))


def test_names_with_one_hash_are_two_entities_in_every_order(tmp_path):
    """Two names that murmur3 can't tell apart: whichever share they are in, each keeps its own posterior."""
    flags = "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 1"
    names = [USER, TWIN]
    parts = []
    for k, name in enumerate(names):
        table = pa.record_batch({"user": pa.array([name] * 9), "y": [float(k + 1)] * 9})
        parts.append(pa.Table.from_batches(tables.learn(flags, [table], label="y")))
    assert parts[0]["key"].to_pylist() == parts[1]["key"].to_pylist()
    merged = tables.merge(parts)
    assert merged.equals(tables.merge(parts[::-1]))
    assert len(merged) == len(set(merged["key"].to_pylist())) == 2
    workspace = load(merged, flags)
    x = pa.record_batch({"user": pa.array(names)})
    assert workspace.predict(x, columns="user:entity").tolist() == pytest.approx([0.9, 1.8])
    # one of the two alone has the key that its name is looked for by
    for k in range(2):
        alone = Workspace(flags)
        alone.add_entities("user", merged.slice(k, 1))
        assert np.count_nonzero(alone.predict(x, columns="user:entity")) == 1
