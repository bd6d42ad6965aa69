"""The pages for plugin authors: their code runs as it stands, their lists and signatures are those of the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, action, every, hook
from core.app import App
from core.contracts.actions import ActionContext
from core.contracts.hooks import HOOKS
from core.contracts.inputs import Principal
from core.contracts.services import PluginContext
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase
from core.settings import load_settings
from core.testing import (
    PluginAlone,
    RecordingInterface,
    RunningApp,
    ScriptedEngine,
    actions,
    alone,
    check_plugin,
    message,
    running_app,
)
from tests.docs.plugin_pages import FOLDER, page, place, plugins_of, signature_text

ROOT = FOLDER.parents[1]
OURS = (
    *("README", "actions", "configuration", "context", "hooks"),
    *("jobs", "storage", "testing", "interfaces", "engines"),
)


@asynccontextmanager
async def offline_app(home: Path) -> AsyncIterator[tuple[App, RecordingInterface]]:
    """Run what `rekku chat` runs in this home without a model, with a chat that records what is said."""
    chat = RecordingInterface()
    settings = load_settings({"TRAINER_IDS": f"{chat.name}:{chat.trainer}", "REKKU_ENGINE": "offline"}, home=home)
    async with App(settings, interfaces=(chat,)) as app:
        yield app, chat


def test_the_index_lists_what_there_is() -> None:
    listed = set(re.findall(r"^\| \[([\w-]+\.md)\]\(\1\) \|", page("README"), re.MULTILINE))
    assert listed == {path.name for path in FOLDER.glob("*.md")} - {"README.md"}


def test_no_link_leads_nowhere() -> None:
    for path in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert "://" in target or (FOLDER / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("name", OURS)
def test_every_block_is_a_whole_plugin(name: str) -> None:
    for block in plugins_of(name).values():
        compile(block, f"{name}.md", "exec")


SIGNATURES: dict[str, dict[str, Callable[..., Any]]] = {
    "actions": {"action": action},
    "hooks": {"hook": hook},
    "jobs": {"every": every},
    "testing": {"alone": alone, "running_app": running_app, "check_plugin": check_plugin},
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_code(name: str) -> None:
    written = [" ".join(block.split()) for block in re.findall(r"```text\n(.*?)```", page(name), re.DOTALL)]
    assert written == [signature_text(called, function) for called, function in SIGNATURES[name].items()]


def _members(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def _told(name: str, heading: str = "") -> set[str]:
    """Return the words in the first cells of a page's tables, those below a heading if one is named."""
    text = page(name)
    if heading:
        text = re.split(r"^## ", text.split(f"## {heading}\n")[1], flags=re.MULTILINE)[0]
    cells = " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))
    return set(re.findall(r"`(?:\w+\.)?(\w+)", cells))


def test_every_argument_of_action_and_member_of_its_context_is_explained() -> None:
    assert _told("actions", "What an action declares") == set(inspect.signature(action).parameters)
    assert _told("actions", "`ctx`") == _members(ActionContext)


def test_everything_on_the_context_is_explained() -> None:
    told = _told("context")
    assert _members(PluginContext) <= told
    declaring = {name for name in _members(AIPluginBase) if name.startswith(("declared_", "get_supported"))}
    long_way = {"get_prompt_instructions", "validate_payload", "handle_custom_action"}
    methods = {name for name in _members(AIPluginBase) - declaring - long_way if name[0].islower()}
    assert methods - {"requires", "isolation"} <= told
    assert told <= _members(PluginContext) | _members(AIPluginBase)


@pytest.mark.parametrize(("name", "cls"), [("interfaces", InterfaceBase), ("engines", EngineBase)])
def test_every_method_of_a_base_is_explained(name: str, cls: type) -> None:
    text = page(name)
    for member in _members(cls) - {"name", "context", "config", "Config"}:
        assert re.search(rf"`[^`]*\b{member}\b", text), member


@pytest.mark.parametrize(("name", "cls"), [("one plugin alone", PluginAlone), ("a whole app", RunningApp)])
def test_everything_of_the_kit_is_explained(name: str, cls: type) -> None:
    text = re.split(r"^## ", re.split(rf"(?i)^## {name}$", page("testing"), flags=re.MULTILINE)[1], flags=re.M)[0]
    for member in _members(cls) | set(cls.__dataclass_fields__):  # type: ignore[attr-defined]
        assert re.search(rf"`[^`|]*\b{member}\b", text), member


def test_every_hook_has_its_kind_its_arguments_and_an_example() -> None:
    text = page("hooks")
    rows = re.findall(r"^\| \[`(\w+)`\]\(#\1\) \| (\w+) \| `\(([^)]*)\)` \|", text, re.MULTILINE)
    assert {name: kind for name, kind, _ in rows} == {name: kind.value for name, kind in HOOKS.items()}
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for name, _, arguments in rows:
        block = re.findall(r"```python\n(.*?)```", sections[name], re.DOTALL)[0]
        taken = re.search(rf'@hook\("{name}"\)\n    async def \w+\(self, (.*?)\) ->', block)
        assert taken is not None
        assert [one.partition(":")[0] for one in taken[1].split(", ")] == arguments.split(", ")


async def test_the_first_plugin_answers_as_the_guide_shows(tmp_path: Path) -> None:
    place(tmp_path, "README", "Coin")
    async with offline_app(tmp_path) as (_app, chat):
        for said in ("toss 3 coins", "/toss 3"):
            (reply,) = await chat.ask(said)
            assert re.fullmatch(r"(heads|tails)(, (heads|tails)){2}", reply), reply
        (reply,) = await chat.ask("toss_coin count=many")
        assert "heads" not in reply
        assert "tails" not in reply


async def test_a_local_action_writes_once_and_is_read_again(tmp_path: Path) -> None:
    place(tmp_path, "actions", "Notes")
    async with offline_app(tmp_path) as (app, chat):
        assert await chat.ask("note buy milk") == ["Noted."]
        assert await chat.ask("how many notes") == ["1"]
        assert await app.database.read(lambda conn: conn.exec_driver_sql("SELECT text FROM notes_note").all()) == [
            ("buy milk",)
        ]


async def test_the_long_way_is_a_plugin_too(tmp_path: Path) -> None:
    place(tmp_path, "actions", "Echo")
    async with running_app(home=tmp_path) as run:
        assert (await run.act("echo", {"text": "ho", "times": 11})).status == "refused"
        assert (await run.act("echo", {"text": "ho", "times": 3})).output == "ho ho ho"


async def test_what_a_plugin_keeps_of_a_person_is_exported_and_erased(tmp_path: Path) -> None:
    place(tmp_path, "storage", "Diary")
    async with offline_app(tmp_path) as (app, chat):
        diary = app.registry.get("plugin", "diary")
        assert diary is not None
        trainer, bob = Principal(chat.name, chat.trainer), Principal(chat.name, "bob")
        await chat.ask("/diary it rained")
        assert await diary.instance.export_person(trainer) == ["it rained"]
        assert await diary.instance.export_person(bob) == []
        assert await diary.instance.erase_person(bob) == 0
        assert await diary.instance.erase_person(trainer) == 1
        assert await diary.instance.export_person(trainer) == []
        await app.database.transact(lambda conn: conn.exec_driver_sql("DROP TABLE diary_line") and None)
        assert await diary.instance.export_person(trainer) is None
        assert await diary.instance.erase_person(trainer) == 0


async def test_small_values_outlive_a_restart(tmp_path: Path) -> None:
    place(tmp_path, "storage", "Counter")
    for number in ("1", "2"):
        async with offline_app(tmp_path) as (_app, chat):
            assert await chat.ask("/count") == [number]


async def test_configuration_reaches_the_plugin_and_an_unknown_key_is_its_own_error(tmp_path: Path) -> None:
    place(tmp_path, "configuration", "Greeter")
    place(tmp_path, "README", "Coin")
    (table,) = re.findall(r"```toml\n(.*?)```", page("configuration"), re.DOTALL)
    (tmp_path / "rekku.toml").write_text(table.replace(":-}", ":-a-secret}"), encoding="utf-8")
    async with offline_app(tmp_path) as (app, chat):
        assert await chat.ask("/greet Ada") == ["Ciao, Ada!"]
    (tmp_path / "rekku.toml").write_text('[plugins.greeter]\ngreting = "Ciao"\n', encoding="utf-8")
    async with offline_app(tmp_path) as (app, chat):
        broken = app.registry.get("plugin", "greeter")
        assert broken is not None
        assert broken.state == "failed"
        assert "greting" in broken.reason
        assert (await chat.ask("/toss"))[0] in ("heads", "tails")


async def test_periodic_jobs_are_planned_and_background_jobs_run(tmp_path: Path) -> None:
    place(tmp_path, "jobs")
    async with running_app(home=tmp_path) as run:
        await run.app.periodic.run_now("gauge", "look")
        await run.app.periodic.run_now("gauge", "good_morning")
        lighthouse = run.app.registry.get("plugin", "lighthouse")
        assert lighthouse is not None
        await run.clock.advance(30)
        assert lighthouse.instance.turns == 3


async def test_a_service_is_offered_and_used(tmp_path: Path) -> None:
    place(tmp_path, "context", "Room")
    async with offline_app(tmp_path) as (_app, chat):
        assert await chat.ask("/degrees") == ["21 degrees"]


async def test_every_hook_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    place(tmp_path, "hooks")
    engine = ScriptedEngine(
        actions(("roll_dice", {"sides": 20})),
        actions(("roll_dice", {"sides": 6})),
        message("I am Reku."),
        message("LOUD"),
        actions(),
    )
    async with running_app(home=tmp_path, engine=engine) as run:
        assert await run.interface.ask("ding dong") == ["Coming!\n— R."]
        assert engine.requests == []
        assert await run.interface.ask("be calm and roll") == ["I am Rekku.\n— R."]
        assert await run.interface.ask("shout") == []
        refused, rolled = await run.rows("SELECT status, reason, output FROM ledger WHERE action = 'roll_dice'")
        held = (await run.rows("SELECT status, reason FROM ledger WHERE action = 'message' ORDER BY id"))[-1]
    first, second, third = engine.requests[:3]
    assert first.instructions.endswith("\n- Say please and thank you.")
    assert "You sit at the desk of trainer." in first.messages[-2].content
    assert "roll_dice" not in {spec.type for spec in first.actions}
    assert first.temperature == 0.0
    assert "Only dice with six sides" in second.messages[-1].content
    assert refused["status"] == "denied"
    assert rolled["output"] in {f'"{number}"' for number in range(1, 7)}
    assert "a secret" in third.messages[-1].content
    assert held["status"] == "failed"
    assert "It shouts." in held["reason"]


async def test_an_interface_of_ones_own(tmp_path: Path) -> None:
    place(tmp_path, "interfaces", "Notebook", kind="interfaces")
    settings = load_settings({"REKKU_ENGINE": "offline"}, home=tmp_path)
    async with App(settings) as app:
        notebook: Any = app.interface("notebook")
        await notebook.write("1 + 1")
        await app.drained()
        assert notebook.file.read_text(encoding="utf-8") == "1 + 1 = 2\n"


async def test_an_engine_of_ones_own(tmp_path: Path) -> None:
    place(tmp_path, "engines", "Parrot", kind="engines")
    async with running_app(home=tmp_path, chain=("parrot",)) as run:
        assert await run.interface.ask("hello") == ["You said: hello"]


def test_the_page_about_testing_passes_its_own_test(tmp_path: Path) -> None:
    file = tmp_path / "_test_bell.py"
    file.write_text(plugins_of("testing")["Bell"], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(file)],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_table_of_rules_names_every_check() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "core" / "conformance").glob("*.py"))
    checks = set(re.findall(r'(?:\.ok|\.warn|\.fail|tell)\(\s*"([a-z ]+)"', sources)) | {"process"}
    text = page("README").split("## Rules that are checked")[1]
    cells = " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))
    assert set(re.findall(r"`([^`]+)`", cells)) == checks
