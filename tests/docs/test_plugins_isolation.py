"""The page about plugins in processes of their own: its plugin runs so, and its figures are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from core.contracts.schedule import Schedule
from core.contracts.services import PluginContext
from core.isolation import child_process, limits, peer, printed, process, standin
from core.isolation.child_context import ChildContext
from core.isolation.child_storage import ChildSchedule
from core.isolation.outside import StaysOutside
from core.registry.loading import ISOLATIONS
from core.settings import components
from core.settings.expansion import Expansion
from core.testing import ScriptedEngine, message, running_app
from tests.support.isolated_plugins import place
from tests.support.isolated_plugins import standin as standin_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "plugins" / "isolation.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
FLAT = " ".join(TEXT.split())


async def test_its_plugin_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    (source,) = PYTHON
    assert source.rstrip().endswith("PLUGIN_CLASS = Pixels")
    engine = ScriptedEngine(otherwise=message("hello"))
    async with running_app(home=place(tmp_path, pixels=source), engine=engine) as kit:
        assert standin_of(kit, "pixels").declared.config_schema is not None
        assert await kit.interface.ask("/pixels width=4 height=3") == ["12 pixels, picture 1"]
        await kit.interface.ask("hello")
        assert "1 pictures were looked at." in "".join(m.content for m in engine.last.messages)


def test_its_settings_are_those_of_the_code() -> None:
    (text,) = TOML
    (table,) = tomllib.loads(text)["plugins"].values()
    assert table["process_memory_mb"] == limits.DEFAULT_MEMORY_MB
    assert table["process_cpu_s"] == limits.DEFAULT_CPU_S
    read = components.read_component("plugins.pixels", table, Expansion({}))
    assert (read.error, read.values, read.isolation) == ("", {}, "process")
    assert components.ISOLATIONS == ISOLATIONS


def test_its_figures_are_those_of_the_code() -> None:
    for said in (
        f"answers may have {peer.MAX_MESSAGE // 1024 // 1024} MiB and {peer.MOST_VALUES:,} values",
        f"does not answer for {child_process.PONG_WITHIN_S:g} s",
        f"processes ({limits.MOST_PROCESSES})",
        f"after {standin.FIRST_PAUSE_S:g} s, then 2, 4 and so on up to {standin.LONGEST_PAUSE_S / 60:g} minutes",
        f"After {standin.MOST_DEATHS} deaths within {standin.DEATHS_WITHIN_S / 60:g} minutes",
        f"| {limits.MOST_FILES} | `RLIMIT_NOFILE`",
        f"{printed.LONGEST_LINE:,} bytes each, {printed.LINES_AT_ONCE} at once",
        f"and {printed.LINES_A_SECOND:g} a second; what is more is counted",
    ):
        assert said in FLAT, said
    named = re.search(r"environment but (.*?), and no memory", FLAT)
    assert named is not None
    assert re.findall(r"`(\w+)`", named[1]) == list(process.PASSED_ON)


def test_every_part_of_the_context_is_named() -> None:
    table = TEXT.partition("## What crosses")[2].partition("## ")[0]
    named = set(re.findall(r"`(?:self\.|ctx\.)?(\w+)`", table))
    parts = {name for name in vars(PluginContext) if not name.startswith("_")}
    there = {name for name in parts if name in vars(ChildContext) or name in ChildContext.__annotations__}
    assert len(there) >= 11
    assert there <= named
    context = object.__new__(ChildContext)
    for name in parts - there:
        with pytest.raises(StaysOutside):
            getattr(context, name)
    (schedule,) = [line for line in table.splitlines() if line.startswith("| `schedule`")]
    crossing = set(re.findall(r"`(\w+)`", schedule)) - {"schedule"}
    assert crossing == {name for name in vars(ChildSchedule) if name in vars(Schedule) and not name.startswith("_")}
