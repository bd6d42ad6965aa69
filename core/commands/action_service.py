"""Rekku's actions for a program at the other end of standard input and output, or of HTTP, until it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol, cast

from core.app import DRAIN_S, App
from core.commands.startup import end_starting, tell_failures
from core.commands.stop_signals import StopAsked, StopSignals
from core.commands.terminal_text import complain
from core.contracts.inputs import Principal
from core.services.mask import Masker
from core.settings import Settings

INTERFACE = "mcp"
NOT_WELCOME = (
    "{principal} may not use this Rekku yet. Name it in TRAINER_IDS, or let its client call the tool `introduce` and "
    "give the code to `rekku pairing approve`."
)


class Door(Protocol):
    """What the command line needs of the interface."""

    principal: Principal
    url: str

    async def run_stdio(self, read_fd: int, write_fd: int, drain_s: float) -> None: ...
    async def stop(self) -> None: ...


def with_listen(settings: Settings, listen: str) -> Settings:
    """Return settings in which the interface listens there, and nowhere else."""
    table = settings.component("interfaces", INTERFACE)
    changed = replace(table, values={**table.values, "listen": listen}, enabled=True)
    interfaces = {**settings.components.get("interfaces", {}), INTERFACE: changed}
    return settings.model_copy(update={"components": {**settings.components, "interfaces": interfaces}})


async def serve_actions(settings: Settings, masker: Masker, *, over_http: bool) -> int:
    """Serve until the client leaves or a signal comes; return the exit status."""
    with contextlib.ExitStack() as pipes:
        read_fd, write_fd = pipes.enter_context(_own_streams()) if not over_http else (-1, -1)
        with StopSignals() as stop:
            try:
                async with AsyncExitStack() as stack:
                    app = await stop.unless_asked(
                        stack.enter_async_context(App(settings, serve=(INTERFACE,), masker=masker))
                    )
                    end_starting()
                    tell_failures(app)
                    door = cast(Door, app.interface(INTERFACE))
                    if app.env.people.role(door.principal).rank == 0:
                        complain(NOT_WELCOME.format(principal=door.principal))
                    if over_http:
                        complain(f"MCP clients are served at {door.url}.")
                        await stop.wait_for()
                        return 0
                    talking = asyncio.ensure_future(door.run_stdio(read_fd, write_fd, DRAIN_S))
                    await stop.wait_for(talking)
                    if not talking.done():
                        await door.stop()
                    await talking
            except StopAsked:
                return stop.status
    return 0


@contextlib.contextmanager
def _own_streams() -> Iterator[tuple[int, int]]:
    """Give standard input and output to the wire alone: what anybody else prints goes to stderr.

    One that was closed when we began (Python has None for it then) is the null device: its number is another file's.
    """
    streams_closed = sys.stdin is None, sys.stdout is None
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        wire_in, wire_out = (os.dup(nothing if closed else fd) for fd, closed in enumerate(streams_closed))
        if sys.stdin is not None:
            os.dup2(nothing, 0)
        if sys.stdout is not None:
            os.dup2(2 if sys.stderr is not None else nothing, 1)
    finally:
        os.close(nothing)
    yield wire_in, wire_out
