from collections.abc import Iterable, Sequence

class JointScores:
    def begin_score(
        self,
        mean: float,
        terms: Iterable[tuple[int, float]] = ...,
        correlated: Iterable[tuple[int, Sequence[float], Sequence[float]]] = ...,
    ) -> None: ...
    def probabilities(
        self, width: float = 1, optimistic: bool = False, samples: int = 100, key: int = 1
    ) -> list[float]: ...
    def moments(self) -> tuple[list[float], list[list[float]]]: ...
