"""Pictures of models and of their predictions, as one page of HTML or as PNG."""

from vwlite.pictures.chart import Chart
from vwlite.pictures.commands import plot

__all__ = ["Chart", "plot"]
