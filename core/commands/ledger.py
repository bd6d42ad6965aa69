"""`rekku ledger`: what was done, by whom, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.exit_status import CommandFailed, finish
from core.commands.options import AsJson, Limit
from core.contracts.json import JsonObject

if TYPE_CHECKING:
    from core.settings import Settings

group = typer.Typer(no_args_is_help=True, help="Look at what was done, by whom, and what came of it.")

Turn = Annotated[
    int | None, typer.Option("--turn", metavar="N", help="Only this turn, in its order.", show_default=False)
]
RowId = Annotated[int, typer.Argument(metavar="ID", help="The id that `ledger list` shows.", show_default=False)]


@group.command("list")
def list_(as_json: AsJson = False, limit: Limit = 50, turn: Turn = None) -> None:
    """List actions, the newest first. Works beside a running process."""
    finish(lambda: _list(as_json, limit, turn))


@group.command()
def show(id: RowId, as_json: AsJson = False) -> None:
    """Show one action whole, with its turn and its cause."""
    finish(lambda: _show(id, as_json))


def _list(as_json: bool, limit: int, turn: int | None) -> int:
    from core.commands.shown_payload import hints_by_action, shown_payload
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored
    from core.commands.table import log_lines
    from core.commands.terminal_text import say_cells, say_json
    from core.contracts.actions import DisplayHints
    from core.services import ledger

    settings = settings_for()
    rows = read_stored(settings, lambda conn: ledger.listing(conn, limit, turn))
    if as_json:
        say_json(rows)
        return 0
    headings = ("ID", "TIME", "TURN", "ACTION", "STATUS", "WHO", "PAYLOAD", "REASON")
    hints = hints_by_action(settings, {row["action"] for row in rows})
    shown = [shown_payload(hints.get(row["action"], DisplayHints()), row["payload"]) for row in rows]
    say_cells(log_lines(headings, [_cells(settings, row, text) for row, text in zip(rows, shown, strict=True)]))
    return 0


def _cells(settings: Settings, row: JsonObject, payload: str) -> tuple[Any, ...]:
    from core.commands.stored import told_time

    time = told_time(row["started_at_ms"], settings.timezone)
    turn = f"{row['turn_id']}.{row['step']}"
    return (row["id"], time, turn, row["action"], row["status"], row["principal"], payload, row["reason"])


def _show(row_id: int, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored
    from core.commands.terminal_text import say, say_json
    from core.services import ledger

    settings = settings_for()
    row = read_stored(settings, lambda conn: ledger.show(conn, row_id))
    if row is None:
        raise CommandFailed(f"There is no row {row_id} in the ledger.", cure="`rekku ledger list` shows the newest.")
    if as_json:
        say_json(row)
    else:
        say("\n".join(_lines(row, settings.timezone)))
    return 0


def _lines(row: JsonObject, timezone: str, indent: str = "") -> list[str]:
    """Return one line a value, those of inner objects below their name."""
    import json

    from core.commands.stored import told_time
    from core.commands.terminal_text import on_one_line

    lines = []
    for key, value in row.items():
        name = f"{indent}{key.removesuffix('_ms')}:"
        if key in ("turn", "input"):
            lines += [name, *_lines(value, timezone, f"{indent}  ")]
        elif key.endswith("_at_ms"):
            lines.append(f"{name} {told_time(value, timezone)}")
        elif isinstance(value, dict | list):
            inner = json.dumps(value, ensure_ascii=False, indent=2).replace("\n", f"\n{indent}")
            lines.append(f"{name} {inner}")
        else:
            lines.append(f"{name} {'-' if value in (None, '') else on_one_line(str(value))}")
    return lines
