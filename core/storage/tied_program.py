"""A program that ends with us, also when we are killed: it may not go on changing a database that nobody watches."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1

# In a process of its own, since what runs between a fork and an exec of ours must not be Python: other threads of
# ours may hold any lock. The parent that is gone before the wish is heard is found by its id.
_STARTER = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGKILL)}, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied(command: Sequence[str]) -> tuple[str, ...]:
    """Return what runs `command`, whose first word is a path, as a process that the kernel kills when we are gone.

    To be started by the thread that lives as long as we do: the kernel counts that one's end as ours. Elsewhere than
    on Linux the command comes back as it is.
    """
    if sys.platform != "linux":
        return tuple(command)
    return (sys.executable, "-I", "-S", "-c", _STARTER, str(os.getpid()), *command)
