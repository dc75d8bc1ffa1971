"""The guard in front of all handlers: who may ask, from where, and how much; what each request is logged as.

A page of another site that is open in a browser can send requests to this machine. Browsers say where such a request
comes from (Origin), and to which name it was sent (Host): others than our own are refused before anything is read.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from typing import Any

from vwlite.daemon.log import Log
from vwlite.http.auth import Auth
from vwlite.http.calls import Answer, Receive, Scope, Send, problem_answer
from vwlite.http.problems import Problem
from vwlite.http.settings import Settings

OWN = frozenset(("localhost", "127.0.0.1", "[::1]"))
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}")
SAFE = [(b"x-content-type-options", b"nosniff")]
PREFLIGHT = {  # the answer to a browser that asks whether a page of an allowed origin may send a request
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-None-Match, "
    "Last-Event-ID, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
EXPOSED = (
    b"access-control-expose-headers",
    b"ETag, Model-Id, Idempotency-Replayed, Retry-After, WWW-Authenticate, X-Request-Id",
)
BROAD = ("0.0.0.0", "::", "")  # addresses that are no name of a host


class Guard:
    """Middleware of ASGI.

    Args:
        app: What answers requests that are let through.
        settings: Of the server.
        auth: Knows who may ask.
        log: The log of events.
    """

    def __init__(self, app: Any, settings: Settings, auth: Auth, log: Log) -> None:
        self.app, self.settings, self.auth, self.log = app, settings, auth, log
        self.hosts = OWN | settings.hosts | ({settings.bind} if settings.bind not in BROAD else set())
        self.proxies = [ipaddress.ip_network(each, strict=False) for each in settings.proxies]
        self.requests: dict[tuple[str, int], int] = {}  # by route and status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request, and passes it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers: dict[bytes, bytes] = {}
        twice = None
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"origin", b"content-length", b"authorization", b"content-type"):
                twice = name
            headers[name] = value
        scope["headers_by_name"] = headers
        given = headers.get(b"x-request-id", b"")
        request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(8).hex().encode()
        scope["request_id"] = request_id
        status = 500

        async def answer(message: Any) -> None:
            """Adds the headers that all answers have."""
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                reason, tell = message.pop("reason", ""), scope.get("set_reason")
                if reason and tell is not None:
                    tell(reason)
                message["headers"] = [*message.get("headers", ()), *SAFE, (b"x-request-id", request_id)]
                if self.allowed is not None and b"origin" in headers:
                    message["headers"] += self.allowed(headers[b"origin"])
            await send(message)

        try:
            if twice is not None:
                raise Problem(400, f"the header {twice.decode()} comes twice")
            self.check(scope, headers)
            if (
                scope["method"] == "OPTIONS"
                and self.allowed is not None
                and b"access-control-request-method" in headers
            ):
                await Answer(b"", 204, headers=PREFLIGHT).send(answer)
            else:
                await self.app(scope, receive, answer)
        except Problem as problem:
            await problem_answer(problem).send(answer)
        finally:
            route = scope.get("route_name", "other")
            key = route, status
            self.requests[key] = self.requests.get(key, 0) + 1
            if self.settings.log_requests:
                self.note(scope, status, time.perf_counter() - began, request_id)

    def note(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        """Logs a request."""
        self.log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1000 * seconds, 3),
            client=self.client(scope),
            id=request_id.decode(),
        )

    def client(self, scope: Scope) -> str:
        """The address of the client, as a trusted proxy says it."""
        address = scope["client"][0] if scope.get("client") else ""
        forwarded = scope["headers_by_name"].get(b"x-forwarded-for")
        if forwarded and self.is_proxy(address):
            for each in reversed(forwarded.decode("latin-1").split(",")):
                address = each.strip()
                if not self.is_proxy(address):
                    break
        return str(address)

    def is_proxy(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.proxies)

    def check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raises Problem for a request that may not be answered."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if "*" not in self.hosts and name_of(host) not in self.hosts and not self.settings.socket:
            raise Problem(421, f"this server is not {host!r}; start it with --allow_host {name_of(host) or 'NAME'}")
        origin = headers.get(b"origin")
        if origin is not None and not self.is_allowed(origin, host, scope, headers):
            shown = origin.decode("latin-1")
            raise Problem(403, f"pages of {shown} may not use this server; start it with --allow_origin {shown}")
        if (
            origin is None
            and headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
            and (scope["method"] != "GET" or headers.get(b"sec-fetch-mode") != b"navigate")
        ):
            raise Problem(403, "pages of other sites may not use this server")
        if b"transfer-encoding" in headers and b"content-length" in headers:
            raise Problem(400, "both Content-Length and Transfer-Encoding")
        length = headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                raise Problem(400, "the Content-Length is no number")
            if int(length) > self.settings.max_body:
                raise Problem(
                    413,
                    f"the body has {int(length):,} bytes, of which at most {self.settings.max_body:,} are taken "
                    "(--max_body): send it in parts",
                    headers={"Connection": "close"},
                )
        if b"token" in scope["query_string"] and re.search(rb"(^|&)(access_)?token=", scope["query_string"]):
            raise Problem(400, "a token in the URL gets into logs: send it in the header Authorization")

    def is_allowed(self, origin: bytes, host: str, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        """Whether a page of this origin may ask: one of this server, or one that is allowed."""
        text = origin.decode("latin-1").lower()
        if text in self.settings.origins:
            return True
        scheme = scope.get("scheme", "http")
        client = scope["client"][0] if scope.get("client") else ""
        if self.is_proxy(client):
            scheme = headers.get(b"x-forwarded-proto", scheme.encode()).decode("latin-1")
            host = headers.get(b"x-forwarded-host", host.encode()).decode("latin-1").lower()
        return text == f"{scheme}://{host}"

    @property
    def allowed(self) -> Any:
        """The headers that let pages of allowed origins read answers; None if there are none."""
        if not self.settings.origins:
            return None
        return self.cross_origin

    def cross_origin(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """The headers for a page of an origin."""
        if origin.decode("latin-1").lower() not in self.settings.origins:
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), EXPOSED]


def name_of(host: str) -> str:
    """The name in a header Host, without the port.

    >>> name_of("[::1]:8000"), name_of("localhost:80"), name_of("localhost")
    ('[::1]', 'localhost', 'localhost')
    """
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]
