"""A server that goes away under load and comes back: what is seen of an app that goes on all the while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientSession

from core.app import App
from core.contracts.errors import StorageUnavailable
from core.health.readiness import Phase
from core.health.server import HealthServer
from core.services import inbox, outbox
from tests.faults.child import settings
from tests.faults.outside import ACKNOWLEDGED, PLATFORM, WORLD, Actions, Model, Platform, Records, Said
from tests.support.database_servers import DatabaseServer
from tests.support.tcp_proxy import TcpProxy

WITHIN_S = 60.0
POLL_S = 0.2


@dataclass(slots=True, kw_only=True)
class Observed:
    """What was seen. told_after_s: until /readyz said it. done_after_s: after it was back, until all was done.

    acknowledged: inputs that were acknowledged while it was away.
    """

    told_after_s: float = 0.0
    done_after_s: float = 0.0
    acknowledged: int = 0
    late: list[Said] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An app that works, with what stands around it."""

    app: App
    platform: Platform
    outside: Records
    port: int | None

    async def says(self, path: str = "/readyz") -> tuple[int, str]:
        """Return the status and the text of a health endpoint."""
        async with ClientSession() as client, client.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.text()

    async def is_told(self) -> bool:
        """Whether it is told that the database does not work."""
        status, text = await self.says()
        parts = {part["kind"]: part["state"] for part in json.loads(text)["parts"]}
        return status == 503 and parts["database"] != "ok"

    async def is_ready(self) -> bool:
        """Whether it is told that all works."""
        return (await self.says())[0] == 200

    async def is_done(self) -> bool:
        """Whether nothing is left to do."""
        try:
            open_inputs = await self.app.database.read(inbox.count_open)
            letters = await self.app.database.read(outbox.counts)
        except StorageUnavailable:
            return False
        return self.platform.quiet and not open_inputs and not letters.keys() & set(outbox.OPEN)

    def hand_in(self, said: list[Said]) -> list[asyncio.Future[None]]:
        """Let the platform hand in more, each by a task of its own, which ends when it was acknowledged."""
        self.platform.said += said
        return [asyncio.ensure_future(self.platform._hand_in(self.app.receive, [each])) for each in said]

    def acknowledged(self) -> int:
        """Return how many inputs were acknowledged."""
        return len(self.outside.read(ACKNOWLEDGED))


@contextlib.asynccontextmanager
async def running(home: Path, database: str, outside: Records, said: list[Said]) -> AsyncIterator[Running]:
    """Run an app on a database (the URL of a server, "" for the home's file), with its health endpoints."""
    platform = Platform(outside, said, 0.01)
    platform.name = PLATFORM
    app = App(
        settings(home, database),
        plugins=[Actions(outside, 0.02)],
        interfaces=[platform],
        engines=[Model(outside, 0.02)],
    )
    async with HealthServer(app, ("127.0.0.1", 0)) as health, app:
        health.is_now(Phase.SERVING)
        yield Running(app=app, platform=platform, outside=outside, port=health.port)


async def until(true: Callable[[], bool | Awaitable[bool]], what: str, within_s: float = WITHIN_S) -> None:
    """Wait until something is true, else raise AssertionError."""
    for _ in range(round(within_s / POLL_S)):
        found = true()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"in vain: {what}")


async def goes_away(
    server: DatabaseServer, how: str, home: Path, outside: Records, said: list[Said], *, for_s: float
) -> Observed:
    """Let a server go away under load for so long, and wait until all is done once it is back.

    how: "killed", "stopped", "hanging" or "reset" (each connection is reset, and no new one let through). Raises
    AssertionError for what was waited for in vain.
    """
    seen = Observed()
    async with contextlib.AsyncExitStack() as stack:
        url = server.url("rekku")
        proxy = None
        if how == "reset":
            proxy = await stack.enter_async_context(TcpProxy(server.port))
            url = url.replace(f":{server.port}/", f":{proxy.port}/")
        it = await stack.enter_async_context(running(home, url, outside, said))
        await until(lambda: len(outside.read(WORLD)) > 3, "it works")
        await until(it.is_ready, "it is told that all works")
        began = time.monotonic()
        if proxy is not None:
            proxy.refuses = True
            proxy.cut_all()
        else:
            await asyncio.to_thread({"killed": server.kill, "stopped": server.stop, "hanging": server.pause}[how])
        await until(it.is_told, "it is told that the database is away")
        seen.told_after_s = time.monotonic() - began
        seen.late = [Said(key=f"late{n}", chat=f"d{n}", text=f"look late{n}") for n in range(5)]
        before = it.acknowledged()
        handing_in = it.hand_in(seen.late)
        await asyncio.sleep(max(for_s - (time.monotonic() - began), 0.0))
        assert await it.is_told(), "it is told as long as the database is away"
        seen.acknowledged = it.acknowledged() - before
        if proxy is not None:
            proxy.refuses = False
        else:
            await asyncio.to_thread(server.resume if how == "hanging" else server.start)
        back = time.monotonic()
        await until(it.is_done, "all is done", max(WITHIN_S, 5 * for_s))
        seen.done_after_s = time.monotonic() - back
        await asyncio.gather(*handing_in)
        await until(it.is_ready, "it is told that all works again")
    return seen
