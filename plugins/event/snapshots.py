"""A reminder as JSON and back: what is kept to take a change of it back. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.contracts.inputs import Address
from core.contracts.json import JsonObject
from core.contracts.reminders import Intent
from core.contracts.schedule import MissedPolicy, Reminder, ReminderMode, ReminderState


def snapshot(reminder: Reminder) -> JsonObject:
    """Return all of a reminder that can be changed."""
    return {
        "text": reminder.text,
        "address": str(reminder.address),
        "start": reminder.intent.start.isoformat(),
        "zone": reminder.intent.zone,
        "rule": reminder.intent.rule,
        "elapsed": reminder.intent.elapsed,
        "mode": reminder.mode.value,
        "missed": reminder.missed.value,
        "max_lateness_s": reminder.max_lateness_s,
        "tainted": reminder.tainted,
        "state": reminder.state.value,
    }


def restored(reminder: Reminder, kept: JsonObject) -> Reminder:
    """Return a reminder as it was when `kept` was made of it; its next occurrence is still to be computed."""
    return replace(
        reminder,
        text=kept["text"],
        address=Address.parse(kept["address"]),
        intent=Intent(
            start=datetime.fromisoformat(kept["start"]),
            zone=kept["zone"],
            rule=kept["rule"],
            elapsed=kept["elapsed"],
        ),
        mode=ReminderMode(kept["mode"]),
        missed=MissedPolicy(kept["missed"]),
        max_lateness_s=kept["max_lateness_s"],
        tainted=kept["tainted"],
        state=ReminderState(kept["state"]),
    )
