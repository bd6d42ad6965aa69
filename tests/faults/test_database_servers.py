"""Database servers that die, hang, lose connections, forget them or quarrel: nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update
from sqlalchemy.util import await_only

from core.contracts.errors import ConfigurationError, StorageError, StorageUnavailable, ValueRefused
from core.storage import schema, server
from core.storage.server import ServerDatabase
from core.storage.server_url import normalized
from tests.contracts.test_storage import add, metadata, names, things
from tests.support.database_servers import DatabaseServer, ServersOfTests
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.service, pytest.mark.parametrize("dialect", ["mariadb", "postgresql"])]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ServerDatabase]:
    database = ServerDatabase(url)
    await database.start()
    await database.exclusively(metadata.create_all)
    try:
        yield database
    finally:
        await database.stop()


@asynccontextmanager
async def behind_proxy(servers: ServersOfTests, dialect: str) -> AsyncIterator[tuple[ServerDatabase, TcpProxy]]:
    url = servers.url(dialect)
    port = servers.server(dialect).port
    async with TcpProxy(port) as proxy, opened(url.replace(f":{port}/", f":{proxy.port}/")) as database:
        yield database, proxy


@pytest.fixture
def own_server(dialect: str, database_servers: ServersOfTests) -> Any:
    """A server that may be ended."""
    started = database_servers.another(dialect)
    yield started
    started.stop()


WRITERS, READERS = 4, 3

KILL_OTHERS = {
    "mariadb": "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()",
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()",
}


def kill_others(conn: Any) -> None:
    dialect = conn.dialect.name
    for number in conn.execute(text(KILL_OTHERS[dialect])).scalars().all():
        conn.execute(text(f"KILL {number}" if dialect == "mariadb" else f"SELECT pg_terminate_backend({number})"))


async def test_a_connection_that_is_killed_in_a_transaction(dialect: str, database_servers: ServersOfTests) -> None:
    """The function runs again whole, and what it did before is not there."""
    url = database_servers.url(dialect)
    async with opened(url) as database, opened(url) as other:
        runs = 0

        def twice(conn: Any) -> None:
            nonlocal runs
            runs += 1
            add(f"run {runs}")(conn)
            if runs == 1:
                await_only(other.transact(kill_others))
            add("after")(conn)

        await database.transact(twice)
        assert runs == 2
        assert await database.read(names) == ["after", "run 2"]


async def test_connections_that_are_killed_while_they_idle(dialect: str, database_servers: ServersOfTests) -> None:
    url = database_servers.url(dialect)
    async with opened(url) as database, opened(url) as other:
        await asyncio.gather(*(database.transact(add(str(n))) for n in range(WRITERS)))
        await asyncio.gather(*(database.read(names) for _ in range(READERS)))
        await other.transact(kill_others)
        assert len(await database.read(names)) == WRITERS
        await asyncio.gather(*(database.transact(add(f"again {n}")) for n in range(20)))
        assert len(await database.read(names)) == WRITERS + 20


async def test_a_commit_whose_answer_is_lost(dialect: str, database_servers: ServersOfTests) -> None:
    """It happened, and nobody knows: it is not done again behind the back of whoever asked."""
    async with behind_proxy(database_servers, dialect) as (database, proxy):
        runs = 0

        def once(conn: Any) -> None:
            nonlocal runs
            runs += 1
            add(f"run {runs}")(conn)

        proxy.cut_after = b"COMMIT;" if dialect == "postgresql" else b"COMMIT"  # and not READ COMMITTED
        with pytest.raises(StorageUnavailable, match="whether it did is not known"):
            await database.transact(once)
        proxy.cut_after = b""
        assert proxy.cuts == 1
        assert await database.read(names) == ["run 1"]
        assert await database.transact(add("after"))


async def test_a_connection_that_is_cut_before_the_commit(dialect: str, database_servers: ServersOfTests) -> None:
    async with behind_proxy(database_servers, dialect) as (database, proxy):

        def cut_once(conn: Any) -> None:
            add("a")(conn)
            if proxy.cuts == 0:
                proxy.cuts = 1
                proxy.cut_all()
            add("b")(conn)

        await database.transact(cut_once)
        assert await database.read(names) == ["a", "b"]


async def test_nobody_is_let_through(dialect: str, database_servers: ServersOfTests) -> None:
    async with behind_proxy(database_servers, dialect) as (database, proxy):
        await database.transact(add("a"))
        proxy.refuses = True
        proxy.cut_all()
        for run in (database.transact, database.read):
            with pytest.raises(StorageUnavailable) as away:
                await run(names)
            assert "secret-of-tests" not in str(away.value) + away.value.cure
        proxy.refuses = False
        assert await database.read(names) == ["a"]


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_ends_and_comes_back(dialect: str, how: str, own_server: DatabaseServer) -> None:
    async with opened(own_server.url("rekku")) as database:
        await database.transact(add("before"))
        await asyncio.to_thread(getattr(own_server, how))
        for run in (database.transact, database.read):
            with pytest.raises(StorageUnavailable):
                await run(names)
        await asyncio.to_thread(own_server.start)
        assert await database.read(names) == ["before"]
        await database.transact(add("after"))
        assert await database.read(names) == ["after", "before"]


async def test_a_server_that_hangs(dialect: str, own_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(own_server.url("rekku")) as database:
        await database.transact(add("before"))
        monkeypatch.setattr(server, "LONGEST_S", 0.5)
        own_server.pause()
        waiting = [asyncio.ensure_future(run(names)) for run in (database.transact, database.read, database.transact)]
        done, late = await asyncio.wait(waiting, timeout=20)
        own_server.resume()
        assert not late, "who asks a server that hangs must hear so"
        assert [repr(task.exception()) for task in done if not isinstance(task.exception(), StorageUnavailable)] == []
        monkeypatch.undo()
        assert await database.read(names) == ["before"]
        await database.transact(add("after"))


async def test_a_server_that_is_away_at_the_start_is_told(dialect: str, own_server: DatabaseServer) -> None:
    await asyncio.to_thread(own_server.stop)
    with pytest.raises(StorageUnavailable, match="cannot be reached") as away:
        await ServerDatabase(own_server.url("rekku")).start()
    assert "DATABASE_URL" in away.value.cure
    await asyncio.to_thread(own_server.start)


async def test_a_wrong_password_is_told(dialect: str, database_servers: ServersOfTests) -> None:
    url = database_servers.url(dialect).replace("secret-of-tests", "geheim-falsch")
    with pytest.raises(StorageError, match="does not let us in") as refused:
        await ServerDatabase(url).start()
    assert not isinstance(refused.value, StorageUnavailable), "to wait for it would be in vain"
    assert "geheim-falsch" not in str(refused.value)
    assert "DB_PASS" in refused.value.cure


async def test_a_user_who_may_not_create_the_database_is_told(dialect: str, database_servers: ServersOfTests) -> None:
    url = database_servers.url(dialect)
    host = "@127.0.0.1" if dialect == "mariadb" else ""
    password = "IDENTIFIED BY" if dialect == "mariadb" else "PASSWORD"
    async with opened(url) as database:
        await database.transact(lambda conn: conn.execute(text(f"CREATE USER weak{host} {password} 'weak-secret'")))
    account, _, place = url.partition("://")[2].rpartition("@")
    weak = url.replace(account, "weak:weak-secret").replace(place.rpartition("/")[2], "not_there")
    with pytest.raises(StorageError) as refused:
        await ServerDatabase(weak).start()
    assert "not_there" in str(refused.value)
    assert "Create it" in refused.value.cure or "rights" in refused.value.cure
    assert "weak-secret" not in str(refused.value)


async def test_a_name_with_odd_characters(dialect: str, database_servers: ServersOfTests) -> None:
    place = database_servers.url(dialect).rpartition("/")[0]
    async with opened(f"{place}/we%3Aird%25%22na%60me") as database:
        await database.transact(add("a"))
        assert await database.read(names) == ["a"]


async def test_a_database_of_somebody_else_is_left_alone(dialect: str, database_servers: ServersOfTests) -> None:
    async with opened(database_servers.url(dialect)) as database:
        await database.transact(lambda conn: conn.execute(text("CREATE TABLE inbox (x INTEGER)")) and None)
        with pytest.raises(StorageError, match="holds a table inbox that is not Rekku's"):
            await schema.upgrade(database)
        assert sorted(await database.read(lambda conn: inspect(conn).get_table_names())) == ["inbox", "things"]


async def test_an_option_that_is_not_known_is_refused(dialect: str) -> None:
    with pytest.raises(ConfigurationError, match="the option foo, which is not known"):
        ServerDatabase(f"{dialect}://u:p@h/d?foo=bar")
    if dialect == "postgresql":
        assert dict(ServerDatabase("postgresql://u:p@h/d?sslmode=require").url.query) == {"ssl": "require"}


async def test_a_database_in_another_encoding(dialect: str, database_servers: ServersOfTests) -> None:
    """On MariaDB the tables say themselves in which they are; on PostgreSQL it could not hold what people write."""
    latin = database_servers.url(dialect)
    options = {"mariadb": "CHARACTER SET latin1", "postgresql": "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"}
    statement = f"CREATE DATABASE {latin.rpartition('/')[2]} {options[dialect]}"
    await asyncio.to_thread(_run_alone, database_servers.server(dialect), statement)
    if dialect == "mariadb":
        async with opened(latin) as database:
            await database.transact(add("a", text="👩‍👩‍👧"))
            assert await database.read(lambda conn: conn.execute(select(things.c.text)).scalar()) == "👩‍👩‍👧"
        return
    with pytest.raises(StorageError, match="is in LATIN1") as refused:
        await ServerDatabase(latin).start()
    assert "ENCODING 'UTF8'" in refused.value.cure


async def test_a_deadlock_is_tried_again(dialect: str, database_servers: ServersOfTests) -> None:
    async with opened(database_servers.url(dialect)) as database:
        for name in ("a", "b"):
            await database.transact(add(name))
        both = asyncio.Barrier(2)
        runs = 0

        def crossing(first: str, second: str) -> Callable[[Any], None]:
            met = False

            def fn(conn: Any) -> None:
                nonlocal met, runs
                runs += 1
                bump = update(things).values(big=things.c.big + 1)
                conn.execute(bump.where(things.c.name == first))
                if not met:
                    met = True
                    await_only(both.wait())
                conn.execute(bump.where(things.c.name == second))

            return fn

        await asyncio.gather(database.transact(crossing("a", "b")), database.transact(crossing("b", "a")))
        assert runs == 3, "one of the two ran again"
        assert await database.read(lambda conn: list(conn.execute(select(things.c.big)).scalars())) == [2, 2]


async def test_connections_that_the_server_forgets(dialect: str, database_servers: ServersOfTests) -> None:
    forget = {"mariadb": "SET GLOBAL wait_timeout = 1", "postgresql": "ALTER SYSTEM SET idle_session_timeout = '1s'"}
    started = database_servers.another(dialect)
    try:
        async with opened(started.url("rekku")) as database:
            await database.transact(add("a"))
        await asyncio.to_thread(_run_alone, started, forget[dialect])
        async with opened(started.url("rekku")) as database:
            await database.transact(add("b"))
            assert await database.read(names) == ["a", "b"]
            await asyncio.sleep(2.5)  # the server's own clock
            await database.transact(add("c"))
            assert await database.read(names) == ["a", "b", "c"]
    finally:
        started.stop()


def _run_alone(started: DatabaseServer, statement: str) -> None:
    """Run a statement outside of a transaction, and let it have its effect on new connections."""

    async def run() -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        base = normalized(started.url("mysql" if started.dialect == "mariadb" else "postgres"))
        engine = create_async_engine(base, isolation_level="AUTOCOMMIT")
        async with engine.connect() as conn:
            await conn.execute(text(statement))
            if started.dialect == "postgresql":
                await conn.execute(text("SELECT pg_reload_conf()"))
        await engine.dispose()

    asyncio.run(run())


async def test_a_transaction_that_swallows_an_error_of_the_database(
    dialect: str, database_servers: ServersOfTests
) -> None:
    """On PostgreSQL it is undone by then: that must not pass for a commit."""
    async with opened(database_servers.url(dialect)) as database:

        def swallows(conn: Any) -> None:
            add("a")(conn)
            try:
                conn.execute(text("SELECT * FROM nowhere"))
            except Exception:
                return

        if dialect == "postgresql":
            with pytest.raises(StorageError, match="went on after an error"):
                await database.transact(swallows)
            assert await database.read(names) == []
        else:
            await database.transact(swallows)
            assert await database.read(names) == ["a"]
        await database.transact(add("b"))


async def test_what_does_not_fit_is_refused_and_the_rest_goes_on(
    dialect: str, database_servers: ServersOfTests
) -> None:
    options = ("--max-allowed-packet=65536",) if dialect == "mariadb" else ()
    started = database_servers.another(dialect, *options)
    try:
        async with opened(started.url("rekku")) as database:
            with pytest.raises(StorageError) as refused:
                await database.transact(add("n" * 200 if dialect == "postgresql" else "a", text="x" * 70_000))
            assert isinstance(refused.value, ValueRefused), "to wait would be in vain"
            if dialect == "mariadb":
                assert "max_allowed_packet = 16M" in refused.value.cure
            await database.transact(add("b", text="x" * 20_000))
            assert await database.read(names) == ["b"]
    finally:
        started.stop()


async def test_a_server_of_the_other_kind_is_recognized(dialect: str, database_servers: ServersOfTests) -> None:
    other = {"mariadb": "postgresql", "postgresql": "mariadb"}[dialect]
    url = normalized(database_servers.url(dialect)).set(port=database_servers.server(other).port)
    database = ServerDatabase(url.set(drivername=dialect).render_as_string(hide_password=False))
    with pytest.raises(StorageError, match=f"is {other}, and not {dialect}") as refused:
        await database.start()
    assert f"{other}://" in refused.value.cure


async def test_a_password_may_hold_letters_of_every_alphabet(dialect: str, database_servers: ServersOfTests) -> None:
    url = normalized(database_servers.url(dialect)).set(drivername=dialect)
    password, user = "pä§€-пароль-🙂", f"u{url.database}"
    async with opened(url.render_as_string(hide_password=False)) as database:
        create = "CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'"
        if dialect == "mariadb":
            create = "GRANT ALL ON *.* TO {}@127.0.0.1 IDENTIFIED BY '{}'"
        await database.exclusively(lambda conn: conn.exec_driver_sql(create.format(user, password)).rowcount)
        assert await database.transact(add("a"))
    as_user = url.set(username=user, password=password, database=f"{url.database}_new")
    async with opened(as_user.render_as_string(hide_password=False)) as database:
        assert await database.read(names) == []
