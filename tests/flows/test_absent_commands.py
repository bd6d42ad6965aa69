"""A slash command of a plugin that is out of use: who types it hears which plugin that is, as far as they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.contracts.inputs import Principal, Role
from core.registry.component import ComponentState
from core.testing import running_app

PLUGIN = """
from core.ai_plugin_base import AIPluginBase, action


class Garden(AIPluginBase):
    @action(effect="read", permission="anyone", command="water")
    async def water_plants(self) -> str:
        "Water the plants."
        return "watered"


PLUGIN_CLASS = Garden
"""


def written(home: Path, text: str = PLUGIN) -> Path:
    (home / "plugins").mkdir(exist_ok=True)
    (home / "plugins" / "garden.py").write_text(text, encoding="utf-8")
    return home


@pytest.mark.parametrize("state", [ComponentState.DEGRADED, ComponentState.QUARANTINED, ComponentState.STOPPED])
async def test_each_hears_as_much_as_they_may_know(tmp_path: Path, state: ComponentState) -> None:
    async with running_app(home=written(tmp_path), access="open") as kit:
        assert (await kit.interface.ask("/water"))[-1] == "watered"
        component = kit.app.registry.get("plugin", "garden")
        assert component is not None
        kit.app.registry.withhold(component, state, "it held up everybody")
        (trainer,) = await kit.interface.ask("/water")
        assert f"/water is a command of the plugin garden, which is out of use ({state}: it held up" in trainer
        assert "/plugins " in trainer
        (guest,) = await kit.interface.ask("/water", user_id="eve")
        assert guest == "/water cannot be used at the moment."
        kit.app.env.people.note(Principal("test", "eve"), Role.USER)
        (user,) = await kit.interface.ask("/water", user_id="eve")
        assert user.endswith(f"of the plugin garden, which is out of use ({state}). A trainer can bring it back.")


async def test_a_plugin_that_was_disabled_or_has_failed_says_what_brings_it_back(tmp_path: Path) -> None:
    async with running_app(home=written(tmp_path)) as kit:
        await kit.interface.ask("/plugins disable garden")
        (said,) = await kit.interface.ask("/water")
        assert "disabled by command" in said
        assert "`/plugins enable garden` brings it back." in said
    async with running_app(home=tmp_path) as kit:
        (said,) = await kit.interface.ask("/water")
        assert "the plugin garden, which is out of use (disabled" in said
        (said,) = await kit.interface.ask("/zzzz")
        assert said == "There is no command /zzzz. /help lists all."
    (tmp_path / "other").mkdir()
    async with running_app(home=written(tmp_path / "other", f"import nothing_like_it\n{PLUGIN}")) as kit:
        (said,) = await kit.interface.ask("/water")
        assert "garden, which is out of use (failed: ModuleNotFoundError" in said
        assert "`/plugins reload garden`" in said
