"""What a delivery and its parts must be, to be stored and sent: hooks and interfaces made them. Pure."""

from __future__ import annotations

import math
from typing import Any

from core.contracts.deliveries import Button, Delivery, Part
from core.contracts.inputs import Address
from core.contracts.json import compact

MOST_PARTS = 2000
LONGEST_TTL_S = 366 * 24 * 3600.0


def malformed_delivery(delivery: Delivery) -> str:
    """Return what is wrong with a delivery, or "" when it can be rendered and stored."""
    buttons = delivery.buttons
    if not _is_address(delivery.address):
        return "its address is none"
    if not _is_text(delivery.text):
        return "its text is none, or holds half a character"
    if not _is_number(delivery.ttl_s) or not 0 < delivery.ttl_s <= LONGEST_TTL_S:
        return f"its time to live is no number of seconds up to {LONGEST_TTL_S:.0f}"
    if not isinstance(buttons, tuple | list) or not all(isinstance(button, Button) for button in buttons):
        return "its buttons are none"
    if not all(_is_text(button.label) and _is_object(button.data) for button in buttons):
        return "a button of it has no label, or data that is no JSON object"
    return ""


def malformed_parts(parts: object, to: Address) -> str:
    """Return what is wrong with the parts of a delivery to an address, or "" when they can be stored and sent."""
    if not isinstance(parts, list | tuple):
        return f"a {type(parts).__name__}, not a list of parts"
    if len(parts) > MOST_PARTS:
        return f"{len(parts)} parts, and {MOST_PARTS} are the most"
    for part in parts:
        if not isinstance(part, Part):
            return f"a {type(part).__name__} among its parts"
        if part.address != to:
            return "a part to another address"
        if not _is_text(part.text):
            return "a part whose text is none, or holds half a character"
        if not _is_object(part.body):
            return "a part whose body is no JSON object"
    return ""


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, Address) and Address.parse(str(value)) == value and _is_text(str(value))
    except (TypeError, ValueError):
        return False


def _is_text(value: object) -> bool:
    """Whether it is a text without lone surrogates, which neither a database nor a platform can take."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_object(value: Any) -> bool:
    try:
        return isinstance(value, dict) and _is_text(compact(value))
    except (TypeError, ValueError, RecursionError):
        return False
