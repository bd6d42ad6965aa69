"""Writes a plugin that runs as it is, to be changed into another."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from core.commands.exit_status import CommandFailed
from core.registry.discovery import EXPORT, PACKAGES, discover

_NAME = re.compile(r"[a-z][a-z0-9_]{0,24}")
_SKELETONS = "core.commands.skeletons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """What was written. plugin: the file or folder that is the plugin. test, readme: files beside or in it."""

    plugin: Path
    test: Path
    readme: Path


def write_skeleton(name: str, into: Path, *, folder: bool, home: Path) -> Skeleton:
    """Write a plugin of this name into a directory, which is created; raises CommandFailed, and then writes nothing.

    folder: as a package instead of one file. home: whose plugins must not have the name already.
    """
    _check_name(name, home)
    if folder:
        made = Skeleton(plugin=into / name, test=into / name / f"_test_{name}.py", readme=into / name / "README.md")
        texts = {
            into / name / "__init__.py": "init.py.txt",
            into / name / "plugin.py": "plugin.py.txt",
            made.test: "test.py.txt",
            made.readme: "README.md.txt",
        }
    else:
        made = Skeleton(
            plugin=into / f"{name}.py", test=into / f"_test_{name}.py", readme=into / f"_{name}_README.md"
        )
        texts = {made.plugin: "plugin.py.txt", made.test: "test.py.txt", made.readme: "README.md.txt"}
    _check_places(into, [made.plugin, into / name, into / f"{name}.py", *texts])
    words = {
        "__NAME__": name,
        "__CLASS__": "".join(part.capitalize() for part in name.split("_")),
        "__PHRASE__": f"{name.replace('_', ' ').strip()} greet",
        "__MODULE__": name,
        "__PATH__": f"{made.plugin.name}/plugin.py" if folder else made.plugin.name,
        "__TEST__": str(made.test.relative_to(into)),
        "__README__": made.readme.name,
        "__RUN__": "\n".join(how_to_test(made.test)),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_filled(text, words))
    return made


def how_to_test(test: Path) -> list[str]:
    """Return the commands, a line each, that run the test of a plugin with this interpreter."""
    root = Path(__file__).parents[2]
    run = shlex.join([sys.executable, "-m", "pytest", str(test.resolve())])
    if not (root / "Makefile").is_file():
        lines = [run]
        get = shlex.join([sys.executable, "-m", "pip", "install", "pytest", "pytest-asyncio"])
    else:
        lines = [f"cd {shlex.quote(str(root))} && {run}"]
        get = shlex.join(["make", "-C", str(root), "setup"])
    if all(find_spec(needed) is not None for needed in ("pytest", "pytest_asyncio")):
        return lines
    return [f"{get}   # once: the tests need pytest, which is not installed yet", *lines]


def _filled(text: str, words: Mapping[str, str]) -> str:
    filled = (files(_SKELETONS) / text).read_text(encoding="utf-8")
    for word, value in words.items():
        filled = filled.replace(word, value)
    return filled


def _check_name(name: str, home: Path) -> None:
    if not _NAME.fullmatch(name) or name.endswith("_") or "__" in name:
        raise CommandFailed(
            f"{name!r} cannot be the name of a plugin.", cure="Use a-z, 0-9 and _, a letter first, 25 at most."
        )
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name == "core" or name in PACKAGES.values():
        raise CommandFailed(f"{name} is a word of Python's own.", cure="Take another name.")
    taken = next((one for one in discover("plugin", home=home) if one.name == name), None)
    if taken is not None:
        raise CommandFailed(f"There is a plugin {name} already ({taken.source}).", cure="Take another name.")


def _check_places(into: Path, paths: list[Path]) -> None:
    if into.exists() and not into.is_dir():
        raise CommandFailed(f"{into} is not a directory.", cure="Name one with --into DIR.")
    if (into / "__init__.py").is_file() and EXPORT in (into / "__init__.py").read_text("utf-8", errors="replace"):
        raise CommandFailed(f"{into} is a plugin itself.", cure="Name another directory with --into DIR.")
    for path in paths:
        if path.exists():
            raise CommandFailed(f"{path} exists.", cure="Take another name, or another directory with --into DIR.")
