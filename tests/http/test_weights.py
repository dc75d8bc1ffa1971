"""What the service knows of models for those who look at them: names of weights, entities, and curves of metrics."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import HttpServer, serving
from vwlite import Workspace
from vwlite.http.names import FIRST_NAMED, MOST_NAMES, NAMED_EACH, FeatureNames

LINES = [b"1 |a x:2 y |b z=1 q:3 | u=w\n", b"-1 't|a y x |b z=2 | k:2\n", b"1 2 |a:2 t |bb z=1\n"]


@pytest.mark.parametrize(
    "flags",
    ["-q ab", "-q ab --cubic aab", "--interactions ab --hash all", "-q ab --hash_seed 7", "-q aa --permutations",
     "-q aa --noconstant", "--bayes_linear -q ab", "--bayes_linear --interactions abb"],
)  # fmt: skip
def test_names_are_those_of_invert_hash(fit: Callable[..., Workspace], tmp_path: Path, flags: str) -> None:
    text = [line.decode().strip() for line in LINES]
    workspace = fit(text, f"--invert_hash {tmp_path / 'readable.txt'} {flags}")
    names = FeatureNames()
    names.read(LINES, len(LINES))
    found = names.by_hash(workspace)
    if workspace.hash_names:
        expected = dict(workspace.hash_names)
    else:
        expected = dict(workspace.names)
        found = {workspace.bottom.slot_of(number): name for number, name in found.items()}
    expected = {number: name for number, name in expected.items() if name != "Constant"}
    assert len(expected) > 5
    assert {number: found.get(number) for number in expected} == expected


def test_names_of_multiline_examples_are_read() -> None:
    names = FeatureNames()
    names.read([b"shared |context user=ann\n0:-1:0.5 |action sports\n|action music\n\n"], 1)
    assert list(names.stored) == ["context^user=ann", "action^sports", "action^music"]


def test_names_are_read_of_all_first_examples_and_of_some_later_ones() -> None:
    names = FeatureNames()
    for i in range(1, FIRST_NAMED):
        names.read([b"| first%d\n" % (i % 100)], i)
    assert len(names.stored) == 100
    for i in range(FIRST_NAMED, FIRST_NAMED + 10 * NAMED_EACH):
        names.read([b"| later%d\n" % i], i)
    assert len(names.stored) == 110


def test_names_are_bounded() -> None:
    names = FeatureNames()
    for i in range(1, 900):
        names.read([f"| {' '.join(f'x{i}_{j}' for j in range(20))}\n".encode()], i)
    assert MOST_NAMES <= len(names.stored) < MOST_NAMES + 20


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A server whose models are on disk."""
    with serving(tmp_path, "--dir", "models", "--model", "prices=--bayes_linear") as found:
        yield found


def names_of(server: HttpServer, name: str) -> set[str]:
    """The names of a model's weights."""
    weights = server.get(f"/v1/models/{name}/weights?top=100")["weights"]
    return {
        f"{row['effect']} {row['entity']} {row['feature']}" if "entity" in row else row["feature"] for row in weights
    }


def test_names_come_through_each_door_and_survive_a_restart(server: HttpServer, tmp_path: Path) -> None:
    example = {"features": {"json": 1, "city": "Bonn", "user": {"age": 3}}, "label": 2}
    assert server.ask("POST", "/v1/models/prices:learn", example)[0] == 200
    server.batch("prices", "learn", [{"features": {"batch": True}, "label": 3}])
    assert server.ask("POST", "/v1/models/prices:learn", b"2 |space text:2\n", "text/plain")[0] == 200
    river = {"model": "prices", "features": {"river": 1.5}, "ground_truth": 2}
    assert server.ask("POST", "/api/learn/", river)[0] == 201
    _, answer = server.ask("POST", "/v1/models/prices:predict", {"features": {"late": 1}, "id": "one"})
    assert server.ask("POST", "/v1/models/prices:label", {"id": "one", "label": 1})[0] == 200, answer
    expected = {"json", "city=Bonn", "user^age", "batch", "space^text", "river", "late", "Constant"}
    assert names_of(server, "prices") == expected
    server.kill()  # what is not in a checkpoint comes back from the journal
    server.process.wait()
    with serving(tmp_path, "--dir", "models") as again:
        assert names_of(again, "prices") == expected


def test_crossed_features_and_classes_have_names(server: HttpServer) -> None:
    server.ask("PUT", "/v1/models/crossed", {"options": "-q ab"})
    server.ask("POST", "/v1/models/crossed:learn", {"features": {"a": {"x": 1}, "b": {"y": 2}}, "label": 3})
    assert names_of(server, "crossed") == {"a^x", "b^y", "a^x*b^y", "Constant"}
    server.ask("PUT", "/v1/models/classes", {"options": "--oaa 3"})
    server.ask("POST", "/v1/models/classes:learn", {"features": {"petal": 1}, "label": 3})
    weights = server.get("/v1/models/classes/weights")["weights"]
    assert {(row["feature"], row["class"]) for row in weights} == {
        (name, number) for name in ("petal", "Constant") for number in (1, 2, 3)
    }


def test_largest_weights_of_a_table_are_those_of_all(server: HttpServer) -> None:
    server.ask("PUT", "/v1/models/table", {"options": "--bit_precision 20"})
    draw = random.Random(5)
    rows = [
        {"features": {f"x{draw.randrange(5000)}": draw.random() for _ in range(20)}, "label": draw.gauss(0, 5)}
        for _ in range(200)
    ]
    server.batch("table", "learn", rows)
    everything = server.get("/v1/models/table/weights?top=1000")["weights"]
    few = server.get("/v1/models/table/weights?top=7")["weights"]
    assert len(everything) == 1000
    assert few == everything[:7]
    sizes = [abs(row["mean"]) for row in everything]
    assert sizes == sorted(sizes, reverse=True)


def test_entities_are_counted_and_have_weights(server: HttpServer) -> None:
    server.ask("PUT", "/v1/models/ratings", {"options": "--bayes_linear --random_effect user --random_effect movie"})
    assert server.get("/v1/models/ratings")["entities"] == 0
    rows = [{"features": {"user": f"u{i % 7}", "movie": f"m{i % 3}"}, "label": i % 7} for i in range(100)]
    server.batch("ratings", "learn", rows)
    assert server.get("/v1/models/ratings")["entities"] == 10
    assert "entities" not in server.get("/v1/models/prices")
    users = {f"user u{i} Constant" for i in range(7) if i != 3}
    assert users <= names_of(server, "ratings")
    assert b'vwlite_entities{model="ratings"} 10.0' in server.ask("GET", "/metrics")[1]


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_curve_of_a_metric_averages_to_the_metric(server: HttpServer, kind: str) -> None:
    draw = random.Random(3)
    server.ask("PUT", f"/v1/models/{kind}", {"kind": kind})
    labels: dict[str, Any] = {"regression": [1.5, 2.5], "binary": [True, False], "multiclass": [1, 2]}
    for size in (1, 1, 300, 50, 700, 1):
        rows = [{"features": {"x": draw.random()}, "label": draw.choice(labels[kind])} for _ in range(size)]
        server.batch(kind, "learn", rows)
    found = server.get(f"/v1/models/{kind}/metrics")
    points, metric = found["metric_curve"]["points"], found["metric_curve"]["metric"]
    assert metric == ("MAE" if kind == "regression" else "Accuracy")
    assert points[-1]["examples"] == 1053
    total, before = 0.0, 0.0
    for point in points:
        total += point["value"] * (point["examples"] - before)
        before = point["examples"]
    assert total / 1053 == pytest.approx(found["metrics"][metric])


def test_bandits_have_no_curve_of_a_metric(server: HttpServer) -> None:
    server.ask("PUT", "/v1/models/adverts", {"kind": "bandit"})
    assert "metric_curve" not in json.dumps(server.get("/v1/models/adverts/metrics"))
