"""What a component says of its health, checked: foreign code may put anything into it."""

from __future__ import annotations

from core.contracts.deliveries import Health
from core.contracts.json import storable

NOTHING_TOLD = "It does not tell how it is."


def told_health(said: object) -> Health:
    """Return what was said with a yes or no and texts in it; what is no health, or cannot be read, is not well."""
    if isinstance(said, Health):
        try:
            return Health(ok=bool(said.ok), detail=_text(said.detail), cure=_text(said.cure))
        except Exception:  # noqa: BLE001 - how a value of foreign code says itself is foreign code too
            return Health(ok=False, detail=NOTHING_TOLD)
    return Health(ok=False, detail=NOTHING_TOLD)


def _text(value: object) -> str:
    return storable(str(value)) if value else ""
