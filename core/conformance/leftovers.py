"""What lives in a process at one time: tasks, threads, descriptors, child processes, files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

SETTLE_S = 1.5
"""What is about to end is given so long, in seconds."""

_OF_THE_LOOP = ("asyncio_",)
"""Names of threads that the event loop keeps for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What there was. kept: directories whose files are not looked at."""

    tasks: frozenset[asyncio.Task[object]]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, str]]
    children: frozenset[int]
    files: frozenset[str]


def snapshot(home: Path, kept: Collection[Path]) -> Snapshot:
    """Look now; `kept` are places of the home whose files may change."""
    try:
        tasks = frozenset(asyncio.all_tasks() - {asyncio.current_task()})
    except RuntimeError:  # no loop runs
        tasks = frozenset()
    threads = frozenset(t for t in threading.enumerate() if not t.name.startswith(_OF_THE_LOOP))
    return Snapshot(
        tasks=tasks,
        threads=threads,
        descriptors=frozenset(_descriptors(kept)),
        children=frozenset(_children()),
        files=frozenset(_files(home, kept)),
    )


def left_behind(before: Snapshot, after: Snapshot) -> list[tuple[str, str]]:
    """Return (what, cure) of each thing that is there now and was not."""
    left: list[tuple[str, str]] = []
    for task in after.tasks - before.tasks:
        if not task.done():
            left.append((f"the task {task.get_name()!r}", "Use self.context.spawn, or cancel and await it in stop."))
    for thread in after.threads - before.threads:
        left.append((f"the thread {thread.name!r}", "Have it end in stop, and join it."))
    for _number, target in sorted(after.descriptors - before.descriptors):
        left.append((f"the open descriptor of {target}", "Close it in stop."))
    for child in sorted(after.children - before.children):
        left.append((f"the child process {_name_of(child)}", "End it in stop, and wait for it."))
    for name in sorted(after.files - before.files):
        left.append((f"the file {name}", "Keep files in self.context.data_directory."))
    return left


async def settled(before: Snapshot, home: Path, kept: Collection[Path]) -> list[tuple[str, str]]:
    """Return what is left behind once what is about to end had time to."""
    left = left_behind(before, snapshot(home, kept))
    for _ in range(round(SETTLE_S / 0.05)):
        if not left:
            break
        await asyncio.sleep(0.05)
        left = left_behind(before, snapshot(home, kept))
    return left


def _descriptors(kept: Collection[Path]) -> Iterator[tuple[int, str]]:
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{folder}/{name}")
                if target.endswith("/fd") or any(target.startswith(str(place)) for place in kept):
                    continue
                yield int(name), target


def _children() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                yield from map(int, Path(f"/proc/self/task/{task}/children").read_text(encoding="ascii").split())


def _name_of(child: int) -> str:
    try:
        return f"{child} ({Path(f'/proc/{child}/comm').read_text(encoding='utf-8').strip()})"
    except OSError:
        return str(child)


def _files(home: Path, kept: Collection[Path]) -> Iterator[str]:
    for folder, _folders, names in os.walk(home):
        for name in names:
            path = os.path.join(folder, name)
            if not any(path.startswith(str(place)) for place in kept):
                yield os.path.relpath(path, home)
