"""The program that is started for an isolated plugin: `python -m core.isolation.child`.

It splits in two before it imports anything of weight. The worker holds the plugin. The guard waits for the worker's
end, or for Rekku's: either way it ends everything that the plugin has started, also what had left its session, and
tells how the worker ended. So nothing is left when Rekku itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 200
PAUSE_S = 0.01
SIGCHLD_POLL_MS = 500


def main(arguments: list[str]) -> None:
    """arguments: descriptors of the protocol and of the life line, the limits, then files to join groups by."""
    protocol_fd, life_fd, limits, *groups = arguments
    linux = sys.platform == "linux"
    if linux:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        os.close(int(life_fd))
        os.setsid()
        if linux:
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guard:
                os._exit(1)
        _work(int(protocol_fd), limits, groups)
        os._exit(0)
    os.close(int(protocol_fd))
    _guard(worker, int(life_fd))


def _work(protocol_fd: int, limits: str, groups: list[str]) -> None:
    for file in groups:
        with contextlib.suppress(OSError):
            Path(file).write_text(str(os.getpid()))
    from core.isolation.limits import Limits
    from core.isolation.worker import serve

    Limits.from_text(limits).apply()
    serve(socket.socket(fileno=protocol_fd))


def _guard(worker: int, life_fd: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C is for Rekku, which stops its plugins in order
    for fd in (1, 2):
        os.close(fd)  # the worker's end is to be the end of what it prints
    life = socket.socket(fileno=life_fd)
    life.set_inheritable(False)
    poll = select.poll()
    poll.register(life, select.POLLIN | select.POLLHUP)
    life.send(f"{worker} ".encode())
    with contextlib.suppress(OSError, AttributeError):
        poll.register(os.pidfd_open(worker), select.POLLIN)  # type: ignore[attr-defined, unused-ignore]
    status = None
    while status is None:
        ready = poll.poll(SIGCHLD_POLL_MS)
        status = _reap(worker)
        if any(fd == life.fileno() for fd, _ in ready):
            break
    status = _end_all(worker, status)
    code = os.waitstatus_to_exitcode(status) if status is not None else 0
    with contextlib.suppress(OSError):
        life.send((f"exit {code}" if code >= 0 else f"signal {-code}").encode())
    os._exit(0)


def _end_all(worker: int, status: int | None) -> int | None:
    """Kill all descendants, until none is left; a few rounds, since they may go on starting more."""
    for _ in range(ROUNDS):
        descendants = descendants_of(os.getpid())
        if status is None:
            descendants.append(worker)
        for pid in descendants:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
        ended = _reap(worker)
        status = ended if status is None else status
        if status is not None and not descendants_of(os.getpid()):
            break
        time.sleep(PAUSE_S)
    return status


def _reap(worker: int) -> int | None:
    """Reap what has ended; return the worker's status if it was among it. What has lost its parent is ours."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == worker:
            found = status


def descendants_of(pid: int) -> list[int]:
    """Return the processes that descend from one, without it; where /proc does not tell, none."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < 10_000:
        with contextlib.suppress(OSError):
            for task in Path("/proc", str(waiting.pop()), "task").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    children = [int(child) for child in (task / "children").read_text().split()]
                    found += children
                    waiting += children
    return found


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
