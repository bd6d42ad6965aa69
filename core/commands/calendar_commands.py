"""What `rekku reminders export` and `import` do with files and the database."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.commands.calendar_export import calendar_of
from core.commands.calendar_file import MOST_BYTES, CalendarError
from core.commands.calendar_import import MOST_ACTIVE, Imported, LeftOut, Recipient, put_in, read_entries
from core.commands.exit_status import CommandFailed
from core.commands.loaded import loaded_app
from core.commands.reminders import next_told
from core.commands.startup import mask_of, settings_for
from core.commands.stored import read_stored, when_taken_up, write_stored
from core.commands.terminal_text import complain, on_one_line, say, say_json
from core.contracts.errors import RekkuError
from core.contracts.inputs import Address, Principal
from core.contracts.schedule import ReminderMode
from core.counted import counted
from core.interface_base import InterfaceBase
from core.services import calendar_uids, reminders
from core.services.clock import SystemClock
from core.settings import Settings

STANDARD = "-"


def export_to(file: str, principal: Principal | None, *, force: bool) -> int:
    """Write the active reminders, of one principal or of all, to a file or stdout."""
    target = Path(file)
    if file != STANDARD and target.exists() and not force:
        raise CommandFailed(f"{file} is there already.", cure="Name another file, or say --force.")
    # Nothing is masked: what is imported again has to be what it was.
    found, uids = read_stored(
        settings_for(),
        lambda conn: (reminders.listing(conn, principal, most=MOST_ACTIVE), calendar_uids.everyone(conn)),
    )
    content = calendar_of(found, uids, SystemClock().now_ms())
    if file == STANDARD:
        if sys.stdout is not None:
            sys.stdout.buffer.write(content)
        return 0
    try:
        _write(target, content)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written ({error.strerror}).") from error
    say(f"{counted(len(found), 'reminder')} written to {file}.")
    return 0


def import_from(file: str, principal: Principal, to: Address | None, *, dry_run: bool, as_json: bool) -> int:
    """Set a reminder for each entry of a file; tell which, and what could not be carried over."""
    content = _content(file)
    settings = settings_for()
    zone = read_stored(settings, lambda conn: reminders.zone(conn, principal)) or settings.timezone
    now_ms = SystemClock().now_ms()
    try:
        entries, left_out = read_entries(content, zone, now_ms)
    except CalendarError as error:
        raise CalendarError(f"{file} cannot be imported. {error}", cure=error.cure) from None

    recipient = Recipient(principal=principal, to=to, private=_private_chat(settings, principal))

    def put(conn: Any) -> tuple[list[Imported], list[LeftOut]]:
        return put_in(conn, entries, recipient, now_ms, write=not dry_run)

    done, there = read_stored(settings, put) if dry_run else write_stored(settings, put)
    mask = mask_of(settings)
    if as_json:
        say_json(mask.value(_as_json(done, left_out, there, dry_run)))
    else:
        for line in _lines(done, left_out, there, dry_run):
            say(mask.text(line))
        if done and not dry_run:
            say(when_taken_up(settings))
    if not (done or there):
        complain("Nothing could be imported.")
        return 1
    return 0


def _private_chat(settings: Settings, principal: Principal) -> Address:
    """Return the chat with one principal alone: where their interface says, else one that is named as they are."""
    component = loaded_app(settings).registry.get("interface", principal.interface)
    interface = None if component is None else component.instance
    address = interface.private_address(principal.user_id) if isinstance(interface, InterfaceBase) else None
    return address or Address(principal.interface, principal.user_id)


def _as_json(
    done: Sequence[Imported], left_out: Sequence[LeftOut], there: Sequence[LeftOut], dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "imported": [
            {
                "entry": each.entry.name,
                "number": each.reminder.number or None,
                "next": next_told(each.reminder),
                "repeats": each.reminder.intent.rule,
                "mode": each.reminder.mode.value,
                "address": str(each.reminder.address),
                "text": each.reminder.text,
                "lost": list(each.entry.lost),
            }
            for each in done
        ],
        "there_already": [{"entry": each.name, "reason": each.reason} for each in there],
        "left_out": [{"entry": each.name, "reason": each.reason} for each in left_out],
    }


def _lines(
    done: Sequence[Imported], left_out: Sequence[LeftOut], there: Sequence[LeftOut], dry_run: bool
) -> list[str]:
    lines = []
    for each in done:
        set_ = "Would be set" if dry_run else f"Reminder {each.reminder.number} is set"
        repeats = f", {each.reminder.intent.rule}" if each.reminder.intent.rule else ""
        mode = "" if each.reminder.mode is ReminderMode.LITERAL else f", as a {each.reminder.mode.value}"
        when = f"{next_told(each.reminder)}{repeats}, in {each.reminder.address}{mode}"
        lines.append(f"{set_}: {when}: {on_one_line(each.reminder.text)}")
        lines += [f"  Not carried over: {lost}." for lost in each.entry.lost]
    lines += [f"Left out: {each.name}: {each.reason}." for each in (*there, *left_out)]
    would_be = "would be imported" if dry_run else "imported"
    lines.append(
        f"{counted(len(done), 'reminder')} {would_be}, {len(there)} there already, {len(left_out)} left out."
    )
    return lines


def _content(file: str) -> bytes:
    try:
        if file == STANDARD:
            return sys.stdin.buffer.read(MOST_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise RekkuError(f"{file} cannot be read ({error.strerror}).") from error


def _write(target: Path, content: bytes) -> None:
    """Write a file whole or not at all; its owner alone may read it."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
