from typing import Any

from vwlite.core.learner import Learner
from vwlite.core.observer import Observer
from vwlite.core.textbuffer import TextBuffer

class Explainer(Observer):
    out: TextBuffer | None
    found: list[dict[str, Any]]
    def __init__(
        self,
        top: Learner,
        interactions: Any,
        *,
        parts: list[str] = ...,
        sd: bool = ...,
        most: int = ...,
        only: int = ...,
        as_json: bool = ...,
    ) -> None: ...
