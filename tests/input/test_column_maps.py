"""Column maps from files, and for dicts: the same examples as JSON on the command line."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.model.model_file import open as open_model

RECORDS: list[dict[str, Any]] = [
    {"y": 1, "w": 2, "id": "r1", "price": 2.5, "hour": 7, "new": True, "text": "red large", "when": "2026-03-02T05:00",
     "user": "ann", "shop": {"n": 3, "city": "Bonn"}, "words": ["a", 2], "skip": {"deep": 1}},
    {"y": -1, "w": 0.5, "id": "r2", "price": "3", "hour": "8", "new": False, "text": "red", "when": None, "user": "bob",
     "shop": {"n": 4, "city": "Rome"}, "words": ["b", {"c": 1}], "skip": 5},
    {"y": 1, "w": 1, "id": "r3", "hour": 7, "user": "ann", "shop": {}, "words": []},
]  # fmt: skip
MAPS = [
    "y:label w:weight id:tag price:number hour:category /.*/:auto",
    "y:label w:ignore id:ignore price:number hour:category new:flag text:text when:date(dow,hour) user:entity "
    "skip:ignore shop:auto shop.n:category words:auto",
    "y:label w:initial id:category@k price:number@k /^sh/:auto /.*/:ignore",
    "y:label shop.n:ignore shop.city:text user:text /.*/:auto",
]


def taught(rules: Any, flags: str = "") -> tuple[list[Any], Workspace]:
    workspace = Workspace(flags)
    return workspace.learn(RECORDS * 3, columns=rules), workspace


@pytest.mark.parametrize("rules", MAPS)
def test_dicts_are_the_examples_of_json(rules, tmp_path, state):
    (tmp_path / "d.ndjson").write_text("".join(json.dumps(record) + "\n" for record in RECORDS * 3))
    words = ["-d", str(tmp_path / "d.ndjson"), "-p", str(tmp_path / "p"), "-f", str(tmp_path / "m"), "--quiet"]
    assert main([*words, "--columns_in", rules]) == 0
    found, workspace = taught(rules)
    saved = state(workspace)
    assert saved == {name: value for name, value in arrays(tmp_path / "m").items() if name in saved}
    printed = [float(line.split()[0]) for line in (tmp_path / "p").read_text().splitlines()]
    assert found == pytest.approx(printed, abs=1e-6)
    # one by one, and by the options
    one = Workspace()
    assert [one.learn(record, columns=rules) for record in RECORDS * 3] == found
    assert state(one) == saved
    assert Workspace(["--columns_in", rules]).learn(RECORDS * 3) == found


def test_a_dict_and_a_file_are_maps_too(tmp_path):
    roles = {"y": "label", "when": "date(dow,hour)", "/^w/": "ignore", "shop.n": "category", "/.*/": "auto"}
    (tmp_path / "map.toml").write_text(
        "[columns]\n" + "".join(f'"{name}" = "{role}"\n' for name, role in roles.items())
    )
    expected = taught("y:label when:date(dow,hour) /^w/:ignore shop.n:category /.*/:auto")[0]
    assert taught(roles)[0] == taught(f"@{tmp_path / 'map.toml'}")[0] == expected
    assert Workspace(["--columns_in", f"@{tmp_path / 'map.toml'}"]).learn(RECORDS * 3) == expected


def test_other_records_may_follow_with_another_map():
    workspace = Workspace()
    workspace.learn(RECORDS, columns=MAPS[0])
    workspace.learn({"y": 3, "a": "7"}, columns="y:label a:number")
    workspace.learn({"a": 7, "_label": 2})
    expected = Workspace()
    expected.learn(RECORDS, columns=MAPS[0])
    expected.learn(["3 | a:7", "2 | a:7"])
    assert workspace.predict("| a hour=7") == expected.predict("| a hour=7")


def test_labels_given_beside_come_first_and_dates_are_dates():
    one, two = Workspace(), Workspace()
    found = one.learn([{"when": datetime.datetime(2026, 3, 2, 5)}, {"when": datetime.date(2026, 3, 3)}], y=[1, 2],
                      columns="when:date(dow)")  # fmt: skip
    assert found == two.learn(["1 | when.dow=0", "2 | when.dow=1"])
    assert one.predict("| when.dow=0") == two.predict("| when.dow=0")


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.one_of(st.floats(-9, 9), st.text(max_size=3)), max_size=4))
def test_auto_is_what_the_value_says(record):
    one, two = Workspace(), Workspace()
    assert one.learn([record] * 2, y=[1, 2], columns="/.*/:auto") == two.learn([record] * 2, y=[1, 2])


def test_a_key_without_a_rule_is_an_error():
    with pytest.raises(ValueError, match=r"row 1: no rule of the column map matches the key 'b': add b:ROLE"):
        Workspace().learn([{"a": 1, "b": 2}], columns="a:number")
    with pytest.raises(ValueError, match=r"no rule of the column map matches the key 'b'"):
        Workspace().learn({"a": 1, "b": 2}, columns={"a": "number"})
    with pytest.raises(OptionError, match="there is no role 'figure'"):
        Workspace().learn({"a": 1}, columns={"a": "figure"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "map.toml: no such file"),
        ("price = ", "map.toml: not a TOML file"),
        ('price = "number"', r"map.toml: expected one table, \[columns\], .*, not 'price'"),
        ("", r"map.toml: expected one table, \[columns\]"),
        ("[columns]\nprice = 3", "map.toml: the role of 'price' is a text such as \"number\", not 3"),
        ('[columns]\nprice = "figure"', "map.toml: price:figure: there is no role 'figure'"),
        ('[columns]\n[other]\na = "b"', r"map.toml: expected one table, \[columns\], .*, not 'other'"),
    ],
)
def test_a_file_that_is_no_map_is_refused(text, message, tmp_path):
    if text is not None:
        (tmp_path / "map.toml").write_text(text)
    with pytest.raises(OptionError, match=message):
        Workspace(["--columns_in", f"@{tmp_path / 'map.toml'}"])


def test_a_model_keeps_the_rules_and_not_the_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("map.toml").write_text('[columns]\n"a b" = "category"\n"/^n/" = "number@s"\n"@x" = "ignore"\n')
    Path("d.csv").write_text("a b,n1,@x,y\n1,2,3,4\n")
    assert main(["d.csv", "--label", "y", "--columns_in", "@map.toml", "-f", "m", "--quiet"]) == 0
    kept = open_model("m").metadata["options"]["columns_in"]
    assert kept == ["'a b:category'", "/^n/:number@s", "@x:ignore"]
    assert main(["convert", "d.csv", "--label", "y", "--columns_in", "@map.toml"]) == 0
    assert capfd.readouterr().out == "4 | a_b=1 |s n1:2\n"
    Path("map.toml").write_text('[columns]\ny = "label"\n"/.*/" = "auto"\n')
    assert main(["convert", "d.csv", "--columns_in", "@map.toml"]) == 0
    assert capfd.readouterr().out == "4 | a_b n1:2 @x:3\n"
    Path("map.toml").unlink()
    assert main(["d.csv", "-t", "-i", "m", "--quiet"]) == 0


def test_a_map_is_for_the_dict_that_it_is_given_with():
    row = {"a": 1.0, "b": 2.0}
    workspace = Workspace()
    workspace.learn(row, y=1)
    workspace.learn(row, y=1, columns="a:ignore b:number")
    assert workspace.predict(row) == workspace.predict([row])[0]
    assert workspace.predict(row) > workspace.predict(row, columns="a:ignore b:number")


def test_a_label_is_read_from_each_dict_that_has_none_beside_it():
    one, many = Workspace("--label y"), Workspace("--label y")
    for _ in range(3):
        one.learn({"a": 1.0, "y": 5.0}, y=1)
        one.learn({"a": 1.0, "y": 5.0})
        many.learn([{"a": 1.0, "y": 5.0}], y=[1])
        many.learn([{"a": 1.0, "y": 5.0}])
    assert one.predict({"a": 1.0}) == many.predict([{"a": 1.0}])[0]


def test_regular_expressions_keep_their_backslashes():
    row = {"x1": 1.0, "xd": 2.0}
    workspace = Workspace(["--columns_in", r"/^x\d$/:ignore 'xd':number"])
    workspace.learn(row, y=1)
    assert workspace.predict({"x1": 1.0}) == workspace.predict({})
    assert workspace.predict(row) > workspace.predict({})
    assert Workspace.from_bytes(workspace.to_bytes()).predict(row) == workspace.predict(row)
