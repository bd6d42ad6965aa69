"""Loading: what is wrong with a component is told in a sentence with its stage, and harms no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, action
from core.engine_base import EngineBase
from core.registry.component import ComponentState, Stage
from core.registry.discovery import Found, discover
from tests.support.plugin_files import (
    CONTRACT_PLUGIN,
    Table,
    component,
    found_in,
    loaded,
    make_registry,
    plugin_source,
    states,
    write_files,
)

GOOD = plugin_source("good_action")


@pytest.mark.parametrize(
    ("source", "stage", "reason"),
    [
        ("x = 1\ndef broken(:\n", "import", "SyntaxError: invalid syntax (bad.py, line 2)"),
        ("\n\nraise ValueError('no luck')", "import", "ValueError: no luck (bad.py, line 3)"),
        ("import not_installed_anywhere", "import", "install what provides not_installed_anywhere (bad.py, line 1)"),
        ("raise SystemExit(3)", "import", "it tried to end the process (SystemExit)"),
        ("next(iter(()))", "import", "a StopIteration escaped"),
        ("class Other: ...", "declaration", "bad does not export PLUGIN_CLASS. Add PLUGIN_CLASS = YourClass"),
        ("PLUGIN_CLASS = 3", "declaration", "bad.PLUGIN_CLASS is a int, not a class."),
        (GOOD + "PLUGIN_CLASS = Plugin()", "declaration", "bad.PLUGIN_CLASS is a Plugin, not a class. Write"),
        (
            "class P:\n    pass\nPLUGIN_CLASS = P",
            "declaration",
            "bad declares no action, no hook, no event handler and no start.",
        ),
        (
            "class P:\n    def __init__(self, bot): ...\nPLUGIN_CLASS = P",
            "declaration",
            "P cannot be constructed without arguments: missing a required argument: 'bot'.",
        ),
        (
            "class P:\n    def __init__(self):\n        raise OSError('no disk')\nPLUGIN_CLASS = P",
            "import",
            "OSError: no disk (bad.py, line 3)",
        ),
        (
            "from core.core_initializer import register_plugin\n"
            "class P:\n    def __init__(self):\n        register_plugin('../up', self)\nPLUGIN_CLASS = P",
            "declaration",
            "'../up' cannot be the name of a component.",
        ),
        (plugin_source("x", keywords=", effect='write'"), "import", "SyntaxError: keyword argument repeated: effect"),
        (
            plugin_source("x", keywords=", permission='admin'"),
            "declaration",
            "@action(permission='admin'): there is no such permission. Known: anyone, trainer, user.",
        ),
        (
            plugin_source("x", body="requires = ('good')"),
            "declaration",
            'Write requires = ("other",), with the comma.',
        ),
        (plugin_source("x", body="class Config: ..."), "declaration", "bad.Config is no pydantic model."),
    ],
)
async def test_a_broken_plugin_is_told_and_the_rest_runs(
    tmp_path: Path, source: str, stage: str, reason: str
) -> None:
    registry = await loaded(tmp_path, {"bad.py": source, "good.py": GOOD})
    bad = component(registry, "bad")
    assert (bad.state, bad.stage) == (ComponentState.FAILED, Stage(stage))
    assert reason in bad.reason
    assert "\n" not in bad.reason
    assert bad.instance is None
    assert component(registry, "good").state is ComponentState.ACTIVE
    assert list(registry.generation) == ["good_action"]


async def test_an_import_that_hangs_is_given_up(tmp_path: Path) -> None:
    source = "import threading\nthreading.Event().wait(20)"
    registry = await loaded(tmp_path, {"bad.py": source, "good.py": GOOD}, load_timeout_s=0.05)
    assert component(registry, "bad").reason == "TimeoutError: loading bad took longer than 0.05 s"
    assert component(registry, "good").state is ComponentState.ACTIVE


async def test_the_loop_runs_while_a_module_blocks(tmp_path: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    await loaded(tmp_path, {"slow.py": f"import time\ntime.sleep(0.1)\n{GOOD}"})
    ticking.cancel()
    assert ticks > 5


async def test_a_plugin_of_the_five_methods_works_as_it_stands(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"some_file.py": CONTRACT_PLUGIN})
    assert states(registry) == {"dice": "active"}
    assert list(registry.generation) == ["roll"]


async def test_without_a_registration_the_module_names_it(tmp_path: Path) -> None:
    source = CONTRACT_PLUGIN.replace('register_plugin("dice", self)', "pass")
    registry = await loaded(tmp_path, {"a.py": source.replace('core_initializer.register_plugin("dice")', "pass")})
    assert states(registry) == {"a": "active"}


async def test_a_registration_outside_of_loading_is_harmless(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"dice.py": CONTRACT_PLUGIN})
    type(component(registry, "dice").instance)()
    assert states(registry) == {"dice": "active"}


async def test_a_registration_of_another_kind_or_object_names_nothing(tmp_path: Path) -> None:
    body = """
    def __init__(self):
        from core.core_initializer import register_interface, register_plugin
        register_interface("chat", self)
        register_plugin("stranger", object())
    """
    registry = await loaded(tmp_path, {"mine.py": plugin_source("x", body=body)})
    assert states(registry) == {"mine": "active"}
    assert registry.components("interface") == []


async def test_the_second_of_a_name_fails(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"a/dice.py": plugin_source("one"), "b/dice.py": plugin_source("two")})
    first, second = registry.components("plugin")
    assert (first.state, second.state) == (ComponentState.ACTIVE, ComponentState.FAILED)
    assert second.reason.startswith(f"There is a plugin dice already ({first.source})")
    assert list(registry.generation) == ["one"]
    assert registry.get("plugin", "dice") is first


async def test_a_name_is_free_when_its_first_owner_is_broken(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"a/dice.py": "1/0", "b/dice.py": GOOD})
    assert [c.state for c in registry.components()] == [ComponentState.FAILED, ComponentState.ACTIVE]
    assert component(registry, "dice").state is ComponentState.ACTIVE


async def test_the_second_of_an_action_fails_whole(tmp_path: Path) -> None:
    more = '@action(effect="read")\ndef other(self) -> str:\n    """Other."""\n    return ""'
    registry = await loaded(tmp_path, {"a.py": plugin_source("roll"), "b.py": plugin_source("roll", body=more)})
    assert component(registry, "b").reason == "b.roll: the plugin a has an action of that name."
    assert component(registry, "b").stage is Stage.DECLARATION
    assert list(registry.generation) == ["roll"]


async def test_the_second_of_a_command_fails(tmp_path: Path) -> None:
    keywords = ', command="roll"'
    files = {"a.py": plugin_source("one", keywords=keywords), "b.py": plugin_source("two", keywords=keywords)}
    registry = await loaded(tmp_path, files)
    assert component(registry, "b").reason == "b.two: /roll is a command of the plugin a."
    assert registry.generation.commands["roll"].spec.type == "one"


async def test_a_command_twice_in_one_plugin_fails(tmp_path: Path) -> None:
    more = '@action(effect="read", command="roll")\ndef other(self) -> str:\n    """Other."""\n    return ""'
    registry = await loaded(tmp_path, {"a.py": plugin_source("one", keywords=', command="roll"', body=more)})
    assert component(registry, "a").reason == "a: two of its actions have the command /roll."


CONFIGURED = plugin_source(
    "x",
    head="from pydantic import BaseModel, Field, SecretStr",
    body="class Config(BaseModel):\n    max_sides: int = Field(default=6, ge=2)\n    token: SecretStr | None = None",
)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (Table({"max_side": 4}), "[plugins.dice] max_side: there is no such setting. Did you mean max_sides?"),
        (Table({"max_sides": "many"}), "[plugins.dice] max_sides: Input should be a valid integer"),
        (Table({"max_sides": 1}), "[plugins.dice] max_sides: Input should be greater than or equal to 2."),
        (Table({}, error="key: HOME_TOWN is not set."), "[plugins.dice] key: HOME_TOWN is not set."),
    ],
)
async def test_a_wrong_setting_is_named_by_its_place(tmp_path: Path, table: Table, reason: str) -> None:
    registry = await loaded(tmp_path, {"dice.py": CONFIGURED, "good.py": GOOD}, {"dice": table})
    assert component(registry, "dice").stage is Stage.CONFIGURATION
    assert component(registry, "dice").reason.startswith(reason)
    assert component(registry, "good").state is ComponentState.ACTIVE


async def test_a_wrong_secret_is_not_quoted(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"dice.py": CONFIGURED}, {"dice": Table({"token": ["hunter2"]})})
    assert "token" in component(registry, "dice").reason
    assert "hunter2" not in component(registry, "dice").reason


async def test_settings_arrive_converted(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"dice.py": CONFIGURED}, {"dice": Table({"max_sides": "20"})})
    assert component(registry, "dice").instance.config.max_sides == 20


async def test_what_is_disabled_is_not_imported(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"bad.py": "1/0"}, {"bad": Table(enabled=False)})
    assert states(registry) == {"bad": "disabled"}


async def test_a_registered_name_is_asked_whether_it_is_enabled(tmp_path: Path) -> None:
    registry = await loaded(tmp_path, {"file.py": CONTRACT_PLUGIN}, {"dice": Table(enabled=False)})
    assert states(registry) == {"dice": "disabled"}
    assert len(registry.generation) == 0


async def test_given_instances_and_classes_are_loaded() -> None:
    class Hum(AIPluginBase):
        @action(effect="read")
        async def hum(self) -> str:
            """Hum."""
            return "hm"

    given = Hum()
    registry = make_registry()
    await registry.load("plugin", [one for one in discover("plugin", objects=[given]) if one.name == "hum"])
    await registry.start_plugins()
    assert component(registry, "hum").instance is given
    assert list(registry.generation) == ["hum"]


async def test_engines_are_loaded_named_and_prepared(tmp_path: Path) -> None:
    class Echo(EngineBase):
        pass

    registry = make_registry()
    found = discover("engine", objects=[Echo, AIPluginBase], builtin=tmp_path)
    await registry.load("engine", found)
    echo, wrong = registry.components("engine")
    assert (echo.state, echo.instance.name) == (ComponentState.FOUND, "echo")
    assert wrong.reason == "AIPluginBase is no engine. Derive it from core.engine_base.EngineBase."
    assert registry.prepare(echo)
    assert echo.instance.context.name == "echo"
    registry.activated(echo)
    assert echo.state is ComponentState.ACTIVE
    registry.fail(echo, "start", ConnectionError("refused"))
    assert (echo.state, echo.reason) == (ComponentState.FAILED, "ConnectionError: refused")


async def test_every_change_of_state_is_told(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    registry = make_registry(on_change=lambda c: seen.append((c.name, c.state.value)))
    await registry.load("plugin", found_in(write_files(tmp_path, {"bad.py": "1/0", "good.py": GOOD})))
    await registry.start_plugins()
    await registry.stop_plugins()
    assert seen == [("bad", "failed"), ("good", "active"), ("good", "stopped")]


async def test_a_kind_is_not_loaded_as_another(tmp_path: Path) -> None:
    nothing: Any = None
    with pytest.raises(ValueError, match="of kind engine, not plugin"):
        await make_registry().load("plugin", [Found(kind="engine", name="x", source="x", load=lambda: nothing)])
