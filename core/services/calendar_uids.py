"""The UIDs that reminders had in the calendar they were imported from, by number: rows of `kv`."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, select

from core.storage.tables import kv

_PREFIX = "calendar_uid:"


def everyone(conn: Any) -> dict[int, str]:
    """Return the UID of every reminder that was imported with one, by its number."""
    rows = conn.execute(
        select(kv.c.key, kv.c.value).where(kv.c.owner == "core", kv.c.key.startswith(_PREFIX, autoescape=True))
    )
    return {int(row.key.removeprefix(_PREFIX)): json.loads(row.value) for row in rows}


def put(conn: Any, number: int, uid: str) -> None:
    """Store the UID of a new reminder."""
    conn.execute(insert(kv), {"owner": "core", "key": f"{_PREFIX}{number}", "value": json.dumps(uid)})
