"""What is wrong with a payload, in sentences; it goes back to the model to be corrected. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.contracts.json import JsonObject
from plugins.terminal.keys import KEYS, key_bytes

MOST_COMMAND_BYTES = 65_536
MOST_INPUT_BYTES = 16_384
MOST_KEYS = 32
MOST_PATH_BYTES = 4096

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def payload_mistakes(payload: JsonObject) -> list[str]:
    """Return what no schema in the prompt says: lengths, names, keys."""
    return list(_mistakes(payload))


def _mistakes(payload: JsonObject) -> Iterator[str]:
    command, session, timeout_s = payload.get("command"), payload.get("session"), payload.get("timeout_s")
    if command is not None and not command.strip():
        yield "command is empty."
    for field, most in (("command", MOST_COMMAND_BYTES), ("text", MOST_INPUT_BYTES), ("cwd", MOST_PATH_BYTES)):
        text = payload.get(field) or ""
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > most:
            yield f"{field} has {size} bytes; {most} are the most."
        if "\0" in text:
            yield f"{field} holds a NUL character."
        if any("\ud800" <= character <= "\udfff" for character in text):
            yield f"{field} holds half of a surrogate pair, which is no character."
    if session is not None and not _NAME.fullmatch(session):
        yield "session must be 1 to 32 letters, digits, _, . or -."
    if timeout_s is not None and not timeout_s > 0:
        yield "timeout_s must be above 0."
    if payload.get("keep") and session is None:
        yield "keep needs a session."
    keys = payload.get("keys") or []
    if len(keys) > MOST_KEYS:
        yield f"{len(keys)} keys are given; {MOST_KEYS} are the most."
    for key in keys[:MOST_KEYS]:
        if key_bytes(key) is None:
            yield f"There is no key {key!r}. Keys: {', '.join(KEYS)}, ctrl-a to ctrl-z."
