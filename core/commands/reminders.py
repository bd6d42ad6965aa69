"""`rekku reminders`: what is to come and for whom, and its way out of a calendar and into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.exit_status import CommandFailed, finish
from core.commands.options import AsJson, Limit

if TYPE_CHECKING:
    from core.contracts.inputs import Principal
    from core.contracts.schedule import Reminder

group = typer.Typer(no_args_is_help=True, help="Look at reminders, cancel them, export and import calendars.")

NOTE = "cancelled on the command line"

Who = Annotated[
    str | None, typer.Option("--who", metavar="WHO", help="Only those of telegram:5.", show_default=False)
]
ForWhom = Annotated[str, typer.Option("--who", metavar="WHO", help="Whose they become.", show_default=False)]
OverToo = Annotated[bool, typer.Option("--all", help="Those that are done or cancelled, too.")]
Numbers = Annotated[list[int], typer.Argument(metavar="NUMBER...", help="As `list` shows.", show_default=False)]
Target = Annotated[str, typer.Argument(metavar="[FILE]", help="Where to; - for stdout.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="An .ics file; - for stdin.", show_default=False)]
To = Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="The chat they come in.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@group.command("list")
def list_(who: Who = None, every: OverToo = False, as_json: AsJson = False, limit: Limit = 50) -> None:
    """List reminders, the next one first."""
    principal = None if who is None else _principal(who)
    finish(lambda: _list(principal, every, as_json, limit))


@group.command()
def cancel(numbers: Numbers, as_json: AsJson = False) -> None:
    """Cancel reminders."""
    finish(lambda: _cancel(list(dict.fromkeys(numbers)), as_json))


@group.command()
def export(file: Target = "-", who: Who = None, force: Force = False) -> None:
    """Write the reminders that are to come as an iCalendar file."""
    from core.commands.calendar_commands import export_to

    principal = None if who is None else _principal(who)
    finish(lambda: export_to(file, principal, force=force))


@group.command("import")
def import_(file: Source, who: ForWhom, to: To = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Set a reminder for each entry of an iCalendar file."""
    from core.commands.calendar_commands import import_from
    from core.contracts.inputs import Address

    principal = _principal(who)
    try:
        address = None if to is None else Address.parse(to)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from None
    finish(lambda: import_from(file, principal, address, dry_run=dry_run, as_json=as_json))


def _principal(who: str) -> Principal:
    from core.contracts.inputs import Principal
    from core.settings import principal_text

    try:
        return Principal.parse(principal_text(who))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--who") from None


def _list(principal: Principal | None, every: bool, as_json: bool, limit: int) -> int:
    from core.commands.startup import settings_for
    from core.commands.stored import read_stored
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json
    from core.services import reminders

    def read(conn: Any) -> list[dict[str, Any]]:
        return [_row(each) for each in reminders.listing(conn, principal, active_only=not every, most=limit)]

    rows = read_stored(settings_for(), read)
    if as_json:
        say_json(rows)
        return 0
    headings = ("NUMBER", "WHO", "NEXT", "REPEATS", "MODE", "STATE", "NOTE", "TEXT")
    cells = [
        (
            row["number"],
            row["who"],
            row["next"] or "-",
            row["repeats"] or "-",
            row["mode"],
            row["state"],
            row["note"] or "-",
            row["text"],
        )
        for row in rows
    ]
    say(table(headings, cells))
    return 0


def _row(reminder: Reminder) -> dict[str, Any]:
    following = reminder.next
    return {
        "number": reminder.number,
        "who": str(reminder.principal),
        "next": next_told(reminder),
        "next_at_ms": 0 if following is None else following.at_ms,
        "zone": reminder.intent.zone,
        "repeats": reminder.intent.rule,
        "remaining": None if following is None else following.remaining,
        "elapsed": reminder.intent.elapsed,
        "mode": reminder.mode.value,
        "missed": reminder.missed.value,
        "max_lateness_s": reminder.max_lateness_s,
        "address": str(reminder.address),
        "state": reminder.state.value,
        "note": reminder.note,
        "text": reminder.text,
        "created_at_ms": reminder.created_at_ms,
    }


def next_told(reminder: Reminder) -> str:
    """Return the next instant of a reminder in its zone, with the zone's name; "" where there is none."""
    from core.commands.calendar_times import is_zone
    from core.commands.stored import told_time

    if reminder.next is None:
        return ""
    zone = reminder.intent.zone if is_zone(reminder.intent.zone) else "UTC"
    return f"{told_time(reminder.next.at_ms, zone)} {zone}"


def _cancel(numbers: list[int], as_json: bool) -> int:
    from dataclasses import replace

    from core.commands.startup import mask_of, settings_for
    from core.commands.stored import when_taken_up, write_stored
    from core.commands.terminal_text import on_one_line, say, say_json
    from core.contracts.schedule import ReminderState
    from core.services import reminders
    from core.services.clock import SystemClock

    settings = settings_for()
    now_ms = SystemClock().now_ms()

    def write(conn: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"cancelled": [], "over": [], "unknown": []}
        for number in numbers:
            found = reminders.by_number(conn, number)
            if found is None:
                told["unknown"].append(number)
            elif found.state is not ReminderState.ACTIVE:
                told["over"].append(number)
            else:
                gone = replace(found, state=ReminderState.CANCELLED, next=None, note=NOTE)
                reminders.change(conn, gone, now_ms)
                told["cancelled"].append({"number": number, "who": str(found.principal), "text": found.text})
        return told

    told = mask_of(settings).value(write_stored(settings, write))
    if as_json:
        say_json(told)
    else:
        for row in told["cancelled"]:
            say(f"Reminder {row['number']} of {row['who']} is cancelled: {on_one_line(row['text'])}")
        if told["cancelled"]:
            say(when_taken_up(settings))
    problems = [f"There is no reminder {number}." for number in told["unknown"]]
    problems += [f"Reminder {number} is over already." for number in told["over"]]
    if problems:
        raise CommandFailed(" ".join(problems), cure="`rekku reminders list --all` lists them.")
    return 0
