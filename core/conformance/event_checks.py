"""Checks of the events that a plugin wants to hear of."""

from __future__ import annotations

from collections.abc import Sequence

from core.code_places import place_of
from core.conformance.findings import Findings
from core.counted import counted
from core.registry.misspelt_events import meant_instead
from core.services.event_handlers import HandlerBinding


def check_events(handlers: Sequence[HandlerBinding], found: Findings) -> None:
    """Tell of handlers whose event nobody emits under that name, as far as it is one of the core's."""
    for handler in handlers:
        if meant := meant_instead(handler.pattern):
            found.warn(
                "events",
                f"{handler.method} waits for {handler.pattern}, which the core does not emit.",
                f"Did you mean {meant}?",
                place_of(handler.call).replace(", line ", ":"),
            )
    found.ok("events", counted(len(handlers), "handler") + " of events." if handlers else "It handles no events.")
