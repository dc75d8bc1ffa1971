from collections.abc import Sequence
from typing import Any

from vwlite.core.options import OptionGroup, Options
from vwlite.core.types import LabelType

OPTIONS: OptionGroup

def use_eight(wanted: bool) -> bool: ...

class TextParser:
    @property
    def multiline(self) -> bool: ...
    @property
    def reader(self) -> Any: ...
    def __init__(
        self,
        options: Options,
        paths: Sequence[str],
        digest: bool = False,
        labels: LabelType = ...,
        multiline: bool | None = None,
    ) -> None: ...
