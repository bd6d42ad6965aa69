"""What the process of a plugin may use, and the part of it that the process lays upon itself before it begins."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from dataclasses import asdict, dataclass

MIB = 1024 * 1024
DEFAULT_MEMORY_MB = 512
DEFAULT_CPU_S = 30.0
MOST_FILES = 512
MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """memory_mb: MiB of the process and all that it starts, together. cpu_s: processor seconds in any minute.

    processes: of the plugin's own and all that it starts.
    """

    memory_mb: int = DEFAULT_MEMORY_MB
    cpu_s: float = DEFAULT_CPU_S
    processes: int = MOST_PROCESSES

    def as_text(self) -> str:
        """Return it as one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Limits:
        """Read what `as_text` wrote."""
        return cls(**json.loads(text))

    def apply(self) -> None:
        """Bind this process and all that it will start: data of one process, files, no core dumps.

        `RLIMIT_DATA` counts what can be written to, so what is only reserved does not matter as with `RLIMIT_AS`;
        elsewhere than on Linux that is the one that works.
        """
        memory = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
        wanted = ((memory, self.memory_mb * MIB), (resource.RLIMIT_NOFILE, MOST_FILES), (resource.RLIMIT_CORE, 0))
        for limit, value in wanted:
            _, hard = resource.getrlimit(limit)
            bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(OSError, ValueError):  # a platform that does not know it
                resource.setrlimit(limit, (bounded, bounded))
