"""Serves Telegram on a home until it is killed: `python -m tests.support.telegram_child HOME API_BASE TOKEN`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from core.app import App
from core.settings import Access, Settings
from interfaces.telegram import TelegramInterface
from tests.support.telegram_app import QUICK

WRITERS = (11, 12, 13, 14, 15, 16, 99)
"""Trainers, for whom any number of messages may wait."""


async def serve(home: Path, api_base: str, token: str) -> None:
    """Serve for ever."""
    TelegramInterface.rates = QUICK
    settings = Settings(
        home=home,
        engine=("offline",),
        access=Access.OPEN,
        trainer_ids=frozenset(f"telegram:{person}" for person in WRITERS),
        timezone="UTC",
        telegram_bot_token=SecretStr(token),
        telegram_api_base=api_base,
    )
    async with App(settings, serve=("telegram",)):
        print("serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
