"""What is in a model, and where."""

from collections.abc import Callable
from pathlib import Path

from vwlite import Workspace
from vwlite.core.hashing import feature_hash, murmur3_32
from vwlite.model import model_file

CONSTANT = 11650396  # the hash of the feature that every example has

Arrays = dict[str, tuple[str, list[int], bytes]]  # type, shape and bytes by name


def feature(name: str, namespace: str = "a") -> int:
    """The hash of a feature whose name is no number."""
    return murmur3_32(name.encode(), feature_hash(namespace.encode()))


def key(namespace: str, name: str) -> int:
    """What an entity is known by."""
    seed = feature_hash(namespace.encode())
    return murmur3_32(name.encode(), seed) << 32 | murmur3_32(name.encode(), seed ^ 0xFFFFFFFF)


def arrays(path: Path | str) -> Arrays:
    """All that a model file holds but its metadata."""
    reader = model_file.open(path)
    return {
        name: (reader.dtype(name), reader.shape(name), bytes(reader.array(name, reader.dtype(name))))
        for name in reader.names()
    }


def saved(workspace: Workspace, folder: Path) -> Arrays:
    """All that a model would be saved with."""
    workspace.save(folder / "state.model")
    return arrays(folder / "state.model")


def rewrite(model: Path | str, change: Callable[[Arrays], None]) -> None:
    """Put other arrays into a model, with digests that fit them."""
    metadata = model_file.open(model).metadata
    content = arrays(model)
    change(content)
    kept = {name: value for name, value in metadata.items() if name not in ("digests", "format_version")}
    model_file.write(model, dict(content), kept)
