from typing import Any

from vwlite.core.options import Options
from vwlite.input.where import Program

class Predicate:
    names: list[str]
    def __init__(self, options: Options, naming: Any, program: Program, multiline: bool = False) -> None: ...
    def keys(self, block: Any, multiline: bool) -> list[tuple[int, bytes | None]]: ...
    def unseen(self) -> list[str]: ...
