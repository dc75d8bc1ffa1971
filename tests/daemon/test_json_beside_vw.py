"""JSON lines become text with the features, labels and tags that Vowpal Wabbit finds in the JSON."""

import json
import math
from collections import defaultdict
from typing import Any

import pytest
import vowpalwabbit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.jsonlines import LETTERS, NUMBER, VALUE, text
from tests.support.vw_json_as_text import to_text
from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace

BITS = 18
UNLABELLED = 3.4028234663852886e38

# What is in a namespace, by its index: hashes as a table sees them, and values. In which order they come is no matter.
Groups = dict[int, list[tuple[int, float]]]


class Wheel:
    """Vowpal Wabbit, reading JSON."""

    def __init__(self, flags: str) -> None:
        self.workspace = vowpalwabbit.Workspace(f"--json -b {BITS} --noconstant --quiet {flags}")

    def read(self, line: str) -> list[Any]:
        found = self.workspace.parse(line)
        return found if isinstance(found, list) else [found]


@pytest.fixture(scope="module")
def single():
    return Wheel(""), Workspace("").parser


@pytest.fixture(scope="module")
def decisions():
    flags = "--thompson --bayes_logistic"
    return Wheel("--cb_explore_adf"), Workspace(flags).parser


def features_of(wheel_example) -> Groups:
    groups: Groups = defaultdict(list)
    for n in range(wheel_example.num_namespaces()):
        space = wheel_example.get_ns(n)
        for i in range(wheel_example.num_features_in(space)):
            hash_ = wheel_example.feature(space, i) % 2**BITS
            groups[wheel_example.namespace(n)].append((hash_, wheel_example.feature_weight(space, i)))
    return {index: sorted(group) for index, group in groups.items() if group}


def features_in(row) -> Groups:
    groups: Groups = defaultdict(list)
    for index, _, features in row["namespaces"]:
        groups[index] += [(hash_ % 2**BITS, value) for hash_, value in features]
    return {index: sorted(group) for index, group in groups.items() if group}


def assert_same_features(found: Groups, wanted: Groups) -> None:
    assert {index: [hash_ for hash_, _ in group] for index, group in found.items()} == {
        index: [hash_ for hash_, _ in group] for index, group in wanted.items()
    }
    for index, group in wanted.items():
        assert [value for _, value in found[index]] == pytest.approx([value for _, value in group], rel=1e-6, abs=1e-38)


NAME = st.one_of(
    st.text(LETTERS, min_size=1, max_size=6),
    st.sampled_from(("7", "007", "4294967296", "", "_ignored", "_", "__", "_Text", "_Label", "x^y", "label")),
)
# a namespace of JSON must begin with ASCII, see the module
NAMESPACE = st.one_of(
    st.text("abAB01", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=1), st.sampled_from((" ", "aé", "_c"))
)
FEATURES = st.dictionaries(NAME, VALUE, max_size=4)
# no arrays within the objects of arrays, after which VW counts oddly
ARRAY = st.lists(st.one_of(NUMBER, st.none(), FEATURES), max_size=4)


def merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


MEMBERS = st.recursive(
    FEATURES,
    lambda inner: st.tuples(
        FEATURES,
        st.dictionaries(NAMESPACE, st.one_of(inner, ARRAY), max_size=3),
        FEATURES,
        st.one_of(st.just({}), st.fixed_dictionaries({"_text": st.text("ab1 :|\t", max_size=9)})),
    ).map(merged),
    max_leaves=6,
)
TAG = st.text("ab1'é_:", max_size=5)
SIMPLE_NUMBER = st.one_of(st.integers(-5, 5), st.floats(-1e5, 1e5, width=32))
WEIGHT = st.one_of(st.integers(0, 5), st.floats(0, 10, width=32))
INITIAL = st.sampled_from((0, 0.5, -2))
LABEL = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"_label": SIMPLE_NUMBER}),
    st.fixed_dictionaries({"_label": st.none()}),
    st.fixed_dictionaries({"_label": st.just("")}),
    st.fixed_dictionaries({"_label": st.integers(-9, 9).map(str)}),
    st.fixed_dictionaries(
        {"_label": st.tuples(st.integers(-9, 9), WEIGHT, INITIAL).map("{0[0]} {0[1]:.9g} {0[2]}".format)}
    ),
    st.fixed_dictionaries(
        {"_label": st.fixed_dictionaries({"Label": SIMPLE_NUMBER}, optional={"Weight": WEIGHT, "Initial": INITIAL})}
    ),
    st.fixed_dictionaries({"_label": st.fixed_dictionaries({"label": SIMPLE_NUMBER, "wEIGHT": WEIGHT})}),
    st.fixed_dictionaries(
        {"_label_Label": SIMPLE_NUMBER}, optional={"_label_weight": WEIGHT, "_label_Initial": SIMPLE_NUMBER}
    ),
)
EXAMPLE = st.tuples(LABEL, MEMBERS, st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag}))).map(merged)


def assert_same_example(pair, line: str) -> None:
    wheel, parser = pair
    (seen,) = wheel.read(line)
    (row,) = parse(parser, to_text(line.encode(), False)).examples()
    assert row["kind"] == "example", (text(line), row)
    assert_same_features(features_in(row), features_of(seen))
    assert row["tag"] == seen.get_tag().encode()
    label = seen.get_simplelabel_label()
    assert (row["label"] == pytest.approx(label, rel=1e-6)) or (math.isnan(row["label"]) and label == UNLABELLED)
    if label != UNLABELLED:
        assert row["weight"] == pytest.approx(seen.get_simplelabel_weight(), rel=1e-6)
        assert row["initial"] == pytest.approx(seen.get_simplelabel_initial(), rel=1e-6)


@settings(max_examples=600)
@given(members=EXAMPLE, spaces=st.booleans())
@example(members={"a": {"": 1, "x": 2, "b": {"y": ""}}, "": True}, spaces=True)
@example(members={"a": [1, {"": 5, "x": "y"}, None, 0, 2.5], "12": [3]}, spaces=False)
@example(members={"a": {"x": 1}, "ab": {"x": 1}, "b": {"a": {"x": 3}}}, spaces=False)
def test_features_label_and_tag_are_those_that_vw_reads(single, members, spaces):
    line = json.dumps(members, separators=None if spaces else (",", ":"), ensure_ascii=spaces)
    assert_same_example(single, line)


@pytest.mark.parametrize(
    "line",
    [
        '{"a":{"name":"value"}}',
        '{"a":{"x":true,"y":false,"z":null}}',
        '{"a":{"12":"3"}}',
        '{"a":{"":"u"},"b":{"":0}}',
        '{"a":{"c":3,"b":{"y":2},"d":{"e":1}},"z":1}',
        '{"a":[{"x":5},2,{"y":{"z":1}},3]}',
        '{"a":[],"b":{},"c":[{}]}',
        '{"c":{"_c":{"x":1},"_x":[1,[2]]},"y":2}',
        '{"a":{"_tag":"inner","_label":2,"x":1}}',
        '{"_TAG":"any case","x":1}'.replace(" ", "_"),
        '{"_tag":"\'quoted","x":1}',
        '{"_tag":null,"_text":null,"x":1}',
        '{"x":123456789012345678901234567890}',
        '{"x":1E5,"y":-2.5e-3,"z":0.1}',
        '{"x":"\\u00e9","y":"\\ud83d\\ude00"}',
        '{"_label":{},"x":1}',
        "{}",
        '{"x":1} \r',
    ],
)
def test_what_vw_reads_of(single, line):
    assert_same_example(single, line)


def test_a_model_learns_the_same_from_both_forms():
    flags = "-b 18 --quiet -q :: --loss_function logistic"
    from_json, from_text = vowpalwabbit.Workspace(f"--json {flags}"), vowpalwabbit.Workspace(flags)
    for i in range(300):
        members = {"_label": 1 if i % 3 else -1, "user": {"id": f"u {i % 7}", "age": (i % 5) / 4}, "x": [i % 2, 1]}
        line = json.dumps(members)
        predictions = []
        for workspace, form in ((from_json, line), (from_text, text(line).rstrip("\n"))):
            seen = workspace.parse(form)
            workspace.learn(seen)
            predictions.append(workspace.predict(seen))
            workspace.finish_example(seen)
        assert predictions[0] == pytest.approx(predictions[1], abs=1e-6)
    assert abs(predictions[0]) > 0.1


# decisions


ACTION = st.one_of(MEMBERS, FEATURES, st.just({}))
COSTS = st.sampled_from((0, -1, 0.5, -0.25))
PROBABILITIES = st.sampled_from((1, 0.5, 0.125))


@st.composite
def decision(draw) -> dict[str, Any]:
    actions = [dict(action) for action in draw(st.lists(ACTION, min_size=1, max_size=4))]
    for action in actions:
        action.update(draw(st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag}))))
    members = {**draw(MEMBERS), **draw(st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag})))}
    cost, probability = draw(COSTS), draw(PROBABILITIES)
    taken = draw(st.integers(0, len(actions) - 1))
    labelled: dict[str, Any] = draw(
        st.sampled_from(
            (
                {},
                {
                    "_labelIndex": taken,
                    "_label_cost": cost,
                    "_label_probability": probability,
                    "_label_Action": taken + 1,
                },
                {"_labelIndex": taken, "_label_Cost": cost, "_label_Probability": probability},
                {"_labelIndex": None},
                {"_labelIndex": taken},
            )
        )
    )
    members = {**labelled, **members} if draw(st.booleans()) else {**members, **labelled}
    if not labelled:
        actions[taken].update(
            draw(
                st.sampled_from(
                    (
                        {},
                        {"_label": f"{taken + 1}:{cost}:{probability}"},
                        {"_label": {"Action": taken + 1, "Cost": cost, "Probability": probability}},
                    )
                )
            )
        )
    keys = [*members, "_multi"]
    place = draw(st.integers(0, len(members)))
    keys.insert(place, keys.pop())
    return {key: actions if key == "_multi" else members[key] for key in keys}


@settings(max_examples=300)
@given(members=decision())
@example(members={"_tag": "top", "_multi": [{}, {"x": 1}]})
@example(members={"c": {"_multi": [{"x": 1}, {"a": {"x": 2}}], "s": {"y": 1}}, "_labelIndex": 1, "_label": None})
def test_lines_of_a_decision_are_those_that_vw_reads(decisions, members):
    wheel, parser = decisions
    line = json.dumps(members)
    found = to_text(line.encode(), True)
    assert found.endswith(b"\n\n")
    assert found.count(b"\n\n") == 1
    rows = parse(parser, found).examples()[:-1]
    shared, *actions = wheel.read(line)
    if len(rows) == len(actions):
        assert features_of(shared) == {}
        assert shared.get_tag() == ""
    else:
        assert rows[0]["shared"]
        assert_same_features(features_in(rows[0]), features_of(shared))
        assert rows[0]["tag"] == shared.get_tag().encode()
        rows = rows[1:]
    assert len(rows) == len(actions)
    for row, action in zip(rows, actions, strict=True):
        assert row["kind"] == "example", (found, row)
        assert_same_features(features_in(row), features_of(action))
        assert row["tag"] == action.get_tag().encode()
        assert action.get_cbandits_num_costs() == len(row["choices"])
        for _, cost, probability, _ in row["choices"]:
            assert cost == pytest.approx(action.get_cbandits_cost(0), rel=1e-6)
            assert probability == pytest.approx(action.get_cbandits_probability(0), rel=1e-6)
