"""The plugin: its actions, and what it takes at the start and gives back at the stop."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, TurnContext, action, hook
from core.contracts.actions import ActionSpec, DisplayHints
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed
from core.contracts.json import JsonObject
from plugins.terminal.choice import choose_sandbox
from plugins.terminal.config import LONGEST_TIMEOUT_S, MIB, TerminalConfig
from plugins.terminal.control_group import ControlGroup, make_control_group
from plugins.terminal.environment import command_environment
from plugins.terminal.keys import key_bytes
from plugins.terminal.one_shot import Finished, run_once
from plugins.terminal.payloads import payload_mistakes
from plugins.terminal.results import finished_json, finished_text, shown_json
from plugins.terminal.sandbox import Command, Limits, Places, Sandbox
from plugins.terminal.screen import Screen
from plugins.terminal.session import Session
from plugins.terminal.sessions import Sessions

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

    _sandbox: Sandbox
    _sessions: Sessions
    _places: Places
    _limits: Limits
    _group: ControlGroup | None = None

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
            return finished_json(await self._run(command, limit_s, directory), network=self._sandbox.network)
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
        return finished_text(await self._run(command, self.config.default_timeout_s, self._places.work))

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
        data = text.encode("utf-8", "replace") + b"".join(key_bytes(key) or b"" for key in keys or ())
        async with _held(found):
            await found.send(data)
            return shown_json(session, await found.read(wait_s))

    @action(effect="external", permission="trainer", timeout_s=MOST_WAIT_S + 30, repeatable=True)
    async def terminal_read(
        self, ctx: ActionContext, session: str, wait_s: Annotated[float, Field(ge=0, le=MOST_WAIT_S)] = 5.0
    ) -> JsonObject:
        """Wait for more output of a session."""
        found = self._sessions.get(str(ctx.principal), session)
        async with _held(found):
            return shown_json(session, await found.read(wait_s))

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
        data = self.context.data_directory.resolve()
        work = data / "work"
        work.mkdir(mode=0o700, exist_ok=True)
        home = data.parent.parent if data.parent.name == "data" else data
        self._places = Places(home=home, work=work, hidden=_hidden(self.config.hide))
        self._sandbox = await choose_sandbox(self.config, self._places)
        memory_bytes = self.config.memory_mb * MIB
        self._group = await asyncio.to_thread(
            make_control_group, processes=self.config.processes, memory_bytes=memory_bytes
        )
        limits = Limits.of(self.config)
        self._limits = Limits(
            memory_bytes=limits.memory_bytes,
            processes=limits.processes,
            file_bytes=limits.file_bytes,
            open_files=limits.open_files,
            cgroups=tuple(self._group.directories),
        )
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
        self.context.log.info("commands are shut in", sandbox=self._sandbox.name, network=self._sandbox.network)
        if self._sandbox.name == "none":
            self.context.log.warning("commands run without a sandbox", weakness=self._sandbox.weakness)

    async def stop(self) -> None:
        """End every session."""
        if hasattr(self, "_sessions"):
            await self._sessions.stop()
        if self._group is not None:
            await asyncio.to_thread(self._group.remove)
            self._group = None

    async def health(self) -> Health:
        """Say which sandbox is in force, and what it does not protect from."""
        bounds = self._group.bounds if self._group is not None else set()
        said = [f"Sandbox: {self._sandbox.name}. {self._sandbox.weakness}"]
        if "memory" not in bounds:
            said.append("Memory is bounded for each process, not for all together.")
        if "pids" not in bounds and os.geteuid() == 0:
            said.append("Rekku runs as root, whom the limit on processes does not bind.")
        said.append(f"The network is {self._sandbox.network}.")
        cure = "Install bubblewrap and leave sandbox out." if self._sandbox.name == "none" else ""
        return Health(ok=True, detail=" ".join(said), cure=cure)

    async def _run(self, command: str, timeout_s: float, cwd: Path) -> Finished:
        argv = self._sandbox.argv(Command(argv=[_shell() or "/bin/sh", "-c", command], cwd=cwd), self._limits)
        try:
            return await run_once(
                argv,
                self._environment("dumb"),
                keepers=self._sandbox.keepers,
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
        if not session.alive:
            await self._sessions.close(session)
        return shown_json(name, shown, note)

    async def _start_session(self, name: str, owner: str, control: Path) -> Session:
        shell = _shell()
        if shell is None:
            raise ActionFailed("Sessions need bash, which is not installed.")
        size = (self.config.rows, self.config.columns)
        session = Session(
            name=name,
            owner=owner,
            control=control,
            control_path=self._sandbox.control_path(control),
            keepers=self._sandbox.keepers,
            output_bytes=self.config.output_bytes,
            screen=Screen(rows=size[0], columns=size[1]),
        )
        environment = self._environment("xterm-256color")
        await session.start(shell, self._sandbox, self._limits, environment, self._places.work, size)
        return session

    def _environment(self, terminal: str) -> dict[str, str]:
        return command_environment(
            home=self._places.work,
            temporary=self._sandbox.temporary,
            timezone=self.context.timezone,
            terminal=terminal,
        )

    def _directory(self, cwd: str | None) -> Path:
        """Return the directory that is meant; raises ActionFailed when it is not in the work directory."""
        work = self._places.work
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


def _hidden(paths: Iterable[str]) -> tuple[Path, ...]:
    """Return what there is of the paths that must not be read, where it really lies."""
    return tuple(real for path in paths if (real := Path(path).expanduser().resolve()).exists())


def _shell() -> str | None:
    return next((path for path in SHELLS if os.access(path, os.X_OK)), None) or shutil.which("bash")
