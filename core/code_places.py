"""Where code stands and where an error was raised, as "dice.py, line 3": what is shown in place of a traceback."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "rekku.plugins"
"""The group of entry points by which an installed package brings plugins."""

_ROOT = Path(__file__).parents[1]
_OURS = (Path(__file__).parent, Path(sysconfig.get_path("stdlib")))
_BUILT_IN = tuple(_ROOT / package for package in ("plugins", "interfaces", "engines"))
_INSTALLED = ("site-packages", "dist-packages")


def place_of(function: object) -> str:
    """Return where a function is written, its decorators included; "" where nobody knows."""
    code = getattr(inspect.unwrap(cast(Any, getattr(function, "__func__", function))), "__code__", None)
    return "" if code is None else f"{Path(code.co_filename).name}, line {code.co_firstlineno}"


def place_raised(error: BaseException, folder: Path | None = None) -> str:
    """Return the innermost frame of foreign code, or of the files below `folder`; "" where there is none."""
    if folder is not None:
        frame = _innermost(error, lambda path: path.is_relative_to(folder))
        return "" if frame is None else f"{Path(frame.filename).relative_to(folder)}, line {frame.lineno}"
    frame = _innermost(error, _is_foreign)
    return "" if frame is None else f"{Path(frame.filename).name}, line {frame.lineno}"


def _innermost(error: BaseException, belongs: Callable[[Path], bool]) -> FrameSummary | None:
    return next((f for f in reversed(extract_tb(error.__traceback__)) if belongs(Path(f.filename))), None)


def _is_foreign(path: Path) -> bool:
    """Whether a file is neither ours nor a library's; an installed package that brings plugins is no library."""
    if not path.is_absolute():
        return False
    if any(path.is_relative_to(folder) for folder in _BUILT_IN):
        return True
    for installed in _INSTALLED:
        if installed in path.parts:
            below = path.parts[path.parts.index(installed) + 1 :]
            bringing = {point.module.partition(".")[0] for point in installed_entry_points()}
            return bool(below) and below[0].removesuffix(".py") in bringing
    return not any(path.is_relative_to(folder) for folder in _OURS)


def installed_entry_points() -> Sequence[EntryPoint]:
    """Return what installed packages offer, read again where a directory of the path has changed."""
    return _points(tuple((entry, _changed_ns(entry)) for entry in sys.path))


@functools.lru_cache(maxsize=1)
def _points(changed: tuple[tuple[str, int], ...]) -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points  # takes a while to import, and is wanted only here

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value))


def _changed_ns(directory: str) -> int:
    try:
        return os.stat(directory or os.curdir).st_mtime_ns
    except OSError:
        return 0
