"""What is kept for how long: history, turns with their ledger, deliveries, events: pruned a small batch at a time.

A pass walks a table from its oldest row by id, which grows with time, so that no index is needed: a page is read
beside the writer, and what of it is old and needed by nobody is deleted in a transaction of its own. A run takes a
few pages and the next one goes on behind them; once a pass has come to what is young, its table rests for an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.contracts.services import Database
from core.services.prunable_rows import PRUNABLE, OldRow, Prunable, count
from core.settings import EventSettings, RetentionSettings

DAY_MS = 24 * 3600 * 1000
KEPT_ANYWAY_MS = DAY_MS
"""What is younger stays, however many rows there are: budgets are counted by it."""

PAGES_A_RUN = 12
"""Of each table: at a run in half a minute more than a million turns a day, and more of everything else."""

REST_MS = 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """For how many days, and how many rows, are kept; None: for ever, and however many."""

    days: int | None
    rows: int | None


@dataclass(slots=True, kw_only=True)
class _Pass:
    """Where the walk over a table stands. too_many: how many rows more than allowed it has, as far as is known."""

    after: int = 0
    too_many: int = 0
    rests_until_ms: int = 0


class Retention:
    """Prunes what need not be kept any more. Several processes may do so on one database."""

    def __init__(self, settings: RetentionSettings, events: EventSettings) -> None:
        history = Bound(days=settings.history_days, rows=settings.history_rows)
        self._bounds = {
            "messages": history,
            "sessions": history,
            "turns": Bound(days=settings.ledger_days, rows=settings.ledger_turns),
            "outbox": Bound(days=settings.outbox_days, rows=settings.outbox_rows),
            "events": Bound(days=events.days, rows=events.rows),
        }
        self._passes = {name: _Pass() for name in self._bounds}

    async def prune(self, database: Database, now_ms: int) -> dict[str, int]:
        """Go on where the last call stopped; return how many rows were deleted, by table, where any were."""
        counts = [(one.table.name, await self._prune(database, one, now_ms)) for one in PRUNABLE]
        return {name: deleted for name, deleted in counts if deleted}

    async def _prune(self, database: Database, prunable: Prunable, now_ms: int) -> int:
        name = prunable.table.name
        bound, walk = self._bounds[name], self._passes[name]
        if (bound.days is None and bound.rows is None) or now_ms < walk.rests_until_ms:
            return 0
        most = bound.rows
        if walk.after == 0 and most is not None:
            found = await database.read(lambda conn: count(conn, prunable.table, most))
            walk.too_many = max(found - most, 0)
        deleted = 0
        for _ in range(PAGES_A_RUN):
            page = await database.read(lambda conn: prunable.page(conn, walk.after))
            ids = expired(page, bound, walk.too_many, now_ms)
            if ids:
                gone = await database.transact(lambda conn, ids=ids: prunable.delete(conn, ids), durable=False)  # type: ignore[misc]
                walk.too_many = max(walk.too_many - gone, 0)
                deleted += gone
            if len(page) < prunable.most or not any(_is_old(row, bound, walk.too_many, now_ms) for row in page):
                walk.after, walk.rests_until_ms = 0, now_ms + REST_MS
                break
            walk.after = page[-1].id
        return deleted


def expired(page: Sequence[OldRow], bound: Bound, too_many: int, now_ms: int) -> list[int]:
    """Return the ids of a page's rows that are to go: too old, or among the `too_many` oldest. Pure."""
    ids: list[int] = []
    for row in page:
        aged = bound.days is not None and row.ended_at_ms < now_ms - bound.days * DAY_MS
        crowded = len(ids) < too_many and row.at_ms < now_ms - KEPT_ANYWAY_MS
        if row.free and (aged or crowded):
            ids.append(row.id)
    return ids


def _is_old(row: OldRow, bound: Bound, too_many: int, now_ms: int) -> bool:
    """Whether there may be more to prune behind a row, which came later."""
    aged = bound.days is not None and row.at_ms < now_ms - bound.days * DAY_MS
    return aged or (too_many > 0 and row.at_ms < now_ms - KEPT_ANYWAY_MS)
