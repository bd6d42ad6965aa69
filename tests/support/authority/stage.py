"""One app in one situation, in which attempts are made and their effects looked for."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from sqlalchemy import text

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.app import App
from core.contracts.errors import RekkuError
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.contracts.json import JsonObject
from core.services import roles
from core.settings import ComponentTable, Settings
from core.settings.budgets import BudgetSettings, GuestBudget, UserBudget
from core.testing import RecordingInterface
from interfaces.telegram import TelegramInterface
from tests.support.authority.attempts import Attempt
from tests.support.authority.input_ways import INPUT_WAYS
from tests.support.authority.obeying_engine import ObeyingEngine, order
from tests.support.authority.table import ELSEWHERE, OPEN, OTHER, TELEGRAM, TRAINER_ID, Cell, Situation
from tests.support.authority.telegram_ways import TELEGRAM_WAYS, forged
from tests.support.bot_api import BotApi, World, button_press, private
from tests.support.telegram_app import QUICK
from tests.support.terminal_plugin import processes_with

ASKING: JsonObject = {"verdict": "ask", "action": "terminal", "arguments": {"command": "touch asked-*"}}
WEBHOOK_SECRET = "a-secret_that-is-long"
GUEST = 9
ASKED = ("asked-by-trainer", "asked-by-guest")
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.2


class Post(AIPluginBase):
    """Writes to another chat on a command."""

    name = "post"

    @action(effect="local", permission="anyone", command="post", destination_field="to")
    async def post(self, ctx: ActionContext, to: str, said: Annotated[str, Field(min_length=1)]) -> None:
        """Send a text somewhere."""
        ctx.send(said, to=Address.parse(to))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What attempts are made on. seen: the processes of cells that ran at some time."""

    app: App
    api: BotApi
    engine: ObeyingEngine
    other: RecordingInterface
    home: Path
    seen: set[int] = field(default_factory=set)

    async def attempt(self, attempts: Iterable[tuple[str, Attempt]]) -> None:
        """Make attempts, each by the way of that name; returns when nothing is left to do."""
        self.engine.release.clear()
        updates: list[JsonObject] = []
        inputs: list[tuple[str, Input]] = []
        for way, a in attempts:
            if a.interface == TELEGRAM:
                by_impostor = a.impostor.forged and not TELEGRAM_WAYS[way].by_trainer
                made = TELEGRAM_WAYS[way].updates(a)
                updates += [forged(update, a) for update in made] if by_impostor else made
            else:
                inputs += [(way, one) for one in INPUT_WAYS[way].inputs(a)]
        # What keeps a lane busy comes first, and has begun when the rest comes.
        for first in (True, False):
            for way, one in inputs:
                if ("hold:" in one.text) is first:
                    await self._receive(way, one)
            self.api.world.say(*(update for update in updates if ("hold:" in str(update)) is first))
            await self.taken_in()
            await self._begun()
        self.engine.release.set()
        await self.settled()

    async def _receive(self, way: str, one: Input) -> None:
        try:
            await self.app.receive(one)
        except RekkuError:
            assert INPUT_WAYS[way].refused, f"{one.principal.interface} / {way} was not taken"
        else:
            assert not INPUT_WAYS[way].refused, f"{one.principal.interface} / {way} was taken"

    async def _begun(self) -> None:
        """Wait until every turn has begun that is not behind another one of its lane."""
        behind = text(
            "SELECT count(*) FROM inbox AS one WHERE state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM inbox AS other WHERE other.lane = one.lane AND other.state = 'running')"
        )
        async with asyncio.timeout(PATIENCE_S):
            while await self.app.database.read(lambda conn: conn.execute(behind).scalar()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def taken_in(self) -> None:
        """Wait until every update was confirmed, and so is stored."""
        await self.api.world.until(lambda: not self.api.world.waiting, timeout_s=PATIENCE_S)

    async def settled(self) -> None:
        """Wait until every turn has ended and every message was sent."""
        async with asyncio.timeout(PATIENCE_S):
            drained = asyncio.ensure_future(self.app.drained())
            while not drained.done():
                self.seen.update(self.processes())
                await asyncio.wait({drained}, timeout=LOOK_EVERY_S)
            open_rows = text("SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending')")
            while await self.app.database.read(lambda conn: conn.execute(open_rows).scalar()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def done(self) -> str:
        """Return all names and texts in which the effect of an order would show: files, processes, messages."""
        work = self.home / "data" / "terminal" / "work"
        sent = [effect.text for effect in self.api.world.sent(int(ELSEWHERE[TELEGRAM].partition(":")[2]))]
        names = [path.name for path in work.iterdir()]
        return " ".join([*names, *sent, *self.other.texts(ELSEWHERE[OTHER].partition(":")[2])])

    def processes(self) -> list[int]:
        """Return the processes in whose command line the name of a cell stands."""
        return processes_with("touch cell-")

    async def approvals(self) -> list[tuple[str, str]]:
        """Return (id, state) of what waited when the stage was set."""
        asked = text("SELECT id, state FROM approvals WHERE payload LIKE '%touch asked-%' ORDER BY id")
        return await self.app.database.read(lambda conn: [(row.id, row.state) for row in conn.execute(asked)])

    async def approve(self, a: Attempt) -> bool:
        """Approve, as its trainer, what an attempt is asked about; False when there is no question.

        On Telegram by pressing "Once", elsewhere by the command.
        """
        asked = text("SELECT id, lane FROM approvals WHERE state = 'waiting' AND payload LIKE :order")
        found = await self.app.database.read(
            lambda conn: conn.execute(asked, {"order": f"%touch {a.name}%"}).one_or_none()
        )
        if found is None:
            return False
        if a.interface == TELEGRAM:
            [question] = [effect for effect in self.api.world.sent() if f"/approve {found.id} " in effect.text]
            once = str(question.params["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
            under = self.api.world.message_of(question)
            self.api.world.say(button_press(a.trainer_id, under, once, query_id=a.name))
            return True
        given = Input(
            kind=InputKind.COMMAND,
            principal=Principal(a.interface, str(a.trainer_id)),
            address=Address.parse(found.lane),
            dedupe_key=f"approve-{a.name}",
            text=f"/approve {found.id}",
        )
        await self.app.receive(given)
        return True


@asynccontextmanager
async def stage(
    home: Path, situation: Situation, *, webhook: bool = False, fresh: bool = False
) -> AsyncIterator[Stage]:
    """Run an app on a home, with the terminal unsandboxed, so that nothing but the gate is in the way."""
    TelegramInterface.rates = QUICK
    engine, other = ObeyingEngine(), RecordingInterface(OTHER)
    if not fresh:
        engine.obeyed.update(ASKED)  # it stands in the history
    telegram: JsonObject = {}
    hook: dict[str, object] = {}
    if webhook:
        telegram["webhook_listen"] = f"127.0.0.1:{free_port()}"
        hook = {
            "telegram_webhook_url": f"http://{telegram['webhook_listen']}/telegram",
            "telegram_webhook_secret": SecretStr(WEBHOOK_SECRET),
        }
    async with BotApi(World(first_update_id=1000 if fresh else 5000)) as api:
        settings = Settings(
            home=home,
            engine=(engine.name,),
            access=situation.access,
            timezone="UTC",
            trainer_ids=situation.trainers,
            telegram_bot_token=SecretStr(api.world.token),
            telegram_api_base=api.base_url,
            policy_rules=(ASKING,),
            corrector_retries=0,
            budgets=_WITHOUT,
            components={
                "plugins": {"terminal": ComponentTable(values={"sandbox": "none"})},
                "interfaces": {"telegram": ComponentTable(values=telegram)},
            },
            **hook,  # type: ignore[arg-type]
        )
        app = App(settings, plugins=(Post(),), interfaces=(other,), engines=(engine,), serve=("telegram", "console"))
        async with app:
            terminal = app.registry.get("plugin", "terminal")
            assert terminal is not None
            assert terminal.reason == ""
            assert set(app.interfaces) == {"telegram", "console", OTHER}
            yield Stage(app=app, api=api, engine=engine, other=other, home=home)


_WITHOUT = BudgetSettings(
    user=UserBudget(turns_per_hour=None, engine_tokens_per_day=None, pending_inputs=None),
    guest=GuestBudget(turns_per_hour=None, engine_tokens_per_day=None, pending_inputs=None),
)


async def prepare_home(home: Path, table: Iterable[Cell]) -> None:
    """Make a home in which two approvals wait, one for its trainer and one for any, and roles were given."""
    async with stage(home, OPEN, fresh=True) as ready:
        ready.api.world.say(
            private(TRAINER_ID, order("asked", TELEGRAM, ASKED[0])),
            private(GUEST, order("asked", TELEGRAM, ASKED[1])),
        )
        await ready.api.world.until(lambda: len(ready.api.world.sent(TRAINER_ID)) == 2)
        await ready.settled()
        assert [state for _, state in await ready.approvals()] == ["waiting", "waiting"]

        def give_roles(conn: object) -> None:
            for cell in table:
                if cell.impostor.listed is not None:
                    principal = Principal(cell.interface, str(cell.impostor_id))
                    roles.put(conn, principal, cell.impostor.listed, name="", decided_by="", now_ms=1)

        await ready.app.database.transact(give_roles)


def copy_of(home: Path, to: Path) -> Path:
    """Return a home of its own for a stage."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(to)
    shutil.copytree(home, to)
    return to


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
