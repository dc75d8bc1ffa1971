"""What the command line and Python ask for: a model in another form."""

from __future__ import annotations

from vwlite.core.files import writing
from vwlite.core.paths import explain
from vwlite.errors import ModelError, OptionError
from vwlite.exporting import linear, python, sql, tables
from vwlite.model.model_file import require_writable

KINDS = ("csv", "json", "python", "sql", "onnx")


def export(path: str, kind: str, output: str | None = None, table: str = "examples") -> str | bytes:  # noqa: DOC502, DOC503
    """Exports a model: as a table of coefficients, or as what scores without vwlite.

    Args:
        path: The model file.
        kind: One of KINDS.
        output: The file to write; None for none.
        table: Of SQL, the name of the table of examples.

    Returns:
        The text, or of ONNX the bytes.

    Raises:
        OptionError: If there is no such kind.
        ModelError: If the model can't be read or exported, or the file can't be written.
        VwliteError: If a package is missing.

    >>> import os, tempfile
    >>> from vwlite import Workspace
    >>> workspace = Workspace()
    >>> _ = workspace.learn([{"price": 2.0, "city": "Bonn"}] * 9, y=[4.0] * 9)
    >>> path = os.path.join(tempfile.mkdtemp(), "m")
    >>> workspace.save(path)
    >>> scope = {}
    >>> exec(export(path, "python"), scope)
    >>> example = {"price": 1.5, "city": "Bonn"}
    >>> abs(scope["predict"](example) - workspace.predict(example)) < 1e-6
    True
    """
    if kind not in KINDS:
        raise OptionError(f"--to {kind}: is none of {', '.join(KINDS)}")
    if output is not None:
        require_writable(output)
    model = linear.read(path)
    found: str | bytes
    if kind == "sql":
        found = sql.write(model, table)
    elif kind == "onnx":
        from vwlite.exporting import onnx

        found = onnx.write(model)
    else:
        found = {"csv": tables.as_csv, "json": tables.as_json, "python": python.write}[kind](model)
    if output is not None:
        save(output, found if isinstance(found, bytes) else found.encode("utf-8", "surrogateescape"))
    return found


def save(output: str, content: bytes) -> None:
    """Writes a file atomically. Raises ModelError if that fails."""
    try:
        with writing(output) as file:
            file.write(content)
    except (OSError, ValueError) as error:
        raise ModelError(f"{output}: not written: {explain(error, output)}") from error
