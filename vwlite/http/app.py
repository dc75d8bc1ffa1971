"""The application (ASGI): routes of all doors, behind the guard."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route, Router

from vwlite.daemon.log import Log
from vwlite.http.auth import COOKIE, COOKIE_LIFE, LIFE, Auth, password
from vwlite.http.calls import Answer, Call, Gone, Receive, Scope, Send, json_answer, problem_answer
from vwlite.http.guard import Guard
from vwlite.http.operations import Operations
from vwlite.http.problems import Problem
from vwlite.http.river_api import RiverApi
from vwlite.http.service import Service
from vwlite.http.settings import Settings
from vwlite.http.v1 import V1

Handler = Callable[[Call], Awaitable[Answer]]
Stream = Callable[[Scope, Receive, Send], Awaitable[None]]


class Endpoint:
    """A handler as an application of its own, for some methods.

    Args:
        name: Of the route, for figures.
        handlers: By method: the handler, and whether a token is needed.
        auth: Knows who may ask.
        settings: Of the server.
        log: The log of events.
    """

    def __init__(
        self, name: str, handlers: dict[str, tuple[Handler, bool]], auth: Auth, settings: Settings, log: Log
    ) -> None:
        self.name, self.handlers, self.auth, self.settings, self.log = name, handlers, auth, settings, log
        self.writer: Callable[[], object] = bool  # raises Problem if models are not taught here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        scope["route_name"] = self.name
        method = scope["method"]
        handler, guarded = self.handlers.get("GET" if method == "HEAD" else method, (None, True))
        try:
            if handler is None:
                names = ", ".join(sorted(self.handlers))
                raise Problem(405, f"the methods here are {names}", headers={"Allow": names})
            if guarded:
                self.auth.require(scope)
            if method in ("PUT", "DELETE") or (method == "POST" and not predicts(scope["path"])):
                self.writer()
            answer = await handler(Call(scope, receive, self.settings.max_body))
        except Problem as problem:
            answer = problem_answer(problem)
        except Gone:
            return
        except Exception as error:  # one request must not end the others
            self.log.error("a request has failed", path=scope["path"], why=repr(error), id=scope["request_id"].decode())
            answer = problem_answer(Problem(500, "an error of the server: see its log"))
        if method == "HEAD":
            answer = Answer(b"", answer.status, answer.media, answer.headers)
        await answer.send(send)


def predicts(path: str) -> bool:
    """Whether a path is one that leaves models as they are."""
    return path.rstrip("/").endswith(("predict", "/sign_in"))


class StreamEndpoint(Endpoint):
    """A stream of events as an application of its own."""

    def __init__(self, name: str, stream: Stream, auth: Auth, log: Log) -> None:
        super().__init__(name, {}, auth, Settings(), log)
        self.stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the client goes away."""
        scope["route_name"] = self.name
        try:
            if scope["method"] != "GET":
                raise Problem(405, "the method here is GET", headers={"Allow": "GET"})
            self.auth.require(scope)
        except Problem as problem:
            await problem_answer(problem).send(send)
            return
        await self.stream(scope, receive, send)


class Paths:
    """The router, behind a table of the paths that have no parts with names: most requests are for these few.

    Args:
        routes: All routes.
        router: What answers the others.
    """

    def __init__(self, routes: Sequence[Route], router: Any) -> None:
        self.table: dict[str, Any] = {each.path: each.app for each in reversed(routes) if "{" not in each.path}
        self.router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        found = self.table.get(scope["path"])
        if found is None:
            await self.router(scope, receive, send)
            return
        scope["path_params"] = {}
        await found(scope, receive, send)


def create_app(settings: Settings | None = None, log: Log | None = None, service: Service | None = None) -> Any:  # noqa: DOC502
    """Makes the application.

    Args:
        settings: Of the server; by default models are in memory only.
        log: The log of events; by default on standard error.
        service: The models; by default they are opened here, and closed when the application ends.

    Returns:
        The application, for a server of ASGI. It has to be the only process with these models.

    Raises:
        VwliteError: If the models can't be opened.
    """
    settings = settings or Settings()
    log = log or Log()
    service = service or Service(settings, log)
    auth = Auth(settings.token, settings.prefix, settings.root_path)
    river, v1 = RiverApi(service), V1(service)
    table: dict[str, dict[str, tuple[Handler, bool]]] = {}
    for path, method, handler, guarded in v1.routes():
        table.setdefault(path, {})[method] = handler, guarded
    prefix = f"/{settings.prefix}"
    for path, method, handler, guarded in [*river.routes(), ("/auth/token/", "GET", sign_in(auth), False)]:
        for each in {path, path.rstrip("/")} if path != "/" else {"", "/"}:
            table.setdefault(prefix + each, {})[method] = handler, guarded
    operations = Operations(service, auth)
    for path, method, handler, guarded in operations.routes():
        table.setdefault(path, {})[method] = handler, guarded
    table["/sign_in"] = {"POST": (cookie_for(auth, settings, operations), False), "GET": (operations.page, False)}
    routes = []
    for path, handlers in table.items():
        endpoint = Endpoint(path, handlers, auth, settings, log)
        endpoint.writer = service.require_writer
        routes.append(Route(path, endpoint))
    streams: list[tuple[str, Stream]] = [
        (f"{prefix}/stream/events/", lambda scope, receive, send: river.events(receive, send)),
        (f"{prefix}/stream/metrics/", lambda scope, receive, send: river.metric_events(receive, send)),
        ("/v1/events", operations.events),
        ("/v1/models/{name}/events", operations.events),
    ]
    for path, stream in streams:
        listening = StreamEndpoint(path, stream, auth, log)
        routes += [Route(each, listening) for each in sorted({path, path.rstrip("/")})]

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        """Serves from the start to the end of the application."""
        await service.start()
        yield
        await service.end()

    application = Starlette(lifespan=lifespan)
    application.router = Router(routes, redirect_slashes=False, lifespan=lifespan, default=missing(operations))
    guard = Guard(Paths(routes, application.router), settings, auth, log)
    operations.guard = guard
    application.middleware_stack = guard
    return application


def missing(operations: Operations) -> Any:
    """What answers paths that there aren't."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        """Answers that there is no such path."""
        if scope["type"] != "http":
            return
        await problem_answer(Problem(404, f"there is no {scope['path']}; /docs has what there is")).send(send)

    return answer


def sign_in(auth: Auth) -> Handler:
    """The handler that gives River's client a token for user and key."""

    async def handler(call: Call) -> Answer:
        """Gives a token."""
        scheme, _, given = call.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if auth.key is not None and not (scheme.lower() == "basic" and auth.is_key(password(given.strip()))):
            raise Problem(403, "the token of the user is wrong")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json_answer({"token": auth.make(LIFE), "expires_in": int(LIFE), "issued_at": now})

    return handler


def cookie_for(auth: Auth, settings: Settings, operations: Operations) -> Handler:
    """The handler that signs a page in: the key in a form, for a cookie."""

    async def handler(call: Call) -> Answer:
        """Gives a cookie."""
        given = (await call.form()).get("key", "")
        if auth.key is not None and not auth.is_key(given):
            if b"text/html" in call.headers.get(b"accept", b""):
                return operations.sign_in(wrong=True)
            raise Problem(403, "the key is wrong")
        path = settings.root_path or "/"
        secure = "; Secure" if call.scope.get("scheme") == "https" else ""
        value = f"{COOKIE}={auth.make(COOKIE_LIFE)}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={COOKIE_LIFE:.0f}"
        return Answer(b"", 303, b"text/plain", {"Set-Cookie": value + secure, "Location": settings.root_path + "/"})

    return handler
