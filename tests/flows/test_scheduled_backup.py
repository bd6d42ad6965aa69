"""Backups that are made while Rekku runs: when one is due, which go, and what becomes of a failure."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from core.commands.backup_examination import backup_check
from core.commands.check import OFF, OK, WARNING
from core.contracts.errors import StorageError
from core.core_jobs import core_jobs
from core.services.mask import Masker
from core.services.scheduled_backup import FAILURE, LOCK, ScheduledBackup, backups_in, last_failure
from core.settings import BackupSettings, Settings
from core.storage import schema
from core.storage.backup import back_up
from core.storage.home_lock import HomeLock
from core.storage.opening import database_of
from core.testing import FakeClock, ScriptedEngine, message, running_app
from core.testing.clock import START_MS
from tests.support.database_servers import ServersOfTests

HOUR_S = 3600.0


async def installation(home: Path, **backup: Any) -> Settings:
    settings = Settings(home=home, backup=BackupSettings(**backup))
    database = database_of(settings)
    await database.start()
    await schema.upgrade(database)
    await database.stop()
    return settings


def scheduled(settings: Settings, clock: FakeClock) -> ScheduledBackup:
    masker = Masker()
    masker.learn("CANARY", "canary-secret")
    return ScheduledBackup(settings, clock, masker)


def names(settings: Settings) -> list[str]:
    return [path.name for _, path in backups_in(settings.backup_directory)]


async def test_one_is_made_a_day_whoever_starts_and_the_oldest_go(tmp_path: Path) -> None:
    settings, clock = await installation(tmp_path, keep=2), FakeClock()
    assert await scheduled(settings, clock).run_if_due() is not None
    assert names(settings) == ["rekku-20261120T173700Z.db"]
    assert stat.S_IMODE(settings.backup_directory.stat().st_mode) == 0o700
    await clock.advance(24 * HOUR_S - 1)
    assert await scheduled(settings, clock).run_if_due() is None, "a new process asks the directory"
    await clock.advance(1)
    await scheduled(settings, clock).run_if_due()
    foreign = [
        settings.backup_directory / name
        for name in ("rekku-20200101T000000Z.db.gz", "rekku-mine.db", "notes.txt", "rekku-20201301T000000Z.db")
    ]
    for path in foreign:
        path.write_text("not ours")
    (settings.backup_directory / "rekku-20200101T000000Z.sql").write_text("ours, of another database before")
    await clock.advance(30 * HOUR_S)
    await scheduled(settings, clock).run_if_due()
    assert names(settings) == ["rekku-20261122T233700Z.db", "rekku-20261121T173700Z.db"]
    assert all(path.exists() for path in foreign)
    with closing(sqlite3.connect(settings.backup_directory / names(settings)[0])) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (schema.HEAD,)


async def test_a_failure_is_told_once_kept_for_the_doctor_and_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, clock = await installation(tmp_path, keep=1), FakeClock()
    backups = scheduled(settings, clock)
    await backups.run_if_due()
    kept = names(settings)
    tries = 0

    async def refuse(*args: Any, **options: Any) -> None:
        nonlocal tries
        tries += 1
        raise StorageError("The disk says canary-secret.", cure="Ask it.")

    monkeypatch.setattr("core.services.scheduled_backup.back_up", refuse)
    await clock.advance(24 * HOUR_S)
    with capture_logs() as logs:
        for _ in range(30):  # half an hour
            assert await backups.run_if_due() is None
            await clock.advance(60)
    assert tries == 3
    assert [line["reason"] for line in logs] == ["The disk says [CANARY]. Ask it."]
    assert names(settings) == kept
    failure = last_failure(settings.backup_directory)
    assert failure is not None
    assert failure.reason == "The disk says [CANARY]. Ask it."
    check = await backup_check(settings)
    assert (check.state, "The disk says [CANARY]." in check.detail) == (WARNING, True)

    monkeypatch.setattr("core.services.scheduled_backup.back_up", back_up)
    assert await backups.run_if_due() is not None
    assert last_failure(settings.backup_directory) is None
    assert names(settings) != kept
    assert len(names(settings)) == 1


async def test_two_processes_make_one_and_what_a_killed_one_left_is_removed(tmp_path: Path) -> None:
    settings, clock = await installation(tmp_path), FakeClock()
    directory = settings.backup_directory
    directory.mkdir()
    left = directory / ".rekku-20261119T173700Z.db.0a1b2c3d"
    left.write_text("half")
    other = HomeLock(directory, LOCK)
    other.take()
    assert await scheduled(settings, clock).run_if_due() is None
    assert left.exists()
    other.release()
    assert await scheduled(settings, clock).run_if_due() is not None
    assert not left.exists()


async def test_a_backup_from_the_future_keeps_none_from_being_made(tmp_path: Path) -> None:
    settings, clock = await installation(tmp_path), FakeClock()
    settings.backup_directory.mkdir()
    (settings.backup_directory / "rekku-20990101T000000Z.db").write_text("of a clock that was wrong")
    assert await scheduled(settings, clock).run_if_due() is not None


async def test_a_running_app_makes_them_and_can_be_told_not_to(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = Settings(home=tmp_path, backup=BackupSettings(every_hours=1, keep=3, directory=Path("elsewhere")))
    async with running_app(home=tmp_path, engine=ScriptedEngine(message("hello")), clock=clock) as run:
        await run.interface.ask("hi")
        assert [job.name for job in core_jobs(run.app.env, settings)] == ["housekeeping", "backup"]
        await run.app.periodic.run_now("core", "backup")
        (made,) = (tmp_path / "backups").glob("rekku-*.db")
        with closing(sqlite3.connect(made)) as copy:
            texts = [row[0] for row in copy.execute("SELECT text FROM messages ORDER BY id")]
        assert "hi" in texts[0]
        off = settings.model_copy(update={"backup": BackupSettings(every_hours=0)})
        assert [job.name for job in core_jobs(run.app.env, off)] == ["housekeeping"]
    assert settings.backup_directory == tmp_path / "elsewhere"


async def test_the_doctor_tells_how_the_backups_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = await installation(tmp_path, every_hours=6)
    monkeypatch.setattr("core.commands.backup_examination.time.time_ns", lambda: START_MS * 1_000_000)
    check = await backup_check(settings)
    assert (check.state, check.detail) == (OK, f"None yet; they will be in {tmp_path / 'backups'}.")
    with closing(sqlite3.connect(settings.database_path, isolation_level=None)) as conn:
        columns = "interface, dedupe_key, lane, kind, principal, body, passes_lanes, not_before_ms, received_at_ms"
        more = ", state, turn_id, resumed, lease_owner, lease_epoch, lease_until_ms"
        old = START_MS - 13 * 3_600_000
        conn.execute(
            f"INSERT INTO inbox ({columns}{more}) VALUES ('t', '1', 't:1', 'message', 't:1', '{{}}', 0, 0, ?, "
            "'done', 0, 0, '', 0, 0)",
            (old,),
        )
    check = await backup_check(settings)
    assert (check.state, check.detail) == (WARNING, f"There is none in {tmp_path / 'backups'}.")
    clock = FakeClock(START_MS - 13 * 3_600_000)
    await scheduled(settings, clock).run_if_due()
    check = await backup_check(settings)
    assert (check.state, "The newest is of 2026-11-20 " in check.detail) == (WARNING, True)
    await clock.advance(6 * HOUR_S)
    await scheduled(settings, clock).run_if_due()
    check = await backup_check(settings)
    assert (check.state, check.detail.startswith("2 in ")) == (OK, True)
    off = settings.model_copy(update={"backup": BackupSettings(every_hours=0)})
    assert (await backup_check(off)).state == OFF


@pytest.mark.service
@pytest.mark.parametrize("dialect", ["mariadb", "postgresql"])
async def test_a_server_is_backed_up_likewise_and_a_missing_program_is_told(
    dialect: str, tmp_path: Path, database_servers: ServersOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_servers.url(dialect)))
    database = database_of(settings)
    await database.start()
    await schema.upgrade(database)
    clock = FakeClock()
    made = await scheduled(settings, clock).run_if_due()
    assert made is not None
    assert made.suffix == {"mariadb": ".sql", "postgresql": ".dump"}[dialect]
    await clock.advance(24 * HOUR_S)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("core.storage.server_tools._DEBIAN", tmp_path)
    with capture_logs() as logs:
        backups = scheduled(settings, clock)
        assert await backups.run_if_due() is None
        await clock.advance(HOUR_S)
        assert await backups.run_if_due() is None
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert f"apt install {dialect}-client" in line["reason"]
    check = await backup_check(settings)
    assert (check.state, f"apt install {dialect}-client" in check.cure) == (WARNING, True)
    assert (tmp_path / "backups" / FAILURE).exists()
    await database.stop()
