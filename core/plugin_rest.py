"""A plugin that has held up everybody else rests for a while: so most of the time is everybody else's."""

from __future__ import annotations

import asyncio

import structlog

from core.contracts.services import Clock
from core.registry.component import Component, ComponentState
from core.registry.components import Registry
from core.services.loop_watchdog import Block

log = structlog.get_logger("rekku.plugins")


class PluginRest:
    """Takes plugins out of use for `times` as long as they have held up the others, and puts them back."""

    def __init__(self, registry: Registry, clock: Clock, *, least_s: float, times: int) -> None:
        """least_s: what is shorter is let pass. Either being 0: nobody rests."""
        self._registry = registry
        self._clock = clock
        self._least_s = least_s
        self._times = times
        self._resting: set[asyncio.Task[None]] = set()

    def begin(self, block: Block) -> None:
        """Let the plugin rest that has held up the others, unless it is out of use already."""
        component = self._registry.get("plugin", block.owner)
        short = not self._least_s or block.seconds < self._least_s
        if short or not self._times or component is None or not self._registry.in_use(component):
            return
        rest_s = block.seconds * self._times
        reason = f"{block.sentence.rstrip('.')}; it rests for {rest_s:.0f} s."
        log.warning("a plugin rests", plugin=component.name, seconds=round(rest_s, 1))
        self._registry.withhold(component, ComponentState.DEGRADED, reason)
        task = asyncio.get_running_loop().create_task(
            self._rest(component, component.reason, rest_s), name=f"rest of {component.name}"
        )
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)

    def stop(self) -> None:
        """Put nothing back any more."""
        for task in self._resting:
            task.cancel()

    async def _rest(self, component: Component, reason: str, rest_s: float) -> None:
        await self._clock.sleep(rest_s)
        same = self._registry.get("plugin", component.name) is component and component.reason == reason
        if same and component.state is ComponentState.DEGRADED:
            self._registry.restore(component)
