"""A daemon for each kind of label: text and JSON, learning and predicting, checkpoints."""

import json

import pytest

from tests.support.daemon import by_file, serving
from tests.support.multiclass import examples
from tests.support.multiline import costs, decisions

CLASSES = [
    ("--oaa 3", examples(30)),
    ("--oaa 3", examples(30, ("cat", "dog", "größe"))),
    ("--oaa 3 --probabilities --bayes_logistic", examples(30)),
    ("--csoaa 3", ["1:0 2:1 3:1 'a|a x", "1:1 2:0 3:1 |a y", "| a x"]),
    ("--multilabel_oaa 3", ["0,2 'a|a x", "1 |a y", "|a x"]),
    ("--csoaa_ldf m", costs(20)),
    ("--csoaa_ldf mc --probabilities --loss_function logistic", costs(20)),
    ("--csoaa_ldf m --csoaa_rank", costs(20)),
    ("--cb_adf", decisions(20)),
    ("--cb_adf --rank_all --cb_type dr", decisions(20)),
    ("--cb_explore_adf", decisions(20)),
]


@pytest.mark.parametrize(("flags", "lines"), CLASSES, ids=[flags for flags, _ in CLASSES])
def test_a_daemon_answers_as_a_run_over_a_file_does(flags, lines, tmp_path):
    text = "".join(f"{line}\n" for line in lines).encode()
    expected, _ = by_file(tmp_path, text, *flags.split())
    with serving(tmp_path, *flags.split(), "-f", "model") as daemon:
        assert daemon.talk(text) == expected
        assert daemon.talk(b"!save\n").startswith(b"!saved")
    expected, _ = by_file(tmp_path, text, "-i", str(tmp_path / "model"), "-t")
    with serving(tmp_path, "-i", "model", "-t") as daemon:
        assert daemon.talk(text) == expected


IN_JSON = [
    ("--oaa 3", '{"_label": 2, "a": {"x": 1}, "_tag": "t"}', {"prediction": 1, "tag": "t"}),
    ("--oaa 3", '{"_label": "cat", "a": {"x": 1}}', {"prediction": "1"}),
    ("--oaa 3 --named_labels 7,cat,dog", '{"_label": "cat 2", "a": {"x": 1}}', {"prediction": "7"}),
    ("--oaa 2 --scores", '{"_label": 2, "_tag": "t", "x": 1}', {"scores": {"1": 0, "2": 0}, "tag": "t"}),
    (
        "--oaa 2 --probabilities --loss_function logistic",
        '{"_label": 2, "_tag": "t", "x": 1}',
        {"probabilities": {"1": 0.5, "2": 0.5}, "tag": "t"},
    ),
    ("--csoaa 2", '{"_label": "1:1 2:0", "_tag": "t", "x": 1}', {"prediction": 1, "tag": "t"}),
    ("--multilabel_oaa 3", '{"_label": "0,2", "_tag": "t", "x": 1}', {"classes": [], "tag": "t"}),
    ("--csoaa_ldf m", '{"_multi": [{"_label": "4:1", "x": 1}, {"_label": "7:0", "x": 2}]}', {"prediction": 4}),
    (
        "--csoaa_ldf m --csoaa_rank",
        '{"_multi": [{"_label": "a:1", "x": 1}, {"_label": "b:0", "x": 2}]}',
        {"actions": [["a", 0], ["b", 0]]},
    ),
    (
        "--csoaa_ldf mc --probabilities --loss_function logistic",
        '{"_tag": "t", "s": {"y": 1}, "_multi": [{"_label": "a:1", "x": 1}, {"_label": "b:0", "x": 2}]}',
        {"probabilities": [0.5, 0.5], "tag": "t"},
    ),
    ("--cb_adf", '{"_tag": "t", "_multi": [{"x": 1}, {"x": 2, "_label": "0:1:0.5"}]}', {"action": 0, "tag": "t"}),
    ("--cb_explore_adf --epsilon 0", '{"_multi": [{"x": 1}, {"y": 2}]}', {"actions": [[0, 0.5], [1, 0.5]]}),
]


@pytest.mark.parametrize(("flags", "line", "expected"), IN_JSON)
def test_an_example_in_json_is_answered_by_its_type_of_prediction(flags, line, expected, tmp_path):
    with serving(tmp_path, *flags.split()) as daemon:
        assert json.loads(daemon.talk(f"{line}\n".encode())) == expected


@pytest.mark.parametrize("label", ['"1|2"', '"1\\n2"', "[1]", "true", "1.5", '"9"', '"1 2 3 4"'])
def test_a_bad_label_in_json_is_an_error_and_teaches_nothing(label, tmp_path):
    with serving(tmp_path, "--oaa", "3") as daemon:
        assert "error" in json.loads(daemon.talk(f'{{"_label": {label}, "x": 1}}\n'.encode()))
        assert json.loads(daemon.talk(b'{"_label": 1, "x": 1}\n')) == {"prediction": 1}
