"""Backups that are made while Rekku runs: when one is due, where it goes, and which of the old ones go.

What there is to know stands in the directory: the time of a backup in its name, and why the last try failed in a
file beside. So a restart changes nothing, and `rekku doctor` sees the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from core.contracts.errors import HomeInUse, RekkuError
from core.contracts.services import Clock
from core.services.mask import Masker
from core.services.periodic import Job
from core.settings import Settings
from core.storage.backup import back_up
from core.storage.backup_file import ENDINGS
from core.storage.home_lock import HomeLock
from core.storage.server_url import dialect_of

log = structlog.get_logger("rekku.backup")

LOOK_EVERY_S = 60.0
AGAIN_AFTER_MS = 10 * 60_000
"""How long after a failure the next try is."""
LONGEST_S = 6 * 3600.0
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FAILURE = "last-failure.json"
LOCK = ".lock"

_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"rekku-(\d{8}T\d{6}Z)\.(?:db|sql|dump)")
_PARTIAL = re.compile(r"\.rekku-\d{8}T\d{6}Z\.(?:db|sql|dump)\.[0-9a-f]{8}(?:-journal|-wal|-shm)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the last try failed, and when (UTC milliseconds)."""

    at_ms: int
    reason: str


def backups_in(directory: Path) -> list[tuple[int, Path]]:
    """Return the scheduled backups of a directory with their times (UTC milliseconds), the newest first."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            name = _NAME.fullmatch(path.name)
            if name is not None and path.is_file() and not path.is_symlink():
                with contextlib.suppress(ValueError):  # a month 13 is no name of ours
                    at = datetime.strptime(name.group(1), _STAMP).replace(tzinfo=UTC)
                    found.append((round(at.timestamp() * 1000), path))
    return sorted(found, reverse=True)


def last_failure(directory: Path) -> Failure | None:
    """Return why the last try failed, None when it did not."""
    try:
        told = json.loads((directory / FAILURE).read_text(encoding="utf-8"))
        return Failure(at_ms=int(told["at_ms"]), reason=str(told["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class ScheduledBackup:
    """Makes a backup when one is due, and removes those that are too many."""

    def __init__(self, settings: Settings, clock: Clock, masker: Masker) -> None:
        self._settings = settings
        self._clock = clock
        self._masker = masker
        self._told = ("", 0)

    def jobs(self) -> list[Job]:
        """Return the job that looks whether one is due; none where there shall be no backups."""
        if not self._settings.backup.every_hours:
            return []
        return [Job(name="backup", run=self.run_if_due, seconds=LOOK_EVERY_S, timeout_s=LONGEST_S)]

    async def run_if_due(self) -> Path | None:
        """Make a backup when one is due; return its path, None when there is none to make or it failed."""
        if not await asyncio.to_thread(self._due):
            return None
        directory = self._settings.backup_directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = HomeLock(directory, LOCK)
            lock.take()
        except HomeInUse:
            return None  # another process makes one
        except (OSError, RekkuError) as error:
            self._failed(directory, f"{directory} cannot be written to: {error}")
            return None
        try:
            # Once more: another process may have made one just now.
            return await self._run(directory) if await asyncio.to_thread(self._due) else None
        finally:
            lock.release()

    def _due(self) -> bool:
        settings, now_ms = self._settings, self._clock.now_ms()
        if settings.database_server is None and not settings.database_path.exists():
            return False
        directory = settings.backup_directory
        failure = last_failure(directory)
        if failure is not None and 0 <= now_ms - failure.at_ms < AGAIN_AFTER_MS:
            return False
        # One from the future is from a clock that was wrong.
        times = [at_ms for at_ms, _ in backups_in(directory) if at_ms <= now_ms]
        return not times or now_ms - times[0] >= settings.backup.every_hours * HOUR_MS

    async def _run(self, directory: Path) -> Path | None:
        await asyncio.to_thread(_remove_partial, directory)
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        target = directory / f"rekku-{at:{_STAMP}}{ENDINGS[dialect_of(self._settings)]}"
        try:
            await back_up(self._settings, target, replace=False)
        except (OSError, RekkuError) as error:
            self._failed(directory, error.explain() if isinstance(error, RekkuError) else str(error))
            return None
        (directory / FAILURE).unlink(missing_ok=True)
        self._told = ("", 0)
        log.info("a backup was made", path=str(target), bytes=target.stat().st_size)
        await asyncio.to_thread(_rotate, directory, self._settings.backup.keep)
        return target

    def _failed(self, directory: Path, reason: str) -> None:
        """Log a failure, the same one once a day, and leave it for the doctor."""
        reason, now_ms = self._masker.text(reason), self._clock.now_ms()
        said, at_ms = self._told
        if said != reason or now_ms - at_ms >= DAY_MS:
            log.warning("no backup was made", reason=reason)
            self._told = (reason, now_ms)
        with contextlib.suppress(OSError):  # a directory that cannot be written to is seen by the doctor itself
            (directory / FAILURE).write_text(json.dumps({"at_ms": now_ms, "reason": reason}), encoding="utf-8")


def _rotate(directory: Path, keep: int) -> None:
    for _, path in backups_in(directory)[keep:]:
        path.unlink(missing_ok=True)


def _remove_partial(directory: Path) -> None:
    """Remove what a process has left that was killed while it wrote; the lock says that none writes now."""
    for path in directory.iterdir():
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)
