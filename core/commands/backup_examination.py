"""What `rekku doctor` tells of the backups that are made while Rekku runs."""

from __future__ import annotations

import os
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from core.commands.check import OFF, OK, WARNING, Check
from core.commands.stored import may_exist, opened
from core.contracts.errors import RekkuError
from core.services.scheduled_backup import HOUR_MS, backups_in, last_failure
from core.settings import Settings
from core.storage import schema
from core.storage.server_tools import DUMP, LOAD, find_tool
from core.storage.server_url import dialect_of
from core.storage.tables import inbox

_AREA, _NAME = "backup", "scheduled"
LATE = 2
"""A backup is too old when so many are missing."""


async def backup_check(settings: Settings) -> Check:
    """Return whether there is a backup as new as it should be, and whether the next one can be made."""
    every_hours, directory = settings.backup.every_hours, settings.backup_directory
    if not every_hours:
        return Check(area=_AREA, name=_NAME, state=OFF, detail="backup.every_hours is 0.")
    if settings.database_server is not None:
        try:
            dialect = dialect_of(settings)
            for names in (DUMP[dialect], LOAD[dialect]):
                find_tool(dialect, names)
        except RekkuError as error:
            return Check(area=_AREA, name=_NAME, state=WARNING, detail=str(error), cure=error.cure)
    if directory.exists() and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        cure = "Let it be a directory that this user may write to, or set backup.directory."
        return Check(area=_AREA, name=_NAME, state=WARNING, detail=f"{directory} cannot be written to.", cure=cure)
    failure, found = last_failure(directory), backups_in(directory)
    if failure is not None:
        detail = f"The last one failed on {_told(failure.at_ms, settings)}: {failure.reason}"
        return Check(area=_AREA, name=_NAME, state=WARNING, detail=detail)
    now_ms = time.time_ns() // 1_000_000
    since_ms = found[0][0] if found else await _first_input_ms(settings, now_ms)
    if now_ms - since_ms > LATE * every_hours * HOUR_MS:
        detail = f"The newest is of {_told(found[0][0], settings)}." if found else f"There is none in {directory}."
        cure = "They are made while `rekku run` or `rekku chat` runs; `rekku db backup PATH` makes one now."
        return Check(area=_AREA, name=_NAME, state=WARNING, detail=detail, cure=cure)
    if not found:
        return Check(area=_AREA, name=_NAME, state=OK, detail=f"None yet; they will be in {directory}.")
    detail = f"{len(found)} in {directory}, the newest of {_told(found[0][0], settings)}."
    return Check(area=_AREA, name=_NAME, state=OK, detail=detail)


async def _first_input_ms(settings: Settings, now_ms: int) -> int:
    """Return when the oldest input came that is still there; now when there is none."""
    if not may_exist(settings):
        return now_ms
    try:
        async with opened(settings) as database:
            if await database.read(schema.revision) != schema.HEAD:
                return now_ms
            first = await database.read(lambda conn: conn.execute(select(func.min(inbox.c.received_at_ms))).scalar())
    except RekkuError:  # it is told as the state of the database
        return now_ms
    return now_ms if first is None else int(first)


def _told(at_ms: int, settings: Settings) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(settings.timezone)).strftime("%Y-%m-%d %H:%M")
