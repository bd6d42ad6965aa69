"""The tree of all commands. Only the command line itself is imported here; each command imports what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from core.commands import approvals, db, events, ledger, outbox, pairing, people, plugins, policy, reminders, sessions
from core.commands.chat import chat
from core.commands.doctor import doctor
from core.commands.health import health
from core.commands.mcp import mcp
from core.commands.plugin_commands import WithPlugins
from core.commands.replay import replay
from core.commands.run import run
from core.commands.terminal_text import PROGRAM, say
from core.contracts.version import VERSION

command_line = typer.Typer(
    name=PROGRAM,
    cls=WithPlugins,
    no_args_is_help=True,
    add_completion=False,
    # Help in plain text: rich takes 60 ms to import, and errors are told by our own.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"{PROGRAM} {VERSION}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Show the version and end.", callback=_version, is_eager=True)
]


@command_line.callback()
def _rekku(version: Version = False) -> None:
    """Rekku: a self-hosted assistant that may be trusted with real actions.

    Settings come from the environment, REKKU_HOME/.env and REKKU_HOME/rekku.toml; `rekku doctor` shows them all.
    Plugins may bring commands of their own: `rekku plugins commands` lists them.
    """


command_line.command("chat")(chat)
command_line.command("run")(run)
command_line.command("replay")(replay)
command_line.command("doctor")(doctor)
command_line.command("health")(health)
command_line.command("mcp")(mcp)
command_line.add_typer(plugins.group, name="plugins")
command_line.add_typer(policy.group, name="policy")
command_line.add_typer(ledger.group, name="ledger")
command_line.add_typer(outbox.group, name="outbox")
command_line.add_typer(events.group, name="events")
command_line.add_typer(reminders.group, name="reminders")
command_line.add_typer(sessions.group, name="sessions")
command_line.add_typer(approvals.group, name="approvals")
command_line.add_typer(pairing.group, name="pairing")
command_line.add_typer(people.group, name="people")
command_line.add_typer(db.group, name="db")
