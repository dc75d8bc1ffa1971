"""Storage: a folder with the parts of a table of entities, and a manifest that says which of them are one version.

    path/manifest/*.txt      a line of JSON for each version
    path/parts/NAME/*.parquet

A part is written whole before the line that names it. So a write that fails leaves what was there, and a reader sees
one version or the next. The first part of a version is the base; in those after it are the entities that an update has
changed: the newest part that has an entity holds its state. Everything is read and written by Spark, so a path is
whatever Spark can reach.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from vwlite.errors import ModelError, VwliteError
from vwlite.spark.failures import DAMAGED, one_line
from vwlite.spark.reading import Reading

FORMAT = 1
DISTINCT = ("mean", "precision", "factor")  # lists whose numbers hardly repeat: a dictionary costs time and bytes
MOST_PARTS = 16  # of a version: an update of more writes a new base


class Version(NamedTuple):
    """A version of a table of entities.

    Args:
        number: From 0.
        parts: The folders of its parts, the base first.
        entities: How many rows each of them has.
        head: The metadata of the whole table, as the core writes it.
        reading: How rows are read.
        counts: Rows without an entity, and beyond max_rows, by name.
        streams: The last batch learned of each stream, by its identifier.
    """

    number: int
    parts: tuple[str, ...]
    entities: tuple[int, ...]
    head: str
    reading: Reading
    counts: dict[str, int]
    streams: dict[str, int]

    def to_json(self) -> str:
        """The line of the manifest."""
        return json.dumps({"vwlite": "entities", "format": FORMAT, **self._asdict(), "reading": self.reading._asdict()})


def damaged_manifest(path: str) -> str:
    """The message about a manifest that can't be read."""
    return f"{path}: the manifest of the table is damaged: restore the folder from a backup"


def read_line(line: str, path: str) -> Version:  # noqa: DOC503
    """Reads a line of a manifest.

    Args:
        line: The line.
        path: The folder, for messages.

    Returns:
        The version.

    Raises:
        ModelError: If it is damaged, or of a later format.
    """
    try:
        found = json.loads(line)
        later = found["vwlite"] == "entities" and found["format"] > FORMAT
        if later:
            raise ModelError(
                f"{path}: a table in format {found['format']}, and this vwlite reads up to {FORMAT}: update vwlite "
                "(pip install -U vwlite)"
            )
        reading = Reading(**found["reading"])
        reading = reading._replace(order=tuple(reading.order), used=tuple(reading.used), kinds=tuple(reading.kinds))
        fields = {name: found[name] for name in Version._fields if name != "reading"}
        version = Version(**fields, reading=reading)
        version = version._replace(parts=tuple(version.parts), entities=tuple(map(int, version.entities)))
        if not version.parts or len(version.parts) != len(version.entities):
            raise ValueError
        return version
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ModelError(damaged_manifest(path)) from None


def versions(spark: Any, path: str) -> list[Version]:
    """The versions of a table, the oldest first.

    Args:
        spark: The session.
        path: The folder.

    Returns:
        The versions.

    Raises:
        ModelError: If there is no table, or its manifest is damaged, or two programs have written it at a time.
    """
    try:
        with one_line():
            lines = [row.value for row in spark.read.schema("value string").text(f"{path}/manifest").collect()]
    except ModelError as error:
        if DAMAGED in str(error):
            raise ModelError(damaged_manifest(path)) from None
        raise ModelError(f"{path}: there is no table of entities here: write() makes one") from None
    found = sorted((read_line(line, path) for line in lines), key=lambda version: version.number)
    if not found:
        raise ModelError(f"{path}: there is no table of entities here: write() makes one")
    numbers = [version.number for version in found]
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise ModelError(
            f"{path}: version {twice} was written twice, by two programs at a time: delete one of their files in "
            f"{path}/manifest, and let one program at a time update a table"
        )
    return found


def there_is_one(spark: Any, path: str) -> bool:
    """Whether there is a table in a folder."""
    try:
        versions(spark, path)
    except ModelError as error:
        if "there is no table" in str(error):
            return False
        raise
    return True


def write_part(frame: Any, path: str) -> tuple[str, list[str]]:  # noqa: DOC502
    """Writes a part of a table, and reads back the metadata that its tasks have written.

    Args:
        frame: What tasks put out: entities, and the rows with metadata.
        path: The folder.

    Returns:
        The name of the part, and the metadata of each partition.

    Raises:
        VwliteError: If a task fails; then no version has the part.
    """
    name = uuid.uuid4().hex
    folder = f"{path}/parts/{name}"
    writer = frame.write.option("compression", "zstd")
    for column in DISTINCT:
        writer = writer.option(f"parquet.enable.dictionary#{column}.list.element", "false")
    with one_line():
        writer.parquet(folder)
        return name, heads_of(read_part(frame.sparkSession, path, name, frame.schema))


def read_part(spark: Any, path: str, name: str, schema: Any) -> Any:
    """The rows of a part, with those of metadata; the schema spares Spark a look into the files."""
    return spark.read.schema(schema).parquet(f"{path}/parts/{name}")


def read_parts(spark: Any, path: str, names: Sequence[str], schema: Any, number: str) -> Any:
    """The rows of several parts, read as one table: Spark plans a single scan, however many parts there are.

    Args:
        spark: The session.
        path: The folder.
        names: The parts, the base first.
        schema: Of a part.
        number: The column to append: the number of the part, from 0.

    Returns:
        A DataFrame.
    """
    from pyspark.sql import functions

    found = spark.read.schema(schema).parquet(*(f"{path}/parts/{name}" for name in names))
    folder = functions.element_at(functions.split(functions.col("_metadata.file_path"), "/"), -2)
    places = functions.array(*(functions.lit(name) for name in names))
    return found.withColumn(number, (functions.array_position(places, folder) - 1).cast("int"))


def heads_of(frame: Any) -> list[str]:
    """The metadata of the partitions of what tasks have put out."""
    return [row.head for row in frame.where("head is not null").select("head").collect()]


def append(spark: Any, path: str, version: Version) -> None:  # noqa: DOC502
    """Writes the line of a version, whose parts are there: from now on readers find it.

    Args:
        spark: The session.
        path: The folder.
        version: The version.

    Raises:
        VwliteError: If it can't be written.
    """
    with one_line():
        line = spark.createDataFrame([(version.to_json(),)], "value string").coalesce(1)
        line.write.mode("append").text(f"{path}/manifest")


def vacuum(spark: Any, path: str, keep: int = 1) -> list[str]:
    """Deletes the parts that the newest versions don't have, and the older versions.

    Args:
        spark: The session; of Spark Connect it can't delete files.
        path: The folder.
        keep: How many versions to keep, at least 1. No program may be reading an older one.

    Returns:
        The names of the parts that were deleted.

    Raises:
        VwliteError: If the session can't delete files.
        ValueError: If no version would be left.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least one version is kept")
    if getattr(spark, "_jvm", None) is None:
        raise VwliteError("vacuum: a session of Spark Connect can't delete files: run it where Spark runs")
    found = versions(spark, path)
    used = {part for version in found[-keep:] for part in version.parts}
    there = spark._jvm.org.apache.hadoop.fs.Path(f"{path}/parts")
    files = there.getFileSystem(spark._jsc.hadoopConfiguration())
    names = [status.getPath().getName() for status in files.listStatus(there)]
    # the lines of deleted versions go first, so that no reader chooses one that lacks a part
    manifest = spark._jvm.org.apache.hadoop.fs.Path(f"{path}/manifest")
    old = {version.number for version in found[:-keep]}
    for status in files.listStatus(manifest):
        where = status.getPath().toString()
        if not status.getPath().getName().startswith(("_", ".")):
            lines = [row.value for row in spark.read.schema("value string").text(where).collect()]
            if lines and all(read_line(line, path).number in old for line in lines):
                files.delete(status.getPath(), False)
    removed = [name for name in names if name not in used]
    for name in removed:
        files.delete(spark._jvm.org.apache.hadoop.fs.Path(f"{path}/parts/{name}"), True)
    return removed
