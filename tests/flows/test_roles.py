"""A gateway, a worker and a scheduler on one server: a chat through Telegram as with one process."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.app import App
from core.ownership import Duty
from core.settings import Access, Settings
from interfaces.telegram import TelegramInterface
from tests.flows.test_command_line import refused, rekku
from tests.support.bot_api import BotApi, private
from tests.support.database_servers import ServersOfTests
from tests.support.telegram_app import QUICK

TRAINER = 7


@pytest.mark.sqlite
@pytest.mark.service
@pytest.mark.long
@pytest.mark.parametrize("dialect", ["mariadb", "postgresql"])
async def test_what_one_takes_in_another_answers_and_the_third_reminds(
    dialect: str, tmp_path: Path, database_servers: ServersOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TelegramInterface, "rates", QUICK)
    url = database_servers.url(dialect)
    async with BotApi() as api, AsyncExitStack() as stack:
        for duty in Duty:
            settings = Settings(
                home=tmp_path / duty,
                engine=("offline",),
                access=Access.TRAINERS,
                timezone="UTC",
                database_url=SecretStr(url),
                trainer_ids=frozenset({f"telegram:{TRAINER}"}),
                telegram_bot_token=SecretStr(api.world.token),
                telegram_api_base=api.base_url,
            )
            await stack.enter_async_context(App(settings, duties={duty}, serve=("telegram",)))

        async def answers(count: int) -> list[str]:
            await api.world.until(lambda: len(api.world.texts(TRAINER)) >= count, timeout_s=30)
            return list(api.world.texts(TRAINER))

        api.world.say(private(TRAINER, "/roll sides=6", message_id=1))
        assert (await answers(1))[0] in "123456"
        api.world.say(private(TRAINER, "remind me in 1 second to stretch", message_id=2))
        told = await answers(3)
        assert any(text.startswith("Reminder: stretch") for text in told)
        api.world.say(private(TRAINER, "/status", message_id=3))
        assert "0 in the outbox" in (await answers(4))[-1]


@pytest.mark.sqlite
def test_roles_need_a_server(tmp_path: Path) -> None:
    said = refused(rekku(tmp_path / "home", "run", "--role", "worker"), 2)
    assert "SQLite file" in said
    assert "DATABASE_URL" in said
