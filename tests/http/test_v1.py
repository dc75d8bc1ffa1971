"""/v1: what a newcomer does, and that it is what the command line does."""

import contextlib
import gzip
import io
import json

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.support.http_server import ndjson, rows, serving
from vwlite import Workspace
from vwlite.http import messages

FLAGS = "--loss_function logistic --link logistic"
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXT = {"Content-Type": "text/plain"}
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


def examples(n, seed=1):
    random = np.random.default_rng(seed)
    cities = ["Bonn", "Rome", "Oslo"]
    found = []
    for _ in range(n):
        price, city = round(float(random.normal()), 4), cities[random.integers(3)]
        found.append({
            "features": {"price": price, "city": city, "new": bool(random.integers(2)), "user": {"age": 31}},
            "label": bool(price + (city == "Bonn") + random.normal() > 0.5),
        })  # fmt: skip
    return found


def as_library(found, flags=FLAGS):
    workspace = Workspace(flags)
    return [workspace.learn(each["features"], 1 if each["label"] else -1) for each in found]


def test_examples_are_learned_as_by_the_library(client, model):
    found = examples(200)
    answers = [client.post(f"{model}:learn", json=each).json() for each in found]
    assert [each["prediction"] for each in answers] == pytest.approx(as_library(found), abs=1e-6)
    assert [each["examples"] for each in answers] == list(range(1, 201))


def test_a_batch_is_its_examples(client, model):
    found = examples(700)
    answer = client.post(f"{model}:learn", content=ndjson(found), headers=NDJSON)
    *lines, summary = rows(answer)
    assert [each["prediction"] for each in lines] == pytest.approx(as_library(found), abs=1e-6)
    assert summary == {"done": 700, "failed": 0, "model": summary["model"], "examples": 700}


def test_a_packed_batch_is_read(client, model):
    content = gzip.compress(ndjson(examples(20)))
    answer = client.post(f"{model}:learn", content=content, headers={**NDJSON, "Content-Encoding": "gzip"})
    assert rows(answer)[-1]["done"] == 20


def test_bad_lines_of_a_batch_are_told_and_the_others_learned(client, model):
    good = examples(2)
    content = (
        ndjson(good[:1])
        + b'{"features": {"a": 1}}\n{"features": \n\n'
        + ndjson([{"features": {"a": 1e300}, "label": 1}])
    )
    content += b'{"features": {"a": 1, "a": 2}, "label": 1}\n' + ndjson(good[1:])
    *lines, summary = rows(client.post(f"{model}:learn", content=content, headers=NDJSON))
    assert [each.get("error", {}).get("line") for each in lines] == [None, 2, 3, 5, 6, None]
    assert "label" in lines[1]["error"]["detail"]
    assert lines[2]["error"]["offset"] == 14
    assert "too large" in lines[3]["error"]["detail"]
    assert "twice" in lines[4]["error"]["detail"]
    assert (summary["done"], summary["failed"], summary["examples"]) == (2, 4, 2)


def test_text_and_tables_are_learned_as_on_the_command_line(client, model):
    lines = [f"{1 if i % 3 else -1} 'tag{i} |a x:{i % 7} y |b z{i % 5}" for i in range(300)]
    answer = client.post(f"{model}:learn", content="\n".join(lines), headers=TEXT)
    workspace = Workspace(FLAGS)
    wanted = workspace.learn(lines)
    got = answer.text.splitlines()
    assert [float(each.split()[0]) for each in got] == pytest.approx(wanted, abs=1e-6)
    assert [each.split()[1] for each in got] == [f"tag{i}" for i in range(300)]
    table = pa.table({"x": np.arange(500) % 7 / 7, "city": ["Bonn", "Rome"] * 250, "click": [True, False] * 250})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = client.post(f"{model}:learn?label=click", content=sink.getvalue(), headers=ARROW)
    found = pa.ipc.open_stream(answer.content).read_all()
    wanted = workspace.learn(table, "click:binary(true)")
    assert found.column("prediction").to_pylist() == pytest.approx(list(wanted), abs=1e-6)
    assert found.column("error").null_count == 500


def test_tables_are_learned_alike_with_and_without_a_journal(client, model, tmp_path):
    """Without a journal rows go to the learners as they are, and with one as text."""
    random = np.random.default_rng(4)
    numbers = random.normal(size=3000)
    numbers[[5, 1500]] = np.inf
    columns = {
        "x": numbers, "y": pa.array([None if i % 7 == 0 else i % 5 for i in range(3000)]), "one": [1.0] * 3000,
        "city": pa.array(["Bonn", "Rome", None] * 1000).dictionary_encode(), "new": [True, False, None] * 1000,
        "click": [None if i % 11 == 0 else i % 3 == 0 for i in range(3000)], "w": [1.0, 0.5, 2.0] * 1000,
    }  # fmt: skip
    sink = io.BytesIO()
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with serving(tmp_path) as server, server.client() as other:
        other.put("/v1/models/m", json={"options": FLAGS})
        for what in ("learn", "predict", "learn"):
            one, two = (
                each.post(f"{path}:{what}?label=click&weight=w", content=sink.getvalue(), headers=ARROW)
                for each, path in ((client, model), (other, "/v1/models/m"))
            )
            assert one.status_code == two.status_code == 200, (one.text, two.text)
            left, right = (pa.ipc.open_stream(each.content).read_all() for each in (one, two))
            assert left.column("error").to_pylist() == right.column("error").to_pylist()
            assert left.column("error").null_count == 2998
            wanted = left.column("prediction").to_pylist()
            assert right.column("prediction").to_pylist() == pytest.approx(wanted, abs=1e-6)
        cards = client.get(model).json(), other.get("/v1/models/m").json()
        assert cards[0]["examples"] == cards[1]["examples"]
        assert cards[0]["loss"] == pytest.approx(cards[1]["loss"], rel=1e-6)
        metrics = client.get(f"{model}/metrics").json(), other.get("/v1/models/m/metrics").json()
        assert metrics[0]["metrics"] == pytest.approx(metrics[1]["metrics"], rel=1e-5)


def test_predicting_changes_nothing(client, model):
    client.post(f"{model}:learn", content=ndjson(examples(50)), headers=NDJSON)
    before = client.get(f"{model}/file").content
    card = client.get(model).json()
    for each in examples(20, seed=2):
        client.post(f"{model}:predict", json={"features": each["features"], "remember": True})
    client.post(f"{model}:predict", content="1 | a\n-1 | b\n", headers=TEXT)
    content = ndjson([{"features": each["features"]} for each in examples(20)])
    client.post(f"{model}:predict", content=content, headers=NDJSON)
    assert client.get(model).json() == card
    assert arrays(client.get(f"{model}/file").content) == arrays(before)


def arrays(content: bytes) -> bytes:
    """The part of a model file behind its header, which has the time."""
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_a_label_may_come_later(client, model):
    found = examples(60)
    answers = [client.post(f"{model}:predict", json={"features": each["features"], "remember": True}) for each in found]
    for each, answer in zip(reversed(found), reversed(answers), strict=True):  # out of order
        learned = client.post(f"{model}:label", json={"id": answer.json()["id"], "label": each["label"]})
        assert learned.status_code == 200, learned.text
    assert client.get(model).json()["examples"] == 60
    again = client.post(f"{model}:label", json={"id": answers[0].json()["id"], "label": True})
    assert again.status_code == 410
    unknown = client.post(f"{model}:label", json={"id": "nothing", "label": True})
    assert unknown.status_code == 404
    # the metrics are of the predictions as they were answered, before anything was learned
    metrics = client.get(f"{model}/metrics").json()["metrics"]
    assert metrics["LogLoss"] == pytest.approx(np.log(2))


def test_an_own_identifier_may_be_given_and_names_one_prediction(client, model):
    body = {"features": {"a": 1}, "id": "order-7"}
    assert client.post(f"{model}:predict", json=body).json()["id"] == "order-7"
    assert client.post(f"{model}:predict", json=body).status_code == 409
    assert client.post(f"{model}:label", json={"id": "order-7", "label": 1}).status_code == 200
    assert client.post(f"{model}:predict", json=body).status_code == 409


def test_labels_of_another_model_are_refused_and_stay_good(client, model):
    other = f"{model}-other"
    client.put(other, json={"kind": "regression"})
    identifier = client.post(f"{model}:predict", json={"features": {"a": 1}, "remember": True}).json()["id"]
    assert client.post(f"{other}:label", json={"id": identifier, "label": 1}).status_code == 409
    assert client.post(f"{model}:label", json={"id": identifier, "label": 1}).status_code == 200
    client.delete(other)


def test_labels_come_in_batches(client, model):
    found = examples(30)
    lines = ndjson([{"features": each["features"], "remember": True} for each in found])
    *answers, summary = rows(client.post(f"{model}:predict", content=lines, headers=NDJSON))
    assert summary["done"] == 30
    identifiers = [each["id"] for each in answers]
    assert len(set(identifiers)) == 30
    labels = [{"id": name, "label": each["label"]} for name, each in zip(identifiers, found, strict=True)]
    labels.insert(10, labels[0])
    *answers, summary = rows(client.post(f"{model}:label", content=ndjson(labels), headers=NDJSON))
    assert (summary["done"], summary["failed"]) == (30, 1)
    assert "already" in answers[10]["error"]["detail"]


def test_a_prediction_is_explained(client, model):
    client.post(f"{model}:learn", content=ndjson(examples(50)), headers=NDJSON)
    features = {"price": 1.5, "city": "Bonn"}
    found = client.post(f"{model}:predict?explain=1", json={"features": features}).json()
    assert {each["feature"] for each in found["terms"]} == {"price", "city=Bonn", "Constant"}
    score = sum(each["term"] for each in found["terms"])
    assert 1 / (1 + np.exp(-score)) == pytest.approx(found["prediction"], abs=1e-5)
    assert client.get(model).json()["examples"] == 50
    # the next answer is its own
    again = client.post(f"{model}:predict", json={"features": {"price": 9}})
    assert again.status_code == 200 and again.json()["prediction"] != found["prediction"]


def test_terms_of_effects_have_parts_and_standard_deviations(client):
    path = "/v1/models/effects"
    client.put(path, json={"options": "--bayes_linear --random_effect user"})
    rows = [{"features": {"user": f"u{i % 3}", "price": i / 10}, "label": i % 3} for i in range(60)]
    client.post(f"{path}:learn", content=ndjson(rows), headers=NDJSON)
    asked = {"features": {"user": "u1", "price": 2.0}}
    answer = client.post(f"{path}:predict?explain=1", json=asked)
    decoded(answer, messages.Prediction)
    terms = answer.json()["terms"]
    assert {(term["part"], term["feature"]) for term in terms} == {
        ("fixed", "price"),
        ("fixed", "Constant"),
        ("user", "Constant"),
    }
    assert all(term["sd"] > 0 for term in terms)
    assert sum(term["term"] for term in terms) == pytest.approx(answer.json()["prediction"], abs=1e-5)
    bad = client.post(f"{path}:predict?explain=1", json={"features": {"user": ""}})
    assert bad.status_code == 400


def test_uncertainty_is_answered_where_there_is_some(client):
    path = "/v1/models/uncertain"
    client.put(path, json={"options": "--bayes_linear --noise 1 --columns prediction,sd,low,high --interval 0.9"})
    client.post(f"{path}:learn", json={"features": {"a": 1}, "label": 3})
    found = client.post(f"{path}:predict", json={"features": {"a": 1}}).json()
    assert found["low"] < found["prediction"] < found["high"]
    assert found["sd"] > 0
    weights = client.get(f"{path}/weights").json()["weights"]
    assert {each["feature"] for each in weights} == {"a", "Constant"}
    assert all(each["sd"] > 0 for each in weights)


def test_a_key_makes_a_retry_teach_once(client, model):
    found = examples(600)
    headers = {**NDJSON, "Idempotency-Key": "batch-1"}
    first = client.post(f"{model}:learn", content=ndjson(found), headers=headers)
    again = client.post(f"{model}:learn", content=ndjson(found), headers=headers)
    assert again.headers.get("Idempotency-Replayed") == "true"
    assert again.text == first.text
    assert client.get(model).json()["examples"] == 600
    other = client.post(f"{model}:learn", content=ndjson(found[:5]), headers=headers)
    assert other.status_code == 422
    one = {"Idempotency-Key": "one"}
    first = client.post(f"{model}:learn", json=found[0], headers=one)
    again = client.post(f"{model}:learn", json=found[0], headers=one)
    assert again.json() == first.json()
    assert client.get(model).json()["examples"] == 601


def test_models_are_made_downloaded_replaced_rolled_back_and_deleted(client, model):
    name = model.rpartition("/")[2]
    assert client.put(model, json={"options": FLAGS}).status_code == 200  # the same again
    assert client.put(model, json={"options": "--bayes_linear"}).status_code == 409
    client.post(f"{model}:learn", content=ndjson(examples(50)), headers=NDJSON)
    answer = client.get(f"{model}/file")
    tag = answer.headers["etag"]
    assert client.get(f"{model}/file", headers={"If-None-Match": tag}).status_code == 304
    copy = f"{model}-copy"
    octets = {"Content-Type": "application/octet-stream"}
    assert client.put(copy, content=answer.content, headers=octets).status_code == 201
    question = {"features": {"price": 1.5, "city": "Bonn"}}
    wanted = client.post(f"{model}:predict", json=question).json()["prediction"]
    assert client.post(f"{copy}:predict", json=question).json()["prediction"] == wanted
    client.post(f"{copy}:learn", content=ndjson(examples(50, seed=3)), headers=NDJSON)
    later = client.post(f"{copy}:predict", json=question).json()["prediction"]
    assert later != wanted
    assert client.put(copy, content=answer.content, headers=octets).status_code == 409
    replaced = client.put(f"{copy}?replace=1", content=answer.content, headers=octets)
    assert replaced.status_code == 200, replaced.text
    assert client.post(f"{copy}:predict", json=question).json()["prediction"] == wanted
    assert client.post(f"{copy}:rollback").status_code == 200
    assert client.post(f"{copy}:predict", json=question).json()["prediction"] == later
    assert client.post(f"{copy}:rollback").status_code == 200
    assert client.post(f"{copy}:predict", json=question).json()["prediction"] == wanted
    assert client.post(f"{model}:rollback").status_code == 409
    assert {name, f"{name}-copy"} <= {each["name"] for each in client.get("/v1/models").json()["models"]}
    assert client.delete(copy).status_code == 204
    assert client.get(copy).status_code == 404


@pytest.mark.parametrize("labels", [(True, False), (1, 0), (1, -1), ("spam", "ham"), (2, 1), (1.5, 2.5)])
def test_two_labels_of_any_kind_are_the_classes(client, labels):
    path = "/v1/models/classes"
    client.put(path, json={"kind": "binary"})
    for _ in range(20):
        client.post(f"{path}:learn", json={"features": {"a": 1}, "label": labels[0]})
        client.post(f"{path}:learn", json={"features": {"b": 1}, "label": labels[1]})
    third = client.post(f"{path}:learn", json={"features": {"b": 1}, "label": "third"})
    assert third.status_code == 400
    assert third.json()["pointer"] == "/label"
    a, b = (client.post(f"{path}:predict", json={"features": {name: 1}}).json() for name in "ab")
    if labels[0] in (1, "spam", 2, 1.5):  # the positive class
        assert a["prediction"] > 0.9 > 0.1 > b["prediction"]
    assert ("of" in a) == (labels[0] not in (1, True))
    assert client.get(f"{path}/metrics").json()["metrics"]["Accuracy"] > 0.8
    client.delete(path)


def test_classes_have_names(client):
    path = "/v1/models/animals"
    client.put(path, json={"kind": "multiclass"})
    for _ in range(30):
        for name, feature in (("cat", "meows"), ("dog", "barks"), ("cow", "moos")):
            client.post(f"{path}:learn", json={"features": {feature: True}, "label": name})
    found = client.post(f"{path}:predict", json={"features": {"barks": True}}).json()
    assert found["prediction"] == "dog"
    assert set(found["probabilities"]) == {"cat", "dog", "cow"}
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    client.delete(path)


def test_a_bandit_learns_from_costs_that_come_later_and_out_of_order(client):
    path = "/v1/models/news"
    client.put(path, json={"options": "--cb_explore_adf --epsilon 0.2 -q ca"})
    random = np.random.default_rng(1)
    open_decisions = []
    hits = 0
    for i in range(600):
        user = ["ann", "bob"][i % 2]
        body = {"context": {"user": user}, "actions": {"politics": {}, "sports": {"length": 2}}}
        found = client.post(f"{path}:predict", json=body).json()
        assert found["probability"] == pytest.approx(found["probabilities"][found["action"]], abs=1e-5)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        liked = found["action"] == {"ann": "politics", "bob": "sports"}[user]
        hits += liked and i >= 300
        open_decisions.append((found["id"], 1.0 if liked else 0.0))
        if len(open_decisions) > 10:
            identifier, reward = open_decisions.pop(random.integers(len(open_decisions)))
            assert client.post(f"{path}:label", json={"id": identifier, "reward": reward}).status_code == 200
    assert hits > 0.8 * 300
    shares = {each["action"]: each for each in client.get(f"{path}/metrics").json()["actions"]}
    assert sum(each["decisions"] for each in shares.values()) == 600
    assert sum(each["costs"] for each in shares.values()) == 590
    direct = {"context": {"user": "ann"}, "actions": {"politics": {}, "sports": {}}, "action": "sports", "cost": 0,
              "probability": 0.5}  # fmt: skip
    assert client.post(f"{path}:learn", json=direct).json()["examples"] == 591
    for missing in ("action", "cost", "probability", "actions"):
        answer = client.post(f"{path}:learn", json={name: each for name, each in direct.items() if name != missing})
        assert answer.status_code == 400
        assert missing in answer.json()["detail"]
    client.delete(path)


@pytest.mark.parametrize("options", ["--cb_explore_adf --epsilon 0.9 -q ca", "--thompson --bayes_linear"])
def test_a_decision_is_explained(client, options):
    path = "/v1/models/why"
    client.put(path, json={"options": options})
    actions = {"politics": {}, "sports": {"length": 2}, "cooking": {"length": 1}}
    for i in range(30):
        taken = [*actions][i % 3]
        body = {"context": {"user": "ann"}, "actions": actions, "action": taken, "cost": i % 3, "probability": 0.3}
        assert client.post(f"{path}:learn", json=body).status_code == 200
    before = client.get(path).json()
    answer = client.post(f"{path}:predict?explain=1", json={"context": {"user": "ann"}, "actions": actions})
    decoded(answer, messages.Prediction)
    found = answer.json()
    why = found["explanation"]
    first, *others = why["actions"]
    assert first["action"] == found["action"] and why["scores_are"] == "costs"
    scores = {each["action"]: each["score"] for each in why["actions"]}
    assert why["best"] == min(scores, key=scores.__getitem__) == "politics"
    assert [each["score"] for each in others] == sorted(each["score"] for each in others)
    for each in why["actions"]:
        assert sum(term["term"] for term in each["terms"]) == pytest.approx(each["score"], abs=1e-4)
        assert ("sd" in each) == ("bayes" in options)
    names = {term["feature"] for term in first["terms"]}
    assert f"action^{found['action']}" in names and "Constant" in names
    assert client.get(path).json()["examples"] == before["examples"]
    assert "explanation" not in client.post(f"{path}:predict", json={"actions": actions}).json()
    many: dict[str, dict[str, float]] = {f"a{i}": {} for i in range(1001)}
    bad = client.post(f"{path}:predict?explain=1", json={"actions": many})
    assert bad.status_code == 400 and "more than 1,000 actions" in bad.json()["detail"]
    client.delete(path)


def test_answers_are_what_the_document_says(client, model):
    body = {"features": {"a": 1}, "label": True}
    decoded(client.post(f"{model}:learn", json=body), messages.Learned)
    decoded(client.post(f"{model}:predict?explain=1", json={"features": {"a": 1}}), messages.Prediction)
    decoded(client.get(model), messages.Card)
    decoded(client.get("/v1/models"), messages.Models)
    decoded(client.get(f"{model}/metrics"), messages.Metrics)
    decoded(client.get(f"{model}/weights?top=3"), messages.Weights)
    decoded(client.get(f"{model}-none"), messages.Problem)
    found = client.get("/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    page = client.get("/docs").text
    for path in found["paths"]:
        assert path in page


def decoded(answer: httpx.Response, kind: type) -> None:
    import msgspec

    strict = msgspec.defstruct(f"Strict{kind.__name__}", [], bases=(kind,), forbid_unknown_fields=True)
    msgspec.json.decode(answer.content, type=strict)


def test_health_readiness_and_figures(client, model):
    from prometheus_client.parser import text_string_to_metric_families

    client.post(f"{model}:learn", content=ndjson(examples(50)), headers=NDJSON)
    assert client.get("/healthz").json()["status"] == "alive"
    assert client.get("/readyz").json()["status"] == "ready"
    families = {each.name: each for each in text_string_to_metric_families(client.get("/metrics").text)}
    name = model.rpartition("/")[2]
    assert [s.value for s in families["vwlite_examples"].samples if s.labels["model"] == name] == [50]
    assert {"vwlite_loss", "vwlite_call_seconds", "vwlite_journal_lag", "vwlite_requests"} <= set(families)


def test_events_are_streamed_and_resumed(client, model):
    name = model.rpartition("/")[2]
    with client.stream("GET", f"{model}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ""
        client.post(f"{model}:learn", json={"features": {"a": 1}, "label": True})
        found = [next(lines) for _ in range(3)]
    number = int(found[0].removeprefix("id: "))
    assert found[1] == "event: learn"
    data = json.loads(found[2].removeprefix("data: "))
    assert data["model"] == name
    assert data["features"] == {"a": 1}
    assert data["ground_truth"] is True
    with client.stream("GET", f"{model}/events", headers={"Last-Event-ID": str(number - 1)}) as stream:
        assert [line for line, _ in zip(stream.iter_lines(), range(4), strict=False)][1] == f"id: {number}"


def test_every_one_of_many_listeners_gets_every_event(client, model):
    """More than get each event at once: theirs come together, none is missing and none comes twice."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(client.stream("GET", f"{model}/events")) for _ in range(20)]
        lines = [each.iter_lines() for each in streams]
        assert {next(each) for each in lines} == {""}
        for i in range(30):
            client.post(f"{model}:learn", json={"features": {"a": i}, "label": True})
        for each in lines:
            learned = (json.loads(line.removeprefix("data: ")) for line in each if line.startswith("data: "))
            assert [next(learned)["features"]["a"] for _ in range(30)] == list(range(30))
