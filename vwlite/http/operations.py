"""What operators ask for: whether the server is well, figures for Prometheus, and events for the page."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from vwlite.http.auth import Auth
from vwlite.http.calls import Answer, Call, Receive, Scope, Send, json_answer, problem_answer
from vwlite.http.events import Listener
from vwlite.http.problems import Problem
from vwlite.http.service import Service

STYLE, SCRIPT = b"text/css; charset=utf-8", b"text/javascript; charset=utf-8"
ASSETS = {
    "style.css": STYLE,
    "charts.css": STYLE,
    "page.css": STYLE,
    "page.js": SCRIPT,
    "details.js": SCRIPT,
    "charts.js": SCRIPT,
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Without a referrer at all, the Origin of the form to sign in would be "null", which the guard refuses.
FRAMES = {"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
WRONG_KEY = b'<p class="problem" role="alert">This is not the key of this server. Try again.</p>'


@cache
def asset(name: str) -> bytes:
    """A file of the page."""
    shared = resources.files("vwlite.pictures").joinpath("page", name)
    return (shared if shared.is_file() else resources.files("vwlite.http").joinpath("page", name)).read_bytes()


class Operations:
    """Handlers for operators.

    Args:
        service: The service.
        auth: Knows who may ask.
    """

    def __init__(self, service: Service, auth: Auth) -> None:
        self.service, self.auth = service, auth
        self.guard: Any = None

    def routes(self) -> list[tuple[str, str, Callable[[Call], Awaitable[Answer]], bool]]:
        """Path, method, handler, and whether a token is needed."""
        return [
            ("/healthz", "GET", self.health, False),
            ("/readyz", "GET", self.readiness, False),
            ("/metrics", "GET", self.figures, True),
            ("/openapi.json", "GET", self.document, False),
            ("/docs", "GET", self.reference, False),
            ("/", "GET", self.page, False),
            ("/page/{name}", "GET", self.asset, False),
        ]

    async def health(self, call: Call) -> Answer:
        """Whether the server is alive."""
        return json_answer({"status": "alive", "seconds": round(time.time() - self.service.began, 3)})

    async def readiness(self, call: Call) -> Answer:
        """Whether the server can learn and predict."""
        failure = self.service.house.commits.failure
        if not self.service.ready:
            raise Problem(503, "the server is starting or ending", headers={"Retry-After": "1"})
        if failure:
            raise Problem(503, f"the journal can't be written: {failure}", headers={"Retry-After": "5"})
        return json_answer({"status": "ready", "models": len(self.service.house.known)})

    async def figures(self, call: Call) -> Answer:
        """Figures for Prometheus."""
        from vwlite.http.prometheus import exposition

        body, media = await exposition(self.service, self.guard)
        return Answer(body, media=media)

    async def document(self, call: Call) -> Answer:
        """The OpenAPI document."""
        from vwlite.http.openapi import document

        settings = self.service.settings
        return json_answer(document(settings.prefix, settings.root_path))

    async def reference(self, call: Call) -> Answer:
        """The page of reference."""
        from vwlite.http.openapi import page

        settings = self.service.settings
        return self.html(page(settings.prefix, settings.root_path).encode())

    async def page(self, call: Call) -> Answer:
        """The page to look at; without a token, the one to sign in."""
        try:
            self.auth.require(call.scope)
        except Problem:
            return self.sign_in()
        return self.html(self.filled("index.html"))

    def sign_in(self, wrong: bool = False) -> Answer:
        """The page to sign in; after a wrong key, it says so."""
        body = self.filled("sign_in.html").replace(b"{message}", WRONG_KEY if wrong else b"")
        return self.html(body, 403 if wrong else 200)

    def filled(self, name: str) -> bytes:
        """A page with the paths of this server."""
        return asset(name).replace(b"{root}", escape(self.service.settings.root_path).encode())

    async def asset(self, call: Call) -> Answer:
        """A style or script of the page."""
        name = call.parts["name"]
        if name not in ASSETS:
            raise Problem(404, f"no file named {name!r}")
        return Answer(asset(name), media=ASSETS[name], headers={"Cache-Control": "no-cache"})

    @staticmethod
    def html(body: bytes, status: int = 200) -> Answer:
        """A page, which may use nothing from elsewhere."""
        headers = {"Content-Security-Policy": POLICY, **FRAMES}
        return Answer(body, status, b"text/html; charset=utf-8", headers)

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events of one model, or of all; those after Last-Event-ID first, as far as they are known."""
        name = scope["path_params"].get("name")
        try:
            if name is not None:
                self.service.house.find(name)
        except Problem as problem:
            await problem_answer(problem).send(send)
            return
        last = scope["headers_by_name"].get(b"last-event-id", b"")
        after = int(last) if last.isdigit() and len(last) < 20 else None
        await self.service.streams.serve(Listener(name=name), receive, send, after)
