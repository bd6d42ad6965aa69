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
    import asyncio
    import contextlib
    import sys

    from core.app import App
    from core.commands.loaded import standings
    from core.commands.startup import log_kept, mask_of, settings_for, tables_of_nobody
    from core.commands.table import table
    from core.commands.terminal_text import complain, say, say_json

    settings = settings_for()
    masker = mask_of(settings)
    with log_kept(settings, masker, quiet="ERROR"):
        app = App(settings, masker=masker)
        with contextlib.redirect_stdout(sys.stderr):  # what plugins print when they are imported is no answer
            asyncio.run(app.load())
    rows = standings(app)
    if as_json:
        say_json([row.as_json() for row in rows])
    else:
        headings = ("KIND", "NAME", "STATE", "STAGE", "REASON", "SOURCE")
        say(table(headings, [(r.kind, r.name, r.state, r.stage, r.reason, r.source) for r in rows]))
    for sentence in tables_of_nobody(app):
        complain(sentence)
    return 0
