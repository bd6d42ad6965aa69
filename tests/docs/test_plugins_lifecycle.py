"""docs/plugins/lifecycle.md: its plugin does what it says, and its lists and numbers are those of the code."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import core.plugin_health as health
from core.ai_plugin_base import AIPluginBase
from core.registry.component import ComponentState
from core.registry.components import START_TIMEOUT_S, STOP_PATIENCE_S, STOP_TIMEOUT_S
from core.registry.starting import LONGEST_START_S
from core.settings import WatchdogSettings
from core.storage.sqlite import LONGEST_S
from core.testing import running_app

TEXT = (Path(__file__).parents[2] / "docs" / "plugins" / "lifecycle.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def _section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


async def test_the_plugin_is_stopped_and_started_until_it_is_well(tmp_path: Path) -> None:
    (block,) = BLOCKS
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "feed.py").write_text(block, encoding="utf-8")
    async with running_app(home=tmp_path) as run:
        feed = run.app.registry.get("plugin", "feed")
        assert feed is not None
        assert await run.interface.ask("/feed") == ["connected"]
        feed.instance.connected = False
        for _ in range(health.BAD_ANSWERS):
            await run.app.plugins.health.look()
        assert feed.state == "degraded"
        assert feed.reason == "The feed is away. Is its server up?"
        for _ in range(1000):
            if run.app.registry.in_use(feed):
                break
            await asyncio.sleep(0.01)
            await run.clock.advance(health.FIRST_PAUSE_S)
        assert await run.interface.ask("/feed") == ["connected"]


def test_every_state_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", _section("The states"), re.MULTILINE) == [
        state.value for state in ComponentState
    ]


def test_the_methods_are_those_of_the_base() -> None:
    names = re.findall(r"^\| `(\w+)` \|", _section("Start, stop and health"), re.MULTILINE)
    assert all(hasattr(AIPluginBase, name) for name in names)
    assert AIPluginBase.start_timeout_s == START_TIMEOUT_S


def test_the_numbers_are_true() -> None:
    text, settings = " ".join(TEXT.split()), WatchdogSettings()
    assert f"{START_TIMEOUT_S:g} s unless it is set, at most {LONGEST_START_S:g} s" in text
    assert f"| `stop` | {STOP_TIMEOUT_S:g} s |" in text
    assert f"| `health` | {health.ANSWER_S:g} s | Asked every {health.ASKED_EVERY_S:g} seconds" in text
    assert f"have {STOP_PATIENCE_S:g} seconds to end" in text
    assert health.LONGEST_PAUSE_S == 5 * 60
    assert f"longer than {settings.block_s:g} seconds within {settings.within_minutes} minutes" in text
    assert f"once longer than {settings.longest_block_s:g} seconds" in text
    assert (settings.blocks, settings.failures_in_a_row) == (3, 5)
    assert f"does not end within {LONGEST_S:g} seconds is given up" in text
