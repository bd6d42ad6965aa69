"""What became of the last events: who was told, who was not and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.contracts.events import Event, EventEnd, HandlerRun
from core.contracts.json import Json, JsonObject, compact
from core.event_patterns import matches

STATES = "plugin.state_changed"
ROUTINE = ("found", "active", "stopped", "disabled")
MOST_RECORDS = 1000
MOST_RUNS = 100
"""Of one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event of the history; its data is inside bounds. principal, lane: whose it is, or ""."""

    event: Event
    end: EventEnd
    reason: str = ""
    runs: tuple[HandlerRun, ...] = ()
    principal: str = ""
    lane: str = ""

    def as_json(self) -> JsonObject:
        """Return it as a JSON object, as `rekku events list --json` shows it."""
        event = self.event
        return {
            "id": event.id,
            "name": event.name,
            "at_ms": event.at_ms,
            "source": event.source,
            "cause": event.cause,
            "correlation_id": event.correlation_id,
            "data": event.data,
            "end": self.end.value,
            "reason": self.reason,
            "runs": runs_as_json(self.runs),
        }


def runs_as_json(runs: Iterable[HandlerRun]) -> list[Json]:
    """Return what became of each handler, as JSON."""
    return [
        {
            "plugin": run.plugin,
            "handler": run.handler,
            "stage": run.stage.value,
            "end": run.end.value,
            "reason": run.reason,
            "took_ms": run.took_ms,
        }
        for run in runs
    ]


def concerns(record: JsonObject, *, name: str = "", plugin: str = "", correlation: str = "") -> bool:
    """Whether a record, as JSON, is asked for. name: a pattern. plugin: that emitted it or has a handler of it."""
    return (
        (not name or matches(name, record["name"]))
        and (not correlation or record["correlation_id"] == correlation)
        and (not plugin or record["source"] == plugin or any(run["plugin"] == plugin for run in record["runs"]))
    )


def is_routine(record: JsonObject) -> bool:
    """Whether a record, as JSON, only says that a component came or went as it does at every start and end."""
    return record["name"] == STATES and record["data"].get("state") in ROUTINE


class EventHistory:
    """The last events of this process, the oldest first. keep(record): told of each, to keep it in the database."""

    def __init__(self, keep: Callable[[EventRecord], None] = lambda record: None) -> None:
        self._records: deque[EventRecord] = deque(maxlen=MOST_RECORDS)
        self._keep = keep

    def add(self, record: EventRecord) -> None:
        """Note an event that has come to its end."""
        self._records.append(record)
        self._keep(record)

    def listing(self, *, name: str = "", plugin: str = "", correlation: str = "") -> list[EventRecord]:
        """Return the records that are asked for, the newest first; see `concerns`."""
        return [
            record
            for record in reversed(self._records)
            if concerns(record.as_json(), name=name, plugin=plugin, correlation=correlation)
        ]


def stored_runs(runs: Iterable[HandlerRun]) -> str:
    """Return the JSON text under which the handlers of an event are stored."""
    return compact(runs_as_json(runs))
