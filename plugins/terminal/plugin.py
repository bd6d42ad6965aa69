"""The plugin: its actions, and what it takes at the start and gives back at the stop."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, TurnContext, action, hook
from core.contracts.actions import ActionSpec, DisplayHints
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed, ConfigurationError
from core.contracts.inputs import Principal
from core.contracts.json import Json, JsonObject
from plugins.terminal.config import LONGEST_TIMEOUT_S, TerminalConfig
from plugins.terminal.enclosure import Enclosure
from plugins.terminal.environment import command_environment
from plugins.terminal.one_shot import Finished, run_once
from plugins.terminal.payloads import payload_mistakes
from plugins.terminal.results import finished_json, finished_text, shown_json
from plugins.terminal.sandbox import Command
from plugins.terminal.screen import Screen
from plugins.terminal.session import Session, Shown
from plugins.terminal.sessions import Sessions, forget_owner, remembered_of

DEADLINE_S = LONGEST_TIMEOUT_S + 60.0
IDLE_CHECK_S = 15.0
MOST_WAIT_S = 60.0
SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
OF_SESSIONS = ("terminal_input", "terminal_read", "terminal_sessions", "terminal_close")


class Terminal(AIPluginBase):
    """Runs commands for trainers."""

    class Config(TerminalConfig):
        """`[plugins.terminal]`, see docs/terminal.md."""

    config: TerminalConfig

    _sessions: Sessions
    _enclosure: Enclosure | None = None

    def get_supported_actions(self) -> dict[str, JsonObject]:
        """Return the actions; whether their output taints is the operator's choice."""
        actions = super().get_supported_actions()
        outside = not self.config.output_is_trusted if hasattr(self, "config") else True
        for type_ in ("terminal", "terminal_command", "terminal_input", "terminal_read"):
            actions[type_]["reads_outside"] = outside
        return actions

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Check what is not in the schemas, which every prompt would have to carry."""
        return payload_mistakes(payload)

    @action(
        effect="external",
        permission="trainer",
        timeout_s=DEADLINE_S,
        repeatable=True,
        phrases=["run {command}", "execute {command}", "run the command {command}"],
        display=DisplayHints(verb="runs", command_field="command"),
    )
    async def terminal(
        self,
        ctx: ActionContext,
        command: str,
        session: Annotated[str | None, Field(description="names a shell that stays")] = None,
        timeout_s: float | None = None,
        cwd: Annotated[str | None, Field(json_schema_extra={"x-unlisted": True})] = None,
        keep: Annotated[bool, Field(json_schema_extra={"x-unlisted": True})] = False,
    ) -> JsonObject:
        """Run a shell command."""
        limit_s = min(timeout_s or self.config.default_timeout_s, self.config.max_timeout_s)
        directory = self._directory(cwd)
        if session is None:
            return finished_json(await self._run(command, limit_s, directory), network=self._shut_in.sandbox.network)
        return await self._run_in(str(ctx.principal), session, command, limit_s, directory if cwd else None, keep)

    @action(
        effect="external",
        permission="trainer",
        timeout_s=DEADLINE_S,
        repeatable=True,
        command="sh",
        model=False,
        display=DisplayHints(verb="runs", command_field="command"),
    )
    async def terminal_command(self, command: str) -> str:
        """Run a shell command and show what it prints."""
        return finished_text(await self._run(command, self.config.default_timeout_s, self._work()))

    @action(effect="external", permission="trainer", timeout_s=MOST_WAIT_S + 30, repeatable=True)
    async def terminal_input(
        self,
        ctx: ActionContext,
        session: str,
        text: str = "",
        keys: Annotated[list[str] | None, Field(description="enter, tab, up, ctrl-c, …")] = None,
        wait_s: Annotated[float, Field(ge=0, le=MOST_WAIT_S)] = 1.0,
    ) -> JsonObject:
        """Type text, then keys, into what runs in a session."""
        found = self._sessions.get(str(ctx.principal), session)
        async with _held(found):
            await found.send(text, keys or ())
            return await self._told(found, await found.read(wait_s))

    @action(effect="external", permission="trainer", timeout_s=MOST_WAIT_S + 30, repeatable=True)
    async def terminal_read(
        self, ctx: ActionContext, session: str, wait_s: Annotated[float, Field(ge=0, le=MOST_WAIT_S)] = 5.0
    ) -> JsonObject:
        """Wait for more output of a session."""
        found = self._sessions.get(str(ctx.principal), session)
        async with _held(found):
            return await self._told(found, await found.read(wait_s))

    @action(effect="read", permission="trainer", reads_outside=False)
    async def terminal_sessions(self, ctx: ActionContext) -> JsonObject:
        """List the sessions."""
        owner = str(ctx.principal)
        return {
            "open": [{"session": one.name, "state": one.state} for one in self._sessions.owned(owner)],
            "gone": [{"session": name, "why": why} for name, why in self._sessions.gone(owner).items()],
        }

    @action(effect="external", permission="trainer", repeatable=True, reads_outside=False)
    async def terminal_close(self, ctx: ActionContext, session: str) -> str:
        """Close a session and end all that runs in it."""
        await self._sessions.close(self._sessions.get(str(ctx.principal), session))
        return f"The session {session} is closed."

    @hook("filter_actions")
    async def hide_session_actions(self, turn: TurnContext, specs: Sequence[ActionSpec]) -> list[ActionSpec] | None:
        """Keep the actions on sessions out of the prompt of whoever has none."""
        owner = str(turn.principal)
        if self._sessions.owned(owner) or self._sessions.gone(owner):
            return None
        return [spec for spec in specs if spec.type not in OF_SESSIONS]

    async def start(self) -> None:
        """Find a sandbox that works; raises ConfigurationError when there is none."""
        data = self.context.data_directory
        self._enclosure = await Enclosure.make(self.config, data)
        self._sessions = Sessions(
            start=self._start_session,
            directory=data / "sessions",
            clock=self.context.clock,
            kv=self.context.kv,
            most=self.config.max_sessions,
            idle_s=self.config.idle_s,
        )
        await self._sessions.load()
        self.context.spawn(self._close_idle(), "close idle sessions")
        sandbox = self._enclosure.sandbox
        self.context.log.info("commands are shut in", sandbox=sandbox.name, network=sandbox.network)
        if sandbox.name == "none":
            self.context.log.warning("commands run without a sandbox", weakness=sandbox.weakness)

    async def stop(self) -> None:
        """End every session."""
        if hasattr(self, "_sessions"):
            await self._sessions.stop()
        if self._enclosure is not None:
            await self._enclosure.release()
            self._enclosure = None

    async def health(self) -> Health:
        """Say which sandbox is in force, and what it does not protect from."""
        return self._shut_in.health

    async def examine(self) -> Health:
        """Say the same of the sandbox that a start would find; raises ConfigurationError when it has to be mended."""
        try:
            enclosure = await Enclosure.make(self.config, self.context.data_directory)
        except ConfigurationError as error:
            if self.config.sandbox != "auto":
                raise
            return Health(ok=True, detail=f"Off. {error}", cure=error.cure)
        await enclosure.release()
        return enclosure.health

    async def export_person(self, principal: Principal) -> Json:
        """Return the names of somebody's sessions, open and gone; the work directory is everybody's."""
        return await remembered_of(self.context.kv, str(principal)) or None

    async def erase_person(self, principal: Principal) -> int:
        """Forget the names of somebody's sessions."""
        return await forget_owner(self.context.kv, str(principal))

    @property
    def _shut_in(self) -> Enclosure:
        if self._enclosure is None:
            raise ActionFailed("The terminal has not been started.")
        return self._enclosure

    def _work(self) -> Path:
        """Return the work directory, which a command without a sandbox may have removed."""
        work = self._shut_in.places.work
        work.mkdir(mode=0o700, exist_ok=True)
        return work

    async def _run(self, command: str, timeout_s: float, cwd: Path) -> Finished:
        shut_in = self._shut_in
        command_ = Command(argv=[_shell() or "/bin/sh", "-c", command], cwd=cwd)
        try:
            return await run_once(
                shut_in.sandbox.argv(command_, shut_in.limits),
                self._environment("dumb"),
                keepers=shut_in.sandbox.keepers,
                timeout_s=timeout_s,
                output_bytes=self.config.output_bytes,
            )
        except OSError as error:
            raise ActionFailed(f"The command could not be started: {error}.") from error

    async def _run_in(
        self, owner: str, name: str, command: str, timeout_s: float, cwd: Path | None, keep: bool
    ) -> JsonObject:
        session, note = await self._sessions.open(owner, name)
        async with _held(session):
            try:
                shown = await session.run(command, timeout_s=timeout_s, keep=keep, cwd=str(cwd) if cwd else "")
            except asyncio.CancelledError:
                self.context.spawn(_interrupt(session), f"interrupt {name}")
                raise
        return await self._told(session, shown, note)

    async def _told(self, session: Session, shown: Shown, note: str = "") -> JsonObject:
        """Return what a session has to say; one whose shell has ended is not kept any longer."""
        if not session.alive:
            await self._sessions.close(session)
        return shown_json(session.name, shown, note)

    async def _start_session(self, name: str, owner: str, control: Path) -> Session:
        shell = _shell()
        if shell is None:
            raise ActionFailed("Sessions need bash, which is not installed.")
        shut_in = self._shut_in
        size = (self.config.rows, self.config.columns)
        session = Session(
            name=name,
            owner=owner,
            control=control,
            control_path=shut_in.sandbox.control_path(control),
            keepers=shut_in.sandbox.keepers,
            output_bytes=self.config.output_bytes,
            screen=Screen(rows=size[0], columns=size[1]),
        )
        environment = self._environment("xterm-256color")
        await session.start(shell, shut_in.sandbox, shut_in.limits, environment, self._work(), size)
        return session

    def _environment(self, terminal: str) -> dict[str, str]:
        return command_environment(
            home=self._shut_in.places.work,
            temporary=self._shut_in.sandbox.temporary,
            timezone=self.context.timezone,
            terminal=terminal,
        )

    def _directory(self, cwd: str | None) -> Path:
        """Return the directory that is meant; raises ActionFailed when it is not in the work directory."""
        work = self._work()
        relative = re.sub(r"^~(?=/|$)", ".", cwd or ".")
        try:
            path = (work / relative).resolve()
            inside = path.is_relative_to(work) and path.is_dir()
        except (OSError, ValueError):
            inside = False
        if not inside:
            raise ActionFailed(f"cwd {cwd!r} is no directory below the terminal's own.")
        return path

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(min(IDLE_CHECK_S, self.config.idle_s))
            await self._sessions.close_idle()


@asynccontextmanager
async def _held(session: Session) -> AsyncIterator[None]:
    """Hold a session for one action; raises ActionFailed when another one has it."""
    if session.lock.locked():
        raise ActionFailed(f"Another action is using the session {session.name}.")
    async with session.lock:
        yield


async def _interrupt(session: Session) -> None:
    async with session.lock:
        await session.interrupt()


def _shell() -> str | None:
    return next((path for path in SHELLS if os.access(path, os.X_OK)), None) or shutil.which("bash")
