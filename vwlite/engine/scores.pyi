from numpy import float64
from numpy.typing import NDArray

from vwlite.core.observer import Observer

class Scores(Observer):
    def rows(self) -> NDArray[float64]: ...
