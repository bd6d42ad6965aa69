"""On Telegram, with a model that fails in every way: the user hears a plain sentence in time, and chats go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from core.settings import Access
from tests.support.bot_api import BotApi, private
from tests.support.model_server import (
    Behaviour,
    ModelServer,
    drip,
    hang,
    html,
    huge,
    message,
    reply,
    status,
    truncated,
)
from tests.support.telegram_app import TRAINER, telegram_app

DEADLINE_S = 2.0
SLACK_S = 5.0
USER = 9
FAILING: dict[str, Behaviour] = {
    "hangs": hang(),
    "drips": drip(0.02),
    "refuses the key": status(401, "no such key", error_code="invalid_api_key"),
    "refuses the model": status(404, "no such model", error_code="model_not_found"),
    "refuses all": status(429, "slow down", headers={"Retry-After": "60"}),
    "fails inside": status(500, "boom"),
    "truncates the body": truncated(),
    "truncates the reply": reply('{"actions": [{"type": "message", "payload": {"te', finish_reason="length"),
    "truncates the text": reply('{"actions": [{"type": "message", "payload": {"te'),
    "sends a page": html(),
    "sends too much": huge(20 << 20),
    "sends nothing": reply(None),
}


@pytest.mark.parametrize("behaviour", FAILING.values(), ids=FAILING.keys())
async def test_a_failing_model_is_told_in_time(behaviour: Behaviour, tmp_path: Path) -> None:
    async with ModelServer() as server, BotApi() as api:
        server.default = behaviour
        async with telegram_app(
            api,
            tmp_path / "home",
            access=Access.OPEN,
            engine=("openai",),
            openai_base_url=server.base_url,
            openai_api_key=SecretStr("sk-canary-of-the-tests"),
            engine_deadline_s=DEADLINE_S,
        ):
            api.world.say(private(USER, "hello"))
            await api.world.until(lambda: api.world.texts(USER), timeout_s=DEADLINE_S + SLACK_S)
            [told] = api.world.texts(USER)
            server.default = reply(message("here again"))
            api.world.say(private(TRAINER, "hello"), private(USER, "and now?"))
            await api.world.until(lambda: len(api.world.texts(USER)) == 2 and api.world.texts(TRAINER))
    assert api.world.texts(USER)[1] == "here again"
    assert told[0].isupper()
    assert told.endswith((".", ")"))
    assert len(told) < 500
    for unwanted in ("Traceback", '{"', "<!doctype", "sk-canary", "Error:"):
        assert unwanted not in told


async def test_a_model_that_is_not_there_is_told_in_time(tmp_path: Path) -> None:
    async with (
        BotApi() as api,
        telegram_app(
            api,
            tmp_path / "home",
            engine=("openai",),
            openai_base_url="http://127.0.0.1:9/v1",
            engine_deadline_s=DEADLINE_S,
        ),
    ):
        api.world.say(private(USER, "hello"))
        await api.world.until(lambda: api.world.texts(USER), timeout_s=DEADLINE_S + SLACK_S)
    [told] = api.world.texts(USER)
    assert "reach" in told
