"""The UIDs that reminders had in the calendar they were imported from, by number: rows of `kv`."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, select

from core.storage.tables import kv

OWNER = "core"
PREFIX = "calendar_uid:"


def everyone(conn: Any) -> dict[int, str]:
    """Return the UID of every reminder that was imported with one, by its number."""
    rows = conn.execute(
        select(kv.c.key, kv.c.value).where(kv.c.owner == OWNER, kv.c.key.startswith(PREFIX, autoescape=True))
    )
    return {int(row.key.removeprefix(PREFIX)): json.loads(row.value) for row in rows}


def put(conn: Any, number: int, uid: str) -> None:
    """Store the UID of a new reminder."""
    conn.execute(insert(kv), {"owner": OWNER, "key": f"{PREFIX}{number}", "value": json.dumps(uid)})
