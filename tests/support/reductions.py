"""Reductions in Python, and packages that have some."""

import math
from pathlib import Path
from typing import Any

import vwlite
from vwlite import Option
from vwlite.bases.reduction import ExampleView
from vwlite.core.options import Options
from vwlite.model.model_io import Loader, Saver


class Through(vwlite.Reduction):
    """through: hands everything on."""

    name = "through"
    options = (Option("through", bool, "hand everything on", necessary=True, keep=True),)

    def predict(self, example: ExampleView) -> float:
        return self.base.predict(example)

    def learn(self, example: ExampleView) -> float:
        return self.base.learn(example)

    def update(self, example: ExampleView) -> float:
        return self.base.update(example)

    def sensitivity(self, example: ExampleView) -> float:
        return self.base.sensitivity(example)


class Cut(vwlite.Reduction):
    """cut: labels further than --cut_at from zero are cut."""

    name = "cut"
    options = (
        Option("cut_at", float, "largest label", necessary=True, keep=True),
        Option("cut_least", float, "cut no label below this", default=0.0, keep=True),
    )

    def __init__(self, options: Options) -> None:
        self.at, self.least, self.cut = options["cut_at"], options["cut_least"], 0

    def learn(self, example: ExampleView) -> float:
        if abs(example.label) > self.at:
            self.cut += 1
            example.label = math.copysign(self.at, example.label)
        return self.base.learn(example)

    def save_load(self, io: Saver | Loader) -> None:
        self.cut = io.int64("cut", self.cut)

    def metrics(self) -> dict[str, float | str]:
        return {"labels cut": self.cut}


def package(
    folder: Path, source: str, entries: dict[str, str], name: str = "made-up", module: str = "made_up"
) -> dict[str, str]:
    """Install a package into a folder as pip would; the variables under which Python finds it there."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = "".join(f"{entry} = {value}\n" for entry, value in entries.items())
    (info / "entry_points.txt").write_text(f"[vwlite.reductions]\n{lines}")
    (folder / f"{module}.py").write_text(source)
    return {"PYTHONPATH": str(folder)}


def variant(base: type[Any], **members: Any) -> type[Any]:
    """A subclass with other members."""
    return type(members.pop("called", "Variant"), (base,), members)
