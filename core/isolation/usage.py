"""What the process of a plugin and all that it has started use, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from core.services.process_guard import descendants_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
ENDED = slice(13, 15)
OWN_AND_ENDED = slice(11, 15)
"""In `/proc/PID/stat`: user and system time of the process, and of its children that have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """processes: how many. cpu_s: since they began.

    memory_bytes: resident; what a fork has in common with its parent counts twice, so it is at most this.
    """

    processes: int
    memory_bytes: int
    cpu_s: float


def memory_below(pid: int) -> int:
    """Return the bytes of memory of the descendants of a process, what they share divided: slower, exact."""
    return sum(_proportional(one) for one in descendants_of(pid))


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def usage_below(pid: int) -> Usage | None:
    """Return what the descendants of a process use, those that have ended included; None where nobody tells."""
    pids = descendants_of(pid)
    if not pids:
        return None
    memory, shared = 0, 0
    cpu = _cpu_s(pid, ENDED)  # what nobody has waited for ends as a child of that process
    for one in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, resident, of_files, *_ = map(int, Path("/proc", str(one), "statm").read_text().split())
            memory += (resident - of_files) * _PAGE
            shared = max(shared, of_files * _PAGE)
        cpu += _cpu_s(one, OWN_AND_ENDED)
    return Usage(processes=len(pids), memory_bytes=memory + shared, cpu_s=cpu)


def _cpu_s(pid: int, which: slice) -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # Behind the name, which may hold anything.
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[which])) / _TICKS
    return 0.0
