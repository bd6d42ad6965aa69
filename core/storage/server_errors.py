"""What an error of a database server means: again at once, later, or never."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError

from core.contracts.errors import StorageError, StorageUnavailable, ValueRefused


class Meaning(StrEnum):
    """What has to follow from an error."""

    CONFLICT = "conflict"
    """Another transaction was in the way: the whole function runs again."""
    LOST = "lost"
    """The connection is gone, and with it what was not committed."""
    PASSING = "passing"
    """The server refuses for now: it is full, starts, stops or is read-only."""
    FINAL = "final"
    """The statement is wrong, or not allowed."""


# https://mariadb.com/kb/en/mariadb-error-code-reference/ and the client's own from 2000 on.
_MARIADB = {
    **dict.fromkeys((1020, 1205, 1213), Meaning.CONFLICT),
    **dict.fromkeys((1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031), Meaning.LOST),
    **dict.fromkeys((2002, 2003, 2006, 2013, 2014, 2027, 2055), Meaning.LOST),
    **dict.fromkeys((3, 28, 1021, 1037, 1038, 1040, 1041, 1114, 1129, 1203, 1226, 1290, 1836, 1969), Meaning.PASSING),
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: by code, then by class.
_POSTGRESQL = {
    **dict.fromkeys(("40001", "40P01", "55P03"), Meaning.CONFLICT),
    **dict.fromkeys(("57P01", "57P02", "57P03", "57P05", "25P03"), Meaning.LOST),
    **dict.fromkeys(("25006", "57014"), Meaning.PASSING),
}
_POSTGRESQL_CLASSES = {"08": Meaning.LOST, "53": Meaning.PASSING, "58": Meaning.PASSING}

_OTHER_ROWS = {1062, 1451, 1452, 1586, "23503", "23505", "23P01"}
"""What is refused because of other rows, which another process may have written: unique and foreign keys."""

_NOT_LET_IN = {1044, 1045, 1698, 1130, "28000", "28P01", "42501"}
_RIGHTS = {1044, 1142, 1143, 1227, "42501"}
_READ_ONLY = {1290, 1792, 1836, "25006"}
_VALUES = {1153, 1366, 1406}
_DATA = "22"
"""The class of PostgreSQL's errors about values."""

NO_SUCH_DATABASE = {1049, "3D000"}


def code_of(error: BaseException) -> int | str | None:
    """Return the server's code of an error: a number of MariaDB's, an SQLSTATE of PostgreSQL's, or None."""
    original = error.orig if isinstance(error, DBAPIError) else error
    first = original.args[0] if isinstance(original, Exception) and original.args else None
    if isinstance(first, int) and not isinstance(original, OSError):
        return first
    state = getattr(original, "sqlstate", None)
    return state if isinstance(state, str) else None


def meaning(error: BaseException) -> Meaning:
    """Return what follows from an error that came while a connection was in use."""
    if isinstance(error, OSError | EOFError):  # a TimeoutError is an OSError
        return Meaning.LOST
    if not isinstance(error, DBAPIError):
        return Meaning.FINAL
    if error.connection_invalidated:
        return Meaning.LOST
    code = code_of(error)
    if isinstance(code, str):
        known = _POSTGRESQL.get(code) or _POSTGRESQL_CLASSES.get(code[:2])
    else:
        known = _MARIADB.get(code or 0)
    if known is not None:
        return known
    if isinstance(error, IntegrityError):
        # Two processes that both looked before they wrote: at the second run this one sees what the other wrote.
        return Meaning.CONFLICT if code in _OTHER_ROWS else Meaning.FINAL
    return Meaning.LOST if isinstance(error, InterfaceError) and code is None else Meaning.FINAL


def cause_in(error: BaseException) -> BaseException:
    """Return the database's error that an error was raised from, or the error itself."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            break
        if isinstance(seen, DBAPIError | OSError):
            return seen
        seen = seen.__cause__
    return error


def cannot_connect(error: BaseException, where: str) -> StorageError:
    """Return our error for a connection that was not made."""
    code = code_of(error)
    if code in _NOT_LET_IN:
        return StorageError(
            f"The database at {where} does not let us in: {reason(error)}.",
            cure="Check DATABASE_URL, or DB_USER, DB_PASS and DB_NAME, and the rights of that user.",
        )
    if code in NO_SUCH_DATABASE:
        return StorageError(
            f"There is no such database at {where}.",
            cure="Create it, or give the user the right to, and start again.",
        )
    return StorageUnavailable(
        f"The database at {where} cannot be reached: {reason(error)}.",
        cure="Start it, or check DATABASE_URL or DB_HOST and DB_PORT. See `rekku doctor`.",
    )


def refused(error: BaseException, where: str) -> Exception:
    """Return our error in place of the driver's; an integrity error stays as it is, for whoever expects it."""
    if isinstance(error, IntegrityError) or not isinstance(error, DBAPIError | OSError | EOFError):
        return error if isinstance(error, Exception) else RuntimeError(repr(error))
    code = code_of(error)
    kind = StorageError if meaning(error) is Meaning.FINAL else StorageUnavailable
    cure = "See `rekku doctor`."
    if code in _VALUES or (isinstance(code, str) and code.startswith(_DATA)):
        kind = ValueRefused
    elif code in _RIGHTS:
        cure = "Give the user all rights on that database: GRANT ALL ON … TO …"
    elif code in _READ_ONLY:
        cure = "It is read-only: make it writable, or name the server that is."
    return kind(f"The database at {where} refuses: {reason(error)}.", cure=cure)


def reason(error: BaseException) -> str:
    """Return what the server said, without the driver's own trimmings and without a full stop."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(original).splitlines()[0] if str(original) else type(original).__name__
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    # A driver shows the class of its own error in front, and the numbers and texts as a tuple.
    text = text.rpartition(">: ")[2]
    if original.args and len(original.args) > 1 and isinstance(original.args[1], str):
        text = original.args[1]
    return text.strip().rstrip(".")
