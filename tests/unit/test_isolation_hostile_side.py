"""What one side of an isolated plugin's connection may send: forged, overlarge and endless frames break it alone."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.isolation.codec import CannotCross
from core.isolation.crossing_errors import PluginProcessDied
from core.isolation.peer import MAX_BACKLOG, MOST_VALUES, Peer, ProtocolBroken, values_in


def frame(said: Any) -> bytes:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return len(body).to_bytes(4, "big") + body


async def nothing(name: str, args: list[Any]) -> Any:
    await asyncio.Event().wait()


@asynccontextmanager
async def side(**parts: Any) -> AsyncIterator[tuple[Peer, socket.socket]]:
    """Yield one side of a connection, and the socket of the other."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield Peer(ours, **{"serve": nothing, "told": lambda name, args: None, **parts}), theirs


async def broken_by(peer: Peer, theirs: socket.socket, *frames: bytes) -> str:
    """Return how the connection breaks."""
    running = asyncio.create_task(peer.run())
    for one in frames:
        await asyncio.get_running_loop().sock_sendall(theirs, one)
    with pytest.raises(ProtocolBroken) as broken:
        await asyncio.wait_for(running, 20)
    return str(broken.value)


async def test_a_told_thing_that_cannot_be_taken_is_the_other_sides_fault() -> None:
    def told(name: str, args: list[Any]) -> None:
        raise OverflowError("int too large")

    async with side(told=told) as (peer, theirs):
        how = await broken_by(peer, theirs, frame({"tell": "job", "with": []}))
    assert how == "a message that cannot be taken (OverflowError: int too large)"


async def test_a_number_that_is_taken_is_told_as_that() -> None:
    call = frame({"call": 7, "name": "kv.get", "with": []})
    async with side() as (peer, theirs):
        assert await broken_by(peer, theirs, call, call) == "a second call with the number 7"
        peer.abandon(PluginProcessDied("over"))


@pytest.mark.parametrize("value", ["[],", "1,", '{"a":1},', '"a",', '{"$":["tuple",[]]},'])
async def test_more_values_than_are_read_in_a_moment_are_refused(value: str) -> None:
    """They would take seconds, in which nobody else is served."""
    many = f'{{"tell":"x","with":[{value * (MOST_VALUES + 1)}1]}}'.encode()
    async with side() as (peer, theirs):
        assert await broken_by(peer, theirs, frame(many)) == f"a message of more than {MOST_VALUES:,} values"


async def test_what_is_sent_keeps_to_the_same_bound() -> None:
    async with side() as (peer, _):
        with pytest.raises(CannotCross, match="more than 50,000 values"):
            await peer.call("do", [1] * (MOST_VALUES + 1))


@pytest.mark.parametrize("text", ["a,", "[{,", '\\",', '\\\\,"', "\n,"])
def test_a_long_text_is_one_value(text: str) -> None:
    said = json.dumps([text * MOST_VALUES]).encode()
    assert values_in(said) <= MOST_VALUES
    assert values_in(json.dumps([text] * MOST_VALUES + [text]).encode()) > MOST_VALUES


async def test_a_side_that_reads_nothing_is_told_of_by_the_call_that_finds_out() -> None:
    """And the answers that it does not read are let go, each without an error of its own."""
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))

    async def much(name: str, args: list[Any]) -> Any:
        return "x" * 1_000_000

    async with side(serve=much) as (peer, theirs):
        running = asyncio.create_task(peer.run())
        for number in range(2 * MAX_BACKLOG // 1_000_000):
            call = frame({"call": number, "name": "much", "with": []})
            await asyncio.get_running_loop().sock_sendall(theirs, call)
        async with asyncio.timeout(20):
            while peer._backlog_bytes < MAX_BACKLOG - 1_000_000 or peer._running:  # noqa: ASYNC110
                await asyncio.sleep(0)
        with pytest.raises(PluginProcessDied, match="does not read"):
            await peer.call("ping" + "x" * 1_000_000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        peer.abandon(PluginProcessDied("over"))
    assert not unhandled
