"""Plugins out of use and back while the app runs: by command, by another process, reloaded, and for their health."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from core.ai_plugin_base import ActionContext, AIPluginBase, action, every, hook
from core.commands.conversation import tell_reloaded
from core.contracts.deliveries import Health
from core.registry.component import Component, ComponentState
from core.registry.switching import Switched
from core.services import plugin_wishes
from core.settings import Access, Settings, load_settings
from core.testing import RunningApp, ScriptedEngine, message, running_app
from interfaces.console import ConsoleInterface

GREET = """
from core.ai_plugin_base import AIPluginBase, action
from pydantic import BaseModel
class Greet(AIPluginBase):
    requires = {requires!r}
    class Config(BaseModel):
        word: str = "hello"
    @action(effect="read", command={name!r})
    async def {name}(self) -> str:
        \"\"\"Greet.\"\"\"
        return {says!r} + self.config.word
    {more}
PLUGIN_CLASS = Greet
"""


def place(home: Path, name: str, says: str = "", requires: tuple[str, ...] = (), more: str = "") -> Path:
    """Write a plugin with one action and command of its own name."""
    file = home / "plugins" / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(GREET.format(name=name, says=says, requires=requires, more=more), encoding="utf-8")
    return file


def plugin(kit: RunningApp, name: str) -> Component:
    """Return the record of a plugin."""
    found = kit.app.registry.get("plugin", name)
    assert found is not None
    return found


def state(kit: RunningApp, name: str) -> str:
    return plugin(kit, name).state.value


async def until_settled(kit: RunningApp) -> None:
    """Let tasks of ours run that nothing waits for."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_disabled_stays_disabled_until_it_is_enabled(tmp_path: Path) -> None:
    place(tmp_path, "base")
    place(tmp_path, "above", requires=("base",))
    async with running_app(home=tmp_path) as kit:
        assert await kit.interface.ask("/base") == ["hello"]
        (told,) = await kit.interface.ask("/plugins disable base")
        assert told == "base is disabled, and with it above, until it is enabled."
        assert (state(kit, "base"), state(kit, "above")) == ("disabled", "stopped")
        assert "base" not in kit.app.registry.generation
        (listed,) = await kit.interface.ask("/plugins")
        assert "**base** disabled since 2026-11-20 17:37:00: disabled by command (test:trainer)" in listed
        assert "**above** stopped" in listed
        assert "it requires base, which is disabled" in listed
    async with running_app(home=tmp_path) as kit:
        assert (state(kit, "base"), state(kit, "above")) == ("disabled", "failed")
        assert await kit.interface.ask("/plugins enable base") == ["base is in use."]
        assert (state(kit, "base"), state(kit, "above")) == ("active", "active")
        assert await kit.interface.ask("/above") == ["hello"]
        for refused in ("core", "core_people", "nothing"):
            (told,) = await kit.interface.ask(f"/plugins disable {refused}")
            assert "belongs to the core" in told or "There is no plugin nothing" in told
        (told,) = await kit.interface.ask("/plugins disable")
        assert "Which plugin" in told
    async with running_app(home=tmp_path, access=Access.OPEN) as kit:
        await kit.interface.ask("/plugins disable base", user_id="bob")
        assert state(kit, "base") == "active"


async def test_what_another_process_asks_is_done_and_answered(tmp_path: Path) -> None:
    file = place(tmp_path, "greet")
    async with running_app(home=tmp_path) as kit:
        control, database = kit.app.plugins.control, kit.app.database

        async def ask(what: str) -> plugin_wishes.Wish:
            wish = await database.transact(lambda conn: plugin_wishes.ask(conn, "greet", what, "command line", 1))
            await control.catch_up()
            await control.catch_up()
            found = await database.read(lambda conn: plugin_wishes.find(conn, "greet"))
            assert found.answered == wish.asked
            return found

        file.write_text(file.read_text().replace("return ''", "return 'new '"))
        assert (await ask("reload")).ok
        assert await kit.interface.ask("/greet") == ["new hello"]
        assert (await ask("disable")).ok
        assert state(kit, "greet") == "disabled"
        refused = await ask("reload")
        assert not refused.ok
        assert "enable it" in refused.answer
        assert (await ask("enable")).ok
        assert state(kit, "greet") == "active"


async def test_a_broken_edit_keeps_the_old_one_and_says_why(tmp_path: Path) -> None:
    file = place(tmp_path, "greet", "one ")
    good = file.read_text()
    async with running_app(home=tmp_path) as kit:
        before = plugin(kit, "greet").instance
        broken = {
            "class Broken(:": "SyntaxError",
            good.replace("effect='read'", "effect='rad'").replace('effect="read"', 'effect="rad"'): "rad",
            good.replace("    requires", "    def __init__(self):\n        1 / 0\n    requires"): "ZeroDivisionError",
            good.replace("requires = ()", "requires = ('nowhere',)"): "it requires nowhere",
            good.replace(
                "PLUGIN_CLASS", "async def start(self):\n    raise OSError('no disk')\nGreet.start = start\nX"
            ): "",
            good + "async def start(self):\n    raise OSError('no disk')\nGreet.start = start\n": "no disk",
        }
        for text, why in broken.items():
            file.write_text(text)
            (told,) = await kit.interface.ask("/plugins reload greet")
            assert "greet goes on as it was" in told
            assert why in told
            assert plugin(kit, "greet").instance is before
            assert await kit.interface.ask("/greet") == ["one hello"]
        file.write_text(good.replace("'one '", "'two '"))
        assert await kit.interface.ask("/plugins reload greet") == ["greet was reloaded."]
        assert await kit.interface.ask("/greet") == ["two hello"]


async def test_a_reload_reads_the_configuration_and_all_modules_and_lets_go_of_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "bundle"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from .inner import Bundle as PLUGIN_CLASS\n")
    inner = GREET.format(name="bundle", says="", requires=(), more="").replace(
        "PLUGIN_CLASS = Greet", "Bundle = Greet"
    )
    (folder / "inner.py").write_text(
        inner.replace("return ''", "return WORD").replace("from pyd", "from .word import WORD\nfrom pyd")
    )
    (folder / "word.py").write_text("WORD = 'old '\n")
    settings: dict[str, Settings] = {}

    def reread() -> Settings:
        return load_settings({"REKKU_ENGINE": "offline"}, home=tmp_path)

    async with running_app(home=tmp_path) as kit:
        kit.app.plugins._read_again = reread
        assert await kit.interface.ask("/bundle") == ["old hello"]
        old = weakref.ref(plugin(kit, "bundle").instance)
        module = weakref.ref(sys.modules[type(plugin(kit, "bundle").instance).__module__])
        (folder / "word.py").write_text("WORD = 'new '\n")
        (tmp_path / "rekku.toml").write_text('[plugins.bundle]\nword = "world"\n')
        assert await kit.interface.ask("/plugins reload bundle") == ["bundle was reloaded."]
        assert await kit.interface.ask("/bundle") == ["new world"]
        assert kit.app.hooks.has("before_llm") is False  # it looks at the hooks anew, and forgets the old ones
        gc.collect()
        assert (old(), module()) == (None, None)
        (tmp_path / "rekku.toml").write_text('[plugins.bundle]\nwrod = "world"\n')
        (told,) = await kit.interface.ask("/plugins reload bundle")
        assert "wrod: there is no such setting. Did you mean word?" in told
        assert await kit.interface.ask("/bundle") == ["new world"]
        (tmp_path / "rekku.toml").write_text("[plugins\n")
        (told,) = await kit.interface.ask("/plugins reload bundle")
        assert "the configuration cannot be read" in told
    assert settings == {}


class Everything(AIPluginBase):
    """Registers whatever can be registered, then fails to start."""

    kept: ClassVar[dict[str, Any]] = {}

    @action(effect="read", command="everything")
    async def everything(self) -> str:
        """Do nothing."""
        return ""

    @hook("extend_system_prompt")
    async def more(self, turn: object, prompt: str) -> None:
        """Change nothing."""

    @every(seconds=1)
    async def tick(self) -> None:
        """Tick."""

    async def start(self) -> None:
        self.context.services.provide("everything", self)
        self.context.spawn(self.wait(), "waiting")
        self.kept.update(context=self.context, task=asyncio.current_task())
        await asyncio.sleep(0)
        raise OSError("no disk")

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.kept["ended"] = True


async def test_a_failed_start_leaves_nothing_behind() -> None:
    async with running_app(plugins=[Everything()]) as kit:
        app, context = kit.app, Everything.kept["context"]
        failed = plugin(kit, "everything")
        assert (failed.state.value, failed.stage, failed.instance) == ("failed", "start", None)
        assert "no disk" in failed.reason
        assert failed.since_ms == kit.clock.now_ms()
        assert "everything" not in app.registry.generation
        assert "everything" not in app.registry.generation.commands
        assert not app.hooks.has("extend_system_prompt")
        assert app.host.services._offered == {}
        with pytest.raises(KeyError):
            await app.periodic.run_now("everything", "tick")
        assert Everything.kept["ended"]
        assert not any("everything" in task.get_name() for task in asyncio.all_tasks())
        with pytest.raises(Exception, match="has been stopped"):
            context.services.provide("late", object())
        with pytest.raises(Exception, match="has been stopped"):
            context.spawn(asyncio.sleep(0), "late")


class Sickly(AIPluginBase):
    """Is as well as the test says."""

    def __init__(self) -> None:
        self.health_now: Health | Exception | str = Health(ok=True)
        self.log: list[str] = []

    @action(effect="read", command="sickly")
    async def sickly(self) -> str:
        """Answer."""
        return "well"

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self) -> None:
        self.log.append("stop")

    async def health(self) -> Health:
        self.log.append("asked")
        if isinstance(self.health_now, Exception):
            raise self.health_now
        return self.health_now  # type: ignore[return-value]


@pytest.mark.parametrize(
    "ill",
    [
        Health(ok=False, detail=["no server"]),  # type: ignore[arg-type]
        OSError("no server"),
        "no server",
    ],
)
async def test_what_is_not_well_is_not_called_and_restarted_until_it_is(ill: Health | Exception | str) -> None:
    sickly = Sickly()
    async with running_app(plugins=[sickly]) as kit:
        health = kit.app.plugins.health
        await health.look()
        assert sickly.log == ["start", "asked"]
        sickly.health_now = ill
        await health.look()
        assert state(kit, "sickly") == "active"  # once may be a hiccup
        sickly.log.clear()
        await health.look()
        assert state(kit, "sickly") == "degraded"
        assert "sickly" not in kit.app.registry.generation
        await until_settled(kit)
        assert sickly.log == ["asked", "stop"]
        for pause_s in (1, 2, 4):  # stop, then start, and longer from time to time
            sickly.log.clear()
            await kit.clock.advance(pause_s - 0.1)
            assert sickly.log == []
            await kit.clock.advance(0.2)
            await until_settled(kit)
            assert sickly.log == ["start", "asked", "stop"]
            assert state(kit, "sickly") == "degraded"
        assert "in vain" in plugin(kit, "sickly").reason
        sickly.health_now = Health(ok=True)
        await kit.clock.advance(8)
        await until_settled(kit)
        assert state(kit, "sickly") == "active"
        assert await kit.interface.ask("/sickly") == ["well"]


class Slow(AIPluginBase):
    """Waits in its action."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    @action(effect="read")
    async def slow(self) -> str:
        """Wait."""
        self.begun.set()
        await self.go_on.wait()
        return "done"

    @action(effect="read")
    async def quick(self) -> str:
        """Answer."""
        return "quick"


async def test_a_turn_that_runs_ends_and_is_told_what_is_gone() -> None:
    slow = Slow()
    engine = ScriptedEngine([("slow", {}), ("quick", {})], message("told"))
    async with running_app(plugins=[slow], engine=engine) as kit:
        accepted = await kit.interface.say("go")
        await slow.begun.wait()
        disabling = asyncio.ensure_future(kit.app.plugins.control.ask("disable", "slow", "test"))
        async with asyncio.timeout(10):
            while "slow" in kit.app.registry.generation:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        assert not disabling.done()  # what runs is waited for
        slow.go_on.set()
        assert (await disabling).ok
        await kit.interface.ended(accepted)
        rows = await kit.rows("SELECT action, status, reason FROM ledger WHERE action IN ('slow', 'quick')")
        by_action = {row["action"]: row for row in rows}
        assert by_action["slow"]["status"] == "done"
        assert by_action["quick"]["status"] == "failed"
        assert "The plugin slow was taken out of use meanwhile" in by_action["quick"]["reason"]


async def test_watch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place(tmp_path, "greet", "one ")
    async with running_app(home=tmp_path) as kit:
        files = kit.app.plugins.files
        kit.app.plugins._read_again = lambda: load_settings({"REKKU_ENGINE": "offline"}, home=tmp_path)
        console = ConsoleInterface()
        files.tell = partial(tell_reloaded, console, kit.app.masker)
        files._known = files._before = await files._stamps()
        assert await files.look() == []
        file.write_text(file.read_text().replace("one", "second"))
        assert await files.look() == []  # it may still be being written
        (done,) = await files.look()
        assert done.text == "greet was reloaded."
        assert capsys.readouterr().err.endswith("(watch) greet was reloaded.\n")
        await tell_reloaded(console, kit.app.masker, done, failures=False)
        await tell_reloaded(console, kit.app.masker, Switched(False, "greet is broken."), failures=False)
        assert capsys.readouterr().err.endswith("(watch) greet was reloaded.\n"), "the log says what failed"
        assert await kit.interface.ask("/greet") == ["second hello"]
        file.write_text("class Broken(:")
        await files.look()
        (done,) = await files.look()
        assert not done.ok
        assert "greet goes on as it was" in done.text
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("(watch) greet goes on as it was; the new one cannot be used (import): SyntaxError")
        other = place(tmp_path, "other")
        (tmp_path / "rekku.toml").write_text('[plugins.other]\nword = "world"\n')
        await files.look()
        done_texts = {one.text for one in await files.look()}
        assert "other is new, and in use." in done_texts
        (tmp_path / "rekku.toml").write_text('[plugins.other]\nword = "everybody"\n')
        await files.look()
        await files.look()
        assert await kit.interface.ask("/other") == ["everybody"]
        other.unlink()
        await files.look()
        (done,) = await files.look()
        assert done.text == "other was stopped: its files are gone."
        assert kit.app.registry.get("plugin", "other") is None
        assert await files.look() == []


async def test_a_start_deadline_of_its_own() -> None:
    class Late(AIPluginBase):
        start_timeout_s = 0.05

        @action(effect="read")
        async def late(self, ctx: ActionContext) -> str:
            """Be late."""
            return ""

        async def start(self) -> None:
            await asyncio.Event().wait()

    async with running_app(plugins=[Late]) as kit:
        assert plugin(kit, "late").state is ComponentState.FAILED
        assert "0.05 s" in plugin(kit, "late").reason
