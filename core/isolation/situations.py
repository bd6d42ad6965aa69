"""In which context a call of the other side is done: in that of the call of ours which it was made inside of.

So what it may do there is what may be done where the other side was called: the action that runs, the event that is
its cause, the turn that a line of the log belongs to. A context is kept for as long as anything over there remembers
the call that it is of; what was begun meanwhile and goes on may.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from contextvars import Context, ContextVar, copy_context

MOST_KEPT = 1000
"""Contexts of calls that have ended; beyond that the oldest are forgotten: what comes of them comes of nothing."""

_connections = itertools.count(1)


class _Served:
    """A call of the other side that something here remembers; its end is the end of the last memory of it."""

    __slots__ = ("_forgotten", "id")

    def __init__(self, id_: int, forgotten: deque[int]) -> None:
        self.id = id_
        self._forgotten = forgotten

    def __del__(self) -> None:
        self._forgotten.append(self.id)


_serving: ContextVar[Mapping[int, _Served]] = ContextVar("rekku_isolation_serving")
"""By connection, the call of its other side that is being served."""


class Situations:
    """The contexts of one side of one connection."""

    def __init__(self) -> None:
        self._connection = next(_connections)
        self._open: dict[int, Context] = {}
        self._ended: OrderedDict[int, Context] = OrderedDict()
        self._forgotten: deque[int] = deque()

    def begin(self, id_: int) -> None:
        """Note in which context a call is made."""
        self._open[id_] = copy_context()

    def end(self, id_: int) -> None:
        """Note that a call has ended; what came of it may still go on over there."""
        context = self._open.pop(id_, None)
        if context is not None:
            self._ended[id_] = context
            if len(self._ended) > MOST_KEPT:
                self._ended.popitem(last=False)

    def inside(self) -> int | None:
        """Return which call of the other side what runs now is done for, if any."""
        served = _serving.get({}).get(self._connection)
        return None if served is None else served.id

    def of(self, id_: object) -> Context:
        """Return a context like that in which a call of ours was made; an empty one for none, or one forgotten."""
        if not isinstance(id_, int):
            return Context()
        context = self._open.get(id_) or self._ended.get(id_)
        return Context() if context is None else context.copy()

    def served(self, id_: int, inside: object) -> Context:
        """Return the context for serving a call that was made inside of another one, or of none."""
        context = self.of(inside)
        around = context.run(_serving.get, {})
        context.run(_serving.set, {**around, self._connection: _Served(id_, self._forgotten)})
        return context

    def forgotten(self) -> list[int]:
        """Return the calls of the other side that nothing remembers any more, each once."""
        found = []
        while self._forgotten:
            found.append(self._forgotten.popleft())
        return found

    def forget(self, ids: Iterable[object]) -> None:
        """Let go of calls that nothing over there remembers."""
        for id_ in ids:
            if isinstance(id_, int):
                self._ended.pop(id_, None)

    def clear(self) -> None:
        """Let go of all: there is no other side any more."""
        self._open.clear()
        self._ended.clear()
