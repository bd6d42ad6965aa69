"""The examination of one component, in the process that was made for it."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.ai_plugin_base import AIPluginBase
from core.app import App
from core.conformance import declared_checks, hook_checks, source_checks
from core.conformance.action_checks import check_reads
from core.conformance.call_watch import CallWatch
from core.conformance.event_checks import check_events
from core.conformance.findings import Finding, Findings
from core.conformance.import_checks import IMPORT, check_import
from core.conformance.isolation_checks import check_crossing
from core.conformance.life_checks import Life
from core.conformance.person_checks import check_people, tables
from core.conformance.target import Target
from core.contracts.actions import ActionSpec
from core.counted import counted
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase
from core.registry.component import Component, ComponentState, Stage
from core.registry.discovery import EXPORT, Found, discover, found_at
from core.settings import ComponentTable, Settings
from core.storage import schema
from core.storage.sqlite import SqliteDatabase

DATABASE = "rekku.db"


def examine(target: Target, home: Path, *, run_reads: bool) -> list[Finding]:
    """Import, load, start and stop a component with everything watched, and return what was found.

    home: an empty directory that is thrown away afterwards. run_reads: run the actions that only read. For a process
    of its own: it can be watched once.
    """
    found = Findings()
    watch = CallWatch(target.is_own, target.folder)
    watch.listen()
    one = found_at(target.path)
    exported = check_import(one, watch, home, found)
    if exported is not None:
        one = _of_kind(one, exported, target)
        asyncio.run(_Examination(target, one, home, watch, found).run(run_reads=run_reads))
    return found.all


def _of_kind(one: Found, exported: Any, target: Target) -> Found:
    """Return what was imported as the component that it is."""
    thing = exported
    for step in (target.cls or EXPORT).split("."):
        thing = getattr(thing, step, None)
    kind = one.kind
    if isinstance(thing, type) and issubclass(thing, InterfaceBase):
        kind = "interface"
    elif isinstance(thing, type) and issubclass(thing, EngineBase):
        kind = "engine"
    if not target.cls:
        return replace(one, kind=kind, load=lambda: exported)
    name = discover(kind, objects=[thing])[-1].name if thing is not None else one.name
    return replace(one, kind=kind, name=name, load=lambda: thing)


class _Examination:
    """Everything after the import."""

    def __init__(self, target: Target, one: Found, home: Path, watch: CallWatch, found: Findings) -> None:
        self._target, self._one, self._home = target, one, home
        self._watch, self._found = watch, found
        self._trees = source_checks.trees_of(target.path)

    async def run(self, *, run_reads: bool) -> None:
        """Check what the source says, what is declared, then its life."""
        self._watch.loop_thread = threading.get_ident()
        source_checks.check_swallowing(self._trees, self._found)
        check_crossing(self._target.path, self._trees, self._found)
        database = SqliteDatabase(self._home / DATABASE)
        await database.start()
        try:
            await schema.upgrade(database)
            await database.read(lambda conn: None)
            # One that wants a process of its own is looked at in this one, which is thrown away as well.
            tables = {"plugins": {self._one.name: ComponentTable(isolation="none")}}
            settings = Settings(home=self._home, engine=("offline",), timezone="UTC", components=tables)
            app = App(settings, database=database)
            await app.load()
            component = await self._load(app)
            if component is not None:
                await self._check_declarations(app, component)
                await self._check_life(app, component, run_reads=run_reads)
                self._check_written(component)
        finally:
            await database.stop()

    async def _load(self, app: App) -> Component | None:
        """Load the component beside those that come along; None when it fails, which is told."""
        registry = app.registry
        component = next((c for c in registry.components(self._one.kind) if c.source == self._one.source), None)
        if component is None:
            await registry.load(self._one.kind, [self._one])
            component = registry.components(self._one.kind)[-1]
        if component.state is not ComponentState.FAILED:
            self._found.ok("declaration", _told(component))
            self._found.ok("names", "Its name, its actions and its commands are free.")
            self._found.ok("configuration", "It works with an empty configuration.")
            return component
        if (
            "already (" in component.reason
            or "has an action of that name" in component.reason
            or ("is a command of the plugin" in component.reason)
        ):
            self._found.fail("names", component.reason, "Rename it.")
        elif component.stage is Stage.CONFIGURATION:
            cure = "Give every key of Config a default; what must be set is checked in start or configured()."
            self._found.fail("configuration", f"It does not load without settings: {component.reason}", cure)
        else:
            self._found.fail("declaration", component.reason)
        return None

    async def _check_declarations(self, app: App, component: Component) -> None:
        instance = component.instance
        config = getattr(type(instance), "Config", None)
        declared_checks.check_secrets(config, self._found)
        if component.kind != "plugin":
            return
        specs = [entry.spec for entry in component.entries]
        declared_checks.check_schemas(specs, self._found)
        declared_checks.check_size(specs, self._found)
        asked = getattr(instance, "get_supported_actions", None)
        declared_checks.check_effects(asked() if asked is not None else {}, self._found)
        declared_checks.check_descriptions(specs, self._found)
        offline = app.registry.get("engine", "offline")
        others = [e.spec for c in app.registry.components("plugin") if c is not component for e in c.entries]
        await declared_checks.check_phrases(
            specs, others, offline.instance if offline is not None else None, self._found
        )
        effects = {method: spec.effect for spec in specs if (method := _methods(instance).get(spec.type))}
        source_checks.check_effects_in_source(self._trees, effects, self._found)
        check_events(component.handlers, self._found)

    async def _check_life(self, app: App, component: Component, *, run_reads: bool) -> None:
        found, instance = self._found, component.instance
        missing = ""
        if component.kind != "plugin":
            missing = instance.configured(component.config)
        if missing:
            found.ok("start", f"It is not started without settings: {missing}")
            return
        kept = (self._home / DATABASE, self._home / "data" / component.name)
        if component.kind != "engine":  # building chooses engines, and so begins the life of each
            app.build()
        life = Life(app=app, component=component, watch=self._watch, found=found, home=self._home, kept=kept)
        required = [c for c in app.registry.components("plugin") if c.name in component.requires and c.instance]
        lives = [replace(life, component=c, found=Findings()) for c in required]
        for each in lives:
            await each.start("")
        there = await tables(app.database)
        for round_ in ("first", "second"):
            if not await life.start(round_):
                break
            await life.health()
            if round_ == "first" and component.kind == "plugin":
                specs = [entry.spec for entry in component.entries]
                async with life.observed("hooks"):
                    await hook_checks.check_answers(component.hooks, specs, app.foreign, self._trees, found)
                if run_reads:
                    async with life.observed("actions"):
                        await check_reads(component.entries, _methods(instance), app.foreign, self._trees, found)
                created = await tables(app.database) - there
                await check_people(instance, created, app.foreign, found)
            await life.stop(round_)
        for each in reversed(lives):
            await each.stop("")
        found.ok("start", "It starts, stops and starts again.")
        found.ok("cancellation", "What is cancelled ends.")
        found.ok("blocking", "Nothing keeps the event loop waiting.")
        found.ok("nothing left", "Nothing is left behind.")

    def _check_written(self, component: Component) -> None:
        """Nothing was written outside of the plugin's own directory."""
        own = self._home / "data" / component.name
        for call in self._watch.calls:
            if not call.writes or call.phase == IMPORT:
                continue
            if call.path.startswith((str(own), "/dev/")) or not os.path.exists(call.path):
                continue
            self._found.fail(
                "nothing left",
                f"It writes to {call.path}, outside of its directory.",
                "Keep files in self.context.data_directory.",
                call.where,
            )


def _methods(instance: object) -> dict[str, str]:
    """Return the decorated methods by action type."""
    if not isinstance(instance, AIPluginBase):
        return {}
    return {type_: declared.method for type_, declared in instance.declared_actions().items()}


def _told(component: Component) -> str:
    if component.kind != "plugin":
        return f"It loads as the {component.kind} {component.name}."
    specs: list[ActionSpec] = [entry.spec for entry in component.entries]
    actions, hooks = counted(len(specs), "action"), counted(len(component.hooks), "hook")
    return f"It loads as {component.name}, with {actions} and {hooks}."
