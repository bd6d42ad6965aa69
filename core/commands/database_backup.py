"""`rekku db backup` and `rekku db restore`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import typer

from core.commands.database_refusals import refusals_told
from core.commands.exit_status import CommandFailed
from core.commands.home_use import process_using
from core.commands.startup import settings_for
from core.commands.stored import require_database
from core.commands.terminal_text import say, say_json, visible
from core.contracts.errors import HomeInUse
from core.settings import ensure_home
from core.storage import schema
from core.storage.backup import back_up
from core.storage.backup_file import NoBackup
from core.storage.database_use import homes_locked
from core.storage.opening import database_of
from core.storage.restore import restore


def back_up_database(target: Path, *, force: bool, as_json: bool) -> int:
    """Write a backup of the database of the settings to a file."""
    settings = settings_for()
    require_database(settings)
    with refusals_told(settings, own=NoBackup):
        asyncio.run(back_up(settings, target, replace=force))
    size = target.stat().st_size
    if as_json:
        say_json({"path": str(target.absolute()), "bytes": size})
    else:
        say(f"{target} holds the database ({size} bytes), checked. To restore it: `rekku db restore {target}`.")
    return 0


def restore_database(backup: Path, *, force: bool, yes: bool, as_json: bool) -> int:
    """Put a backup in the place of the database of the settings."""
    settings = settings_for()
    ensure_home(settings)
    if holder := process_using(settings.home):
        raise HomeInUse(f"Process {holder} is using {settings.home}.", cure="Stop it first.")
    where = database_of(settings).where
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        question = f"Put {visible(str(backup))} in the place of the database {visible(where)}?"
        if not typer.confirm(question, err=True):
            raise CommandFailed("Nothing was changed.")
    with refusals_told(settings), homes_locked(settings, settings):
        done = asyncio.run(restore(settings, backup, force=force, now_ms=time.time_ns() // 1_000_000))
    if as_json:
        say_json({"database": where, "schema": done.schema, "kept": None if done.kept is None else str(done.kept)})
        return 0
    say(f"{backup} is in the place of the database {where}. Its schema is {done.schema}.")
    if done.schema != schema.HEAD:
        say(f"The next start upgrades it to {schema.HEAD}.")
    if done.kept is not None:
        say(f"What was there before is kept in {done.kept}; remove it when you do not need it any more.")
    return 0
