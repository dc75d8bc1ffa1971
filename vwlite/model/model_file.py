"""The model file: one self-describing ``.safetensors`` file, which is written atomically.

Layout, as any safetensors reader knows it: a little-endian u64 with the length of the header, the header in JSON,
then the arrays back to back. The header's ``__metadata__`` has two strings: ``vwlite``, the metadata of the model in
JSON, with a sha256 of every array under "digests"; and ``vwlite_sha256``, a digest of the former and of the types and
shapes, so that a damaged option or shape is detected like a damaged weight. Neither includes the offsets of the arrays:
a file that another tool has read and saved again is still a model.

The safetensors package is not used for reading and writing because arrays of hundreds of megabytes must be neither
copied nor read before they are needed, and because errors must explain why a file is refused. Tests compare both
directions with that package.
"""

import builtins
import errno
import hashlib
import io
import json
import math
import mmap
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, NoReturn, Protocol

from vwlite.core.files import require_stream, state, writing
from vwlite.core.paths import explain, inherited
from vwlite.errors import ModelError
from vwlite.model.metadata import check as check_metadata

FORMAT_VERSION = 1

TYPE_CODES: dict[str, Any] = {"F32": "f", "F64": "d", "I64": "q", "U64": "Q", "U32": "I", "U8": "B"}
ITEM_SIZES = {"F32": 4, "F64": 8, "I64": 8, "U64": 8, "U32": 4, "U8": 1}
HEADER_LIMIT = 100_000_000  # the limit of the safetensors package, whose readers would refuse more
# The cost of a hostile header is limited before it is parsed: a long one is refused in well under a second.
DIMENSION_LIMIT = 8  # no learner has more than two
ARRAY_LIMIT = 100_000
ENTRY_LIMIT = 1 << 20  # characters of an entry of the metadata, except the journal of runs and the digests
TEXT_PER_BRACKET = 20  # characters of the metadata for each list or object in them; runs have 70 or more

# the last is any buffer (which has a type from Python 3.12 on), or Pieces of one
Array = tuple[str, Sequence[int], Any]


class Pieces(Protocol):
    """A long array whose bytes are generated on demand, any number of times."""

    nbytes: int

    def __iter__(self) -> Iterator[bytes]: ...


class _Entry(NamedTuple):
    dtype: str
    shape: list[int]
    start: int
    stop: int


class ModelReader:
    """An open model file: its metadata, and its arrays, read on demand.

    The header is checked when the reader is made, an array when it is first asked for. A view keeps the file mapped;
    a model saved under the same name meanwhile is a new file and doesn't disturb it.
    """

    def __init__(self, path: str, metadata: dict[str, Any], entries: dict[str, _Entry], data: memoryview) -> None:
        self.path = path
        self.metadata = metadata
        self._entries = entries
        self._data = data
        self._checked: set[str] = set()

    def names(self) -> list[str]:
        """The names of the arrays, in the order in which `write` got them."""
        return list(self._entries)

    def shape(self, name: str) -> list[int]:
        """The shape of an array, ``[]`` for a single value."""
        return list(self._entry(name).shape)

    def dtype(self, name: str) -> str:
        """The type of an array by its safetensors name, such as "F32"."""
        return self._entry(name).dtype

    def array(self, name: str, dtype: str) -> memoryview:
        """Reads the values of an array, flat and read-only, after checking its type and digest."""
        entry = self._entry(name)
        if entry.dtype != dtype:
            _fail(self.path, f"array {name!r} is {entry.dtype} where {dtype} is expected", "train the model again")
        values = self._data[entry.start : entry.stop]
        if name not in self._checked:
            if hashlib.sha256(values).hexdigest() != self.metadata["digests"][name]:
                _fail_damaged(self.path, f"array {name!r} differs from its sha256")
            self._checked.add(name)
        return values.cast(TYPE_CODES[dtype])

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            _fail(
                self.path, f"has no array {name!r}", "it is the model of other learners: train again, or leave it out"
            )
        return self._entries[name]


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> None:  # noqa: DOC503
    """Writes a model file atomically: ``path`` holds either the old model or all of the new one.

    Args:
        path: The file; missing folders are created. The target of a symbolic link is replaced. Other files than regular
            ones (``/dev/stdout``, a named pipe) are written to directly.
        arrays: For each name its type ("F32", "F64", "I64", "U64", "U32" or "U8"), shape and C-contiguous buffer or
            Pieces of one.
        metadata: Values that JSON can represent; "format_version" and "digests" are added.

    Raises:
        ModelError: If the file can't be written; the old one is unchanged.
        ValueError: If an array's type, shape and buffer disagree.
    """
    path = os.fspath(path)
    pieces = pack(path, arrays, metadata)
    try:
        with writing(path, sync=True) as file:
            for piece in pieces:
                file.write(piece)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not saved, and any older model there is unchanged: {explain(error, path)}"
        ) from error


def pack(path: str, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Iterator[bytes | memoryview]:  # noqa: DOC502
    """The bytes of a model file, in pieces: a function of the arrays and the metadata.

    Args:
        path: The name of the file in messages.
        arrays: As for `write`.
        metadata: As for `write`; without an "id" it gets a digest of everything.

    Returns:
        The pieces; all is checked before the first.

    Raises:
        ModelError: If the metadata are too long.
        ValueError: If an array's type, shape and buffer disagree.
    """
    contents = {name: _as_pieces(name, *array) for name, array in arrays.items()}
    # Wide items first, so that every array is aligned although the format has no gaps.
    order = sorted(arrays, key=lambda name: -ITEM_SIZES[arrays[name][0]])
    digests = {name: _digest(pieces) for name, (_, pieces) in contents.items()}
    whole = {**metadata, "format_version": FORMAT_VERSION, "digests": digests}
    if "id" not in whole:
        whole = {"id": hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16], **whole}
    text = json.dumps(whole)

    tensors = {}
    stop = 0
    for name in order:
        start, stop = stop, stop + contents[name][0]
        tensors[name] = {"dtype": arrays[name][0], "shape": list(arrays[name][1]), "data_offsets": [start, stop]}
    own = {"vwlite": text, "vwlite_sha256": _header_digest(text, tensors)}
    header = json.dumps({"__metadata__": own, **tensors}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_LIMIT:
        _fail(path, f"the metadata would take {len(header)} bytes of at most {HEADER_LIMIT}", "nothing was written")
    return chain(
        (len(header).to_bytes(8, "little") + header,), (piece for name in order for piece in contents[name][1])
    )


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file atomically, as a model; raises `ModelError` if it can't be written."""
    path = os.fspath(path)
    try:
        with writing(path, sync=True) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not written: {explain(error, path)}") from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raises `ModelError` if a file can't be written; called before a long run."""
    path = os.fspath(path)
    if inherited(path) is not None:
        return
    try:
        target = os.path.realpath(path)
        found = state(path)
        if found is not None and not stat.S_ISREG(found.st_mode):
            require_stream(found)
        while not os.path.exists(target):
            target = os.path.dirname(target)
        code = 0
        if target != os.path.realpath(path) and not os.path.isdir(target):
            code = errno.ENOTDIR
        elif not os.access(target, os.W_OK) and os.path.exists(target):  # another process may have renamed it just now
            code = errno.EACCES
        if code:
            raise OSError(code, os.strerror(code))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: can't be written: {explain(error, path)}") from error


def open(path: str | os.PathLike[str], by: str = "") -> ModelReader:
    """Opens a model file and checks its header; raises `ModelError`, with what to do, if it is invalid.

    A model that says that only one command reads it ("read_by" in its metadata) is refused to all others; `by` names
    the command.
    """
    path = os.fspath(path)
    try:
        with builtins.open(path, "rb", buffering=0) as file:
            reader = _read(path, file)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot read the model: {explain(error, path)}") from error
    if reader.metadata.get("read_by", by) != by:
        _fail(
            path, f"is a model for {reader.metadata['read_by']}", f"`{reader.metadata['read_by']} -i {path}` reads it"
        )
    return reader


def from_bytes(name: str, content: bytes | bytearray | memoryview) -> ModelReader:
    """Reads the bytes of a model file and checks their header; raises `ModelError` if they are invalid."""
    return _read(name, io.BytesIO(content))


def _fail(path: str, what: str, remedy: str) -> NoReturn:
    raise ModelError(f"{path}: {what}; {remedy}")


def _fail_damaged(path: str, what: str) -> NoReturn:
    _fail(path, f"the file is damaged: {what}", "restore it from a copy or train again")


def _fail_foreign(path: str, what: str) -> NoReturn:
    _fail(path, what, "give a model that vwlite saved, or train again with -f")


def _header_digest(text: str, tensors: Mapping[str, Any]) -> str:
    kinds = {name: [tensor["dtype"], tensor["shape"]] for name, tensor in tensors.items()}
    return hashlib.sha256(json.dumps([text, kinds], sort_keys=True).encode()).hexdigest()


# Writing


def _as_pieces(name: str, dtype: str, shape: Sequence[int], buffer: Any) -> tuple[int, Iterable[bytes | memoryview]]:
    """The size of an array in bytes, and the bytes in pieces."""
    if dtype not in ITEM_SIZES:
        raise ValueError(f"array {name!r}: type {dtype!r} is none of {', '.join(ITEM_SIZES)}")
    pieces: Iterable[bytes | memoryview]
    try:
        view = memoryview(buffer)
    except TypeError:
        nbytes, whole, pieces = buffer.nbytes, True, buffer
    else:
        # A view with a zero in its shape can't be cast.
        nbytes, whole = view.nbytes, view.c_contiguous
        pieces = [view.cast("B")] if nbytes and whole else []
    if name == "__metadata__" or not whole or nbytes != ITEM_SIZES[dtype] * math.prod(shape):
        raise ValueError(f"array {name!r}: {nbytes} bytes do not make a {dtype} array of shape {list(shape)}")
    return nbytes, pieces


def _digest(pieces: Iterable[bytes | memoryview]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


# Reading


def _read(path: str, file: io.FileIO | io.BytesIO) -> ModelReader:
    state = None if isinstance(file, io.BytesIO) else os.fstat(file.fileno())
    regular = state is not None and stat.S_ISREG(state.st_mode)
    start = _read_exactly(file, 72)  # enough for the length, and for the longest version VW reads back
    if not start:
        _fail_foreign(path, "the file is empty")
    length = _header_length(path, start)
    header = start[8:] + _read_exactly(file, length - len(start) + 8)
    if len(header) < length:
        _fail_damaged(path, f"it ends after {len(header)} of {length} bytes of its header")
    metadata, tensors = _parse_header(path, header[:length])
    entries, size = _check_tensors(path, tensors, metadata["digests"])

    if regular and state is not None:
        present = state.st_size - 8 - length
    else:
        data = memoryview(header[length:] + _read_exactly(file, size + 1 + length - len(header)))
        present = len(data)
    if present < size:
        _fail_damaged(path, f"it ends after {present} of {size} bytes of its arrays")
    if present > size:
        _fail_damaged(path, f"more follows the {size} bytes of its arrays")
    if regular:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length :]
    return ModelReader(path, metadata, entries, data)


def _read_exactly(file: io.FileIO | io.BytesIO, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(min(size, 1 << 24))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _header_length(path: str, start: bytes) -> int:
    # VW's own models start with the length and the text of VW's version.
    if version := re.match(rb"[\x02-\x40]\0\0\0(\d+\.\d+\.\d+[\w.+-]*)\0", start):
        _fail_foreign(path, f"is a model of Vowpal Wabbit {version[1].decode()}, which vwlite cannot read")
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:9] != b"{" or not 2 <= length <= HEADER_LIMIT:
        _fail_foreign(path, "is not a vwlite model")
    return length


def _parse_header(path: str, header: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the metadata and the descriptions of the arrays, after checking their digest."""
    try:
        # A UnicodeDecodeError and a JSONDecodeError are ValueErrors.
        tensors = json.loads(header.decode(), object_pairs_hook=_ObjectReader())
        own = tensors.pop("__metadata__", None)
        if not isinstance(own, dict) or not isinstance(own.get("vwlite"), str):
            _fail_foreign(path, "is a safetensors file, but not one of vwlite")
        metadata = _parse_metadata(own["vwlite"])
        digest = _header_digest(own["vwlite"], tensors)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        _fail_damaged(path, f"its header cannot be read ({error})")
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if type(version) is not int or version < 1:
        _fail_damaged(path, "its metadata has no format version")
    # Checked before the digest, which a newer format may compute differently.
    if version > FORMAT_VERSION:
        _fail(
            path,
            f"has format version {version}, and this vwlite reads up to {FORMAT_VERSION}",
            "update vwlite (pip install -U vwlite)",
        )
    if own.get("vwlite_sha256") != digest:
        _fail_damaged(path, "its header differs from its sha256")
    if not isinstance(metadata.get("digests"), dict) or metadata["digests"].keys() != tensors.keys():
        _fail_damaged(path, "its digests are not those of its arrays")
    check_metadata(path, metadata)
    return metadata, tensors


class _ObjectReader:
    """Builds the objects of a header, up to ARRAY_LIMIT; raises ValueError for more, and for duplicate names."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.count += 1
        if self.count > ARRAY_LIMIT:
            raise ValueError(f"more than {ARRAY_LIMIT} arrays")
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a name is given twice")
        return result


def _parse_metadata(text: str) -> Any:
    """Parses the metadata; raises ValueError if they are far longer than those of any model."""
    if text.count("[") + text.count("{") > ARRAY_LIMIT + len(text) // TEXT_PER_BRACKET:
        raise ValueError("too many lists and objects for its length")
    metadata = json.loads(text)
    if len(text) > ENTRY_LIMIT and isinstance(metadata, dict):
        for name, value in metadata.items():
            if name not in ("journal", "digests") and len(json.dumps(value)) > ENTRY_LIMIT:
                raise ValueError(f"{name[:40]!r} has more than {ENTRY_LIMIT} characters")
    return metadata


def _check_tensors(path: str, tensors: Mapping[str, Any], names: Mapping[str, Any]) -> tuple[dict[str, _Entry], int]:
    """Returns the offsets of the arrays, in the order of ``names``, and their total size; there are no gaps."""
    entries = {name: _check_tensor(path, name, tensors[name]) for name in names}
    stop = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != stop:
            _fail_damaged(path, f"array {name!r} starts at byte {entry.start} instead of {stop}")
        if entry.start % ITEM_SIZES[entry.dtype]:
            _fail_damaged(path, f"array {name!r} is not aligned")
        stop = entry.stop
    return entries, stop


def _check_tensor(path: str, name: str, tensor: Any) -> _Entry:
    try:
        entry = _Entry(tensor["dtype"], list(tensor["shape"]), *tensor["data_offsets"])
        numbers = [*entry.shape, entry.start, entry.stop]
        if len(entry.shape) > DIMENSION_LIMIT or not all(type(n) is int and 0 <= n < 1 << 63 for n in numbers):
            raise ValueError
        if ITEM_SIZES[entry.dtype] * math.prod(entry.shape) != entry.stop - entry.start:
            raise ValueError
    except (LookupError, TypeError, ValueError):
        _fail_damaged(path, f"the description of array {name!r} does not hold together")
    return entry
