"""The plugin's own process: loads the plugin, and does what Rekku asks of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from core.contracts.actions import Untrusted
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed, RekkuError
from core.contracts.json import Json, JsonObject
from core.contracts.strategies import StepPlan
from core.isolation.child_action import ActionFacts
from core.isolation.child_context import ChildClock, ChildContext
from core.isolation.child_declarations import declarations_of
from core.isolation.child_events import answer_of
from core.isolation.child_functions import ChildFunctions
from core.isolation.crossing_errors import PluginProcessDied
from core.isolation.peer import VERSION, Peer
from core.own_thread import in_own_thread
from core.registry.catalogue import CatalogueEntry, build_entries
from core.registry.discovery import Found, loader_of
from core.registry.loading import Loading
from core.registry.reasons import reason_of
from core.services.foreign import contained
from core.services.forks import end_forks_of
from core.services.hooks import COLLECTS
from core.services.json_results import json_result
from core.services.sync_or_async import invoke

CONFIG_S = 20.0


def serve(connection: socket.socket) -> None:
    """Serve until Rekku closes the connection; then the process is to end."""
    connection.setblocking(False)
    connection.set_inheritable(False)
    os.environ.pop("PYTHONPATH", None)  # it was for finding this program, not what the plugin starts
    with contextlib.suppress(OSError):
        asyncio.run(_serve(connection))
    sys.stdout.flush()
    os._exit(0)  # threads of the plugin's that do not end hold nothing up


async def _serve(connection: socket.socket) -> None:
    worker = Worker(connection)
    end_forks_of(asyncio.get_running_loop())
    os.register_at_fork(after_in_child=worker.leave)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, worker.log_line],
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    await worker.peer.run()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """The `ComponentTable` of this plugin. The settings of Rekku are not imported here: they take a while."""

    values: JsonObject
    error: str
    enabled: bool
    priority: int | None
    isolation: str | None = None
    events: JsonObject = field(default_factory=dict)


class Worker:
    """One plugin, and what is asked of it by name: each `do_…` is a call of the protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self.peer = Peer(connection, serve=self._serve, told=self._told)
        self._clock = ChildClock()
        self._loading: Loading
        self._entries: dict[str, CatalogueEntry] = {}
        self._context: ChildContext | None = None
        self._functions = ChildFunctions()
        self._acting: dict[int, ActionFacts] = {}

    def leave(self) -> None:
        """Have nothing to do with Rekku any more: this is a copy of the plugin's process, which goes on there."""
        self.peer.leave(PluginProcessDied("a process that a plugin has forked off cannot ask Rekku for anything"))

    def log_line(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Hand a line to Rekku's log, in place of printing it."""
        texts = {str(key): _shown(value) for key, value in event.items() if key not in ("event", "level")}
        self.peer.tell("log", method, _shown(event.get("event", "")), texts)
        raise structlog.DropEvent

    async def _serve(self, name: str, args: list[Any]) -> Any:
        do = getattr(self, f"do_{name}", None)
        if do is None:
            raise RekkuError(f"{name} is nothing that a plugin's process can do.")
        return await contained(do(*args))

    def _told(self, name: str, args: list[Any]) -> None:
        match name, args:
            case "tainted", [int() as call] if call in self._acting:
                self._acting[call].tainted = True
            case "job_ended", [str() as id_, state, result, str() as error] if self._context is not None:
                self._context.jobs.ended(id_, state, result, error)

    async def do_ping(self) -> str:
        return "pong"

    async def do_load(self, version: int, given: JsonObject) -> Json:
        """Load the plugin; return what it declares, or the stage and the reason of its failure."""
        if version != VERSION:
            return {"failed": ["import", "Rekku was replaced while it ran: start it again.", False]}
        sys.path[:] = [*dict.fromkeys([*given["sys_path"], *sys.path])]
        folder = Path(given["folder"]) if given["folder"] else None
        kind, value = given["reference"]
        found = Found(
            kind="plugin",
            name=given["name"],
            source=given["source"],
            load=loader_of(kind, value),
            folder=folder,
        )
        loop = asyncio.get_running_loop()

        def table_for(kind: str, name: str) -> OwnTable:
            asking = asyncio.run_coroutine_threadsafe(self.peer.call("config", name), loop)
            values, error, enabled, priority = asking.result(CONFIG_S)
            return OwnTable(values=values, error=error, enabled=enabled, priority=priority)

        loading = Loading(found=found, config_for=table_for, isolated=True)
        try:
            await in_own_thread(loading.run, f"loading {found.name}")
        except Exception as error:  # noqa: BLE001 - foreign code; the reason is told where it was asked for
            own_fault = isinstance(error, RekkuError) and error.code == "declaration"
            return {"failed": [loading.stage, reason_of(error, folder), own_fault, loading.name]}
        self._loading = loading
        if not loading.enabled:
            return {"name": loading.name, "enabled": False}
        return {"name": loading.name, "enabled": True, **self._declared()}

    async def do_context(self, name: str, directory: str, timezone: str, now_ms: int, rehearsal: bool) -> None:
        self._clock.tell(now_ms)
        self._context = ChildContext(
            name=name,
            directory=Path(directory),
            timezone=timezone,
            rehearsal=rehearsal,
            peer=self.peer,
            clock=self._clock,
            functions=self._functions,
            declarations=self._declared_again,
        )
        with contextlib.suppress(AttributeError):  # a plugin without the base class may have slots
            self._loading.instance.context = self._context

    async def do_start(self) -> None:
        start = getattr(self._loading.instance, "start", None)
        if start is not None:
            await invoke(start)

    async def do_stop(self) -> None:
        stop = getattr(self._loading.instance, "stop", None)
        try:
            if stop is not None:
                await invoke(stop)
        finally:
            if self._context is not None:
                await self._context.release()

    async def do_health(self) -> Health:
        answer = await self._optional("health")
        return answer if isinstance(answer, Health) else Health(ok=True)

    async def do_examine(self) -> Any:
        return await self._optional("examine")

    async def do_export_person(self, principal: Any) -> Any:
        return await json_result(await self._optional("export_person", principal), "export_person")

    async def do_erase_person(self, principal: Any) -> Any:
        return await self._optional("erase_person", principal)

    async def do_check(self, type_: str, payload: JsonObject) -> list[str]:
        return await self._entries[type_].check(payload)

    async def do_act(self, call: int, type_: str, payload: JsonObject, facts: JsonObject) -> Any:
        entry = self._entries.get(type_)
        if entry is None:
            raise ActionFailed(f"{type_} is no action of this plugin any more.")
        self._clock.tell(facts.pop("now_ms"))
        ctx = ActionFacts(
            spec=entry.spec,
            show=lambda text: self.peer.tell("progress", call, str(text)[:2000]),
            deliveries=[],
            **facts,
        )
        self._acting[call] = ctx
        try:
            return ctx.answer(await entry.run(ctx, payload))
        finally:
            del self._acting[call]

    async def do_hook(self, index: int, args: list[Any], now_ms: int) -> Any:
        self._clock.tell(now_ms)
        binding = self._loading.hooks[index]
        answer = await invoke(binding.call, *args)
        if binding.hook == COLLECTS:
            return await json_result(answer, binding.label)
        plain = isinstance(answer, str | bytes | dict | Untrusted)
        if binding.hook == "filter_actions" and isinstance(answer, Iterable) and not plain:
            return list(answer)
        return answer

    async def do_event(self, index: int, event: Any, wanted: bool, now_ms: int) -> Any:
        self._clock.tell(now_ms)
        binding = self._loading.handlers[index]
        return await answer_of(binding.stage, await invoke(binding.call, event), binding.label, wanted)

    async def do_condition(self, index: int, event: Any) -> bool:
        return bool(await invoke(self._loading.handlers[index].when, event))

    async def do_strategy(self, index: int, turn: Any, steps: Any, now_ms: int) -> Any:
        self._clock.tell(now_ms)
        plan = await invoke(self._loading.strategies[index].call, turn, steps)
        if isinstance(plan, StepPlan) and plan.actions is not None and not isinstance(plan.actions, str):
            return replace(plan, actions=tuple(plan.actions))
        return plan

    async def do_run(self, number: int, args: list[Any], now_ms: int) -> Any:
        self._clock.tell(now_ms)
        return await self._functions.run(number, args)

    async def do_job(self, name: str, now_ms: int) -> None:
        self._clock.tell(now_ms)
        await invoke(getattr(self._loading.instance, name))

    async def _optional(self, method: str, *args: Any) -> Any:
        function = getattr(self._loading.instance, method, None)
        return None if function is None else await invoke(function, *args)

    async def _declared_again(self) -> Json:
        loading = self._loading
        loading.entries = await in_own_thread(
            lambda: build_entries(loading.name, loading.instance), f"declarations of {loading.name}"
        )
        return self._declared()["specs"]

    def _declared(self) -> JsonObject:
        self._entries = {entry.spec.type: entry for entry in self._loading.entries}
        return declarations_of(self._loading)


def _shown(value: Any) -> Json:
    """Return a value of a log line as it can cross."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:4000]
