"""What keeps a command from the rest of the machine: the protocol of it, and the choice of one that really works."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plugins.terminal.config import MIB, TerminalConfig

PROBE_S = 10.0

_LIMITED = str(Path(__file__).with_name("limited.py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """work: the one writable directory. home: REKKU_HOME, hidden but for it. hide: what else must not be read."""

    home: Path
    work: Path
    hide: tuple[Path, ...] = ()

    def hidden(self) -> tuple[Path, ...]:
        """Return what there is now of `hide`, where it really lies."""
        found: list[Path] = []
        for path in self.hide:
            with contextlib.suppress(OSError):  # where this user may not look, no command may either
                if (real := path.resolve()).exists():
                    found.append(real)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one command; `cgroups` are directories of control groups that it joins."""

    memory_bytes: int
    processes: int
    file_bytes: int
    open_files: int
    cgroups: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: TerminalConfig) -> Limits:
        """Read them from the configuration."""
        return cls(
            memory_bytes=config.memory_mb * MIB,
            processes=config.processes,
            file_bytes=config.file_mb * MIB,
            open_files=config.open_files,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to run: where, whether in a terminal, and a directory of Rekku's that it may read besides."""

    argv: Sequence[str]
    cwd: Path
    terminal: bool = False
    control: Path | None = None


class Sandbox(Protocol):
    """One way to shut a command in.

    keepers: how many processes stand above the command, the one that is started included. temporary: TMPDIR.
    weakness: what it does not protect from, in a sentence. network: "on", "off", or what else there is to say.
    """

    @property
    def name(self) -> str: ...
    @property
    def keepers(self) -> int: ...
    @property
    def temporary(self) -> str: ...
    @property
    def weakness(self) -> str: ...
    @property
    def network(self) -> str: ...

    def argv(self, command: Command, limits: Limits) -> list[str]:
        """Return what to execute for the command."""

    def control_path(self, control: Path) -> str:
        """Return where the command sees its control directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedSpec:
    """What `limited.py` is told."""

    limits: Limits
    terminal: bool
    supervise: bool = False
    cwd: Path = Path("/")
    landlock: Mapping[str, object] | None = None
    python: str = field(default=sys.executable)

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return the command with `limited.py` before it."""
        spec = {
            "limits": {
                "RLIMIT_AS": self.limits.memory_bytes,
                "RLIMIT_FSIZE": self.limits.file_bytes,
                "RLIMIT_NOFILE": self.limits.open_files,
                "RLIMIT_CORE": 0,
            },
            "processes": self.limits.processes,
            "cgroups": self.limits.cgroups,
            "terminal": self.terminal,
            "supervise": self.supervise,
            "cwd": str(self.cwd),
            "landlock": self.landlock,
        }
        return [self.python, "-I", "-S", _LIMITED, json.dumps(spec), *command]


def make_temporary(directory: str) -> None:
    """Make the directory for temporary files, unless a command has put something else in its place."""
    with contextlib.suppress(FileExistsError):
        Path(directory).mkdir(mode=0o700, exist_ok=True)


async def try_out(sandbox: Sandbox, places: Places, limits: Limits) -> str:
    """Run `true` in the sandbox; return "" when that works, else why it does not."""
    command = Command(argv=["/bin/sh", "-c", "true"], cwd=places.work)
    try:
        process = await asyncio.create_subprocess_exec(
            *sandbox.argv(command, limits),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
    except OSError as error:
        return str(error)
    try:
        async with asyncio.timeout(PROBE_S):
            _, stderr = await process.communicate()
    except TimeoutError:
        return f"it did not answer within {PROBE_S:g} s"
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode == 0:
        return ""
    said = stderr.decode("utf-8", "replace").strip().splitlines()
    return said[-1] if said else f"it ended with status {process.returncode}"
