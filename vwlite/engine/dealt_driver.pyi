from collections.abc import Callable, Iterable
from typing import Any

from vwlite.core.learner import Learner
from vwlite.engine.driver import Driver

class DealtDriver(Driver):
    def __init__(
        self,
        top: Learner,
        interactions: Any,
        constant: bool,
        n_threads: int,
        make: Callable[[DealtDriver], Iterable[tuple[Any, Any, Any]]],
    ) -> None: ...
