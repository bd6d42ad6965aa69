"""Whether Telegram answers and takes the token, asked without aiogram, whose import takes seconds."""

from __future__ import annotations

from typing import Any

from core.contracts.deliveries import Health
from interfaces.telegram.config import TelegramConfig

HEALTH_S = 5
TOKEN_REFUSED = "Telegram refuses the bot's token."
TOKEN_CURE = "Get the token from @BotFather and set TELEGRAM_BOT_TOKEN; check TELEGRAM_API_BASE if it is set."
NETWORK_CURE = "Check the network and TELEGRAM_API_BASE."

_REFUSED = (401, 404)
"""https://core.telegram.org/bots/api#making-requests: a token that is wrong, and one that has not the form of one."""


async def look(config: TelegramConfig) -> Health:
    """Ask for the bot's own account with a connection of its own, for 5 seconds at most."""
    import aiohttp

    token = "" if config.token is None else config.token.get_secret_value()
    number, colon, secret = token.partition(":")
    if not (number.isdecimal() and colon and secret) or any(mark.isspace() or mark in "/?#" for mark in token):
        return Health(ok=False, detail="TELEGRAM_BOT_TOKEN has not the form of a token.", cure=TOKEN_CURE)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HEALTH_S)) as session:
            url = f"{config.api_base.rstrip('/')}/bot{token}/getMe"
            async with session.post(url, allow_redirects=False) as response:
                status, answer = response.status, await response.json(content_type=None)
    except TimeoutError:
        return _away(f"Telegram did not answer within {HEALTH_S} s.")
    except ValueError as error:
        return _away(f"The Bot API's answer cannot be read ({type(error).__name__}).")
    except (aiohttp.ClientError, OSError) as error:
        return _away(f"{type(error).__name__}: {error}".replace(token, "[TELEGRAM_BOT_TOKEN]"))
    return _told(status, answer)


def _told(status: int, answer: Any) -> Health:
    if status in _REFUSED:
        return Health(ok=False, detail=TOKEN_REFUSED, cure=TOKEN_CURE)
    account = answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
    if not isinstance(account, dict):
        return _away(f"The Bot API answers with the status {status}.")
    return Health(ok=True, detail=f"@{account.get('username', '')}")


def _away(detail: str) -> Health:
    return Health(ok=False, detail=detail, cure=NETWORK_CURE)
