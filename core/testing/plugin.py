"""One plugin alone: loaded, configured and started as an app would, without turns, models and interfaces."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from core.app import App
from core.contracts.actions import Effect, Untrusted
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json, JsonObject
from core.contracts.services import PluginContext
from core.registry.components import ComponentState
from core.registry.discovery import discover, given
from core.settings import Settings
from core.settings.components import ComponentTable
from core.storage import schema
from core.storage.sqlite import SqliteDatabase
from core.testing.action_context import SOMEBODY, RecordedAction
from core.testing.clock import FakeClock
from core.testing.engine import ScriptedEngine

P = TypeVar("P")


def turn(text: str = "", *, principal: Principal = SOMEBODY, role: Role = Role.USER, **fields: Any) -> TurnContext:
    """Return what a hook is given first: a turn of somebody who wrote `text`. fields: others of `TurnContext`."""
    given: dict[str, Any] = {
        "turn_id": 1,
        "address": Address(principal.interface, principal.user_id),
        "origin": Origin.USER,
        **fields,
    }
    return TurnContext(principal=principal, role=role, text=text, **given)


@dataclass(slots=True, kw_only=True)
class PluginAlone(Generic[P]):
    """A plugin that has started.

    engine: what answers where it asks a model. done: its actions that were run by `act`, oldest first.
    """

    plugin: P
    name: str
    context: PluginContext
    clock: FakeClock
    app: App
    engine: ScriptedEngine
    done: list[RecordedAction] = field(default_factory=list)

    async def act(
        self,
        type_: str,
        payload: JsonObject | None = None,
        *,
        principal: Principal = SOMEBODY,
        role: Role = Role.USER,
    ) -> Json | Untrusted:
        """Run one action and return its result; what it hands to `ctx.write` is written before this returns.

        Raises ValueError with sentences for a payload that would not pass, and whatever the handler raises. Nobody
        is asked whether `principal` may: permission and policy belong to an app (`running_app`).
        """
        entry = self.app.registry.generation.get(type_)
        if entry is None:
            raise ValueError(
                f"{self.name} has no action {type_}: {', '.join(self.app.registry.generation) or 'none'}."
            )
        payload = payload or {}
        complaints = entry.complaints(payload) or await entry.check(payload)
        if complaints:
            raise ValueError(" ".join(complaints))
        ctx = RecordedAction(
            type=type_,
            payload=payload,
            reads=entry.spec.effect is Effect.READ,
            principal=principal,
            role=role,
            address=Address(principal.interface, principal.user_id),
            action_id=f"1.{len(self.done)}.0",
        )
        ctx.result = await entry.run(ctx, payload)
        if ctx.writes:
            await self.context.database.transact(lambda conn: [fn(conn) for fn in ctx.writes])
        self.done.append(ctx)
        return ctx.result

    @property
    def sent(self) -> list[str]:
        """The texts that its actions have sent, oldest first."""
        return [delivery.text for action in self.done for delivery in action.deliveries]

    async def run_job(self, method: str) -> None:
        """Run a method that is declared with `@every` now; raises what it raises."""
        await getattr(self.plugin, method)()

    async def advance(self, seconds: float) -> None:
        """Move the clock, and wake whoever sleeps by `self.context.clock`."""
        await self.clock.advance(seconds)


@asynccontextmanager
async def alone(
    plugin: type[P],
    *,
    config: Mapping[str, Json] | None = None,
    beside: Iterable[object] = (),
    engine: ScriptedEngine | None = None,
    clock: FakeClock | None = None,
    home: Path | None = None,
) -> AsyncIterator[PluginAlone[P]]:
    """Load and start a plugin, with a database in memory, until the block ends; then it is stopped.

    config: the keys of its table in rekku.toml. beside: plugins that it requires. engine: what answers where it asks
    a model, by default one without a script. Its `self.context` is the one of an app; nobody talks, though, and no
    interface runs.
    home: the directory in which its `data_directory` is, by default a temporary one. Raises AssertionError with the
    reason when it does not load or start.
    """
    clock = clock or FakeClock()
    own = discover("plugin", objects=[plugin])[-1]
    others = [discover("plugin", objects=[one])[-1] for one in beside]
    async with AsyncExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rekku-")))
        database = SqliteDatabase(None)
        await database.start()
        stack.push_async_callback(database.stop)
        await schema.upgrade(database)
        tables = {"plugins": {own.name: ComponentTable(values=dict(config or {}))}}
        engine = engine or ScriptedEngine()
        settings = Settings(home=home, engine=(engine.name,), timezone="UTC", components=tables)
        app = App(settings, database=database, clock=clock)
        await app.registry.load("engine", given("engine", [engine]))
        await app.registry.load("plugin", [*others, own])
        app.build()
        stack.push_async_callback(app.env.engines.stop)
        await app.registry.start_plugins()
        stack.push_async_callback(app.registry.stop_plugins)
        component = app.registry.components("plugin")[-1]
        if component.state is not ComponentState.ACTIVE:
            raise AssertionError(f"{component.name} is {component.state} ({component.stage}): {component.reason}")
        yield PluginAlone(
            plugin=cast(P, component.instance),
            name=component.name,
            context=component.instance.context,
            clock=clock,
            app=app,
            engine=engine,
        )
