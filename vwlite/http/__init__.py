"""The HTTP service: River's API and /v1, over the engines and the journal of the daemon. Needs the extra `http`."""

from __future__ import annotations

from typing import Any

__all__ = ["create_app"]


def create_app(folder: str | None = None, **settings: Any) -> Any:  # noqa: DOC502
    """Makes the ASGI application, for a server of your own. It has to be the only process with these models.

    Args:
        folder: Where models are kept; None: in memory only.
        **settings: Others of vwlite.http.settings.Settings, such as token=b"..." or max_body=1000000.

    Returns:
        The application. It opens its models at once, and saves them when its lifespan ends.

    Raises:
        VwliteError: If the models can't be opened.
        ImportError: If the extra `http` is not installed.
    """
    import os

    from vwlite.http.app import create_app as create
    from vwlite.http.settings import Settings

    if folder is not None:
        settings.setdefault("journal", os.path.join(folder, "journal"))
    return create(Settings(folder=folder, **settings))
