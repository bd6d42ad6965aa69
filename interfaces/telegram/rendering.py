"""From a delivery to parts: their texts together are the rendered text. Pure."""

from __future__ import annotations

from core.contracts.deliveries import Button, Delivery, Part
from core.contracts.json import JsonObject
from interfaces.telegram.buttons import callback_data
from interfaces.telegram.markdown import render_markdown
from interfaces.telegram.splitting import split

LONGEST_TEXT = 4096
"""UTF-16 code units; https://core.telegram.org/bots/api#sendmessage"""


def render_parts(delivery: Delivery) -> list[Part]:
    """Return a part a message: `body` holds the entities and, in the last part that shows anything, the buttons."""
    pieces = split(render_markdown(delivery.text), LONGEST_TEXT)
    bodies: list[JsonObject] = [{"entities": piece.wire()} if piece.spans else {} for piece in pieces]
    shown = [position for position, piece in enumerate(pieces) if piece.text.strip()]
    keyboard = _keyboard(delivery.buttons)
    if shown and keyboard:
        bodies[shown[-1]]["buttons"] = keyboard
    return [
        Part(address=delivery.address, text=piece.text, body=body) for piece, body in zip(pieces, bodies, strict=True)
    ]


def _keyboard(buttons: tuple[Button, ...]) -> list[list[str]]:
    """Return (label, callback data) of each button; one without data that fits cannot be pressed and is left out."""
    pairs = [[button.label, callback_data(button)] for button in buttons]
    return [pair for pair in pairs if all(pair)]
