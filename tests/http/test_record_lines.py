"""Records as lines: what the journal stores and the model learns is the example that the library makes of the dict."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import arrays
from tests.support.served_models import served
from vwlite import Workspace
from vwlite.errors import VwliteError
from vwlite.http.problems import Problem

NAMES = st.one_of(
    st.text("abz01 _é:|\t=^'\"\\\n", min_size=1, max_size=6), st.text(min_size=1, max_size=4),
    st.sampled_from(["user", "item", "0", "1", "17", "a=b", "Constant", "\U0001f600"]),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, width=32), st.floats(-1e30, 1e30),
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, 1e-40, 16777217, 0.1, 1e9, 123456789.0, 3e38]),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8))
LISTS = st.lists(
    st.one_of(NUMBERS, NAMES, st.booleans(), st.none(), st.dictionaries(NAMES, NUMBERS, max_size=2)), max_size=4
)
INNER = st.dictionaries(NAMES, SCALARS, max_size=3)
SPECIAL = ("_label", "_weight", "_initial", "_tag")
RECORDS = st.dictionaries(NAMES.filter(lambda name: name not in SPECIAL), st.one_of(SCALARS, LISTS, INNER), max_size=6)
USER = st.one_of(st.integers(0, 3), st.sampled_from(["ann", "bob c", "ü", "0", "x:y"]))
USERS = st.fixed_dictionaries({}, optional={"user": USER, "a": NUMBERS, "s": st.text(max_size=3)})
FLAGS = [
    "", "-q :: --hash all", "--hash_seed 3 --redefine x:=a", "--bayes_linear", "--scale --sgd -l 0.01 --power_t 0",
    "--transform '*:onehot'", "--transform 'a:log,scale /^b/:clip(0,5) user^*:minmax *:maxabs'", "--transform '*:idf'",
    "--loss_function logistic --link logistic", "--transform 'user^*:ngrams(2)'",
]  # fmt: skip


def state(workspace):
    """What a model would be saved with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.model"
        workspace.save(path)
        return arrays(path)


def alike(flags, records, labels):
    """Asserts that a served model learns of records what the library does, one by one and many at once."""
    library, one, many = Workspace(flags), served(flags), served(flags)
    good, wanted = [], []
    for record, label in zip(records, labels, strict=True):
        try:
            wanted.append(library.learn(record, label))
            good.append((record, label))
        except (VwliteError, TypeError, ValueError):  # no example for the library, nor for the service
            with pytest.raises(Problem):
                one.writer.one(record, label)
    lines = [one.writer.one(record, one.kind.label(label)) for record, label in good]
    assert many.writer.many([record for record, _ in good], [label for _, label in good], [None] * len(good)) == lines
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    answers = [one.run([line])[0] for line in lines]
    assert many.run(lines) == answers
    assert [float(answer.split()[0]) for answer in answers] == pytest.approx(wanted, rel=1e-5, abs=1e-5, nan_ok=True)
    assert state(one.engine.workspace) == state(many.engine.workspace) == state(library)


@settings(max_examples=200)
@given(st.lists(RECORDS, min_size=1, max_size=5), st.sampled_from(FLAGS), st.data())
def test_lines_are_what_the_library_learns(records, flags, data):
    binary = "logistic" in flags
    labels = [data.draw(st.sampled_from([1.0, -1.0]) if binary else st.floats(-1e6, 1e6, width=32)) for _ in records]
    alike(flags, [json.loads(json.dumps(record)) for record in records], labels)


@given(st.lists(USERS, min_size=1, max_size=6))
def test_entities_too(records):
    alike("--bayes_linear --random_effect user", records, [float(i % 3) for i in range(len(records))])


@given(st.lists(USERS, min_size=1, max_size=6))
def test_entities_and_transforms_together(records):
    alike("--bayes_linear --random_effect user --scale", records, [float(i % 3) for i in range(len(records))])


@given(st.sampled_from(SPECIAL), st.one_of(NUMBERS, st.text(max_size=5), st.booleans()))
def test_keys_of_the_library_are_features_here(key, value):
    """The label is given beside the record, so that no feature can be one."""
    model, other = served("--bayes_linear"), served("--bayes_linear")
    line = model.writer.one({key: value, "a": 1}, 2.0)
    assert line.startswith(b"2 | ")
    renamed = other.writer.one({key.replace("_", "x"): value, "a": 1}, 2.0)
    assert line == renamed.replace(key.replace("_", "x").encode(), key.encode())
    assert not model.run([line])[0].startswith(b"!")


def test_zeros_and_flags_are_told_apart_where_it_matters():
    record = {"zero": 0, "one": 1, "flag": True, "off": False, "none": None, "text": "a b", "inside": {"zero": 0.0}}
    assert served("").writer.one(record) == b"| one flag text=a_b\n"
    assert served("--scale").writer.one(record) == b"| zero:0 one:1 flag text=a_b |inside zero:0\n"


@pytest.mark.parametrize(
    "record", [{"a": float("nan")}, {"a": float("inf")}, {"a": 10**400}, {"a": {"b": {"c": object()}}}, {"a": 1e39}]
)
def test_what_is_no_example_is_refused_with_its_name(record):
    model = served("")
    with pytest.raises(Problem) as refused:
        model.writer.one(record)
    assert refused.value.pointer == "/features"
    found = model.writer.many([{"b": 1}, record, {"b": 2}], [None] * 3, [None] * 3)
    assert [isinstance(each, bytes) for each in found] == [True, False, True]
    assert found[0] == model.writer.one({"b": 1})
    assert model.writer.one({"b": 2}) == found[2]  # the writer goes on after it
