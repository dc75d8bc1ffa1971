"""Protocol: the interface of all models of a server that the modules which it is made of use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from vwlite.daemon.journal import Journal
    from vwlite.daemon.log import Log
    from vwlite.http.commits import Commits
    from vwlite.http.known import Known
    from vwlite.http.model import Model
    from vwlite.http.settings import Settings
    from vwlite.http.state import State


class Host(Protocol):
    """All models of a server, as what makes them, what loads them and what learns the journal again use them."""

    settings: Settings
    log: Log
    known: dict[str, Known]
    loop: asyncio.AbstractEventLoop | None
    journal: Journal | None
    state: State
    commits: Commits

    def folder(self, name: str) -> str:
        """The folder of a model."""

    def find(self, name: Any) -> Model:
        """The model of a name, loaded if it is not in memory. Raises Problem if there is none."""

    def tell(self, what: str, model: Model, **about: Any) -> None:
        """Tells those who listen what happens to a model."""

    def ask_trim(self) -> None:
        """Lets the journal delete what no model needs any more; called in any thread."""
