"""`rekku people`: of two people in one database one is exported and erased whole, and the other is not touched."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.contracts.deliveries import Delivery
from core.contracts.engine import EngineRequest
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Address, Origin, Principal, Quoted, Role
from core.services import history, outbox, roles
from core.settings import Access
from core.testing import RunningApp, ScriptedEngine, actions, message, running_app
from tests.flows.test_command_line import answer, refused, rekku

ANN, BOB, BOSS = "ann-7f3", "bob-9c2", "boss-1e5"
SECRET = "sk-not-for-anybody"
SAID = (
    *("private", "group", "heard", "edited", "answer", "diary", "reminder", "remember", "dice", "after"),
    *("notice", "summary", "name"),
)
ASK = ({"verdict": "ask", "action": "roll_dice"},)
DIARY = '''
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select

from core.ai_plugin_base import ActionContext, AIPluginBase, action

lines = Table(
    "diary_line", metadata := MetaData(),
    Column("id", Integer, primary_key=True), Column("whose", String(190)), Column("text", String(500)),
)


class Diary(AIPluginBase):
    """Keeps a diary for each."""

    async def start(self):
        await self.context.database.transact(metadata.create_all)

    @action(effect="local", permission="anyone", command="diary")
    async def write_diary(self, ctx: ActionContext, text: str) -> str:
        """Write a line."""
        ctx.write(lambda conn: conn.execute(insert(lines), {"whose": str(ctx.principal), "text": text}))
        return "Written."

    async def export_person(self, principal):
        mine = select(lines.c.text).where(lines.c.whose == str(principal))
        return await self.context.database.read(lambda conn: list(conn.execute(mine).scalars()))

    async def erase_person(self, principal):
        mine = delete(lines).where(lines.c.whose == str(principal))
        return await self.context.database.transact(lambda conn: conn.execute(mine).rowcount)


PLUGIN_CLASS = Diary
'''
BROKEN = '''
from core.ai_plugin_base import AIPluginBase


class Broken(AIPluginBase):
    """Cannot say."""

    async def export_person(self, principal):
        return {object()}

    async def erase_person(self, principal):
        raise RuntimeError("the cupboard is locked")


PLUGIN_CLASS = Broken
'''


def _answers(request: EngineRequest) -> str:
    """Answer in the words of whoever speaks; a summary holds the words of all."""
    said = request.messages[-1].content
    for word in ("zebra", "walrus"):
        if f"{word}-plan" in said:
            return actions(("create_reminder", {"text": f"{word}-reminder", "when": "tomorrow at 9"}))
        if f"{word}-dice" in said:
            return actions(("roll_dice", {"sides": 6}))
        if f"{word}-" in said:
            return message(f"{word}-answer")
    return message("hm")


async def _lives(kit: RunningApp, who: str, word: str) -> None:
    """Let somebody do all that leaves something behind; `word` stands in every text of theirs."""
    said = {"user_id": who, "author_name": f"{word}-name"}
    principal = Principal("test", who)
    now_ms = kit.clock.now_ms()
    await kit.app.database.transact(
        lambda conn: roles.put(
            conn, principal, Role.USER, name=f"{word}-name", decided_by=f"test:{BOSS}", now_ms=now_ms
        )
    )
    await kit.app.env.people.refresh(kit.app.database)
    chat = kit.interface
    await chat.ask(f"{word}-private", **said)
    await chat.ask(f"{word}-group", chat_id="room", **said)
    await chat.say(f"{word}-heard", chat_id="room", addressed=False, **said)
    other = "walrus" if word == "zebra" else "zebra"
    if word == "zebra":  # what is quoted of somebody else is not hers
        quoted = Quoted(relation="reply", author=f"{other}-name", text=f"{other}-quoted")
        await chat.ask(f"{word}-quoting", chat_id="room", quoted=(quoted,), **said)
    await chat.say(f"{word}-edited", data={"edit_of": "nothing"}, **said)
    await chat.ask(f"{word}-thread", chat_id=who, **said)
    await chat.ask(f"/diary {word}-diary", **said)
    await chat.ask(f"/remind in 9 hours to {word}-remember", **said)
    await chat.ask("/timezone Europe/Rome", **said)
    await chat.ask(f"{word}-plan", **said)
    await chat.ask(f"{word}-dice", **said)
    await chat.ask(f"{word}-dice", chat_id="room", **said)
    await chat.ask("/new", **said)
    await chat.ask(f"{word}-after", **said)
    parts = await kit.app.env.outgoing.prepare(
        _context(kit, principal), Delivery(address=chat.input("", user_id=who).address, text=f"{word}-notice")
    )
    await kit.app.database.transact(lambda conn: outbox.put(conn, parts, 0, now_ms))
    for lane in (f"test:{who}", "test:room"):
        session = await kit.app.database.transact(lambda conn, at=lane: history.open_session(conn, at, now_ms))  # type: ignore[misc]
        text = f"{session.summary} {word}-summary".strip()
        await kit.app.database.transact(
            lambda conn, s=session, t=text: history.summarized(conn, s.id, s.summarized_to + 1, t, False)  # type: ignore[misc]
        )


def _context(kit: RunningApp, principal: Principal) -> TurnContext:
    return TurnContext(
        turn_id=0,
        principal=principal,
        role=Role.USER,
        address=Address("test", principal.user_id),
        origin=Origin.SYSTEM,
    )


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which Ann ("zebra") and Bob ("walrus") have done the same, and a stranger was given a code."""
    home = tmp_path_factory.mktemp("people") / "home"
    asyncio.run(_live(home))
    return home


async def _live(home: Path) -> None:
    (home / "plugins").mkdir(parents=True)
    (home / "plugins" / "diary.py").write_text(DIARY, encoding="utf-8")
    engine = ScriptedEngine(otherwise=_answers)
    settings: dict[str, Any] = {
        "trainer_ids": frozenset({f"test:{BOSS}"}),
        "access": Access.PAIRING,
        "policy_rules": ASK,
    }
    async with running_app(home=home, engine=engine, **settings) as kit:
        await _lives(kit, ANN, "zebra")
        await _lives(kit, BOB, "walrus")
        await kit.interface.ask("let me in", user_id="cat-5d4", author_name="lynx-name")
        rows = await kit.rows(
            "SELECT id FROM approvals WHERE principal = :who ORDER BY created_at_ms", who=f"test:{ANN}"
        )
        await kit.interface.ask(f"/approve {rows[0]['id']}", user_id=BOSS)
        await kit.app.drained()


@pytest.fixture
def home(lived_in: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    copy = tmp_path / "home"
    (copy / "plugins").mkdir(parents=True, mode=0o700)
    (copy / "plugins" / "diary.py").write_text(DIARY, encoding="utf-8")
    with closing(sqlite3.connect(lived_in / "rekku.db")) as source, closing(sqlite3.connect(copy / "rekku.db")) as to:
        source.backup(to)
    return copy


def cells(home: Path) -> Iterator[tuple[str, str]]:
    """Every cell of every table of the database, as (place, text)."""
    with closing(sqlite3.connect(home / "rekku.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            found = database.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in found.description]
            for row in found:
                yield from ((f"{name}.{column}", str(value)) for column, value in zip(columns, row, strict=True))


def holding(home: Path, *words: str) -> set[str]:
    """The columns in which one of these words stands."""
    return {place for place, text in cells(home) if any(word in text for word in words)}


def rows_without(home: Path, *words: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Every row of every table in which none of these words stands."""
    with closing(sqlite3.connect(home / "rekku.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            (name, row)
            for name in sorted(names)
            for row in database.execute(f'SELECT * FROM "{name}"')
            if not any(word in str(value) for word in words for value in row)
        ]


def test_what_was_lived_is_in_every_table(home: Path) -> None:
    """Or the tests below would show little."""
    tables = {place.partition(".")[0] for place in holding(home, "zebra", ANN)}
    assert tables >= {
        "approvals",
        "compensations",
        "diary_line",
        "inbox",
        "ledger",
        "messages",
        "outbox",
        "people",
        "reminders",
        "replies",
        "sessions",
        "turns",
        "zones",
    }
    assert holding(home, "lynx", "cat-5d4") >= {"pairings.name", "pairings.principal", "notices.principal"}


def test_everybody_is_listed(home: Path) -> None:
    rows = answer(rekku(home, "people", "list", "--json", settings={"TRAINER_IDS": f"test:{BOSS}"}))
    roles_of = {row["principal"]: row["role"] for row in rows}
    assert roles_of == {f"test:{ANN}": "user", f"test:{BOB}": "user", f"test:{BOSS}": "trainer", "test:cat-5d4": ""}
    table = rekku(home, "people", "list").stdout
    assert table.splitlines()[0].split() == ["PRINCIPAL", "ROLE", "NAME", "TURNS", "LAST", "TURN"]
    assert f"test:{ANN}" in table


@pytest.mark.parametrize(
    ("who", "word", "others"), [(ANN, "zebra", ("walrus", BOB)), (BOB, "walrus", ("zebra", ANN))]
)
def test_an_export_holds_all_of_one_and_nothing_of_another(
    home: Path, who: str, word: str, others: tuple[str, ...]
) -> None:
    ended = rekku(home, "people", "export", f"test:{who}")
    found = answer(ended)
    for other in (*others, BOSS, "lynx", "cat-5d4"):
        assert other not in ended.stdout
    text = ended.stdout
    assert [each for each in SAID if f"{word}-{each}" not in text] == []
    assert found["principal"] == f"test:{who}"
    assert found["components"] == {"plugin.diary": [f"{word}-diary"]}
    assert found["failed"] == {}
    tables = found["tables"]
    assert tables["zones"] == [{"principal": f"test:{who}", "zone": "Europe/Rome"}]
    assert {row["text"] for row in tables["reminders"]} == {f"{word}-remember", f"{word}-reminder"}
    assert all(row["turn_id"] in {turn["id"] for turn in tables["turns"]} for row in tables["ledger"])
    assert tables["steps"] != []
    assert {row["principal"] for row in tables["people"]} == {f"test:{who}"}
    assert "lease_owner" not in tables["inbox"][0]


def test_an_export_is_a_file_for_its_owner_alone_without_secrets(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "rekku.db")) as database, database:
        database.execute("UPDATE messages SET text = ? WHERE text = 'zebra-private'", (f"my key {SECRET}",))
    target = tmp_path / "ann.json"
    arguments = ("people", "export", f"test:{ANN}", "--to", str(target))
    said = rekku(home, *arguments, settings={"OPENAI_API_KEY": SECRET})
    assert said.returncode == 0, said.stderr
    assert said.stdout.endswith(f" tables written to {target}.\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    text = target.read_text(encoding="utf-8")
    assert SECRET not in text
    assert "my key [OPENAI_API_KEY]" in text
    assert json.loads(text)["tables"].keys() >= {"messages", "turns"}
    assert "is there already" in refused(rekku(home, *arguments), 1)
    assert rekku(home, *arguments, "--force").returncode == 0
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_nothing_is_left_of_who_was_erased_and_the_others_are_untouched(home: Path) -> None:
    before = answer(rekku(home, "people", "export", f"test:{BOB}"))
    untouched = [
        (table, row)
        for table, row in rows_without(home, "zebra", ANN)
        if table in ("messages", "inbox", "reminders", "zones", "people", "diary_line", "pairings", "notices")
    ]
    keys = "SELECT interface, dedupe_key FROM inbox ORDER BY id"
    with closing(sqlite3.connect(home / "rekku.db")) as database:
        known = [key for key in database.execute(keys) if not key[1].startswith("reminder:")]

    gone = answer(rekku(home, "people", "erase", f"test:{ANN}", "--yes", "--json"))
    assert gone["failed"] == {}
    assert gone["components"] == {"plugin.diary": 1}
    assert gone["erased"].keys() == {
        "approvals",
        "compensations",
        "inbox",
        "ledger",
        "messages",
        "outbox",
        "people",
        "reminders",
        "replies",
        "sessions",
        "steps",
        "turns",
        "zones",
    }

    assert holding(home, "zebra", ANN) == set()
    after = rows_without(home, "zebra", ANN)
    assert [row for row in untouched if row not in after] == []
    exported = answer(rekku(home, "people", "export", f"test:{BOB}"))
    assert {**exported, "exported_at_ms": 0} == {**before, "exported_at_ms": 0}
    with closing(sqlite3.connect(home / "rekku.db")) as database:
        left = set(database.execute(keys))
    assert [key for key in known if key not in left] == [], "an update that came again would be taken again"
    assert rekku(home, "people", "erase", f"test:{ANN}", "--yes").stdout == f"Nothing is stored of test:{ANN}.\n"
    listed = answer(rekku(home, "people", "list", "--json"))
    assert f"test:{ANN}" not in {row["principal"] for row in listed}


def test_the_question_counts_and_anything_but_yes_deletes_nothing(home: Path) -> None:
    said = rekku(home, "people", "erase", f"test:{ANN}", stdin="no\n")
    assert said.returncode == 1
    assert "  reminders: 2\n" in said.stderr
    assert "Nothing was deleted." in said.stderr
    assert rekku(home, "people", "erase", f"test:{ANN}").returncode == 1
    assert holding(home, "zebra-private") != set()
    done = rekku(home, "people", "erase", f"test:{ANN}", stdin="yes\n")
    assert done.returncode == 0, done.stderr
    assert "reminders: 2\n" in done.stdout
    assert holding(home, "zebra", ANN) == set()


def test_a_block_stays_unless_it_is_to_be_forgotten(home: Path) -> None:
    blocked = ("pairing", "block", f"test:{ANN}")
    assert rekku(home, *blocked).returncode == 0
    assert rekku(home, "people", "erase", f"test:{ANN}", "--yes").returncode == 0
    assert holding(home, "zebra", ANN) == {"people.principal"}
    rows = answer(rekku(home, "pairing", "list", "--json"))
    assert [(row["role"], row["name"]) for row in rows if row["principal"] == f"test:{ANN}"] == [("blocked", "")]
    assert rekku(home, "people", "erase", f"test:{ANN}", "--yes", "--forget-block").returncode == 0
    assert holding(home, ANN) == set()


def test_a_stranger_and_a_trainer_can_be_erased_too(home: Path) -> None:
    assert rekku(home, "people", "erase", "test:cat-5d4", "--yes").returncode == 0
    assert holding(home, "lynx", "cat-5d4") == set()
    said = rekku(home, "people", "erase", f"test:{BOSS}", "--yes", settings={"TRAINER_IDS": f"test:{BOSS}"})
    assert said.returncode == 0
    assert f"test:{BOSS} is still a trainer" in said.stderr
    assert holding(home, BOSS) == set()
    assert holding(home, "zebra-private") != set()


def test_a_value_that_still_names_them_is_told(home: Path) -> None:
    with closing(sqlite3.connect(home / "rekku.db")) as database, database:
        row = "INSERT INTO kv (owner, key, value) VALUES (?, ?, ?)"
        database.execute(row, ("plugin.old", "last", f'["test:{ANN}", 3]'))
        database.execute(row, ("plugin.other", f"test:{ANN}x", f'"test:{ANN}-2"'))
    said = rekku(home, "people", "erase", f"test:{ANN}", "--yes", "--json")
    assert answer(said, 1)["failed"] == {"plugin.old": "a value in its store still names them"}


def test_a_component_that_cannot_say_is_told_and_the_rest_is_done(home: Path) -> None:
    (home / "plugins" / "broken.py").write_text(BROKEN, encoding="utf-8")
    ended = rekku(home, "people", "export", f"test:{ANN}")
    found = answer(ended, 1)
    assert "plugin.broken cannot say" in ended.stderr
    assert found["failed"].keys() == {"plugin.broken"}
    assert found["components"] == {"plugin.diary": ["zebra-diary"]}
    said = rekku(home, "people", "erase", f"test:{ANN}", "--yes")
    assert said.returncode == 1
    assert "plugin.broken may still keep something" in said.stderr
    assert "the cupboard is locked" in said.stderr
    assert holding(home, "zebra", ANN) == set()


@pytest.mark.parametrize("command", ["export", "erase"])
def test_a_name_is_no_principal(home: Path, command: str) -> None:
    said = rekku(home, "people", command, "telegram:ann")
    assert said.returncode == 2
    assert "holds a name" in said.stderr
