from typing import Any

from vwlite.input.predicate import Predicate

class Selector:
    predicate: Predicate | None
    seen: int
    out_where: int
    out_sample: int
    out_weight: int
    used: int
    def __init__(
        self,
        predicate: Predicate | None,
        share: float,
        weighted: bool,
        shuffled: int,
        seed: int,
        names: bool,
        multiline: bool,
        most: int,
    ) -> None: ...
    def take(self, block: Any, at: int, source: int, one: bool = False) -> int: ...
    @property
    def full(self) -> bool: ...
    @property
    def empty(self) -> bool: ...
    def finish(self) -> Any: ...
    def clear(self) -> None: ...

def poisson_quantile(u: float) -> int: ...
