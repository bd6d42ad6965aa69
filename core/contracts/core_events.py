"""The closed list of events that the core emits, or knows the form of, with the fields of the data of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreEvent:
    """when: it is emitted. fields: of its data, all of them there. by: "core", "plugins", or "both"."""

    when: str
    fields: tuple[str, ...]
    by: str = "core"


_TURN = ("turn_id", "principal", "address")

CORE_EVENTS: Mapping[str, CoreEvent] = {
    "config.loaded": CoreEvent(
        when="The settings are read and the plugins have started.", fields=("home", "settings")
    ),
    "plugin.state_changed": CoreEvent(
        when="A plugin, an interface or an engine came into another state.",
        fields=("kind", "name", "state", "reason", "stage"),
    ),
    "input.received": CoreEvent(
        when="An input of somebody who may talk is stored, and was not there before.",
        fields=("input_id", "kind", "principal", "role", "address", "text", "addressed", "edit", "attachments"),
    ),
    "button.single_press": CoreEvent(
        when="Somebody pressed a button, which is stored as an input.",
        fields=("input_id", "principal", "address", "command"),
        by="both",
    ),
    "session.resolved": CoreEvent(
        when="It is settled which session, engine, model and persona a turn uses; again when a hook changes that.",
        fields=(*_TURN, "session_id", "engine", "model", "persona"),
    ),
    "turn.started": CoreEvent(
        when="A turn begins, or is taken up again (resumed: how often it was interrupted).",
        fields=(*_TURN, "role", "input_id", "kind", "origin", "text", "resumed"),
    ),
    "turn.completed": CoreEvent(
        when="A turn has ended: status is complete, aborted or error. awaiting_approval: it goes on once approved.",
        fields=(*_TURN, "input_id", "status", "awaiting_approval", "steps", "took_ms"),
    ),
    "session.closed": CoreEvent(
        when="A conversation was ended, and the next message begins a new one.",
        fields=("session_id", "principal", "address"),
    ),
    "conversation.complete": CoreEvent(
        when="Behind session.closed, where something was said: the summary, and the newest lines.",
        fields=("session_id", "principal", "address", "started_at_ms", "summary", "summary_tainted", "lines"),
    ),
    "llm.requested": CoreEvent(
        when="An engine is asked, corrections included.",
        fields=(*_TURN, "step", "attempt", "engine", "model", "messages"),
    ),
    "llm.replied": CoreEvent(
        when="The reply came, or error says why there is none.",
        fields=(*_TURN, "step", "attempt", "engine", "text", "finish_reason", "usage", "error"),
    ),
    "action.started": CoreEvent(
        when="The handler of an action is about to be called.",
        fields=(*_TURN, "action_id", "plugin", "action", "effect", "payload"),
    ),
    "action.completed": CoreEvent(
        when="An action has an outcome, also one that was denied or skipped.",
        fields=(*_TURN, "action_id", "plugin", "action", "status", "reason", "tainted"),
    ),
    "plugin.action": CoreEvent(
        when="An action was done, with what it was given and what it returned.",
        fields=(*_TURN, "action_id", "plugin", "action", "payload", "output", "tainted"),
        by="both",
    ),
    "delivery.sent": CoreEvent(
        when="A platform took a part of a message.", fields=("delivery_id", "turn_id", "address", "message_id")
    ),
    "delivery.failed": CoreEvent(
        when="A platform did not take it; final: it is not tried again.",
        fields=("delivery_id", "turn_id", "address", "reason", "final"),
    ),
    "reminder.due": CoreEvent(
        when="An occurrence of a reminder happened; status is the outcome of the delivery.",
        fields=("reminder_id", "principal", "address", "text", "mode", "due_at_ms", "status", "reason", "tainted"),
    ),
    "job.ended": CoreEvent(
        when="A background job of a plugin has ended: state is done, failed or cancelled.",
        fields=("job_id", "plugin", "name", "state", "result", "error"),
    ),
    "memory.processed": CoreEvent(
        when="A plugin that remembers has worked through something.",
        fields=("principal", "kind", "count"),
        by="plugins",
    ),
    "transcript.streaming": CoreEvent(
        when="A plugin that hears has understood something; final: it will not change any more.",
        fields=("text", "final", "principal", "address"),
        by="plugins",
    ),
}
"""By name."""

CORE_ONLY = frozenset(name for name, event in CORE_EVENTS.items() if event.by == "core")
"""What no plugin may emit: whoever hears it can rely on the core having said so."""
