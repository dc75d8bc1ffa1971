"""Learning by shares: the table of all shares is the model of the command line, to the last bit."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tables import COLUMNS, INDEPENDENT, command_line, entities_in, in_shares, learned, require_same, rows
from vwlite import Workspace, tables
from vwlite.cli import main
from vwlite.entities.flat import FIELDS
from vwlite.errors import ModelError, OptionError, ParseError

KINDS = (
    *("--bayes_linear --noise 1", "--bayes_linear", "--bayes_logistic", "--bayes_logistic --moments"),
    *("--bayes_logistic --posterior_mode", "--square --batch_size 4", "--logistic --batch_size 4"),
    *("--bayes_linear --noise 1 --forget 0.9", "--bayes_logistic --batch_size 3", "--bayes_linear --intercept_l2 1e-6"),
    *("--bayes_logistic --entity_min 3", "--bayes_linear --noise 1 --posterior_full 16"),
)


def metadata(batch: pa.RecordBatch | pa.Table) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(batch.schema.metadata[b"vwlite.entities"])
    return found


@pytest.mark.parametrize("posterior", ["diagonal", "full", "identity", "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_shares_make_the_model_of_the_command_line(kind, posterior, tmp_path):
    if "posterior_full" in kind and posterior in ("diagonal", "identity"):
        pytest.skip("--posterior_full is refused with a posterior that is never full")
    flags = f"{kind} {INDEPENDENT} --posterior {posterior}"
    table = rows()
    whole = command_line(table, flags, tmp_path / "whole")
    for n in (1, 3, 7, 16):
        batches = in_shares(flags, table, n)
        np.random.default_rng(n).shuffle(batches)
        tables.to_model(flags, batches, tmp_path / "shares")
        require_same(whole, tmp_path / "shares")
    found = Workspace.load(whole).predict(table.drop_columns(["y"]))
    assert np.array_equal(Workspace.load(tmp_path / "shares").predict(table.drop_columns(["y"])), found)


@pytest.mark.parametrize("kind", ["--square", "--logistic", "--square --sweeps 2"])
def test_a_fit_of_a_whole_pass_predicts_the_same(kind, tmp_path):
    flags, table = f"{kind} {INDEPENDENT}", rows()
    whole = Workspace.load(command_line(table, flags, tmp_path / "whole"))
    tables.to_model(flags, in_shares(flags, table, 5), tmp_path / "shares")
    x = table.drop_columns(["y"])
    assert np.array_equal(Workspace.load(tmp_path / "shares").predict(x), whole.predict(x))


def test_clocks_of_a_column_are_those_of_the_command_line(tmp_path):
    table = rows().append_column("t", pa.array(np.arange(1200) / 100))
    flags = f"--bayes_linear --noise 1 --forget 0.7 --forget_time clock {INDEPENDENT} --posterior diagonal"
    columns = f"{COLUMNS} t:number@clock"
    words = ("--label", "y:number", "--columns_in", columns)
    whole = command_line(table, flags, tmp_path / "whole", words)
    tables.to_model(flags, in_shares(flags, table, 4, columns=columns), tmp_path / "shares")
    require_same(whole, tmp_path / "shares")


@pytest.mark.parametrize("kind", ["--bayes_linear --noise 1", "--bayes_logistic --posterior diagonal --batch_size 4"])
def test_three_days_are_one_run(kind):
    flags, table = f"{kind} {INDEPENDENT}", rows()
    whole = pa.Table.from_batches(learned(flags, table))
    before = None
    texts = []
    for first, last in ((0, 500), (500, 700), (700, 1200)):
        before = learned(flags, table.slice(first, last - first), before=before)
        texts.append(before[0].schema.metadata[b"vwlite.entities"].decode())
    assert pa.Table.from_batches(before).equals(whole)
    merged, alone = json.loads(tables.merge_metadata(texts)), metadata(whole)
    assert merged["sums"]["random_effect.user.spread_count"] == alone["sums"]["random_effect.user.spread_count"]
    assert merged["figures"]["example_number"] == 1200


def test_days_in_shares_are_one_run_too(tmp_path):
    flags, table = f"--bayes_logistic {INDEPENDENT}", rows()
    whole = command_line(table, flags, tmp_path / "whole")
    first = in_shares(flags, table.slice(0, 700), 3)
    share = tables.shares(table["user"], 5)
    old = pa.Table.from_batches([batch.replace_schema_metadata(None) for batch in first])
    second = []
    for i in range(5):
        before = old.filter(pa.array(tables.shares(old["entity"], 5) == i)).to_batches()
        second += learned(flags, table.slice(700).filter(pa.array(share[700:] == i)), before=before)
    text = tables.merge_metadata([part.schema.metadata[b"vwlite.entities"].decode() for part in [*first, *second]])
    tables.to_model(flags, second, tmp_path / "days", metadata=text)
    require_same(whole, tmp_path / "days")


def test_only_what_has_learned_comes_out():
    flags, table = f"--bayes_linear {INDEPENDENT}", rows()
    before = learned(flags, table.slice(0, 1100))
    changed = pa.Table.from_batches(learned(flags, table.slice(1100), before=before, changed=True))
    assert set(changed["entity"].to_pylist()) == set(table["user"].slice(1100).to_pylist())
    every = pa.Table.from_batches(learned(flags, table.slice(1100), before=before))
    assert len(every) == 60 > len(changed)
    assert set(map(str, changed.to_pylist())) < set(map(str, every.to_pylist()))


def test_no_row_gives_an_empty_batch_with_metadata():
    flags = f"--bayes_linear {INDEPENDENT}"
    (batch,) = tables.learn(flags, [])
    assert batch.num_rows == 0
    assert batch.schema.names == tables.schema(flags).names
    assert metadata(batch)["skipped"] == {"rows": 0, "malformed": 0, "nameless": 0}
    (before,) = tables.learn(flags, [], before=learned(flags, rows()))
    assert before.num_rows == 60


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (pa.array(["a", None, "b c", "a|b:c", "x" * 10_000]), ["a", "b_c", "a_b_c", "x" * 10_000]),
        (pa.array(["é", "日本", "a\nb", "b", "\U0001f600"]), ["é", "日本", "a_b", "b", "\U0001f600"]),
        (pa.array([1, 2**53 + 1, 2**53 + 2, 2**63 - 1, -(2**62) - 1]), None),
        (pa.array([1, 2, 3, 2**64 - 1, 2**63], pa.uint64()), None),
        (pa.array(["a", "b", "a", "b", "c"]).dictionary_encode(), ["a", "b", "c"]),
        (pa.array([10**17 + 1, 1, 2, 3, 4], pa.decimal128(20, 0)), ["100000000000000001", "1", "2", "3", "4"]),
    ],
)
def test_odd_names_are_names(ids, names):
    table = pa.record_batch({"user": ids, "y": [1.0, -1, 1, -1, 1]})
    flags = "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 2"
    found = pa.Table.from_batches(tables.learn(flags, [table], label="y"))
    assert sorted(found["entity"].to_pylist()) == sorted(names or map(str, ids.to_pylist()))
    assert metadata(found)["skipped"]["nameless"] == ids.null_count
    # a number and a text with its digits are one name
    again = Workspace(flags)
    again.add_entities("user", found)
    for name, count in zip(found["entity"].to_pylist(), found["count"].to_pylist(), strict=True):
        again.learn({"user": name}, 1.0)
        counts = dict(zip(*(again.entities()[each].to_pylist() for each in ("entity", "count")), strict=True))
        assert counts[name] == count + 1
        assert len(counts) == len(found)


def test_names_that_are_no_text_keep_their_bytes(tmp_path):
    ids = pa.array([b"\xff\xfe", b"a", b"\xff", b"a", b"\xc3"])
    flags = "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 2"
    table = pa.table({"user": ids, "y": [1.0, -1, 1, -1, 1]})
    found = pa.Table.from_batches(tables.learn(flags, table.to_batches(), label="y"))
    assert {bytes(raw) for raw in found["raw"].to_pylist() if raw is not None} == {b"\xff\xfe", b"\xff", b"\xc3"}
    tables.write(found, tmp_path / "t.parquet")
    tables.to_model(flags, [tables.read(tmp_path / "t.parquet")], tmp_path / "model")
    require_same(command_line(table, flags, tmp_path / "whole", ("--label", "y")), tmp_path / "model")


def test_rows_that_are_no_examples_are_counted():
    table = pa.record_batch({"user": ["a", "", "b", None], "y": [1.0, 2.0, float("nan"), 1.0]})
    flags = "--bayes_linear --random_effect user --fixed none --shrink zero --effect_l2 2"
    (batch,) = tables.learn(flags, [table], label="y")
    assert batch.column("entity").to_pylist() == ["a"]
    head = metadata(batch)
    assert head["skipped"] == {"rows": 4, "malformed": 2, "nameless": 1}
    assert head["problem"].startswith("row 2: ")
    with pytest.raises(ParseError, match="row 2"):
        list(tables.learn(f"{flags} --strict_parse", [table], label="y"))


def test_columns_that_can_be_no_features_are_named():
    table = pa.record_batch({"user": ["a"], "y": [1.0], "z": pa.array([[[1]]])})
    flags = "--bayes_linear --random_effect user --fixed none"
    with pytest.raises(TypeError, match="'z'"):
        list(tables.learn(flags, [table], label="y"))
    with pytest.raises(OptionError, match="no column matches --label"):
        list(tables.learn(flags, [table.select(["user"])], label="y"))


def test_a_table_of_other_options_is_refused_and_both_are_named():
    table = rows()
    before = learned(f"--bayes_linear {INDEPENDENT} --posterior diagonal", table)
    with pytest.raises(OptionError, match=r"with --posterior auto.*with --posterior diagonal"):
        learned(f"--bayes_linear {INDEPENDENT}", table, before=before)
    with pytest.raises(OptionError, match="--bayes_logistic"):
        learned(f"--bayes_logistic {INDEPENDENT} --posterior diagonal", table, before=before)
    flags = INDEPENDENT.replace("user:ctx", "user")
    with pytest.raises(OptionError, match="--random_effect user:ctx"):
        learned(f"--bayes_linear {flags} --posterior diagonal", table, before=before)
    # another ridge may be given to a later day
    later = INDEPENDENT.replace("--effect_l2 2", "--effect_l2 3")
    learned(f"--bayes_linear {later} --posterior diagonal", table, before=before)


def test_flags_without_one_effect_are_refused(tmp_path):
    with pytest.raises(OptionError, match="one random effect, and there is none"):
        list(tables.learn("--bayes_linear", []))
    with pytest.raises(OptionError, match="there are user, item: say which"):
        list(tables.learn("--bayes_linear --random_effect user --random_effect item", []))
    with pytest.raises(OptionError, match="--entity_limit"):
        list(tables.learn("--bayes_linear --random_effect user --entity_limit 5", []))
    model = command_line(rows(), f"--bayes_linear {INDEPENDENT}", tmp_path / "model")
    with pytest.raises(OptionError, match="`before`"):
        tables.schema(f"-i {model}")


def test_several_effects_give_the_table_that_is_asked_for(tmp_path):
    table = pa.record_batch({"user": ["a", "b"] * 9, "item": ["x", "y", "z"] * 6, "y": [1.0, 2.0, 3.0] * 6})
    flags = (
        "--bayes_linear --noise 1 --random_effect user --random_effect item --fixed none --shrink zero --effect_l2 1"
    )
    users, items = (
        pa.Table.from_batches(tables.learn(flags, [table], label="y", effect=name)) for name in ("user", "item")
    )
    assert sorted(users["entity"].to_pylist()) == ["a", "b"]
    assert sorted(items["entity"].to_pylist()) == ["x", "y", "z"]
    data = tmp_path / "data.parquet"
    pq.write_table(pa.table(table), data)
    words = ["-d", str(data), *flags.split(), "--label", "y", "-f", str(tmp_path / "whole"), "--quiet"]
    assert main(words) == 0
    tables.to_model(flags, {"user": [users], "item": [items]}, tmp_path / "model")
    require_same(tmp_path / "whole", tmp_path / "model")
    one, two = (entities_in(tmp_path / name, "item") for name in ("whole", "model"))
    assert all(one[name].tobytes() == two[name].tobytes() for name in FIELDS)
    workspace = Workspace(flags)
    workspace.add_entities("user", users)
    workspace.add_entities("item", items)
    whole = Workspace(flags)
    whole.learn(table, y="y")
    assert np.array_equal(
        workspace.predict(table.select(["user", "item"])), whole.predict(table.select(["user", "item"]))
    )
    with pytest.raises(OptionError, match="of the effect 'item', not of 'user'"):
        workspace.add_entities("user", items)


def test_a_damaged_table_changes_nothing():
    flags, table = f"--bayes_linear {INDEPENDENT}", rows()
    workspace = Workspace(flags)
    workspace.learn(table.slice(0, 600), y="y:number", columns=COLUMNS)
    before = workspace.to_bytes()
    other = pa.Table.from_batches(learned(flags, rows(seed=1, users=70).slice(0, 300)))
    bad = other.set_column(other.column_names.index("count"), other.field("count"), pa.array([-1] * len(other)))
    with pytest.raises(ModelError, match="'count'"):
        workspace.add_entities("user", bad, same="newest")
    with pytest.raises(OptionError, match="is there twice"):
        workspace.add_entities("user", other)
    assert workspace.to_bytes() == before


def test_what_has_changed_since_the_last_call():
    flags = "--bayes_linear --random_effect user --fixed none"
    workspace = Workspace(flags)
    workspace.learn([{"user": "a"}, {"user": "b"}], y=[1, 2])
    assert len(workspace.entities()) == 2
    assert len(workspace.entities(changed=True)) == 0
    workspace.learn([{"user": "b"}, {"user": "c"}], y=[1, 2])
    assert sorted(workspace.entities("user", changed=True)["entity"].to_pylist()) == ["b", "c"]
    assert len(workspace.entities(changed=True)) == 0
