"""`rekku sessions`: the conversations of every chat."""

from __future__ import annotations

from dataclasses import asdict

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson, Limit

group = typer.Typer(no_args_is_help=True, help="Look at the conversations of each chat.")


@group.callback()
def _sessions() -> None:
    """Look at the conversations of each chat."""


@group.command("list")
def list_(as_json: AsJson = False, limit: Limit = 50) -> None:
    """List the conversations of every chat.

    Those come first that were begun or gone back to last. What was said in them is not shown.
    """
    finish(lambda: _list(as_json, limit))


def _list(as_json: bool, limit: int) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored, told_time
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.services import sessions

    settings = settings_for()
    found = read_stored(settings, lambda conn: [asdict(one) for one in sessions.listing(conn, limit=limit)])
    for row in found:
        del row["begins_with"]
    if as_json:
        say_json(found)
        return 0
    headings = ("ID", "CHAT", "STATE", "BEGAN", "LAST SAID", "ROWS", "TITLE")
    cells = [
        (
            row["id"],
            row["lane"],
            "current" if row["current"] else "closed" if row["closed_at_ms"] else "open",
            told_time(row["started_at_ms"], settings.timezone),
            told_time(row["last_at_ms"], settings.timezone),
            row["rows"],
            row["title"],
        )
        for row in found
    ]
    say(table(headings, cells))
    return 0
