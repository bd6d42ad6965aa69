"""The figures of an app in Prometheus' text format.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and, for the names,
https://prometheus.io/docs/practices/naming/. Labels are engines, states and results: short closed lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from core.app import App
from core.health.plugin_figures import plugin_figures
from core.services.database_watch import DatabaseAnswer, DatabaseWatch
from core.services.depths import Depths
from core.services.figures import Distribution, Figures
from core.services.loop_lag import LoopLag

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Collects the figures of one app, in a registry of its own."""

    def __init__(self, app: App, database: DatabaseWatch, lag: LoopLag) -> None:
        self._app = app
        self._database = database
        self._lag = lag
        self._registry: CollectorRegistry | None = None
        self._found: list[Metric] = []

    async def text(self) -> bytes:
        """Return all figures. What stands in the database is left out while that cannot be read."""
        from prometheus_client import generate_latest

        answer = await self._database.answer()
        waiting = await self._database.depths() if answer.up else None
        self._found = [*self._of_process(answer), *_of_figures(self._app.figures)]
        self._found += await plugin_figures(self._app.host.slots, self._app.foreign)
        if waiting is not None:
            self._found += _of_tables(waiting)
        return generate_latest(self._own_registry())

    def collect(self) -> Iterator[Metric]:
        """Yield what was found last; called by the registry."""
        yield from self._found

    def _own_registry(self) -> CollectorRegistry:
        if self._registry is None:
            from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
            GCCollector(registry=self._registry)
        return self._registry

    def _of_process(self, database: DatabaseAnswer) -> Iterator[Metric]:
        dispatcher = getattr(self._app, "dispatcher", None)  # there is none before the app has started
        if dispatcher is not None:
            yield _gauge("rekku_turns_running", "Turns that run now.", dispatcher.running_turns)
            yield _gauge("rekku_lanes_busy", "Lanes that are worked on now.", dispatcher.busy)
        lag = self._lag
        yield _gauge("rekku_event_loop_lag_seconds", "Largest lag of the event loop in a minute.", lag.recent_s)
        yield _gauge("rekku_event_loop_lag_max_seconds", "Largest lag of the event loop since the start.", lag.most_s)
        yield _gauge("rekku_database_up", "1 when the database reads and writes, else 0.", int(database.up))
        if database.since_good_s is not None:
            yield _gauge(
                "rekku_database_last_good_answer_seconds",
                "Seconds since the database last answered a check.",
                database.since_good_s,
            )
        dialect = {self._app.database.dialect: 1.0}
        yield _gauges("rekku_database_info", "Which database it is.", "dialect", dialect)


def _of_tables(waiting: Depths) -> Iterator[Metric]:
    yield _gauges("rekku_inbox_inputs", "Inputs that are not done.", "state", waiting.inputs)
    yield _gauge("rekku_lanes", "Lanes with an input that is not done.", waiting.lanes)
    yield _gauge("rekku_lane_depth_max", "Inputs that are not done in the fullest lane.", waiting.deepest_lane)
    yield _gauge(
        "rekku_inbox_oldest_waiting_seconds",
        "For how long the oldest input has waited that could be worked on.",
        waiting.oldest_input_s,
    )
    yield _gauges("rekku_outbox_parts", "Parts in the outbox.", "state", waiting.parts)
    yield _gauge("rekku_dead_letters", "Parts that could not be delivered.", waiting.parts["dead"])
    yield _gauge(
        "rekku_outbox_oldest_waiting_seconds",
        "For how long the oldest unsent part has waited.",
        waiting.oldest_part_s,
    )
    yield _gauge("rekku_reminders_pending", "Reminders whose next instant is still to come.", waiting.reminders)
    yield _gauge("rekku_reminders_overdue_seconds", "How late the latest due reminder is.", waiting.overdue_s)


def _of_figures(figures: Figures) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

    yield _counters("rekku_turns", "Turns that ended, or wait for an approval.", "result", figures.turns)
    yield _counters("rekku_reminders", "Occurrences of reminders.", "result", figures.reminders)
    lateness = HistogramMetricFamily("rekku_reminder_lateness_seconds", "How late occurrences were.")
    _add(lateness, [], figures.lateness)
    yield lateness
    if figures.lateness.last is not None:
        last = figures.lateness.last
        yield _gauge("rekku_reminder_last_lateness_seconds", "How late the last occurrence was.", last)
    seconds = HistogramMetricFamily(
        "rekku_engine_call_seconds", "How long calls of an engine took, failed ones included.", labels=["engine"]
    )
    results = CounterMetricFamily("rekku_engine_calls", "Calls of an engine.", labels=["engine", "result"])
    tokens = CounterMetricFamily(
        "rekku_engine_tokens",
        "Tokens as the server counted them; the cached ones are among those of the prompt.",
        labels=["engine", "kind"],
    )
    for engine, counted in sorted(figures.engines.items()):
        _add(seconds, [engine], counted.seconds)
        for result, count in sorted(counted.results.items()):
            results.add_metric([engine, result], count)
        for kind, count in sorted(counted.tokens.items()):
            tokens.add_metric([engine, kind], count)
    yield from (seconds, results, tokens)


def _gauge(name: str, what: str, value: float) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(name, what, value=value)


def _gauges(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _counters(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _add(family: object, labels: list[str], values: Distribution) -> None:
    from prometheus_client.metrics_core import HistogramMetricFamily

    assert isinstance(family, HistogramMetricFamily)
    family.add_metric(labels, values.buckets(), values.sum)
