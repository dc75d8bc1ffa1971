from typing import Any

NUMBERS: tuple[str, ...]
BINARY: tuple[str, ...]
CLASSES: tuple[str, ...]
OF_EACH_CLASS: tuple[str, ...]

def add_numbers(labels: Any, predictions: Any, weights: Any, shift: float, groups: Any | None, found: Any) -> None: ...
def add_binary(
    labels: Any,
    scores: Any,
    weights: Any,
    probabilities: Any | None,
    influence: Any | None,
    threshold: float,
    groups: Any | None,
    found: Any,
) -> None: ...
def add_classes(
    labels: Any, predictions: Any, weights: Any, probabilities: Any | None, classes: int, groups: Any | None, found: Any
) -> None: ...
