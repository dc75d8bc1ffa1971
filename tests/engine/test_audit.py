"""Names beside numbers: --audit, --invert_hash, --readable_model, and the names that a model keeps."""

import itertools
import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from vwlite.cli import main
from vwlite.core.hashing import feature_hash

CONSTANT = 11650396
LINES = ["1 first|a x y:2 |b z", "0 |b z:0.5 word:text 7 | bare x |a x:3", "1 |a x |c y"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own with the data in it."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path


def hash_of(name: str, bits: int = 18) -> int:
    """The index that a name says it has."""
    index = None
    for part in name.split("*"):
        if part == "Constant":
            number = CONSTANT
        else:
            namespace, caret, feature = part.partition("^")
            feature = feature if caret else namespace
            number = feature_hash(namespace.encode()) if caret else 0
            for word in feature.split("^"):
                number = feature_hash(word.encode(), number)
        index = number if index is None else (index * 16777619 ^ number) & 0xFFFFFFFF
    assert index is not None
    return index & (1 << bits) - 1


def audit(capsys: Any, *words: str) -> list[tuple[str, list[str]]]:
    """The prediction and the cells of each example."""
    assert main(["data.txt", "--quiet", "--audit", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert all(line.startswith("\t") for line in lines[1::2])
    return [(head, cells[1:].split("\t")) for head, cells in zip(lines[::2], lines[1::2], strict=True)]


def named(path: str) -> list[tuple[str, int, list[float]]]:
    """The weights of a readable model: name, index, numbers."""
    lines = Path(path).read_text().splitlines()
    body = lines[[i for i, line in enumerate(lines) if re.match(r"l2_state |:0$", line)][-1] + 1 :]
    found = []
    for line in body:
        *names, index, numbers = line.rsplit(":", 2) if line.count(":") > 1 else ["", *line.split(":")]
        found.append((names[0], int(index), [float(number) for number in numbers.split()]))
    return found


# --audit


def test_an_audit_shows_prediction_and_features_before_the_update(capsys):
    (head, cells), *_ = audit(capsys)
    assert head == "0 first"
    assert {cell.split(":")[0] for cell in cells} == {"a^x", "a^y", "b^z", "Constant"}
    # nothing is known yet
    assert all(re.fullmatch(r"[^:]+:\d+:[12]:0@0", cell) for cell in cells)


def test_audited_weights_add_up_to_the_prediction(capsys):
    for head, cells in audit(capsys, "-q", "ab", "--noconstant"):
        products = [float(cell.split(":")[2]) * float(cell.split(":")[3].split("@")[0]) for cell in cells]
        assert sum(products) == pytest.approx(float(head.split()[0]), abs=1e-4)
        assert [abs(p) for p in products] == sorted((abs(p) for p in products), reverse=True)


CROSSINGS = ["", "-q ab", "-q ba", "-q aa", "--cubic aab", "--interactions abac", "-q ::", "-q a:"]


@pytest.mark.parametrize(
    ("words", "more"),
    [
        *itertools.product(CROSSINGS, ["", "--ignore_linear a", "--noconstant", "-b 9"]),
        *itertools.product(CROSSINGS[1:], ["--permutations"]),
    ],
)
def test_every_name_has_the_index_that_its_parts_make(capsys, words, more):
    for _, cells in audit(capsys, *words.split(), *more.split()):
        for cell in cells:
            name, index, _, _ = cell.rsplit(":", 3)
            assert int(index) == hash_of(name, 9 if "9" in more else 18)


def test_crossed_names_stand_in_the_order_of_the_flag(capsys):
    def crossed(*words: str) -> list[str]:
        cells = audit(capsys, *words)[0][1]
        return [cell.split(":")[0] for cell in cells if "*" in cell]

    assert crossed("-q", "ab") == ["a^x*b^z", "a^y*b^z"]
    assert crossed("-q", "ba") == ["b^z*a^x", "b^z*a^y"]
    assert crossed("-q", "aa") == ["a^x*a^x", "a^x*a^y", "a^y*a^y"]
    assert crossed("-q", "aa", "--permutations") == ["a^x*a^x", "a^x*a^y", "a^y*a^x", "a^y*a^y"]
    assert crossed("--cubic", "aab") == ["a^x*a^x*b^z", "a^x*a^y*b^z", "a^y*a^y*b^z"]


def test_values_of_crossed_features_are_products(capsys):
    cells = {cell.split(":")[0]: cell.split(":")[2] for cell in audit(capsys, "-q", "aa", "-q", "ab")[0][1]}
    assert (cells["a^y*a^y"], cells["a^x*a^y"], cells["a^y*b^z"]) == ("4", "2", "2")


def test_text_values_and_default_namespaces_have_names(capsys):
    names = [cell.split(":")[0] for cell in audit(capsys)[1][1]]
    assert {"b^word^text", "b^7", "bare", "x", "a^x"} <= set(names)


def test_what_is_ignored_is_not_audited(capsys):
    names = {cell.split(":")[0] for _, cells in audit(capsys, "--ignore", "b") for cell in cells}
    assert names == {"a^x", "a^y", "c^y", "bare", "x", "Constant"}


def test_an_audit_changes_no_prediction(capsys):
    assert main(["data.txt", "--quiet", "-p", "plain.txt", "--classweight", "1:3", "-q", "ab"]) == 0
    heads = [head for head, _ in audit(capsys, "-p", "audited.txt", "--classweight", "1:3", "-q", "ab")]
    assert Path("audited.txt").read_text() == Path("plain.txt").read_text()
    assert heads == Path("plain.txt").read_text().splitlines()


# --readable_model and --invert_hash

STATE = """initial_t|norm normalizer|t|sum_loss|sum_loss_since_last_dump|dump_interval|min_label|max_label
weighted_labeled_examples|weighted_labels|weighted_unlabeled_examples|example_number|total_features|total_weight
sd::oec.weighted_labeled_examples|current_pass|l1_state|l2_state""".replace("\n", "|").split("|")


def test_a_readable_model_has_vws_layout():
    words = ["-q", "ab", "--ignore", "c", "--link", "logistic", "--loss_function", "logistic", "-b", "10"]
    assert main(["data.txt", "--quiet", *words, "--readable_model", "m.txt"]) == 0
    lines = Path("m.txt").read_text().splitlines()
    assert lines[:8] == [
        "Version 9.11.2",
        "Id ",
        "Min label:-50",
        "Max label:50",
        "bits:10",
        "lda:0",
        "0 ngram:",
        "0 skip:",
    ]
    assert lines[8].startswith("options:")
    # those that Vowpal Wabbit keeps, in alphabetical order
    assert lines[8].split(" --")[1:] == ["ignore c", "link logistic", "quadratic ab"]
    assert lines[9].startswith("Checksum: ") and lines[10] == ":1"
    assert [line.rsplit(" ", 1)[0] for line in lines[11 : 11 + len(STATE)]] == STATE
    weights = named("m.txt")
    assert all(len(numbers) == 3 and numbers[0] for _, _, numbers in weights)
    indices = [index for _, index, _ in weights]
    assert indices == sorted(set(indices)) and indices[-1] < 1 << 10
    assert all(name == "" for name, _, _ in weights)


@pytest.mark.parametrize(
    ("words", "columns"), [("--sgd", 1), ("--adaptive", 2), ("--normalized", 2), ("--invariant", 1), ("", 3)]
)
def test_a_readable_model_has_the_columns_of_its_update(words, columns):
    assert main(["data.txt", "--quiet", *words.split(), "--readable_model", "m.txt"]) == 0
    assert {len(numbers) for _, _, numbers in named("m.txt")} == {columns}


def test_weights_alone_have_no_state():
    words = ["--predict_only_model", "--readable_model", "m.txt", "--invert_hash", "i.txt"]
    assert main(["data.txt", "--quiet", *words]) == 0
    lines = Path("m.txt").read_text().splitlines()
    assert lines[10] == ":0" and re.fullmatch(r"\d+:-?[\d.e-]+", lines[11])
    assert re.fullmatch(r"[^:]+:\d+:-?[\d.e-]+", Path("i.txt").read_text().splitlines()[11])


@pytest.mark.parametrize("words", ["", "-q ab", "-q ba -q aa --cubic abc", "-q :: --noconstant"])
def test_inverted_hashes_are_those_of_their_names(words):
    assert main(["data.txt", "--quiet", *words.split(), "--invert_hash", "i.txt", "--readable_model", "m.txt"]) == 0
    weights = named("i.txt")
    assert all(hash_of(name) == index for name, index, _ in weights)
    assert [(index, numbers) for _, index, numbers in weights] == [(i, n) for _, i, n in named("m.txt")]
    assert ("Constant" in [name for name, _, _ in weights]) == ("--noconstant" not in words)


def test_the_first_name_seen_wins_a_slot():
    names = [f"f{i}" for i in range(64)]
    Path("data.txt").write_text("".join(f"{i % 2 + 1} |n {name}\n" for i, name in enumerate(names)))
    assert main(["data.txt", "--quiet", "-b", "4", "--invert_hash", "i.txt", "--noconstant"]) == 0
    first: dict[int, str] = {}
    for name in names:
        first.setdefault(hash_of(f"n^{name}", 4), f"n^{name}")
    assert {index: name for name, index, _ in named("i.txt")} == {index: first[index] for _, index, _ in named("i.txt")}


def test_names_are_known_in_later_passes_and_from_a_cache():
    main(["data.txt", "--quiet", "--invert_hash", "one.txt", "--passes", "2", "--holdout_off"])
    main(["data.txt", "--quiet", "-c"])  # a cache without names
    for _ in range(2):  # makes one with names, then uses it
        main(["data.txt", "--quiet", "-c", "--invert_hash", "two.txt", "--passes", "2", "--holdout_off"])
        assert named("two.txt") == named("one.txt")


@pytest.mark.parametrize("rule", ["--keep a", "--ignore B"])
@pytest.mark.parametrize("crossing", ["-q ::", "-q Ba", "--cubic ::: --permutations", ""])
def test_an_entity_whose_namespace_is_left_out_is_no_feature_of_the_audit(rule, crossing, capsys):
    Path("data.txt").write_text("1 |B u |a y z:2\n2 |B v |a y |c w\n")
    words = f"{rule} {crossing} --random_effect B:a --bayes_linear".split()
    (_, first), _ = audit(capsys, *words)
    names = {cell.split(":")[0] for cell in first}
    assert {"a^y", "a^z", "Constant"} <= names and not any(name.startswith("B") for name in names)
    if crossing in ("-q ::", "--cubic ::: --permutations"):
        assert any(name.startswith("a^y*a^z") for name in names)
    assert main(["data.txt", "--quiet", *words, "--invert_hash", "i.txt"]) == 0
    assert "B^" not in Path("i.txt").read_text()


# Names in the model


def test_a_model_keeps_the_names_and_inspect_shows_them(capsys):
    assert main(["data.txt", "--quiet", "-q", "ab", "--invert_hash", "i.txt", "-f", "m.model"]) == 0
    assert main(["inspect", "m.model", "--json", "--top", "100"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["weights"]
    shown = {row["slot"]: row["names"] for row in table["top"]}
    assert shown == {index: [name] for name, index, _ in named("i.txt")}
    assert main(["inspect", "m.model"]) == 0
    assert "a^x*b^z" in capsys.readouterr().out


def test_names_outlive_runs_that_see_no_names():
    assert main(["data.txt", "--quiet", "--invert_hash", "one.txt", "-f", "m.model"]) == 0
    Path("data.txt").write_text("1 |new name\n")
    assert main(["data.txt", "--quiet", "-i", "m.model", "-f", "m.model"]) == 0
    Path("data.txt").write_text("1 |newer name\n")
    assert main(["data.txt", "--quiet", "-i", "m.model", "--invert_hash", "two.txt"]) == 0
    names = {index: name for name, index, _ in named("two.txt")}
    assert all(names[index] == name for name, index, _ in named("one.txt"))
    assert names[hash_of("newer^name")] == "newer^name"
    assert names[hash_of("new^name")] == ""


def test_names_of_any_bytes_stay_apart():
    Path("data.txt").write_bytes("1 |ä ö ü:2\n0 |b \u2028 x\x0by\n".encode() + b"1 |c \xff\xfe\n")
    assert main(["data.txt", "--quiet", "--invert_hash", "one.txt", "-f", "m.model"]) == 0
    assert main(["--no_stdin", "--quiet", "-i", "m.model", "--invert_hash", "two.txt"]) == 0

    def body(path: str) -> list[bytes]:
        return [line for line in Path(path).read_bytes().split(b"\n") if re.fullmatch(rb".+:\d+:\S+ \S+ \S+", line)]

    assert body("one.txt") == body("two.txt")
    assert [key for key, _ in groupby(body("one.txt"))] == body("one.txt") and len(body("one.txt")) == 6
