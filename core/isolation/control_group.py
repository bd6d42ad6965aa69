"""Control groups around the processes of a plugin, where Rekku may make them: exact bounds of number and memory.

Version 1 has a tree for each controller, version 2 one for all: https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from core.isolation.limits import MIB, Limits
from core.services.process_guard import PAUSE_S, ROUNDS

PREFIX = "rekku-plugin-"
ROOT = Path("/sys/fs/cgroup")
_FILES = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}
"""By controller the file of its bound, in version 1 and in version 2."""


class ControlGroup:
    """The directories that could be made, perhaps none; `members` are the files by which a process joins."""

    def __init__(self, limits: Limits) -> None:
        self._directories: list[Path] = []
        bounds = {"pids": limits.processes, "memory": limits.memory_mb * MIB}
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        for controllers, own in _memberships():
            unified = not controllers
            wanted = {_FILES[one][unified]: value for one, value in bounds.items() if unified or one in controllers}
            if wanted and (directory := _made(own / name, wanted)) is not None:
                self._directories.append(directory)

    @property
    def members(self) -> list[str]:
        """Return the files that a process writes its number to."""
        return [str(directory / "cgroup.procs") for directory in self._directories]

    def end(self) -> None:
        """Kill what is still in it: that is somebody only where the guard itself has been killed."""
        for _ in range(ROUNDS):
            pids = {pid for file in self.members for pid in _listed(Path(file))}
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE_S)

    def remove(self) -> None:
        """Take them away; one that still holds a process goes when the next group is made."""
        for directory in self._directories:
            with contextlib.suppress(OSError):
                directory.rmdir()


def _listed(file: Path) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(line) for line in file.read_text().split()]
    return []


def _memberships() -> list[tuple[list[str], Path]]:
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            names = controllers.split(",") if controllers else []
            tree = ROOT / controllers if names else ROOT
            if not path.startswith("/..") and tree.is_dir():
                found.append((names, tree / path.lstrip("/")))
    return found


def _made(directory: Path, wanted: dict[str, int]) -> Path | None:
    try:
        _sweep(directory.parent)
        directory.mkdir()
    except OSError:
        return None
    try:
        for file, value in wanted.items():
            (directory / file).write_text(str(value))
    except OSError:
        with contextlib.suppress(OSError):
            directory.rmdir()
        return None
    return directory


def _sweep(parent: Path) -> None:
    """Remove what is left of processes that are gone; a directory that is in use does not let itself be removed."""
    for directory in parent.glob(f"{PREFIX}*"):
        owner = directory.name.removeprefix(PREFIX).partition("-")[0]
        if owner == str(os.getpid()) or not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                directory.rmdir()
