"""A control group that bounds all processes of the terminal together, where this process may make one.

Resource limits bound each process, and root is not bound by the one on their number; a group is exact. Version 1
has a tree for each controller, version 2 one for all: https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

PREFIX = "rekku-terminal-"
ROOT = Path("/sys/fs/cgroup")
V1_FILES = {"pids": "pids.max", "memory": "memory.limit_in_bytes"}
REMOVE_TRIES, REMOVE_PAUSE_S = 50, 0.02
V2_FILES = {"pids": "pids.max", "memory": "memory.max"}


@dataclass(slots=True)
class ControlGroup:
    """The directories that were made, and which of "pids" and "memory" they bound."""

    directories: list[str]
    bounds: set[str]

    def remove(self) -> None:
        """Take the directories away, once the last of their processes is gone; blocks for a second at most."""
        for directory in self.directories:
            for _ in range(REMOVE_TRIES):
                try:
                    os.rmdir(directory)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(REMOVE_PAUSE_S)


def make_control_group(*, processes: int, memory_bytes: int) -> ControlGroup:
    """Make a group with these bounds as far as that is allowed; blocks. Its directories may be none."""
    made = ControlGroup([], set())
    values = {"pids": processes, "memory": memory_bytes}
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    for controllers, own in _memberships():
        unified = not controllers
        files = V2_FILES if unified else {one: V1_FILES[one] for one in controllers if one in V1_FILES}
        if not files or set(files) <= made.bounds:
            continue
        for parent in (own, own.parent) if unified else (own,):
            directory = _make(parent, name, files, values, unified)
            if directory is not None:
                made.directories.append(str(directory))
                made.bounds |= set(files)
                break
    return made


def _memberships() -> list[tuple[list[str], Path]]:
    """Return this process's group in each tree, with the tree's controllers; none for version 2."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            names = controllers.split(",") if controllers else []
            tree = ROOT if not names else ROOT / controllers
            if path.startswith("/..") or not tree.is_dir():
                continue
            found.append((names, tree / path.lstrip("/")))
    return found


def _make(parent: Path, name: str, files: dict[str, str], values: dict[str, int], unified: bool) -> Path | None:
    directory = parent / name
    if not parent.is_relative_to(ROOT):
        return None
    try:
        if unified:
            enabled = (parent / "cgroup.subtree_control").read_text().split()
            missing = [f"+{one}" for one in files if one not in enabled]
            if missing:
                (parent / "cgroup.subtree_control").write_text(" ".join(missing))
        _sweep(parent)
        directory.mkdir()
    except OSError:
        return None
    try:
        for controller, file in files.items():
            (directory / file).write_text(str(values[controller]))
    except OSError:
        with contextlib.suppress(OSError):
            directory.rmdir()
        return None
    return directory


def _sweep(parent: Path) -> None:
    """Remove the groups of processes of Rekku that were killed."""
    for directory in parent.glob(f"{PREFIX}*"):
        owner = directory.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                directory.rmdir()
