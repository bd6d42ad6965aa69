"""From an update to an input. Pure: what an update says is all that is looked at.

The principal is the `from` of the message or of the button press itself, and nothing that stands inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiogram.types import CallbackQuery, Message, Update
from pydantic import ValidationError

from core.contracts.errors import RekkuError
from core.contracts.inputs import Address, Attachment, Input, InputKind, Principal
from core.contracts.json import JsonObject
from interfaces.telegram.addressing import Addressing
from interfaces.telegram.buttons import button_data
from interfaces.telegram.content import attachments_of, author_of, display_name, foreign_author, quotes_of, text_of

TAKEN = ("message", "edited_message", "callback_query")
"""The kinds of updates that are asked for."""


class Unreadable(RekkuError):
    """An update that is not as the Bot API says; it is passed over."""

    code = "telegram_unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an update came to.

    input: None when there is nothing to take in. callback_id: a button press that waits for its acknowledgement.
    moved: (old, new) ids of a group that became a supergroup.
    """

    input: Input | None = None
    callback_id: str = ""
    moved: tuple[int, int] | None = None


def read_update(raw: Any, interface: str, addressing: Addressing) -> Read:
    """Return what an update is; raises Unreadable."""
    try:
        update = Update.model_validate(raw)
    except ValidationError as error:
        # The error's text would quote what people wrote.
        places = ", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_input=False)[:3])
        raise Unreadable(f"The update cannot be read at {places}.") from None
    if update.callback_query is not None:
        return _press(update.update_id, update.callback_query, interface)
    message = update.message or update.edited_message
    if message is None:
        return Read()
    if message.migrate_to_chat_id is not None:
        return Read(moved=(message.chat.id, message.migrate_to_chat_id))
    if message.migrate_from_chat_id is not None:
        return Read(moved=(message.migrate_from_chat_id, message.chat.id))
    return _message(update.update_id, message, interface, addressing, edits=update.edited_message is not None)


def _message(update_id: int, message: Message, interface: str, addressing: Addressing, *, edits: bool) -> Read:
    text, attachments, quoted = text_of(message), attachments_of(message), quotes_of(message, addressing.bot_id)
    if not (text or attachments or quoted):
        return Read()  # a service message: somebody joined, a title was changed
    own_words = foreign_author(message) is None
    called = addressing.read(message, text, own_words=own_words)
    data: JsonObject = {"message_id": message.message_id}
    if message.media_group_id is not None:
        data["album"] = message.media_group_id
    if edits:
        data["edit_of"] = message.message_id
    input = Input(
        kind=InputKind.MESSAGE,
        principal=_principal(message, interface),
        address=_address(message, interface),
        dedupe_key=str(update_id),
        text=called.text if own_words else "",
        author_name=author_of(message),
        quoted=quoted,
        attachments=attachments,
        addressed=called.addressed,
        data=data,
    )
    return Read(input=input)


def _press(update_id: int, query: CallbackQuery, interface: str) -> Read:
    if query.message is None or query.data is None:
        return Read(callback_id=query.id)
    input = Input(
        kind=InputKind.BUTTON,
        principal=Principal(interface, str(query.from_user.id)),
        address=_address(query.message, interface) if isinstance(query.message, Message) else _bare(query, interface),
        dedupe_key=str(update_id),
        author_name=display_name(query.from_user),
        data=button_data(query.data),
    )
    return Read(input=input, callback_id=query.id)


def _bare(query: CallbackQuery, interface: str) -> Address:
    """A message that is too old to be shown: its chat is all that is known."""
    if query.message is None:
        raise Unreadable("The button press names no chat.")
    return Address(interface, str(query.message.chat.id))


def _principal(message: Message, interface: str) -> Principal:
    """Who sends as a chat (anonymous admins, channels) is nobody in particular: `from` is a placeholder then."""
    if message.sender_chat is not None or message.from_user is None:
        chat = message.sender_chat or message.chat
        return Principal(interface, f"anonymous:{chat.id}")
    return Principal(interface, str(message.from_user.id))


def _address(message: Message, interface: str) -> Address:
    # In groups without topics a thread id only marks a chain of replies.
    thread = message.message_thread_id if message.is_topic_message else None
    return Address(interface, str(message.chat.id), None if thread is None else str(thread))


def album_of(raw: Any) -> tuple[int, str] | None:
    """Return the chat and the album to which an update's message belongs, or None."""
    message = raw.get("message") if isinstance(raw, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("media_group_id"), str):
        return None
    chat = message.get("chat")
    return (chat["id"], message["media_group_id"]) if isinstance(chat, dict) and "id" in chat else None


def joined(parts: list[Input]) -> Input:
    """Return one input for the parts of an album: the first one's, with all words and files."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    attachments: tuple[Attachment, ...] = tuple(one for part in parts for one in part.attachments)
    return Input(
        kind=first.kind,
        principal=first.principal,
        address=first.address,
        dedupe_key=first.dedupe_key,
        text="\n".join(part.text for part in parts if part.text),
        author_name=first.author_name,
        quoted=tuple(dict.fromkeys(quoted for part in parts for quoted in part.quoted)),
        attachments=attachments,
        addressed=any(part.addressed for part in parts),
        data=first.data,
    )
