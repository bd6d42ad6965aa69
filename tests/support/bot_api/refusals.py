"""What the platform refuses by itself: messages that are too long, marked up wrongly, or to nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.contracts.json import JsonObject
from tests.support.bot_api.world import World

LONGEST_TEXT = 4096
LONGEST_CALLBACK_DATA = 64
MOST_ENTITIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is not ok."""

    status: int
    description: str
    parameters: JsonObject = field(default_factory=dict)


def refusal(world: World, method: str, params: JsonObject) -> Refusal | None:
    """Return why a call to a chat is refused, or None."""
    if "chat_id" not in params:
        return None
    chat_id = int(params["chat_id"])
    left_s = world.floods.get(chat_id, 0.0) - world.clock()
    if left_s > 0:
        world.violations.append((method, chat_id))
        seconds = max(1, round(left_s))
        return Refusal(
            status=429, description=f"Too Many Requests: retry after {seconds}", parameters={"retry_after": seconds}
        )
    if chat_id in world.blocked:
        return Refusal(status=403, description="Forbidden: bot was blocked by the user")
    if chat_id in world.missing:
        return Refusal(status=400, description="Bad Request: chat not found")
    if chat_id in world.migrated:
        return Refusal(
            status=400,
            description="Bad Request: group chat was upgraded to a supergroup chat",
            parameters={"migrate_to_chat_id": world.migrated[chat_id]},
        )
    return _of_text(params) if "text" in params else None


def _of_text(params: JsonObject) -> Refusal | None:
    text = str(params["text"])
    units = utf16_length(text)
    if not text.strip():
        return Refusal(status=400, description="Bad Request: message text is empty")
    if units > LONGEST_TEXT:
        return Refusal(status=400, description="Bad Request: message is too long")
    entities = params.get("entities", [])
    if len(entities) > MOST_ENTITIES:
        return Refusal(status=400, description="Bad Request: can't parse entities: there are too many")
    for entity in entities:
        if entity["offset"] < 0 or entity["length"] < 1 or entity["offset"] + entity["length"] > units:
            return Refusal(status=400, description="Bad Request: can't parse entities: out of the text")
    for row in params.get("reply_markup", {}).get("inline_keyboard", []):
        for button in row:
            if len(button["callback_data"].encode()) > LONGEST_CALLBACK_DATA:
                return Refusal(status=400, description="Bad Request: BUTTON_DATA_INVALID")
    return None


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2
