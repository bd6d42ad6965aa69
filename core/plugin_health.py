"""Whether plugins are well: asked now and then; one that is not is stopped, and started again until it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from core.ai_plugin_base import AIPluginBase
from core.contracts.services import Clock
from core.counted import counted
from core.registry.component import OWN, Component, ComponentState
from core.registry.components import Registry
from core.registry.switching import PluginSwitch
from core.services.foreign import ForeignCalls, Raised
from core.services.sync_or_async import invoke
from core.services.told_health import told_health

log = structlog.get_logger("rekku.plugins")

ASKED_EVERY_S = 30.0
ANSWER_S = 5.0
BAD_ANSWERS = 2
"""So many in a row take a plugin out of use: one may be a hiccup."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
FORGIVEN_AFTER_S = 600.0
"""After so long in good health the next pause is the first one again."""


@dataclass(slots=True)
class _Record:
    component: Component
    bad_answers: int = 0
    restarts: int = 0
    well_since_s: float = 0.0


class PluginHealth:
    """Asks the plugins that say how they are, and restarts those that are not well."""

    def __init__(self, registry: Registry, switch: PluginSwitch, foreign: ForeignCalls, clock: Clock) -> None:
        self._registry = registry
        self._switch = switch
        self._foreign = foreign
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._restoring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(ASKED_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ask all side by side, once."""
        asked = [c for c in self._registry.components("plugin") if self._registry.in_use(c) and _tells(c)]
        self._records = {c.name: self._record(c) for c in asked} | {
            name: record
            for name, record in self._records.items()
            if record.component.state is ComponentState.DEGRADED
        }
        await asyncio.gather(*(self._look_at(component) for component in asked))

    def stop(self) -> None:
        """Restart nothing any more."""
        for task in self._restoring:
            task.cancel()

    def _record(self, component: Component) -> _Record:
        record = self._records.get(component.name)
        if record is None or record.component is not component:
            record = _Record(component, well_since_s=self._clock.monotonic())
        return record

    async def _look_at(self, component: Component) -> None:
        wrong = await self._wrong(component)
        record = self._records.get(component.name)
        if record is None or record.component is not component or not self._registry.in_use(component):
            return
        if not wrong:
            record.bad_answers = 0
            if self._clock.monotonic() - record.well_since_s > FORGIVEN_AFTER_S:
                record.restarts = 0
            return
        record.bad_answers += 1
        log.warning("a plugin is not well", plugin=component.name, reason=wrong, in_a_row=record.bad_answers)
        if record.bad_answers >= BAD_ANSWERS:
            # From here on it is not called, also while it is still being stopped.
            self._registry.withhold(component, ComponentState.DEGRADED, wrong)
            task = asyncio.get_running_loop().create_task(
                self._restore(record, wrong), name=f"restarts of {component.name}"
            )
            self._restoring.add(task)
            task.add_done_callback(self._restoring.discard)

    async def _restore(self, record: _Record, reason: str) -> None:
        """Stop, then start, with longer and longer pauses, until the plugin is well or is not ours any more."""
        component = record.component
        await self._switch.off(component.name, ComponentState.DEGRADED, reason, only=component)
        while component.state is ComponentState.DEGRADED:
            pause_s = min(FIRST_PAUSE_S * 2 ** min(record.restarts, 20), LONGEST_PAUSE_S)
            record.restarts += 1
            await self._clock.sleep(pause_s)
            if self._registry.get("plugin", component.name) is not component:
                return
            error = await self._switch.restart(component, lambda: self._wrong(component))
            if error is None:
                break
            if component.state is ComponentState.DEGRADED:
                self._registry.set_reason(component, f"{error} (started {counted(record.restarts, 'time')} in vain)")
        if self._registry.in_use(component):
            record.bad_answers, record.well_since_s = 0, self._clock.monotonic()
            log.info("a plugin is well again", plugin=component.name, restarts=record.restarts)
            await self._switch.bring_back(component.name)

    async def _wrong(self, component: Component) -> str:
        """Return what is wrong with a plugin, or ""."""
        ask = component.instance.health
        label = f"{component.name}.health"
        answer = await self._foreign.call(label, lambda: invoke(ask), ANSWER_S, component.name, counted=False)
        if isinstance(answer, Raised):
            return f"{answer.sentence} ({answer.where})" if answer.where else answer.sentence
        health = told_health(answer.value)
        return "" if health.ok else health.sentence or "it is not well"


def _tells(component: Component) -> bool:
    """Whether a plugin says itself how it is."""
    own = getattr(type(component.instance), "health", None)
    return component.source != OWN and callable(own) and own is not AIPluginBase.health
