"""Plugins: reductions in Python from outside vwlite, and how they are registered, found and ordered in the stack.

A program passes its class to `register`. A package names it as an entry point:

    [project.entry-points."vwlite.reductions"]
    clip = "my_package:Clip"

The names of a reduction's options begin with its own, --clip or --clip_at. So the name of an entry point identifies the
plugin of an option without importing it. Entry points are searched only for an option that vwlite doesn't declare, for
--help, and for a model that names a plugin, as the search takes some milliseconds. VWLITE_PLUGINS=0 disables entry
points.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from vwlite.core.options import Option, OptionGroup, gather, is_kept
from vwlite.engine import registry
from vwlite.errors import ModelError, ReductionError, StackError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from vwlite.bases.reduction import Reduction
    from vwlite.core.options import Options

Class = TypeVar("Class", bound="type[Reduction]")

GROUP = "vwlite.reductions"
COMPILED = ("predict", "learn", "update", "multipredict", "sensitivity", "finish_example", "vet", "vet_label")
OURS = "vwlite.Reduction"
RESERVED = ("classes", "names", "python_reduction", "replicas")  # of learners and fields of models


class Plugin:
    """Adapts a reduction in Python to the interface of a learner's module: OPTIONS and setup(builder)."""

    def __init__(self, cls: type[Reduction], package: str | None = None, version: str | None = None) -> None:
        self.cls = cls
        self.name = cls.name
        switches = tuple(option.name for option in cls.options if option.necessary)
        options = tuple(
            option if option.necessary or option.needs else option._replace(needs=switches) for option in cls.options
        )
        summary = (cls.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        title = summary if summary.startswith(f"{cls.name}:") else f"{cls.name}: {summary}".removesuffix(": ")
        self.OPTIONS = OptionGroup(title, options)
        self.origin = {"class": f"{cls.__module__}:{cls.__qualname__}", "package": package, "version": version}

    def setup(self, builder: Any) -> Any:
        """Creates the learner; called if one of the necessary options is given."""
        from vwlite.bases.python_reduction import PythonReduction
        from vwlite.bases.reduction import Reduction

        options = builder.options
        taken = {option.name: options[option.name] for option in self.cls.options if options.given(option.name)}
        return PythonReduction(builder.base, self.cls, Reduction, options, taken, self.origin)


_known: dict[str, Plugin] = {}  # by name: registered classes, and those of loaded entry points


def register(cls: Class) -> Class:
    """Registers a reduction in this process, so that its options can be given; also usable as a decorator.

    A class with the module and name of a registered one replaces it, as when a notebook cell runs again.

    Args:
        cls: A subclass of vwlite.Reduction with at least one necessary option.

    Returns:
        The class.

    Raises:
        ReductionError: If the class can't be used, or its name or an option is already in use.
    """
    check(cls, origin_of(cls))
    before = _known.get(cls.name)
    if before is not None and before.cls is not cls and before.origin["class"] != Plugin(cls).origin["class"]:
        raise ReductionError(f"{origin_of(cls)}: the name {cls.name} is already used by {before.origin['class']}")
    if before is None or before.cls is not cls:
        _known[cls.name] = Plugin(cls)
    return cls


def known() -> list[Plugin]:
    """The plugins that are registered or loaded, in order of their names."""
    return [_known[name] for name in sorted(_known)]


def claim(option: str) -> Plugin | None:
    """Finds the plugin that an option belongs to by its name, and imports it; None if there is none.

    Raises ReductionError if the plugin can't be loaded.
    """
    points = installed()
    found = None
    for name in sorted(points, key=len, reverse=True):
        if option == name or option.startswith(f"{name}_"):
            found = named(name, points)
            if found is not None and any(option == one.name for one in found.OPTIONS.options):
                break
    return found


def named(name: str, points: Mapping[str, Sequence[EntryPoint]] | None = None) -> Plugin | None:
    """Finds a plugin by its name, and imports it; None if there is none.

    Raises ReductionError if the plugin can't be loaded.
    """
    if name not in _known:
        entries = (installed() if points is None else points).get(name, ())
        if len(entries) > 1:
            packages = " and ".join(sorted(package_of(entry)[0] for entry in entries))
            raise ReductionError(f"several packages have a reduction {name}, {packages}: uninstall all but one")
        if entries:
            _known[name] = load(entries[0])
    return _known.get(name)


def are_off() -> bool:
    """Whether entry points are disabled."""
    return os.environ.get("VWLITE_PLUGINS") == "0"


def installed() -> dict[str, list[EntryPoint]]:
    """The entry points of installed packages, by name."""
    if are_off():
        return {}
    if not any(names_group(folder) for folder in sys.path):
        return {}
    from importlib.metadata import entry_points  # takes 40 ms, so it is imported only if needed

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def names_group(folder: str) -> bool:
    """Whether a package installed in a folder of the path may have an entry point of vwlite."""
    try:
        with os.scandir(folder or ".") as entries:
            infos = [
                entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info", ".egg", ".whl"))
            ]
    except OSError:
        return False
    for info in infos:
        if info.endswith((".egg", ".whl")):
            return True  # its entry points are inside the archive
        with suppress(OSError), open(os.path.join(info, "entry_points.txt"), "rb") as file:
            if GROUP.encode() in file.read():
                return True
    return False


def package_of(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of an entry point's package."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("an unknown package", "?")


def load(entry: EntryPoint) -> Plugin:
    """Imports the class that an entry point names. Raises ReductionError if it can't be imported or used."""
    package, version = package_of(entry)
    where = f"the reduction {entry.name} of the package {package} {version} ({entry.value})"
    try:
        cls = entry.load()
    except (Exception, SystemExit) as error:
        from vwlite.bases.python_reduction import raised_at, shown

        reason = f"{type(error).__name__}: {shown(error, str)}{raised_at(error, entry.module)}"
        raise ReductionError(f"{where} can't be imported: {reason}") from error
    if getattr(cls, "name", entry.name) != entry.name:
        raise ReductionError(f"{where} has the name {cls.name}: the entry point has to have the same name")
    check(cls, where)
    return Plugin(cls, package, version)


def origin_of(cls: object) -> str:
    """The name of a class in messages."""
    return f"{cls.__module__}:{cls.__qualname__}" if isinstance(cls, type) else f"{cls!r}"


def check(cls: Any, where: str) -> None:
    """Raises ReductionError for a class that can't be a plugin."""
    reason = unfit(cls)
    if reason:
        raise ReductionError(f"{where}: {reason}")


def unfit(cls: Any) -> str:
    """The reason why a class can't be a plugin; "" if it can."""
    from vwlite.bases.reduction import Reduction
    from vwlite.core.learner import Learner
    from vwlite.core.types import LabelType, PredictionType

    if isinstance(cls, type) and issubclass(cls, Learner):
        return "methods of a Learner in Python would never be called, since learners are compiled: derive from " + OURS
    if not isinstance(cls, type) or not issubclass(cls, Reduction) or cls is Reduction:
        return f"it is not a class that derives from {OURS}"
    if not isinstance(cls.name, str) or not (cls.name.isascii() and cls.name.isidentifier()):
        return f"its name is {cls.name!r}, but an identifier such as 'clip' is expected"
    wanted = (LabelType.SIMPLE, PredictionType.SCALAR) * 2
    if (cls.takes, cls.gives, cls.base_takes, cls.base_gives) != wanted:
        return "a reduction in Python works with numbers (SIMPLE -> SCALAR over SIMPLE -> SCALAR)"
    return unfit_name(cls.name) or unfit_options(cls)


def unfit_name(name: str) -> str:
    """The reason why a plugin can't have this name; "" if it can."""
    from vwlite.engine import registry

    if name in registry.names() or name in RESERVED:
        return f"its name {name} is that of a learner of vwlite"
    return f"its name {name} is that of an option of vwlite, --{name}" if name in own_options() else ""


def unfit_options(cls: type[Reduction]) -> str:
    """The reason why a plugin can't have a class's options; "" if it can."""
    own = own_options()
    if not isinstance(cls.options, tuple) or not all(isinstance(option, Option) for option in cls.options):
        return "its options are not a tuple of vwlite.Option"
    for option in cls.options:
        flag = f"--{option.name}"
        if option.name in own:
            return f"its option {flag} is already an option of vwlite"
        if option.name != cls.name and not option.name.startswith(f"{cls.name}_"):
            return f"its option {flag} has to be called --{cls.name} or --{cls.name}_..., so that vwlite finds it"
        if option.short:
            return f"its option {flag} can't have a short form, -{option.short}: those are reserved for vwlite"
        if option.necessary and not is_kept(option):
            return f"its option {flag} is necessary, so models have to store it: add keep=True"
        if option.file and is_kept(option):
            return f"its option {flag} names a file, and models store no file names"
    if not any(option.necessary for option in cls.options):
        return "none of its options is necessary, so nothing would put it into the stack: add necessary=True to one"
    try:
        gather([OptionGroup(cls.name, cls.options)])
    except ValueError as error:
        return str(error)
    return ""


def own_options() -> set[str]:
    """The names of vwlite's own options."""
    from vwlite.engine.flags import GENERAL, builtin_groups

    return {option.name for group in (*builtin_groups(), GENERAL) for option in group.options}


def of_model(learners: Sequence[Mapping[str, Any]], options: Options, path: str) -> list[str]:
    """Declares the options of the plugins that a model was trained with.

    Args:
        learners: The stack in the model's metadata.
        options: The options that those of the plugins are added to.
        path: The model file, for messages.

    Returns:
        Notes for the user, about plugins from another package or version.

    Raises:
        ModelError: If a plugin is missing.
        ReductionError: If a plugin can't be loaded.
    """
    notes = []
    for learner in learners:
        origin = learner.get("plugin")
        if origin is None:
            continue
        try:
            plugin = named(learner["name"])
        except ReductionError as error:
            raise ReductionError(f"{path}: {error}") from error
        name, package, version = (printable(text) for text in (learner["name"], origin["package"], origin["version"]))
        if plugin is None and origin["package"] is None:
            raise ModelError(
                f"{path}: its learner {name} is a class of a program, {printable(origin['class'])}: pass it to "
                "vwlite.register() before the model is loaded"
            )
        if plugin is None:
            todo = "VWLITE_PLUGINS=0 disables plugins" if are_off() else "install it, if you trust it"
            where = f"{package} {version}"
            raise ModelError(f"{path}: its learner {name} is of the package {where}, which is missing: {todo}")
        if origin["package"] != plugin.origin["package"]:
            was, now = (printable(spell(of)) for of in (origin, plugin.origin))
            notes.append(f"{path}: its learner {name} was that of {was}, and here is that of {now}")
        declare(plugin, options)
    return notes


def declare(plugin: Plugin, options: Options) -> None:
    """Adds the options of a plugin to those declared. Raises ReductionError if one is already declared."""
    if plugin.OPTIONS.options[0].name in options:
        return
    try:
        options.declare(plugin.OPTIONS)
    except ValueError as error:
        raise ReductionError(f"{plugin.origin['class']}: {error}, by another reduction") from error


def spell(origin: Mapping[str, str | None]) -> str:
    """The origin of a plugin, as --dry_run and a model's card print it."""
    return f"{origin['package']} {origin['version']}" if origin["package"] is not None else f"{origin['class']}"


def printable(text: str | None) -> str:
    """Replaces unprintable characters of an untrusted file's text, for messages."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text or "")


def offered(words: Iterable[str]) -> dict[str, str]:
    """The entries of --help-all for plugins, by flag; plugins named by a word are imported, to have a help page."""
    points = installed()
    for word in words:
        name = word.lstrip("-").partition("=")[0].replace("-", "_")
        if any(name == one or name.startswith(f"{one}_") for one in points):
            claim(name)
    rest = {}
    for name in sorted(points.keys() - _known.keys()):
        package, version = package_of(points[name][0])
        rest[f"--{name}..."] = f"a reduction of {package} {version}: vwlite help --{name} shows its options"
    return rest


def in_order(bottom: Sequence[Any], builtin: Sequence[Any], plugins: Iterable[Plugin]) -> list[Any]:
    """Orders vwlite's reductions and plugins by the plugins' `above` and `below`.

    Args:
        bottom: The modules of the bottom learners.
        builtin: The modules of vwlite's reductions, bottom to top.
        plugins: The plugins to insert.

    Returns:
        Modules and plugins, bottom to top.

    Raises:
        StackError: If `above` or `below` names no learner, or no order satisfies them.
    """
    line: list[Any] = list(builtin)
    names, bottoms = ([module.__name__.rpartition(".")[2] for module in modules] for modules in (builtin, bottom))
    waiting = sorted(plugins, key=lambda plugin: plugin.name)
    here = {*names, *bottoms, *(plugin.name for plugin in waiting)}
    for plugin in waiting:
        for name in (plugin.cls.above, plugin.cls.below):
            if name and name not in here and name not in _known and name not in installed():
                raise StackError(f"{plugin.name} can't be above or below {name}: no learner has this name")
    while waiting:
        left = {plugin.name for plugin in waiting}
        ready = [plugin for plugin in waiting if not left & {plugin.cls.above, plugin.cls.below}]
        if not ready:
            raise StackError(f"{' and '.join(sorted(left))} can't be ordered: their above and below form a cycle")
        plugin = ready[0]
        waiting.remove(plugin)
        above, below = (name if name in here else "" for name in (plugin.cls.above, plugin.cls.below))
        above = above or (registry.default_place() if not below else "")
        low = 0 if above in ("", *bottoms) else names.index(above) + 1
        high = len(line) if not below else -1 if below in bottoms else names.index(below)
        if low > high:
            where = " and ".join([f"above {above}"] * bool(above) + [f"below {below}"])
            order = f"{below} is a bottom learner" if below in bottoms else f"{above} is above {below}"
            raise StackError(f"{plugin.name} can't be {where}: {order}")
        place = high if below else low
        line.insert(place, plugin)
        names.insert(place, plugin.name)
    return line


def groups() -> list[OptionGroup]:
    """The options of the registered and loaded plugins.

    Raises ReductionError if two of them claim the same one.
    """
    found = [plugin.OPTIONS for plugin in known()]
    try:
        gather(found)
    except ValueError as error:
        raise ReductionError(f"reductions in Python: {error}") from error
    return found


def refuse_python_learner(learner: Any) -> None:
    """Raises StackError for a Python subclass of Learner whose methods compiled code would never call."""
    cls = type(learner)
    own = {name for base in cls.__mro__ if not is_compiled(base) for name in vars(base)}
    ignored = [name for name in COMPILED if name in own]
    if ignored:
        raise StackError(
            f"{learner.name}: {cls.__name__}.{ignored[0]} would never be called, since learners are compiled: derive "
            f"{cls.__name__} from vwlite.Reduction"
        )


def is_compiled(cls: type) -> bool:
    """Whether a class is compiled: an extension type, not made by a class statement."""
    return not cls.__flags__ & 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
