"""Forty plugins of five actions each, as a busy installation has them."""

from __future__ import annotations

from typing import Any

from core.ai_plugin_base import AIPluginBase

PLACES = (
    "garden", "kitchen", "garage", "attic", "cellar", "office", "nursery", "porch", "library", "studio",
    "workshop", "greenhouse", "pantry", "laundry", "balcony", "hallway", "bathroom", "bedroom", "lounge", "gym",
    "sauna", "pool", "roof", "driveway", "mailbox", "barn", "stable", "orchard", "vineyard", "aquarium",
    "theatre", "kiosk", "harbor", "bakery", "clinic", "museum", "airfield", "tunnel", "bridge", "tower",
)  # fmt: skip
DEEDS = {
    "water": "Water the plants of the {place}, so many minutes long.",
    "light": "Set how bright the lamps of the {place} are.",
    "lock": "Lock or unlock the door of the {place}.",
    "heat": "Set the temperature of the {place}, in degrees Celsius.",
    "report": "Tell what the sensors of the {place} have measured.",
}


class Place(AIPluginBase):
    """Does everything that can be done in one place; `done` is what it did."""

    def __init__(self, place: str) -> None:
        self.name = self.place = place
        self.done: list[tuple[str, dict[str, Any]]] = []

    def get_supported_actions(self) -> dict[str, dict[str, Any]]:
        return {
            f"{self.place}_{deed}": {
                "description": description.format(place=self.place),
                "required_fields": ["amount"],
                "optional_fields": ["note", "until"],
                "effect": "read",
                "phrases": [f"{deed} the {self.place} at {{amount}}"],
            }
            for deed, description in DEEDS.items()
        }

    def get_prompt_instructions(self, action_name: str) -> dict[str, Any]:
        return {
            "description": DEEDS[action_name.rpartition("_")[2]].format(place=self.place),
            "payload": {
                "amount": {"type": "integer", "description": "How much, from 0 to 100."},
                "note": {"type": "string", "description": "What to write into the log about it."},
                "until": {"type": "string", "description": "When to end, such as 18:30."},
            },
        }

    async def handle_custom_action(self, action_type: str, payload: dict[str, Any]) -> str:
        self.done.append((action_type, payload))
        return f"{action_type} is done"


def places() -> list[Place]:
    """Return the forty plugins."""
    return [Place(place) for place in PLACES]
