"""Runs a command with limits: `python -I -S limited.py SPEC COMMAND…`, SPEC as JSON. Uses the standard library only.

It stands between Rekku and the command so that nothing has to run between fork and exec in Rekku itself, where
threads may hold locks. The spec: `limits` (by name of the resource limit), `processes`, `cgroups` (directories to
join), `terminal` (take the standard input as controlling terminal), and for what is not in a namespace of
processes `supervise` with `cwd` and `landlock` (see the files of these names).
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import signal
import sys
import termios
from typing import Any

NOT_STARTED = 125
"""The exit status when the command could not be started as it should be."""


def main(spec: dict[str, Any], command: list[str]) -> None:
    """Set the limits and become the command; exits with NOT_STARTED and a sentence when that cannot be."""
    try:
        for directory in spec["cgroups"]:
            with open(os.path.join(directory, "cgroup.procs"), "w") as procs:
                procs.write(str(os.getpid()))
        if spec["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _limit(spec["limits"], spec["processes"])
        # Python ignores these two, and what is ignored stays so in the command.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if spec["supervise"]:
            sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
            importlib.import_module("supervisor").run(spec, command)
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        print(f"The command could not be started: {error}", file=sys.stderr)  # noqa: T201 - its standard error
        sys.stderr.flush()
        os._exit(NOT_STARTED)


def _limit(limits: dict[str, int], processes: int) -> None:
    """Set resource limits, never above what already holds. Root is not bound by the one on processes."""
    # It counts the threads of the user on the whole machine, so those that are there come on top.
    for name, value in {**limits, "RLIMIT_NPROC": processes + _threads_of(os.getuid())}.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (bound, bound))


def _threads_of(user: int) -> int:
    threads = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    threads += os.stat(f"/proc/{name}/task").st_nlink - 2
            except OSError:
                continue  # it has ended by now
    return threads


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
