"""Calls of the Bot API through aiogram, with errors that hold neither the token nor anybody's words.

Importing this module takes seconds (aiogram): it is imported when the interface starts, in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError, ClientDecodeError, TelegramAPIError, TelegramNetworkError
from aiogram.methods import GetMe, TelegramMethod
from aiogram.types import User
from aiohttp import ClientError

from core.contracts.errors import RekkuError

T = TypeVar("T")

CALL_S = 20
CHUNK_BYTES = 1 << 16


class Unreachable(RekkuError):
    """The Bot API gave no answer, or none that could be read; trying again may help."""

    code = "telegram_unreachable"


class RawUpdates(TelegramMethod[list[Any]]):
    """getUpdates, the updates as they came: with aiogram's own one that it cannot read would hold up all others."""

    __returning__ = list[Any]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int = 0
    limit: int = 100
    allowed_updates: list[str] | None = None


class Client:
    """One bot at one server. Raises aiogram's TelegramAPIError for refusals, Unreachable for everything else."""

    def __init__(self, token: str, api_base: str) -> None:
        self._token = token
        self._session = AiohttpSession(api=TelegramAPIServer.from_base(api_base), timeout=CALL_S)
        self.bot = Bot(token, session=self._session)

    async def __call__(self, method: TelegramMethod[T], timeout_s: int = CALL_S) -> T:
        """Call a method; `timeout_s` bounds the whole of it."""
        try:
            return await self.bot(method, request_timeout=timeout_s)
        except ClientDecodeError as error:
            # Its text is the whole answer: messages of people.
            raise Unreachable(f"The Bot API's answer cannot be read ({type(error.original).__name__}).") from None
        except TelegramNetworkError as error:
            raise Unreachable(self.without_token(error.message)) from None
        except TelegramAPIError as error:
            error.message = self.without_token(error.message)
            raise
        except (AiogramError, ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{type(error).__name__}: {self.without_token(str(error))}") from None

    async def me(self, timeout_s: int = CALL_S) -> User:
        """Return the bot's own account."""
        return await self(GetMe(), timeout_s)

    async def content(self, path: str, timeout_s: int) -> AsyncIterator[bytes]:
        """Yield a file's bytes by its path at the server."""
        url = self._session.api.file_url(self._token, path)
        stream = self._session.stream_content(url, timeout=timeout_s, chunk_size=CHUNK_BYTES, raise_for_status=True)
        try:
            async with aclosing(stream):
                async for chunk in stream:
                    yield chunk
        except (ClientError, OSError, TimeoutError) as error:
            # The address in such an error holds the token.
            raise Unreachable(f"The file could not be fetched ({type(error).__name__}).") from None

    def without_token(self, text: str) -> str:
        """Return a text in which the token cannot be read."""
        return text.replace(self._token, "[TELEGRAM_BOT_TOKEN]")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
