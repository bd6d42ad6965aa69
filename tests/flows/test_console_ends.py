"""How a message at the console ends: what its user is told, and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from core.ai_plugin_base import ActionContext, AIPluginBase, Block, TurnContext, action, hook
from core.app import App
from core.contracts.deliveries import Delivery
from core.settings import Settings
from core.testing import ScriptedEngine, actions, message
from core.turn.rehearse import Rehearsal
from interfaces.console import ConsoleInterface


class Jotter(AIPluginBase):
    """Writes down, and switches."""

    @action(effect="local", command="jot")
    async def jot(self, text: str, ctx: ActionContext) -> str:
        """Write a line down."""
        ctx.write(lambda conn: None)
        return f"{text} is written down"

    @action(effect="external", command="zap", reads_outside=False)
    async def zap(self, text: str) -> str:
        """Switch something."""
        raise AssertionError("it touches the world")


class Censor(AIPluginBase):
    """Lets nothing out."""

    @hook("before_delivery")
    async def hold(self, turn: TurnContext, delivery: Delivery) -> Block:
        return Block("not today")


async def test_a_reply_that_is_held_back_is_told_and_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(otherwise=message("Hello."))
    settings = Settings(home=tmp_path, engine=(engine.name,), timezone="UTC", max_steps=1)
    async with App(settings, plugins=[Jotter, Censor], engines=[engine], serve=("console",)) as app:
        console = cast(ConsoleInterface, app.interface("console"))
        assert await console.run_once("/jot milk") == 1
        assert capsys.readouterr().err.endswith("The reply was not sent. The message was held back: not today\n")
        assert await console.run_once("Hi") == 1
        assert "The turn failed.\nThe reply was not sent. The message was held back: not" in capsys.readouterr().err


async def test_a_dry_run_is_a_success_and_marks_what_is_done_in_its_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    engine = ScriptedEngine(actions(("jot", {"text": "milk"})), message("Done."))
    app = App(
        Settings(home=tmp_path, engine=(engine.name,), timezone="UTC"),
        plugins=[Jotter],
        engines=[engine],
        serve=("console",),
        rehearsal=Rehearsal(tell=lambda what, envelope: told.append(f"{envelope.type} {what}")),
    )
    async with app:
        console = cast(ConsoleInterface, app.interface("console"))
        assert await console.run_once("/zap milk") == 0
        assert await console.run_once("/jot milk") == 0
        assert await console.run_once("Write down milk.") == 0
    out, err = capsys.readouterr()
    assert told == ["zap would be run", "jot was done in the copy alone", "jot was done in the copy alone"]
    assert "this is a dry run: it would be run now." in out
    assert out.endswith("milk is written down\nDone.\n")
    assert "failed" not in err
