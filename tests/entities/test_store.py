"""A store of entities that doesn't fit its model, or is damaged, is never used."""

import hashlib
import shutil
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.stores import limited, trained
from vwlite.cli import main
from vwlite.engine.workspace import Workspace
from vwlite.errors import ModelError
from vwlite.model import model_file


def refused(path, flags="--entity_limit 3"):
    with pytest.raises(ModelError) as error:
        Workspace.load(path, flags)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("flags", [limited(3), ""])
def test_a_model_without_its_store_is_refused_and_named(flags, tmp_path):
    trained(tmp_path / "m")
    (tmp_path / "m.entities").rename(tmp_path / "elsewhere")
    said = refused(tmp_path / "m", flags)
    assert f"{tmp_path}/m.entities: there is no such file" in said and "copy it together with the model" in said


@pytest.mark.parametrize("flags", [limited(3), ""])
def test_the_store_of_another_model_is_refused(flags, tmp_path):
    trained(tmp_path / "m")
    trained(tmp_path / "n", seed=2)
    shutil.copy(tmp_path / "n.entities", tmp_path / "m.entities")
    said = refused(tmp_path / "m", flags)
    assert "has the entities of another model" in said and f"{tmp_path}/m.entities" in said


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-4096], "its size differs from that in its header"),
        (lambda text: b"", "is no store of entities"),
        (lambda text: b"x" * len(text), "is no store of entities"),
        (lambda text: text[:100] + b"\xff" * 3996 + text[4096:], "damaged"),
        (lambda text: text[:60] + b"\0\0\0\x63" + text[64:], "newer vwlite"),
    ],
)
def test_a_damaged_store_is_refused_before_anything_runs(damage, words, tmp_path):
    trained(tmp_path / "m")
    store = tmp_path / "m.entities"
    store.write_bytes(damage(store.read_bytes()))
    said = refused(tmp_path / "m")
    assert words in said and str(store) in said


def rewritten(model, change):
    """Change one record, with all checksums right again."""
    path = f"{model}.entities"
    connection = sqlite3.connect(path)
    ((key, record),) = connection.execute("SELECT key, record FROM entities_0 ORDER BY serial LIMIT 1").fetchall()
    changed = change(bytearray(record[4:]))
    record = struct.pack("<I", zlib.crc32(changed)) + changed
    connection.execute("UPDATE entities_0 SET record = ? WHERE key = ?", (bytes(record), key))
    connection.commit()
    connection.close()
    reader = model_file.open(model)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    metadata = {**reader.metadata, "entities": {**reader.metadata["entities"], "sha256": digest}}
    names = reader.names()
    arrays = {name: (reader.dtype(name), reader.shape(name), reader.array(name, reader.dtype(name))) for name in names}
    model_file.write(model, arrays, metadata)


def with_nan(record):
    record[-8:] = struct.pack("<d", float("nan"))
    return record


def with_number(place, number):
    def change(record):
        record[place : place + 4] = struct.pack("<I", number)
        return record

    return change


@pytest.mark.parametrize(
    "change",
    [
        with_nan,
        lambda record: record[:-1],
        lambda record: record + b"1234",
        lambda record: record[:20],
        lambda record: record[:0],
        with_number(0, 2),  # another layout
        with_number(0, 3 | 1 << 8),  # another posterior
        with_number(4, 2**32 - 1),  # coefficients
        with_number(8, 2**32 - 1),  # bytes of the name
        with_number(12, 7),  # waiting examples
        with_number(12, 2**32 - 1),
    ],
)
def test_a_damaged_record_is_never_used(change, tmp_path):
    trained(tmp_path / "m")
    store = str(tmp_path / "m.entities")
    name = next(iter(Workspace.load(tmp_path / "m").top.base.beside[0].entities()))[0]
    rewritten(tmp_path / "m", change)
    workspace = Workspace.load(tmp_path / "m", limited(3))
    for _ in range(2):
        with pytest.raises(ModelError, match=f"{store}: the file is damaged: a record"):
            workspace.predict(f"|user {name} |x a")
    refused(tmp_path / "m", "")
    assert main(["inspect", str(tmp_path / "m")]) != 0


@settings(max_examples=40)
@given(st.data())
def test_no_flipped_byte_goes_unnoticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    trained(folder / "m", users=20)
    store = folder / "m.entities"
    text = bytearray(store.read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    store.write_bytes(bytes(text))
    assert str(store) in refused(folder / "m")
