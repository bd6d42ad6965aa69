"""What is asked inside of a call is done in that call's context; what is forgotten over there is let go."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from core.contracts.errors import RekkuError
from core.isolation import situations
from core.isolation.crossing_errors import PluginProcessDied
from core.isolation.peer import MOST_OPEN_CALLS, Peer
from core.isolation.situations import Situations

who: ContextVar[str] = ContextVar("who", default="nobody")
Serve = Callable[[str, list[Any]], Awaitable[Any]]


@asynccontextmanager
async def connected(here: Serve, there: Serve) -> AsyncIterator[tuple[Peer, Peer]]:
    """Connect two sides, each of which answers so."""
    one, two = socket.socketpair()
    one.setblocking(False)
    two.setblocking(False)
    told: list[str] = []
    sides = [
        Peer(side, serve=serve, told=lambda name, args: told.append(who.get()))
        for side, serve in ((one, here), (two, there))
    ]
    running = [asyncio.create_task(side.run()) for side in sides]
    with one, two:
        yield sides[0], sides[1]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_what_is_asked_inside_of_a_call_is_done_in_its_context() -> None:
    sides: list[Peer] = []
    left: list[asyncio.Task[Any]] = []
    go_on = asyncio.Event()

    async def here(name: str, args: list[Any]) -> Any:
        if name == "back":  # from over there, and there again: what is set on the way is nobody else's
            who.set(f"{who.get()}+")
            return await sides[0].call("tell")
        return who.get()

    async def there(name: str, args: list[Any]) -> Any:
        if name == "tell":
            return await sides[1].call("who")
        if name == "leave":
            left.append(asyncio.create_task(later()))
            return None
        return [await sides[1].call(one) for one in ("who", "back", "who")]

    async def later() -> Any:
        await go_on.wait()
        return await sides[1].call("who")

    async with connected(here, there) as found:
        sides += found

        async def ask(name: str) -> Any:
            who.set(name)
            return await sides[0].call("ask")

        answers = await asyncio.gather(*(ask(name) for name in ("anna", "bea")))
        assert answers == [["anna", "anna+", "anna"], ["bea", "bea+", "bea"]]
        assert await sides[1].call("who") == "nobody", "what is asked by itself is asked for nobody"

        who.set("cleo")
        await sides[0].call("leave")
        who.set("nobody")
        gc.collect()
        assert await sides[0].call("ask") is not None
        assert len(sides[0]._situations._ended) > 0, "what goes on over there remembers its call"
        go_on.set()
        assert await left.pop() == "cleo"
        gc.collect()
        for _ in range(4):
            await asyncio.gather(sides[0].call("tell"), sides[1].call("who"))
        assert len(sides[0]._situations._ended) < 4
        assert len(sides[1]._situations._ended) < 4


async def test_one_call_too_many_is_not_made() -> None:
    gate = asyncio.Event()

    async def wait(name: str, args: list[Any]) -> Any:
        await gate.wait()

    async with connected(wait, wait) as (one, _):
        calls = [asyncio.create_task(one.call("wait")) for _ in range(MOST_OPEN_CALLS)]
        await asyncio.sleep(0)
        with pytest.raises(RekkuError, match=f"{MOST_OPEN_CALLS} calls"):
            await one.call("wait")
        gate.set()
        await asyncio.gather(*calls)
        assert await one.call("wait") is None


async def test_a_side_that_has_left_asks_and_sends_nothing() -> None:
    heard: list[str] = []

    async def note(name: str, args: list[Any]) -> Any:
        heard.append(name)

    async with connected(note, note) as (one, _):
        one.leave(PluginProcessDied("a copy"))
        one.tell("anything")
        with pytest.raises(ConnectionError, match="a copy"):
            await one.call("anything")
        assert heard == []
        with pytest.raises(OSError, match="non-socket"):
            one._connection.send(b"anything")


def test_contexts_that_nobody_lets_go_of_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(situations, "MOST_KEPT", 2)
    found = Situations()
    who.set("anna")
    for id_ in (1, 2, 3, 4):
        found.begin(id_)
        if id_ != 1:
            found.end(id_)
    assert [found.of(id_).get(who) for id_ in (1, 2, 3, 4)] == ["anna", None, "anna", "anna"]
    found.forget([3, [], None])
    assert found.of(3).get(who) is None
    assert found.of("4").get(who) is None
