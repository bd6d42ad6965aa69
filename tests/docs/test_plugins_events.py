"""docs/plugins/events.md: its plugins run as they stand, and its lists and signatures are those of the code."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import on
from core.component_events import ComponentEvents
from core.contracts.core_events import CORE_EVENTS, CORE_ONLY
from core.contracts.events import Answer, Event, Events, EventStage, Handled, HandlerEnd
from core.settings import load_settings
from core.testing import RunningApp, ScriptedEngine, message, running_app

TEXT = (Path(__file__).parents[2] / "docs" / "plugins" / "events.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PLUGINS = {name: block for block in BLOCKS for name in re.findall(r"^PLUGIN_CLASS = (\w+)$", block, re.MULTILINE)}


def place(home: Path, *names: str) -> None:
    """Put plugins of the page into a home."""
    (home / "plugins").mkdir(parents=True)
    for name in names:
        (home / "plugins" / f"{name.lower()}.py").write_text(PLUGINS[name], encoding="utf-8")


def plugin(kit: RunningApp, name: str) -> Any:
    component = kit.app.registry.get("plugin", name)
    assert component is not None
    return component.instance


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table behind a heading or sentence, by their first cell."""
    table = TEXT.split(heading, 1)[1].split("|---", 1)[1].split("\n", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_every_block_is_a_whole_plugin() -> None:
    assert len(PLUGINS) == len(BLOCKS) == 3


async def test_a_handler_hears_what_its_pattern_and_condition_say(tmp_path: Path) -> None:
    place(tmp_path, "Porter")
    async with running_app(home=tmp_path, engine=ScriptedEngine(message("a"), message("b"))) as kit:
        await kit.interface.ask("hello")
        await kit.interface.ask("Hey, Porter: open")
        await kit.app.events.settled()
        porter = plugin(kit, "porter")
    assert (porter.received, porter.called) == (2, ["Hey, Porter: open"])


async def test_plugins_tell_and_ask_each_other(tmp_path: Path) -> None:
    place(tmp_path, "Lamp", "Observer")
    async with running_app(home=tmp_path) as kit:
        observer, lamp = plugin(kit, "observer"), plugin(kit, "lamp")
        assert await observer.is_light() is False
        assert await kit.interface.ask("/lamp true") == ["done"]
        assert lamp.on
        assert await observer.is_light() is True
        assert await observer.lights() == {"lamp": True}
        handled = await observer.context.events.emit("lamp.switching", {"on": "maybe"})
    assert (handled.end, handled.reason) == ("rejected", "on is true or false")
    assert observer.seen == ["lamp: lamp.switching"]


def test_the_configuration_of_the_page_holds(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "rekku.toml").write_text(example, encoding="utf-8")
    table = load_settings({}, home=tmp_path).component("plugins", "porter")
    assert not table.error
    assert table.events == tomllib.loads(example)["plugins"]["porter"]["events"]


async def test_the_configuration_of_the_page_changes_the_plugin_of_the_page(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "rekku.toml").write_text(example, encoding="utf-8")
    place(tmp_path, "Porter")
    components = load_settings({}, home=tmp_path).components
    async with running_app(home=tmp_path, engine=ScriptedEngine(message("a")), components=components) as kit:
        await kit.interface.ask("hello porter")
        await kit.app.events.settled()
        porter = plugin(kit, "porter")
    assert (porter.received, porter.called) == (0, ["hello porter"])


def test_the_list_of_events_is_that_of_the_code() -> None:
    told = {
        name.strip("`"): (by, when, tuple(re.findall(r"`(\w+)`", data)))
        for name, (by, when, data) in rows("| event | by |").items()
    }
    assert told == {name: (event.by, event.when, event.fields) for name, event in CORE_EVENTS.items()}
    assert {event.by for event in CORE_EVENTS.values()} == {"core", "plugins", "both"}


@pytest.mark.parametrize("name", sorted(CORE_ONLY)[:3])
async def test_what_the_core_alone_emits_is_refused_to_plugins(tmp_path: Path, name: str) -> None:
    place(tmp_path, "Observer")
    async with running_app(home=tmp_path) as kit:
        with pytest.raises(ValueError, match="event of the core"):
            await plugin(kit, "observer").context.events.emit(name)


@pytest.mark.parametrize("method", ["emit", "request", "gather", "subscribe"])
def test_the_signatures_are_those_of_the_code(method: str) -> None:
    [block] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    written = next(line for line in block.splitlines() if line.startswith(f"{method}("))
    assert inspect.signature(getattr(Events, method)) == inspect.signature(getattr(ComponentEvents, method))
    signature = inspect.signature(getattr(Events, method))
    bare = [p.replace(annotation=p.empty) for p in list(signature.parameters.values())[1:]]
    assert written == f"{method}{signature.replace(parameters=bare)}".replace("'Handled'", "Handled").replace(
        f"-> '{signature.return_annotation}'", f"-> {signature.return_annotation}"
    )


def test_the_tables_are_those_of_the_code() -> None:
    assert [name.strip("`") for name in rows("The arguments of `on`")] == list(inspect.signature(on).parameters)
    assert {name.strip("`") for name in rows("An `Event` has")} == {field.name for field in fields(Event)}
    assert {name.strip("`") for name in rows("| stage | may answer")} == set(EventStage)
    ends = {end for cell in rows("| end | meaning") for end in re.findall(r"`([a-z ]+)`", cell)}
    assert ends == set(HandlerEnd)
    for kind in (Handled, Answer):
        assert all(f"`{field.name}`" in TEXT for field in fields(kind))
