"""One part to one message, and what a refusal means."""

from __future__ import annotations

from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendMessage
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageEntity
from pydantic import ValidationError

from core.contracts.deliveries import Part, Receipt
from core.contracts.errors import CannotDeliver, RetryLater
from core.contracts.json import JsonObject
from interfaces.telegram.client import Client
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.pace import Pace

MARGIN_S = 0.3
"""Added to what Telegram asks to wait: its clock is not ours."""

TOKEN_REFUSED_WAIT_S = 60.0
BUTTONS_IN_A_ROW = 3


class Sender:
    """Sends parts."""

    def __init__(self, client: Client, pace: Pace, moved: MovedChats, *, link_previews: bool) -> None:
        self._client = client
        self._pace = pace
        self._moved = moved
        self._preview = None if link_previews else LinkPreviewOptions(is_disabled=True)

    async def send(self, part: Part) -> Receipt:
        """Send a part; raises RetryLater, CannotDeliver, or Unreachable, after which it is tried again.

        A part of nothing but white space stands between others; Telegram does not take such a message, nor does
        anybody miss it.
        """
        if not part.text.strip():
            return Receipt()
        try:
            chat_id = int(part.address.chat_id)
        except ValueError:
            raise CannotDeliver(f"{part.address} is no Telegram chat: its id is a number.") from None
        chat_id = await self._moved.now_at(chat_id)
        try:
            return await self._send(part, chat_id)
        except TelegramMigrateToChat as error:
            await self._moved.note(chat_id, error.migrate_to_chat_id)
            try:
                return await self._send(part, error.migrate_to_chat_id)
            except TelegramAPIError as second:
                raise await self._meaning(second, error.migrate_to_chat_id) from None
        except TelegramAPIError as error:
            raise await self._meaning(error, chat_id) from None

    async def _send(self, part: Part, chat_id: int) -> Receipt:
        """Send once, and once more as plain text when it is the markup that is refused."""
        await self._pace.enter(chat_id)
        try:
            return await self._call(part, chat_id, part.body)
        except TelegramBadRequest as error:
            plain = _without_what_is_refused(part.body, error.message)
            if plain == part.body:
                raise
        except ValidationError:  # what was stored is not of the form that this version writes
            plain = {}
        await self._pace.enter(chat_id)
        return await self._call(part, chat_id, plain)

    async def _call(self, part: Part, chat_id: int, body: JsonObject) -> Receipt:
        thread = part.address.thread_id
        message = await self._client(
            SendMessage(
                chat_id=chat_id,
                message_thread_id=int(thread) if thread is not None and thread.isdecimal() else None,
                text=part.text,
                entities=[MessageEntity.model_validate(one) for one in body.get("entities", ())] or None,
                link_preview_options=self._preview,
                reply_markup=_markup(body.get("buttons", ())),
            )
        )
        return Receipt(message_id=str(message.message_id))

    async def _meaning(self, error: TelegramAPIError, chat_id: int) -> Exception:
        """Return what a refusal means to the outbox."""
        match error:
            case TelegramRetryAfter():
                wait_s = error.retry_after + MARGIN_S
                await self._pace.held.hold(chat_id, wait_s)
                return RetryLater(wait_s)
            case TelegramUnauthorizedError() | TelegramNotFound():
                # Nothing is wrong with the message: the token was withdrawn, or the server is another one.
                return RetryLater(TOKEN_REFUSED_WAIT_S, "interface", f"{error}. Is TELEGRAM_BOT_TOKEN right?")
            case TelegramForbiddenError() | TelegramBadRequest() | TelegramEntityTooLarge():
                # Blocked, kicked, deleted, no rights, no such chat: the same request is never answered otherwise.
                return CannotDeliver(f"{error}.")
        return error


def _without_what_is_refused(body: JsonObject, description: str) -> JsonObject:
    """Return the body without its buttons when these are refused, without entities when it may be these."""
    refused = description.lower()
    if "button" in refused or "reply markup" in refused or "keyboard" in refused:
        return {name: value for name, value in body.items() if name != "buttons"}
    if "entit" in refused:
        return {name: value for name, value in body.items() if name != "entities"}
    return body


def _markup(buttons: list[list[str]]) -> InlineKeyboardMarkup | None:
    row = [InlineKeyboardButton(text=label, callback_data=data) for label, data in buttons]
    if not row:
        return None
    rows = [row[start : start + BUTTONS_IN_A_ROW] for start in range(0, len(row), BUTTONS_IN_A_ROW)]
    return InlineKeyboardMarkup(inline_keyboard=rows)
