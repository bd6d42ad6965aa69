"""Every example runs for real, and keeps to the rules."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from core.app import App
from core.settings import load_settings
from core.testing import RunningApp, ScriptedEngine, actions, check_plugin, message, running_app

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom">{}</feed>'
ENTRY = "<entry><id>{0}</id><title>The {0} title</title></entry>"


def place(home: Path, name: str, kind: str = "plugins") -> None:
    (home / kind).mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / f"{name}.py", home / kind)


@asynccontextmanager
async def with_example(home: Path, name: str, table: str = "", **given: Any) -> AsyncIterator[RunningApp]:
    """Run an app on a home that has the example, with this table in its rekku.toml."""
    place(home, name)
    (home / "rekku.toml").write_text(table, encoding="utf-8")
    components = load_settings({}, home=home).components
    async with running_app(home=home, components=components, **given) as run:
        yield run


def test_the_index_lists_them_all() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\) \|", text, re.MULTILINE)) == EXAMPLES


def test_the_first_has_ten_lines() -> None:
    lines = (FOLDER / "coin.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 10


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_keeps_to_the_rules(name: str) -> None:
    check_plugin(FOLDER / f"{name}.py", run_reads=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_imports_what_is_public(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^\s*(?:from|import) (core[\w.]*)", source, re.MULTILINE))
    bases = {"core.ai_plugin_base", "core.interface_base", "core.engine_base"}
    assert {one for one in imported if not one.startswith("core.contracts.")} <= bases
    assert imported & bases


async def test_coin(tmp_path: Path) -> None:
    async with with_example(tmp_path, "coin", chain=("offline",)) as run:
        for said in ("toss a coin", "/toss"):
            (reply,) = await run.interface.ask(said)
            assert reply in ("heads", "tails")


async def test_notes(tmp_path: Path) -> None:
    table = "[plugins.notes]\nmost = 2\n"
    async with with_example(tmp_path, "notes", table, chain=("offline",)) as run:
        ask = run.interface.ask
        assert await ask("note down buy milk") == ["That is note 1."]
        assert await ask("/note call Bo") == ["That is note 2."]
        assert "There are 2 notes already" in (await ask("/note one more"))[0]
        assert await ask("show my notes") == ["1. buy milk\n2. call Bo"]
        await ask("/undo")
        assert await ask("/notes") == ["1. buy milk"]
        assert "There is no note 7" in (await ask("/drop_note 7"))[0]
    async with with_example(tmp_path, "notes", table, chain=("offline",)) as run:
        assert await run.interface.ask("/notes") == ["1. buy milk"]
        notes = run.app.registry.get("plugin", "notes")
        assert notes is not None
        assert await notes.instance.context.kv.get("starts") == 2


async def test_house_rules(tmp_path: Path) -> None:
    table = '[plugins.house_rules]\nnames = { cat = "dog" }\n'
    engine = ScriptedEngine(actions(("roll_dice", {})), message("No dice."), message("The cat is here."))
    async with with_example(tmp_path, "house_rules", table, engine=engine, access="open") as run:
        assert await run.interface.ask("roll", user_id="guest") == ["No dice."]
        assert "Only trainers may use: roll_dice." in engine.requests[0].instructions
        assert "against the rules of the house" in engine.requests[1].messages[-1].content
        assert (await run.act("roll_dice")).status == "done"
        assert await run.interface.ask("who is here?") == ["The dog is here."]


async def test_house_rules_while_the_house_is_closed(tmp_path: Path) -> None:
    engine = ScriptedEngine(message("Welcome."))
    table = "[plugins.house_rules]\nclosed = true\n"
    async with with_example(tmp_path, "house_rules", table, engine=engine, access="open") as run:
        assert await run.interface.ask("hello", user_id="guest") == ["The house is closed."]
        assert await run.interface.ask("hello") == ["Welcome."]


async def test_feed(tmp_path: Path) -> None:
    entries = ["first"]

    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=ATOM.format("".join(map(ENTRY.format, entries))))

    server = web.Application()
    server.router.add_get("/feed", serve)
    runner = web.AppRunner(server)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        table = f'[plugins.feed]\nurl = "http://127.0.0.1:{runner.addresses[0][1]}/feed"\n'
        async with with_example(tmp_path, "feed", table) as run:
            assert (await run.act("follow_feed")).status == "done"
            await run.app.periodic.run_now("feed", "look")
            entries.append("second")
            for _ in range(2):
                await run.app.periodic.run_now("feed", "look")
                await run.advance(1)
            (told,) = await run.interface.replies()
            assert "The second title" in told
            assert "first" not in told
            entries[:] = ["<!ENTITY a 'b'>"]
            await run.app.periodic.run_now("feed", "look")
            feed = run.app.registry.get("plugin", "feed")
            assert feed is not None
            assert "it declares entities" in (await feed.instance.health()).detail
            assert (await run.act("unfollow_feed")).status == "done"
            assert await run.rows("SELECT * FROM feed_follower") == []
    finally:
        await runner.cleanup()


async def test_pantry(tmp_path: Path) -> None:
    engine = ScriptedEngine(message("Buy honey."))
    async with with_example(tmp_path, "pantry", engine=engine) as run:
        assert "0 jars in the pantry" in (await run.interface.ask("/status"))[0]
        pantry = run.app.registry.get("plugin", "pantry")
        assert pantry is not None
        assert not (await pantry.instance.look()).ok
        (group,) = pantry.groups
        words: Any = group.run
        assert [group.name, *words] == ["pantry", "list", "put"]
        assert await pantry.instance.put("jam", 3) == 0
        assert await pantry.instance.put("jam", -1) == 1
        await run.interface.ask("What do I need, besides @pantry?")
        assert any("3 of jam" in told.content for told in engine.requests[0].messages)
        assert (await pantry.instance.look()).ok
        assert await pantry.instance.count() == 3


async def test_oven(tmp_path: Path) -> None:
    async with with_example(tmp_path, "oven", "[plugins.oven]\nbake_s = 0\n", chain=("offline",)) as run:
        (where,) = await run.interface.ask("/recipes")
        async with aiohttp.ClientSession() as session, session.get(where) as answer:
            assert answer.status == 200
        told = await run.interface.ask("/bake")
        told += await run.interface.replies(2 - len(told)) if len(told) < 2 else []
        assert told == ["It is in the oven.", "The bread is fresh."]


async def test_look_first(tmp_path: Path) -> None:
    engine = ScriptedEngine(actions(("roll_dice", {})), ("get_time", {}), message("It is late."))
    async with with_example(tmp_path, "look_first", engine=engine) as run:
        await run.interface.ask("/strategy look_first")
        assert await run.interface.ask("is it late?") == ["It is late."]
        assert "do nothing yet" in engine.requests[0].messages[-1].content
        assert (await run.rows("SELECT status FROM ledger WHERE action = 'roll_dice'"))[0]["status"] == "denied"
        assert "You have looked" in engine.requests[1].messages[-1].content


async def test_webhook_interface(tmp_path: Path) -> None:
    place(tmp_path, "webhook_interface", "interfaces")
    place(tmp_path, "coin")
    table = '[interfaces.webhook_interface]\ntoken = "a-long-token"\nport = 0\n'
    (tmp_path / "rekku.toml").write_text(table, encoding="utf-8")
    settings = load_settings({"REKKU_ENGINE": "offline", "REKKU_ACCESS": "open"}, home=tmp_path)
    headers, said = {"X-Token": "a-long-token"}, {"user": "ada", "text": "toss a coin", "id": "1"}
    async with App(settings) as app, aiohttp.ClientSession() as session:
        webhook: Any = app.interface("webhook_interface")
        url = f"http://127.0.0.1:{webhook.port}"
        async with session.post(f"{url}/say", json=said) as refused:
            assert refused.status == 401
        async with session.post(f"{url}/say", json={"user": "ada"}, headers=headers) as wrong:
            assert wrong.status == 400
        for duplicate in (False, True):
            async with session.post(f"{url}/say", json=said, headers=headers) as taken:
                assert taken.status == 202
                assert await taken.json() == {"duplicate": duplicate}
        async with asyncio.timeout(10):
            await app.drained()
        async with session.get(f"{url}/heard", params={"user": "ada"}, headers=headers) as heard:
            (answer,) = await heard.json()
        assert answer in ("heads", "tails")
        async with session.get(f"{url}/heard", params={"user": "ada"}, headers=headers) as heard:
            assert await heard.json() == []


async def test_the_webhook_interface_is_off_without_a_token(tmp_path: Path) -> None:
    place(tmp_path, "webhook_interface", "interfaces")
    async with running_app(home=tmp_path) as run:
        component = run.app.registry.get("interface", "webhook_interface")
        assert component is not None
        assert component.reason == "off: token is not set in [interfaces.webhook_interface]"


async def test_echo_engine(tmp_path: Path) -> None:
    place(tmp_path, "echo_engine", "engines")
    async with running_app(home=tmp_path, chain=("echo_engine",)) as run:
        assert await run.interface.ask("hello") == ["You said: hello"]


async def test_an_echo_that_is_away_lets_the_next_engine_answer(tmp_path: Path) -> None:
    place(tmp_path, "echo_engine", "engines")
    (tmp_path / "rekku.toml").write_text("[engines.echo_engine]\naway = true\n", encoding="utf-8")
    components = load_settings({}, home=tmp_path).components
    async with running_app(home=tmp_path, components=components, chain=("echo_engine", "offline")) as run:
        assert await run.interface.ask("1 + 1") == ["1 + 1 = 2"]
