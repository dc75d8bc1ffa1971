from typing import Any

from vwlite.core.observer import Observer

COLUMNS: tuple[str, ...]
OF_ARMS: tuple[str, ...]

class Decisions(Observer):
    n: int
    without_cost: int
    without_probability: int
    def __init__(self, distributes: bool, arms: Any = None) -> None: ...
    def columns(self) -> bytes: ...
    def of_arms(self) -> tuple[list[bytes], bytes]: ...
