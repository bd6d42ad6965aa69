"""How far a long command is: a bar on a terminal, lines elsewhere, on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

from core.commands.terminal_text import complain, visible

LINES = 10
"""How many lines a whole run prints, beside one for each kind of work."""


class ShownProgress(Protocol):
    """What a command tells as it goes on."""

    def begin(self, total: int) -> None:
        """Say how many pieces there are in all."""

    def advance(self, what: str, pieces: int) -> None:
        """Say that so many more are done, and of what."""


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[ShownProgress]:
    """Show progress until the block ends; nothing when quiet."""
    if quiet or sys.stderr is None:
        yield _Nothing()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console  # 60 ms
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield _Bar(bar)


@contextlib.contextmanager
def shown_waiting(what: str) -> Iterator[None]:
    """Show what is waited for, and for how long, until the block ends; nothing where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # 60 ms
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as shown:
        shown.add_task(visible(what), total=None)
        yield


class _Nothing:
    def begin(self, total: int) -> None:
        """See ShownProgress."""

    def advance(self, what: str, pieces: int) -> None:
        """See ShownProgress."""


class _Lines:
    def __init__(self) -> None:
        self._total = 1
        self._done = 0
        self._told = 0

    def begin(self, total: int) -> None:
        """See ShownProgress."""
        self._total, self._done, self._told = max(total, 1), 0, 0

    def advance(self, what: str, pieces: int) -> None:
        """See ShownProgress."""
        self._done += pieces
        step = self._done * LINES // self._total
        if step > self._told:
            self._told = step
            complain(f"{what}: {self._done} of {self._total}")


class _Bar:
    def __init__(self, bar: object) -> None:
        from rich.progress import Progress

        assert isinstance(bar, Progress)
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def begin(self, total: int) -> None:
        """See ShownProgress."""
        self._bar.reset(self._task, total=total)

    def advance(self, what: str, pieces: int) -> None:
        """See ShownProgress."""
        self._bar.update(self._task, description=visible(what)[:24], advance=pieces)
