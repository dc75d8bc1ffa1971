"""The reader of pickles: whatever the bytes say, nothing is imported, called or written, and the answer comes soon."""

import contextlib
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import tracemalloc
from typing import Any

import dill
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from river import linear_model, preprocessing

from vwlite.http.calls import json_answer
from vwlite.http.pickles import MOST_BYTES, MOST_DEEP, MOST_SHOWN, Call, Dict, Name, Unreadable, parts, plain, read
from vwlite.http.problems import Problem
from vwlite.http.uploads import read_upload

MANY = 20_000_000  # bytes that no program may take


class Runs:
    """An object whose pickle runs a command when it is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def text(word):
    """The step that pushes a text."""
    data = word.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def name(module, word):
    """The steps that push a name."""
    return text(module) + text(word) + b"\x93"


def program(*steps):
    """A program of protocol 4."""
    return b"\x80\x04" + b"".join(steps) + b"."


def upload(data, flavor="regression"):
    """What an upload is answered, as JSON can say it."""
    try:
        found = read_upload(data, flavor, False)
        said: Any = [found.kind, found.words, found.notes, found.steps]
    except Problem as problem:
        said = problem.members()
    return json_answer(said)


def shown(data):
    """What the reader makes of bytes, and shows; None for what it refuses."""
    try:
        return json_answer(plain(read(data)))
    except Unreadable:
        return None


EVENTS: list[str] = []  # that the interpreter reports while it is watched
WATCHED = ("import", "open", "exec", "compile", "os.", "subprocess.", "pickle.", "socket.", "shutil.", "ctypes.")
WATCHES = [False]


def note(event, arguments):
    """Notes what the interpreter is about to do."""
    if WATCHES[0] and event.startswith(WATCHED):
        EVENTS.append(f"{event} {arguments!r:.100}")


sys.addaudithook(note)
"".encode("raw_unicode_escape")  # a codec of old protocols, which the interpreter loads when it is used first


@contextlib.contextmanager
def nothing_happens():
    """Fails if anything is imported, opened, compiled or run."""
    EVENTS.clear()
    modules = set(sys.modules)
    WATCHES[0] = True
    try:
        yield
    finally:
        WATCHES[0] = False
    assert not EVENTS
    assert set(sys.modules) == modules


def test_what_happens_is_seen(tmp_path):
    for function in (
        lambda: open(tmp_path / "file", "w").close(),
        lambda: pickle.loads(pickle.dumps(Runs(len, "abc"))),
    ):
        with pytest.raises(AssertionError), nothing_happens():
            function()


# dangerous programs


REDUCED = {
    "os.system": (Runs(os.system, "touch touched"), Name("posix", "system")),
    "eval": (Runs(eval, "open('touched', 'w')"), Name("builtins", "eval")),
    "exec": (Runs(exec, "open('touched', 'w')"), Name("builtins", "exec")),
    "subprocess": (Runs(subprocess.Popen, ["touch", "touched"]), Name("subprocess", "Popen")),
    "open": (Runs(open, "touched", "w"), Name("_io", "open")),
    "import": (Runs(__import__, "antigravity"), Name("builtins", "__import__")),
    "in a chain": (Runs(getattr, Runs(__import__, "os"), "system"), Name("builtins", "getattr")),
}


NEW = {"__builtin__": "builtins", "io": "_io", "commands": "subprocess"}  # names of modules that old protocols have


@pytest.mark.parametrize("what", REDUCED)
@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_data(what, protocol):
    value, function = REDUCED[what]
    data = pickle.dumps(value, protocol)
    with nothing_happens():
        found = read(data)
        answer = upload(data).body
    assert isinstance(found, Call)
    names = {each for each in parts(found) if isinstance(each, Name)}
    assert function in {Name(NEW.get(each.module, each.module), each.name) for each in names}
    assert b"upload names" in answer
    assert b"nothing in an upload is run" in answer


@pytest.mark.parametrize("what", REDUCED)
def test_a_model_that_hides_a_call_is_refused(what):
    for place in ("extra", "_weights", "l2", "loss"):
        model = linear_model.LinearRegression()
        setattr(model, place, REDUCED[what][0])
        for data in (pickle.dumps(model), dill.dumps(model)):
            with nothing_happens():
                answer = upload(data).body
            assert b'"status":400' in answer.replace(b" ", b"")


HAND = {
    "INST": b"(S'touch touched'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch touched'\no.",
    "GLOBAL and REDUCE": b"cos\nsystem\n(S'touch touched'\ntR.",
    "NEWOBJ": program(name("subprocess", "Popen"), text("touch"), b"\x85\x81"),
    "NEWOBJ_EX": program(name("subprocess", "Popen"), b")", b"}", text("args"), text("touch touched"), b"s\x92"),
    "BUILD": program(name("builtins", "object"), b")\x81}", text("__class__"), name("os", "system"), b"sb"),
}
OUTSIDE = {
    "PERSID": b"Psomewhere\n.", "BINPERSID": program(text("somewhere"), b"Q"), "EXT1": program(b"\x82\x01"),
    "EXT2": program(b"\x83\x01\x00"), "EXT4": program(b"\x84\x01\x00\x00\x00"), "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05\x97\x98.",
}  # fmt: skip


@pytest.mark.parametrize("what", HAND)
def test_programs_by_hand_are_data(what):
    with nothing_happens():
        found = read(HAND[what])
        answer = upload(HAND[what]).body
    assert isinstance(found, Call)
    assert b"upload names" in answer


@pytest.mark.parametrize("what", OUTSIDE)
def test_what_refers_to_something_outside_is_refused(what):
    with pytest.raises(Unreadable, match="outside the pickle"):
        read(OUTSIDE[what])


# limits


def nest(count):
    """Steps that leave nothing on the stack, and a tuple of 2 ** count parts in the memo at `count`."""
    doubled = b"".join(b"h%ch%c\x86q%c0" % (i, i, i + 1) for i in range(count))
    return b")q\x000" + doubled


LOSS = (text("loss"), name("river.optim.losses", "Squared"), b")\x81")
LINEAR = (name("river.linear_model", "LinearRegression"), b")\x81")
PIPELINE = (name("river.compose", "Pipeline"), b")\x81")
BIG = b"\x8b" + struct.pack("<I", 5000) + b"\x7f" * 5000  # a number of 40,000 bits
COSTLY = {
    "billion laughs": program(nest(60), b"h\x3c"),
    "as a key": program(nest(60), b"}h\x3cNs"),
    "as a key of a state": program(nest(60), *LINEAR, b"}h\x3cNsb"),
    "as a key of an attribute": program(nest(60), *LINEAR, b"}", *LOSS, b"}h\x3cNsbsb"),
    "as a function": program(nest(60), b"h\x3c)R"),
    "as a number": program(nest(60), *LINEAR, b"}(", *LOSS, text("l2"), b"h\x3cub"),
    "a deep list": program(b"]" * 90_000, b"a" * 89_999),
    "a deep tuple as a key": program(b"})", b"\x85" * 90_000, b"Ns"),
    "a list in itself": program(b"]q\x00", b"(h\x00h\x00h\x00e" * 30_000),
    "an object in itself": program(*LINEAR, b"q\x00}", text("loss"), b"h\x00sb"),
    "a pipeline in itself": program(*PIPELINE, b"q\x00}", text("steps"), b"}", text("a"), b"h\x00ssb"),
    "a pipeline without state": program(*PIPELINE),
    "many marks": program(b"(" * 99_000, b"1" * 99_000, b"N"),
    "steps": program(b"N0" * 150_000, b"N"),
    "bytes": program(b"C\x00" * (MOST_BYTES // 2)),
    "a large memo": program(b"N", b"r\xff\xff\xff\xff", b"0j\xff\xff\xff\xff"),
    "a memo by text": b"Np99999999999999999999\n.",
    "bytes of 2 ** 62": b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b"abc.",
    "bytes of 2 ** 64 - 1": b"\x80\x05\x8e" + b"\xff" * 8 + b"abc.",
    "a text of 2 ** 32 - 1": b"X\xff\xff\xff\xffabc.",
    "a long of 2 ** 31 - 1": b"\x8b\xff\xff\xff\x7fabc.",
    "a negative length": b"\x8b\xff\xff\xff\xffabc.",
    "a frame of 2 ** 63": b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + b"N.",
    "a number of 40,000 bits": program(BIG),
    "as a rate": program(*LINEAR, b"}(", *LOSS, text("l2"), BIG, b"ub"),
    "as an attribute": program(*LINEAR, b"}(", *LOSS, text("extra"), BIG, b"ub"),
    "a number of 10,000 digits": b"I" + b"1" * 10_000 + b"\n.",
    "a number of 4,000 digits": b"I" + b"1" * 4_000 + b"\n.",
    "no UTF-8": program(text("--l\ud800")),
    "no UTF-8 in a name": program(name("river.x", "A\ud800"), b")\x81"),
    "no UTF-8 in another name": program(name("o\ud800s", "system"), b")\x81"),
    "a long name": program(name("river.x", "A" * 900_000), b")\x81"),
    "long flags": program(text("--loss_function " + "a" * 900_000)),
    "not a number": program(*LINEAR, b"}(", *LOSS, text("l2"), b"G" + struct.pack(">d", float("nan")), b"ub"),
}  # fmt: skip


@pytest.mark.parametrize("what", COSTLY)
def test_costly_programs_are_answered_within_bounds(what):
    tracemalloc.start()
    try:
        with nothing_happens():
            shown(COSTLY[what])
            answer = upload(COSTLY[what])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MANY + 20 * len(COSTLY[what])
    assert len(answer.body) < 50_000


def test_branches_that_share_steps_are_not_multiplied():
    """Unions of pipelines, each of which has the next one a hundred times: 100 ** 9 steps."""
    steps = [name("river.compose", "Discard"), b")\x81}", text("keys"), b"]sb", b"q\x000"]
    for i in range(9):
        branch = b"".join(text(f"s{k}") + b"h%c" % i for k in range(100))
        inside = (*PIPELINE, b"}", text("steps"), b"}(", branch, b"usb")
        steps += [name("river.compose", "TransformerUnion"), b")\x81}", text("transformers"), b"}", text("a"), *inside]
        steps += [b"ssb", b"q%c0" % (i + 1)]
    both = (text("a"), b"h\x09s", text("b"), *LINEAR, b"s")
    data = program(*steps, *PIPELINE, b"}", text("steps"), b"}", *both, b"sb")
    assert b"more than" in upload(data).body or b"too deep" in upload(data).body


def test_limits_are_said():
    with pytest.raises(Unreadable, match="at most 1,048,576"):
        read(bytes(MOST_BYTES + 1))
    with pytest.raises(Unreadable, match="more than 200,000 steps"):
        read(program(b"N0" * 100_000, b"N"))
    with pytest.raises(Unreadable, match="exhausted"):
        read(b"\x80\x04N")
    with pytest.raises(Unreadable, match="one value"):
        read(b"NN.")
    for value in ([0] * (MOST_SHOWN + 1), pickle.loads(program(b"]" * (MOST_DEEP + 5), b"a" * (MOST_DEEP + 4)))):
        with pytest.raises(Unreadable, match="too deep, or too large"):
            plain(value)


# any values, any damage

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


def same(read_value, value):
    """Whether what was read is the value."""
    if isinstance(read_value, Dict):
        keys = [key for key, _ in read_value.items] == list(value)
        return keys and all(same(one, other) for (_, one), other in zip(read_value.items, value.values(), strict=True))
    if isinstance(value, (list, tuple)):
        return len(read_value) == len(value) and all(map(same, read_value, value))
    return read_value == value and type(read_value) is type(value)


@given(VALUES, st.integers(3, 5))
def test_plain_values_are_read_as_they_are(value, protocol):
    assert same(read(pickle.dumps(value, protocol)), value)
    shown(pickle.dumps(value, protocol))


@given(VALUES, st.integers(0, 2))
def test_old_protocols_are_read_too(value, protocol):
    """Bytes are calls of a codec there."""
    with nothing_happens():
        assert type(read(pickle.dumps(value, protocol))) in (type(value), Dict, Call, tuple, list)


def trained():
    """A pipeline with weights."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    for i in range(5):
        model.learn_one({"a": i, "b": 1.0}, i % 2 == 0)
    return model


SEEDS = [
    *(pickle.dumps({"options": "--oaa 3", "a": [1, (2.5, None, b"c", "d" * 300)]}, protocol) for protocol in range(6)),
    *(pickle.dumps(trained(), protocol) for protocol in range(2, 6)),
    *(dill.dumps(trained(), protocol) for protocol in range(2, 6)),
    *(pickle.dumps(Runs(os.system, "touch touched"), protocol) for protocol in range(6)),
    *HAND.values(),
    *OUTSIDE.values(),
]
CODES = st.sampled_from([code.code.encode("latin-1") for code in pickletools.opcodes])
PIECE = CODES | st.binary(max_size=9) | st.sampled_from([b"h\x00", b"q\x00", b"\x94", b"(", b"\xff" * 8])


@st.composite
def damaged(draw):
    """A pickle in which bytes are exchanged, inserted, left out or repeated."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data[start:end] = draw(st.one_of(PIECE, st.just(bytes(data[start:end]) * 3)))
    return bytes(data)


@given(damaged() | st.lists(PIECE, max_size=40).map(b"".join))
@example(b"")
@example(b"\x80")
def test_damaged_pickles_are_read_or_refused(data):
    with nothing_happens():
        shown(data)
        for flavor in ("regression", "custom"):
            upload(data, flavor)
        try:
            assert list(parts(read(data)))
        except Unreadable:
            return
