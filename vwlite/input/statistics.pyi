from collections.abc import Sequence
from typing import Any

from vwlite.features.transform_rules import Rule

class Statistics:
    @property
    def examples(self) -> float: ...
    def __init__(self, rules: Sequence[Rule]) -> None: ...
    def arrays(self) -> dict[str, Any]: ...
    def restore(
        self,
        hashes: Sequence[int],
        rules: Sequence[int],
        states: Sequence[float],
        examples: float,
        sketches: Sequence[bytes],
    ) -> None: ...
    def count(self) -> list[int]: ...
