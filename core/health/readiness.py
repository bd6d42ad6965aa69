"""Which parts of an app can do their work, and why the others cannot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from core.app import App
from core.contracts.deliveries import Health
from core.contracts.errors import EngineError
from core.contracts.json import JsonObject
from core.registry.components import Component, ComponentState
from core.services.database_watch import DatabaseWatch
from core.services.foreign import Raised
from core.services.loop_lag import LoopLag
from core.services.question import Question
from core.services.told_health import told_health

PATIENCE_S = 2.0
KEPT_S = 30.0
"""A platform or a model server is not asked more often, however often we are asked."""

LONGEST_ANSWER_S = 10.0

OK, OFF, FAILED = "ok", "off", "failed"
CHECK = "check"
_STATES = {
    ComponentState.ACTIVE: OK,
    ComponentState.FOUND: OFF,
    ComponentState.DISABLED: OFF,
    ComponentState.STOPPED: OFF,
}


class Phase(StrEnum):
    """How far the app is."""

    STARTING = "starting"
    SERVING = "ok"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """state: "ok", "off" (not configured, or disabled) or what is wrong. required: without it nothing is ready."""

    kind: str
    name: str
    state: str
    reason: str = ""
    required: bool = True


class Readiness:
    """Looks at an app, which may be starting or stopping: `phase` says so."""

    def __init__(self, app: App, database: DatabaseWatch, lag: LoopLag) -> None:
        self.phase = Phase.STARTING
        self._app = app
        self._database = database
        self._lag = lag
        self._questions: dict[tuple[str, str], Question[Health]] = {}

    async def parts(self) -> list[Part]:
        """Return every part, without secrets; they are asked side by side, so in about the patience for one."""
        (database, *components), checks = await asyncio.gather(
            asyncio.gather(self._database_part(), *map(self._asked, self._components())), self._checks()
        )
        own = Part(kind="process", name="app", state=self.phase.value)
        parts = [own, self._loop_part(), database, *self._chained(components), *checks]
        return [replace(part, reason=self._app.masker.text(part.reason)) for part in parts]

    def close(self) -> None:
        """Ask no longer."""
        for question in self._questions.values():
            question.close()

    async def _checks(self) -> list[Part]:
        """Return the parts of the checks that plugins add."""
        answers = await self._app.host.checks.answers() if self.phase is Phase.SERVING else []
        return [
            Part(
                kind=CHECK,
                name=one.name,
                state=OK if one.health.ok else FAILED,
                reason=one.health.sentence,
                required=one.critical,
            )
            for one in answers
        ]

    def _loop_part(self) -> Part:
        if self._lag.stalled:
            reason = f"It has not turned for {self._lag.overdue_s:.1f} s."
            return Part(kind="process", name="event loop", state=FAILED, reason=reason)
        reason = f"At most {self._lag.recent_s:.3f} s late within the last minute."
        return Part(kind="process", name="event loop", state=OK, reason=reason)

    async def _database_part(self) -> Part:
        answer = await self._database.answer()
        reason = answer.reason
        if not answer.up and answer.since_good_s is not None:
            reason = f"{reason} It last did {answer.since_good_s:.0f} s ago."
        name = self._app.database.dialect
        return Part(kind="database", name=name, state=OK if answer.up else "down", reason=reason)

    def _components(self) -> Iterator[Component]:
        if self.phase is Phase.SERVING:
            for kind in ("interface", "engine", "plugin"):
                yield from (c for c in self._app.registry.components(kind) if c.source != "core")

    async def _asked(self, component: Component) -> Part:
        state = _STATES.get(component.state, component.state.value)
        part = Part(
            kind=component.kind,
            name=component.name,
            state=state,
            reason=component.reason,
            required=component.kind == "interface" and state != OFF,
        )
        if state != OK or component.kind == "plugin":
            return part
        health = await self._question(component).answer()
        if health is None:
            return replace(part, state=FAILED, reason=f"It does not answer within {PATIENCE_S:g} s.")
        return replace(part, state=OK if health.ok else FAILED, reason=health.sentence)

    def _question(self, component: Component) -> Question[Health]:
        key = (component.kind, component.name)
        if key not in self._questions:
            self._questions[key] = Question(
                lambda: self._health(component), clock=self._app.clock, patience_s=PATIENCE_S, kept_s=KEPT_S
            )
        return self._questions[key]

    async def _health(self, component: Component) -> Health:
        handle = self._app.env.engines.get(component.name) if component.kind == "engine" else None
        if handle is not None:
            try:
                await handle.ready()
            except EngineError as error:
                return Health(ok=False, detail=str(error), cure=error.cure)
        label = f"health of {component.kind} {component.name}"
        answer = await self._app.foreign.call(label, component.instance.health, LONGEST_ANSWER_S)
        if isinstance(answer, Raised):
            return Health(ok=False, detail=answer.sentence)
        return told_health(answer.value)

    def _chained(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Yield the parts, the engines that answer by default required unless another of them works."""
        found = list(parts)
        chain = self._app.env.engines.default_chain if self.phase is Phase.SERVING else ()
        works = any(part.kind == "engine" and part.name in chain and part.state == OK for part in found)
        for part in found:
            needed = part.kind == "engine" and part.name in chain and not works
            yield replace(part, required=True) if needed else part
        if self.phase is Phase.SERVING and not chain:
            yield Part(kind="engine", name="any", state=FAILED, reason="No engine can be used.")


def is_ready(parts: Iterable[Part]) -> bool:
    """Whether everything that is required works."""
    return all(part.state == OK for part in parts if part.required)


def as_json(parts: Iterable[Part]) -> JsonObject:
    """Return what programs are told."""
    listed = list(parts)
    return {"ready": is_ready(listed), "process": os.getpid(), "parts": [asdict(part) for part in listed]}
