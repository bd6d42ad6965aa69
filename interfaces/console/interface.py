"""The interface `console`: one lane, whose only user is whoever sits at this terminal."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar
from uuid import uuid4

from core.contracts.deliveries import Activity, InterfaceLimits, Part, Receipt
from core.contracts.errors import CannotDeliver, RekkuError
from core.contracts.inputs import Accepted, Address, Input, InputKind, Principal
from core.contracts.json import Json
from core.interface_base import InterfaceBase, Receive
from interfaces.console.endings import Ending, Endings
from interfaces.console.line_reader import MAX_LINE_BYTES, LineReader
from interfaces.console.output import PlainOutput
from interfaces.console.typed_lines import forget_lines, typed_lines

if TYPE_CHECKING:
    from interfaces.console.prompt import Prompt

_COMMAND = re.compile(r"/[A-Za-z][\w-]*(\s|$)")
_ENDINGS = {
    "aborted": "The turn was stopped before it was complete.",
    "error": "The turn failed.",
    "": "Rekku stops; the turn goes on at the next start.",
}
_DUMB_TERMINALS = ("", "dumb", "unknown")


class ConsoleInterface(InterfaceBase):
    """Talks to whoever sits at this terminal, who is a trainer.

    The command line sets the attributes below if it likes, starts the app, and awaits one of `run_interactive`,
    `run_lines` and `run_once`. While one of them runs, standard input is its own; `stop` ends it from outside.
    """

    name = "console"
    attended: ClassVar[bool] = True
    limits: ClassVar[InterfaceLimits] = InterfaceLimits(markdown=True, typing=True)

    def __init__(self) -> None:
        self.banner = "This is Rekku. /help lists what it can do.\nCtrl-D leaves, Alt-Enter starts a new line."
        """What the interactive mode shows first."""
        self.commands: Callable[[], Mapping[str, str]] = dict
        """Returns the slash commands, name (with or without "/") to description, for completion."""
        self.mentions: Callable[[], Mapping[str, str]] = dict
        """Returns what can be written behind an @, name to description, for completion."""
        self.approve_command = "rekku chat --once '/approve {id}'"
        """What the batch modes tell their user to run to approve `{id}`."""
        self._receive: Receive | None = None
        self._endings = Endings()
        self._output = PlainOutput(lambda: sys.stdout)
        self._errors = PlainOutput(lambda: sys.stderr)
        self._prompt: Prompt | None = None
        self._reader: LineReader | None = None
        self._stopped = False

    def local_trainers(self) -> frozenset[str]:
        """Return the login name: who can start the program here owns it."""
        return frozenset({_login_name()})

    def private_address(self, user_id: str) -> Address | None:
        """Return the console's one address."""
        return Address(self.name, "local")

    async def export_person(self, principal: Principal) -> Json:
        """Return the lines that this terminal's user has typed."""
        return typed_lines(self._history_path) or None if self._is_here(principal) else None

    async def erase_person(self, principal: Principal) -> int:
        """Delete the lines that this terminal's user has typed."""
        return forget_lines(self._history_path) if self._is_here(principal) else 0

    def _is_here(self, principal: Principal) -> bool:
        return principal == Principal(self.name, _login_name())

    @property
    def _history_path(self) -> Path:
        return self.context.data_directory / "history"

    async def start(self, receive: Receive) -> None:
        """Keep `receive`; nothing is read before one of the `run_` methods."""
        self._receive = receive
        self._endings = Endings()
        self._stopped = False

    async def run_interactive(self) -> None:
        """Hold a conversation in this terminal; returns when its user leaves or `stop` is called.

        Where standard input or output is no capable terminal, it is `run_lines` on standard input instead.
        """
        if not _is_capable_terminal():
            await self._output.say(self.banner)
            await self.run_lines(sys.stdin)
            return
        if self._stopped:
            return
        from interfaces.console.prompt import Prompt  # late: prompt_toolkit and rich are only needed here

        self._prompt = Prompt(
            submit=self._submit,
            commands=lambda: self.commands(),
            mentions=lambda: self.mentions(),
            banner=self.banner,
            history_path=self._history_path,
            monotonic=self.context.clock.monotonic,
        )
        await self._prompt.run()

    async def run_lines(self, stream: IO[bytes] | IO[str] | None) -> int:
        """Submit one message a line, each after the turn before has ended; blank lines are skipped.

        Returns the exit status: 0, or 1 when a line was not taken, a turn or an action failed, a reply was held
        back, or one waits.
        None is what Python makes of a standard input that is closed: it has no lines.
        """
        if stream is None:
            return 0
        self._reader = LineReader(stream)
        status = 0
        while not (self._stopped or self._output.closed):
            try:
                line = await self._reader.read()
            except OSError as error:
                await self._errors.say(f"Cannot read the messages: {error}")
                return 1
            if line is None:
                break
            if line.too_long:
                await self._errors.say(f"Line {line.number} is over {_MAX_TEXT}; it was skipped.")
                status = 1
            elif line.text.strip() and not await self._complete(line.text):
                status = 1
        return status

    async def run_once(self, text: str) -> int:
        """Submit one message and wait until its turn is complete and its replies are printed.

        Returns the exit status: 0, or 1 when it was not taken, its turn or an action of it failed, its reply was
        held back, or it waits for approval.
        """
        if not text.strip():
            await self._errors.say("There is no message to send.")
            return 1
        return 0 if await self._complete(text) else 1

    async def send(self, part: Part) -> Receipt:
        """Print a part; returns once it was written and flushed. Raises CannotDeliver when nobody reads any more."""
        try:
            if self._prompt is not None:
                await self._prompt.show(part.text)
            else:
                await self._output.write(part.text if part.text.endswith("\n") else part.text + "\n")
        except (OSError, ValueError) as error:
            raise CannotDeliver(f"The console cannot be written to: {error}.") from error
        return Receipt()

    async def notice(self, text: str) -> None:
        """Show a line that is said by nobody in the conversation; raises OSError when the terminal has gone."""
        if self._prompt is not None:
            self._prompt.tell(text)
        else:
            await self._errors.say(text)

    async def activity(self, activity: Activity) -> None:
        """Note that a turn started, goes on or ended."""
        self._endings.note(activity)
        if self._prompt is not None:
            self._prompt.note(activity)

    async def stop(self) -> None:
        """End whichever `run_` method runs; what still has to be printed can be printed."""
        self._receive = None
        self._stopped = True
        self._endings.close()
        if self._reader is not None:
            self._reader.close()
        if self._prompt is not None:
            self._prompt.leave()

    async def _submit(self, text: str) -> Accepted:
        if self._receive is None:
            raise RekkuError("Rekku is stopping and takes no more messages.")
        if len(text) > MAX_LINE_BYTES or len(text.encode("utf-8", "replace")) > MAX_LINE_BYTES:
            raise RekkuError(f"The message is over {_MAX_TEXT} and was not sent.")
        user_id = _login_name()
        return await self._receive(
            Input(
                kind=InputKind.COMMAND if _COMMAND.match(text) else InputKind.MESSAGE,
                principal=Principal(self.name, user_id),
                address=Address(self.name, "local"),
                dedupe_key=uuid4().hex,
                text=text,
                author_name=user_id,
            )
        )

    async def _complete(self, text: str) -> bool:
        """Submit a message and wait for its turn; say on stderr what came of it unless it is complete."""
        try:
            accepted = await self._submit(text)
        except RekkuError as error:
            await self._errors.say(error.explain())
            return False
        ending = await self._endings.wait(accepted.input_id)
        if ending.result == "complete" and not ending.not_done and not ending.undelivered:
            return True
        for sentence in self._explain(ending):
            await self._errors.say(sentence)
        return False

    def _explain(self, ending: Ending) -> list[str]:
        if ending.approval_ids:
            return [
                f"Approval {id_} is needed; to give it: {self.approve_command.format(id=id_)}"
                for id_ in ending.approval_ids
            ]
        said = [f"The reply was not sent. {ending.undelivered}"] if ending.undelivered else []
        if ending.result != "complete":
            return [_ENDINGS.get(ending.result, f"The turn ended as {ending.result}."), *said]
        return [*([f"Not done: {', '.join(ending.not_done)}."] if ending.not_done else []), *said]


_MAX_TEXT = f"{MAX_LINE_BYTES // 1024 // 1024} MiB"


def _login_name() -> str:
    try:
        return getpass.getuser() or "owner"
    except (KeyError, OSError):  # a container's user without a name
        return "owner"


def _is_capable_terminal() -> bool:
    streams: tuple[IO[str] | None, ...] = (sys.stdin, sys.stdout)  # None: closed
    on_terminal = all(stream is not None and stream.isatty() for stream in streams)
    return on_terminal and os.environ.get("TERM", "").lower() not in _DUMB_TERMINALS
