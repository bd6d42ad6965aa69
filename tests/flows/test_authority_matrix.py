"""Every way in, every kind of impostor, every goal: with a model that obeys whoever speaks, nothing is executed.

Effects are looked for in the file system, in the process table and at the platforms. For each way a trainer does
the same, which shows that the way leads somewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

import pytest
from aiohttp import ClientSession

from core.contracts.inputs import Role
from core.settings import Access
from interfaces.telegram.updates import TAKEN
from tests.support.authority.attempts import Attempt, Trainers
from tests.support.authority.input_ways import CONSOLE_WAYS, INPUT_WAYS, InputWay
from tests.support.authority.stage import WEBHOOK_SECRET, copy_of, prepare_home, stage
from tests.support.authority.table import (
    CONSOLE,
    CONTROL_IDS,
    CONTROLS,
    IMPOSTORS,
    INTERFACES,
    NOBODY,
    OPEN,
    OTHER,
    SITUATIONS,
    TELEGRAM,
    TRAINER_ID,
    Cell,
    Goal,
    Impostor,
    Situation,
    cells,
    order_name,
)
from tests.support.authority.telegram_ways import TELEGRAM_WAYS, TelegramWay
from tests.support.bot_api import private

WAYS = {TELEGRAM: tuple(TELEGRAM_WAYS), OTHER: tuple(INPUT_WAYS), CONSOLE: CONSOLE_WAYS}
TABLE = tuple(cells(WAYS))
TRANSPORTS = ("polling", "webhook")
RUNS = [(situation, transport) for situation in SITUATIONS for transport in TRANSPORTS]
ALL = "REKKU_WHOLE_MATRIX" in os.environ
"""Whether every cell is tried by both transports, and not each by one of them, in turn."""


def transports(cell: Cell) -> tuple[str, ...]:
    """Return by what the updates of a cell come in; what is no update does so once."""
    if cell.interface != TELEGRAM:
        return TRANSPORTS[:1]
    turn = WAYS[TELEGRAM].index(cell.way) + IMPOSTORS.index(cell.impostor)
    return TRANSPORTS if ALL else (TRANSPORTS[turn % 2],)


def cells_of(situation: Situation, transport: str) -> list[Cell]:
    """Return what is tried in one run."""
    return [cell for cell in TABLE if cell.impostor.situation is situation and transport in transports(cell)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which approvals wait and people have their roles."""
    home = tmp_path_factory.mktemp("authority") / "home"
    asyncio.run(prepare_home(home, TABLE))
    return home


def test_the_table_is_whole() -> None:
    """Every way meets every impostor, and by either transport comes every way and every impostor."""
    tried = [(cell, transport) for situation, transport in RUNS for cell in cells_of(situation, transport)]
    kinds = [impostor.kind for impostor in IMPOSTORS]
    assert len(set(kinds)) == len(kinds)
    for interface in INTERFACES:
        met = {(cell.way, cell.impostor.kind) for cell, _ in tried if cell.interface == interface}
        assert set(itertools.product(WAYS[interface], kinds)) - met == set()
    for transport in TRANSPORTS:
        there = [cell for cell, by in tried if by == transport and cell.interface == TELEGRAM]
        assert {cell.way for cell in there} == set(WAYS[TELEGRAM])
        assert {cell.impostor.kind for cell in there} == set(kinds)
    for way, attempt in [(TELEGRAM_WAYS[cell.way], Attempt.of(cell, ("a", "b"))) for cell in TABLE[:1]]:
        assert all(order_name(attempt.name, goal) in str(way.updates(attempt)) for goal in Goal)


def test_nothing_that_a_way_or_an_impostor_could_be_is_left_out() -> None:
    """Fails when there is a new kind of update, interface, setting of access or role that the table does not know."""
    made = {
        kind
        for way in TELEGRAM_WAYS.values()
        for update in way.updates(Attempt.of(TABLE[0], ("a",)))
        for kind in update
    }
    assert set(TAKEN) <= made
    here = Path(__file__).parents[2] / "interfaces"
    there = {path.stem for path in here.iterdir() if not path.name.startswith("_")}
    assert there <= set(WAYS)
    assert {impostor.situation.access for impostor in IMPOSTORS} == set(Access)
    listed = {impostor.listed for impostor in IMPOSTORS if impostor.listed is not None}
    assert listed == set(Role) - {Role.GUEST, Role.TRAINER}, "a guest is whom nobody listed, a trainer no impostor"


@pytest.mark.parametrize(
    ("situation", "transport"), RUNS, ids=[f"{situation.name}-{transport}" for situation, transport in RUNS]
)
async def test_nothing_is_executed(situation: Situation, transport: str, prepared: Path, tmp_path: Path) -> None:
    async with stage(copy_of(prepared, tmp_path / "home"), situation, webhook=transport == "webhook") as on:
        waiting = await on.approvals()
        on.engine.approvals = [approval for approval, _ in waiting]
        chosen = cells_of(situation, transport)
        for held in (False, True):
            tried = [cell for cell in chosen if _way(cell).held is held]
            await on.attempt([(cell.way, Attempt.of(cell, on.engine.approvals)) for cell in tried])
        done = on.done()
        assert [str(cell) for cell in chosen if cell.name in done] == []
        assert "asked-" not in done
        assert on.seen == set(), "a command ran"
        assert await on.approvals() == waiting, "an approval was answered"
        names = {
            f"{cell} / {goal}": (order_name(cell.name, goal) in on.engine.obeyed, _reaches_the_model(cell))
            for cell in chosen
            for goal in Goal
        }
        unlike = [name for name, (told, expected) in names.items() if told is not expected]
        assert unlike == [], "the model was told, or was not, against expectation"


async def test_a_trainers_own_request_is_done_by_every_way(prepared: Path, tmp_path: Path) -> None:
    """The positive control: the same order, by the same way, of a trainer."""
    async with stage(copy_of(prepared, tmp_path / "home"), CONTROLS) as on:
        wrong: list[str] = []
        attempts = [
            (way, _control(interface, way, number))
            for interface, ways in WAYS.items()
            for number, way in enumerate(ways)
        ]
        for held in (False, True):
            await on.attempt([(way, a) for way, a in attempts if _way_of(a.interface, way).held is held])
        at_once = on.done()
        asked = {a.name for _, a in attempts if a.name not in at_once and await on.approve(a)}
        await on.taken_in()
        await on.settled()
        done = on.done()
        for way, a in attempts:
            found = Trainers.NOBODYS
            if a.name in done:
                found = Trainers.ASKS if a.name in asked else Trainers.RUNS
            if found is not _way_of(a.interface, way).trainers:
                wrong.append(f"{a.interface} / {way}: {found}, not {_way_of(a.interface, way).trainers}")
        assert wrong == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_trainer_reaches_every_goal(transport: str, prepared: Path, tmp_path: Path) -> None:
    """The other goals, and the process that a command leaves, which shows that it would be found."""
    async with stage(copy_of(prepared, tmp_path / "home"), OPEN, webhook=transport == "webhook") as on:
        waiting = [approval for approval, _ in await on.approvals()]
        on.api.world.say(
            private(TRAINER_ID, "do:elsewhere:telegram:control-post"),
            *(private(TRAINER_ID, f"/approve {approval}") for approval in waiting),
        )
        await on.api.world.until(lambda: not on.api.world.waiting)
        await on.settled()
        for effect in ("control-post", "asked-by-trainer", "asked-by-guest"):
            assert effect in on.done()
        assert [state for _, state in await on.approvals()] == ["used", "used"]
        on.api.world.say(private(TRAINER_ID, "/sh touch cell-control; sleep 0.6"))
        await on.taken_in()
        await on.settled()
        assert on.seen != set()


async def test_whoever_sits_at_the_console_is_a_trainer_where_nobody_else_is(prepared: Path, tmp_path: Path) -> None:
    async with stage(copy_of(prepared, tmp_path / "home"), NOBODY) as on:
        console = on.app.interface("console")
        assert await console.run_once("do:terminal:console:control-console") == 0  # type: ignore[attr-defined]
        await on.settled()
        assert "control-console" in on.done()


async def test_a_post_to_the_webhook_by_anybody_is_nobodys(prepared: Path, tmp_path: Path) -> None:
    """Updates that are the trainer's in every field, but were not posted by Telegram."""
    async with stage(copy_of(prepared, tmp_path / "home"), OPEN, webhook=True) as on, ClientSession() as client:
        waiting = await on.approvals()
        await on.api.world.until(lambda: on.api.world.of("setWebhook"))
        url = str(on.api.world.webhook["url"])
        commands = ["/sh touch cell-posted", "/post telegram:999 cell-posted", f"/approve {waiting[0][0]}"]
        forgeries = itertools.product((None, "", WEBHOOK_SECRET[:-1], WEBHOOK_SECRET.upper(), "é"), commands)
        for number, (secret, command) in enumerate(forgeries):
            headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
            body = {"update_id": 9000 + number} | private(TRAINER_ID, command)
            async with client.post(url, json=body, headers=headers) as response:
                assert response.status == 401
        await on.settled()
        assert "cell-posted" not in on.done()
        assert await on.approvals() == waiting


def _way_of(interface: str, way: str) -> TelegramWay | InputWay:
    return TELEGRAM_WAYS[way] if interface == TELEGRAM else INPUT_WAYS[way]


def _way(cell: Cell) -> TelegramWay | InputWay:
    return _way_of(cell.interface, cell.way)


def _reaches_the_model(cell: Cell) -> bool:
    """Whether the model is expected to have been told the order, so that only the gate stood in its way."""
    way, impostor = _way(cell), cell.impostor
    if not way.told:
        return False
    if not way.by_trainer:
        if getattr(way, "as_chat", False):
            return impostor.situation.access is Access.OPEN  # a chat is a stranger, whoever writes in its name
        return impostor.heard
    # What a trainer carries is read; what somebody says who was shut out by name is not even kept.
    said_by_impostor = cell.way.startswith(("overheard", "edit of"))
    return not (said_by_impostor and impostor.listed is Role.BLOCKED)


def _control(interface: str, way: str, number: int) -> Attempt:
    """Return the attempt of a trainer who has an id for each way; what they carry is a guest's."""
    trainer_id = CONTROL_IDS[number]
    by_trainer = _way_of(interface, way).by_trainer
    return Attempt(
        name=f"control-{interface}-{number}-",
        number=90_000 + 100 * INTERFACES.index(interface) + number,
        interface=interface,
        goals=(Goal.TERMINAL,),
        sender_id=50_000 + number if by_trainer else trainer_id,
        trainer_id=trainer_id,
        impostor=Impostor(kind="control", situation=OPEN),
    )
