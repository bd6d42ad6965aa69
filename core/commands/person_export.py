"""What `rekku people export` does: everything that is stored of somebody, as one JSON object."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.app import App
from core.commands.exit_status import CommandFailed
from core.commands.person_components import exported, loaded_on_database, private_chat
from core.commands.startup import settings_for
from core.commands.terminal_text import complain, on_one_line, printable_json, say
from core.contracts.inputs import Principal
from core.counted import counted
from core.services import personal_data
from core.services.clock import SystemClock
from core.services.person_export import tables
from core.settings import Settings

STANDARD = "-"


def export_to(file: str, principal: Principal, *, force: bool) -> int:
    """Write all that is stored of a person to a file, or to stdout; the status is 1 when a component cannot say."""
    settings = settings_for()
    target = Path(file)
    if file == STANDARD:
        counts, failures = asyncio.run(_export(settings, principal, say))
    else:
        if target.exists() and not force:
            raise CommandFailed(f"{file} is there already.", cure="Name another file, or say --force.")
        try:
            with _private_file(target) as write:
                counts, failures = asyncio.run(_export(settings, principal, write))
        except OSError as error:
            raise CommandFailed(f"{file} cannot be written ({error.strerror}).") from error
        rows = sum(counts.values())
        say(f"{counted(rows, 'row')} of {counted(len(counts), 'table')} written to {file}.")
    for name, reason in failures.items():
        complain(on_one_line(f"{name} cannot say what it keeps of {principal}: {reason}"))
    return 1 if failures else 0


async def _export(
    settings: Settings, principal: Principal, write: Callable[[str], None]
) -> tuple[Counter[str], dict[str, str]]:
    """Write one JSON object in pieces, each whole lines; return how many rows of which table, and what failed."""
    async with loaded_on_database(settings, write=False) as app:
        private = private_chat(app, principal)
        person = await app.database.read(lambda conn: personal_data.find(conn, principal, private))
        counts = await _write_rows(app, person, write)
        answers = await exported(app, principal)
        write(f'  "components": {printable_json(answers.values)},')
        write(f'  "failed": {printable_json(answers.failures)}')
        write("}")
        return counts, answers.failures


async def _write_rows(app: App, person: personal_data.Person, write: Callable[[str], None]) -> Counter[str]:
    counts: Counter[str] = Counter()
    head = {"principal": str(person.principal), "exported_at_ms": SystemClock().now_ms(), "chats": person.lanes}
    write("{")
    for key, value in head.items():
        write(f"  {printable_json(key)}: {printable_json(value)},")
    write('  "tables": {')
    current = ""
    async for table, rows in tables(app.database, person):
        masked: list[Any] = app.masker.value(rows)
        if table != current:
            if current:
                write("\n    ],")
            write(f"    {printable_json(table)}: [")
            current = table
        lines = [f"      {printable_json(row)}" for row in masked]
        write(("," if counts[table] else "") + ",\n".join(lines))
        counts[table] += len(rows)
    write("    ]" if current else "")
    write("  },")
    return counts


@contextlib.contextmanager
def _private_file(target: Path) -> Iterator[Callable[[str], None]]:
    """Write a file whole or not at all, a line at a time; its owner alone may read it."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            yield lambda line: print(line, file=opened)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
