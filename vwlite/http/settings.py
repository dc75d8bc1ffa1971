"""Settings of the server."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass
class Settings:
    """What the command line says of the server.

    Args:
        folder: Where models are kept; None: in memory only.
        journal: The folder of the journal; None without one.
        autosave: Seconds between saves of a model that learns; None for ten minutes.
        autosave_examples: Instead, examples of a model between its saves.
        prefix: Of the paths of River's API.
        root_path: Of all paths, as clients see them behind a proxy.
        bind: The address to listen at.
        port: The port; 0 for a free one.
        socket: Instead, a Unix socket.
        token: Clients have to give it; None: all may do everything.
        hosts: Names in the header Host that are accepted, beside those of this machine.
        origins: Of pages that may use the server, beside its own.
        proxies: Addresses of proxies whose X-Forwarded headers are believed.
        max_body: Bytes of a request's body, after it is unpacked.
        max_head: Bytes of a request's head.
        max_batch: Examples of a request.
        max_models: Models.
        max_loaded: Models in memory.
        max_ids: Predictions that wait for labels.
        id_life: Seconds that they wait.
        max_connections: Connections at a time.
        read_timeout: Seconds that a request may take to arrive.
        log_requests: Whether each request is logged.
        follows: Whether models come from elsewhere and are not taught here.
    """

    folder: str | None = None
    journal: str | None = None
    autosave: float | None = None
    autosave_examples: int | None = None
    prefix: str = "api"
    root_path: str = ""
    bind: str = "127.0.0.1"
    port: int = 8000
    socket: str | None = None
    token: bytes | None = None
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    proxies: tuple[str, ...] = ()
    max_body: int = 1 << 24
    max_head: int = 1 << 14
    max_batch: int = 100_000
    max_models: int = 1000
    max_loaded: int = 1000
    max_ids: int = 1_000_000
    id_life: float = 7 * 86400.0
    max_connections: int = 1000
    read_timeout: float = 10.0
    log_requests: bool = False
    follows: bool = False

    def __post_init__(self) -> None:
        if self.folder is not None:
            self.folder = os.path.abspath(self.folder)
