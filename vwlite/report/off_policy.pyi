from typing import Any, NamedTuple

class Estimate(NamedTuple):
    value: float | None
    low: float | None
    high: float | None

class Estimates(NamedTuple):
    n: int
    logged: float | None
    n_predicted: int
    level: float
    ips: Estimate
    snips: Estimate
    dr: Estimate
    effective_n: float
    mean_weight: float | None
    max_weight: float | None

class OffPolicy:
    def __init__(self, low: float = ..., high: float = ...) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def refused(self) -> int: ...
    def note(
        self,
        cost: float,
        probability: float,
        policy: float,
        predicted_logged: float = ...,
        predicted_policy: float = ...,
        *,
        strict: bool = True,
        weight: float = 1,
    ) -> None: ...
    def note_all(self, decisions: Any) -> None: ...
    def estimates(self, level: float = 0.95) -> Estimates: ...
    def figures(self, level: float = 0.95) -> dict[str, float]: ...
    def mean_weight(self, level: float = 0.99) -> Estimate: ...
    def remarks(self) -> list[str]: ...

class PolicyTally:
    @property
    def off_policy(self) -> OffPolicy: ...
    @property
    def held_out(self) -> OffPolicy: ...
