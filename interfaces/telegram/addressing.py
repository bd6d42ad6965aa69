"""Whether a message in a group is meant for the assistant, and its text without the call. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from aiogram.enums import ChatType, MessageEntityType
from aiogram.types import Message, MessageEntity

from interfaces.telegram.config import Answer

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@(\w+))?(?=\s|\Z)")
START, HELP = "start", "/help"
_AFTER_CALL = re.compile(r"[\s,:;!.\-–—]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """addressed: it is meant for the assistant. text: the principal's words, without the call at their beginning."""

    addressed: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """Knows what the assistant is called.

    commands: the commands that there are; in a group a bare one that is not among them is for another bot. Empty:
    not known.
    """

    bot_id: int
    username: str
    names: tuple[str, ...]
    wake_words: tuple[str, ...]
    answer: Answer
    commands: Collection[str] = ()

    def read(self, message: Message, text: str, *, own_words: bool) -> Called:
        """Tell what a message is. own_words: its text is its sender's; a forwarded one calls nobody."""
        if message.chat.type == ChatType.PRIVATE:
            return Called(addressed=True, text=self._begun(text) if own_words else text)
        if message.from_user is not None and message.from_user.is_bot and message.sender_chat is None:
            return Called(addressed=False, text=text)  # two bots would talk for ever
        command = _COMMAND.match(text) if own_words else None
        if command is not None:
            return Called(addressed=self._is_ours(command), text=self._begun(text))
        called = self._by_text(message, text) if own_words else Called(addressed=False, text=text)
        addressed = called.addressed or self._is_reply(message) or self.answer is Answer.ALWAYS
        return Called(addressed=addressed, text=called.text)

    def _begun(self, text: str) -> str:
        """Return a text with /help in place of the /start that Telegram's own button writes."""
        command = _COMMAND.match(text)
        is_start = command is not None and command.group(1).lower() == START and self._names_us(command.group(2))
        return HELP if is_start and START not in self.commands else text

    def _names_us(self, bot: str | None) -> bool:
        return bot is None or bot.lower() == self.username.lower()

    def _is_ours(self, command: re.Match[str]) -> bool:
        name, bot = command.group(1).lower(), command.group(2)
        if bot is not None:
            return self._names_us(bot)
        return not self.commands or name in self.commands

    def _is_reply(self, message: Message) -> bool:
        replied = message.reply_to_message
        return replied is not None and replied.from_user is not None and replied.from_user.id == self.bot_id

    def _by_text(self, message: Message, text: str) -> Called:
        for entity in message.entities or message.caption_entities or ():
            if self._mentions(entity, text):
                if entity.offset == 0:
                    return Called(addressed=True, text=_behind(text, len(entity.extract_from(text))))
                return Called(addressed=True, text=text)
        for word in self.wake_words:
            found = re.match(rf"\s*{re.escape(word)}(?!\w)", text, re.IGNORECASE)
            if found:
                return Called(addressed=True, text=_behind(text, found.end()))
        for name in filter(None, self.names):
            found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
            if found:
                is_call = not text[: found.start()].strip() and text[found.end() : found.end() + 1] in (",", ":")
                return Called(addressed=True, text=_behind(text, found.end()) if is_call else text)
        return Called(addressed=False, text=text)

    def _mentions(self, entity: MessageEntity, text: str) -> bool:
        if entity.type == MessageEntityType.TEXT_MENTION:
            return entity.user is not None and entity.user.id == self.bot_id
        if entity.type != MessageEntityType.MENTION:
            return False
        return entity.extract_from(text).lower() == f"@{self.username}".lower()


def _behind(text: str, end: int) -> str:
    """Return what follows a call; the call itself when nothing does."""
    found = _AFTER_CALL.match(text, end)
    rest = text[found.end() if found else end :]
    return rest or text
