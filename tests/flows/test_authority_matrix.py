"""Every way in, every kind of impostor, every goal: with a model that obeys whoever speaks, nothing is executed.

Effects are looked for in the file system, in the process table and at the platforms. For each way a trainer does
the same, which shows that the way leads somewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from core.contracts.inputs import Role
from core.settings import Access
from interfaces.telegram.updates import TAKEN
from tests.support.authority.attempts import Attempt, Trainers
from tests.support.authority.input_ways import CONSOLE_WAYS, INPUT_WAYS
from tests.support.authority.stage import WEBHOOK_SECRET, Stage, copy_of, prepare_home, stage
from tests.support.authority.table import (
    CONSOLE,
    CONTROL_IDS,
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
)
from tests.support.authority.telegram_ways import TELEGRAM_WAYS
from tests.support.bot_api import private

WAYS = {TELEGRAM: tuple(TELEGRAM_WAYS), OTHER: tuple(INPUT_WAYS), CONSOLE: CONSOLE_WAYS}
TABLE = tuple(cells(WAYS))
TRANSPORTS = ("polling", "webhook")
RUNS = [(situation, transport) for situation in SITUATIONS for transport in TRANSPORTS]


def cells_of(situation: Situation, transport: str) -> list[Cell]:
    """Return what is tried in one run; what does not go through Telegram is tried in one of the two."""
    return [
        cell
        for cell in TABLE
        if cell.impostor.situation is situation and (cell.interface == TELEGRAM or transport == "polling")
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which approvals wait and people have their roles."""
    import asyncio

    home = tmp_path_factory.mktemp("authority") / "home"
    asyncio.run(prepare_home(home, TABLE))
    yield home


def test_the_table_is_whole() -> None:
    tried = {
        (transport, cell.interface, cell.way, cell.impostor.kind, cell.goal)
        for situation, transport in RUNS
        for cell in cells_of(situation, transport)
    }
    kinds = [impostor.kind for impostor in IMPOSTORS]
    wanted = {
        (transport, interface, way, kind, goal)
        for interface in INTERFACES
        for transport in (TRANSPORTS if interface == TELEGRAM else TRANSPORTS[:1])
        for way, kind, goal in itertools.product(WAYS[interface], kinds, Goal)
    }
    assert wanted - tried == set()
    assert len(set(kinds)) == len(kinds)


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
            await on.attempt([(cell.way, Attempt.of(cell, on.engine.approvals)) for cell in tried], held=held)
        done = on.done()
        assert [str(cell) for cell in chosen if cell.name in done] == []
        assert "asked-" not in done
        assert on.processes() == []
        assert await on.approvals() == waiting, "an approval was answered"
        silent = [str(cell) for cell in chosen if _reaches_the_model(cell) is not (cell.name in on.engine.obeyed)]
        assert silent == [], "the model was told, or was not, against expectation"


async def test_a_trainers_own_request_is_done_by_every_way(prepared: Path, tmp_path: Path) -> None:
    """The positive control: the same order, by the same way, of a trainer."""
    async with stage(copy_of(prepared, tmp_path / "home"), OPEN) as on:
        wrong: list[str] = []
        tried = [
            (interface, way, Goal.TERMINAL, number)
            for interface, ways in WAYS.items()
            for number, way in enumerate(ways)
        ]
        attempts = [(way, _control(interface, way, goal, number)) for interface, way, goal, number in tried]
        for held in (False, True):
            await on.attempt([(way, a) for way, a in attempts if _way_of(a.interface, way).held is held], held=held)
        for way, a in attempts:
            expected, found = _way_of(a.interface, way).trainers, Trainers.RUNS
            if a.name not in on.done():
                asked = await on.press_once(a.name, a.trainer_id)
                found = Trainers.ASKS if asked and a.name in on.done() else Trainers.NOBODYS
            if a.interface == CONSOLE and expected is Trainers.ASKS:
                expected = Trainers.NOBODYS  # its question has no buttons
            if found is not expected:
                wrong.append(f"{a.interface} / {way}: {found}, not {expected}")
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
        on.api.world.say(private(TRAINER_ID, "/sh touch cell-control; sleep 60"))
        assert await on.running()
        on.api.world.say(private(TRAINER_ID, "/stop"))
        await on.api.world.until(lambda: not on.api.world.waiting)
        await on.settled()


async def test_whoever_sits_at_the_console_is_a_trainer_where_nobody_else_is(prepared: Path, tmp_path: Path) -> None:
    async with stage(copy_of(prepared, tmp_path / "home"), NOBODY) as on:
        console = on.app.interface("console")
        assert await console.run_once("do:terminal:console:control-console") == 0  # type: ignore[attr-defined]
        await on.settled()
        assert "control-console" in on.done()


@pytest.mark.parametrize("secret", [None, "", WEBHOOK_SECRET[:-1], WEBHOOK_SECRET.upper(), "é"])
async def test_a_post_to_the_webhook_by_anybody_is_nobodys(secret: str | None, prepared: Path, tmp_path: Path) -> None:
    """An update that is the trainer's in every field, but was not posted by Telegram."""
    async with stage(copy_of(prepared, tmp_path / "home"), OPEN, webhook=True) as on, ClientSession() as client:
        waiting = await on.approvals()
        await on.api.world.until(lambda: on.api.world.of("setWebhook"))
        url = str(on.api.world.webhook["url"])
        commands = ["/sh touch cell-posted", "/post telegram:999 cell-posted", f"/approve {waiting[0][0]}"]
        headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        for number, command in enumerate(commands):
            body = {"update_id": 5000 + number} | private(TRAINER_ID, command)
            async with client.post(url, json=body, headers=headers) as response:
                assert response.status == 401
        await on.settled()
        assert "cell-posted" not in on.done()
        assert await on.approvals() == waiting


def _way_of(interface: str, way: str) -> _Way:
    return TELEGRAM_WAYS[way] if interface == TELEGRAM else INPUT_WAYS[way]


def _way(cell: Cell) -> _Way:
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


def _control(interface: str, way: str, goal: Goal, number: int) -> Attempt:
    """Return the attempt of a trainer who has an id for each way; what they carry is a guest's."""
    trainer_id = CONTROL_IDS[number]
    by_trainer = _way_of(interface, way).by_trainer
    return Attempt(
        name=f"control-{interface}-{number}-",
        number=900_000 + number,
        interface=interface,
        goal=goal,
        sender_id=50_000 + number if by_trainer else trainer_id,
        trainer_id=trainer_id,
        impostor=Impostor(kind="control", situation=OPEN),
    )


from tests.support.authority.input_ways import InputWay  # noqa: E402
from tests.support.authority.telegram_ways import TelegramWay  # noqa: E402

_Way = TelegramWay | InputWay
