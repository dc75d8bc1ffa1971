"""Followers: servers that load models of another one, or of files, whenever there are new ones, and only predict."""

from __future__ import annotations

import asyncio
import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vwlite.errors import VwliteError
from vwlite.http.engines import from_bytes
from vwlite.http.known import Known
from vwlite.http.model import Model
from vwlite.http.problems import Problem

if TYPE_CHECKING:
    from vwlite.http.service import Service

EVERY = 1.0  # seconds between looks
PATIENCE = 30.0  # seconds in which a file has to arrive
LARGEST = 1 << 32  # bytes of a model file


@dataclass
class Source:
    """Where a model comes from.

    Args:
        name: The name of the model.
        where: A file, or a URL.
        token: The token that the server of the URL wants.
    """

    name: str
    where: str
    token: bytes | None = None
    seen: object = field(default=None)  # what identifies the content that was loaded

    def fetch(self) -> bytes | None:
        """The content, if it is a new one; None if not. Raises OSError, or ValueError for a bad URL."""
        if not self.where.startswith(("http://", "https://")):
            found = os.stat(self.where)
            mark = found.st_ino, found.st_size, found.st_mtime_ns
            if mark == self.seen:
                return None
            with open(self.where, "rb") as file:
                content = file.read()
            self.seen = mark
            return content
        request = urllib.request.Request(self.where)
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token.decode('ascii', 'replace')}")
        if isinstance(self.seen, str):
            request.add_header("If-None-Match", self.seen)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                mark, content = answer.headers.get("ETag"), answer.read(LARGEST)
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return None
            raise
        self.seen = mark
        return content


class Follower:
    """Keeps the models of a server as those of its sources are.

    Args:
        service: The service of this server.
        sources: Where its models come from.
    """

    def __init__(self, service: Service, sources: list[Source]) -> None:
        self.service, self.sources = service, sources
        self.troubles: dict[str, str] = {}  # by model, as logged

    def look(self, source: Source) -> None:
        """Loads a model if there is a new one. Raises OSError, VwliteError or Problem."""
        self.use(source, source.fetch())

    def use(self, source: Source, content: bytes | None) -> None:
        """Replaces a model by new content, if there is some."""
        if content is None:
            return
        engine, about = from_bytes(source.where, content)
        model = Model(source.name, str(about.get("uid") or os.urandom(8).hex()), engine, about)
        house = self.service.house
        before = house.known.get(source.name)
        if before is not None and before.model is not None:
            before.model.gone = True
        house.known[source.name] = Known(model.uid, model=model)
        model.open += 1  # it stays in memory
        house.tell("replaced", model)
        self.service.log.info("model loaded", model=source.name, id=model.id, source=source.where)

    def begin(self) -> None:
        """Loads the models that there are; those of a server that does not answer yet come later."""
        for source in self.sources:
            try:
                self.look(source)
            except (OSError, ValueError, VwliteError, Problem) as error:
                self.complain(source, error)

    async def run(self) -> None:
        """Looks for new models, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY)
            for source in self.sources:
                try:
                    self.use(source, await loop.run_in_executor(None, source.fetch))
                    if self.troubles.pop(source.name, ""):
                        self.service.log.info("the model can be followed again", model=source.name)
                except (OSError, ValueError, VwliteError, Problem) as error:
                    self.complain(source, error)

    def complain(self, source: Source, error: Exception) -> None:
        """Logs once that a model can't be loaded; the one before goes on."""
        text = str(error)
        if self.troubles.get(source.name) != text:
            self.troubles[source.name] = text
            self.service.log.warning("no new model", model=source.name, source=source.where, why=text)


def source_of(text: str, token: bytes | None) -> Source:
    """The source that `NAME=FILE`, `NAME=URL`, or a file or URL alone says; it is named as the model is there.

    >>> source_of("http://writer:8000/v1/models/ctr/file", None).name
    'ctr'
    >>> source_of("best=models/ctr.model", None).name
    'best'
    """
    name, equals, where = text.partition("=")
    if equals and "/" not in name:
        return Source(name, where, token)
    parts = text.rstrip("/").split("/")
    last = parts[-2] if parts[-1] == "file" and len(parts) > 1 else parts[-1]
    return Source(last.removesuffix(".model"), text, token)
