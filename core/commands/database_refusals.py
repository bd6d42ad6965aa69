"""What a database refuses, as a command tells it: without passwords, and as its own failure where it is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.commands.exit_status import CommandFailed
from core.commands.startup import mask_of
from core.contracts.errors import HomeInUse, RekkuError, StorageError, StorageUnavailable
from core.settings import Settings


@contextmanager
def refusals_told(*of: Settings, own: type[StorageError] = StorageError) -> Iterator[None]:
    """Let errors pass without the secrets of these settings.

    own: those that say that the command did not do what it was asked; a database that is in use or away is none.
    """
    try:
        yield
    except RekkuError as error:
        said = str(error)
        for settings in of:
            said = mask_of(settings).text(said)
        error.args = (said,)
        if isinstance(error, own) and not isinstance(error, HomeInUse | StorageUnavailable):
            raise CommandFailed(said, cure=error.cure) from error
        raise
