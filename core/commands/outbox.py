"""`rekku outbox`: what waits to be delivered, what never can be, and mending that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from core.commands.exit_status import CommandFailed, finish
from core.commands.options import AsJson, Limit
from core.counted import counted

group = typer.Typer(no_args_is_help=True, help="Look at deliveries, and try dead letters again.")

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(r"(\d{1,6})([smhd])")

_STATES = ("waiting", "sending", "sent", "dead")

Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="Ids that `outbox dead` shows.", show_default=False)
]
EveryOne = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
Age = Annotated[
    str, typer.Option("--older-than", metavar="AGE", help="Only what ended longer ago: 7d, 12h, 30m or 90s.")
]


@group.command("list")
def list_(as_json: AsJson = False, limit: Limit = 50) -> None:
    """List deliveries of every state, the newest first."""
    finish(lambda: _list(_STATES, as_json, limit))


@group.command()
def dead(as_json: AsJson = False, limit: Limit = 50) -> None:
    """List the dead letters: what could not be delivered, and why."""
    finish(lambda: _list(("dead",), as_json, limit))


@group.command()
def retry(ids: Ids = None, every: EveryOne = False, as_json: AsJson = False) -> None:
    """Let dead letters be tried again, for 24 hours.

    A running process takes them up by itself.
    """
    if bool(ids) == every:
        raise typer.BadParameter("name the ids, or say --all", param_hint="ID")
    finish(lambda: _retry(None if every else list(dict.fromkeys(ids or ())), as_json))


@group.command()
def prune(older_than: Age = "7d", as_json: AsJson = False) -> None:
    """Delete what was sent and dead letters, once they are old."""
    age_s = _age_s(older_than)
    finish(lambda: _prune(age_s, as_json))


def _age_s(text: str) -> int:
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        raise typer.BadParameter("write a number and a unit: 7d, 12h, 30m or 90s", param_hint="--older-than")
    return int(match[1]) * _UNITS_S[match[2]]


def _list(states: Sequence[str], as_json: bool, limit: int) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored, told_time
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.services import outbox

    settings = settings_for()
    rows = read_stored(settings, lambda conn: outbox.listing(conn, states, limit))
    if as_json:
        say_json(rows)
        return 0
    headings = ("ID", "TIME", "STATE", "TRIES", "ADDRESS", "TEXT", "REASON")
    cells = [
        (
            row["id"],
            told_time(row["created_at_ms"], settings.timezone),
            row["state"],
            row["attempts"],
            row["address"],
            row["text"],
            row["reason"],
        )
        for row in rows
    ]
    say(table(headings, cells))
    return 0


def _retry(ids: list[int] | None, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import when_taken_up, write_stored
    from core.commands.terminal_text import say, say_json
    from core.contracts.deliveries import DEFAULT_TIME_TO_LIVE_S
    from core.services import outbox
    from core.services.clock import SystemClock

    settings = settings_for()
    now_ms, ttl_ms = SystemClock().now_ms(), DEFAULT_TIME_TO_LIVE_S * 1000
    count = write_stored(settings, lambda conn: outbox.retry(conn, ids, now_ms, ttl_ms))
    if as_json:
        say_json({"retried": count})
    else:
        say(f"{counted(count, 'dead letter')} will be tried again. {when_taken_up(settings)}")
    if ids is not None and count < len(ids):
        raise CommandFailed(
            f"{len(ids) - count} of the {len(ids)} ids are no dead letters.", cure="`rekku outbox dead` lists them."
        )
    return 0


def _prune(age_s: int, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import write_stored
    from core.commands.terminal_text import say, say_json
    from core.services import outbox
    from core.services.clock import SystemClock

    settings = settings_for()
    before_ms = SystemClock().now_ms() - age_s * 1000
    count = write_stored(settings, lambda conn: outbox.prune(conn, before_ms))
    if as_json:
        say_json({"deleted": count})
    else:
        say(f"{count} {'delivery was' if count == 1 else 'deliveries were'} deleted.")
    return 0
