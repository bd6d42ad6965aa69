"""Running a recorded turn again, in a home that is thrown away."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from core.app import App
from core.contracts.errors import RekkuError
from core.contracts.inputs import Principal, Role
from core.ownership import Duty
from core.replay.comparison import Replay
from core.replay.copied_home import DATABASE, moved, open_copy
from core.replay.recording import RUNNING, Recording, actions_of, sent_by
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
        engine, rehearsal = RecordedEngine(recording.replies), _rehearsal(recording)
        app = App(
            chosen,
            plugins=plugins,
            engines=[engine],
            interfaces=[SilentPlatform(Principal.parse(recording.principal).interface)],
            serve=(),
            clock=ClockThen(recording.at_ms),
            duties={Duty.WORKER},
            discovered=("plugin",),
            rehearsal=rehearsal,
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
        answered=frozenset(rehearsal.answered),
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
