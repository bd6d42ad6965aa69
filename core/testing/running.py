"""A whole app for a test: the real path, plugins and database, with a scripted model and a recording interface."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.app import App
from core.contracts.json import Json, JsonObject
from core.contracts.services import Clock
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase
from core.settings import RetentionSettings, Settings
from core.storage.empty_file import put_empty_file
from core.testing.clock import FakeClock
from core.testing.engine import ScriptedEngine, actions
from core.testing.interface import RecordingInterface

_KEPT_FOR_EVER = RetentionSettings(**dict.fromkeys(RetentionSettings.model_fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What became of an action: its row of the ledger.

    status: "done", "failed", "denied" and the others of `OutcomeStatus`; "refused" where its payload was not valid or
    the action does not exist, so that nothing has run. output: its result. reason: why it was not done.
    """

    status: str
    output: Json = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningApp:
    """An app that runs, and the fakes around it. `clock`: the fake one, also where the app was given another."""

    app: App
    engine: ScriptedEngine
    interface: RecordingInterface
    clock: FakeClock

    async def advance(self, seconds: float) -> None:
        """Move the clock, and let the app look at what has become due."""
        await self.clock.advance(seconds)
        self.app.schedule_keeper.wake()
        self.app.dispatcher.scan_soon()

    async def act(self, type_: str, payload: JsonObject | None = None, *, user_id: str = "") -> Acted:
        """Have the model ask for one action in a turn of its own, on the whole path, and tell what became of it.

        user_id: for whom; the trainer where none is given. What the script of the engine holds comes afterwards.
        """
        first = (await self.rows("SELECT COALESCE(MAX(id), 0) AS id FROM ledger"))[0]["id"]
        later, self.engine.answers[:] = list(self.engine.answers), [actions((type_, payload or {}))]
        otherwise, self.engine.otherwise = self.engine.otherwise, actions()
        try:
            await self.interface.ended(await self.interface.say(f"Please do {type_}.", user_id=user_id))
        finally:
            self.engine.answers[:], self.engine.otherwise = later, otherwise
        found = await self.rows("SELECT * FROM ledger WHERE id > :first AND action = :type", first=first, type=type_)
        if not found:
            said = next((m.content for m in reversed(self.engine.last.messages)), "")
            return Acted(status="refused", reason=said)
        row = found[0]
        output = json.loads(row["output"]) if row["output"] is not None else None
        return Acted(status=row["status"], output=output, reason=row["reason"])

    async def rows(self, sql: str, **values: Any) -> list[JsonObject]:
        """Return what a SELECT finds in the app's database."""
        return await self.app.database.read(
            lambda conn: [dict(row._mapping) for row in conn.execute(text(sql), values)]
        )


@asynccontextmanager
async def running_app(
    *,
    plugins: Iterable[object] = (),
    engine: ScriptedEngine | None = None,
    engines: Iterable[EngineBase] = (),
    chain: Sequence[str] = (),
    interface: RecordingInterface | None = None,
    interfaces: Iterable[InterfaceBase] = (),
    clock: Clock | None = None,
    home: Path | None = None,
    **settings: Any,
) -> AsyncIterator[RunningApp]:
    """Run an app until the block ends.

    plugins: beside those that come along. engine: what answers, by default one without a script. engines,
    interfaces: more of them. chain: the names of the engines that are asked, by default `engine` alone. clock: by
    default a new FakeClock. home: the home directory, by default a temporary one; give it to start again on the
    same. settings: fields of `Settings` by name, as `max_steps=2`; whoever speaks through the interface without a
    name is a trainer unless `trainer_ids` says otherwise, and nothing is pruned unless `retention` says when.
    """
    engine = engine or ScriptedEngine()
    interface = interface or RecordingInterface()
    used: Clock = clock or FakeClock()
    async with AsyncExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rekku-")))
        chosen = {
            "engine": tuple(chain) or (engine.name,),
            "trainer_ids": frozenset({f"{interface.name}:{interface.trainer}"}),
            "timezone": "UTC",
            "retention": _KEPT_FOR_EVER,
            **settings,
        }
        used_settings = Settings(home=home, **chosen)
        if used_settings.database_server is None:
            await put_empty_file(used_settings.database_path)
        app = App(
            used_settings,
            plugins=plugins,
            interfaces=(interface, *interfaces),
            engines=(engine, *engines),
            clock=used,
        )
        await stack.enter_async_context(app)
        fake = used if isinstance(used, FakeClock) else FakeClock()
        yield RunningApp(app=app, engine=engine, interface=interface, clock=fake)
