"""Reader of pickles as data: nothing is imported and nothing is called, whatever the bytes say.

A pickle is a program for a stack machine, which names functions and calls them. Here the machine's values are records:
a global is its name, a call is a function's name with arguments, an object is a class's name with its state. So
``os.system("...")`` becomes ``Call(Name("posix", "system"), ("...",))``, which can be shown, and nothing else.

>>> import pickle
>>> read(pickle.dumps({"options": "--oaa 3"})).items
[('options', '--oaa 3')]
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_BYTES = 1 << 20
MOST_STEPS = 200_000  # of the machine
MOST_DEEP = 40  # objects inside each other that plain() shows
MOST_SHOWN = 5_000  # values that plain() shows
LONGEST_SHOWN = 200  # characters of a text in a message
MOST_BITS = 63  # of a whole number that plain() shows


class Unreadable(ValueError):
    """Bytes that are no pickle, are cut short or too large, or refer to something outside them."""


class Name(NamedTuple):
    """The name of a function or class."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)  # what refers to itself many times would have an endless one
class Call:
    """A call that was not made, or an object that was not built.

    Args:
        function: The function or class, mostly a Name.
        arguments: A tuple, as far as the bytes are well-formed.
        state: What the object's ``__setstate__`` would get, or its attributes.
        items: Pairs that would be set.
        members: Values that would be appended.
    """

    function: Any
    arguments: Any
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)
    members: list[Any] = field(default_factory=list)


@dataclass(eq=False, repr=False)
class Dict:
    """A dict, as pairs: its keys may be anything."""

    items: list[tuple[Any, Any]] = field(default_factory=list)


class Mark(NamedTuple):
    """The bottom of a group of values on the stack."""


MARK = Mark()
VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "SHORT_BINUNICODE"),
    *("BINUNICODE", "BINUNICODE8", "UNICODE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "BYTEARRAY8"),
}
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
OUTSIDE = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}


class Machine:
    """The stack machine. Steps that make no sense raise IndexError, KeyError, TypeError or Unreadable."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}  # a dict, so that large numbers make no room

    def to_mark(self) -> list[Any]:
        """Takes the values above the last mark, and the mark, off the stack."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                found = self.stack[i + 1 :]
                del self.stack[i:]
                return found
        raise Unreadable("no mark is on the stack")

    def pop(self) -> Any:
        """Takes the top value off the stack. Raises Unreadable for a mark."""
        value = self.stack.pop()
        if value is MARK:
            raise Unreadable("a mark where a value is expected")
        return value

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)

    def tuple_of(self, count: int) -> None:
        """Makes a tuple of the top values."""
        values = tuple(self.pop() for _ in range(count))
        self.push(values[::-1])

    def append(self, values: list[Any]) -> None:
        """Adds members to the list or object on top."""
        target = self.stack[-1]
        if isinstance(target, Call):
            target.members += values
        elif isinstance(target, list):
            target += values
        else:
            raise Unreadable(f"members of a {type(target).__name__}")

    def set_items(self, values: list[Any]) -> None:
        """Adds pairs to the dict or object on top."""
        target = self.stack[-1]
        if not isinstance(target, (Call, Dict)):
            raise Unreadable(f"items of a {type(target).__name__}")
        target.items += pairs(values)

    def call(self, function: Any, arguments: Any) -> None:
        """Notes a call."""
        self.push(Call(function, arguments))

    def build(self, _: Any) -> None:
        """Notes the state of the object on top."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, Call) or target.state is not None:
            raise Unreadable("a state of what is no object, or a second one")
        target.state = state

    def stack_global(self, _: Any) -> None:
        """Makes a name of two texts."""
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise Unreadable("a name that is no text")
        self.push(Name(module, name))

    def reduce(self, _: Any) -> None:
        """Notes a call with the arguments on top."""
        arguments = self.pop()
        self.call(self.pop(), arguments)

    def new_with_names(self, _: Any) -> None:
        """Notes an object made with named arguments."""
        named, arguments = self.pop(), self.pop()
        self.call(self.pop(), (arguments, named))

    def object_of(self, _: Any) -> None:
        """Notes an object of the class behind the mark."""
        function, *arguments = self.to_mark()
        self.call(function, tuple(arguments))

    def set_item(self, _: Any) -> None:
        """Adds a pair to the dict or object on top."""
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def remember(self, place: Any) -> None:
        """Stores the top value under a number, by default the next."""
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]


def pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    """Keys and values in turn, as pairs. Raises Unreadable for an odd number."""
    if len(values) % 2:
        raise Unreadable("a key without a value")
    return list(zip(values[::2], values[1::2], strict=True))


def named(text: str) -> Name:
    """The name of the steps GLOBAL and INST."""
    module, blank, name = text.partition(" ")
    if not blank:
        raise Unreadable("a name without a module")
    return Name(module, name)


STEPS: dict[str, Callable[[Machine, Any], Any]] = {
    "MARK": lambda machine, _: machine.push(MARK),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push(Dict()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "LIST": lambda machine, _: machine.push(machine.to_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.to_mark()),
    "DICT": lambda machine, _: machine.push(Dict(pairs(machine.to_mark()))),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "ADDITEMS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "GLOBAL": lambda machine, argument: machine.push(named(argument)),
    "STACK_GLOBAL": Machine.stack_global,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.new_with_names,
    "INST": lambda machine, argument: machine.call(named(argument), tuple(machine.to_mark())),
    "OBJ": Machine.object_of,
    "BUILD": Machine.build,
    "MEMOIZE": Machine.remember,
    "PUT": Machine.remember,
    "BINPUT": Machine.remember,
    "LONG_BINPUT": Machine.remember,
    "GET": lambda machine, argument: machine.push(machine.memo[argument]),
    "BINGET": lambda machine, argument: machine.push(machine.memo[argument]),
    "LONG_BINGET": lambda machine, argument: machine.push(machine.memo[argument]),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.to_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
}


def read(data: bytes) -> Any:
    """Reads a pickle.

    Args:
        data: Its bytes.

    Returns:
        The value: numbers, texts, bytes, None, lists and tuples as they are; a Dict; a Name; a Call.

    Raises:
        Unreadable: If it is none, is larger than MOST_BYTES or has more than MOST_STEPS steps, or refers to something
            outside it.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable(f"{len(data):,} bytes, of which at most {MOST_BYTES:,} are read")
    machine = Machine()
    try:
        for step, (code, argument, _) in enumerate(pickletools.genops(data)):
            name = code.name
            if step >= MOST_STEPS:
                raise Unreadable(f"more than {MOST_STEPS:,} steps")
            if name in VALUES:
                machine.push(argument)
            elif name in CONSTANTS:
                machine.push(CONSTANTS[name])
            elif name == "STOP":
                return the_only(machine.stack)
            elif name in STEPS:
                STEPS[name](machine, argument)
            else:
                where = "refers to something outside the pickle" if name in OUTSIDE else "is not known"
                raise Unreadable(f"the step {name} {where}")
    except Unreadable:
        raise
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unreadable(f"no pickle: {type(error).__name__}: {error}"[:LONGEST_SHOWN]) from None
    raise Unreadable("cut short")


def the_only(stack: list[Any]) -> Any:
    """The only value on the stack. Raises Unreadable if there are others, or none."""
    if len(stack) != 1 or stack[0] is MARK:
        raise Unreadable("it doesn't end with one value")
    return stack[0]


def parts(value: Any) -> Iterator[Any]:
    """Yields the values inside a value, at any depth, and the value itself; each of them once."""
    seen, left = set(), [value]
    while left:
        one = left.pop()
        if isinstance(one, (Call, Dict, list, tuple)) and not isinstance(one, Name):
            if id(one) in seen:
                continue
            seen.add(id(one))
            if isinstance(one, Call):
                left += [one.function, one.arguments, one.state, *one.members]
            if isinstance(one, (Call, Dict)):
                left += [each for pair in one.items for each in pair]
            else:
                left += one
        yield one


def shown(text: str) -> str:
    """A text that can be part of a message: short, and valid as UTF-8, which the texts of pickles need not be."""
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
    return short.encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """A value as JSON can show it; raises Unreadable if it is too large or too deep."""
    return _plain(value, [MOST_SHOWN], ())


def _plain(value: Any, budget: list[int], path: tuple[int, ...]) -> Any:
    budget[0] -= 1
    if len(path) > MOST_DEEP or budget[0] < 0:
        raise Unreadable("too deep, or too large, to be shown")
    if not isinstance(value, (Call, Dict, list, tuple)) or isinstance(value, Name):
        return atom(value)
    if id(value) in path:
        return "<itself>"
    path = (*path, id(value))
    if isinstance(value, Dict):
        return {key_of(key): _plain(each, budget, path) for key, each in value.items}
    if isinstance(value, (list, tuple)):
        return [_plain(each, budget, path) for each in value]
    found = {"arguments": value.arguments, "state": value.state, "items": value.items, "members": value.members}
    parts = {name: _plain(each, budget, path) for name, each in found.items() if each}
    return {shown(str(value.function)) if isinstance(value.function, Name) else "<call>": parts}


def atom(value: Any) -> Any:
    """A value that holds no others, as JSON can show it."""
    if isinstance(value, Name):
        return f"<{shown(str(value))}>"
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"<a number of {value.bit_length():,} bits>"
    return value


def key_of(key: Any) -> str:
    """A key of a dict, as JSON can show it; of one that holds other values, its type."""
    if isinstance(key, (Call, Dict, list, tuple)) and not isinstance(key, Name):
        return f"<{type(key).__name__.lower()}>"
    return str(atom(key))
