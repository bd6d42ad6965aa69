"""What people do, as the bodies of updates without their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.contracts.json import JsonObject

AT_S = 1_795_196_220


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A Telegram user."""

    id: int
    first_name: str = "Ada"
    username: str = ""
    is_bot: bool = False

    def as_json(self) -> JsonObject:
        """Return the User object."""
        user: JsonObject = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        return user | ({"username": self.username} if self.username else {})


def chat_of(chat_id: int, *, forum: bool = False) -> JsonObject:
    """Return a Chat object: groups have negative ids, those of supergroups begin with -100."""
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": "Ada"}
    kind = "supergroup" if str(chat_id).startswith("-100") else "group"
    return {"id": chat_id, "type": kind, "title": "Friends"} | ({"is_forum": True} if forum else {})


def message(
    chat_id: int,
    sender: Person | int | None,
    text: str = "",
    *,
    message_id: int = 1,
    thread_id: int | None = None,
    entities: Sequence[JsonObject] = (),
    **more: Any,
) -> JsonObject:
    """Return `{"message": …}`; `more` are further fields of the Message object."""
    body: JsonObject = {"message_id": message_id, "date": AT_S, "chat": chat_of(chat_id, forum=thread_id is not None)}
    if sender is not None:
        person = sender if isinstance(sender, Person) else Person(id=sender)
        body["from"] = person.as_json()
    if text:
        body["text"] = text
        found = list(entities) or _commands(text)
        if found:
            body["entities"] = found
    if thread_id is not None:
        body |= {"message_thread_id": thread_id, "is_topic_message": True}
    return {"message": body | more}


def private(user_id: int, text: str, **more: Any) -> JsonObject:
    """Return what somebody writes to the bot alone."""
    return message(user_id, user_id, text, **more)


def edited(update: JsonObject, text: str) -> JsonObject:
    """Return the edit of an earlier message."""
    return {"edited_message": update["message"] | {"text": text, "edit_date": AT_S + 5}}


def album(chat_id: int, sender: Person | int, caption: str, count: int, group: str = "77") -> list[JsonObject]:
    """Return the updates of an album of photos; the caption stands at the first."""
    captions: list[JsonObject] = [{"caption": caption}] + [{}] * (count - 1)
    return [
        message(
            chat_id, sender, message_id=100 + number, media_group_id=group, photo=[photo(f"photo-{number}")], **first
        )
        for number, first in enumerate(captions)
    ]


def photo(file_id: str, size: int = 1000) -> JsonObject:
    """Return a PhotoSize object."""
    return {"file_id": file_id, "file_unique_id": f"u-{file_id}", "width": 90, "height": 90, "file_size": size}


def button_press(presser: Person | int, under: JsonObject, data: str, *, query_id: str = "q1") -> JsonObject:
    """Return the press of a button under a message of the bot."""
    person = presser if isinstance(presser, Person) else Person(id=presser)
    return {
        "callback_query": {
            "id": query_id,
            "from": person.as_json(),
            "message": under,
            "chat_instance": "1",
            "data": data,
        }
    }


def _commands(text: str) -> list[JsonObject]:
    if not text.startswith("/"):
        return []
    return [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
