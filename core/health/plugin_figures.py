"""The figures that plugins contribute, named after them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import structlog

from core.contracts.slots import Gauge
from core.services.foreign import ForeignCalls, Raised
from core.services.slots import Slots
from core.services.sync_or_async import invoke

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = structlog.get_logger("rekku.health")

READ_S = 1.0


async def plugin_figures(slots: Slots, foreign: ForeignCalls) -> list[Metric]:
    """Return the figures of all plugins, read side by side; one that cannot be read is left out, and reported."""
    read = await asyncio.gather(*(_read(foreign, *one) for one in slots.of("metrics", Gauge)))
    found: dict[str, Metric] = {}
    for metric in read:
        if metric is not None:
            found.setdefault(metric.name, metric)  # a name that comes twice would spoil all the others
    return list(found.values())


async def _read(foreign: ForeignCalls, plugin: str, gauge: Gauge) -> Metric | None:
    from prometheus_client.metrics_core import GaugeMetricFamily

    async def number() -> float:
        return float(await invoke(gauge.read))

    answer = await foreign.call(f"figure {gauge.name} of {plugin}", number, READ_S, plugin)
    if isinstance(answer, Raised):
        log.warning("a figure of a plugin cannot be read", plugin=plugin, figure=gauge.name, error=answer.sentence)
        return None
    name = f"rekku_plugin_{re.sub(r'[^a-zA-Z0-9_]', '_', plugin)}_{gauge.name}"
    return GaugeMetricFamily(name, " ".join(str(gauge.description).split()), value=answer.value)
