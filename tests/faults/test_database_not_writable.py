"""A database that is full or read-only: nothing is acknowledged that is not stored, and all is done afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from core.commands.check import FAILED, OK, Check
from core.commands.examination import examine
from core.contracts.errors import ConfigurationError, StorageUnavailable
from core.services.mask import Masker
from core.storage import server
from core.storage.tables import kv
from tests.faults.aftermath import Scene, complaints
from tests.faults.away import Running, running, until
from tests.faults.child import settings
from tests.faults.outside import ACKNOWLEDGED, WORLD, Records, Said
from tests.faults.test_chaos import KINDS
from tests.faults.test_database_servers import _run_alone
from tests.support.database_servers import PASSWORD, DatabaseServer, ServersOfTests
from tests.support.small_disk import SmallDisk, failing_disk, small_disk

SAID = [Said(key=f"k{n}", chat=f"c{n % 8}", text=f"{KINDS[n % len(KINDS)]} t{n}") for n in range(40)]
LATE = [Said(key=f"late{n}", chat=f"d{n}", text=f"look late{n}") for n in range(5)]
STARTED_AGAIN_WITHIN_S = 60.0
SIZES = (1_000_000, 100_000, 10_000, 100)
MOST_OF_A_SIZE = 400
MEGABYTES = {"mariadb": 260, "postgresql": 160}

on_servers = pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=pytest.mark.service) for name in ("mariadb", "postgresql")]
)


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_S", 2.0)


async def doctor(scene: Scene) -> Check:
    """Return what `rekku doctor` says of the database."""
    checks = await examine(settings(scene.home, scene.database), Masker(), "")
    return next(check for check in checks if check.area == "database")


async def is_kept_back(it: Running) -> list[asyncio.Future[None]]:
    """Hand in what cannot be stored, and see that it is not acknowledged."""
    before = it.acknowledged()
    handing_in = it.hand_in(LATE)
    await asyncio.sleep(1.0)
    assert it.acknowledged() == before, "what is not stored is not acknowledged"
    return handing_in


async def test_a_full_disk_under_a_file(tmp_path: Path) -> None:
    with small_disk(8) as disk:
        scene = Scene(tmp_path, own_home=disk.path / "home")
        async with running(scene.home, "", scene.outside, list(SAID)) as it:
            await until(lambda: len(scene.outside.read(WORLD)) > 3, "it works")
            await until(it.is_ready, "it is told that all works")
            assert (await doctor(scene)).state == OK
            disk.fill()
            # What was laid out for the journal is still to be used: small rows fit until it cannot grow.
            refused = [await _until_refused(it, size) for size in SIZES]
            assert all(refused), "its disk is full"
            await until(it.is_told, "it is told that the database is full")
            handing_in = await is_kept_back(it)
            check = await doctor(scene)
            assert (check.state, check.cure) == (FAILED, "Make room on it.")
            disk.make_room()
            await until(it.is_done, "all is done")
            await asyncio.gather(*handing_in)
            await until(it.is_ready, "it is told that all works again")
        assert complaints(scene, [*SAID, *LATE], failing_turns=True, gateway_kills=0) == []


async def test_a_disk_that_becomes_read_only_under_a_file(tmp_path: Path) -> None:
    with failing_disk() as disk:
        scene = Scene(tmp_path, own_home=disk.path / "home")
        async with running(scene.home, "", scene.outside, list(SAID)) as it:
            await until(lambda: len(scene.outside.read(WORLD)) > 3, "it works")
            disk.fail()
            await until(it.is_told, "it is told that nothing can be written")
            handing_in = await is_kept_back(it)
            check = await doctor(scene)
            assert check.state == FAILED
            assert "cannot be written to" in check.detail
            for task in handing_in:
                task.cancel()
        disk.unmount()

        disk.mount()  # its journal is read, which a mount that is read-only cannot
        disk.unmount()
        disk.mount("ro")
        with pytest.raises(ConfigurationError, match="cannot be written to"):
            async with running(scene.home, "", scene.outside, []):
                raise AssertionError("nothing is served that cannot be stored")
        disk.unmount()

        disk.mount()
        async with running(scene.home, "", scene.outside, [*SAID, *LATE]) as it:
            await until(it.is_done, "all is done")
            assert await it.is_ready()
        # What the platform had taken when the disk failed could not be noted any more: as at a kill.
        assert complaints(scene, [*SAID, *LATE], failing_turns=True, gateway_kills=1) == []


READ_ONLY = {
    "mariadb": ("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"),
    "postgresql": (
        "ALTER SYSTEM SET default_transaction_read_only = on",
        "ALTER SYSTEM SET default_transaction_read_only = off",
    ),
}


@on_servers
async def test_a_server_that_becomes_read_only(
    dialect: str, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    own = database_servers.another(dialect)
    try:
        scene = Scene(tmp_path, await asyncio.to_thread(_url_of_a_user, own))
        close, open_again = READ_ONLY[dialect]
        async with running(scene.home, scene.database, scene.outside, list(SAID)) as it:
            await until(lambda: len(scene.outside.read(WORLD)) > 3, "it works")
            assert (await doctor(scene)).state == OK
            await asyncio.to_thread(_run_alone, own, close)
            await until(it.is_told, "it is told that nothing can be written")
            handing_in = await is_kept_back(it)
            check = await doctor(scene)
            assert check.state == FAILED
            assert "read-only" in check.detail + check.cure
            assert PASSWORD not in check.detail + check.cure
            await asyncio.to_thread(_run_alone, own, open_again)
            await until(it.is_done, "all is done")
            await asyncio.gather(*handing_in)
            await until(it.is_ready, "it is told that all works again")
            assert (await doctor(scene)).state == OK
            assert await it.app.database.read(_probes_left) == 0
        assert complaints(scene, [*SAID, *LATE], failing_turns=True, gateway_kills=0) == []
    finally:
        own.stop()


def _url_of_a_user(own: DatabaseServer) -> str:
    """A user with all rights on one database: MariaDB's root may write to what is read-only."""
    if own.dialect != "mariadb":
        return own.url("rekku")
    _run_alone(own, f"CREATE USER rekku@127.0.0.1 IDENTIFIED BY '{PASSWORD}'")
    _run_alone(own, "GRANT ALL ON rekku.* TO rekku@127.0.0.1")
    return own.url("rekku").replace("//root:", "//rekku:")


def _probes_left(conn: Any) -> int:
    return int(conn.execute(text("SELECT count(*) FROM kv WHERE owner LIKE 'core %'")).scalar())


@contextmanager
def server_on(disk: SmallDisk, dialect: str) -> Iterator[DatabaseServer]:
    own = ServersOfTests(disk.path).another(dialect)
    try:
        yield own
    finally:
        with contextlib.suppress(AssertionError):  # it may have ended by itself
            own.kill()


@on_servers
async def test_a_full_disk_under_a_server(dialect: str, tmp_path: Path) -> None:
    """What still fits into its files goes on; what does not is refused. A server that ends of it is started again."""
    with small_disk(MEGABYTES[dialect]) as disk, server_on(disk, dialect) as own:
        scene = Scene(tmp_path, own.url("rekku"))
        async with running(scene.home, scene.database, scene.outside, list(SAID)) as it:
            await until(lambda: len(scene.outside.read(WORLD)) > 3, "it works")
            disk.fill()
            refused = [await _until_refused(it, size) for size in SIZES]
            assert any(refused), "its disk is full"
            handing_in = it.hand_in(LATE)
            await asyncio.sleep(1.0)
            with contextlib.suppress(StorageUnavailable):
                acknowledged = _acknowledged(scene.outside)  # looked at first: more may be stored at any time
                assert acknowledged <= await it.app.database.read(_stored), "what is not stored is not acknowledged"
            if await _until_refused(it, 100, times=1):
                await until(it.is_told, "it is told that nothing can be written")
            disk.make_room()
            if not await asyncio.to_thread(own.lets_in):
                await asyncio.to_thread(own.kill)
                await asyncio.to_thread(own.start)
            await until(it.is_done, "all is done")
            await asyncio.gather(*handing_in)
            await until(it.is_ready, "it is told that all works again")
            acknowledged = _acknowledged(scene.outside)
            assert acknowledged <= await it.app.database.read(_stored)
        assert complaints(scene, [*SAID, *LATE], failing_turns=True, gateway_kills=0) == []


async def _until_refused(it: Running, size: int, times: int = MOST_OF_A_SIZE) -> bool:
    """Write rows of a size until none fits any more; return whether one was refused."""

    def add(number: int) -> Callable[[Any], None]:
        row = {"owner": "ballast", "key": f"{size}-{number}-{id(row_of)}", "value": "x" * size}
        return lambda conn: conn.execute(insert(kv), row) and None

    row_of = object()
    for number in range(times):
        try:
            await it.app.database.transact(add(number))
        except StorageUnavailable:
            return True
    return False


def _stored(conn: Any) -> set[str]:
    return set(conn.execute(text("SELECT dedupe_key FROM inbox")).scalars())


def _acknowledged(outside: Records) -> set[str]:
    return {str(event["key"]) for event in outside.read(ACKNOWLEDGED)}
