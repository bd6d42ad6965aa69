"""Who descends from a process, as /proc tells."""

from __future__ import annotations

import contextlib
import os
import signal


def descendants(pid: int, *, below: int) -> list[int]:
    """Return the processes that are more than `below` generations under `pid`; 0: its children and all of theirs."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended by now
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    generation, depth = children.get(pid, []), 0
    while generation:
        if depth >= below:
            found += generation
        generation = [child for parent in generation for child in children.get(parent, [])]
        depth += 1
    return found


def send_signal(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each that still is there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
