"""Buttons to callback data and back. What does not fit into Telegram's 64 bytes is no button. Pure."""

from __future__ import annotations

import json

from core.contracts.deliveries import Button
from core.contracts.json import JsonObject, compact

LONGEST_DATA = 64
"""Bytes; https://core.telegram.org/bots/api#inlinekeyboardbutton"""


def callback_data(button: Button) -> str:
    """Return what stands for a button's data: the command itself, else JSON; "" when it is too long."""
    command = button.data.get("command")
    bare = len(button.data) == 1 and isinstance(command, str) and command.startswith("/")
    data = str(command) if bare else compact(button.data)
    return data if len(data.encode("utf-8", "replace")) <= LONGEST_DATA else ""


def button_data(data: str) -> JsonObject:
    """Return a pressed button's data. It may be forged: it is worth what whoever presses may do."""
    if data.startswith("/"):
        return {"command": data}
    try:
        read = json.loads(data)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
