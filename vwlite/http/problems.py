"""Problems: what is wrong with a request, as the answer says it (problem details, RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

SHOWN = 300  # characters of a detail: it may quote what was sent


class Problem(Exception):
    """A request that is refused.

    Args:
        status: The HTTP status.
        detail: What is wrong, and what to do.
        pointer: The place in the JSON that was sent (JSON pointer, RFC 6901).
        offset: The byte of the body, from 1.
        headers: Of the answer, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        pointer: str | None = None,
        offset: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        detail = " ".join(detail.split())
        super().__init__(detail)
        self.status = status
        self.detail = detail if len(detail) <= SHOWN else detail[: SHOWN - 3] + "..."
        self.pointer = pointer
        self.offset = offset
        self.headers = headers or {}

    def members(self) -> dict[str, Any]:
        """The members of the JSON object that describes the problem; `message` is what River's client knows."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.pointer is not None:
            found["pointer"] = self.pointer
        if self.offset is not None:
            found["offset"] = self.offset
        found["message"] = self.detail
        return found


def pointer(*path: str | int) -> str:
    """The JSON pointer of a path of keys and positions.

    >>> pointer("features", "a/b")
    '/features/a~1b'
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
