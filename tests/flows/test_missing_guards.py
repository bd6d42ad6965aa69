"""A guard that should be there and is not: what it would have checked does not run."""

from __future__ import annotations

from pathlib import Path

from core.ai_plugin_base import AIPluginBase, Block, TurnContext, hook
from core.contracts.actions import ActionEnvelope
from core.registry.component import OWN, ComponentState
from core.testing import RunningApp, ScriptedEngine, message, running_app
from tests.flows.records import outcome
from tests.flows.workshop import Workshop


class Guard(AIPluginBase):
    """Lets nothing of one name pass."""

    name = "guard"

    @hook("before_action")
    async def check(self, turn: TurnContext, action: ActionEnvelope) -> Block | None:
        return Block("not this one") if action.payload.get("button") == "b" else None


FILE = """
from core.ai_plugin_base import AIPluginBase, hook


class Guard(AIPluginBase):
    @hook("before_action")
    async def check(self, turn, action):
        return None


PLUGIN_CLASS = Guard
"""


async def press(kit: RunningApp, button: str) -> str:
    kit.engine.then(("press", {"button": button}), message("ok"))
    *_, said = await kit.interface.ask("press")
    status = str((await outcome(kit, "press"))["status"])
    if said != "ok":
        assert (status, "since the plugin guard is to check everything" in said) == ("denied", True)
        kit.engine.answers.clear()
    return status


async def test_what_a_guard_would_check_is_denied_while_it_is_away_and_told_why() -> None:
    workshop = Workshop()
    async with running_app(engine=ScriptedEngine(), plugins=[workshop, Guard()]) as kit:
        assert (await press(kit, "a"), await press(kit, "b")) == ("done", "denied")
        component = kit.app.registry.get("plugin", "guard")
        assert component is not None
        kit.app.registry.withhold(component, ComponentState.DEGRADED, "it is not well")
        assert await press(kit, "c") == "denied"
        own = [c.name for c in kit.app.registry.components("plugin") if c.source == OWN]
        assert {"core", "core_people"} < set(own)
        assert not any(kit.app.env.missing_guards(name) for name in own), "they bring it back"
        assert "guard is to check every action and is out of use" in (await outcome(kit, "press"))["reason"]
        kit.app.registry.restore(component)
        assert await press(kit, "d") == "done"
        await kit.app.plugins.control.quarantine("guard", "for the test")
        assert await press(kit, "e") == "denied"
        await kit.interface.ask("/plugins disable guard")
        assert await press(kit, "f") == "done", "a trainer has wanted it so"
    assert workshop.done == ["press a", "press d", "press f"]


async def test_one_that_is_in_quarantine_at_the_start_is_missed_too(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "guard.py").write_text(FILE)
    async with running_app(home=tmp_path, engine=ScriptedEngine(), plugins=[Workshop()]) as kit:
        assert await press(kit, "a") == "done"
        await kit.app.plugins.control.quarantine("guard", "for the test")
    async with running_app(home=tmp_path, engine=ScriptedEngine(), plugins=[Workshop()]) as kit:
        assert await press(kit, "a") == "denied"
        await kit.interface.ask("/plugins enable guard")
        assert await press(kit, "b") == "done"


async def test_whoever_speaks_in_words_hears_at_once_which_plugin_holds_everything_up() -> None:
    class Broken(AIPluginBase):
        name = "broken"

        @hook("before_action")
        async def check(self, turn: TurnContext, action: ActionEnvelope) -> None:
            raise ZeroDivisionError("by zero")

    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(engine=engine, plugins=[Workshop(), Broken()], access="open") as kit:
        (said,) = await kit.interface.ask("hi")
        assert len(engine.requests) == 1
        assert said == (
            "I have stopped, since the plugin broken is to check everything that I do. The check broken.check did "
            "not work: ZeroDivisionError: by zero. `/plugins disable broken` lets me go on without it."
        )
        assert await kit.rows("SELECT state FROM turns") == [{"state": "error"}]
        (said,) = await kit.interface.ask("hi", user_id="eve")
        assert said.startswith("A plugin is to check everything that I do and does not work")
        assert (await kit.interface.ask("/note x"))[0].startswith("I have stopped, since the plugin broken")
        assert "broken is disabled" in (await kit.interface.ask("/plugins disable broken"))[0]
        assert await kit.interface.ask("hi") == ["hello"]
