"""What `rekku people erase` does: it tells what there is, asks, deletes it, and tells what is gone."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

from core.commands.exit_status import CommandFailed
from core.commands.home_use import process_using
from core.commands.person_components import Answers, erased, loaded_on_database, private_chat
from core.commands.startup import settings_for
from core.commands.stored import when_taken_up
from core.commands.terminal_text import complain, on_one_line, say, say_json
from core.contracts.inputs import Principal
from core.services import personal_data
from core.services.clock import SystemClock
from core.services.person_erasure import Erasing
from core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Erased:
    """What is gone: rows by table, and what components say."""

    rows: dict[str, int]
    components: Answers


def erase_person(principal: Principal, *, sure: bool, forget_block: bool, as_json: bool) -> int:
    """Delete all that is stored of a person, once that is confirmed."""
    settings = settings_for()
    if not sure:
        _confirm(principal, asyncio.run(_counted(settings, principal)))
    gone = asyncio.run(_erase(settings, principal, forget_block=forget_block))
    if as_json:
        say_json(
            {
                "principal": str(principal),
                "erased": gone.rows,
                "components": gone.components.values,
                "failed": gone.components.failures,
            }
        )
    else:
        for name, count in gone.rows.items():
            say(f"{name}: {count}{' (of each an empty stub stays)' if name == 'inbox' else ''}")
        for name, count in gone.components.values.items():
            say(f"{name}: {count}")
        if not gone.rows and not gone.components.values:
            say(f"Nothing is stored of {principal}.")
        elif process_using(settings.home):
            say(when_taken_up(settings))
    if str(principal) in settings.trainer_ids:
        complain(f"{principal} is still a trainer: take them out of the settings, TRAINER_IDS.")
    for name, reason in gone.components.failures.items():
        complain(on_one_line(f"{name} may still keep something of {principal}: {reason}"))
    return 1 if gone.components.failures else 0


def _confirm(principal: Principal, counts: dict[str, int]) -> None:
    """Ask on stderr; raises CommandFailed unless the answer is yes."""
    complain(f"Of {principal} there is, besides what plugins keep:")
    for name, count in counts.items():
        complain(f"  {name}: {count}")
    complain("Delete it? It cannot be undone. [yes/no]")
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandFailed("Nothing was deleted.", cure="Answer yes, or say --yes.")


async def _counted(settings: Settings, principal: Principal) -> dict[str, int]:
    async with loaded_on_database(settings, write=False) as app:
        private = private_chat(app, principal)

        def count(conn: Any) -> dict[str, int]:
            return personal_data.counts(conn, personal_data.find(conn, principal, private))

        return await app.database.read(count)


async def _erase(settings: Settings, principal: Principal, *, forget_block: bool) -> _Erased:
    async with loaded_on_database(settings, write=True) as app:
        private = private_chat(app, principal)
        person = await app.database.read(lambda conn: personal_data.find(conn, principal, private))
        erasing = Erasing(app.database, person, forget_block=forget_block)
        if not await erasing.run(SystemClock().now_ms()):
            raise CommandFailed(
                f"Something of {principal} is being worked on right now.",
                cure="Wait until it is done, or end it with /stop in that chat; after a crash, half a minute.",
            )
        return _Erased(rows=dict(erasing.erased), components=await erased(app, principal))
