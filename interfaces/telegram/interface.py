"""The interface `telegram`: light until it starts, since aiogram takes seconds to import."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from core.contracts.deliveries import (
    Activity,
    Delivery,
    Health,
    InterfaceLimits,
    LengthUnit,
    Part,
    Receipt,
)
from core.contracts.errors import RekkuError, RetryLater
from core.contracts.inputs import Address, Attachment, Principal
from core.contracts.json import Json
from core.interface_base import InterfaceBase, Receive
from interfaces.telegram.config import TelegramConfig
from interfaces.telegram.kept_of_person import forget, kept_of

if TYPE_CHECKING:
    from interfaces.telegram.connection import Connection
    from interfaces.telegram.pace import Rates

_HEAVY = ("interfaces.telegram.connection", "interfaces.telegram.downloading")
NOT_STARTED_WAIT_S = 5.0


class TelegramInterface(InterfaceBase):
    """One bot. The composition root sets the attributes below if it likes, before `start`."""

    name = "telegram"
    limits: ClassVar[InterfaceLimits] = InterfaceLimits(
        text_length=4096,
        length_unit=LengthUnit.UTF16,
        markdown=True,
        edits=True,
        buttons=True,
        threads=True,
        files=True,
        typing=True,
    )
    rates: ClassVar[Rates | None] = None
    """How fast may be sent; None: as Telegram allows."""

    config: TelegramConfig

    class Config(TelegramConfig):
        """The keys of `[interfaces.telegram]`."""

    def __init__(self) -> None:
        self.commands: Callable[[], Mapping[str, str]] = dict
        """Returns the commands that anybody may type, name to description: the menu.

        In a group a bare command is ours when it is among these or those of trainers.
        """
        self.trainer_commands: Callable[[], Mapping[str, str]] = dict
        """Returns the commands for the menu in trainers' private chats."""
        self.trainers: Callable[[], Collection[str]] = tuple
        """Returns the user ids of the trainers here."""
        self._connection: Connection | None = None

    @classmethod
    def configured(cls, config: BaseModel) -> str:
        """Return what is missing to start, or ""."""
        return config.missing() if isinstance(config, TelegramConfig) else "it has no configuration"

    def private_address(self, user_id: str) -> Address | None:
        """Return a user's private chat, whose id is the user's own; None for who is no single user."""
        return Address(self.name, user_id) if user_id.isdecimal() else None

    async def export_person(self, principal: Principal) -> Json:
        """Return what is kept of the private chat with a user."""
        return await kept_of(self.context.kv, principal.user_id) if principal.interface == self.name else None

    async def erase_person(self, principal: Principal) -> int:
        """Delete what is kept of the private chat with a user."""
        return await forget(self.context.kv, principal.user_id) if principal.interface == self.name else 0

    async def start(self, receive: Receive) -> None:
        """Log in and begin to take updates in; raises ConfigurationError when Telegram refuses the token."""
        # In a thread: the import takes seconds, in which other chats would stand still.
        for module in _HEAVY:
            await asyncio.to_thread(importlib.import_module, module)
        from interfaces.telegram.connection import Connection
        from interfaces.telegram.pace import Rates

        connection = Connection(self.name, self.config, self.context, self.rates or Rates(), self.moved)
        try:
            await connection.open(receive, self.commands, self.trainer_commands, self.trainers)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    def render(self, delivery: Delivery) -> list[Part]:
        """Make messages of a delivery: CommonMark to entities, cut at 4096 UTF-16 units."""
        from interfaces.telegram.rendering import render_parts

        return render_parts(delivery)

    async def send(self, part: Part) -> Receipt:
        """Send one part; see `interfaces.telegram.sending` for what is raised."""
        if self._connection is None:
            raise RetryLater(NOT_STARTED_WAIT_S, "interface", "Telegram is not connected.")
        return await self._connection.sender.send(part)

    async def activity(self, activity: Activity) -> None:
        """Show the typing sign and progress of a turn, and which messages wait; returns at once."""
        if self._connection is not None:
            self._connection.show(activity)

    async def download(self, attachment: Attachment) -> bytes:
        """Return the content of an attachment; raises RekkuError when it is too large, gone or cannot be reached."""
        if self._connection is None:
            raise RekkuError("Telegram is not connected.")
        from interfaces.telegram.downloading import download

        most_bytes = int(self.config.max_download_mb * 2**20)
        return await download(self._connection.client, attachment, most_bytes)

    async def stop(self) -> None:
        """Disconnect. What was fetched and not stored comes again at the next start."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def health(self) -> Health:
        """Tell whether Telegram answers, and takes the token; also before the start."""
        if self._connection is not None:
            return await self._connection.health()
        missing = self.config.missing()
        if missing:
            return Health(ok=False, detail=missing)
        await asyncio.to_thread(importlib.import_module, "aiohttp")
        from interfaces.telegram.looking import look

        return await look(self.config)
