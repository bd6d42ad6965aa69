"""What is told of the app itself, and of deliveries, as events."""

from __future__ import annotations

from core.contracts.json import JsonObject
from core.services.events import EventBus
from core.services.outbox import PendingPart
from core.settings import Settings


def told_settings(settings: Settings) -> JsonObject:
    """Return what `config.loaded` tells: every setting as `rekku doctor` shows it, secrets as "set"."""
    shown = {key: value for key, value, _ in settings.describe()}
    return {"home": str(settings.home), "settings": shown}


def tell_delivery(events: EventBus, name: str, part: PendingPart, more: JsonObject) -> None:
    """Tell what became of a part of a message."""
    about = {"delivery_id": part.row_id, "turn_id": part.turn_id, "address": str(part.part.address)}
    # What no turn has sent (a code for a stranger) belongs to nothing else.
    correlation = f"turn-{part.turn_id}" if part.turn_id else f"delivery-{part.row_id}"
    events.post(name, {**about, **more}, correlation=correlation)
