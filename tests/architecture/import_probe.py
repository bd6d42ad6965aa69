"""Imports modules one by one and prints, as JSON, what each of them did besides; run in a process of its own.

usage: python import_probe.py MODULE… -- HEAVY…   prints {module: [what it did, …]}, only for those that did something
"""

from __future__ import annotations

import _thread
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_STARTS = ("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "sqlite3.")
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.chmod", "os.putenv", "os.unsetenv")

done: dict[str, list[str]] = {}
current: list[str] = []


def note(what: str) -> None:
    """Put `what` down to the module that is being imported."""
    if current:
        done.setdefault(current[-1], []).append(what)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note an audit event that a mere import has no business to raise."""
    if event == "open":
        flags = arguments[2]
        if isinstance(flags, int) and flags & _WRITING:
            note(f"opened {arguments[0]!r} for writing")
    elif event.startswith((*_STARTS, *_CHANGES)):
        note(f"{event} {arguments!r}"[:200])


def watch_threads() -> None:
    """Note every thread that starts; before Python 3.12 no audit event tells."""
    start: Callable[..., int] = _thread.start_new_thread

    def noted(*arguments: Any, **named: Any) -> int:
        note(f"started a thread {arguments[0]!r}")
        return start(*arguments, **named)

    _thread.start_new_thread = noted
    threading._start_new_thread = noted  # type: ignore[attr-defined]


def state() -> dict[str, object]:
    """Return what a module could have left changed in this process."""
    return {
        "threads": threading.active_count(),
        "log handlers": len(logging.root.handlers),
        "environment": dict(os.environ),
        "SIGTERM handler": signal.getsignal(signal.SIGTERM),
        "SIGINT handler": signal.getsignal(signal.SIGINT),
        "folder": os.getcwd(),
    }


def probe(module: str, heavy: frozenset[str]) -> None:
    """Import `module` and note what happened."""
    before, loaded = state(), heavy & sys.modules.keys()
    current.append(module)
    try:
        importlib.import_module(module)
    except BaseException as error:  # a broken module is a finding, not the end of the search
        note(f"could not be imported: {type(error).__name__}: {error}")
    for name, value in state().items():
        if value != before[name]:
            note(f"changed: {name}")
    for name in sorted((heavy & sys.modules.keys()) - loaded):
        note(f"loaded {name}")
    current.pop()


def main() -> None:
    """Read the modules and the heavy packages from the command line and print the findings."""
    sys.dont_write_bytecode = True
    split = sys.argv.index("--")
    modules, heavy = sys.argv[1:split], frozenset(sys.argv[split + 1 :])
    sys.path[0] = os.getcwd()
    sys.addaudithook(watch)
    watch_threads()
    for module in modules:
        probe(module, heavy)
    print(json.dumps(done))


if __name__ == "__main__":
    main()
