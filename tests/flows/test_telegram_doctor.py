"""What `rekku doctor` says about Telegram, with a Bot API that answers, refuses or is away."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from core.commands.check import FAILED, OK, Check
from core.commands.examination import examine
from core.services.mask import Masker
from core.settings import Settings
from tests.support.bot_api import BotApi


async def examined(home: Path, token: str, api_base: str) -> Check:
    settings = Settings(
        home=home, engine=("offline",), telegram_bot_token=SecretStr(token), telegram_api_base=api_base
    )
    checks = await examine(settings, Masker(), "")
    [found] = [check for check in checks if (check.area, check.name) == ("interface", "telegram")]
    return found


async def test_doctor_asks_telegram(tmp_path: Path) -> None:
    async with BotApi() as api:
        works = await examined(tmp_path, api.world.token, api.base_url)
        refused = await examined(tmp_path, "4242:of-somebody-else", api.base_url)
        away = await examined(tmp_path, api.world.token, "http://127.0.0.1:9")
        methods = {method for method, _ in api.world.calls}
    assert methods == {"getMe"}, "it takes nothing from one that runs"
    assert works == Check(area="interface", name="telegram", state=OK, detail="@rekku_bot")
    assert refused.state == away.state == FAILED
    assert "refuses" in refused.detail
    assert "@BotFather" in refused.cure
    assert "TELEGRAM_API_BASE" in away.cure
    for check in (refused, away):
        assert "of-somebody-else" not in f"{check}"
        assert api.world.token not in f"{check}"
