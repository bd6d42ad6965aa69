"""A plugin does the same in a process of its own as inside Rekku; who decides which; and what stays outside."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase, action
from core.commands.loaded import loaded_app, standings
from core.contracts.deliveries import Health
from core.contracts.inputs import Principal
from core.contracts.json import JsonObject
from core.isolation.standin import IsolatedPlugin
from core.registry.component import ComponentState, Stage
from core.services.process_guard import descendants_of
from core.settings import ComponentTable, load_settings
from core.testing import Answer, RunningApp, ScriptedEngine, message, running_app
from tests.docs.page_blocks import plugins_of
from tests.flows.records import outcome
from tests.support.isolated_plugins import ZOO, place, standin, tables

GUIDE = ("Greeter", "Polite", "Echo", "Gauge")
PAGES = ("actions.md", "configuration.md", "hooks.md", "jobs.md")
PLUGINS = {name: block for page in PAGES for name, block in plugins_of(page).items()}
BUILT_IN = ("dice", "time", "message", "event")


@dataclass(kw_only=True)
class Seen:
    """What can be seen of plugins."""

    specs: dict[str, Any]
    hooks: list[Any]
    said: list[Any]
    logged: list[Any]


async def seen(home: Path, isolation: str) -> Seen:
    """Run plugins of the guide and of Rekku, either way, and look at everything that they do."""
    place(home, **{name.lower(): PLUGINS[name] for name in GUIDE})
    names = [*(name.lower() for name in GUIDE), *BUILT_IN]
    components = tables(**dict.fromkeys(names, isolation))
    config: dict[str, JsonObject] = {"dice": {"max_sides": 20}, "greeter": {"greeting": "Ciao"}}
    for name, values in config.items():
        components["plugins"][name] = ComponentTable(isolation=isolation, values=values, priority=7)
    engine = ScriptedEngine()
    with capture_logs() as logs:
        async with running_app(home=home, engine=engine, components=components, corrector_retries=1) as kit:
            for name in names:
                component = kit.app.registry.get("plugin", name)
                assert component is not None
                assert component.state is ComponentState.ACTIVE, component.reason
                assert isinstance(component.instance, IsolatedPlugin) is (isolation == "process")
            hooks = [h for h in kit.app.registry.hooks if h.plugin in names]
            said = await conversation(kit)
            await kit.app.periodic.run_now("gauge", "look")
            return Seen(
                specs={t: e.spec for t, e in kit.app.registry.generation.items() if e.spec.plugin in names},
                hooks=[(h.hook, h.plugin, h.method, h.priority, h.position, h.injects) for h in hooks],
                said=said,
                logged=[
                    {k: line[k] for k in ("event", "plugin", "log_level")}
                    for line in logs
                    if "looked" in line["event"]
                ],
            )


async def conversation(kit: RunningApp) -> list[Any]:
    """Return all that is said, and what the model was told."""
    said: list[Any] = [await kit.interface.ask(text) for text in ("/greet Anna", "/roll 30", "/greet", "/roll 1")]
    scripts: tuple[list[Answer], ...] = (
        [("echo", {"text": "ab", "times": 2}), message("echoed")],
        [("echo", {"text": "ab", "times": 11}), ("echo", {"text": "ab", "times": 3}), message("corrected")],
        [("message", {"text": "one"}), message("two")],
        [("list_reminders", {}), message("failed")],
    )
    for script in scripts:
        kit.engine.then(*script)
        said.append(await kit.interface.ask("go on"))
        said.append([m.content for m in kit.engine.last.messages][-1])
    said.append(kit.engine.last.instructions)
    said.append((await outcome(kit, "echo"))["output"])
    return said


async def test_plugins_do_the_same_inside_and_outside(tmp_path: Path) -> None:
    inside = await seen(tmp_path / "inside", "none")
    outside = await seen(tmp_path / "outside", "process")
    assert inside.specs
    assert outside.specs == inside.specs
    assert inside.hooks
    assert outside.hooks == inside.hooks
    assert outside.said == inside.said
    assert inside.said[0] == ["Ciao, Anna!"]
    assert "Say please and thank you." in inside.said[-2]
    assert outside.logged == inside.logged == [{"event": "looked", "plugin": "gauge", "log_level": "info"}]


async def test_the_operator_decides_over_the_plugin(tmp_path: Path) -> None:
    async with running_app(home=place(tmp_path, zoo=ZOO), components=tables(zoo="none")) as kit:
        component = kit.app.registry.get("plugin", "zoo")
        assert component is not None
        assert component.state is ComponentState.ACTIVE
        assert not isinstance(component.instance, IsolatedPlugin)


ASKED = """
import os

from core.ai_plugin_base import AIPluginBase, action
from core.contracts.deliveries import Health


class Asked(AIPluginBase):
    isolation = "process"

    def __init__(self):
        self.types = ["first"]

    def get_supported_actions(self):
        return {t: {"description": "Do it.", "effect": "read"} for t in self.types}

    def get_prompt_instructions(self, action_name):
        return {}

    async def handle_custom_action(self, action_type, payload):
        self.types.append("second")
        await self.context.actions_changed()
        (self.context.data_directory / "note").write_text("x")
        return [self.context.name, self.context.timezone, self.context.clock.now_ms(), os.getpid()]

    async def health(self):
        return Health(ok=False, detail="so so")

    async def examine(self):
        return Health(ok=True, detail=f"examined, {self.context.timezone}")

    async def export_person(self, principal):
        return {"of": str(principal)}

    async def erase_person(self, principal):
        return 3


PLUGIN_CLASS = Asked
"""


async def test_what_else_a_plugin_is_asked(tmp_path: Path) -> None:
    engine = ScriptedEngine(("first", {}), message("done"))
    async with running_app(home=place(tmp_path, asked=ASKED), engine=engine) as kit:
        plugin = standin(kit, "asked")
        anna = Principal("test", "anna")
        assert await plugin.health() == Health(ok=False, detail="so so")
        assert await plugin.examine() == Health(ok=True, detail="examined, UTC")
        assert await plugin.export_person(anna) == {"of": "test:anna"}
        assert await plugin.erase_person(anna) == 3
        await kit.interface.ask("go")
        assert "second" in kit.app.registry.generation
        name, zone, now_ms, pid = json.loads((await outcome(kit, "first"))["output"])
        assert (name, zone) == ("asked", "UTC")
        assert abs(now_ms - kit.clock.now_ms()) < 600_000
        assert pid != os.getpid()
        assert (tmp_path / "data" / "asked" / "note").read_text() == "x"


def test_loading_leaves_no_process_behind(tmp_path: Path) -> None:
    place(tmp_path, asked=ASKED)
    before = set(descendants_of(os.getpid()))
    app = loaded_app(load_settings({"REKKU_ENGINE": "offline"}, home=tmp_path))
    (asked,) = [one for one in standings(app) if one.name == "asked"]
    assert (asked.state, asked.reason) == ("ok", "loads; was not started here")
    assert set(descendants_of(os.getpid())) == before
    assert not (tmp_path / "data" / "asked").exists()


class Handed(AIPluginBase):
    """A class that is handed over."""

    isolation = "process"

    @action(effect="read", command="pid")
    async def pid(self) -> str:
        """Tell the process."""
        return str(os.getpid())


async def test_a_class_can_be_handed_over_and_an_object_cannot() -> None:
    async with running_app(plugins=[Handed]) as kit:
        (said,) = await kit.interface.ask("/pid")
        assert int(said) != os.getpid()
    async with running_app(plugins=[Handed()]) as kit:
        component = kit.app.registry.get("plugin", "handed")
        assert component is not None
        assert component.stage is Stage.DECLARATION
        assert "process of its own" in component.reason


RENAMED = '''
from pydantic import BaseModel

from core.ai_plugin_base import AIPluginBase, action
from core.core_initializer import register_plugin


class Renamed(AIPluginBase):
    class Config(BaseModel):
        word: str = "none"

    def __init__(self):
        register_plugin("other", self)

    @action(effect="read", command="word")
    async def word(self) -> str:
        """Tell the word."""
        return self.config.word


PLUGIN_CLASS = Renamed
'''


async def test_another_table_is_given_out_only_where_it_is_meant(tmp_path: Path) -> None:
    place(tmp_path, renamed=RENAMED)
    meant = ComponentTable(isolation="process", values={"word": "mine"})
    async with running_app(home=tmp_path, components=tables(renamed="process", other=meant)) as kit:
        assert await kit.interface.ask("/word") == ["mine"]
    foreign = ComponentTable(values={"word": "not yours"})
    async with running_app(home=tmp_path, components=tables(renamed="process", other=foreign)) as kit:
        component = kit.app.registry.get("plugin", "other")
        assert component is not None
        assert component.stage is Stage.CONFIGURATION
        assert 'write isolation = "process" there too' in component.reason


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('isolation = "proces"', "isolation cannot be 'proces'. Did you mean process?"),
        ("isolation = true", "isolation cannot be True. Write one of process, none."),
        ("process_memory_mb = 5", "process_memory_mb must be a number from 128 up"),
        ('process_cpu_s = "3"', "process_cpu_s must be a number from 1 up"),
    ],
)
def test_a_wrong_word_is_told(tmp_path: Path, toml: str, reason: str) -> None:
    (tmp_path / "rekku.toml").write_text(f"[plugins.dice]\n{toml}\n")
    app = loaded_app(load_settings({"REKKU_ENGINE": "offline"}, home=tmp_path))
    (dice,) = [one for one in standings(app) if one.name == "dice"]
    assert (dice.state, dice.stage) == ("failed", "configuration")
    assert reason in dice.reason
