"""Running a recorded turn again, in a home that is thrown away, and what came out differently."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from core.app import App
from core.contracts.errors import RekkuError
from core.contracts.inputs import Principal, Role
from core.contracts.json import compact
from core.ownership import Duty
from core.replay.copied_home import DATABASE, moved, open_copy
from core.replay.recording import RUNNING, DoneAction, Recording, actions_of, sent_by
from core.replay.stand_ins import ENGINE, ClockThen, RecordedEngine, SilentPlatform
from core.services import approvals, roles
from core.settings import Settings
from core.settings.model import Access
from core.storage.tables import ledger, sessions, turns
from core.turn.ask_approval import give
from core.turn.rehearse import Rehearsal

WAITING = "awaiting_approval"
LONGEST_S = 120.0
POLL_S = 0.02
SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that came out differently. where: "step 0, action 1", "messages to …" or "the turn"."""

    where: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.where}\n  then: {self.then}\n  now:  {self.now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the turn came to this time, beside its recording. complaint: what of a reply is not valid today."""

    recording: Recording
    state: str
    actions: tuple[DoneAction, ...]
    sent: dict[str, str]
    unused_replies: int
    complaint: str

    def differences(self, *, outputs: bool = True) -> list[Difference]:
        """Return what differs. outputs: whether what actions returned, and messages said, counts as well."""
        found = [*self._of_turn(), *self._of_actions(outputs)]
        return [*found, *self._of_messages()] if outputs else found

    def _of_turn(self) -> Iterable[Difference]:
        if self.complaint:
            yield Difference(where="the turn", then="the reply was valid", now=_short(self.complaint))
        elif self.state != self.recording.state:
            yield Difference(where="the turn", then=self.recording.state, now=self.state)
        if self.unused_replies:
            word = "reply is" if self.unused_replies == 1 else "replies are"
            now = f"{self.unused_replies} {word} not asked for"
            yield Difference(where="the turn", then=f"{len(self.recording.replies)} replies", now=now)

    def _of_actions(self, outputs: bool) -> Iterable[Difference]:
        then = {(a.step, a.position): a for a in self.recording.actions}
        now = {(a.step, a.position): a for a in self.actions}
        for place in sorted(then | now):
            before, after = then.get(place), now.get(place)
            shown = _shown(before, outputs), _shown(after, outputs)
            if shown[0] != shown[1]:
                yield Difference(where=f"step {place[0]}, action {place[1]}", then=shown[0], now=shown[1])

    def _of_messages(self) -> Iterable[Difference]:
        for address in sorted({*self.recording.sent, *self.sent}):
            then, now = self.recording.sent.get(address, ""), self.sent.get(address, "")
            if then != now:
                yield Difference(where=f"messages to {address}", then=_short(then), now=_short(now))


def _shown(action: DoneAction | None, outputs: bool) -> str:
    if action is None:
        return "nothing"
    output = f" → {_short(compact(action.output))}" if outputs and action.output is not None else ""
    reason = f" ({_short(action.reason)})" if action.reason and outputs and action.status != "done" else ""
    return f"{action.type} {_short(compact(action.payload))}: {action.status}{reason}{output}"


def _short(text: str) -> str:
    line = " ".join(text.split()) or "nothing"
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


async def replay_turn(
    recording: Recording,
    settings: Settings | None = None,
    *,
    plugins: Iterable[object] = (),
    plugin_path: Iterable[Path] = (),
    database: Path | None = None,
) -> Replay:
    """Run a recorded turn against the plugins of today and return what came out.

    Nothing outside is touched: external actions, and recorded ones that read the outside, are answered with what
    became of them then, and are skipped where that is not recorded; nothing is sent. The others really run, on a copy
    of `database` (a SQLite file; without one the tables are empty) in a home that is thrown away. Plugins are started
    there. settings: of the installation, whose home is only looked at for plugins. Raises RekkuError.
    """
    with tempfile.TemporaryDirectory(prefix="rekku-replay-") as name:
        home = Path(name)
        if database is not None:
            await asyncio.to_thread(shutil.copyfile, database, home / DATABASE)
        chosen = _settings(home, settings, recording, plugin_path, fresh=database is None)
        stored = await open_copy(home)
        await stored.transact(lambda conn: _prepare(conn, recording, fresh=database is None))
        await stored.stop()
        engine = RecordedEngine(recording.replies)
        app = App(
            chosen,
            plugins=plugins,
            engines=[engine],
            interfaces=[SilentPlatform(Principal.parse(recording.principal).interface)],
            serve=(),
            clock=ClockThen(recording.at_ms),
            duties={Duty.WORKER},
            discovered=("plugin",),
            rehearsal=_rehearsal(recording),
        )
        async with app:
            accepted = await app.receive(recording.input(f"replay-{recording.turn}"))
            turn = await _ended(app, accepted.input_id, recording)
            actions = await app.database.read(
                lambda conn: actions_of(
                    conn.execute(
                        select(ledger).where(ledger.c.turn_id == turn.id).order_by(ledger.c.step, ledger.c.position)
                    ).all()
                )
            )
            sent = await app.database.read(lambda conn: sent_by(conn, turn.id))
    return Replay(
        recording=recording,
        state=turn.state,
        actions=actions,
        sent=sent,
        unused_replies=engine.unused,
        complaint=engine.complaint,
    )


def _settings(
    home: Path, settings: Settings | None, recording: Recording, plugin_path: Iterable[Path], *, fresh: bool
) -> Settings:
    base = settings or Settings(home=home)
    changed: dict[str, Any] = {"engine": (ENGINE,)}
    if recording.role == Role.TRAINER:
        changed["trainer_ids"] = base.trainer_ids | {recording.principal}
    if fresh and recording.role == Role.GUEST:
        changed["access"] = Access.OPEN
    wider = base.model_copy(update={"plugin_path": (*base.plugin_path, *plugin_path)})
    return moved(wider, home, **changed)


def _prepare(conn: Any, recording: Recording, *, fresh: bool) -> None:
    conn.execute(update(sessions).values(engine="", model=""))
    if fresh and recording.role == Role.USER:
        roles.put(
            conn,
            Principal.parse(recording.principal),
            Role.USER,
            name="",
            decided_by="replay",
            now_ms=recording.at_ms,
        )


def _rehearsal(recording: Recording) -> Rehearsal:
    return Rehearsal(
        outcomes={a.envelope.hash: a.outcome for a in recording.actions if a.status in ("done", "failed", "unknown")},
        asks=True,
    )


async def _ended(app: App, input_id: int, recording: Recording) -> Any:
    """Wait until the turn of an input has ended, approving what was approved then; return its row."""
    scopes = {a.envelope.hash: a.approved for a in recording.actions if a.approved}

    def approve(conn: Any, turn_id: int) -> bool:
        waiting = approvals.waiting_in(conn, turn_id)
        # With none left, what was approved at the last look has not been taken up yet.
        return not waiting or any(
            give(conn, each, scopes[each.hash], "replay", app.clock.now_ms())
            for each in waiting
            if each.hash in scopes
        )

    for _ in range(int(LONGEST_S / POLL_S)):
        turn = await app.database.read(
            lambda conn: conn.execute(select(turns).where(turns.c.input_id == input_id)).one_or_none()
        )
        if turn is not None and turn.state == WAITING:
            given = partial(approve, turn_id=turn.id)
            if not await app.database.transact(given):
                return turn
            app.dispatcher.scan_soon()
        elif turn is not None and turn.state != RUNNING:
            return turn
        await asyncio.sleep(POLL_S)
    raise RekkuError(f"The turn did not end within {LONGEST_S:g} s.")
