"""What every database does with a transaction function: it may not end the transaction, and its errors are ours."""

from __future__ import annotations

from typing import NoReturn

from core.contracts.errors import StorageError

MAX_WAITING = 10_000
"""Transactions that may wait at once; more would only hide that the database has fallen behind."""

ENDED_BY_ITSELF = "A transaction function must not commit, roll back or close: that is done for it."
FALLEN_BEHIND = "The database has fallen too far behind; nothing more is taken."
CLOSED = "The database is closed."
ENDING = ("commit", "rollback", "close")
"""Methods of a connection that a transaction function must not call."""


def refuse_ending() -> NoReturn:
    """Stand in for the methods in ENDING while a transaction function runs."""
    raise StorageError(ENDED_BY_ITSELF)


def as_error(error: BaseException) -> Exception:
    """Return what a transaction function raised as an error that a future takes and that ends nobody else."""
    if isinstance(error, StopIteration):
        return RuntimeError("a StopIteration escaped; give next() a default")  # no future takes it as it is
    if not isinstance(error, Exception):
        # An exit, an interrupt or a cancellation of fn's own making is none of the one who awaits it.
        return RuntimeError(f"a transaction function raised {type(error).__name__}")
    return error
