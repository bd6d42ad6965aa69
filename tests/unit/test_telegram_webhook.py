"""The webhook: nobody but who knows the secret, and an answer only when the input is stored."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp import ClientSession

from core.contracts.errors import StorageUnavailable
from interfaces.telegram import TelegramInterface
from tests.support.bot_api import BotApi, private
from tests.support.telegram_bot import telegram

SECRET = "a-secret_that-is-long"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def hook(port: int) -> dict[str, Any]:
    return {
        "webhook_url": f"http://127.0.0.1:{port}/telegram",
        "webhook_secret": SECRET,
        "webhook_listen": f"127.0.0.1:{port}",
    }


async def test_updates_are_posted_in_order_and_again_until_they_are_stored() -> None:
    async with BotApi() as api, telegram(api, **hook(free_port())) as bot:
        bot.inbox.failures = [StorageUnavailable("away"), StorageUnavailable("away")]
        api.world.say(private(7, "one"), {"message": 5}, private(7, "two"))
        await bot.has(2)
        await api.world.until(lambda: not api.world.waiting)
        [announced] = api.world.of("setWebhook")
    assert bot.inbox.texts == ["one", "two"]
    assert bot.inbox.calls == 4
    assert announced.params["secret_token"] == SECRET
    assert announced.params["max_connections"] == 1
    assert not any(method == "getUpdates" for method, _ in api.world.calls)


@pytest.mark.parametrize("given", [None, "", SECRET[:-1], SECRET + "x", "é"])
async def test_a_post_without_the_secret_is_refused(given: str | None) -> None:
    port = free_port()
    async with BotApi() as api, telegram(api, **hook(port)) as bot, ClientSession() as client:
        await api.world.until(lambda: api.world.of("setWebhook"))
        body = {"update_id": 1} | private(7, "forged")
        headers = {} if given is None else {HEADER: given}
        async with client.post(f"http://127.0.0.1:{port}/telegram", json=body, headers=headers) as response:
            assert response.status == 401
        assert bot.inbox.calls == 0


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"5", b"null"])
async def test_rubbish_is_not_asked_for_again(body: bytes) -> None:
    port = free_port()
    async with BotApi() as api, telegram(api, **hook(port)) as bot, ClientSession() as client:
        await api.world.until(lambda: api.world.of("setWebhook"))
        url = f"http://127.0.0.1:{port}/telegram"
        async with client.post(url, data=body, headers={HEADER: SECRET}) as response:
            assert response.status == 200
        async with client.post(url, data=b" " * (1 << 21), headers={HEADER: SECRET}) as response:
            assert response.status == 413
        assert bot.inbox.calls == 0


async def test_a_port_that_is_taken_is_told() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        async with BotApi() as api, telegram(api, **hook(port)) as bot:
            await api.world.until(lambda: api.world.calls)
            health = await bot.interface.health()
            for _ in range(100):
                if not health.ok:
                    break
                health = await bot.interface.health()
    assert "webhook_listen" in health.cure


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({}, "TELEGRAM_BOT_TOKEN"),
        ({"token": "1:abcdef", "webhook_url": "https://example.org/"}, "TELEGRAM_WEBHOOK_SECRET"),
        ({"token": "1:abcdef"}, ""),
    ],
)
def test_what_is_missing_is_told(config: dict[str, str], missing: str) -> None:
    told = TelegramInterface.configured(TelegramInterface.Config.model_validate(config))
    assert missing in told
    assert bool(missing) == bool(told)
