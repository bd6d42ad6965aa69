"""`rekku events`: what happened, who was told of it, who was not and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.exit_status import CommandFailed, finish
from core.commands.options import MOST_ROWS, AsJson, Limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.contracts.json import JsonObject
    from core.settings import Settings

group = typer.Typer(no_args_is_help=True, help="Look at events: what happened, and who was told of it.")

LOOK_AGAIN_S = 1.0
KEEP = "Write `keep = true` below `[events]` in {file} and start anew; what happens from then on is listed."

Name = Annotated[
    str, typer.Option("--name", metavar="PATTERN", help='Only these: "turn.*", "lamp.**".', show_default=False)
]
Plugin = Annotated[
    str,
    typer.Option("--plugin", metavar="NAME", help="Only what it emitted or has a handler of.", show_default=False),
]
All = Annotated[
    bool,
    typer.Option("--all", help="Also that components came and went, as at every start and end."),
]
Correlation = Annotated[
    str,
    typer.Option("--correlation", metavar="ID", help="Only what belongs together: turn-12.", show_default=False),
]


@group.command("list")
def list_(
    name: Name = "",
    plugin: Plugin = "",
    correlation: Correlation = "",
    all_: All = False,
    as_json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """List the newest kept events as a log does, the newest last.

    That components came and went as at every start and end is left out, unless --all or what is wanted is given.
    """
    _check(name)
    finish(lambda: _list(_asked(name, plugin, correlation, all_), as_json, limit))


@group.command()
def tail(
    name: Name = "",
    plugin: Plugin = "",
    correlation: Correlation = "",
    all_: All = False,
    as_json: AsJson = False,
    limit: Limit = 10,
) -> None:
    """Show the newest kept events and each that follows, until Ctrl-C."""
    _check(name)
    finish(lambda: follow(_asked(name, plugin, correlation, all_), as_json, limit))


def _asked(name: str, plugin: str, correlation: str, all_: bool) -> dict[str, Any]:
    routine = all_ or bool(name or plugin or correlation)
    return {"name": name, "plugin": plugin, "correlation": correlation, "routine": routine}


def _check(pattern: str) -> None:
    from core.event_patterns import check_pattern

    try:
        if pattern:
            check_pattern(pattern)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--name") from None


def _list(asked: dict[str, Any], as_json: bool, limit: int) -> int:
    from core.commands.startup import settings_for
    from core.commands.table import log_lines
    from core.commands.terminal_text import say_cells, say_json

    settings = settings_for()
    rows = _read(settings, asked, limit, 0)
    if as_json:
        say_json([_without_row(row) for row in rows])
        return 0
    headings = ("TIME", "EVENT", "SOURCE", "CORRELATION", "END", "HANDLERS", "DATA")
    say_cells(log_lines(headings, [_cells(settings, row) for row in rows]))
    return 0


def follow(asked: dict[str, Any], as_json: bool, limit: int, pause: Callable[[float], None] = time.sleep) -> int:
    """Show the newest rows and each that follows; `pause` is called between two looks."""
    from core.commands.startup import settings_for
    from core.commands.terminal_text import on_one_line, say
    from core.contracts.json import compact

    settings = settings_for()
    after, most = 0, limit
    try:
        while True:
            for row in _read(settings, asked, most, after):
                after = max(after, row["row"])
                say(
                    compact(_without_row(row)) if as_json else on_one_line("  ".join(map(str, _cells(settings, row))))
                )
            most = MOST_ROWS
            pause(LOOK_AGAIN_S)
    except KeyboardInterrupt:
        return 0


def _read(settings: Settings, asked: dict[str, Any], limit: int, after: int) -> list[JsonObject]:
    """Return the newest rows, the oldest of them first; raises CommandFailed where none is kept at all."""
    from core.commands.stored import read_stored
    from core.services import event_rows

    def read(conn: Any) -> tuple[list[JsonObject], int]:
        return event_rows.listing(conn, limit, after=after, **asked), event_rows.newest(conn)

    rows, newest = read_stored(settings, read)
    if not newest and not settings.events.keep:
        raise CommandFailed(
            "Events are not kept: only the process that runs knows its last 1,000.",
            cure=KEEP.format(file=settings.home / "rekku.toml"),
        )
    return rows[::-1]


def _without_row(row: JsonObject) -> JsonObject:
    return {key: value for key, value in row.items() if key != "row"}


def _cells(settings: Settings, row: JsonObject) -> tuple[Any, ...]:
    from core.commands.stored import told_time
    from core.contracts.json import compact

    end = f"{row['end']}: {row['reason']}" if row["reason"] else row["end"]
    runs = [f"{run['plugin']}.{run['handler']}: {run['end']}" for run in row["runs"]]
    return (
        told_time(row["at_ms"], settings.timezone),
        row["name"],
        row["source"],
        row["correlation_id"],
        end,
        ", ".join(runs) or "-",
        compact(row["data"]),
    )
