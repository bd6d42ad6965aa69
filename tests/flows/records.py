"""What the flows look up in the database."""

from __future__ import annotations

from core.contracts.json import JsonObject
from core.testing import RunningApp

SILENCE = '{"actions": []}'


async def statuses(kit: RunningApp) -> list[tuple[str, str]]:
    """Return (action, status) of every ledger row, in order."""
    rows = await kit.rows("SELECT action, status FROM ledger ORDER BY turn_id, step, position")
    return [(row["action"], row["status"]) for row in rows]


async def turns(kit: RunningApp) -> list[JsonObject]:
    """Return the state, reason and number of steps of every turn, in order."""
    return await kit.rows("SELECT state, reason, steps FROM turns ORDER BY id")


async def outcome(kit: RunningApp, action: str) -> JsonObject:
    """Return the newest ledger row of an action."""
    rows = await kit.rows("SELECT * FROM ledger WHERE action = :action ORDER BY id DESC LIMIT 1", action=action)
    assert rows, f"{action} is not in the ledger"
    return rows[0]
