"""The protocol between Rekku and the process of a plugin, the same on both sides.

A frame is its length in four bytes, then JSON: `{"call": id, "name", "with"}`, answered by `{"answer": id, "value"}`
or `{"answer": id, "error"}`; `{"cancel": id}`; or `{"tell": name, "with"}`, which nobody answers. What is asked or
told while a call of the other side is served says so: `"in": id`. Any frame may say in `"free"` which calls of the
other side nothing remembers any more (`core.isolation.situations`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from core.contracts.errors import RekkuError
from core.contracts.json import Json, JsonObject
from core.isolation.codec import CannotCross, decode, encode
from core.isolation.crossing_errors import PluginProcessDied, decode_error, encode_error
from core.isolation.situations import Situations

VERSION = 2
MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one frame."""

MAX_BACKLOG = 32 * 1024 * 1024
"""Bytes that wait to be sent to a side that does not read."""

MOST_OPEN_CALLS = 256
"""How many calls may be under way at once in one direction; one more is not made."""

MOST_SERVED_CALLS = 2 * MOST_OPEN_CALLS
"""How many of the other side's may run: one that it has cancelled may take longer than it counts it."""

MOST_A_SECOND = 20_000
"""Frames; a side that sends more floods the other one."""

MOST_VALUES = 50_000
"""Of one frame: reading millions of them would hold up everybody else for seconds."""

BUSY_S = 0.05
LONGEST_PAUSE_S = 1.0
"""A side that gives so many seconds of work at once is not read for as long, so that others have half of the time."""

_HEADER = struct.Struct(">I")
_CHUNK = 64 * 1024
_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class ProtocolBroken(Exception):
    """The other side sent what is none of this protocol."""


class Peer:
    """One side of a connection; `run` reads until the other side is gone, everything else is done meanwhile."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        serve: Callable[[str, list[Any]], Awaitable[Any]],
        told: Callable[[str, list[Any]], None],
        unanswered: Callable[[str], None] = lambda name: None,
        cancel_grace_s: float = 1.0,
    ) -> None:
        """serve: answers the other side's calls. told: hears what it tells; must not block.

        unanswered: told of a call that has not ended `cancel_grace_s` seconds after it was cancelled.
        """
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._serve = serve
        self._told = told
        self._unanswered = unanswered
        self._cancel_grace_s = cancel_grace_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._cancelled: dict[int, asyncio.TimerHandle] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._situations = Situations()
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._more = asyncio.Event()
        self._gone: BaseException | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the connection belongs to."""
        return self._loop

    async def run(self) -> None:
        """Serve until the other side has closed; raises ProtocolBroken, OSError. Then `abandon` is to be called."""
        writing = self._loop.create_task(self._write(), name="isolation: writing")
        try:
            await self._read()
        finally:
            writing.cancel()

    def abandon(self, reason: BaseException) -> None:
        """Let every call that waits fail for this reason, and end what is being served."""
        self._gone = self._gone or reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._gone)
        self._waiting.clear()
        for timer in self._cancelled.values():
            timer.cancel()
        self._cancelled.clear()
        for task in self._running.values():
            task.cancel()
        self._situations.clear()

    def leave(self, reason: BaseException) -> None:
        """Have nothing to do with the connection any more, in a copy of this process that was forked off.

        The descriptor stays taken: what is opened next must not get its number, and with it what is written here.
        """
        self._gone = reason
        self._backlog.clear()
        if self._connection.fileno() < 0:
            return
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nowhere, self._connection.fileno(), inheritable=False)
        os.close(nowhere)

    async def call(self, name: str, *args: Any) -> Any:
        """Return what the other side answers; raises what it raises, CannotCross, and why the connection is gone.

        Cancelled, it cancels the call over there. Raises RekkuError where too many calls are under way.
        """
        if self._gone is not None:
            raise self._gone
        if len(self._waiting) + len(self._cancelled) >= MOST_OPEN_CALLS:
            raise RekkuError(f"{name}: {MOST_OPEN_CALLS} calls between Rekku and the plugin's process wait already.")
        id_ = next(self._ids)
        self._send(self._situated({"call": id_, "name": name, "with": [encode(arg) for arg in args]}))
        self._situations.begin(id_)
        answer = self._waiting[id_] = self._loop.create_future()
        try:
            return await answer
        except asyncio.CancelledError:
            self._situations.end(id_)
            if self._waiting.pop(id_, None) is not None and self._gone is None:
                self._send({"cancel": id_})
                late = self._loop.call_later(self._cancel_grace_s, self._not_ended, id_, name)
                self._cancelled[id_] = late
            raise

    def tell(self, name: str, *args: Any) -> None:
        """Tell the other side something, from any thread; lost when the connection is gone."""
        frame = self._situated({"tell": name, "with": [encode(arg) for arg in args]})
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._send_or_drop(frame)
        else:
            self._loop.call_soon_threadsafe(self._send_or_drop, frame)

    def _situated(self, frame: JsonObject) -> JsonObject:
        inside = self._situations.inside()
        return frame if inside is None else {**frame, "in": inside}

    def _not_ended(self, id_: int, name: str) -> None:
        if self._cancelled.pop(id_, None) is not None:
            self._unanswered(name)

    def _send_or_drop(self, frame: JsonObject) -> None:
        if self._gone is None:
            self._send(frame)

    def _send(self, frame: JsonObject) -> None:
        if forgotten := self._situations.forgotten():
            frame = {**frame, "free": forgotten}
        try:
            body = _text(frame).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError, RecursionError) as error:
            raise CannotCross(f"it cannot be said in JSON: {error}") from error
        if len(body) > MAX_MESSAGE:
            raise CannotCross(f"it is larger than {MAX_MESSAGE // 1024 // 1024} MiB")
        if values_in(body) > MOST_VALUES:
            raise CannotCross(f"it has more than {MOST_VALUES:,} values")
        if self._backlog_bytes + len(body) > MAX_BACKLOG:
            raise PluginProcessDied("the plugin's process does not read what it is sent")
        rest = _HEADER.pack(len(body)) + body
        if not self._backlog_bytes:
            # At once where it fits, which it mostly does: that saves a round of the event loop.
            with contextlib.suppress(OSError):
                rest = rest[self._connection.send(rest) :]
        if rest:
            self._backlog.append(rest)
            self._backlog_bytes += len(rest)
            self._more.set()

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._backlog:
                frame = self._backlog.popleft()
                try:
                    await self._loop.sock_sendall(self._connection, frame)
                except OSError:
                    return  # the reading side finds out, and says so
                self._backlog_bytes -= len(frame)

    async def _read(self) -> None:
        buffer = bytearray()
        since, frames = self._loop.time(), 0
        while True:
            chunk = await self._loop.sock_recv(self._connection, _CHUNK)
            if not chunk:
                return
            began = self._loop.time()
            if began - since > 1:
                since, frames = began, 0
            buffer += chunk
            while len(buffer) >= _HEADER.size:
                (size,) = _HEADER.unpack_from(buffer)
                if size > MAX_MESSAGE:
                    raise ProtocolBroken(f"a message of {size} bytes")
                end = _HEADER.size + size
                if len(buffer) < end:
                    break
                body = bytes(buffer[_HEADER.size : end])
                del buffer[:end]
                self._take(body)
                frames += 1
            if frames > MOST_A_SECOND:
                raise ProtocolBroken(f"more than {MOST_A_SECOND} messages within a second")
            await asyncio.sleep(0)  # what is there already is read without a pause, and others have work as well
            if (took_s := self._loop.time() - began) > BUSY_S:
                await asyncio.sleep(min(took_s, LONGEST_PAUSE_S))

    def _take(self, body: bytes) -> None:
        if values_in(body) > MOST_VALUES:
            raise ProtocolBroken(f"a message of more than {MOST_VALUES:,} values")
        try:
            frame = json.loads(body.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            raise ProtocolBroken("a message that is no JSON") from error
        try:
            self._handle(frame)
        except ProtocolBroken:
            raise
        except Exception as error:
            # Whatever it is that a message can bring about, whoever sent it is at fault, and is told of by name.
            raise ProtocolBroken(
                f"a message that cannot be taken ({type(error).__name__}: {error!s:.200})"
            ) from error

    def _handle(self, frame: Json) -> None:
        match frame:
            case {"free": list() as forgotten}:
                self._situations.forget(forgotten)
        match frame:
            case {"answer": int() as id_}:
                self._answered(id_, frame)
            case {"call": int() as id_, "name": str() as name, "with": list() as args}:
                if id_ in self._running:
                    raise ProtocolBroken(f"a second call with the number {id_:d}")
                if len(self._running) >= MOST_SERVED_CALLS:
                    raise ProtocolBroken(f"more than {MOST_SERVED_CALLS} calls at once")
                context = self._situations.served(id_, frame.get("in"))
                task = self._loop.create_task(
                    self._answer(id_, name, args), name=f"isolation: {name:.60}", context=context
                )
                self._running[id_] = task
                task.add_done_callback(lambda _: self._running.pop(id_, None) and None)
            case {"cancel": int() as id_}:
                if id_ in self._running:
                    self._running[id_].cancel()
            case {"tell": str() as name, "with": list() as args}:
                self._situations.of(frame.get("in")).run(self._told, name, _decoded(args))
            case _:
                raise ProtocolBroken("a message of no known kind")

    def _answered(self, id_: int, frame: JsonObject) -> None:
        if (timer := self._cancelled.pop(id_, None)) is not None:
            timer.cancel()
        self._situations.end(id_)
        future = self._waiting.pop(id_, None)
        if future is None or future.done():
            return
        if "error" in frame:
            future.set_exception(decode_error(frame["error"]))
            return
        try:
            future.set_result(decode(frame.get("value")))
        except CannotCross as error:
            future.set_exception(error)

    async def _answer(self, id_: int, name: str, args: list[Json]) -> None:
        with contextlib.suppress(PluginProcessDied):  # it does not read its answers: that is seen by the next ping
            await self._answer_or_fail(id_, name, args)

    async def _answer_or_fail(self, id_: int, name: str, args: list[Json]) -> None:
        try:
            value = encode(await self._serve(name, _decoded(args)))
            self._send({"answer": id_, "value": value})
        except asyncio.CancelledError:
            if self._gone is None:
                # Nobody waits where we asked for it; else it came from its inside, and its end was not seen.
                inside = ConnectionAbortedError("it was cancelled from its inside")
                self._send({"answer": id_, "error": encode_error(inside)})
        except Exception as error:  # noqa: BLE001 - foreign code; it is raised again where it was asked for
            if self._gone is None:
                self._send({"answer": id_, "error": encode_error(error)})


def _decoded(args: list[Json]) -> list[Any]:
    try:
        return [decode(arg) for arg in args]
    except CannotCross as error:
        raise ProtocolBroken(f"arguments that cannot be read: {error}") from error


def values_in(body: bytes) -> int:
    """Return how many values a message of JSON has at most; it takes a moment whatever is in it."""
    most = _opened_in(body)
    if most <= MOST_VALUES:
        return most
    # Marks that stand in texts begin no value, and a long text has many.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    texts = bare.count(b'"') // 2
    if texts > 2 * MOST_VALUES:  # one of a pair may be a key
        return texts // 2
    return _opened_in(b"".join(bare.split(b'"')[::2]))


def _opened_in(body: bytes) -> int:
    return 1 + body.count(b",") + body.count(b"[") + body.count(b"{")
