"""`vwlite describe`: counts beside those of pandas, suspects that are there, none where there is nothing, bad input."""

import json
import math
import random
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vwlite.cli import main
from vwlite.describing.description import description_of
from vwlite.describing.reading import describe
from vwlite.describing.tally import Tally
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.driver import parse as block_of
from vwlite.errors import OptionError, VwliteError
from vwlite.features.interactions import Interactions
from vwlite.parsers.text import TextParser


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frame(n: int = 1500, seed: int = 3) -> pd.DataFrame:
    """A table with each kind of column, and one of each kind of suspect."""
    draw = np.random.default_rng(seed)
    y = (draw.random(n) < 0.3).astype(int)
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in draw.permutation(n)],
            "when": np.sort(draw.integers(10_000, 90_000, n)),
            "user": [f"u{i}" for i in draw.integers(0, 60, n)],
            "city": draw.choice(["Bonn", "Rome", "Paris"], n, p=[0.6, 0.3, 0.1]),
            "price": np.round(draw.lognormal(0, 1, n), 3),
            "zeros": draw.integers(0, 3, n),
            "spend": np.where(draw.random(n) < 0.05, draw.random(n) * 1e9, draw.random(n)),
            "fixed": np.full(n, 7),
            "score": y * 2 + draw.random(n) * 0.1,
            "refund": pd.Series("x", range(n)).where(y == 1, None),
            "gap": pd.Series(draw.random(n).round(4)).where(draw.random(n) > 0.2, None),
            "y": y,
        }
    )


def write(table: pd.DataFrame, path: str) -> str:
    """Writes a table in the format of the file's name."""
    if path.endswith(".csv"):
        table.to_csv(path, index=False)
    elif path.endswith(".parquet"):
        table.assign(gap=table["gap"].astype(float)).to_parquet(path)
    else:
        rows = ({k: v for k, v in row.items() if not pd.isna(v)} for row in table.to_dict("records"))
        Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def columns(found: Any) -> dict[str, Any]:
    return {column.name: column for column in found.data.columns}


@pytest.mark.parametrize("path", ["data.csv", "data.parquet", "data.ndjson"])
def test_counts_are_those_of_pandas(path):
    table = frame()
    given = {"label": "y", "missing": "skip"}
    found = describe([write(table, path)], given)
    assert found.data.rows == len(table)
    by_name = columns(found)
    for name in ("price", "zeros", "spend", "when", "gap"):
        cells = table[name].dropna().astype(float)
        column = by_name[name]
        assert column.kind == "number"
        assert column.rows == len(cells)
        facts = column.facts
        for fact, wanted in (
            *(("min", cells.min()), ("max", cells.max()), ("mean", cells.mean()), ("sd", cells.std())),
        ):
            assert facts[fact] == pytest.approx(wanted, rel=2e-6), (name, fact)
        for share, quantile in facts["quantiles"].items():
            assert quantile == pytest.approx(np.quantile(cells.astype(np.float32), float(share)), rel=1e-6)
        assert column.association["correlation"] == pytest.approx(
            np.corrcoef(cells.astype(np.float32), table["y"][cells.index])[0, 1], abs=1e-6
        )
    for name in ("user", "city", "id"):
        assert by_name[name].distinct == table[name].nunique()
        top = table[name].value_counts()
        assert by_name[name].facts["values"][0]["rows"] == top.iloc[0]
    assert by_name["city"].facts["values"][0]["value"] == "Bonn"
    assert by_name["user"].kind == "entity"
    labels = found.data.labels
    assert labels["kind"] == "binary"
    assert labels["mean"] == pytest.approx(table["y"].mean())
    assert {one["label"]: one["rows"] for one in labels["labels"]} == table["y"].value_counts().to_dict()


@pytest.mark.parametrize("path", ["data.csv", "data.ndjson"])
def test_each_suspect_is_found_and_nothing_else(path):
    found = describe([write(frame(), path)], {"label": "y", "missing": "skip"})
    kinds = {suspect["column"]: suspect["kind"] for suspect in found.suspects}
    assert kinds == {"id": "distinct", "fixed": "constant", "score": "leak", "refund": "missing", "spend": "range"}


@pytest.mark.parametrize("first", [1, 100, -500])
def test_numbers_of_rows_in_another_order_are_an_id_and_numbers_of_the_same_range_are_not(tmp_path, first):
    draw = random.Random(1)
    numbers = list(range(first, first + 3000))
    draw.shuffle(numbers)
    lows = [first, first + 2999, *(draw.randrange(first, first + 3000) for _ in range(2998))]
    rows = [f"{draw.randrange(2)},{number},{low}" for number, low in zip(numbers, lows, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["y,id,low", *rows]) + "\n")
    found = describe([str(tmp_path / "d.csv")], {"label": "y"})
    assert [(suspect["column"], suspect["kind"]) for suspect in found.suspects] == [("id", "distinct")]
    assert "--columns_in id:ignore" in found.command()


def test_without_labels_there_is_no_command_to_start_with(tmp_path, capsys):
    rows = "".join(f"u{i % 60},{i % 7}\n" for i in range(600))
    (tmp_path / "d.csv").write_text(f"user,stars\n{rows}")
    assert main(["describe", str(tmp_path / "d.csv")]) == 0
    printed = capsys.readouterr().out
    assert "none: --label NAME says which column" in printed and "start with" not in printed
    assert main(["describe", str(tmp_path / "d.csv"), "--label", "stars"]) == 0
    assert "--random_effect user" in capsys.readouterr().out


def test_honest_data_has_no_suspects():
    draw = random.Random(5)
    lines = []
    for _ in range(3000):
        x, u = draw.gauss(0, 1), draw.randrange(700)
        y = int(draw.random() < 1 / (1 + math.exp(-x)))
        lines.append(f"{y} |u user={u} |n x:{x:.4f} z:{draw.random():.3f} w{draw.randrange(40)}")
    Path("data.vw").write_text("\n".join(lines))
    found = describe(["data.vw"])
    assert found.suspects == []
    assert [one["flag"] for one in found.flags] == ["--loss_function logistic --link logistic"]


def test_associations_are_those_of_the_textbook():
    table = frame(800)
    by_name = columns(describe([write(table, "data.csv")], {"label": "y"}))
    groups = table.groupby("city")["y"]
    within = sum(((group - group.mean()) ** 2).sum() for _, group in groups)
    total = ((table["y"] - table["y"].mean()) ** 2).sum()
    adjusted = 1 - within / (len(table) - groups.ngroups) / (total / (len(table) - 1))
    assert by_name["city"].association["explained"] == pytest.approx(adjusted, abs=1e-9)
    has = table["gap"].notna().astype(float)
    assert by_name["gap"].association["presence"] == pytest.approx(np.corrcoef(has, table["y"])[0, 1] ** 2, abs=1e-9)
    wins = [(a > b) + (a == b) / 2 for a in table["zeros"][table["y"] == 1] for b in table["zeros"][table["y"] == 0]]
    assert by_name["zeros"].association["auc"] == pytest.approx(np.mean(wins))


def test_auc_needs_both_classes():
    found = of_vw([f"{i % 2} | x:{i}{' z:2.5 z:3' * (i % 2)}" for i in range(50)])
    by_name = {column["name"]: column for column in found["columns"]}
    assert by_name["x"]["label"]["auc"] == pytest.approx(0.52)
    assert "auc" not in by_name["z"]["label"]


def of_vw(lines: list[str]) -> dict[str, Any]:
    Path("data.vw").write_text("\n".join(lines) + "\n")
    return describe(["data.vw"]).as_dict()


def nearly(value: Any) -> Any:
    """A value whose floats are compared to nine digits: sums are in the order of the rows."""
    if isinstance(value, dict):
        return {key: nearly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [nearly(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_the_order_of_rows_changes_nothing_but_what_is_about_order():
    draw = random.Random(2)
    lines = [
        f"{draw.randrange(2)} |a c{draw.randrange(5)} x:{draw.gauss(0, 1):.3f} |b k=v{draw.randrange(9)}"
        for _ in range(600)
    ]
    lines += lines[:37]
    first = of_vw(lines)
    draw.shuffle(lines)
    second = of_vw(lines)
    for found in (first, second):
        found["columns"].sort(key=lambda column: column["name"])
        for column in found["columns"]:
            column.pop("ordered", None)
            if "values" in column:
                column["values"].sort(key=lambda value: (-value["rows"], value["value"]))
    assert first["duplicates"]["rows"] == 37
    assert nearly(first) == nearly(second)


def test_units_of_numbers_change_no_verdict():
    table = frame()
    kinds = []
    for unit in (1, 1e-6, 1e6):
        scaled = table.assign(**{name: table[name] * unit for name in ("price", "spend", "score")})
        found = describe([write(scaled, "data.csv")], {"label": "y"})
        kinds.append([(suspect["column"], suspect["kind"]) for suspect in found.suspects])
    assert kinds[0] == kinds[1] == kinds[2]


def tally_of(lines: list[str], limit: int = 1000, blocks: int = 1, **limits: Any) -> Tally:
    """The counts of lines, in one block or several."""
    options = parse(["--transform", "*:keep"], option_groups())
    tally = Tally(Interactions(options, 18), limit, **limits)
    parser, size = TextParser(options, []), -(-len(lines) // blocks)
    for begin in range(0, len(lines), size):
        tally.read(block_of(parser, "\n".join(lines[begin : begin + size]).encode(), names=True))
    return tally


def test_duplicates_are_estimated_in_bounded_memory():
    lines = [f"1 | x{i} y" for i in range(4000)]
    lines += lines[:2000] + lines[:500]
    random.Random(1).shuffle(lines)
    exact = tally_of(lines, limit=10_000).repeats
    assert (exact.n_again, exact.n_rows, exact.mask) == (2500, 6500, 0)
    rough = tally_of(lines, limit=10_000, most_marks=1 << 11).repeats
    assert rough.mask > 0
    assert rough.n_again / rough.n_rows == pytest.approx(2500 / 6500, abs=0.05)
    random.Random(2).shuffle(lines)
    again = tally_of(lines, limit=10_000, most_marks=1 << 11).repeats
    assert (again.n_again, again.n_rows, again.mask) == (rough.n_again, rough.n_rows, rough.mask)


@pytest.mark.parametrize("n", [1, 511, 513, 2047, 2049, 9000, 40_000])
def test_the_share_of_duplicates_is_of_all_rows(n):
    found = description_of(tally_of([f"1 | x{i}" for i in range(n)] * 3, limit=50_000, blocks=5), False)
    assert found.facts["duplicates"] == {"rows": 2 * n, "share": 2 / 3, "exact": True}


def quantiles_of(tally: Tally) -> dict[str, Any]:
    """The quantiles and AUCs of each number."""
    found = description_of(tally, False)
    return {column.name: (column.facts.get("quantiles"), column.association.get("auc")) for column in found.columns}


def test_the_sample_does_not_depend_on_the_order():
    lines = [f"{i * i % 3 % 2} | x:{i} y:2" for i in range(3000)]
    found = []
    for seed in (1, 2):
        random.Random(seed).shuffle(lines)
        tally = tally_of(lines, most_samples=500)
        assert tally.sample.mask > 0
        assert 100 < tally.sample.n <= 500
        found.append(quantiles_of(tally))
    assert found[0] == found[1]
    assert found[0]["x"][0]["0.5"] == pytest.approx(1500, rel=0.3)


@pytest.mark.parametrize("n", [100, 166, 167, 2000])
def test_a_sample_of_one_row_many_times_stays_within_its_limit(n):
    tally = tally_of(["1 | x:1 y:2 z:3"] * n, most_samples=500)
    assert tally.sample.n in (3 * n, 0) and tally.sample.n <= 500
    assert tally.repeats.n_again == n - 1


@pytest.mark.parametrize("n", [2, 5, 48, 49, 300, 5000])
@pytest.mark.parametrize("unit", [1, 1e-6, 1e6])
def test_quantiles_and_areas_are_those_of_numpy(n, unit):
    draw = np.random.default_rng(n)
    x = (np.round(draw.normal(0, 30, n)) * unit).astype(np.float32)
    y = draw.integers(0, 2, n)
    y[:2] = 0, 1
    tally = tally_of([f"{label} | x:{value!r}" for label, value in zip(y.tolist(), x.tolist(), strict=True)])
    (quantiles, area), *_ = quantiles_of(tally).values()
    assert list(quantiles.values()) == np.quantile(x.astype(float), [0.01, 0.25, 0.5, 0.75, 0.99]).tolist()
    above = np.subtract.outer(x[y == 1], x[y == 0])
    assert area == pytest.approx(((above > 0) + (above == 0) / 2).mean(), rel=1e-12)
    typical = {column.name: column.facts["typical"] for column in description_of(tally, False).columns}
    assert typical["x"] == np.median(np.abs(x[x != 0].astype(float)))


def mixed_lines() -> list[str]:
    """Lines whose features come with and without values, in other namespaces, and at other places of the line."""
    draw = random.Random(9)
    lines = []
    for i in range(700):
        parts = [f"|a c=v{draw.randrange(9)} x:{draw.gauss(0, 1):.3f}", f"|b {' w' * draw.randrange(3)} c=v{i}", "| :3"]
        parts.append(f"|late z{':0.25' * (i > 300 and i % 3 == 0)}")
        parts += [f"|a x c:v{draw.randrange(4)}", "|c =1 =2 k= k=1=2 " + "s" * 250 + f"={i % 3}"]
        draw.shuffle(parts)
        lines.append(f"{draw.randrange(2)} {' '.join(parts[: draw.randrange(1, 6)])}")
    return lines


def test_counts_do_not_depend_on_the_blocks_nor_on_when_they_are_carried():
    lines = mixed_lines()
    assert tally_of(lines).malformed == 0
    whole = description_of(tally_of(lines, limit=5000), False)
    late = next(column for column in whole.columns if column.name == "late^z")
    assert late.rows == sum("|late z" in line for line in lines)
    assert late.facts["mean"] == 1 - 0.75 * sum("z:" in line for line in lines) / late.rows
    for blocks, most in ((2, 1 << 31), (13, 1 << 31), (350, 1), (7, 1000)):
        assert description_of(tally_of(lines, 5000, blocks, most_uncarried=most), False) == whole


def test_columns_are_told_apart_by_namespace_and_name_wherever_they_stand():
    lines = mixed_lines()
    wanted: dict[str, int] = {}
    for line in lines:
        columns: set[str] = set()
        for part in line.split("|")[1:]:
            space, *names = part.split(" ")
            for name in names:
                if name.startswith("s" * 250):
                    columns.add(f"{space}^{'s' * 200}")
                elif stem := re.match("([a-z]+)(=|:v)", name):
                    columns.add(f"{space}^{stem[1]}")
        for column in columns:
            wanted[column] = wanted.get(column, 0) + 1
    found = {column.name: column.rows for column in description_of(tally_of(lines, 5000), False).columns}
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_limit_on_features_bounds_what_is_told_apart(capsys):
    Path("data.vw").write_text("".join(f"1 |n w={i}\n" for i in range(500)))
    assert main(["describe", "data.vw", "--limit", "100"]) == 0
    out = capsys.readouterr().out
    assert "100 different features" in out
    assert "features beyond the limit = 400" in out


@pytest.mark.parametrize(
    ("labels", "kind", "flags"),
    [
        (["1", "0"], "binary", "--loss_function logistic --link logistic"),
        (["1", "-1"], "binary", "--loss_function logistic --link logistic"),
        (["1", "2"], "binary", "--oaa 2"),
        (["1", "2", "3"], "number", "--loss_function squared"),
        (["0.5", "2.25", "7"], "number", "--loss_function squared"),
        (["0", "0", "1", "7", "3"], "number", "--loss_function poisson --link poisson"),
        (["red", "blue", "green"], "class", "--oaa 3"),
        (["1"], "constant", None),
        ([""], "none", None),
    ],
)
def test_labels_decide_the_loss_and_the_command_runs(labels, kind, flags, capsys):
    lines = [f"{labels[i % len(labels)]} |n a{i % 7} x:{i % 5}.5" for i in range(60)]
    Path("data.vw").write_text("\n".join(lines) + "\n")
    found = describe(["data.vw"])
    assert found.data.labels["kind"] == kind
    assert next((one["flag"] for one in found.flags), None) == flags
    if flags is not None:
        _, *words = shlex.split(found.command())
        assert main([*words, "--quiet"]) == 0


def test_classes_that_are_too_many_to_be_counted_are_not_said_to_be_a_number(capsys):
    Path("data.vw").write_text("".join(f"c{i % 1500} | a{i % 7}\n" for i in range(4500)))
    found = describe(["data.vw"])
    assert (found.data.labels["kind"], found.data.labels["distinct"], found.flags) == ("class", None, [])
    assert main(["describe", "data.vw"]) == 0
    assert "too many to be counted" in capsys.readouterr().out
    Path("data.vw").write_text("".join(f"c{i % 1000} | a{i % 7}\n" for i in range(4500)))
    assert [one["flag"] for one in describe(["data.vw"]).flags] == ["--oaa 1000"]


def test_the_command_for_a_table_runs_and_leaves_out_what_is_suspect():
    path = write(frame(), "data.csv")
    found = describe([path], {"label": "y"})
    flags = [one["flag"] for one in found.flags]
    for wanted in (
        *("--columns_in id:ignore", "--columns_in score:ignore", "--columns_in refund:ignore"),
        *("--columns_in '/.*/:auto'", "--label y", "--random_effect user", "--bayes_logistic --link logistic"),
        *("--transform spend:log", "--holdout_after 1200"),
    ):
        assert wanted in flags
    _, *words = shlex.split(found.command())
    assert main([*words, "--quiet"]) == 0


def test_two_classes_of_text_become_a_binary_label():
    table = frame().assign(churn=lambda rows: np.where(rows["y"] == 1, "yes", "no")).drop(columns="y")
    found = describe([write(table, "data.csv")], {"label": "churn"})
    assert "--label 'churn:binary(yes)'" in [one["flag"] for one in found.flags]
    assert {suspect["column"] for suspect in found.suspects} >= {"score", "refund"}
    _, *words = shlex.split(found.command())
    assert main([*words, "--quiet"]) == 0


def test_many_features_ask_for_a_larger_table():
    Path("data.vw").write_text("".join(f"{i % 2} |n w={i} v={i // 2}\n" for i in range(60_000)))
    flags = [one["flag"] for one in describe(["data.vw"]).flags]
    assert "-b 20" in flags


def test_entities_in_namespaces_of_vw_text():
    draw = random.Random(4)
    lines = [f"{draw.gauss(0, 1):.3f} |user u{draw.randrange(80)} |g x:{draw.random():.2f}" for _ in range(2000)]
    Path("data.vw").write_text("\n".join(lines))
    found = describe(["data.vw"])
    assert [one["flag"] for one in found.flags] == ["--bayes_linear", "--random_effect user"]
    _, *words = shlex.split(found.command())
    assert main([*words, "--quiet"]) == 0


def test_texts_and_flags():
    draw = random.Random(4)
    lines = [f"1 |t {' '.join(f'w{draw.randrange(300)}' for _ in range(6))} |f{' new' * (i % 2)}" for i in range(300)]
    Path("data.vw").write_text("\n".join(lines))
    by_name = columns(describe(["data.vw"]))
    assert (by_name["t"].kind, by_name["t"].distinct) == ("text", 300)
    assert (by_name["f^new"].kind, by_name["f^new"].rows) == ("flag", 150)


def test_malformed_rows_are_counted_and_located(capsys):
    Path("data.vw").write_text("1 | a\n0 | b:x:y\n1 | c:inf\n0 | d:1:2\n")
    assert main(["describe", "data.vw"]) == 0
    out = capsys.readouterr().out
    assert "data.vw: 1 row, 1" in out
    assert "the first in line" in out


def test_names_that_are_hostile_are_printed_safely(capsys):
    Path("data.vw").write_bytes(b"1 |n \x1b[31m:2 \xff\xfe=x\n0 |n " + b"y" * 10_000 + b":3\n")
    assert main(["describe", "data.vw"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 500
    assert main(["describe", "data.vw", "--json"]) == 0
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no example (0 malformed lines)"),
        ("\n\n", "no example (0 malformed lines)"),
        ("1 | a:b:c\n", "no example (1 malformed lines); the first malformed line is data.vw:1:"),
        ("shared | a\n0:1:0.5 | b\n | c\n\n", "labels of costs or actions"),
        ("1:0.5 2:0.3 | a\n", "labels of costs or actions"),
    ],
)
def test_bad_data_is_an_error_of_one_line(text, message):
    Path("data.vw").write_text(text)
    with pytest.raises((OptionError, VwliteError)) as error:
        describe(["data.vw"])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_growing_names_are_counted_as_by_a_counter():
    draw = random.Random(6)
    rows = []
    for i in range(40_000):
        values = {"id": f"{'n' * (i % 40)}{i}", "user": f"u{int(draw.paretovariate(0.6))}", "slot": f"{i % 5}"}
        rows.append({name: value for name, value in values.items() if draw.random() < 0.9})
    longest = {"id": "x" * 5000}
    lines = [f"{i % 3} |a {' '.join(f'{k}={v}' for k, v in row.items())}" for i, row in enumerate([*rows, longest])]
    found = {column.name: column for column in description_of(tally_of(lines, 1 << 20, blocks=9), False).columns}
    for name in ("id", "user", "slot"):
        counts = Counter(row[name] for row in rows if name in row)
        column = found[f"a^{name}"]
        assert column.distinct == len(counts) + (name == "id")
        assert column.rows == counts.total() + (name == "id")
        assert [one["rows"] for one in column.facts["values"]] == [count for _, count in counts.most_common(5)]
        for one in column.facts["values"]:
            assert counts[one["value"]] == one["rows"]


def test_a_number_that_comes_twice_in_a_row_is_in_no_more_rows_than_there_are(tmp_path):
    (tmp_path / "d.vw").write_text("1 |a x:1 x:2 x:5\n0 |a x:3 y:4\n")
    columns = describe([str(tmp_path / "d.vw")]).as_dict()["columns"]
    assert [(column["name"], column["rows"], column["coverage"]) for column in columns] == [
        ("a^x", 2, 1.0),
        ("a^y", 1, 0.5),
    ]


@pytest.mark.parametrize(("lines", "last"), [(40, 0), (60_000, 5)])
def test_rows_that_are_left_out_do_not_make_classes_of_labels(lines, last):
    numbers = [f"{i % 9}.5 | day:{i}" for i in range(lines)]
    Path("data.vw").write_text("\n".join(["x 1 2 3 | day:1", *numbers]) + "\n")
    given = {"where": f"day >= {lines - last}"}
    if last:
        found = describe(["data.vw"], given)
        assert (found.data.rows, found.data.labels["kind"]) == (last, "number")
        return
    with pytest.raises(VwliteError, match=r"\(1 malformed lines\).*left out by --where = 40") as error:
        describe(["data.vw"], given)
    assert "\n" not in str(error.value)


def test_missing_files_and_labels():
    with pytest.raises(VwliteError, match=r"no\.csv"):
        describe(["no.csv"])
    write(frame(50), "data.csv")
    with pytest.raises(VwliteError, match="absent"):
        describe(["data.csv"], {"label": "absent"})
    assert describe(["data.csv"]).data.labels == {"kind": "none"}


def test_text_is_described_without_numpy():
    """Its import alone takes as long as reading a hundred thousand lines."""
    import subprocess
    import sys

    Path("data.vw").write_text("".join(f"{i % 2} |n k=v{i % 7} x:{i}\n" for i in range(100)))
    code = """import sys
from vwlite.cli import main
assert main(["describe", "data.vw"]) == 0
print("numpy" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_standard_input_and_compressed_files(capsys):
    import gzip
    import subprocess
    import sys

    text = b"1 |n a x:2\n0 |n b x:3\n"
    Path("data.vw.gz").write_bytes(gzip.compress(text))
    assert describe(["data.vw.gz"]).data.rows == 2
    done = subprocess.run([sys.executable, "-m", "vwlite", "describe"], input=text, capture_output=True, check=True)
    assert done.stdout.startswith(b"stdin: 2 rows")
