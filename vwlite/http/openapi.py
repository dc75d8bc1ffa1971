"""The OpenAPI document of the service, made of the types of its messages; and a page that shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import msgspec

from vwlite import __version__
from vwlite.http import messages
from vwlite.http.messages import (
    Card,
    Label,
    Learn,
    Learned,
    Metrics,
    Models,
    Predict,
    Prediction,
    Problem,
    Put,
    Weights,
)

NDJSON = "application/x-ndjson"
JSON = "application/json"
TEXT = "text/plain"
ARROW = "application/vnd.apache.arrow.stream"
FILE = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}

COMMON = {401: "no token, or a wrong one", 403: "from a page of another site", 421: "sent to another host"}
OF_BODY = {400: "the body is not what is expected", 413: "too large", 415: "another type, or coding"}
MISSING = {404: "no such model"}


@dataclass
class Operation:
    """A request and its answers.

    Args:
        method: GET, POST, PUT or DELETE.
        path: The path.
        summary: What it does.
        answers: By status: a type, a media type, or a sentence for an answer without a body.
        body: By media type: the type of its content, None for bytes or text.
        query: Parameters of the query, with what they mean.
        problems: By status: what is wrong.
        open: Whether no token is needed.
    """

    method: str
    path: str
    summary: str
    answers: dict[int, Any]
    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    open: bool = False

    def __str__(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


EXAMPLE_PROBLEMS = {**OF_BODY, **MISSING, 503: "the journal can't be written"}
KEYED = {409: "a request with this key is being processed", 422: "the key was used for another request"}
TABLE_QUERY = {"label": "of an Arrow stream: the column of labels", "weight": "the column of weights",
               "columns": "a column map, as --columns_in"}  # fmt: skip

OPERATIONS = (
    Operation("GET", "/v1/models", "All models", {200: Models}),
    Operation(
        "PUT", "/v1/models/{name}", "Makes a model of flags, of a kind, or of a model file", {200: Card, 201: Card},
        {JSON: Put, FILE: None}, {"kind": "of a model file: the kind that it has to be",
                                  "replace": "1: a model file replaces the model of the name"},
        {**OF_BODY, 409: "there is another model of that name", 507: "too many models", 404: "no such model",
         503: "the disk is full"},
    ),
    Operation("GET", "/v1/models/{name}", "What a model is", {200: Card}, problems=MISSING),
    Operation("DELETE", "/v1/models/{name}", "Deletes a model", {204: "deleted"},
              problems={**MISSING, 503: "the disk can't be written"}),
    Operation("GET", "/v1/models/{name}/file", "The model file", {200: FILE, 304: "unchanged (If-None-Match)"},
              problems={**MISSING, 503: "the disk is full"}),
    Operation("GET", "/v1/models/{name}/metrics", "Metrics of predictions that were made before learning",
              {200: Metrics}, problems=MISSING),
    Operation("GET", "/v1/models/{name}/weights", "The coefficients that are furthest from zero", {200: Weights},
              query={"top": "how many, 20 unless given"}, problems={**MISSING, 400: "no number"}),
    Operation("GET", "/v1/models/{name}/events", "What happens to a model, as server-sent events",
              {200: "text/event-stream"}, problems=MISSING),
    Operation("GET", "/v1/events", "What happens to all models, as server-sent events", {200: "text/event-stream"}),
    Operation("POST", "/v1/models/{name}:rollback", "Exchanges a model and the one that it has replaced", {200: Card},
              problems={**MISSING, 409: "it has replaced none", 503: "it is being saved"}),
    Operation(
        "POST", "/v1/models/{name}:predict", "Predicts for an example, or a batch; the model is unchanged",
        {200: Prediction}, {JSON: Predict, NDJSON: Predict, TEXT: None, ARROW: None},
        {"explain": "1: with the terms of the score, or of the scores of all actions", **TABLE_QUERY},
        {**EXAMPLE_PROBLEMS, 409: "the identifier was used before"},
    ),
    Operation(
        "POST", "/v1/models/{name}:learn", "Learns a labelled example, or a batch", {200: Learned},
        {JSON: Learn, NDJSON: Learn, TEXT: None, ARROW: None}, TABLE_QUERY, {**EXAMPLE_PROBLEMS, **KEYED},
    ),
    Operation(
        "POST", "/v1/models/{name}:label", "Learns the label of a remembered prediction, or of a batch",
        {200: Learned}, {JSON: Label, NDJSON: Label},
        problems={**EXAMPLE_PROBLEMS, **KEYED, 410: "the label was learned already, or comes too late",
                  409: "the prediction is one of another model, or a request with this key is being processed"},
    ),
    Operation("GET", "/healthz", "Whether the server is alive", {200: dict[str, Any]}, open=True),
    Operation("GET", "/readyz", "Whether it can learn and predict", {200: dict[str, Any]}, open=True,
              problems={503: "not now"}),
    Operation("GET", "/metrics", "Figures for Prometheus", {200: TEXT}),
)  # fmt: skip


def document(prefix: str, root_path: str = "") -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        prefix: Of River's API, which it mentions.
        root_path: Of all paths.

    Returns:
        The document, of OpenAPI 3.1.
    """
    types: list[Any] = [each for each in vars(messages).values() if is_message(each)]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vwlite",
            "version": __version__,
            "description": f"Models that learn as they serve. River's API is beside it, under /{prefix}/.",
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def is_message(value: Any) -> bool:
    """Whether a value is the type of a message."""
    return isinstance(value, type) and issubclass(value, msgspec.Struct) and value is not msgspec.Struct


def described(operation: Operation) -> dict[str, Any]:
    """An operation as the document has it."""
    parameters: list[dict[str, Any]] = []
    if "{name}" in operation.path:
        pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
        schema = {"type": "string", "pattern": pattern}
        parameters.append({"name": "name", "in": "path", "required": True, "schema": schema})
    for name, what in operation.query.items():
        parameters.append({"name": name, "in": "query", "description": what, "schema": {"type": "string"}})
    if operation.method == "POST" and operation.body and "predict" not in operation.path:
        schema = {"type": "string", "pattern": "^[!-~]{1,200}$"}
        what = "a key of your own: a request that is sent again with it teaches once"
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema})
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": identifier(operation),
        "responses": {str(status): answer(what, operation) for status, what in operation.answers.items()},
    }
    if operation.open:
        found["security"] = []
    problems = operation.problems | ({} if operation.open else COMMON) | {403: COMMON[403], 421: COMMON[421]}
    for status, what in sorted(problems.items()):
        content = {"application/problem+json": {"schema": reference(Problem)}}
        found["responses"][str(status)] = {"description": what, "content": content}
    if parameters:
        found["parameters"] = parameters
    if operation.body:
        content = {media: {"schema": BINARY if kind is None else reference(kind)}
                   for media, kind in operation.body.items()}  # fmt: skip
        found["requestBody"] = {"required": True, "content": content}
    return found


def identifier(operation: Operation) -> str:
    """The name of an operation."""
    words = operation.path.replace("{name}", "model").replace(":", "/").strip("/").split("/")
    return "_".join([operation.method.lower(), *words])


def answer(what: Any, operation: Operation) -> dict[str, Any]:
    """An answer as the document has it."""
    if isinstance(what, str):
        if "/" not in what:
            return {"description": what}
        return {"description": "as it says", "content": {what: {"schema": BINARY}}}
    content: dict[str, Any] = {JSON: {"schema": reference(what)}}
    for media in operation.body:
        if media != JSON and media != FILE:
            content[media] = {"schema": BINARY}
    return {"description": "done", "content": content}


def reference(kind: Any) -> dict[str, Any]:
    """A type by its name in the document."""
    if is_message(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"type": "object"}


def page(prefix: str, root_path: str = "") -> str:
    """The page of reference: works offline, without a script."""
    found = document(prefix, root_path)
    parts = []
    for path, methods in found["paths"].items():
        for method, about in methods.items():
            parts.append(f'<h2 id="{about["operationId"]}"><code>{method.upper()} {escape(path)}</code></h2>')
            parts.append(f"<p>{escape(about['summary'])}.</p>")
            for parameter in about.get("parameters", ()):
                if parameter["in"] != "path":
                    what = escape(parameter.get("description", ""))
                    parts.append(f"<p><code>{escape(parameter['name'])}</code> ({parameter['in']}): {what}</p>")
            if "requestBody" in about:
                parts.append("<p>Body: " + ", ".join(contents(about["requestBody"]["content"])) + "</p>")
            rows = []
            for status, each in about["responses"].items():
                what = ", ".join(contents(each.get("content", {})))
                rows.append(f"<tr><td>{status}</td><td>{escape(each['description'])}</td><td>{what}</td></tr>")
            parts.append(
                "<table><thead><tr><th>status</th><th>meaning</th><th>body</th></tr></thead><tbody>"
                + "".join(rows)
                + "</tbody></table>"
            )
    parts.append("<h1>Types</h1>")
    for name, schema in found["components"]["schemas"].items():
        parts.append(f'<h2 id="{name}"><code>{name}</code></h2><p>{escape(schema.get("description", ""))}</p><ul>')
        required = set(schema.get("required", ()))
        for member, kind in schema.get("properties", {}).items():
            must = "" if member in required else ", may be left out"
            parts.append(f"<li><code>{escape(member)}</code>: {escape(spelled(kind))}{must}</li>")
        parts.append("</ul>")
    body = "".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vwlite: requests</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{root_path}/page/style.css"></head><body class="reference"><main>'
        f'<h1>Requests</h1><p>All of them as an <a href="{root_path}/openapi.json">OpenAPI document</a>. River\'s API '
        f"is under <code>{root_path}/{escape(prefix)}/</code>, as its client speaks it.</p>{body}</main></body></html>"
    )


def contents(content: dict[str, Any]) -> list[str]:
    """Media types with the types of what they hold, as links."""
    found = []
    for media, about in content.items():
        name = about["schema"].get("$ref", "").rpartition("/")[2]
        link = f' (<a href="#{name}">{name}</a>)' if name else ""
        found.append(f"<code>{escape(media)}</code>{link}")
    return found


def spelled(kind: dict[str, Any]) -> str:
    """A type of a member in words."""
    if "$ref" in kind:
        return str(kind["$ref"]).rpartition("/")[2]
    if "anyOf" in kind:
        return " or ".join(spelled(each) for each in kind["anyOf"])
    name = str(kind.get("type", "anything"))
    if name == "array":
        return f"array of {spelled(kind.get('items', {}))}"
    return f"{name} ({kind['description']})" if "description" in kind else name
