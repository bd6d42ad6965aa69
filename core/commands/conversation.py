"""A conversation at the console: the app runs while it lasts, and ends what was begun."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import IO, Protocol, cast

from core.app import App
from core.commands.exit_status import FAILED
from core.commands.startup import end_starting, settings_for, tell_failures
from core.commands.stop_signals import StopAsked, StopSignals
from core.commands.terminal_text import complain, on_one_line, typed
from core.ownership import Duty
from core.registry.switching import Switched
from core.services.engines import EngineHandle
from core.services.mask import Masker
from core.settings import Settings

INTERFACE = "console"
DRAINED_S = 60.0
"""How long a batch waits for what it set going besides its own turns: what was approved, say."""


class Console(Protocol):
    """What the command line needs of the interface at the terminal."""

    banner: str
    commands: Callable[[], Mapping[str, str]]
    approve_command: str

    async def notice(self, text: str) -> None: ...
    async def run_interactive(self) -> None: ...
    async def run_lines(self, stream: IO[str] | None) -> int: ...
    async def run_once(self, text: str) -> int: ...
    async def stop(self) -> None: ...


async def converse(
    settings: Settings,
    masker: Masker,
    *,
    once: str | None,
    at_terminal: bool,
    engine: str | None,
    dry_run: bool = False,
    watch: bool = False,
) -> int:
    """Hold a conversation, or hand in the messages of a batch; return the exit status.

    once: the only message. engine: what was named on the command line, for the commands that are suggested. dry_run:
    nothing outside is touched.
    """
    with StopSignals() as stop:
        try:
            async with AsyncExitStack() as stack:
                talk = _app(settings, masker, engine, watch=watch, dry_run=dry_run)
                app = await stop.unless_asked(stack.enter_async_context(talk))
                end_starting()
                tell_failures(app)
                console = cast(Console, app.interface(INTERFACE))
                console.banner = banner(app)
                console.commands = lambda: commands(app)
                console.approve_command = approve_command(engine)
                if watch:
                    app.plugins.files.tell = partial(tell_reloaded, console, masker, failures=at_terminal)
                talking = asyncio.ensure_future(_talk(console, once, at_terminal))
                await stop.wait_for(talking)
                if not talking.done():
                    await console.stop()
                status = await talking
                stop.listen()  # the prompt had SIGINT for itself
                if not (at_terminal or stop.number or await _drained(app, stop)):
                    status = FAILED
        except StopAsked:
            return stop.status
        return stop.status or status


async def tell_reloaded(console: Console, masker: Masker, switched: Switched, *, failures: bool = True) -> None:
    """Say on stderr what came of an edited plugin; a terminal that has gone is no error.

    failures: also what failed, which the log says on stderr where nobody sits at a terminal.
    """
    if not (switched.ok or failures):
        return
    with contextlib.suppress(OSError):
        await console.notice(on_one_line(masker.text(f"(watch) {switched.text}")))


def _app(settings: Settings, masker: Masker, engine: str | None, *, watch: bool, dry_run: bool) -> App:
    if not dry_run:
        return App(settings, serve=(INTERFACE,), masker=masker, reread=lambda: settings_for(engine), watch=watch)
    from core.commands.dry_run import shown_rehearsal

    # Without the scheduler: no periodic job of a plugin runs.
    duties = (Duty.GATEWAY, Duty.WORKER)
    return App(settings, serve=(INTERFACE,), masker=masker, duties=duties, rehearsal=shown_rehearsal(masker.text))


async def _talk(console: Console, once: str | None, at_terminal: bool) -> int:
    if once is not None:
        return await console.run_once(once)
    if at_terminal:
        await console.run_interactive()
        return 0
    return await console.run_lines(sys.stdin)


async def _drained(app: App, stop: StopSignals) -> bool:
    """Wait until what was set going besides is done; False when that takes too long."""
    draining = asyncio.ensure_future(app.drained())
    await stop.wait_for(draining, timeout_s=DRAINED_S)
    if draining.done():
        await draining
        return True
    draining.cancel()
    if not stop.number:
        complain("Something is still being worked on; it goes on at the next start.")
    return False


def commands(app: App) -> dict[str, str]:
    """Return the slash commands with their descriptions."""
    return {name: entry.spec.description for name, entry in app.registry.generation.commands.items()}


def banner(app: App) -> str:
    """Return what a conversation begins with: which engine answers, and how a model is connected when none is."""
    chain = [handle for name in app.env.engines.default_chain if (handle := app.env.engines.get(name))]
    lines = [f"This is Rekku. Engine: {', then '.join(map(_engine, chain)) or 'none'}."]
    if not any(_is_model(handle) for handle in chain):
        lines.append("No language model is connected, so set phrases and commands are all that is understood.")
        for component in app.registry.components("engine"):
            if component.reason.startswith("off: "):
                missing = component.reason.removeprefix("off: ")
                lines.append(
                    f"The engine {component.name} is off: {missing}. Set it in {app.settings.home / '.env'}."
                )
    if app.env.rehearsal is not None:
        lines.append("This is a dry run: nothing outside is touched, and nothing of it is kept.")
    lines += ["/help lists what it can do. Ctrl-D leaves, Alt-Enter starts a new line."]
    return "\n".join(lines)


def _engine(handle: EngineHandle) -> str:
    model = handle.engine.model if _is_model(handle) else ""
    return f"{handle.name} ({model})" if model else handle.name


def _is_model(handle: EngineHandle) -> bool:
    return handle.engine.capabilities.language_model


def approve_command(engine: str | None) -> str:
    """Return the command that gives an approval, with {id} in place of its id, as it can be typed here."""
    command = typed("chat", *(["--engine", engine] if engine else []), "--once")
    return command.replace("{", "{{").replace("}", "}}") + " '/approve {id}'"
