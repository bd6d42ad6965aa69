"""`rekku db`: the state of the database, its upgrade, its backups, and moving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.commands.exit_status import FAILED, finish
from core.commands.options import AsJson

group = typer.Typer(no_args_is_help=True, help="Look at the database, upgrade, back up, restore and move it.")

Target = Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.", show_default=False)]
Backup = Annotated[Path, typer.Argument(metavar="PATH", help="The backup.", show_default=False)]
Replace = Annotated[bool, typer.Option("--force", help="Replace a database that holds rows.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
From = Annotated[str, typer.Argument(metavar="FROM", help="The database to copy.", show_default=False)]
To = Annotated[str, typer.Argument(metavar="TO", help="The database to copy to.", show_default=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a copy that was not finished.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


@group.command()
def status(as_json: AsJson = False) -> None:
    """Show where the database is, whether it is sound, and what waits.

    The exit status is 1 when it is damaged or of a newer version.
    """
    finish(lambda: _status(as_json))


@group.command()
def upgrade(as_json: AsJson = False) -> None:
    """Bring the schema up to date, which every start does by itself.

    No other process may be running on the home.
    """
    finish(lambda: _upgrade(as_json))


@group.command()
def backup(path: Target, force: Force = False, as_json: AsJson = False) -> None:
    """Write the database to a file, also while it is in use.

    The backup is checked. Only its owner can read the file.
    """
    from core.commands.database_backup import back_up_database

    finish(lambda: back_up_database(path, force=force, as_json=as_json))


@group.command()
def restore(path: Backup, force: Replace = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Put a backup in the place of the database.

    Stop Rekku first. A database that holds rows is replaced with --force alone, and kept beside.
    """
    from core.commands.database_backup import restore_database

    finish(lambda: restore_database(path, force=force, yes=yes, as_json=as_json))


@group.command()
def copy(source: From, target: To, resume: Resume = False, as_json: AsJson = False) -> None:
    """Copy everything to another database, and check every row.

    FROM and TO are URLs as DATABASE_URL takes them, or `.` for the database of the settings. TO must be empty. Stop
    Rekku first.
    """
    from core.commands.database_copy import copy_database

    finish(lambda: copy_database(source, target, resume=resume, as_json=as_json))


def _status(as_json: bool) -> int:
    import asyncio

    from core.commands.database_state import DatabaseState, database_state
    from core.commands.home_use import process_using
    from core.commands.startup import settings_for
    from core.commands.stored import opened, require_database
    from core.commands.terminal_text import say, say_json

    settings = settings_for()
    require_database(settings)

    async def look() -> DatabaseState:
        async with opened(settings) as database:
            return await database_state(database)

    state = asyncio.run(look())
    shown = state.as_json() | {"process": process_using(settings.home)}
    if as_json:
        say_json(shown)
    else:
        say("\n".join(f"{key}: {'-' if value == '' else value}" for key, value in shown.items()))
    return 0 if state.usable else FAILED


def _upgrade(as_json: bool) -> int:
    import asyncio

    from core.commands.startup import settings_for
    from core.commands.stored import opened, require_database
    from core.commands.terminal_text import say, say_json
    from core.ownership import ALL_DUTIES, Ownership
    from core.storage import schema

    settings = settings_for()
    require_database(settings)

    async def upgrade_database() -> str:
        async with opened(settings, write=True) as database:
            return await schema.upgrade(database)

    with Ownership(settings, ALL_DUTIES).held():
        found = asyncio.run(upgrade_database())
    if as_json:
        say_json({"found": found, "schema": schema.HEAD})
    elif found == schema.HEAD:
        say(f"The schema is up to date: {found}.")
    else:
        say(f"The schema was brought from {found or 'nothing'} to {schema.HEAD}.")
    return 0
