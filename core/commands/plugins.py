"""`rekku plugins`: which components there are, and why some of them do not work."""

from __future__ import annotations

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson

group = typer.Typer(no_args_is_help=True, help="Look at plugins, engines and interfaces.")


@group.callback()
def _group() -> None:
    """Keep `list` a command of the group, though it is the only one."""


@group.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all plugins, engines and interfaces, with state and reason.

    They are loaded, not started: "ok" means that one loads cleanly. Works beside a running process.
    """
    finish(lambda: _list(as_json))


def _list(as_json: bool) -> int:
    from core.commands.loaded import loaded_app, standings
    from core.commands.startup import settings_for, tables_of_nobody
    from core.commands.table import table
    from core.commands.terminal_text import complain, say, say_json

    app = loaded_app(settings_for())
    rows = standings(app)
    if as_json:
        say_json([row.as_json() for row in rows])
    else:
        headings = ("KIND", "NAME", "STATE", "STAGE", "REASON", "SOURCE")
        say(table(headings, [(r.kind, r.name, r.state, r.stage, r.reason, r.source) for r in rows]))
    for sentence in tables_of_nobody(app):
        complain(sentence)
    return 0
