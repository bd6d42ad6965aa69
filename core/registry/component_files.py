"""The files of a component: which modules were made of them, and whether they have changed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import linecache
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from core.registry.discovery import Found

MOST_FILES = 2_000

Stamp = Mapping[str, tuple[int, int]]
"""Time of the last change (nanoseconds) and size by path."""


def files_of(found: Found) -> Iterator[Path]:
    """Yield the Python files of a component: all of its folder, or its file and the `_…` files beside it."""
    path = Path(found.source)
    if found.folder is None:
        return
    if found.folder == path:
        for number, file in enumerate(sorted(path.rglob("*.py"))):
            if number == MOST_FILES:
                return
            yield file
        return
    yield path
    yield from sorted(file for file in path.parent.glob("_*.py") if file.name != "__init__.py")


def stamp_of(found: Found) -> Stamp:
    """Return how a component's files are now; without those that are gone. Blocks: it looks at the disk."""
    stamp = {}
    for file in files_of(found):
        with contextlib.suppress(OSError):
            status = file.stat()
            stamp[str(file)] = (status.st_mtime_ns, status.st_size)
    return stamp


class OldModules:
    """The modules that were imported of a component, set aside so that they are imported anew."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._aside: dict[str, ModuleType] = {}

    def set_aside(self) -> None:
        """Forget them, and the compiled files: those are told apart by whole seconds, which an edit may not last."""
        importlib.invalidate_caches()
        linecache.checkcache()
        self._aside = self._loaded()
        for name, module in self._aside.items():
            del sys.modules[name]
            with contextlib.suppress(OSError, NotImplementedError, TypeError):
                Path(importlib.util.cache_from_source(str(module.__file__))).unlink()

    def put_back(self) -> None:
        """Let them stand again, in place of what was imported meanwhile."""
        for name in self._loaded():
            del sys.modules[name]
        for name, module in self._aside.items():
            sys.modules[name] = module
            parent, _, last = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], last, module)
        self._aside = {}

    def _loaded(self) -> dict[str, ModuleType]:
        found, top = self._found, self._found.module
        if found.folder is None:
            return {name: m for name, m in list(sys.modules.items()) if top and f"{name}.".startswith(f"{top}.")}
        whole = found.folder == Path(found.source)
        files = set() if whole else set(files_of(found))

        def belongs(file: object) -> bool:
            if not isinstance(file, str) or found.folder is None or found.folder.name not in file:
                return False
            path = Path(file).resolve()
            return path.is_relative_to(found.folder) if whole else path in files

        modules = list(sys.modules.items())
        return {name: m for name, m in modules if name != "__main__" and belongs(getattr(m, "__file__", None))}
