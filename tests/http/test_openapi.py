"""The OpenAPI document: requests that schemathesis makes of it are answered as it says, and it has every route."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS

from vwlite.http.openapi import OPERATIONS
from vwlite.http.service import Service
from vwlite.http.settings import Settings
from vwlite.http.v1 import V1

schemathesis.checks.load_all_checks()
WANTED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.fixture(scope="module")
def api(server):
    with server.client() as client:
        for name, options in (
            ("ctr", "--loss_function logistic --link logistic"),
            ("news", "--thompson --bayes_linear"),
        ):
            client.put(f"/v1/models/{name}", json={"options": options})
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("listed", [each for each in OPERATIONS if not each.path.endswith("events")], ids=str)
def test_requests_are_answered_as_the_document_says(api, client, listed):
    @given(case=api[listed.path][listed.method].as_strategy(), name=st.sampled_from(["ctr", "news", None]))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case, name):
        if case.path_parameters and name and listed.method != "DELETE":
            case.path_parameters["name"] = name
        case.call_and_validate(checks=CHECKS.get_by_names(WANTED))

    check()
    assert client.get("/readyz").status_code == 200


def test_the_document_has_every_route():
    from vwlite.daemon.log import Log
    from vwlite.http.auth import Auth
    from vwlite.http.operations import Operations

    service = Service(Settings(), Log(quiet=True))
    routes = {(method, path) for path, method, _, _ in V1(service).routes()}
    others = {(method, path) for path, method, _, _ in Operations(service, Auth(None, "api", "")).routes()}
    pages = {path for _, path in others if re.fullmatch(r"/|/docs|/openapi.json|/page/.*|/sign_in", path)}
    streams = {("GET", "/v1/events"), ("GET", "/v1/models/{name}/events")}
    listed = {(each.method, each.path) for each in OPERATIONS}
    assert listed == routes | streams | {(method, path) for method, path in others if path not in pages}
