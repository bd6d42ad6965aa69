"""Where components are found: folders, installed entry points, and objects that were handed over.

Finding imports nothing: each `Found` is loaded on its own, so that one broken module is one broken component.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import structlog

from core.code_places import installed_entry_points

log = structlog.get_logger("rekku.registry")

PACKAGES = {"plugin": "plugins", "interface": "interfaces", "engine": "engines"}
"""The built-in package of each kind; it stands next to `core`."""

EXPORT = "PLUGIN_CLASS"
MAX_FOLDERS_DEEP = 12

_OUTSIDE = "rekku_plugins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A component that has not been loaded.

    kind: "plugin", "interface" or "engine". name: its module's name. source: where it is from, for people.
    load: imports it; returns a module that exports PLUGIN_CLASS, a class, or an instance. Raises anything.
    folder: files of it are below this; None where there are none. module: of an entry point, the top of the
    package that it is in. reference: how another process can load it, see `loader_of`; None where it cannot. given:
    what was handed over.
    """

    kind: str
    name: str
    source: str
    load: Callable[[], object]
    folder: Path | None = None
    module: str = ""
    reference: tuple[str, str] | None = None
    given: object = None


def discover(
    kind: str,
    *,
    home: Path | None = None,
    plugin_path: str = "",
    objects: Iterable[object] = (),
    builtin: Path | None = None,
) -> list[Found]:
    """Return the components of a kind, in the order in which they are to be loaded.

    home: REKKU_HOME, whose folder of the kind (`plugins`, say) is walked. plugin_path: REKKU_PLUGIN_PATH,
    directories separated as in PATH. objects: instances, classes or modules. builtin: the folder of the built-in
    package, if not the usual one. Of one file that is found twice the first counts.
    """
    importlib.invalidate_caches()  # files may have been placed since the last import looked
    package = PACKAGES[kind]
    usual = Path(__file__).resolve().parents[2] / package
    found = list(_in_package(kind, package, usual) if builtin is None else _in_folder(kind, builtin))
    if home is not None and (home / package).is_dir():
        found += _in_folder(kind, home / package)
    if kind == "plugin":
        for entry in filter(None, plugin_path.split(os.pathsep)):
            found += _in_folder(kind, Path(entry).expanduser())
        found += _entry_points(kind)
    found += given(kind, objects)
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(one.source, one)
    return list(first.values())


def given(kind: str, objects: Iterable[object]) -> list[Found]:
    """Return components of a kind that were handed over: instances, classes or modules."""
    return [_given(kind, thing) for thing in objects]


def found_at(path: Path) -> Found:
    """Return the component that one file or folder is; its kind is that of the built-in package, else "plugin"."""
    path = path.resolve(strict=True)
    for kind, package in PACKAGES.items():
        root = Path(__file__).resolve().parents[2] / package
        if path.is_relative_to(root):
            parts = path.relative_to(root).with_suffix("").parts
            load = partial(importlib.import_module, ".".join((package, *parts)))
            return Found(kind=kind, name=_stem(path), source=str(path), load=load, folder=_folder(path))
    return Found(kind="plugin", name=_stem(path), source=str(path), load=partial(_load, path), folder=_folder(path))


def _in_package(kind: str, package: str, folder: Path) -> Iterator[Found]:
    for path in _walk(folder, 0, set()):
        module = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        load = partial(importlib.import_module, module)
        reference = ("module", module)
        yield Found(
            kind=kind, name=_stem(path), source=str(path), load=load, folder=_folder(path), reference=reference
        )


def _in_folder(kind: str, folder: Path) -> Iterator[Found]:
    try:
        resolved = folder.resolve(strict=True)
        paths = [resolved] if resolved.suffix == ".py" else list(_walk(resolved, 0, set()))
    except OSError as error:
        yield Found(kind=kind, name=folder.name, source=str(folder), load=partial(_unreadable, folder, error))
        return
    for path in paths:
        load = partial(_load, path)
        reference = ("file", str(path))
        yield Found(
            kind=kind, name=_stem(path), source=str(path), load=load, folder=_folder(path), reference=reference
        )


def loader_of(kind: str, value: str) -> Callable[[], object]:
    """Return what loads a reference: ("module", name), ("file", path), or ("object" or "entry", "module:name")."""
    if kind == "file":
        return partial(_load, Path(value))
    if kind == "module":
        return partial(importlib.import_module, value)
    return partial(_attribute, value)


def _attribute(value: str) -> object:
    module, _, name = value.partition(":")
    thing: object = importlib.import_module(module)
    for part in filter(None, name.split(".")):
        thing = getattr(thing, part)
    return thing


def _unreadable(folder: Path, error: OSError) -> object:
    raise OSError(f"{folder} cannot be searched for plugins: {error.strerror or error}")


def _walk(folder: Path, depth: int, seen: set[Path]) -> Iterator[Path]:
    """Yield the files and packages that are components, by name; a symbolic link back is not followed twice."""
    real = folder.resolve()
    if real in seen or depth > MAX_FOLDERS_DEEP:
        return
    seen.add(real)
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        if depth == 0:
            raise
        log.warning("a folder cannot be searched", folder=str(folder), error=error.strerror or str(error))
        return
    for path in paths:
        if path.name.startswith(("_", ".")):
            continue
        if path.is_dir():
            if _exports(path / "__init__.py"):
                yield path
            else:
                yield from _walk(path, depth + 1, seen)
        elif path.suffix == ".py":
            yield path


def _exports(init: Path) -> bool:
    try:
        return init.is_file() and EXPORT in init.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # loading it will say why it cannot be read


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _load(path: Path) -> ModuleType:
    """Import a file or folder from outside the built-in packages under a name that is its own.

    The folder around it stands as its package, so `from ._shared import x` works in a single file too.
    """
    parent = f"{_OUTSIDE}.{hashlib.sha256(str(path.parent).encode()).hexdigest()[:12]}"
    for name, search in ((_OUTSIDE, []), (parent, [str(path.parent)])):
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = search
            sys.modules[name] = package
    name = f"{parent}.{_stem(path)}"
    file, inner = (path / "__init__.py", [str(path)]) if path.is_dir() else (path, None)
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inner)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    _forget(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(name)
        raise
    return module


def _forget(name: str) -> None:
    for loaded in [n for n in sys.modules if n == name or n.startswith(name + ".")]:
        del sys.modules[loaded]


def _entry_points(kind: str) -> Iterator[Found]:
    for point in installed_entry_points():
        package = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
        source, reference = f"entry point {point.value}{package}", ("entry", point.value)
        top = point.module.partition(".")[0]
        yield Found(kind=kind, name=point.name, source=source, load=point.load, module=top, reference=reference)


def _given(kind: str, thing: object) -> Found:
    """Name an object by its `name`, else by its class: `DiceRoller` becomes dice_roller."""
    if isinstance(thing, ModuleType):
        name = thing.__name__.rpartition(".")[2]
    else:
        cls = thing if isinstance(thing, type) else type(thing)
        given = getattr(thing, "name", "")
        name = (
            given
            if isinstance(given, str) and given
            else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        )
    return Found(
        kind=kind,
        name=name,
        source=f"given object {name} ({id(thing):#x})",
        load=lambda: thing,
        reference=_reference(thing),
        given=thing,
    )


def _reference(thing: object) -> tuple[str, str] | None:
    """Return how another process finds what was handed over; an instance is in this one alone."""
    if isinstance(thing, ModuleType):
        file = getattr(thing, "__file__", None)
        return ("module", thing.__name__) if thing.__name__ != "__main__" and file else None
    if isinstance(thing, type) and "<locals>" not in thing.__qualname__ and thing.__module__ != "__main__":
        return "object", f"{thing.__module__}:{thing.__qualname__}"
    return None
