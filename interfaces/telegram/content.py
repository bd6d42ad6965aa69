"""What a message holds besides its sender's words: files, and what others wrote. Pure."""

from __future__ import annotations

from aiogram.types import (
    Message,
    MessageOriginChannel,
    MessageOriginChat,
    MessageOriginHiddenUser,
    MessageOriginUser,
    User,
)

from core.contracts.inputs import Attachment, Quoted
from interfaces.telegram.formatted import without_lone_surrogates

LONGEST_NAME = 200


def text_of(message: Message) -> str:
    """Return the text or the caption."""
    return without_lone_surrogates(message.text or message.caption or "")


def display_name(user: User | None) -> str:
    """Return what somebody calls themselves; never a reason to believe anything."""
    return "" if user is None else without_lone_surrogates(user.full_name)[:LONGEST_NAME]


def author_of(message: Message) -> str:
    """Return the name under which a message stands."""
    if message.sender_chat is not None:
        return without_lone_surrogates(message.sender_chat.full_name)[:LONGEST_NAME]
    return display_name(message.from_user)


def foreign_author(message: Message) -> str | None:
    """Return who wrote the text of a message in place of its sender, or None: it was forwarded, or a bot's."""
    if message.forward_origin is not None:
        return _origin_name(message.forward_origin)
    if message.via_bot is not None:
        return display_name(message.via_bot) or "a bot"
    return None


def _origin_name(origin: object) -> str:
    match origin:
        case MessageOriginUser():
            return display_name(origin.sender_user)
        case MessageOriginHiddenUser():
            return without_lone_surrogates(origin.sender_user_name)[:LONGEST_NAME]
        case MessageOriginChat():
            return without_lone_surrogates(origin.sender_chat.full_name)[:LONGEST_NAME]
        case MessageOriginChannel():
            return without_lone_surrogates(origin.chat.full_name)[:LONGEST_NAME]
    return "somebody"


def quotes_of(message: Message, bot_id: int) -> tuple[Quoted, ...]:
    """Return what a message brings of others: what it forwards, and what it replies to or quotes."""
    found: list[Quoted] = []
    writer = foreign_author(message)
    if writer is not None and text_of(message):
        relation = "forward" if message.forward_origin is not None else "quote"
        found.append(Quoted(relation=relation, author=writer, text=text_of(message)))
    replied = message.reply_to_message
    chosen = without_lone_surrogates(message.quote.text) if message.quote is not None else ""
    if replied is not None and replied.forum_topic_created is None:
        whole = text_of(replied)
        own = replied.from_user is not None and replied.from_user.id == bot_id and replied.sender_chat is None
        text = chosen or whole
        if text:
            own = own and text in whole
            found.append(
                Quoted(
                    relation="quote" if chosen else "reply",
                    author=author_of(replied),
                    text=text,
                    own=own,
                    message_id=str(replied.message_id) if own else "",
                )
            )
    elif message.external_reply is not None and chosen:
        found.append(Quoted(relation="quote", author=_origin_name(message.external_reply.origin), text=chosen))
    return tuple(found)


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    """Return the files of a message, and what else it shows, which has no `ref` then."""
    found: list[Attachment] = []
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        found.append(Attachment(kind="photo", name="photo.jpg", ref=largest.file_id, size_bytes=largest.file_size))
    # An animation also stands there as a document, for old clients.
    named = {
        "animation": message.animation,
        "document": None if message.animation else message.document,
        "audio": message.audio,
        "video": message.video,
        "voice": message.voice,
        "video_note": message.video_note,
    }
    for kind, file in named.items():
        if file is not None:
            name = without_lone_surrogates(getattr(file, "file_name", None) or kind)[:LONGEST_NAME]
            mime_type = getattr(file, "mime_type", None)
            found.append(
                Attachment(kind=kind, name=name, ref=file.file_id, size_bytes=file.file_size, mime_type=mime_type)
            )
    if message.sticker is not None:
        name = without_lone_surrogates(message.sticker.emoji or "sticker")
        found.append(
            Attachment(kind="sticker", name=name, ref=message.sticker.file_id, size_bytes=message.sticker.file_size)
        )
    if message.venue is not None:
        found.append(_shown("venue", f"{message.venue.title}, {message.venue.address}"))
    elif message.location is not None:
        found.append(_shown("location", f"{message.location.latitude}, {message.location.longitude}"))
    if message.contact is not None:
        found.append(_shown("contact", f"{message.contact.first_name} {message.contact.phone_number}"))
    if message.poll is not None:
        found.append(_shown("poll", message.poll.question))
    if message.dice is not None:
        found.append(_shown("dice", f"{message.dice.emoji} {message.dice.value}"))
    return tuple(found)


def _shown(kind: str, what: str) -> Attachment:
    return Attachment(kind=kind, name=without_lone_surrogates(what)[:LONGEST_NAME], ref="")
