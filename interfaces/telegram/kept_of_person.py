"""What is kept of a private chat besides the core's tables: how long it is left alone, and reactions shown in it."""

from __future__ import annotations

from core.contracts.json import Json
from core.contracts.services import KeyValueStore

HELD = "held chats"
REACTIONS = "reactions"


async def kept_of(kv: KeyValueStore, user_id: str) -> Json:
    """Return what is kept of the private chat with a user; None: nothing."""
    held = (await kv.get(HELD, {})).get(user_id)
    shown = [one for one in (await kv.get(REACTIONS, {})).values() if str(one[0]) == user_id]
    found = {HELD: held, REACTIONS: shown}
    return {name: value for name, value in found.items() if value} or None


async def forget(kv: KeyValueStore, user_id: str) -> int:
    """Delete it; return how many values it was. A running process writes what it still needs again."""
    held, shown = await kv.get(HELD, {}), await kv.get(REACTIONS, {})
    kept_held = {chat: value for chat, value in held.items() if chat != user_id}
    kept_shown = {key: value for key, value in shown.items() if str(value[0]) != user_id}
    for name, before, after in ((HELD, held, kept_held), (REACTIONS, shown, kept_shown)):
        if len(after) < len(before):
            await kv.set(name, after)
    return len(held) - len(kept_held) + len(shown) - len(kept_shown)
