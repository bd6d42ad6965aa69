"""Telegram served by a process of its own, which a test can kill or stop."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.support.bot_api import BotApi
from tests.support.telegram_child import WRITERS

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")


async def _started(*command: str, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def child(home: Path, api: BotApi) -> asyncio.subprocess.Process:
    """Serve without rate limits; prints "serving" once it does."""
    return await _started("-m", "tests.support.telegram_child", str(home), api.base_url, api.world.token)


async def rekku(home: Path, api: BotApi, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
    """Run a command of `rekku` as a user does, with the offline engine."""
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {
        "REKKU_HOME": str(home),
        "REKKU_ENGINE": "offline",
        "REKKU_ACCESS": "open",
        "REKKU_TIMEZONE": "UTC",
        "REKKU_HEALTH_LISTEN": "",
        "TELEGRAM_BOT_TOKEN": api.world.token,
        "TELEGRAM_API_BASE": api.base_url,
        "TRAINER_IDS": ",".join(f"telegram:{person}" for person in WRITERS),
    }
    return await _started("main.py", *arguments, env=env | settings)
