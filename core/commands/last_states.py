"""How components stood when they last ran, as far as it was kept: `plugin.state_changed` in the history of events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.commands.startup import mask_of
from core.commands.stored import may_exist, opened, told_time
from core.contracts.errors import StorageError
from core.contracts.json import JsonObject
from core.registry.component import ComponentState
from core.services import event_rows
from core.storage import schema

if TYPE_CHECKING:
    from core.settings import Settings

EVENT = "plugin.state_changed"
LOOKED_THROUGH = 500
_OF_THE_END = (ComponentState.FOUND, ComponentState.STOPPED)
"""States that say nothing of how it went: before the start, and behind the end."""

_BAD = (ComponentState.FAILED, ComponentState.DEGRADED, ComponentState.QUARANTINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastState:
    """well: whether it worked. text: the state, since when, and why, without a full stop."""

    well: bool
    text: str


def last_states(settings: Settings) -> dict[tuple[str, str], LastState]:
    """Return the last state of components by kind and name; nothing where events are not kept, or cannot be read."""

    async def read() -> list[JsonObject]:
        if not settings.events.keep or not may_exist(settings):
            return []
        try:
            async with opened(settings) as database:
                if await database.read(schema.revision) != schema.HEAD:
                    return []
                return await database.read(lambda conn: event_rows.listing(conn, LOOKED_THROUGH, name=EVENT))
        except StorageError:
            return []  # whoever wants to know of the database asks about that

    found: dict[tuple[str, str], LastState] = {}
    for row in mask_of(settings).value(asyncio.run(read())):
        data: dict[str, Any] = row["data"]
        if data.get("state") in (*_OF_THE_END, None):
            continue
        key = (str(data.get("kind")), str(data.get("name")))
        found.setdefault(key, _told(data, told_time(row["at_ms"], settings.timezone)))
    return found


def _told(data: dict[str, Any], when: str) -> LastState:
    stage = f" ({data['stage']})" if data.get("stage") else ""
    reason = f": {data['reason']}".rstrip(".") if data.get("reason") else ""
    return LastState(well=data["state"] not in _BAD, text=f"last {data['state']}{stage} on {when}{reason}")
