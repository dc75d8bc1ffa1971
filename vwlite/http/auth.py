"""Who may ask: a key that lives long, and tokens and cookies that are made of it and expire."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from http.cookies import CookieError, SimpleCookie

from vwlite.http.calls import Scope
from vwlite.http.problems import Problem

LIFE = 600.0  # seconds of a token that River's client gets
COOKIE_LIFE = 12 * 3600.0
COOKIE = "vwlite"
MOST = 10_000  # tokens and cookies that are known


class Auth:
    """Knows who may ask.

    Args:
        key: The long-lived key; None: everybody may.
        prefix: Of River's API.
        root_path: Of all paths, as clients see them.
    """

    def __init__(self, key: bytes | None, prefix: str, root_path: str) -> None:
        self.key, self.prefix, self.root_path = key, prefix, root_path
        self.known: dict[str, float] = {}  # tokens and cookies, and when they expire
        self.refused = 0

    def make(self, life: float) -> str:
        """A new token."""
        now = time.monotonic()
        self.known = {each: until for each, until in self.known.items() if until > now}
        while len(self.known) >= MOST:
            del self.known[next(iter(self.known))]
        token = secrets.token_urlsafe(24)
        self.known[token] = now + life
        return token

    def is_key(self, given: str | bytes) -> bool:
        """Whether this is the key."""
        if isinstance(given, str):
            given = given.encode("utf-8", "replace")
        return self.key is not None and hmac.compare_digest(given, self.key)

    def is_known(self, token: str) -> bool:
        """Whether this is a token that has not expired."""
        return self.known.get(token, 0.0) > time.monotonic()

    def require(self, scope: Scope) -> None:
        """Raises Problem unless a request comes with the key, a token or a cookie."""
        if self.key is None:
            return
        headers = scope["headers_by_name"]
        scheme, _, given = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        given = given.strip()
        if scheme.lower() == "bearer" and (self.is_key(given) or self.is_known(given)):
            return
        if scheme.lower() == "basic" and self.is_key(password(given)):
            return
        if not given and self.is_known(cookie(headers.get(b"cookie", b""))):
            return
        self.refused += 1
        raise Problem(
            401,
            "the token is wrong, or has expired" if given else "a token is expected: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": self.challenge(scope)},
        )

    def challenge(self, scope: Scope) -> str:
        """What River's client has to know to get a token."""
        scheme = scope.get("scheme", "http")
        host = scope["headers_by_name"].get(b"host", b"localhost").decode("latin-1")
        service = f"{scheme}://{host}{self.root_path}"
        return f'Bearer realm="{service}/{self.prefix}/auth/token/",service="{service}"'


def password(given: str) -> str:
    """The password of Basic authentication; the name of the user doesn't matter."""
    try:
        return base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def cookie(text: bytes) -> str:
    """Our cookie's value."""
    try:
        found = SimpleCookie(text.decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
