"""`rekku people`: of whom something is stored, all of it as a file, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson

if TYPE_CHECKING:
    from core.contracts.inputs import Principal

group = typer.Typer(no_args_is_help=True, help="Export and erase what is stored of somebody.")

Who = Annotated[
    str, typer.Argument(metavar="PRINCIPAL", help="As telegram:5: an id, never a name.", show_default=False)
]
Target = Annotated[str, typer.Option("--to", metavar="FILE", help="Where to; - for stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ForgetBlock = Annotated[bool, typer.Option("--forget-block", help="Forget that they are blocked, too.")]


@group.command("list")
def list_(as_json: AsJson = False) -> None:
    """List everybody of whom something is stored."""
    finish(lambda: _list(as_json))


@group.command()
def export(who: Who, to: Target = "-", force: Force = False) -> None:
    """Write all that is stored of somebody as JSON."""
    from core.commands.person_export import export_to

    principal = _principal(who)
    finish(lambda: export_to(to, principal, force=force))


@group.command()
def erase(who: Who, yes: Yes = False, forget_block: ForgetBlock = False, as_json: AsJson = False) -> None:
    """Delete all that is stored of somebody.

    It cannot be undone. What others wrote, and may have quoted of them, stays.
    """
    from core.commands.person_erasure import erase_person

    principal = _principal(who)
    finish(lambda: erase_person(principal, sure=yes, forget_block=forget_block, as_json=as_json))


def _principal(who: str) -> Principal:
    from core.contracts.inputs import Principal
    from core.settings import principal_text

    try:
        return Principal.parse(principal_text(who))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="PRINCIPAL") from None


def _list(as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored, told_time
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.services import personal_data

    settings = settings_for()
    rows = read_stored(settings, personal_data.everyone)
    for row in rows:
        if row["principal"] in settings.trainer_ids:
            row["role"] = "trainer"
    if as_json:
        say_json(rows)
        return 0
    cells = [
        (
            row["principal"],
            row["role"] or "-",
            row["name"] or "-",
            row["turns"],
            told_time(row["last_turn_ms"], settings.timezone),
        )
        for row in rows
    ]
    say(table(("PRINCIPAL", "ROLE", "NAME", "TURNS", "LAST TURN"), cells))
    return 0
