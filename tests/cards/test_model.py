"""``vwlite inspect`` tells a person, or a program, what a model is."""

import json

import numpy as np
import pytest

from tests.support.inspecting import inspect, refusal
from vwlite.cards.model import render_entity
from vwlite.model import model_file

JOURNAL = [
    {
        "when": "2026-01-02T03:04:05Z",
        "version": "0.1.0",
        "arguments": ["-d", "my train.vw.gz", "--link", "logistic"],
        "seed": 7,
        "sources": [{"name": "my train.vw.gz", "sha256": "0123456789abcdef" * 4, "bytes": 99}],
        "examples": 1000,
        "loss_before": None,
        "loss_after": 0.3456789,
        "parent": None,
    },
    {
        "when": "2026-01-03T03:04:05Z",
        "version": "0.1.0",
        "arguments": ["-i", "m.model"],
        "seed": 7,
        "sources": [{"name": "stdin", "sha256": None, "bytes": None}],
        "examples": 5,
        "loss_before": 0.3456789,
        "loss_after": 0.25,
        "parent": "fedcba9876543210fedcba",
    },
]
METADATA = {
    "vwlite_version": "0.1.0",
    "id": "cafe1234",
    "created": "2026-01-03T03:04:06Z",
    "stack": [
        {"name": "scorer", "label": "SIMPLE", "prediction": "SCALAR", "options": {"link": "logistic"}},
        {"name": "gd", "label": "SIMPLE", "prediction": "SCALAR", "options": {}},
    ],
    "options": {"link": "logistic", "bit_precision": 18, "noconstant": True, "quadratic": ["ab", "c d"]},
    "journal": JOURNAL,
}


def text_array(*names):
    data = b"\n".join(names)
    return ("U8", [len(data)], data)


def arrays():
    return {
        "gd.index": ("U32", [5], np.array([3, 10, 20, 30, 40], dtype=np.uint32)),
        "gd.weight": ("F32", [5], np.array([0.5, -2.0, 0.0, 0.5, 1e-6], dtype=np.float32)),
        "gd.adaptive": ("F32", [5], np.ones(5, dtype=np.float32)),
        "gd.min_label": ("F32", [], np.float32(-1)),
        "gd.max_label": ("F32", [], np.float32(2.5)),
        "gd.total_weight": ("F64", [], np.float64(1005)),
        "names.slot": ("U64", [4], np.array([40, 10, 3, 10], dtype=np.uint64)),
        "names.text": text_array(b"ad^\x1b[31m\xff", b"user^bob", "user^zoë".encode(), b"user^eve"),
    }


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "m.model")


def inspect_json(capsys, *words):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(inspect(capsys, "--json", *words), parse_constant=refuse)


def test_the_card_tells_all_a_person_asks(path, capsys):
    model_file.write(path, arrays(), METADATA)
    card = inspect(capsys, path, "--arrays")
    assert inspect(capsys, path) == card[: card.index("\narrays, all as")]
    assert card.splitlines() == [
        f"{path}: a model in vwlite format 1",
        "  id            cafe1234",
        "  written       2026-01-03T03:04:06Z, by vwlite 0.1.0",
        "  gd            5 features, 4 weights not zero",
        "  gd            predictions from -1 to 2.5",
        "",
        "learners, top to bottom",
        "  scorer           SIMPLE -> SCALAR  --link logistic",
        "  gd               SIMPLE -> SCALAR",
        "",
        "options kept",
        "  --link logistic",
        "  --bit_precision 18",
        "  --noconstant",
        "  --quadratic ab --quadratic 'c d'",
        "",
        "runs",
        "  1  2026-01-02T03:04:05Z, my train.vw.gz (sha256 0123456789ab), 1000 examples, "
        "loss none -> 0.345679, seed 7: vwlite 0.1.0 -d 'my train.vw.gz' --link logistic",
        "  2  2026-01-03T03:04:05Z, stdin, 5 examples, loss 0.345679 -> 0.25, seed 7, from model fedcba987654: "
        "vwlite 0.1.0 -i m.model",
        "",
        "largest weights of gd",
        "             -2  slot 10  user^bob = user^eve",
        "           +0.5  slot 3  user^zoë",
        "           +0.5  slot 30",
        "         +1e-06  slot 40  ad^\ufffd[31m\ufffd",
        "",
        "arrays, all as their sha256 says",
        "  gd.index                 U32  [5]",
        "  gd.weight                F32  [5]",
        "  gd.adaptive              F32  [5]",
        "  gd.min_label             F32  [] = -1.0",
        "  gd.max_label             F32  [] = 2.5",
        "  gd.total_weight          F64  [] = 1005.0",
        "  names.slot               U64  [4]",
        "  names.text               U8   [37]",
    ]


def test_json_has_the_same_facts(path, capsys):
    model_file.write(path, arrays(), METADATA)
    facts = inspect_json(capsys, path, "--top", "2")
    assert {key: facts[key] for key in METADATA} == METADATA
    assert facts["path"] == path
    assert facts["format_version"] == 1
    assert facts["labels"] == [{"learner": "gd", "least": -1.0, "most": 2.5}]
    assert facts["weights"] == [
        {
            "learner": "gd",
            "features": 5,
            "nonzero": 4,
            "top": [
                {"slot": 10, "weight": -2.0, "names": ["user^bob", "user^eve"]},
                {"slot": 3, "weight": 0.5, "names": ["user^zoë"]},
            ],
        }
    ]
    assert {"name": "gd.weight", "type": "F32", "shape": [5]} in facts["arrays"]
    assert {"name": "gd.total_weight", "type": "F64", "shape": [], "value": 1005.0} in facts["arrays"]
    assert facts["digests"].keys() == arrays().keys()


@pytest.mark.parametrize("top", [0, 1, 3, 1000])
def test_top_weights_are_the_largest_in_a_settled_order(path, capsys, top):
    slots = np.arange(500, dtype=np.uint64) * 2**40
    weights = np.random.default_rng(1).integers(-9, 10, 500).astype(np.float32)
    model_file.write(path, {"gd.index": ("U64", [500], slots), "gd.weight": ("F32", [500], weights)}, {})
    (table,) = inspect_json(capsys, path, "--top", str(top))["weights"]
    known = zip(slots.tolist(), weights.tolist(), strict=True)
    expected = sorted(((s, w) for s, w in known if w), key=lambda item: (-abs(item[1]), item[0]))
    assert [(row["slot"], row["weight"]) for row in table["top"]] == expected[:top]
    assert table["nonzero"] == len(expected)


def test_several_tables_and_several_weights_a_feature_are_told_apart(path, capsys):
    model = {
        "oaa.index": ("U32", [2], np.array([4, 8], dtype=np.uint32)),
        "oaa.weight": ("F32", [2, 3], np.array([0, 0, 5, -6, 0, 0], dtype=np.float32)),
        "bayes.index": ("U64", [0], b""),
        "bayes.weight": ("F64", [0], b""),
        "lonely.weight": ("F32", [1], np.ones(1, dtype=np.float32)),
    }
    model_file.write(path, model, {})
    tables = {table["learner"]: table for table in inspect_json(capsys, path)["weights"]}
    assert tables.keys() == {"oaa", "bayes"}
    assert tables["bayes"] == {"learner": "bayes", "features": 0, "nonzero": 0, "top": []}
    assert tables["oaa"]["features"] == 2
    assert [(row["slot"], row["column"], row["weight"]) for row in tables["oaa"]["top"]] == [(8, 0, -6), (4, 2, 5)]
    assert "slot 8[0]" in inspect(capsys, path)


def test_a_model_of_nothing_has_a_card(path, capsys):
    model_file.write(path, {}, {})
    assert inspect_json(capsys, path)["weights"] == []
    assert inspect(capsys, path).startswith(f"{path}: a model in vwlite format 1\n")


def test_numbers_that_are_not_finite_are_shown_and_remain_json(path, capsys):
    model = {
        "gd.index": ("U32", [3], np.array([1, 2, 3], dtype=np.uint32)),
        "gd.weight": ("F32", [3], np.array([1, np.nan, -np.inf], dtype=np.float32)),
        "gd.min_label": ("F32", [], np.float32(np.inf)),
        "gd.max_label": ("F32", [], np.float32(-np.inf)),
    }
    model_file.write(path, model, {"journal": [{**JOURNAL[0], "loss_before": float("nan"), "loss_after": 1.0}]})
    facts = inspect_json(capsys, path)
    assert [row["weight"] for row in facts["weights"][0]["top"]] == [None, None, 1.0]
    assert facts["labels"] == [{"learner": "gd", "least": None, "most": None}]
    card = inspect(capsys, path)
    assert "predictions from" not in card
    assert "not finite  slot 2" in card
    assert "loss none -> 1" in card


def test_what_is_no_whole_model_is_refused_in_one_line(path, tmp_path, capsys):
    assert "no such file" in refusal(capsys, path)
    model_file.write(path, arrays(), METADATA)
    assert f"did you mean {path}" in refusal(capsys, f"{path}s")
    assert "is a folder" in refusal(capsys, str(tmp_path))
    with open(path, "rb+") as file:
        file.seek(-1, 2)
        file.write(b"?")
    assert "array 'names.text' differs from its sha256" in refusal(capsys, path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gd.weight", ("F32", [1], np.ones(1, dtype=np.float32)), "gd has 1 weights for 5 features; "),
        ("gd.weight", ("F32", [0], b""), "gd has 0 weights for 5 features; "),
        ("gd.index", ("U32", [0], b""), "gd has 5 weights for 0 features; "),
        ("names.text", text_array(b"a", b"b"), "has 2 names for 4 slots; "),
        ("names.slot", ("I64", [1], np.ones(1, dtype=np.int64)), "'names.slot' is I64 where U64 is expected; "),
    ],
)
def test_tables_that_contradict_themselves_are_refused(path, capsys, name, value, message):
    model_file.write(path, {**arrays(), name: value}, METADATA)
    assert message in refusal(capsys, path)


@pytest.mark.parametrize(
    "words",
    [
        ["m", "--top", "-1"],
        [],
        ["--no-such-option"],
        ["m", "--arrays", "--json"],
        ["m", "--arrays", "--entity", "ann"],
        ["m", "--effect", "user"],
        ["m", "--names", "data.txt"],
    ],
)
def test_bad_words_are_refused_in_one_line(capsys, words):
    refusal(capsys, *words)


def test_coefficients_of_a_file_from_elsewhere_that_are_not_finite_are_shown():
    rows = [{"mean": None, "sd": None, "name": "a", "hash": 1}, {"mean": 0.5, "sd": 0.25, "name": None, "hash": 2}]
    shown = render_entity({"entity": "e", "effect": "u", "examples": 1, "coefficients": rows})
    assert "   not finite   not finite  a" in shown and "+0.5         0.25  feature 2" in shown
