from collections.abc import Callable, Sequence
from typing import Any

from vwlite.core.types import LabelType

Record = tuple[str, float | str | None, float, float, str, list[tuple[str, str, str | None, float]]]

def number_text(value: float) -> str: ...

class Lines:
    examples: int
    def __init__(
        self,
        labels: LabelType,
        copies: bool,
        multiline: bool,
        problem: Callable[[int, int, int, str, bytes], None],
        names: Sequence[str],
        naming: Any = None,
    ) -> None: ...
    def text(self, block: Any) -> bytes: ...
    def records(self, block: Any) -> list[Record]: ...
