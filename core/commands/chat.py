"""`rekku chat`: a conversation in this terminal, through a pipe, or of one message."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from core.commands.exit_status import finish
from core.commands.options import Watch

Once = Annotated[
    str | None,
    typer.Option(
        "--once", metavar="TEXT", help="Send this one message, print the replies, and end.", show_default=False
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", help="The engine to use, in place of REKKU_ENGINE.", show_default=False),
]

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be done: nothing outside is touched and nothing is kept."),
]


def chat(once: Once = None, engine: EngineName = None, dry_run: DryRun = False, watch: Watch = False) -> None:
    """Talk to Rekku in this terminal, or through a pipe.

    Whoever sits at the terminal is a trainer. Where standard input or output is no terminal, each line of standard
    input is one message, answered before the next is read. Replies go to stdout, everything else to stderr. The exit
    status is 0, or 1 when a turn failed or waits for an approval, whose id is printed.
    """
    finish(lambda: _chat(once, engine, dry_run=dry_run, watch=watch))


def _chat(once: str | None, engine: str | None, *, dry_run: bool, watch: bool) -> int:
    from core.commands.startup import LOG_FILE, begin_starting, log_kept, mask_of, settings_for

    begin_starting()

    from core.commands.conversation import converse
    from core.commands.event_loop import run_to_the_end
    from core.settings import ensure_home

    settings = settings_for(engine)
    masker = mask_of(settings)
    at_terminal = once is None and all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout))
    with ExitStack() as stack:
        if dry_run:
            from core.commands.dry_run import dry_home

            settings = stack.enter_context(dry_home(settings))
        else:
            ensure_home(settings)
        log = settings.home / LOG_FILE if at_terminal else None
        stack.enter_context(log_kept(settings, masker, quiet="" if at_terminal else "WARNING", path=log))
        try:
            talk = converse(
                settings,
                masker,
                once=once,
                at_terminal=at_terminal,
                engine=engine,
                watch=watch,
                dry_run=dry_run,
            )
            return run_to_the_end(talk)
        except Exception as error:  # whatever it is: it is raised again, with where to read more
            if log is not None:
                error.add_note(f"The log is in {log}.")
            raise
    raise AssertionError("the block above returns or raises")
