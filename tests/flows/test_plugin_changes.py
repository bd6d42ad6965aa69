"""Plugins that are changed while they rest, are ill or broken, half-way, or in the way of each other."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, action
from core.registry.component import ComponentState
from core.registry.switching import Switched
from core.services import plugin_wishes
from core.services.loop_watchdog import Block
from core.settings import WatchdogSettings
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.test_events import until
from tests.flows.test_plugin_lifecycle import place, plugin, state, until_settled

HELD = Block(owner="base", seconds=1.0, call="", where="", what="It held up the event loop")


class Page(AIPluginBase):
    """Reads what others have written."""

    @action(effect="read", permission="anyone", reads_outside=True)
    async def read_page(self) -> str:
        """Read it."""
        return "wipe all"


START = """
    async def start(self):
        import builtins
        builtins.rekku_test.starts.append(self.config.word)
        if builtins.rekku_test.gate is not None:
            await builtins.rekku_test.gate.wait()
"""
HEALTH = """
    async def health(self):
        import builtins
        from core.contracts.deliveries import Health
        return Health(ok=builtins.rekku_test.well)
"""
SLOW = """
import builtins, time
builtins.rekku_test.loading = True
while not builtins.rekku_test.loads:
    time.sleep(0.01)
"""


@pytest.fixture
def shared() -> Iterator[Any]:
    """What plugins in files and their test know of each other."""
    known = SimpleNamespace(starts=[], gate=None, well=True, loads=True, loading=False)
    builtins.rekku_test = known  # type: ignore[attr-defined]
    yield known
    del builtins.rekku_test  # type: ignore[attr-defined]


async def ask(kit: RunningApp, what: str, name: str = "base") -> Switched:
    return await kit.app.plugins.control.ask(what, name, "test")


async def test_a_broken_edit_costs_nothing_while_it_rests(tmp_path: Path) -> None:
    file = place(tmp_path, "base")
    async with running_app(home=tmp_path) as kit:
        kit.app.plugins._rest.begin(HELD)
        assert state(kit, "base") == "degraded"
        file.write_text("broken(")
        told = await ask(kit, "reload")
        assert not told.ok
        assert told.text.startswith("base goes on as it was")
        assert state(kit, "base") == "degraded"
        await kit.advance(11)
        await until_settled(kit)
        assert await kit.interface.ask("/base") == ["hello"]


@pytest.mark.parametrize("what", ["reload", "enable"])
async def test_what_requires_it_is_started_anew_with_it_while_it_rests(
    tmp_path: Path, shared: Any, what: str
) -> None:
    place(tmp_path, "base")
    place(tmp_path, "above", requires=("base",), more=START)
    async with running_app(home=tmp_path) as kit:
        kit.app.plugins._rest.begin(HELD)
        assert (await ask(kit, what)).ok
        assert (state(kit, "base"), state(kit, "above")) == ("active", "active")
        assert len(shared.starts) == 2
        await kit.advance(11)
        assert state(kit, "base") == "active"


async def test_a_change_goes_on_when_who_has_asked_for_it_is_cancelled(tmp_path: Path, shared: Any) -> None:
    place(tmp_path, "base", more=START)
    async with running_app(home=tmp_path) as kit:
        shared.gate = asyncio.Event()
        asking = asyncio.create_task(ask(kit, "reload"))
        await until(lambda: len(shared.starts) == 2)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        shared.gate.set()
        await until(lambda: state(kit, "base") == "active")
        await until(lambda: not kit.app.plugins.control._changes)
        (row,) = await kit.rows("SELECT value FROM kv WHERE owner = 'core.plugins'")
        assert '"answered":1' in row["value"]
        assert "base was reloaded." in row["value"]


async def test_nothing_goes_on_once_it_is_going_down(tmp_path: Path, shared: Any) -> None:
    place(tmp_path, "base", more=START)
    async with running_app(home=tmp_path) as kit:
        shared.gate = asyncio.Event()
        asking = asyncio.create_task(ask(kit, "reload"))
        await until(lambda: len(shared.starts) == 2)
        control = kit.app.plugins.control
    assert asking.cancelled() or asking.done()
    assert not control._changes
    assert (await control.ask("reload", "base", "test")).text == "base stays as it is: Rekku is going down."


async def test_who_is_ill_while_the_new_one_is_loaded_does_not_take_that_with_it(tmp_path: Path, shared: Any) -> None:
    file = place(tmp_path, "base", more=HEALTH)
    async with running_app(home=tmp_path) as kit:
        shared.well = shared.loads = False
        file.write_text(file.read_text() + SLOW)
        reloading = asyncio.create_task(ask(kit, "reload"))
        await until(lambda: shared.loading)
        for _ in range(2):
            await kit.app.plugins.health.look()
        assert state(kit, "base") == "degraded"
        shared.well = shared.loads = True
        assert await reloading == Switched(True, "base was reloaded.")
        await until_settled(kit)
        assert state(kit, "base") == "active"


async def test_who_is_quarantined_while_the_new_one_is_loaded_stays_out(tmp_path: Path, shared: Any) -> None:
    file = place(tmp_path, "base")
    async with running_app(home=tmp_path) as kit:
        shared.loads = False
        file.write_text(file.read_text() + SLOW)
        reloading = asyncio.create_task(ask(kit, "reload"))
        await until(lambda: shared.loading)
        quarantining = asyncio.create_task(kit.app.plugins.control.quarantine("base", "It did harm."))
        await until(lambda: state(kit, "base") == "quarantined")
        shared.loads = True
        assert (await reloading).text.startswith("base is quarantined")
        await quarantining
        assert state(kit, "base") == "quarantined"
        assert (await ask(kit, "enable")).ok
        assert state(kit, "base") == "active"


async def test_the_names_of_what_is_disabled_are_free(tmp_path: Path) -> None:
    place(tmp_path, "one")
    file = place(tmp_path, "two")
    file.write_text(file.read_text().replace("def two", "def one").replace("'two'", "'one'"))
    async with running_app(home=tmp_path) as kit:
        assert "the plugin one has an action of that name" in plugin(kit, "two").reason
        await ask(kit, "disable", "one")
        assert (await ask(kit, "enable", "two")).ok
        told = await ask(kit, "enable", "one")
        assert "the plugin two has an action of that name" in told.text
        assert (state(kit, "one"), state(kit, "two")) == ("failed", "active")


async def test_what_was_loaded_anew_begins_without_failures(tmp_path: Path) -> None:
    file = place(tmp_path, "base")
    file.write_text(file.read_text().replace("return ''", "raise ValueError('x')\n        return ''"))
    async with running_app(home=tmp_path, watchdog=WatchdogSettings(failures_in_a_row=2)) as kit:
        for _ in range(3):
            assert await kit.interface.ask("/base") == ["Not done (failed). ValueError: x"]
            assert (await ask(kit, "reload")).ok
        assert state(kit, "base") == "active"


async def test_what_was_approved_is_looked_at_again_when_its_plugin_was_reloaded(tmp_path: Path) -> None:
    file = place(tmp_path, "wipe")
    text = file.read_text().replace(
        "@action(effect=\"read\", command='wipe')", '@action(effect="external", permission="trainer")'
    )
    file.write_text(text.replace("async def wipe(self)", "async def wipe(self, path: str)"))
    asked = (actions(("read_page", {})), actions(("wipe", {"path": "a"})))
    engine = ScriptedEngine(*asked, otherwise=message("fine"))
    async with running_app(home=tmp_path, plugins=[Page()], engine=engine) as kit:
        await kit.interface.ask("go")
        file.write_text(file.read_text().replace("path: str", "path: int"))
        assert (await ask(kit, "reload", "wipe")).ok
        (approval,) = await kit.rows("SELECT id FROM approvals")
        await kit.interface.ask(f"/approve {approval['id']}")
        await until(lambda: any(part.text == "fine" for part in kit.interface.sent))
        rows = await kit.rows("SELECT status, reason FROM ledger WHERE action = 'wipe' ORDER BY id")
    assert [row["status"] for row in rows] == ["awaiting_approval", "denied"]
    assert rows[1]["reason"].startswith("It is not valid any more: path")


async def test_names_that_differ_in_case_alone_are_one(tmp_path: Path) -> None:
    place(tmp_path, "one")
    (tmp_path / "plugins" / "One.py").write_text(place(tmp_path, "other").read_text())
    async with running_app(home=tmp_path) as kit:
        states = {c.name: c.state for c in kit.app.registry.components("plugin") if c.name in ("one", "One")}
        assert sorted(states.values()) == ["active", "failed"]


@pytest.mark.parametrize(
    ("wishes", "ends"),
    [
        (("disable", "reload"), "disabled"),
        (("disable", "enable"), "active"),
        (("disable", "enable", "reload"), "active"),
        (("enable", "disable"), "disabled"),
    ],
)
async def test_several_wishes_between_two_looks_end_as_they_hold(
    tmp_path: Path, wishes: tuple[str, ...], ends: str
) -> None:
    place(tmp_path, "base")

    async def wish(kit: RunningApp, *asked: str) -> None:
        for what in asked:
            ask_it = partial(plugin_wishes.ask, name="base", what=what, by="other", now_ms=1)
            await kit.app.database.transact(ask_it)
        await kit.app.plugins.control.catch_up()

    for before in ("active", "disabled"):
        async with running_app(home=tmp_path) as kit:
            if before == "disabled":
                await wish(kit, "disable")
            else:
                await wish(kit, "enable")
            assert state(kit, "base") == before
            await wish(kit, *wishes)
            assert state(kit, "base") == ends
            assert (kit.app.plugins.control.held_back("base") is None) == (ends == "active")


async def test_a_disk_that_cannot_be_read_is_an_answer(tmp_path: Path) -> None:
    def unreadable() -> Any:
        raise PermissionError("no")

    place(tmp_path, "base")
    async with running_app(home=tmp_path) as kit:
        kit.app.plugins.control.switch._find = unreadable
        assert (await ask(kit, "reload")).text == "base stays as it is, plugins cannot be looked for: no."
        assert state(kit, "base") == "active"


async def test_two_changes_at_once_are_made_one_after_the_other(tmp_path: Path, shared: Any) -> None:
    place(tmp_path, "base", more=START)
    async with running_app(home=tmp_path) as kit:
        told = await asyncio.gather(*(ask(kit, what) for what in ("reload", "disable", "reload", "enable", "enable")))
        assert [one.ok for one in told] == [True, True, False, True, True]
        assert state(kit, "base") == "active"
        assert len(shared.starts) == 3
        assert kit.app.plugins.control.held_back("base") is None
        assert plugin(kit, "base").state is ComponentState.ACTIVE
