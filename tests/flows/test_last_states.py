"""What `plugins list` and `doctor` say of a plugin that loads, and does not start."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.commands.check import WARNING
from core.commands.examination import Known, examine
from core.commands.last_states import last_states
from core.commands.loaded import loaded_app, standings
from core.commands.stored import stored_wishes
from core.services.mask import Masker
from core.settings import Settings
from core.settings.events import EventSettings
from core.testing import running_app

DAMP = """
from core.ai_plugin_base import AIPluginBase
class Damp(AIPluginBase):
    async def start(self):
        raise OSError("no matches")
PLUGIN_CLASS = Damp
"""


def test_the_state_of_the_last_run_is_told_with_reason_and_time(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "damp.py").write_text(DAMP, encoding="utf-8")
    kept = EventSettings(keep=True)
    settings = Settings(home=tmp_path, engine=("offline",), timezone="UTC", events=kept)
    before = {one.name: one for one in standings(loaded_app(settings), last_states(settings))}
    assert (before["damp"].state, before["damp"].reason) == ("ok", "loads; was not started here")

    async def run() -> None:
        async with running_app(home=tmp_path, events=kept) as kit:
            await kit.app.plugins.control.quarantine("dice", "It was hot.")

    asyncio.run(run())
    last = last_states(settings)
    after = {one.name: one for one in standings(loaded_app(settings), last)}
    assert after["damp"].state == "ok"
    assert after["damp"].reason.startswith("loads; was not started here; last failed (start) on 2")
    assert after["damp"].reason.endswith("OSError: no matches (damp.py, line 5)")
    assert after["time"].reason.startswith("loads; was not started here; last active on 2")
    assert after["dice"].state == "quarantined"

    known = Known(wishes=stored_wishes(settings), last=last)
    checks = {(c.area, c.name): c for c in asyncio.run(examine(settings, Masker(), "", known=known))}
    damp, dice = checks["plugin", "damp"], checks["plugin", "dice"]
    assert damp.state == dice.state == WARNING
    assert "no matches" in damp.detail
    assert "plugins check damp" in damp.cure
    assert dice.detail == "It was hot."
    assert "plugins enable dice" in dice.cure
