"""The database is away under load: nothing is acknowledged before it is stored, all is done once it is back."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from core.app import App
from core.contracts.errors import StorageUnavailable
from core.health.readiness import Phase
from core.health.server import HealthServer
from core.services import inbox, outbox
from core.storage import server
from tests.faults.aftermath import Scene, asked_of_server, complaints
from tests.faults.child import settings
from tests.faults.outside import ACKNOWLEDGED, PLATFORM, WORLD, Actions, Model, Platform, Said
from tests.faults.test_chaos import KINDS
from tests.support.database_servers import ServersOfTests

pytestmark = pytest.mark.service

MESSAGES, LANES = 60, 12
WITHIN_S = 60.0


async def until(true: Any, what: str) -> None:
    """Wait until something is true; `true` may be a coroutine function."""
    for _ in range(round(WITHIN_S / 0.2)):
        found = true()
        if await found if asyncio.iscoroutine(found) else found:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"in vain: {what}")


async def told(port: int | None, path: str) -> tuple[int, str]:
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


EVERY_CASE = [(dialect, how) for dialect in ("mariadb", "postgresql") for how in ("killed", "stopped", "hanging")]
CASES = EVERY_CASE if os.environ.get("REKKU_EVERY_CASE") else [("mariadb", "killed"), ("postgresql", "hanging")]
"""REKKU_EVERY_CASE=1 takes all."""


@pytest.mark.parametrize(("dialect", "how"), CASES)
async def test_all_is_done_when_it_is_back(
    dialect: str, how: str, tmp_path: Path, database_servers: ServersOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = database_servers.another(dialect)
    try:
        monkeypatch.setattr(server, "LONGEST_S", 1.0)
        scene = Scene(tmp_path, own.url("rekku"))
        said = [
            Said(key=f"k{n}", chat=f"c{n % LANES}", text=f"{KINDS[n % len(KINDS)]} t{n}") for n in range(MESSAGES)
        ]
        platform = Platform(scene.outside, said, 0.01)
        platform.name = PLATFORM
        app = App(
            settings(scene.home, scene.database),
            plugins=[Actions(scene.outside, 0.02)],
            interfaces=[platform],
            engines=[Model(scene.outside, 0.02)],
        )
        async with HealthServer(app, ("127.0.0.1", 0)) as health, app:
            health.is_now(Phase.SERVING)
            await until(lambda: len(scene.outside.read(WORLD)) > 3, "it works")
            assert (await told(health.port, "/readyz"))[0] == 200
            away = {"killed": own.kill, "stopped": own.stop, "hanging": own.pause}[how]
            await asyncio.to_thread(away)

            async def is_told() -> bool:
                status, text = await told(health.port, "/readyz")
                parts = {part["kind"]: part["state"] for part in json.loads(text)["parts"]}
                return status == 503 and parts["database"] != "ok"

            await until(is_told, "it is told that the database is away")
            late = [Said(key=f"late{n}", chat=f"d{n}", text=f"look late{n}") for n in range(5)]
            platform.said += late
            handing_in = [asyncio.ensure_future(platform._hand_in(app.receive, [each])) for each in late]
            acknowledged = len(scene.outside.read(ACKNOWLEDGED))
            await asyncio.sleep(1.0)
            assert len(scene.outside.read(ACKNOWLEDGED)) == acknowledged, "what is not stored is not acknowledged"
            await asyncio.to_thread(own.resume if how == "hanging" else own.start)

            async def is_done() -> bool:
                try:
                    open_inputs = await app.database.read(inbox.count_open)
                    letters = await app.database.read(outbox.counts)
                except StorageUnavailable:
                    return False
                return platform.quiet and not open_inputs and not letters.keys() & set(outbox.OPEN)

            await until(is_done, "all is done")
            await asyncio.gather(*handing_in)
            assert (await told(health.port, "/readyz"))[0] == 200
        assert asked_of_server(scene.database, inbox.count_open) == 0
        assert complaints(scene, [*said, *late], failing_turns=True, gateway_kills=0) == []
    finally:
        own.stop()
