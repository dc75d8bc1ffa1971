from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vwlite.learner import Learner
from vwlite.sought import Sought
from vwlite.textbuffer import TextBuffer

class Observer: ...
class Gate: ...

class Driver:
    listener: Any
    observer: Observer | None
    gate: Gate | None
    sought: Sought | None
    training: bool
    counting: bool
    constant: bool
    quiet: bool
    audits: bool
    again: bool
    predictions: TextBuffer | None
    learnt: TextBuffer | None
    refusal: TextBuffer | None
    raw_predictions: TextBuffer | None
    holdout: bool
    holdout_period: int
    holdout_after: int
    in_pass: int
    current_pass: int
    example_limit: int
    done: bool
    example_number: int
    total_features: int
    problems: int
    held_out: int
    weighted_labeled: float
    weighted_labels: float
    weighted_unlabeled: float
    sum_loss: float
    sum_loss_since: float
    weighted_labeled_before: float
    holdout_loss: float
    holdout_weight: float
    holdout_loss_since: float
    holdout_weight_since: float
    holdout_loss_of_pass: float
    holdout_weight_of_pass: float
    dump_interval: float
    progress_step: float
    progress_adds: bool
    first_label: float
    second_label: float
    more_labels: bool
    needs_names: bool
    @property
    def top(self) -> Learner: ...
    @property
    def interactions(self) -> Any: ...
    @property
    def left_out(self) -> int: ...
    def __init__(self, top: Learner, interactions: Any, constant: bool) -> None: ...
    def set_columns(self, names: Sequence[str], parts: Sequence[str], interval: float) -> None: ...
    def run_text(
        self, parser: Any, block: Any, text: bytes | memoryview, first_line: int, answering: bool = True
    ) -> int: ...
    def run_some(
        self, parser: Any, block: Any, text: bytes | memoryview, first_line: int, seconds: float
    ) -> tuple[int, int]: ...
    def run_block(self, block: Any) -> None: ...
    def run_lines(self, parser: Any, lines: Iterable[bytes], learning: bool) -> list[Any]: ...
    def chunk(self, lines: Iterator[bytes]) -> list[bytes]: ...
    def one_example(self, text: bytes) -> list[bytes]: ...
    def sensitivity(self, parser: Any, line: bytes) -> float | None: ...
    def features_seen(self) -> int: ...
    def figures(self) -> dict[str, float]: ...
    def remarks(self) -> list[str]: ...
    def mark_best(self) -> None: ...
    def go_back(self) -> None: ...
    def before_save(self) -> None: ...
    def end_pass(self) -> float | None: ...
    def view(self) -> Any: ...

def parse(parser: Any, text: bytes) -> Any: ...
