"""A plugin whose actions are known only while it runs, such as those of a server that it has to ask."""

from __future__ import annotations

from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase
from core.contracts.errors import DeclarationError
from core.testing import ScriptedEngine, actions, message, running_app


class Remote(AIPluginBase):
    """Offers what its server offers."""

    def __init__(self) -> None:
        self.offered: dict[str, dict[str, Any]] = {}

    def get_supported_actions(self) -> dict[str, dict[str, Any]]:
        return {name: {"description": f"{name}.", "effect": "read", **more} for name, more in self.offered.items()}

    def get_prompt_instructions(self, action_name: str) -> dict[str, Any]:
        return {"description": f"{action_name}.", "payload": {}}

    async def handle_custom_action(self, action_type: str, payload: dict[str, Any]) -> str:
        return f"{action_type} was here"

    async def start(self) -> None:
        self.offered = {"first": {}}
        await self.context.actions_changed()


async def test_actions_that_are_known_after_the_start() -> None:
    remote = Remote()
    engine = ScriptedEngine(actions(("first", {})), message("done"), actions(("second", {})), message("done too"))
    async with running_app(engine=engine, plugins=[remote]) as kit:
        assert "first" in kit.app.registry.generation
        await kit.interface.ask("go")
        remote.offered = {"second": {}}
        await remote.context.actions_changed()
        assert "first" not in kit.app.registry.generation
        await kit.interface.ask("go on")
        assert await kit.rows("SELECT action, status FROM ledger WHERE action IN ('first', 'second')") == [
            {"action": "first", "status": "done"},
            {"action": "second", "status": "done"},
        ]


@pytest.mark.parametrize("wrong", [{"message_send": {}}, {"odd": {"permission": "nobody"}}, {"odd": {"effect": "x"}}])
async def test_what_cannot_be_taken_changes_nothing(wrong: dict[str, Any]) -> None:
    remote = Remote()
    async with running_app(plugins=[remote]) as kit:
        before = kit.app.registry.generation
        taken = next(type_ for type_ in before if type_ != "first")
        remote.offered = {taken if name == "message_send" else name: more for name, more in wrong.items()}
        with pytest.raises(DeclarationError):
            await remote.context.actions_changed()
        assert kit.app.registry.generation is before
