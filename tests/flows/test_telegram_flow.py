"""Telegram through the real App and a Bot API over HTTP: what users write and what the platform shows them."""

from __future__ import annotations

from pathlib import Path

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from tests.support.bot_api import BotApi, button_press, message, private
from tests.support.telegram_app import TRAINER, telegram_app


async def test_a_message_is_answered(tmp_path: Path) -> None:
    async with BotApi() as api, telegram_app(api, tmp_path / "home"):
        api.world.say(private(TRAINER, "roll a die"))
        await api.world.until(lambda: api.world.texts(TRAINER))
        [reply] = api.world.sent(TRAINER)
        assert reply.thread_id is None
        await api.world.until(lambda: not api.world.waiting)
    assert len(api.world.sent()) == 1
