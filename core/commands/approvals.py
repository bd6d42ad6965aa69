"""`rekku approvals`: which actions wait for somebody's word."""

from __future__ import annotations

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson, Limit

group = typer.Typer(no_args_is_help=True, help="Look at the approvals that were asked for.")


@group.callback()
def _group() -> None:
    """Keep `list` a command of the group, though it is the only one."""


@group.command("list")
def list_(as_json: AsJson = False, limit: Limit = 50) -> None:
    """List approvals, the newest first. They are given in a chat: /approve ID, or /deny ID."""
    finish(lambda: _list(as_json, limit))


def _list(as_json: bool, limit: int) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored, told_time
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.contracts.json import compact
    from core.services import approvals
    from core.services.clock import SystemClock

    settings = settings_for()
    rows = read_stored(settings, lambda conn: approvals.listing(conn, limit))
    now_ms = SystemClock().now_ms()
    for row in rows:
        if row["state"] == "waiting" and row["expires_at_ms"] <= now_ms:
            row["state"] = "expired"  # nobody has run since to note it
    if as_json:
        say_json(rows)
        return 0
    headings = ("ID", "STATE", "ACTION", "FOR", "BY", "EXPIRES", "PAYLOAD", "REASON")
    cells = [
        (
            row["id"],
            row["state"],
            row["action"],
            row["principal"],
            row["decided_by"] or row["approver"],
            told_time(row["expires_at_ms"], settings.timezone),
            compact(row["payload"]),
            row["reason"],
        )
        for row in rows
    ]
    say(table(headings, cells))
    return 0
