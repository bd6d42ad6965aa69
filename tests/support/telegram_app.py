"""An App that serves Telegram at a fake Bot API, with the offline engine unless another is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.app import App
from core.settings import Access, ComponentTable, Settings
from interfaces.telegram import TelegramInterface
from interfaces.telegram.pace import Rates
from tests.support.bot_api import BotApi

TRAINER = 7
QUICK = Rates(overall=(10_000, 1), chat=(1_000, 1), group=(1_000, 1))
"""No rate limits: the tests of these are elsewhere."""


def telegram_app(
    api: BotApi,
    home: Path,
    *,
    engine: tuple[str, ...] = ("offline",),
    access: Access = Access.OPEN,
    trainers: Iterable[int] = (TRAINER,),
    plugins: Iterable[object] = (),
    telegram: Mapping[str, Any] | None = None,
    **settings: Any,
) -> App:
    """Return an app that is not started."""
    TelegramInterface.rates = QUICK
    return App(
        Settings(
            home=home,
            engine=engine,
            access=access,
            timezone="UTC",
            trainer_ids=frozenset(f"telegram:{trainer}" for trainer in trainers),
            telegram_bot_token=SecretStr(api.world.token),
            telegram_api_base=api.base_url,
            components={"interfaces": {"telegram": ComponentTable(values=dict(telegram or {}))}},
            **settings,
        ),
        plugins=plugins,
        serve=("telegram",),
    )
