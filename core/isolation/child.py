"""The program that is started for an isolated plugin: `python -m core.isolation.child`.

It splits in two before it imports anything of weight: the worker, which holds the plugin, and its guard.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

from core.services.process_guard import fork_below_guard, watch_over


def main(arguments: list[str]) -> None:
    """arguments: descriptors of the protocol and of the life line, the limits, then files to join groups by."""
    protocol_fd, life_fd, limits, *groups = arguments
    worker = fork_below_guard(int(life_fd))
    if worker == 0:
        _work(int(protocol_fd), limits, groups)
        os._exit(0)
    os.close(int(protocol_fd))
    watch_over(worker, int(life_fd))
    os._exit(0)


def _work(protocol_fd: int, limits: str, groups: list[str]) -> None:
    for file in groups:
        with contextlib.suppress(OSError):
            Path(file).write_text(str(os.getpid()))
    from core.isolation.limits import Limits
    from core.isolation.worker import serve

    Limits.from_text(limits).apply()
    serve(socket.socket(fileno=protocol_fd))


if __name__ == "__main__":
    main(sys.argv[1:])
