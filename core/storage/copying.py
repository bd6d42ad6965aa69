"""Copying every row of one database into another, of whatever kind, and checking each of them there.

The rows are read from one snapshot. While they are written the target is marked as an unfinished copy, which Rekku
does not start on; the mark goes when every row was read back and found equal. A copy that was interrupted goes on
where it was, or from the beginning when what is there is not what the source holds now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Result, Table, and_, delete, func, insert, inspect, or_, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.contracts.errors import StorageError
from core.storage import counters, schema, server_errors
from core.storage.database_use import refuse_rows, refuse_served, tables_with_rows
from core.storage.held_connection import HeldConnection, held
from core.storage.opening import StoredDatabase
from core.storage.packet import packet_size
from core.storage.portable_tables import PortableTables, portable_tables
from core.storage.row_values import Fingerprint, digest, plain, select_rows, size_of
from core.storage.table_difference import narrower_in

BATCH_ROWS = 500
BATCH_BYTES = 1024 * 1024
READ_AT_ONCE = 20
"""Rows may have a megabyte each."""

Row = tuple[Any, ...]
Progress = Callable[[str, str, int], None]
"""Called with what is done ("copy" or "check"), the table, and how many rows more are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """rows: how many, by table. left_out: what of other tables was not taken over. resumed: rows there already."""

    rows: dict[str, int]
    left_out: list[str]
    resumed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """tables: in the order in which they are copied. rows: how many each has."""

    tables: PortableTables
    rows: dict[str, int]


class _Differs(Exception):
    """What an interrupted copy has left is not what the source holds."""


async def copy(
    source: StoredDatabase,
    target: StoredDatabase,
    *,
    resume: bool,
    planned: Callable[[CopyPlan], None] = lambda plan: None,
    progress: Progress = lambda what, table, rows: None,
) -> CopyReport:
    """Copy all rows of `source` to `target`, both started. Raises StorageError, and leaves the target marked then.

    resume: whether the target may be an unfinished copy. planned: called once it is known what there is to do.
    """
    await refuse_served(source)
    await refuse_served(target)
    async with held(source) as reading:
        plan = await reading.run(_plan)
        await _begin(target, plan, source.where, resume=resume)
        planned(plan)
        async with held(target, write=True) as writing:
            await writing.transact(lambda conn: _create_others(conn, plan))
            resumed = await _copy_all(reading, writing, plan, progress)
            await _check_all(reading, writing, plan, progress)
            for table in plan.tables.tables:
                number = await reading.run(lambda conn, table=table: counters.next_number(conn, table))  # type: ignore[misc]
                await writing.transact(lambda conn, t=table, n=number: counters.go_on_with(conn, t, n))  # type: ignore[misc]
    await refuse_served(source)  # once more: what was written meanwhile would be missing in the target
    await target.transact(lambda conn: schema.set_revision(conn, schema.HEAD))
    return CopyReport(rows=plan.rows, left_out=plan.tables.left_out, resumed=resumed)


def _plan(conn: Any) -> CopyPlan:
    found = schema.revision(conn)
    if found != schema.HEAD:
        if found > schema.HEAD:
            raise schema.refusal(found)
        raise StorageError(
            f"The database to copy from has {f'schema {found}' if found else 'no tables of Rekku'}, "
            f"and {schema.HEAD} is needed.",
            cure="Run `rekku db upgrade` on it first." if found else "Name another database.",
        )
    portable = portable_tables(conn)
    count = {
        table.name: int(conn.execute(select(func.count()).select_from(table)).scalar()) for table in portable.tables
    }
    return CopyPlan(tables=portable, rows=count)


async def _begin(target: StoredDatabase, plan: CopyPlan, source: str, *, resume: bool) -> None:
    """See that the target is empty or an unfinished copy, bring its schema to HEAD and mark it."""
    found = await target.read(schema.revision)
    if found == schema.UNFINISHED_COPY:
        if not resume:
            raise StorageError(
                f"{target.where} is the target of a copy that was not finished.",
                cure=f"Go on with it with --resume, from {source}; or remove that database.",
            )
        return
    names = await target.read(lambda conn: tables_with_rows(conn, plan.rows))
    refuse_rows(names, target.where, "Copy to a new database; an existing one is not overwritten.")
    await schema.upgrade(target)
    await target.transact(lambda conn: schema.set_revision(conn, schema.UNFINISHED_COPY))


def _create_others(conn: Any, plan: CopyPlan) -> None:
    """Create the tables of plugins, unless they are there."""
    look = inspect(conn)
    for table in plan.tables.others:
        if not look.has_table(table.name):
            table.create(conn)
            continue
        there = {column["name"] for column in look.get_columns(table.name)}
        if there != set(table.columns.keys()):
            raise StorageError(
                f"The table {table.name} is there already and has other columns.", cure="Drop it in the target."
            )


async def _copy_all(reading: HeldConnection, writing: HeldConnection, plan: CopyPlan, progress: Progress) -> int:
    """Copy every table; return how many rows were there already."""
    try:
        there = 0
        for table in plan.tables.tables:
            there += await _copy_table(reading, writing, table, progress)
    except _Differs:
        for table in reversed(plan.tables.tables):
            await writing.transact(lambda conn, table=table: conn.execute(delete(table)).rowcount)  # type: ignore[misc]
        progress("again", "", 0)
        for table in plan.tables.tables:
            await _copy_table(reading, writing, table, progress)
        return 0
    return there


async def _copy_table(reading: HeldConnection, writing: HeldConnection, table: Table, progress: Progress) -> int:
    """Copy what is missing of a table; return how many rows were there. Raises _Differs for rows that are others."""
    count = select(func.count()).select_from(table)
    left = before = int(await writing.run(lambda conn: conn.execute(count).scalar()))
    if left and not table.primary_key.columns:
        raise _Differs
    largest = await writing.run(_largest_packet)
    rows = await _Rows.of(reading, table)
    try:
        while batch := await rows.next():
            progress("copy", table.name, len(batch))
            missing = batch
            if left:
                there = await writing.run(lambda conn, batch=batch: _known(conn, table, batch))  # type: ignore[misc]
                left -= len(there)
                missing = [row for row in batch if digest(row) not in there]
            if missing:
                await _write(writing, table, missing, largest, fresh=not before)
    finally:
        await rows.close()
    if left:
        raise _Differs
    return before


async def _check_all(reading: HeldConnection, writing: HeldConnection, plan: CopyPlan, progress: Progress) -> None:
    """Read every row on both sides and compare; raises StorageError for a table that is not the same."""
    for table in plan.tables.tables:
        prints = []
        for connection in (reading, writing):
            found = Fingerprint()
            rows = await _Rows.of(connection, table)
            while batch := await rows.next():
                found.add(batch)
                if connection is writing:
                    progress("check", table.name, len(batch))
            prints.append(found)
        if prints[0] != prints[1] or prints[0].rows != plan.rows[table.name]:
            raise StorageError(
                f"The copy of {table.name} is not the same: {prints[0].rows} rows were read, {prints[1].rows} are "
                "there, and not all of them are equal.",
                cure="Run the copy again with --resume; if it stays so, please report it.",
            )


class _Rows:
    """The rows of a table, a batch at a time, never all of them in memory."""

    def __init__(self, connection: HeldConnection, table: Table, result: Result[Any]) -> None:
        self._connection = connection
        self._table = table
        self._result = result

    @classmethod
    async def of(cls, connection: HeldConnection, table: Table) -> _Rows:
        query = select_rows(table, connection.dialect).execution_options(stream_results=True)
        return cls(connection, table, await connection.run(lambda conn: conn.execute(query)))

    async def next(self) -> list[Row]:
        """Return the next batch, an empty one at the end."""
        return await self._connection.run(lambda conn: self._take())

    async def close(self) -> None:
        await self._connection.run(lambda conn: self._result.close())

    def _take(self) -> list[Row]:
        rows: list[Row] = []
        size = 0
        while len(rows) < BATCH_ROWS and size < BATCH_BYTES:
            part = self._result.fetchmany(READ_AT_ONCE)
            if not part:
                break
            rows += [plain(self._table, row) for row in part]
            size += sum(size_of(row) for row in rows[-len(part) :])
        return rows


def _key(table: Table, row: Sequence[Any]) -> Row:
    places = [position for position, column in enumerate(table.columns) if column.primary_key]
    return tuple(row[place] for place in places)


def _known(conn: Any, table: Table, batch: Sequence[Row]) -> set[bytes]:
    """Return the digests of the rows that are there; raises _Differs when one with the same key is another."""
    key = list(table.primary_key.columns)
    keys = [_key(table, row) for row in batch]
    where: ColumnElement[bool]
    if len(key) == 1:
        where = key[0].in_([values[0] for values in keys])
    else:
        where = or_(*(and_(*(c == v for c, v in zip(key, values, strict=True))) for values in keys))
    rows = conn.execute(select_rows(table, conn.dialect.name).where(where))
    there = {digest(plain(table, row)) for row in rows}
    if there - {digest(row) for row in batch}:
        raise _Differs
    return there


async def _write(writing: HeldConnection, table: Table, batch: Sequence[Row], largest: int, *, fresh: bool) -> None:
    """Write rows; raises StorageError that names the one that the target does not take."""
    names = [column.name for column in table.columns]
    values = [dict(zip(names, row, strict=True)) for row in batch]
    if largest:
        for row in batch:
            _refuse_large(table, row, largest, writing.where)
    try:
        await writing.transact(lambda conn: conn.execute(insert(table), values).rowcount)
    except DBAPIError as error:
        if isinstance(error, IntegrityError):
            if not fresh:
                raise _Differs from error  # a row that an earlier try has left, and that the source does not hold
        elif server_errors.meaning(error) is not server_errors.Meaning.FINAL:
            raise
        await _name_the_row(writing, table, batch)
        raise


async def _name_the_row(writing: HeldConnection, table: Table, batch: Sequence[Row]) -> None:
    """Write rows one by one after their batch was refused; raises StorageError that names the first to be refused."""
    names = [column.name for column in table.columns]
    for row in batch:
        value = dict(zip(names, row, strict=True))
        try:
            await writing.transact(lambda conn, value=value: conn.execute(insert(table), [value]).rowcount)  # type: ignore[misc]
        except DBAPIError as error:
            key = ", ".join(str(part) for part in _key(table, row)) or "without a key"
            narrower = await writing.run(lambda conn: narrower_in(conn, table))
            cure = "Change or delete that row in the source, then go on with --resume."
            if narrower:  # the row is sound, and so would be the table that a copy creates
                cure = f"The reason is that table in the target: {narrower}. Drop it there and go on with --resume."
            raise StorageError(
                f"{writing.where} does not take the row {key[:80]} of {table.name}: {server_errors.reason(error)}.",
                cure=cure,
            ) from error


def _largest_packet(conn: Any) -> int:
    """Return how many bytes MariaDB takes at once; it closes the connection at more. 0: the others have no bound."""
    return 0 if conn.dialect.name != "mariadb" else int(conn.execute(text("SELECT @@max_allowed_packet")).scalar())


def _refuse_large(table: Table, row: Row, largest: int, where: str) -> None:
    size = packet_size(row, largest)
    if size >= largest:
        key = ", ".join(str(part) for part in _key(table, row))
        raise StorageError(
            f"The row {key[:80]} of {table.name} has {size} bytes, and {where} takes {largest} at once.",
            cure="Set max_allowed_packet to more in the configuration of MariaDB, then go on with --resume.",
        )
