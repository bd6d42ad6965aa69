"""What is to be checked: a file, a folder, the name of an installed component, or a class."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from core.contracts.errors import DeclarationError
from core.near_names import suggestion
from core.registry.discovery import EXPORT, PACKAGES, discover


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """path: a file, or a folder with an `__init__.py`. cls: the class in it, by its dotted name; "": PLUGIN_CLASS."""

    path: Path
    cls: str = ""

    @property
    def folder(self) -> Path:
        """Files of it are below this."""
        return self.path if self.path.is_dir() else self.path.parent

    def is_own(self, filename: str) -> bool:
        """Tell whether a source file belongs to it."""
        if self.path.is_dir():
            return filename.startswith(f"{self.path}/") or Path(filename).is_relative_to(self.path)
        return filename == str(self.path)


def target_of(given: str, home: Path, plugin_path: str = "") -> Target:
    """Find what `given` means: a path that exists, else a name. Raises DeclarationError with the cure."""
    path = Path(given).expanduser()
    if path.exists():
        return _at(path.resolve())
    found = [one for kind in PACKAGES for one in discover(kind, home=home, plugin_path=plugin_path)]
    named = next((one for one in found if one.name == given and Path(one.source).exists()), None)
    if named is None:
        cure = suggestion(given, [one.name for one in found]) or "`rekku plugins list` names what there is."
        raise DeclarationError(f"There is no file, folder or component {given}.", cure=cure)
    return _at(Path(named.source))


def target_of_class(cls: type) -> Target:
    """Return where a class is; raises DeclarationError for one that cannot be imported again."""
    file = inspect.getsourcefile(cls)
    if file is None or "<locals>" in cls.__qualname__:
        raise DeclarationError(
            f"{cls.__qualname__} cannot be checked: it is made inside a function.",
            cure="Move it to the top of a module: the check imports it again, in a process of its own.",
        )
    path = Path(file).resolve()
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        if EXPORT in (folder / "__init__.py").read_text(encoding="utf-8", errors="replace"):
            return Target(path=folder)
    return Target(path=path, cls=cls.__qualname__)


def _at(path: Path) -> Target:
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise DeclarationError(
            f"{path} is a folder without an __init__.py: no plugin.", cure=f"Let its __init__.py have a {EXPORT}."
        )
    if path.is_file() and path.suffix != ".py":
        raise DeclarationError(f"{path} is no Python file.", cure="Name a .py file, or a folder with an __init__.py.")
    return Target(path=path.parent if path.name == "__init__.py" else path)
