"""--names: names and statistics of features kept while learning, as they are saved, shown, and counted."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.hashing import feature_hash
from vwlite.daemon.engine import Engine
from vwlite.engine.command_line import option_groups, parse
from vwlite.errors import ModelError, OptionError
from vwlite.features.collisions import expected_collisions
from vwlite.features.known import KnownFeatures

FLAGS = [
    "",
    "-q ab",
    "-q :: --permutations",
    "--cubic aab --ignore_linear a",
    "--interactions abc --leave_duplicate_interactions --ignore c",
    "--keep ab --feature_limit a2 -q aa",
    "--noconstant -q bb",
    "--hash all",
    "--redefine x:=a -q xb",
    "--bayes_linear",
    "--ftrl -q ab",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(n: int, seed: int = 1) -> list[str]:
    """Lines with names, numbers, texts, anonymous features, and namespaces in several orders."""
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        a = " ".join(
            f"u{draw.randrange(30)}{draw.choice(['', ':2', ':0.5', ':word'])}" for _ in range(draw.randrange(3))
        )
        b = " ".join(f"city=c{draw.randrange(9)}" for _ in range(draw.randrange(3)))
        c = " ".join(f"{draw.randrange(99)}:{draw.random():.3f}" for _ in range(2))
        parts = [f"|a {a}", f"|b {b}", f"|c {c}", f"| w{draw.randrange(5)}"]
        draw.shuffle(parts)
        found.append(f"{draw.randrange(2)} {' '.join(parts)}")
    return found


def write(path: str, lines: list[str]) -> str:
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def features(path: str) -> list[dict[str, Any]]:
    """The features of a model, as Workspace.features() gives them."""
    return list(Workspace(f"-t -i {path}").features())


@pytest.mark.parametrize("flags", FLAGS)
def test_names_are_those_of_invert_hash(flags, capsys):
    data = write("data.vw", lines_of(300))
    words = flags.split()
    assert main([data, *words, "--names", "on", "-f", "kept.model", "--quiet"]) == 0
    assert main([data, *words, "--invert_hash", "readable", "-f", "second.model", "--quiet"]) == 0
    kept, second = Workspace("-t -i kept.model"), Workspace("-t -i second.model")
    by_slot: dict[int, list[str]] = {}
    for row in kept.features():
        slot = row["slot"] if kept.bottom.has_slots else row["number"]
        by_slot.setdefault(slot, []).append(row["feature"])
    wanted = second.names if kept.bottom.has_slots else second.hash_names
    assert {slot: names[0] for slot, names in by_slot.items()} == wanted
    assert len({row["feature"] for row in kept.features()}) == len(kept.features())


@pytest.mark.parametrize("flags", ["", "-q ab", "--oaa 3"])
def test_a_model_with_names_gives_the_readable_model_of_a_second_pass(flags):
    lines = lines_of(100)
    if "oaa" in flags:
        lines = ["1" + line[1:] if i % 3 else "3" + line[1:] for i, line in enumerate(lines)]
    data = write("data.vw", lines)
    assert main([data, *flags.split(), "--names", "on", "-f", "kept.model", "--quiet"]) == 0
    assert main([data, *flags.split(), "--invert_hash", "wanted", "--quiet"]) == 0
    assert main(["--no_stdin", "--allow_empty", "-t", "-i", "kept.model", "--invert_hash", "found", "--quiet"]) == 0

    def weights(path: str) -> list[str]:
        body = Path(path).read_text().split("l2_state 1\n")[-1].splitlines()
        return [line for line in body if line.split(":")[-1].split()[0] != "0"]

    assert sorted(weights("found")) == sorted(weights("wanted"))


def test_statistics_are_those_of_numpy():
    lines = lines_of(500)
    workspace = Workspace("--names stats")
    workspace.learn(lines)
    seen: dict[str, list[tuple[float, int]]] = {}
    for number, line in enumerate(lines, 1):
        for part in line.split("|")[1:]:
            space, *rest = part.split(" ")
            for word in filter(None, rest):
                name, _, value = word.partition(":")
                text = value if value and not value[0].isdigit() else ""
                full = f"{space}^{name}" if space else name
                full += f"^{text}" if text else ""
                seen.setdefault(full, []).append((float(value) if value and not text else 1.0, number))
        seen.setdefault("Constant", []).append((1.0, number))
    table = {row["feature"]: row for row in workspace.features()}
    assert table.keys() == {name for name, found in seen.items() if any(value for value, _ in found)}
    for name, row in table.items():
        values = np.array([value for value, _ in seen[name] if value], np.float32)
        assert (row["count"], row["low"], row["high"]) == (len(values), values.min(), values.max()), name
        assert row["last"] == max(number for value, number in seen[name] if value)


@pytest.mark.parametrize(
    "flags", ["--names stats", "--names stats -q ab", "--names on", "--names stats --bayes_linear"]
)
def test_two_runs_keep_what_one_keeps(flags):
    lines = lines_of(400)
    whole = Workspace(flags)
    whole.learn(lines)
    first = Workspace(flags)
    first.learn(lines[:150])
    first.save("first.model")
    second = Workspace("-i first.model")
    second.learn(lines[150:])
    assert list(second.features()) == list(whole.features())
    assert second.coefficients()["feature"].tolist() == whole.coefficients()["feature"].tolist()


def test_groups_of_rows_and_single_rows_keep_the_same():
    data = write("data.vw", lines_of(400))
    assert main([data, "--names", "stats", "-f", "together.model", "--quiet"]) == 0
    assert main([data, "--names", "stats", "-f", "alone.model", "--report", "rmse"]) == 0
    assert features("together.model") == features("alone.model")
    assert main([data, "--names", "stats", "-f", "parsed.model", "--onethread", "--quiet"]) == 0
    assert features("together.model") == features("parsed.model")


def test_names_change_no_weight_and_no_prediction():
    data = write("data.vw", lines_of(300))
    for mode in ("off", "on", "stats"):
        words = ["-q", "ab", "--names", mode, "-f", f"{mode}.model", "-p", f"{mode}.txt", "--quiet"]
        assert main([data, *words]) == 0
        assert main(["--no_stdin", "--allow_empty", "-i", f"{mode}.model", "--readable_model", mode, "--quiet"]) == 0
    assert Path("off.txt").read_text() == Path("on.txt").read_text() == Path("stats.txt").read_text()
    assert Path("off").read_text() == Path("on").read_text() == Path("stats").read_text()


def test_only_learned_examples_count():
    workspace = Workspace("--names stats")
    workspace.learn(["1 | a", "| b", "1 | c"])
    workspace.predict("1 | d")
    assert [row["feature"] for row in workspace.features()] == ["a", "Constant", "c"]
    before = workspace.to_bytes()
    workspace.predict(["1 | e", "| f:3"])
    assert workspace.to_bytes() == before


def test_held_out_examples_are_not_kept():
    data = write("data.vw", [f"1 | x{i}" for i in range(20)])
    assert main([data, "--holdout_after", "10", "--names", "on", "-f", "model", "--quiet"]) == 0
    assert {row["feature"] for row in features("model")} == {*(f"x{i}" for i in range(10)), "Constant"}


def test_passes_over_a_cache_count_each():
    data = write("data.vw", ["1 | a:2", "0 | a:3 b"])
    assert main([data, "--passes", "3", "-c", "--holdout_off", "--names", "stats", "-f", "model", "--quiet"]) == 0
    assert {row["feature"]: (row["count"], row["last"]) for row in features("model")} == {
        "a": (6, 6),
        "Constant": (6, 6),
        "b": (3, 6),
    }


def test_the_limit_is_said_once_and_later_features_are_left_out(capsys):
    data = write("data.vw", [f"1 | x{i}" for i in range(50)] * 3)
    assert main([data, "--names", "on", "--names_limit", "7", "-f", "model"]) == 0
    error = capsys.readouterr().err
    assert error.count("names of 7 features are kept, and no more (--names_limit)") == 1
    assert len(features("model")) == 7
    again = Workspace("-i model")
    again.learn("1 | other")
    assert len(again.features()) == 7
    assert again.unknown_features() is None
    assert main(["inspect", "model"]) == 0
    assert "names of 7 features, not of all that were learned" in capsys.readouterr().out


def test_hostile_names_are_kept_and_printed_safely(capsys):
    long = "é" * 5000
    data = Path("data.vw")
    data.write_bytes(b"1 |n \x1b[31mred\x07 ok\n0 |n \xff\xfe=x\n1 |n " + long.encode() + b"\n")
    assert main(["data.vw", "--names", "stats", "-f", "model", "--quiet"]) == 0
    names = [row["feature"] for row in features("model")]
    assert "n^\x1b[31mred\x07" in names
    assert "n^\udcff\udcfe=x" in names
    (cut,) = [name for name in names if name.startswith("n^é")]
    assert cut.endswith("é...")
    assert len(cut.encode()) <= 1000
    assert main(["inspect", "model"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert main(["inspect", "model", "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_digests_hide_names(monkeypatch, capsys):
    monkeypatch.setenv("VWLITE_NAMES_SALT", "a long secret")
    data = write("data.vw", ["1 |user secretname age:3", "0 |user other"])
    assert main([data, "--names", "hashed", "-q", "uu", "-f", "model", "--quiet"]) == 0
    raw = Path("model").read_bytes()
    for word in (b"secretname", b"age", b"other", b"a long secret"):
        assert word not in raw
    found = features("model")
    assert len(found) == 8
    assert all(len(row["feature"]) == 16 for row in found)
    write("more.vw", ["1 |user third"])
    assert main(["more.vw", "-i", "model", "-f", "next", "--quiet"]) == 0
    assert len(features("next")) == 10
    monkeypatch.setenv("VWLITE_NAMES_SALT", "another secret")
    with pytest.raises(ModelError, match="salt"):
        Workspace("-i model")
    monkeypatch.delenv("VWLITE_NAMES_SALT")
    with pytest.raises(OptionError, match="VWLITE_NAMES_SALT"):
        Workspace("-i model")
    Workspace("-t -i model").predict("|user secretname")
    write("short.key", ["short"])
    with pytest.raises(OptionError, match="at least 8 bytes"):
        Workspace("--names hashed --names_salt short.key")
    with pytest.raises(OptionError, match=r"no\.key"):
        Workspace("--names hashed --names_salt no.key")


def test_unknown_features_are_reported_when_predicting(capsys):
    data = write("data.vw", ["1 | a b", "0 | b c"])
    assert main([data, "--names", "on", "-f", "model", "--quiet"]) == 0
    write("test.vw", ["1 | a new", "0 | b c d"])
    assert main(["test.vw", "-t", "-i", "model"]) == 0
    # a and the constant are known in the first line, b, c and the constant in the second
    assert "features unknown to the model = 2 of 7 (28.6%)" in capsys.readouterr().err
    assert main([data, "-f", "nameless", "--quiet"]) == 0
    assert main(["test.vw", "-t", "-i", "nameless"]) == 0
    assert "unknown" not in capsys.readouterr().err
    # names that began after the first examples say nothing
    assert main([data, "-i", "nameless", "--names", "on", "-f", "late", "--quiet"]) == 0
    assert main(["test.vw", "-t", "-i", "late"]) == 0
    assert "unknown" not in capsys.readouterr().err


def test_a_daemon_keeps_names_and_counts_unknown_features_without_a_label():
    options = parse(["--names", "stats", "--daemon"], option_groups())
    engine = Engine(options)
    engine.run(b"1 | a b\n0 | b c\n| a new\n| b c d e\n", 1)
    # a and the constant, b, c and the constant are known
    assert engine.workspace.unknown_features() == pytest.approx(3 / 8)
    assert {row["feature"]: row["count"] for row in engine.workspace.features()} == {
        "a": 1,
        "b": 2,
        "c": 1,
        "Constant": 2,
    }


def test_collisions_are_counted_as_they_are(capsys):
    names = [f"n{i}" for i in range(400)]
    data = write("data.vw", [f"1 | {name}" for name in names])
    assert main([data, "-b", "8", "--noconstant", "--names", "on", "-f", "model"]) == 0
    slots = {feature_hash(name.encode()) & 255 for name in names}
    line = f"collisions observed = {400 - len(slots)} of 400 names (expected with -b 8: "
    assert line in capsys.readouterr().err
    assert main(["inspect", "model", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["names"]["collisions"]
    assert facts["observed"] == 400 - len(slots)
    assert facts["expected"] == pytest.approx(400 - 256 * (1 - (1 - 1 / 256) ** 400))


@pytest.mark.parametrize(("n", "bits"), [(0, 18), (1, 18), (10, 0), (1000, 4), (10**6, 18), (5, 32)])
def test_expected_collisions_follow_the_formula(n, bits):
    m = 2.0**bits
    wanted = n - m * -math.expm1(n * math.log1p(-1 / m)) if bits else max(n - 1, 0)
    assert expected_collisions(n, bits) == pytest.approx(wanted, abs=1e-6)


def test_decisions_keep_the_names_of_all_their_lines():
    text = "shared |s a\n0:1:0.5 |x b\n|x c\n\nshared |s d\n|x b\n1:0:0.5 |x e\n\n"
    Path("data.vw").write_text(text)
    assert main(["data.vw", "--cb_adf", "-q", "sx", "--names", "stats", "-f", "model", "--quiet"]) == 0
    found = {row["feature"]: row["count"] for row in features("model")}
    assert found == {
        **{"x^b": 2, "x^c": 1, "x^e": 1, "s^a": 2, "s^d": 2, "Constant": 4},
        **{"s^a*x^b": 1, "s^a*x^c": 1, "s^d*x^b": 1, "s^d*x^e": 1},
    }


def test_records_and_arrays_have_names():
    workspace = Workspace("--names stats")
    workspace.learn([{"city": "Bonn", "price": 2.5}, {"city": "Rome", "price": 1.5}], y=[1, 0])
    workspace.learn(np.array([[1.0, 2.0]]), y=[1], columns=["u", "v"])
    found = {row["feature"]: (row["count"], row["low"], row["high"]) for row in workspace.features()}
    assert found["price"] == (2, 1.5, 2.5)
    assert {"city=Bonn", "city=Rome", "u", "v"} <= found.keys()


def test_copies_have_the_names():
    workspace = Workspace("--names stats")
    workspace.learn(["1 | a:2", "0 | b"])
    assert list(Workspace.from_bytes(workspace.to_bytes()).features()) == list(workspace.features())


def test_statistics_that_begin_late_have_no_range_of_what_was_before():
    first = Workspace("--names on")
    first.learn("1 | a b")
    first.save("model")
    second = Workspace("-i model --names stats")
    second.learn("1 | a:3")
    rows = {row["feature"]: row for row in second.features()}
    assert (rows["a"]["count"], rows["a"]["low"]) == (1, 3)
    assert rows["b"]["count"] == 0
    assert math.isnan(rows["b"]["low"])


def test_names_off_leaves_them_out(capsys):
    data = write("data.vw", ["1 | a"])
    assert main([data, "--names", "on", "-f", "model", "--quiet"]) == 0
    assert main([data, "-i", "model", "--names", "off", "-f", "less"]) == 0
    assert "--names off: the model is saved without the names that it had" in capsys.readouterr().err
    with pytest.raises(OptionError, match="keeps no names"):
        Workspace("-i less").features()


def test_names_show_in_coefficients_and_entities(capsys):
    workspace = Workspace("--bayes_linear --noise 1 --random_effect user:p --names on")
    workspace.learn(["1 |user ann |p price:2", "-1 |user bob |p price:3"] * 9)
    assert set(workspace.coefficients("user")["feature"]) == {"p^price", "Constant"}
    workspace.save("model")
    assert main(["inspect", "model", "--entity", "ann"]) == 0
    assert "p^price" in capsys.readouterr().out


def test_damaged_names_are_refused():
    workspace = Workspace("--names stats")
    workspace.learn("1 | a b c")
    known = workspace.driver.known
    assert known is not None
    arrays = {name: array for name, (_, _, array) in known.arrays().items()}
    kinds = {"hash": np.uint32, "end": np.uint64, "count": np.uint64, "last": np.uint64, "state": np.uint64}
    good: dict[str, Any] = {
        name: np.frombuffer(array, kinds.get(name, np.uint8 if name == "text" else np.float32))
        for name, array in arrays.items()
    }
    KnownFeatures(10).restore(good)
    for change in (
        {"end": good["end"][:2]},
        {"end": good["end"][::-1].copy()},
        {"text": good["text"][:1]},
        {"hash": np.repeat(good["hash"][:1], 4)},
        {"count": good["count"][:1]},
        {"low": good["high"] + np.float32(5)},
        {"state": good["state"][:2]},
        {"end": np.array([1, 2, 2**40, 11], np.uint64)},
        {"end": np.array([900, 2, 3, 11], np.uint64)},
    ):
        with pytest.raises(ValueError, match=r"length|begin|twice|range"):
            KnownFeatures(10).restore({**good, **change})
