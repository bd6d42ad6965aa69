"""`rekku pairing`: who may talk, and who waits to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.exit_status import CommandFailed, finish
from core.commands.options import AsJson

if TYPE_CHECKING:
    from core.contracts.inputs import Principal
    from core.settings import Settings

group = typer.Typer(no_args_is_help=True, help="Look at who may talk, let people in, shut them out.")

BY = "command line"

Code = Annotated[str, typer.Argument(metavar="CODE", help="The code that they were given.", show_default=False)]
Who = Annotated[
    str, typer.Argument(metavar="PRINCIPAL", help="As telegram:5: an id, never a name.", show_default=False)
]
AsRole = Annotated[str, typer.Option("--role", metavar="ROLE", help="user, or guest.")]


@group.command("list")
def list_(as_json: AsJson = False) -> None:
    """List who was let in or blocked, and the codes that wait."""
    finish(lambda: _list(as_json))


@group.command()
def approve(code: Code, role: AsRole = "user", as_json: AsJson = False) -> None:
    """Let somebody in who was given a pairing code."""
    if role not in ("user", "guest"):
        raise typer.BadParameter("write user or guest", param_hint="--role")
    finish(lambda: _approve(code, role, as_json))


@group.command()
def revoke(who: Who, as_json: AsJson = False) -> None:
    """Make somebody a stranger again, who was let in or blocked."""
    finish(lambda: _revoke(who, as_json))


@group.command()
def block(who: Who, as_json: AsJson = False) -> None:
    """Shut somebody out: they are not answered any more."""
    finish(lambda: _block(who, as_json))


def _list(as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored, told_time
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.services.clock import SystemClock

    settings = settings_for()
    now_ms = SystemClock().now_ms()
    rows = read_stored(settings, lambda conn: _rows(conn, now_ms))
    if as_json:
        say_json(rows)
        return 0
    headings = ("PRINCIPAL", "ROLE", "NAME", "SINCE", "BY", "CODE", "EXPIRES")
    cells = [
        (
            row["principal"],
            row["role"],
            row["name"] or "-",
            told_time(row["since_ms"], settings.timezone),
            row["by"] or "-",
            row["code"] or "-",
            told_time(row["expires_at_ms"], settings.timezone),
        )
        for row in rows
    ]
    say(table(headings, cells))
    return 0


def _rows(conn: Any, now_ms: int) -> list[dict[str, Any]]:
    """Return those who wait, then those who have a role, in the same form."""
    from core.services import pairings, roles

    waiting = [
        {
            "principal": row["principal"],
            "role": "waiting",
            "name": row["name"],
            "since_ms": row["created_at_ms"],
            "by": "",
            "code": row["code"],
            "expires_at_ms": row["expires_at_ms"],
        }
        for row in pairings.listing(conn, now_ms)
    ]
    known = [
        {
            "principal": row["principal"],
            "role": row["role"],
            "name": row["name"],
            "since_ms": row["since_ms"],
            "by": row["decided_by"],
            "code": "",
            "expires_at_ms": 0,
        }
        for row in roles.listing(conn)
    ]
    return waiting + known


def _approve(code: str, role: str, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import write_stored
    from core.contracts.inputs import Role
    from core.services import pairings
    from core.services.clock import SystemClock
    from core.services.pairings import Pairing
    from core.settings import Access

    settings = settings_for()
    if settings.access is Access.TRAINERS:
        raise CommandFailed("Nobody but trainers may talk here.", cure="REKKU_ACCESS=pairing lets others in.")
    now_ms = SystemClock().now_ms()

    def write(conn: Any) -> Pairing | None:
        # Not counted: whoever can write to the database need not guess.
        found = pairings.find(conn, code, now_ms)
        if found is None:
            return None
        tell = str(found.address)
        taken = pairings.redeem(conn, found, Role(role), decided_by=BY, now_ms=now_ms, tell=tell)
        return found if taken else None

    pairing = write_stored(settings, write)
    if pairing is None:
        raise CommandFailed(
            "No such code waits: it is wrong, used or expired.", cure="They get a new one by writing again."
        )
    return _told(settings, pairing.principal, role, as_json)


def _revoke(who: str, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import write_stored
    from core.services import pairings, roles

    settings, principal = settings_for(), _principal(who)
    if not write_stored(settings, lambda conn: roles.remove(conn, principal) | pairings.forget(conn, principal)):
        raise CommandFailed(f"{principal} has no role and no code.", cure="`rekku pairing list` shows who has.")
    return _told(settings, principal, "stranger", as_json)


def _block(who: str, as_json: bool) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import write_stored
    from core.contracts.inputs import Role
    from core.services import pairings, roles
    from core.services.clock import SystemClock

    settings, principal = settings_for(), _principal(who)
    if str(principal) in settings.trainer_ids:
        raise CommandFailed(f"{principal} is a trainer.", cure="Take them out of the settings: TRAINER_IDS.")
    now_ms = SystemClock().now_ms()

    def write(conn: Any) -> None:
        pairings.forget(conn, principal)
        roles.put(conn, principal, Role.BLOCKED, name="", decided_by=BY, now_ms=now_ms)

    write_stored(settings, write)
    return _told(settings, principal, "blocked", as_json)


def _principal(who: str) -> Principal:
    from core.contracts.inputs import Principal
    from core.settings import principal_text

    try:
        return Principal.parse(principal_text(who))
    except ValueError as error:
        raise CommandFailed(f"{error}.") from None


def _told(settings: Settings, principal: Principal, role: str, as_json: bool) -> int:
    from core.commands.stored import when_taken_up
    from core.commands.terminal_text import say, say_json

    if as_json:
        say_json({"principal": str(principal), "role": role})
    else:
        article = "" if role == "blocked" else "a "
        say(f"{principal} is {article}{role} now. {when_taken_up(settings)}")
    return 0
