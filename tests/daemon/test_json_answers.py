"""Answers in text become JSON lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite.core.types import PredictionType
from vwlite.daemon import json_answers
from vwlite.daemon.json_answers import answer

SCALAR, ACTIONS = PredictionType.SCALAR, PredictionType.ACTION_PROBABILITIES
PLAIN, UNSURE = ["prediction"], ["prediction", "low", "high"]


@pytest.mark.parametrize(
    ("said", "kind", "columns", "wanted"),
    [
        (b"0.385846 tag\n", SCALAR, PLAIN, {"prediction": 0.385846, "tag": "tag"}),
        (b"1\n", SCALAR, PLAIN, {"prediction": 1}),
        (b"-0.5 7\n", SCALAR, PLAIN, {"prediction": -0.5, "tag": "7"}),
        (b"nan\n", SCALAR, PLAIN, {"prediction": None}),
        (b"-inf t\n", SCALAR, PLAIN, {"prediction": None, "tag": "t"}),
        (
            b"0.5 0.25 -inf 7\n",
            SCALAR,
            UNSURE,
            {"prediction": 0.5, "low": 0.25, "high": None, "tag": "7"},
        ),
        (b"0.5 0.25\n", SCALAR, ["sd", "score"], {"sd": 0.5, "score": 0.25}),
        (b"0.5 0.25 7\n", SCALAR, ["fixed", "tag"], {"fixed": 0.5, "tag": 0.25, "_tag": "7"}),
        (b'0.5 \xc3\xa9"\\\xff\n', SCALAR, PLAIN, {"prediction": 0.5, "tag": 'é"\\\ufffd'}),
        (
            b"1:0.7,0:0.3 tag\n\n",
            ACTIONS,
            PLAIN,
            {"actions": [[1, 0.7], [0, 0.3]], "tag": "tag"},
        ),
        (b"0:1\n\n", ACTIONS, PLAIN, {"actions": [[0, 1]]}),
        (b"0:1e-05,1:nan\n\n", ACTIONS, PLAIN, {"actions": [[0, 1e-05], [1, None]]}),
        (b'!error line 3, column 1: no "x"\n', SCALAR, PLAIN, {"error": 'line 3, column 1: no "x"'}),
        (b"!error line 3: no\n", ACTIONS, PLAIN, {"error": "line 3: no"}),
    ],
)
def test_answers_in_text_become_json_lines(said, kind, columns, wanted):
    found = answer(said, kind, columns)
    assert found.endswith(b"\n")
    assert found.count(b"\n") == 1
    assert json.loads(found) == wanted
    assert list(json.loads(found)) == list(wanted)


@given(message=st.text())
def test_what_is_wrong_becomes_a_json_line_whatever_it_says(message):
    line = json_answers.error(message)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"error": message}
