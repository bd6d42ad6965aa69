"""Whether Telegram answers and takes the token. Imports aiogram."""

from __future__ import annotations

from aiogram.exceptions import TelegramAPIError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.utils.token import TokenValidationError

from core.contracts.deliveries import Health
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.config import TelegramConfig

HEALTH_S = 5
TOKEN_REFUSED = "Telegram refuses the bot's token."
TOKEN_CURE = "Get the token from @BotFather and set TELEGRAM_BOT_TOKEN; check TELEGRAM_API_BASE if it is set."


async def ask(client: Client) -> Health:
    """Ask Telegram who we are, for 5 seconds at most."""
    try:
        me = await client.me(HEALTH_S)
    except (TelegramUnauthorizedError, TelegramNotFound):
        return Health(ok=False, detail=TOKEN_REFUSED, cure=TOKEN_CURE)
    except (TelegramAPIError, Unreachable) as error:
        return Health(ok=False, detail=f"{error}", cure="Check the network and TELEGRAM_API_BASE.")
    return Health(ok=True, detail=f"@{me.username}")


async def look(config: TelegramConfig) -> Health:
    """Ask with a connection of its own, when the interface does not run."""
    token = "" if config.token is None else config.token.get_secret_value()
    try:
        client = Client(token, config.api_base)
    except TokenValidationError:
        return Health(ok=False, detail="TELEGRAM_BOT_TOKEN has not the form of a token.", cure=TOKEN_CURE)
    try:
        return await ask(client)
    finally:
        await client.close()
