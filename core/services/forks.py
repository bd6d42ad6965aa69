"""What a fork of this process may not do: go on as if it were this process.

A child of `os.fork` has a copy of the event loop and of every connection. Where foreign code forks, the child may do
its own work and end; as soon as it comes back into the loop it is ended, before it answers anybody a second time.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import Any

FORKED_STATUS = 70

_loops: weakref.WeakSet[Any] = weakref.WeakSet()
_registered: list[bool] = []


def end_forks_of(loop: asyncio.AbstractEventLoop) -> None:
    """From now on a child that was forked off does not go on in `loop`."""
    _loops.add(loop)
    if not _registered:
        _registered.append(True)
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for loop in list(_loops):
        # What `run_forever` calls in every round, and what is left of this one: that could wait for a lock which a
        # thread held that the child does not have. A loop of another make is left as it is.
        selector = getattr(loop, "_selector", None)
        if selector is not None:
            selector.close()  # the parent waits on the same one: what the child lets go of is let go of there too
        if hasattr(loop, "_run_once") and hasattr(loop, "_ready"):
            loop._run_once = _end
            for position in range(len(loop._ready)):
                loop._ready[position] = asyncio.Handle(_end, (), loop)


def _end() -> None:
    os._exit(FORKED_STATUS)  # no clean-up: buffers, locks and connections are the parent's
