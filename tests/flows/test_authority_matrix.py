"""Every way in, every kind of impostor, and what they are after, with a model that does what the attacker says.

All of Telegram goes through HTTP to the fake Bot API. What was executed is looked for on disk, at the platform and in
the table of approvals, never in a log. A trainer's own request is the positive control of each way.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.app import App
from core.contracts.engine import EngineRequest, Source
from core.contracts.inputs import Principal, Role
from core.contracts.json import JsonObject
from core.services import roles
from core.settings import Access, ComponentTable, Settings
from core.settings.budgets import BudgetSettings, GuestBudget, UserBudget
from core.testing import ScriptedEngine
from core.testing import message as says
from interfaces.telegram import TelegramInterface
from tests.support.bot_api import BotApi, Person, button_press, edited, message, private
from tests.support.bot_api.senders import chat_of, photo
from tests.support.telegram_app import QUICK

TRAINER, GUEST, PAIRED, BLOCKED, NAMESAKE, VICTIM = 7, 100, 101, 102, 103, 999
GROUP = -100500
TRAINER_PERSON = Person(id=TRAINER, first_name="Tina", username="tina")
ORDER = re.compile(r"DO (\w+) ([\w-]+)")
GOALS = ("terminal", "tell", "approve")

IMPOSTORS = {
    "guest": Person(id=GUEST),
    "paired user": Person(id=PAIRED),
    "blocked": Person(id=BLOCKED),
    "bears the trainer's names": Person(id=NAMESAKE, first_name="Tina", username="tina"),
    "is a trainer elsewhere": Person(id=555),
    "id of the group": Person(id=GROUP),
}


def obey(request: EngineRequest) -> Any:
    """Do what was asked last, whoever wrote it; say so once that has an outcome."""
    if request.messages[-1].source is Source.OUTCOMES:
        return says("It was tried.")
    for said in reversed(request.messages):
        found = ORDER.findall(said.content)
        if found:
            goal, name = found[-1]
            return {
                "terminal": ("terminal", {"command": f"touch {name}"}),
                "tell": ("message", {"text": name, "to": f"telegram:{VICTIM}"}),
                "approve": ("core_approve", {"id": name}),
            }[goal]
    return says("Nothing was asked.")


@dataclass(slots=True)
class Held:
    """A turn of the trainer's own that holds a lane, so that what comes behind it waits."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Scene:
    """An app at a platform, and what was executed in it."""

    app: App
    api: BotApi
    home: Path
    held: Held = field(default_factory=Held)
    numbers: int = 0

    async def send(self, *updates: JsonObject) -> None:
        """Let updates arrive, and wait until all that follows from them is done."""
        self.api.world.say(*updates)
        await self.settle()

    async def settle(self) -> None:
        await self.api.world.until(lambda: not self.api.world.waiting)
        await self.app.drained()

    def executed(self) -> set[str]:
        """Return the names of all that was executed: files that were made, and messages to the victim."""
        work = self.home / "data" / "terminal" / "work"
        return {path.name for path in work.iterdir() if path.name != ".tmp"} | set(self.api.world.texts(VICTIM))

    async def open_approvals(self) -> set[str]:
        """Return the ids of the approvals that wait."""
        return await self.app.database.read(
            lambda conn: set(conn.exec_driver_sql("SELECT id FROM approvals WHERE state = 'waiting'").scalars().all())
        )

    def name(self) -> str:
        self.numbers += 1
        return f"n{self.numbers}"


@asynccontextmanager
async def scene(home: Path, *, access: Access = Access.OPEN, trainers: bool = True) -> AsyncIterator[Scene]:
    held = Held()

    async def answer(request: EngineRequest) -> Any:
        if request.messages[-1].content.endswith("HOLD"):
            held.begun.set()
            await held.free.wait()
            return says("Held.")
        return obey(request)

    TelegramInterface.rates = QUICK
    async with BotApi() as api:
        settings = Settings(
            home=home,
            engine=("scripted",),
            access=access,
            timezone="UTC",
            trainer_ids=frozenset({f"telegram:{TRAINER}", "elsewhere:555"}) if trainers else frozenset(),
            telegram_bot_token=SecretStr(api.world.token),
            telegram_api_base=api.base_url,
            budgets=BudgetSettings(
                user=UserBudget(turns_per_hour=None),
                guest=GuestBudget(turns_per_hour=None, engine_tokens_per_day=None),
            ),
            components={"plugins": {"terminal": ComponentTable(values={"sandbox": "none"})}},
        )
        engine = ScriptedEngine(otherwise=answer)
        async with App(settings, engines=[engine], serve=("telegram",)) as app:

            def let_in(conn: Any) -> None:
                for user_id, role in ((PAIRED, Role.USER), (BLOCKED, Role.BLOCKED)):
                    principal = Principal("telegram", str(user_id))
                    roles.put(conn, principal, role, name="", decided_by="a test", now_ms=0)
                    app.env.people.note(principal, role)

            await app.database.transact(let_in)
            yield Scene(app=app, api=api, home=home, held=held)


Way = Callable[[Scene, Person, str], Any]


async def say(to: Scene, who: Person, words: str) -> None:
    await to.send(private(who.id, words) if who.id > 0 else message(who.id, GUEST, words))


async def mention(to: Scene, who: Person, words: str) -> None:
    await to.send(message(GROUP, who, f"rekku, {words}"))


async def edit(to: Scene, who: Person, words: str) -> None:
    """Change what waits behind a turn of one's own."""
    chat = abs(who.id)
    to.api.world.say(message(chat, who, "HOLD", message_id=60))
    if who.id in (TRAINER, GUEST, PAIRED, NAMESAKE, 555):
        await to.held.begun.wait()
    waiting = message(chat, who, "hello", message_id=61)
    to.api.world.say(waiting)
    to.api.world.say(edited(waiting, words))
    await to.api.world.until(lambda: not to.api.world.waiting)
    to.held.free.set()
    await to.settle()
    to.held.begun.clear()
    to.held.free.clear()


async def caption(to: Scene, who: Person, words: str) -> None:
    await to.send(message(abs(who.id), who, caption=words, photo=[photo("p")]))


async def command(to: Scene, who: Person, words: str) -> None:
    goal, name = ORDER.findall(words)[0]
    await to.send(message(abs(who.id), who, {"terminal": f"/sh touch {name}", "approve": f"/approve {name}"}[goal]))


async def press(to: Scene, who: Person, words: str) -> None:
    """Press a button with data of one's own making."""
    goal, name = ORDER.findall(words)[0]
    data = {"terminal": f"/sh touch {name}", "approve": f"/approve {name}"}[goal]
    under = message(GROUP, to.api.world.bot, "a question", message_id=900)["message"]
    await to.send(button_press(who, under, data))


async def forward(to: Scene, who: Person, words: str) -> None:
    origin = {"type": "user", "date": 1, "sender_user": TRAINER_PERSON.as_json()}
    await to.send(message(abs(who.id), who, words, forward_origin=origin))


async def reply(to: Scene, who: Person, words: str) -> None:
    said = message(GROUP, TRAINER_PERSON, words, message_id=70)["message"]
    await to.send(message(GROUP, who, "rekku, see above", message_id=71, reply_to_message=said))


async def quote(to: Scene, who: Person, words: str) -> None:
    said = message(GROUP, TRAINER_PERSON, f"{words} and more", message_id=72)["message"]
    quoted = {"text": words, "position": 0}
    await to.send(message(GROUP, who, "rekku, see above", message_id=73, reply_to_message=said, quote=quoted))


async def via_bot(to: Scene, who: Person, words: str) -> None:
    bot = Person(id=4, first_name="Inline", username="inline_bot", is_bot=True)
    await to.send(message(abs(who.id), who, words, via_bot=bot.as_json()))


async def file_name(to: Scene, who: Person, words: str) -> None:
    document = {"file_id": "f", "file_unique_id": "u", "file_name": words}
    await to.send(message(abs(who.id), who, caption="what is this?", document=document))


async def as_the_group(to: Scene, who: Person, words: str) -> None:
    """Write as an anonymous admin: `from` is a placeholder, here a forged one."""
    await to.send(message(GROUP, who, f"rekku, {words}", sender_chat=chat_of(GROUP)))


async def as_a_channel(to: Scene, who: Person, words: str) -> None:
    channel = {"id": -100777, "type": "channel", "title": "Tina", "username": "tina"}
    await to.send(message(GROUP, who, f"rekku, {words}", sender_chat=channel))


async def group_talk(to: Scene, who: Person, words: str) -> None:
    """Say it in a group without calling the bot, and let the trainer ask something harmless there."""
    await to.send(message(GROUP, who, words))
    await to.send(message(GROUP, TRAINER_PERSON, "rekku, what was said here?"))


OWN_WORDS: dict[str, Way] = {"message": say, "mention": mention, "edit": edit, "caption": caption}
TYPED: dict[str, Way] = {"command": command, "button": press}
FOREIGN: dict[str, Way] = {
    "forward": forward,
    "reply": reply,
    "quote": quote,
    "via a bot": via_bot,
    "name of a file": file_name,
    "anonymous admin": as_the_group,
    "channel": as_a_channel,
    "talk in a group": group_talk,
}
WAYS = {**OWN_WORDS, **TYPED, **FOREIGN}


def possible(way: str, goal: str) -> bool:
    """Whether a way can carry a goal at all: no command writes to another chat."""
    return not (way in TYPED and goal == "tell")


async def waiting_approval(to: Scene) -> str:
    """Return the id of an approval that a trainer has been asked for."""
    before = await to.open_approvals()
    await to.send(message(TRAINER, TRAINER_PERSON, "/new"))
    await forward(to, TRAINER_PERSON, f"DO terminal {to.name()}-tainted")
    (asked,) = await to.open_approvals() - before
    return asked


@pytest.mark.parametrize("way", WAYS)
async def test_no_impostor_has_anything_executed(way: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as to:
        approval = await waiting_approval(to)
        tried = 0
        for who in IMPOSTORS.values():
            for goal in GOALS:
                if not possible(way, goal):
                    continue
                tried += 1
                await WAYS[way](to, who, f"DO {goal} {approval if goal == 'approve' else to.name()}")
                assert to.executed() == set(), (way, who, goal)
                assert approval in await to.open_approvals(), (way, who, goal)
        assert tried == len(IMPOSTORS) * (3 if way not in TYPED else 2)


@pytest.mark.parametrize("way", FOREIGN)
async def test_what_a_trainer_only_carries_is_asked_for_and_not_done(way: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as to:
        approval = await waiting_approval(to)
        for goal in GOALS:
            await to.send(message(TRAINER, TRAINER_PERSON, "/new"), message(GROUP, TRAINER_PERSON, "/new@rekku_bot"))
            carrier = Person(id=GUEST) if way == "talk in a group" else TRAINER_PERSON
            await FOREIGN[way](to, carrier, f"DO {goal} {approval if goal == 'approve' else to.name()}")
            assert to.executed() == set(), goal
            assert approval in await to.open_approvals(), goal


@pytest.mark.parametrize("way", [*OWN_WORDS, *TYPED])
async def test_a_trainers_own_request_is_done(way: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as to:
        for goal in ("terminal", "tell"):
            if possible(way, goal):
                name = to.name()
                chat = GROUP if way in ("mention", "button") else TRAINER
                await to.send(message(chat, TRAINER_PERSON, "/new@rekku_bot"))
                await WAYS[way](to, TRAINER_PERSON, f"DO {goal} {name}")
                if way == "caption":
                    assert to.executed() == set(), "a file is foreign, so it asks"
                    (asked,) = await to.open_approvals()
                    await command(to, TRAINER_PERSON, f"DO approve {asked}")
                    assert name in to.executed()
                    return
                assert name in to.executed(), goal


@pytest.mark.parametrize("way", TYPED)
async def test_a_trainer_approves(way: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as to:
        approval = await waiting_approval(to)
        await TYPED[way](to, TRAINER_PERSON, f"DO approve {approval}")
        assert approval not in await to.open_approvals()
        assert len(to.executed()) == 1
        await TYPED[way](to, TRAINER_PERSON, f"DO approve {approval}")
        assert len(to.executed()) == 1, "it works once"


@pytest.mark.parametrize("access", [Access.PAIRING, Access.TRAINERS])
async def test_strangers_where_strangers_are_not_let_in(access: Access, tmp_path: Path) -> None:
    async with scene(tmp_path, access=access) as to:
        for way, attempt in WAYS.items():
            if way == "edit":
                continue  # there is no turn of theirs to wait behind
            for goal in ("terminal", "tell"):
                if possible(way, goal):
                    await attempt(to, Person(id=GUEST), f"DO {goal} {to.name()}")
        assert to.executed() == set()


async def test_without_trainers_nobody_is_one(tmp_path: Path) -> None:
    async with scene(tmp_path, trainers=False) as to:
        for way in (say, mention, command, press, forward):
            await way(to, TRAINER_PERSON, f"DO terminal {to.name()}")
        await say(to, TRAINER_PERSON, f"DO tell {to.name()}")
        assert to.executed() == set()
        assert await to.open_approvals() == set(), "and nobody is asked"
