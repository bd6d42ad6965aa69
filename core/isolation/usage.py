"""What the process of a plugin and all that it has started use, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from core.isolation.child import descendants_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """processes: how many. memory_bytes: resident, what they share counted once. cpu_s: since they began."""

    processes: int
    memory_bytes: int
    cpu_s: float


def usage_below(pid: int) -> Usage | None:
    """Return what the descendants of a process use; None where the kernel does not tell."""
    pids = descendants_of(pid)
    if not pids:
        return None
    memory, shared, cpu = 0, 0, 0.0
    for one in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, resident, of_files, *_ = map(int, Path("/proc", str(one), "statm").read_text().split())
            memory += (resident - of_files) * _PAGE
            shared = max(shared, of_files * _PAGE)
            # Behind the name, which may hold anything: user, system, and of children that have ended.
            fields = Path("/proc", str(one), "stat").read_text().rpartition(")")[2].split()
            cpu += sum(map(int, fields[11:15])) / _TICKS
    return Usage(processes=len(pids), memory_bytes=memory + shared, cpu_s=cpu)
