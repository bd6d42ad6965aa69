"""The home of a running app: its database survives being looked into by other processes."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from core.testing import ScriptedEngine, message, running_app

LOOK = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM kv'); c.commit(); c.close()"


@pytest.mark.sqlite
async def test_a_process_that_writes_and_leaves_takes_no_journal_away(tmp_path: Path) -> None:
    database = tmp_path / "rekku.db"
    async with running_app(engine=ScriptedEngine(otherwise=message("ok")), home=tmp_path) as kit:
        await kit.interface.ask("before")
        looking = await asyncio.create_subprocess_exec(sys.executable, "-c", LOOK, str(database))
        assert await looking.wait() == 0
        assert database.with_name("rekku.db-wal").exists(), (
            "the last one that leaves removes it; that was not the last"
        )
        await kit.interface.ask("after")
        with sqlite3.connect(database) as outside:
            texts = [row[0] for row in outside.execute("SELECT text FROM messages WHERE role = 'user'")]
        outside.close()
        assert texts == ["before", "after"]


@pytest.mark.sqlite
async def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with running_app(home=tmp_path):
        for name in ("rekku.db", "rekku.db-wal"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
