"""The interactive prompt. Imports prompt_toolkit and rich: only for the interactive mode, and late."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style

from core.contracts.deliveries import Activity
from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted
from interfaces.console.blocking import in_thread
from interfaces.console.completion import NameCompleter, completes_itself
from interfaces.console.history import PromptHistory
from interfaces.console.keys import key_bindings
from interfaces.console.markdown import render_markdown
from interfaces.console.status import Status
from interfaces.console.stray_output import strays_shown
from interfaces.console.terminal_text import visible_controls

_STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold",
        "status": "ansibrightblack",
        "completion-menu": "bg:default",
        "completion-menu.completion": "bg:default default",
        "completion-menu.completion.current": "bg:default ansicyan bold noreverse",
        "completion-menu.meta.completion": "bg:default ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default ansicyan",
    }
)
_DIM, _NOT_DIM = "\x1b[2m", "\x1b[22m"
_FRAME_S = 0.1
_QUEUED_MESSAGES = 100
_HAND_OVER_S = 5.0
_LEAVING = ("/quit", "/exit")


class Prompt:
    """A line that is always ready to be typed in, below what is being said."""

    def __init__(
        self,
        *,
        submit: Callable[[str], Awaitable[Accepted]],
        commands: Callable[[], Mapping[str, str]],
        mentions: Callable[[], Mapping[str, str]],
        banner: str,
        history_path: Path,
        monotonic: Callable[[], float],
    ) -> None:
        self._submit = submit
        self._commands = commands
        self._mentions = mentions
        self._banner = banner
        self._history_path = history_path
        self._monotonic = monotonic
        self._status = Status()
        self._busy = asyncio.Event()
        self._typed: asyncio.Queue[str] = asyncio.Queue(_QUEUED_MESSAGES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._session: PromptSession[str] | None = None
        self._output = create_output(sys.stdout)
        if isinstance(self._output, Vt100_Output):
            # The prompt does without knowing where on the screen it stands. Asking costs a round trip for each
            # message on a slow line, and leaves garbage on terminals that answer late.
            self._output.enable_cpr = False

    async def run(self) -> None:
        """Read and submit lines until the user leaves or `leave` is called."""
        with strays_shown(self._print), self._signals():
            self._session = self._new_session()
            self._print(self._banner + "\n")
            jobs = [asyncio.create_task(self._hand_over()), asyncio.create_task(self._animate())]
            try:
                # Raw all along, not only within each prompt: a key that is pressed between two must not be lost.
                with self._session.input.raw_mode():
                    await self._read()
                with contextlib.suppress(TimeoutError):
                    # What was typed before Ctrl-D was typed to be said.
                    await asyncio.wait_for(self._typed.join(), _HAND_OVER_S)
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, *self._tasks, return_exceptions=True)

    async def show(self, text: str) -> None:
        """Print a message above the line that is being typed; raises OSError when the terminal has gone."""
        columns = self._output.get_size().columns
        self._print("\n" + await in_thread(lambda: render_markdown(text, columns)))

    def tell(self, line: str) -> None:
        """Print a line about the conversation, dimmed, above the one that is being typed."""
        self._print(f"\n{_DIM}{visible_controls(line)}{_NOT_DIM}\n")

    def note(self, activity: Activity) -> None:
        """Show in the status line that a turn started, goes on or ended."""
        self._status.note(activity, self._monotonic())
        self._refresh()

    def leave(self) -> None:
        """End `run`."""
        self._leaving = True
        app = None if self._session is None else self._session.app
        if app is not None and app.is_running and not app.is_done:
            app.exit(exception=EOFError)

    def _new_session(self) -> PromptSession[str]:
        typing_a_name = Condition(lambda: completes_itself(get_app().current_buffer.document.text_before_cursor))
        session: PromptSession[str] = PromptSession(
            message=self._message,
            prompt_continuation="  ",
            style=_STYLE,
            history=PromptHistory(self._history_path),
            completer=NameCompleter(
                lambda: {"quit": "leave the conversation", **self._commands()}, lambda: self._mentions()
            ),
            complete_while_typing=typing_a_name,
            reserve_space_for_menu=6,
            key_bindings=key_bindings(self._interrupt),
            output=self._output,
        )
        session.default_buffer.on_text_changed += lambda _: self._forget_notice()
        return session

    def _message(self) -> StyleAndTextTuples:
        """A blank line or a notice in its place, the status line while a turn runs, and the prompt."""
        above = ""
        if not get_app().is_done:
            line = self._status.line(self._monotonic(), self._output.get_size().columns - 1)
            above = f"\n{line}" if line else self._status.notice
        return [("class:status", above), ("", "\n"), ("class:prompt", "> ")]

    async def _read(self) -> None:
        assert self._session is not None
        while not self._leaving:
            try:
                text = await self._session.prompt_async(set_exception_handler=False, handle_sigint=False)
            except (EOFError, OSError):  # Ctrl-D, `leave`, or the terminal has gone
                return
            if self._means_leaving(text.strip()):
                return
            try:
                self._typed.put_nowait(text)
            except asyncio.QueueFull:
                self._status.notice = f"{_QUEUED_MESSAGES} messages wait already; this one was not sent."

    def _means_leaving(self, text: str) -> bool:
        return text in _LEAVING and not {text, text.removeprefix("/")} & set(self._commands())

    async def _hand_over(self) -> None:
        """Submit what was typed, in order, beside the prompt: a slow database must not hold up typing."""
        while True:
            text = await self._typed.get()
            try:
                await self._submit_or_say_why(text)
            finally:
                self._typed.task_done()

    async def _submit_or_say_why(self, text: str, *, starts_turn: bool = True) -> None:
        try:
            accepted = await self._submit(text)
        except RekkuError as error:
            await self._say(error.explain())
        except Exception as error:  # noqa: BLE001 - one message that cannot be taken must not end the conversation
            await self._say(f"This message was not taken: {error!r}")
        else:
            if starts_turn:
                self._status.accepted(accepted.input_id)
            self._refresh()

    async def _say(self, sentence: str) -> None:
        with contextlib.suppress(OSError):
            await self.show(sentence)

    def _interrupt(self) -> None:
        """Ctrl-C: stop the turn that runs, else clear the line, else say how to leave."""
        buffer = None if self._session is None else self._session.default_buffer
        if self._status.busy:
            if self._status.ask_stop(self._monotonic()):
                self._own(asyncio.get_running_loop().create_task(self._submit_or_say_why("/stop", starts_turn=False)))
        elif buffer is not None and buffer.text:
            buffer.reset()
        else:
            self._status.notice = "Ctrl-D leaves."
        self._refresh()

    def _forget_notice(self) -> None:
        self._status.notice = ""

    async def _animate(self) -> None:
        while True:
            await self._busy.wait()
            self._refresh()
            await asyncio.sleep(_FRAME_S)

    def _refresh(self) -> None:
        if self._status.busy:
            self._busy.set()
        else:
            self._busy.clear()
        if self._session is not None and self._session.app.is_running:
            self._session.app.invalidate()

    def _print(self, lines: str) -> None:
        """Write whole lines above the prompt.

        Not by prompt_toolkit's `run_in_terminal`: that leaves raw mode for the while, and a key that is pressed just
        then is echoed, or lost.
        """
        app = None if self._session is None else self._session.app
        shown = app is not None and app.is_running
        if app is not None and shown:
            app.renderer.erase()
        self._output.enable_autowrap()
        self._output.write_raw(lines)
        self._output.flush()
        if app is not None and shown:
            app.renderer.reset()
            app.invalidate()

    def _own(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Treat SIGINT as Ctrl-C: between two prompts the terminal makes the one of the other."""
        before = signal.getsignal(signal.SIGINT)
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        except (ValueError, RuntimeError):  # not the main thread: signals are somebody else's
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if before is not None:  # None: it was not set from Python, nor can be
                signal.signal(signal.SIGINT, before)
