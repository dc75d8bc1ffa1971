"""What operators ask for: whether the server is well, figures for Prometheus, and events for the page."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from vwlite.http.auth import Auth
from vwlite.http.calls import Answer, Call, Receive, Scope, Send, json_answer, problem_answer
from vwlite.http.events import Listener, text_of
from vwlite.http.model import Model
from vwlite.http.problems import Problem
from vwlite.http.service import Service


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

        body, media = exposition(self.service, self.guard)
        return Answer(body, media=media)

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

        def makes(what: str, model: Model, about: dict[str, Any], number: int) -> bytes:
            if name is not None and model.name != name:
                return b""
            return text_of(what, {"model": model.name, "id": model.id, **about}, number)

        after = int(last) if last.isdigit() else None
        await self.service.streams.serve(Listener(makes), receive, send, after)
