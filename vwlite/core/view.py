"""View of an example with names of namespaces and features, for audits."""

from __future__ import annotations

from typing import NamedTuple

CONSTANT = 11650396  # the hash of the constant feature, CONSTANT_HASH of example.pxd


class Group(NamedTuple):
    """A namespace of one example."""

    letter: int  # first byte of the name, VW's namespace index
    name: bytes
    names: list[bytes | None]  # of features, as written; empty for anonymous ones
    features: list[tuple[int, float]]  # hash and value


class View(NamedTuple):
    """One example with its names."""

    groups: list[Group]
    features: list[tuple[int, float]]  # all that are used, in order of evaluation
    constant: bool
    tag: bytes
    prediction: float | str | None
    offset: int = 0  # of the weight vector that predicted
