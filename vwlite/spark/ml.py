"""Estimator and Model of pyspark.ml, thin ones around `fit` and `Entities`, for pipelines; without vectors of Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.ml import Estimator, Model
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from vwlite.errors import ModelError
from vwlite.spark.entities import PREFIX, Entities, read
from vwlite.spark.fitting import fit
from vwlite.spark.reading import Columns
from vwlite.spark.storage import there_is_one


class VWLite(Estimator):
    """Learns the posteriors of a random effect; the arguments are those of `fit`.

    Args:
        flags: As of `fit`.
        order: As of `fit`.
        label: As of `fit`.
        weight: As of `fit`.
        columns: As of `fit`.
        partitions: As of `fit`.
        max_rows: As of `fit`.
        outputs: The columns of the prediction, as of `Entities.transform`.
        prefix: Before the names of these columns.
    """

    def __init__(
        self,
        flags: str,
        *,
        order: str | list[str] | tuple[str, ...],
        label: str | None = None,
        weight: str | None = None,
        columns: Columns = None,
        partitions: int | None = None,
        max_rows: int | None = None,
        outputs: Sequence[str] = ("prediction",),
        prefix: str = PREFIX,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "order": order,
            "label": label,
            "weight": weight,
            "columns": columns,
            "partitions": partitions,
            "max_rows": max_rows,
        }
        self.flags, self.outputs, self.prefix = flags, tuple(outputs), prefix

    def _fit(self, dataset: Any) -> VWLiteModel:
        return VWLiteModel(fit(dataset, self.flags, **self.settings), self.outputs, self.prefix)


class VWLiteModel(Model, MLWritable, MLReadable):
    """Predicts by the posteriors of a random effect.

    Args:
        entities: The entities.
        outputs: The columns of the prediction.
        prefix: Before the names of these columns.
    """

    def __init__(self, entities: Entities, outputs: Sequence[str] = ("prediction",), prefix: str = PREFIX) -> None:
        super().__init__()
        self.entities, self.outputs, self.prefix = entities, tuple(outputs), prefix

    def _transform(self, dataset: Any) -> Any:
        return self.entities.transform(dataset, self.outputs, self.prefix)

    def write(self) -> MLWriter:
        """The writer: ``model.write().save(path)`` writes the table of entities, as `Entities.write` does.

        Returns:
            The writer.
        """
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """The reader: ``VWLiteModel.read().load(path)``, or ``VWLiteModel.load(path)``.

        Returns:
            The reader.
        """
        return _Reader()


class _Writer(MLWriter):
    """Writes a model's table of entities."""

    def __init__(self, model: VWLiteModel) -> None:
        super().__init__()
        self.model = model

    def saveImpl(self, path: str) -> None:  # noqa: N802
        """Writes the table; called by save(), which has checked the path."""
        if not self.shouldOverwrite and there_is_one(self.sparkSession, path):
            raise ModelError(f"{path}: it already exists: write().overwrite() adds a version to the table")
        self.model.entities.write(path)

    def _handleOverwrite(self, path: str) -> None:  # noqa: N802
        """Keeps the folder: a table has versions."""


class _Reader(MLReader[Any]):
    """Reads a model's table of entities."""

    def load(self, path: str) -> VWLiteModel:
        """Reads a model.

        Args:
            path: The folder.

        Returns:
            The model, which predicts the column `prediction`.
        """
        return VWLiteModel(read(path, self.sparkSession))
