"""`rekku plugins`: which components there are, why some of them do not work, and taking plugins out of use."""

from __future__ import annotations

from typing import Annotated

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson

group = typer.Typer(no_args_is_help=True, help="Look at plugins, engines and interfaces; change plugins.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The plugin.", show_default=False)]


@group.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all plugins, engines and interfaces, with state and reason.

    They are loaded, not started: "ok" means that one loads cleanly. Works beside a running process.
    """
    finish(lambda: _list(as_json))


@group.command()
def enable(name: Name) -> None:
    """Use a plugin again that was disabled or quarantined."""
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("enable", name))


@group.command()
def disable(name: Name) -> None:
    """Take a plugin out of use, until it is enabled again.

    What requires it is stopped with it. A process that runs is told and need not be restarted.
    """
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("disable", name))


@group.command()
def reload(name: Name) -> None:
    """Have a running process load a plugin anew.

    When the new one cannot be loaded or started, the old one goes on, and the reason is told.
    """
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("reload", name))


@group.command()
def config(name: Name, as_json: AsJson = False) -> None:
    """Show what a plugin can be set to, and what is in force."""
    from core.commands.plugin_configuration import show_configuration

    finish(lambda: show_configuration(name, as_json=as_json))


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
