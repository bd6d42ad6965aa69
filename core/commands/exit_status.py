"""How a command ends: its exit status, and one clear message in place of a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from core.commands.terminal_text import complain
from core.contracts.errors import RekkuError

FAILED = 1
CANNOT_START = 2
BUG = 70
INTERRUPTED = 130

_THE_MACHINES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors that are no bug of anybody: a full or failing disk, too many open files."""


class CommandFailed(RekkuError):
    """A command could not do what it was asked: exit status 1."""

    code = "command_failed"


def finish(command: Callable[[], int]) -> NoReturn:
    """Run a command and end with the status that it returns, or with the one that its error stands for."""
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except CommandFailed as error:
        complain(error.explain())
        status = FAILED
    except RekkuError as error:
        complain(error.explain())
        status = CANNOT_START
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        status = FAILED
    except OSError as error:
        if error.errno not in _THE_MACHINES:
            _tell_bug(error)
            raise typer.Exit(BUG) from None
        complain(f"The machine refuses: {error}.")
        _let_go_of_stdout()
        status = FAILED
    except Exception as error:  # noqa: BLE001 - a bug of ours; a person is told in a line, not in a traceback
        _tell_bug(error)
        status = BUG
    raise typer.Exit(status)


def _let_go_of_stdout() -> None:
    """Keep the interpreter from complaining at exit that its last flush fails."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _tell_bug(error: Exception) -> None:
    import traceback

    from core.commands.startup import mask_of
    from core.settings import load_settings

    masked: Callable[[str], str] = str
    level = "INFO"
    with contextlib.suppress(RekkuError):
        settings = load_settings()
        masked, level = mask_of(settings).text, settings.log_level
    first_line = (str(error).strip().splitlines() or [""])[0]
    what = f"{type(error).__name__}: {first_line}".removesuffix(": ")
    where = " ".join(getattr(error, "__notes__", ())) or "REKKU_LOG_LEVEL=DEBUG shows where it happened."
    complain(masked(f"This is a bug in Rekku, please report it: {what}. {where}"))
    if level == "DEBUG":
        complain(masked("".join(traceback.format_exception(error)).rstrip()))
