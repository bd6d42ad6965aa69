"""Everything that runs while the interface is started: built here in one place, started and ended in order.

Imports aiogram, and so is imported when the interface starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from aiogram.exceptions import TelegramAPIError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import User
from aiogram.utils.token import TokenValidationError

from core.contracts.deliveries import Activity, Health
from core.contracts.errors import ConfigurationError
from core.contracts.inputs import Address
from core.contracts.services import PluginContext
from core.interface_base import Moved, Receive
from interfaces.telegram.addressing import Addressing
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.config import TelegramConfig
from interfaces.telegram.held_chats import HeldChats
from interfaces.telegram.intake import Intake
from interfaces.telegram.looking import HEALTH_S, NETWORK_CURE, TOKEN_CURE, TOKEN_REFUSED
from interfaces.telegram.menu import set_menus
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.pace import Pace, Rates
from interfaces.telegram.polling import Poller
from interfaces.telegram.presence import Presence
from interfaces.telegram.sending import Sender
from interfaces.telegram.signs import Signs
from interfaces.telegram.standing import Standing
from interfaces.telegram.waiting import Waiting
from interfaces.telegram.webhook import Webhook

FIRST_LOOK_S = 10
ALBUM_WAIT_S = 1.5
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 60.0

Commands = Callable[[], Mapping[str, str]]


class Connection:
    """One bot at work. `open` raises ConfigurationError when Telegram refuses the token; a Telegram that cannot be
    reached is waited for in the background."""

    def __init__(self, name: str, config: TelegramConfig, context: PluginContext, rates: Rates, moved: Moved) -> None:
        if config.token is None:
            raise ConfigurationError(config.missing())
        self._name = name
        self._config = config
        self._context = context
        self._log = context.log
        try:
            self.client = Client(config.token.get_secret_value(), config.api_base)
        except TokenValidationError:
            raise ConfigurationError("TELEGRAM_BOT_TOKEN has not the form of a token.", cure=TOKEN_CURE) from None
        self.standing = Standing(self._log)
        self.tasks = OwnedTasks(self._log)
        self._held = HeldChats(context.kv, context.clock, self._log)
        pace = Pace(self._held, rates)

        async def tell(old: int, new: int) -> None:
            await moved(Address(name, str(old)), Address(name, str(new)))

        self._moved = MovedChats(context.kv, tell)
        self.sender = Sender(self.client, pace, self._moved, link_previews=config.link_previews)
        signs = Signs(self.client, pace, self._moved, self._log)
        self.presence = Presence(signs, self.tasks, context.clock)
        self.waiting = Waiting(signs, self.tasks, context.kv, context.clock, self._log)
        self._webhook: Webhook | None = None

    async def open(
        self,
        receive: Receive,
        commands: Commands,
        trainer_commands: Commands,
        trainers: Callable[[], Collection[str]],
    ) -> None:
        """Begin to take updates in."""
        await self._held.load()
        await self.waiting.load()
        me: User | None = None
        try:
            me = await self.client.me(FIRST_LOOK_S)
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise ConfigurationError(TOKEN_REFUSED, cure=TOKEN_CURE) from None
        except (TelegramAPIError, Unreachable) as error:
            self.standing.fails(f"Telegram cannot be reached: {error}")

        async def serve() -> None:
            known = me or await self._introduced()
            way = "a webhook" if self._config.webhook_url else "long polling"
            self._log.info("connected to Telegram", bot=f"@{known.username}", updates=f"by {way}")
            intake = self._intake(known, receive, lambda: {**commands(), **trainer_commands()})
            self.tasks.spawn(self._set_menus(commands, trainer_commands, trainers), "menu of commands")
            if self._config.webhook_url:
                await self._listen(intake, self._config.webhook_url)
            else:
                await self._poll(intake)

        self.tasks.spawn(serve(), "updates")

    async def close(self) -> None:
        """End everything; nothing is handed in afterwards."""
        if self._webhook is not None:
            await self._webhook.close()
        await self.tasks.end()
        await self.client.close()

    async def health(self) -> Health:
        """Tell what is wrong, or ask Telegram, for 5 seconds at most."""
        if self.standing.problem is not None:
            return self.standing.problem
        try:
            me = await self.client.me(HEALTH_S)
        except (TelegramUnauthorizedError, TelegramNotFound):
            return Health(ok=False, detail=TOKEN_REFUSED, cure=TOKEN_CURE)
        except (TelegramAPIError, Unreachable) as error:
            return Health(ok=False, detail=f"{error}", cure=NETWORK_CURE)
        return Health(ok=True, detail=f"@{me.username}")

    async def _introduced(self) -> User:
        """Return the bot's own account once Telegram can be reached: without it nothing can be read."""
        wait_s = FIRST_BACK_OFF_S
        while True:
            await self._context.clock.sleep(wait_s)
            try:
                return await self.client.me()
            except (TelegramAPIError, Unreachable) as error:
                self.standing.fails(f"Telegram cannot be reached: {error}")
            wait_s = min(wait_s * 2, LONGEST_BACK_OFF_S)

    def show(self, activity: Activity) -> None:
        """Show a sign of life of a turn; returns at once."""
        self.waiting.show(activity)
        self.presence.show(activity)

    def _intake(self, me: User, receive: Receive, commands: Commands) -> Intake:
        def addressing() -> Addressing:
            return Addressing(
                bot_id=me.id,
                username=me.username or "",
                names=(me.first_name, *self._config.aliases),
                wake_words=self._config.wake_words,
                answer=self._config.answer,
                commands={name.removeprefix("/").lower() for name in commands()},
            )

        return Intake(
            interface=self._name,
            receive=receive,
            client=self.client,
            addressing=addressing,
            moved=self._moved,
            tasks=self.tasks,
            waiting=self.waiting,
            clock=self._context.clock,
            album_wait_s=ALBUM_WAIT_S if self._config.webhook_url else 0.0,
            log=self._log,
        )

    async def _poll(self, intake: Intake) -> None:
        poller = Poller(self.client, intake, self.standing, self._context.clock, self._log)
        while True:
            try:
                await poller.run()
            except Exception as error:  # noqa: BLE001 - a mistake of our own: it is told, and messages still come in
                self.standing.fails(f"Fetching updates failed inside: {type(error).__name__}")
                await self._context.clock.sleep(LONGEST_BACK_OFF_S)

    async def _listen(self, intake: Intake, url: str) -> None:
        secret = self._config.webhook_secret
        self._webhook = Webhook(
            self.client,
            intake,
            self.standing,
            self._context.clock,
            url=url,
            secret=secret.get_secret_value() if secret is not None else "",
            listen=self._config.webhook_listen,
        )
        try:
            await self._webhook.listen()
        except OSError as error:
            cure = "Choose another webhook_listen in [interfaces.telegram]."
            self.standing.fails(f"{self._config.webhook_listen} cannot be listened on: {error.strerror}", cure)
            return
        await self._webhook.announce()

    async def _set_menus(
        self, commands: Commands, trainer_commands: Commands, trainers: Callable[[], Collection[str]]
    ) -> None:
        try:
            async with asyncio.timeout(60):
                refused = await set_menus(self.client, commands(), trainer_commands(), trainers())
        except (Unreachable, TimeoutError) as error:
            refused = [str(error)]
        for reason in refused:
            self._log.info("a menu of commands was not set", error=reason)
