"""`rekku db copy`: an installation moves from one database to another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.commands.database_refusals import refusals_told
from core.commands.exit_status import CommandFailed
from core.commands.named_database import named_database, setting_for
from core.commands.shown_progress import shown_progress
from core.commands.startup import settings_for
from core.commands.stored import may_exist
from core.commands.terminal_text import complain, say, say_json
from core.settings import Settings, ensure_home
from core.storage.database_use import homes_locked
from core.storage.opening import StoredDatabase, database_of

if TYPE_CHECKING:
    from core.storage.copying import CopyPlan, CopyReport


def copy_database(source: str, target: str, *, resume: bool, as_json: bool) -> int:
    """Copy one database to another; each is a URL, or `.` for that of the settings."""
    settings = settings_for()
    from_settings = named_database(source, settings, "FROM")
    to_settings = named_database(target, settings, "TO")
    if not may_exist(from_settings):
        raise CommandFailed(f"There is no database at {from_settings.database_path}.", cure="Name another one.")
    reading, writing = database_of(from_settings, read_only=True), database_of(to_settings)
    _refuse_same(from_settings, to_settings, reading, writing)
    if to_settings.database_server is None and to_settings.database_path.parent == settings.home:
        ensure_home(settings)
    with refusals_told(from_settings, to_settings), homes_locked(settings, from_settings, to_settings):
        report = asyncio.run(_copy(reading, writing, resume=resume, quiet=as_json))
    total = sum(report.rows.values())
    if as_json:
        say_json(
            {
                "from": reading.where,
                "to": writing.where,
                "rows": total,
                "tables": dict(report.rows),
                "there_before": report.resumed,
                "left_out": list(report.left_out),
            }
        )
        return 0
    for each in report.left_out:
        complain(f"not taken over: {each}")
    say(f"{total} rows in {len(report.rows)} tables were copied from {reading.where} to {writing.where}.")
    say(f"Each of them was read back and is the same. {setting_for(target, to_settings)}")
    return 0


def _refuse_same(source: Settings, target: Settings, reading: StoredDatabase, writing: StoredDatabase) -> None:
    same = (reading.dialect, reading.where) == (writing.dialect, writing.where)
    if source.database_server is None and target.database_server is None:
        same = source.database_path.resolve() == target.database_path.resolve()
    if same:
        raise CommandFailed("FROM and TO are the same database.", cure="Name another one.")


async def _copy(reading: StoredDatabase, writing: StoredDatabase, *, resume: bool, quiet: bool) -> CopyReport:
    from core.storage.copying import copy

    with shown_progress(quiet=quiet) as shown:
        total = 0

        def planned(plan: CopyPlan) -> None:
            nonlocal total
            total = 2 * sum(plan.rows.values())  # each is written, and read back
            shown.begin(total)

        def progress(what: str, table: str, rows: int) -> None:
            if what == "again":
                shown.begin(total)
            else:
                shown.advance(f"{what} {table}", rows)

        await reading.start()
        try:
            await writing.start()
            try:
                return await copy(reading, writing, resume=resume, planned=planned, progress=progress)
            finally:
                await writing.stop()
        finally:
            await reading.stop()
