"""vwlite split: each line is in one part, the same in each run, and examples of one tag or name are together."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command import VWLITE
from tests.support.multiline import decisions
from vwlite.cli import main
from vwlite.core.sides import side

LINES = [f"{i % 3} t{i % 50}|user u{i % 20} |a x:{i}\n" for i in range(2000)]


def split(*words: str) -> None:
    assert main(["split", *words, "--quiet"]) == 0


def parts(folder: Path, suffix: str, prefix: str = "d") -> list[str]:
    found = sorted(folder.glob(f"{prefix}.*{suffix}"))
    return [path.read_bytes().decode() for path in found if path.name != f"{prefix}{suffix}"]


def test_each_line_is_in_one_part_and_in_the_same_whatever_is_around_it(tmp_path):
    (tmp_path / "d.vw").write_text("".join(LINES))
    split(str(tmp_path / "d.vw"), "0.7", "0.2", "0.1")
    found = [part.splitlines(True) for part in parts(tmp_path, ".vw")]
    assert sorted(text for part in found for text in part) == sorted(LINES)
    assert [len(part) / 2000 for part in found] == pytest.approx([0.7, 0.2, 0.1], abs=0.03)
    for part in found:
        assert [LINES.index(text) for text in part] == sorted(LINES.index(text) for text in part)
    (tmp_path / "e.vw").write_text("".join(reversed(LINES[500:])).rstrip("\n"))
    split(str(tmp_path / "e.vw"), "0.7", "0.3")
    assert set(parts(tmp_path, ".vw", "e")[0].splitlines(True)) == set(found[0]) & set(LINES[500:])


@given(
    st.lists(st.lists(st.text('a",\n\r;é ', max_size=4), min_size=2, max_size=2), min_size=1, max_size=30),
    st.sampled_from((",", ";")),
)
@settings(max_examples=60)
def test_records_of_csv_stay_whole(rows, separator):
    text = io.StringIO()
    returns = any("\r" in cell for row in rows for cell in row)  # which the module quotes only when told to
    dialect = csv.unix_dialect if returns else csv.excel
    csv.writer(text, dialect, delimiter=separator, lineterminator="\n").writerows([["a", "b"], *rows])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "d.csv").write_bytes(text.getvalue().encode())
        split(f"{folder}/d.csv", "0.5", "0.5", "--separator", separator)
        found = []
        for part in parts(Path(folder), ".csv"):
            header, *records = csv.reader(io.StringIO(part, newline=""), delimiter=separator)
            assert header == ["a", "b"]
            found += records
        assert sorted(found) == sorted(rows)


@pytest.mark.parametrize("by", ["tag", "user", "a^x"])
def test_what_has_the_same_tag_or_name_is_together(by, tmp_path):
    (tmp_path / "d.vw").write_text("".join(LINES))
    split(str(tmp_path / "d.vw"), "0.6", "0.4", "--by", by, "--seed", "0")
    one, two = (part.splitlines(True) for part in parts(tmp_path, ".vw"))
    assert one and two and sorted(one + two) == sorted(LINES)
    if by == "tag":
        assert all(side(text.split("|")[0].split()[1].encode()) < 0.6 for text in one)
    if by != "a^x":
        column = {"tag": lambda text: text.split()[1], "user": lambda text: text.split()[2]}[by]
        assert not {column(text) for text in one} & {column(text) for text in two}


def test_the_last_part_by_tag_is_what_holdout_holds_out(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(LINES))
    split(str(tmp_path / "d.vw"), "0.8", "0.2", "--by", "tag", "--seed", "0")
    one = parts(tmp_path, ".vw")[0]
    assert main(["-d", str(tmp_path / "d.vw"), "--holdout", "0.2"]) == 0
    assert f"number of examples = {len(one.splitlines())}\n" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["line", "tag"])
def test_a_part_is_split_again_by_another_seed(by, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(f"1 t{i}|a x:{i}\n" for i in range(4000)))
    split(str(tmp_path / "d.vw"), "0.5", "0.5", "--by", by)
    part = str(tmp_path / "d.1.vw")
    assert main(["split", part, "0.5", "0.5", "--by", by]) == 0
    warned = capsys.readouterr().err
    assert f"[warning] a part is empty: {part} may be a part of a split itself" in warned
    assert "--seed 2" in warned
    counts = []
    for seed in ("2", "3"):
        assert main(["split", part, "0.5", "0.25", "--by", by, "--seed", seed]) == 0
        counts.append([len(Path(f"{part[:-3]}.{i}.vw").read_text().splitlines()) for i in (1, 2)])
        assert "[warning]" not in capsys.readouterr().err
        assert counts[-1] == pytest.approx([1000, 500], abs=70)
    assert counts[0] != counts[1]
    # what else goes by a hash of the tag is independent of parts
    assert main([part, "--holdout", "0.5"]) == 0
    held = re.search(r"number of examples = (\d+)", capsys.readouterr().err)
    assert held and int(held[1]) == pytest.approx(1000, abs=70)
    assert main(["cv", part, "--samples", "0", "--quiet"]) == 0
    folds = re.search(r"folds = 5 of ([\d,]+) to", capsys.readouterr().out)
    assert folds and int(folds[1].replace(",", "")) > 300


def test_columns_and_keys_split_alike(tmp_path):
    rows = [(f"u{i % 30}", str(i)) for i in range(600)]
    (tmp_path / "d.csv").write_text("".join(",".join(row) + "\n" for row in [("user", "n"), *rows]))
    (tmp_path / "d.ndjson").write_text("".join(json.dumps({"user": user, "n": int(n)}) + "\n" for user, n in rows))
    for name in ("d.csv", "d.ndjson"):
        split(str(tmp_path / name), "0.5", "0.5", "--by", "user")
    tables = [list(csv.reader(io.StringIO(part)))[1:] for part in parts(tmp_path, ".csv")]
    objects = [[json.loads(text) for text in part.splitlines()] for part in parts(tmp_path, ".ndjson")]
    assert all(tables)
    assert [[[one["user"], str(one["n"])] for one in part] for part in objects] == tables


@pytest.mark.parametrize("by", ["label", "weight", "initial"])
def test_what_stands_before_the_features_belongs_to_no_name(by, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(f"{i % 2} |a x:{i}\n" for i in range(300)))
    assert main(["split", str(tmp_path / "d.vw"), "0.5", "0.5", "--by", by]) == 1  # all would be in one part or two
    assert f"no example has a feature or namespace {by} " in capsys.readouterr().err
    (tmp_path / "d.csv").write_text(f"{by},n\n" + "".join(f"w{i % 30},{i}\n" for i in range(300)))
    for words in ([], ["--columns_in", f"{by}:ignore /.*/:auto"]):
        assert main(["split", str(tmp_path / "d.csv"), "0.5", "0.5", "--by", by, *words]) == 0
        names = [{row[0] for row in list(csv.reader(io.StringIO(part)))[1:]} for part in parts(tmp_path, ".csv")]
        assert all(names)
        assert not names[0] & names[1]


def test_the_number_0_is_a_name_as_others_are(tmp_path, capsys):
    (tmp_path / "d.csv").write_text("user,n\n" + "".join(f"{i % 3},{i}\n" for i in range(300)))
    (tmp_path / "d.vw").write_text("".join(f"1 |a user:{i % 3} n:{i}\n" for i in range(300)))
    for name, by in (("d.csv", "user"), ("d.vw", "a^user")):
        assert main(["split", str(tmp_path / name), "0.5", "0.5", "--by", by]) == 0
        assert "by their lines" not in capsys.readouterr().err
    one, two = ({text.split(",")[0] for text in part.splitlines()[1:]} for part in parts(tmp_path, ".csv"))
    assert not one & two and one | two == {"0", "1", "2"}


def test_decisions_stay_whole(tmp_path):
    text = "\n".join(decisions(60)).strip("\n")
    (tmp_path / "d.vw").write_text(text)
    whole = [part for part in text.split("\n\n") if part]
    for by in ("line", "tag"):
        split(str(tmp_path / "d.vw"), "0.5", "0.5", "--labels", "decisions", "--by", by)
        found = [part for piece in parts(tmp_path, ".vw") for part in piece.split("\n\n") if part]
        assert sorted(found) == sorted(whole)


@pytest.mark.parametrize("by", ["line", "age", "user^id"])
def test_decisions_in_json_are_lines(by, tmp_path, capsys):
    costs = {"_label_cost": -1, "_label_probability": 0.5, "_labelIndex": 0}
    actions = {"_multi": [{"ad": 1}, {"ad": 2}]}
    lines = [
        json.dumps(costs | {"EventId": f"e{i}", "c": {"user": {"id": i % 40}, "age": i % 30} | actions}) + "\n"
        for i in range(400)
    ]
    (tmp_path / "d.dsjson").write_text("".join(lines))
    split(str(tmp_path / "d.dsjson"), "0.5", "0.5", "--by", by, "--labels", "decisions")
    found = [part.splitlines(keepends=True) for part in parts(tmp_path, ".dsjson")]
    assert all(found)
    assert sorted(line for part in found for line in part) == sorted(lines)
    if by != "line":
        part_of = [
            {(json.loads(x)["c"]["age"], json.loads(x)["c"]["user"]["id"])[by != "age"] for x in p} for p in found
        ]
        assert not part_of[0] & part_of[1]


def test_compressed_input_bytes_and_line_ends_are_as_they_were(tmp_path):
    data = b"1 | a\r\n\r\n1 | \xff\xfe\n2 | c"
    with gzip.open(tmp_path / "d.vw.gz", "wb") as file:
        file.write(data)
    split(str(tmp_path / "d.vw.gz"), "1")
    assert (tmp_path / "d.1.vw").read_bytes() == b"1 | a\r\n1 | \xff\xfe\n2 | c\n"


def test_an_expression_leaves_out(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(LINES) + "junk\n")
    assert main(["split", str(tmp_path / "d.vw"), "0.5", "0.5", "--where", "label == 1 and a^x < 900"]) == 0
    found = "".join(parts(tmp_path, ".vw")).splitlines(True)
    assert sorted(found) == sorted(text for i, text in enumerate(LINES) if i % 3 == 1 and i < 900)
    assert "left out = 1701 (malformed, or by --where = 1701)" in capsys.readouterr().err


def test_lines_without_a_tag_go_by_themselves_and_are_counted(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 a| x\n1 | y\n")
    assert main(["split", str(tmp_path / "d.vw"), "0.5", "0.5", "--by", "tag"]) == 0
    assert "without tag, by their lines = 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "words", "message"),
    [
        ("d.vw", "1 | a\n", "0.6 0.5", "the shares 0.6 0.5 sum up to more than 1"),
        ("d.vw", "1 | a\n", "", "Missing argument 'SHARE...'"),
        ("d.vw", "1 | a\n", "2", "not in the range"),
        ("d.vw", "1 | a\n", "0.5 --by nope", "no example has a feature or namespace nope"),
        ("d.vw", "1 | a\n", "0.5 --by tag", "no example has a tag"),
        ("d.vw", "", "0.5", "no example to split"),
        ("d.ndjson", '[{"a": 1}]\n', "0.5", "has not an object on each line"),
        ("d.parquet", "", "0.5", "Parquet has no lines"),
        ("d.1.vw", "1 | a\n", "0.5 -o d", "are the same file"),
        ("d.vw", "1 | a\n", "0.5 --where a=1", "equal is written =="),
        ("nope", None, "0.5", "no such file"),
    ],
)
def test_what_can_not_be_split_is_refused_and_nothing_is_left_behind(
    name, text, words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    before = sorted(os.listdir())
    assert main(["split", name, *words.split()]) == 1
    assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == before


def test_a_pipe_is_split_by_lines(tmp_path):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*VWLITE, "split", "-", "0.5", "0.5", *words]
        return subprocess.run(command, input="".join(LINES), capture_output=True, text=True, cwd=tmp_path, check=False)

    assert "give -o PREFIX" in run().stderr
    assert "a pipe can be read once" in run("-o", "d", "--by", "tag").stderr
    assert run("-o", "d").returncode == 0
    assert sorted("".join(parts(tmp_path, ".vw")).splitlines(True)) == sorted(LINES)
