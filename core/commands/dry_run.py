"""`chat --dry-run`: the conversation goes on in a copy of the home that is thrown away."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.commands.terminal_text import on_one_line, say
from core.contracts.actions import ActionEnvelope
from core.contracts.json import compact
from core.replay.copied_home import copy_database, moved, open_copy
from core.settings import Settings
from core.turn.rehearse import Rehearsal


@contextmanager
def dry_home(settings: Settings) -> Iterator[Settings]:
    """Give the settings of a copy for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="rekku-dry-run-") as name:
        home = Path(name)

        async def copy() -> None:
            await copy_database(settings, home)
            await (await open_copy(home)).stop()

        asyncio.run(copy())
        yield moved(settings, home)


def shown_rehearsal(masked: Callable[[str], str]) -> Rehearsal:
    """Return what shows on standard output what would be run, and what plugins would set going.

    masked: hides secrets in a text.
    """

    def tell(what: str, envelope: ActionEnvelope) -> None:
        say(on_one_line(masked(f"(dry run) {what}: {envelope.type} {compact(envelope.payload)}")))

    return Rehearsal(tell=tell, left_out=lambda what: say(on_one_line(masked(f"(dry run) would be started: {what}"))))
