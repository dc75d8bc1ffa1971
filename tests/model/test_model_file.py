"""A model file is whole or refused, whatever happened to it."""

import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.model_files import ARRAYS, METADATA, content, overwrite, read_bytes
from vwlite.errors import ModelError
from vwlite.model import model_file
from vwlite.model.metadata import SCHEMA

anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def model(tmp_path):
    path = str(tmp_path / "m.model")
    model_file.write(path, ARRAYS, METADATA)
    return path


def seal(path, metadata, tensors, data):
    """Write a file whose digest of the header is right, whatever the header says."""
    text = json.dumps(metadata)
    own = {"vwlite": text, "vwlite_sha256": model_file._header_digest(text, tensors)}
    header = json.dumps({"__metadata__": own, **tensors}).encode()
    header += b" " * (-len(header) % 8)
    overwrite(path, len(header).to_bytes(8, "little") + header + data)


def test_all_that_is_written_is_read_back_in_the_order_given(model):
    metadata, arrays = content(model)
    assert metadata == {**METADATA, "format_version": 1, "digests": metadata["digests"]}
    assert [name for name, _, _ in arrays] == list(ARRAYS)
    values = {name: (shape, values) for name, shape, values in arrays}
    assert values == {
        "gd.bias": ([3], [97, 98, 99]),
        "gd.index": ([3], [1, 5, 9]),
        "gd.weight": ([3], [0.5, -1.5, 2.0]),
        "gd.table": ([2, 2], [1, 2, 3, 4]),
        "gd.count": ([], [-7]),
        "gd.slots": ([1], [2**64 - 1]),
        "gd.nothing": ([0], []),
        "gd.nowhere": ([2, 0], []),
    }


def test_views_are_typed_aligned_and_read_only(model):
    reader = model_file.open(model)
    for name, code in [("gd.index", "I"), ("gd.weight", "f"), ("gd.table", "d"), ("gd.count", "q"), ("gd.bias", "B")]:
        view = reader.array(name, reader.dtype(name))
        assert (view.format, view.readonly, view.ndim) == (code, True, 1)
        assert np.asarray(view).ctypes.data % view.itemsize == 0


def test_digests_are_those_of_the_bytes(model):
    digests = model_file.open(model).metadata["digests"]
    assert digests == {name: hashlib.sha256(bytes(buffer)).hexdigest() for name, (_, _, buffer) in ARRAYS.items()}


def test_the_safetensors_package_reads_it(model):
    arrays = safetensors.numpy.load_file(model)
    assert arrays["gd.weight"].tolist() == [0.5, -1.5, 2.0]
    assert arrays["gd.table"].tolist() == [[1, 2], [3, 4]]
    assert arrays["gd.count"].shape == ()
    assert arrays["gd.nowhere"].shape == (2, 0)
    with safetensors.safe_open(model, framework="numpy") as file:
        assert json.loads(file.metadata()["vwlite"])["id"] == "abc"


def test_a_model_that_the_safetensors_package_saved_again_is_the_same_model(model, tmp_path):
    again = str(tmp_path / "again.safetensors")
    with safetensors.safe_open(model, framework="numpy") as file:
        safetensors.numpy.save_file({name: file.get_tensor(name) for name in file.keys()}, again, file.metadata())  # noqa: SIM118
    assert read_bytes(again) != read_bytes(model)
    assert content(again) == content(model)


def test_a_file_of_the_safetensors_package_is_refused_as_foreign(tmp_path):
    path = str(tmp_path / "other.safetensors")
    safetensors.numpy.save_file({"a": np.zeros(3, dtype=np.float32)}, path, metadata={"by": "another"})
    with pytest.raises(ModelError, match=r"is a safetensors file, but not one of vwlite; .*train again"):
        model_file.open(path)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=9).filter(lambda name: name != "__metadata__"),
        st.sampled_from(["F32", "F64", "I64", "U64", "U32", "U8"]).flatmap(
            lambda dtype: st.tuples(st.just(dtype), st.lists(st.integers(0, 4), max_size=3), st.randoms())
        ),
        max_size=6,
    ),
    st.dictionaries(
        st.text(max_size=5).filter(lambda name: name not in SCHEMA),  # those have kinds of their own
        st.one_of(st.none(), st.integers(-(2**64) + 1, 2**64 - 1), st.floats(allow_nan=False), st.text()),
    ),
)
@anywhere
def test_any_arrays_and_metadata_come_back(tmp_path, drawn, metadata):
    arrays = {
        name: (dtype, shape, random.randbytes(int(np.prod(shape)) * (int(dtype[1:]) // 8)))
        for name, (dtype, shape, random) in drawn.items()
    }
    path = tmp_path / "any.model"
    model_file.write(path, arrays, metadata)
    reader = model_file.open(path)
    assert reader.names() == list(arrays)
    assert {**reader.metadata, **metadata} == reader.metadata
    for name, (dtype, shape, data) in arrays.items():
        assert reader.shape(name) == shape
        assert reader.array(name, dtype).tobytes() == data
    assert safetensors.numpy.load_file(path).keys() == arrays.keys()


# Damage


def test_a_file_with_any_flipped_byte_is_refused_or_means_the_same(model):
    whole, good = read_bytes(model), content(model)
    refused = 0
    for place in range(len(whole)):
        for flip in (0x01, 0x10, 0x80):
            data = bytearray(whole)
            data[place] ^= flip
            overwrite(model, data)
            try:
                assert content(model) == good
            except ModelError:
                refused += 1
    assert refused > 2.9 * len(whole)


@given(st.data())
@anywhere
def test_a_file_with_any_changed_part_is_refused_or_means_the_same(model, data):
    model_file.write(model, ARRAYS, METADATA)
    whole, good = read_bytes(model), content(model)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, min(start + 40, len(whole))))
    overwrite(model, whole[:start] + data.draw(st.binary(max_size=40)) + whole[stop:])
    with contextlib.suppress(ModelError):
        assert content(model) == good


def test_a_file_cut_short_anywhere_is_refused(model):
    whole = read_bytes(model)
    for size in range(len(whole)):
        overwrite(model, whole[:size])
        with pytest.raises(ModelError):
            content(model)


def test_a_file_with_something_appended_is_refused(model):
    overwrite(model, read_bytes(model) + b"\0")
    with pytest.raises(ModelError, match="more follows"):
        model_file.open(model)


@given(st.one_of(st.binary(), st.builds(lambda b: len(b).to_bytes(8, "little") + b, st.binary().map(b"{".__add__))))
@anywhere
def test_any_other_bytes_are_refused(tmp_path, data):
    path = str(tmp_path / "random")
    overwrite(path, data)
    with pytest.raises(ModelError) as caught:
        model_file.open(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' * 60_000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"__metadata__":{"vwlite":"' + b"[" * 200_000 + b'"}}',
        b'{"__metadata__":{"vwlite":"[1]"}}',
        b'{"__metadata__":{"vwlite":"{}","vwlite":"{}"}}',
        b'{"__metadata__":[]}',
        b'{"__metadata__":{"vwlite":"{}"},"a":null}',
        b'{"__metadata__":{"vwlite":"{}"},"a":{"dtype":"F32"}}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\xff"}',
    ],
)
def test_hostile_headers_are_refused(tmp_path, header):
    path = str(tmp_path / "hostile")
    overwrite(path, len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError):
        model_file.open(path)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1] * 9 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**64], "data_offsets": [0, 2**66]},
        {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
    ],
)
def test_descriptions_that_do_not_hold_together_are_refused(tmp_path, tensor):
    path = str(tmp_path / "odd")
    seal(path, {"format_version": 1, "digests": {"a": "0"}}, {"a": tensor}, bytes(8))
    with pytest.raises(ModelError):
        model_file.open(path)


def test_overlapping_and_misaligned_arrays_are_refused(tmp_path):
    path = str(tmp_path / "odd")
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    seal(path, {"format_version": 1, "digests": {"a": "0", "b": "0"}}, {"a": one, "b": one}, bytes(8))
    with pytest.raises(ModelError, match="starts at byte 0 instead of 8"):
        model_file.open(path)
    tensors = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]},
    }
    seal(path, {"format_version": 1, "digests": {"a": "0", "b": "0"}}, tensors, bytes(5))
    with pytest.raises(ModelError, match="not aligned"):
        model_file.open(path)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        [],
        {"format_version": 1},
        {"format_version": True, "digests": {}},
        {"format_version": 0, "digests": {}},
        {"format_version": 1, "digests": {"b": "0"}},
        {"format_version": 1, "digests": ["a"]},
    ],
)
def test_metadata_that_lacks_what_it_needs_is_refused(tmp_path, metadata):
    path = str(tmp_path / "odd")
    seal(path, metadata, {}, b"")
    with pytest.raises(ModelError):
        model_file.open(path)


def test_a_damaged_array_is_named_and_the_others_are_still_readable(model):
    data = bytearray(read_bytes(model))
    data[data.index(np.array([0.5, -1.5, 2.0], dtype=np.float32).tobytes())] ^= 1
    overwrite(model, data)
    reader = model_file.open(model)
    assert reader.array("gd.index", "U32").tolist() == [1, 5, 9]
    for _ in range(2):
        with pytest.raises(ModelError, match=r"array 'gd.weight' differs from its sha256; restore"):
            reader.array("gd.weight", "F32")


def test_asking_for_what_is_not_there_says_so(model):
    reader = model_file.open(model)
    with pytest.raises(ModelError, match=r"m.model: has no array 'bayes.mean'; "):
        reader.array("bayes.mean", "F32")
    with pytest.raises(ModelError, match=r"array 'gd.weight' is F32 where F64 is expected; "):
        reader.array("gd.weight", "F64")


def test_a_newer_format_asks_for_an_update(tmp_path):
    path = str(tmp_path / "newer")
    seal(path, {"format_version": 2}, {}, b"")
    with pytest.raises(ModelError, match=r"format version 2.*reads up to 1; update vwlite"):
        model_file.open(path)


def test_a_model_of_vowpal_wabbit_is_recognised(tmp_path):
    path = str(tmp_path / "vw.model")
    overwrite(path, bytes.fromhex("07000000 392e31312e3900 01000000 00 6d00000000000000 0012000000"))
    with pytest.raises(ModelError, match=r"is a model of Vowpal Wabbit 9\.11\.9, .*; .*train again"):
        model_file.open(path)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: overwrite(f"{path}el", b""), "no such file; did you mean .*/m.model"),
        (os.mkdir, "is a folder"),
        (lambda path: overwrite(path, b""), "the file is empty; "),
        (lambda path: overwrite(path, b"1 | a b\n" * 9), "is not a vwlite model; .*train again"),
        (lambda path: Path(path).symlink_to(path), "symbolic link"),
    ],
)
def test_what_cannot_be_a_model_is_refused_in_one_line(tmp_path, prepare, message):
    path = str(tmp_path / "m.mod")
    prepare(path)
    with pytest.raises(ModelError, match=message) as caught:
        model_file.open(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_name_that_no_file_can_have_is_a_model_error():
    with pytest.raises(ModelError):
        model_file.open("a\0b")
    with pytest.raises(ModelError):
        model_file.write("a\0b", {}, {})


def test_a_model_can_come_through_a_pipe(model, tmp_path):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for data, good in [(read_bytes(model), True), (read_bytes(model)[:-1], False), (read_bytes(model) + b"x", False)]:
        writer = threading.Thread(target=overwrite, args=(pipe, data))
        writer.start()
        if good:
            assert content(pipe) == content(model)
        else:
            with pytest.raises(ModelError):
                content(pipe)
        writer.join()


MANY = 20_000_000  # bytes of a header
NOTHING = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def sealed(**metadata):
    """A header whose digest is right."""
    text = json.dumps({"format_version": 1, "digests": {}, **metadata})
    own = {"vwlite": text, "vwlite_sha256": model_file._header_digest(text, {})}
    return json.dumps({"__metadata__": own}).encode()


LONG_HEADERS = {
    "arrays": lambda: json.dumps({str(i): NOTHING for i in range(MANY // 60)}).encode(),
    "one array again and again": lambda: b"{" + b'"a":{},' * (MANY // 7) + b'"a":{}}',
    "nothing": lambda: b"{" + b" " * MANY + b"}",
    "depth": lambda: b'{"a":' + b"[" * (MANY // 2) + b"]" * (MANY // 2) + b"}",
    "a number": lambda: b'{"a":' + b"1" * MANY + b"}",
    "runs that are empty": lambda: sealed(journal=[{} for _ in range(MANY // 4)]),
    "options": lambda: sealed(options={"random_effect": ["u"] * (MANY // 5)}),
}


@pytest.mark.parametrize("name", LONG_HEADERS)
def test_a_header_of_20_mb_is_refused_at_once(tmp_path, name):
    path, header = str(tmp_path / "m.model"), LONG_HEADERS[name]()
    overwrite(path, len(header).to_bytes(8, "little") + header)
    began = time.process_time()
    with pytest.raises(ModelError):
        model_file.open(path)
    assert time.process_time() - began < (12 if os.environ.get("VWLITE_SANITIZED") else 3)  # it took 2 to 20


def test_a_model_of_many_runs_is_read(tmp_path):
    path = str(tmp_path / "m.model")
    sources = [{"name": "a.txt", "sha256": "0" * 64, "bytes": 7}]
    run = {"when": "2026", "version": "0.1.0", "arguments": [], "seed": 0, "sources": sources, "examples": 7}
    runs = [{**run, "loss_before": None, "loss_after": 0.1, "parent": None}] * 60_000
    model_file.write(path, ARRAYS, {**METADATA, "journal": runs})
    assert model_file.open(path).metadata["journal"] == runs
