"""The database is away under load: nothing is acknowledged before it is stored, all is done once it is back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.services import inbox
from core.storage import server
from tests.faults.aftermath import Scene, asked_of_server, complaints
from tests.faults.away import goes_away
from tests.faults.outside import Said
from tests.faults.test_chaos import KINDS
from tests.support.database_servers import ServersOfTests

pytestmark = pytest.mark.service

MESSAGES, LANES = 60, 12
HOW = ("killed", "stopped", "hanging", "reset")
EVERY_CASE = [(dialect, how) for dialect in ("mariadb", "postgresql") for how in HOW]
CASES = EVERY_CASE if os.environ.get("REKKU_EVERY_CASE") else [("mariadb", "killed"), ("postgresql", "hanging")]
"""REKKU_EVERY_CASE=1 takes all."""


@pytest.mark.parametrize(("dialect", "how"), CASES)
async def test_all_is_done_when_it_is_back(
    dialect: str, how: str, tmp_path: Path, database_servers: ServersOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = database_servers.another(dialect)
    try:
        monkeypatch.setattr(server, "LONGEST_S", 1.0)
        scene = Scene(tmp_path, own.url("rekku"))
        said = [
            Said(key=f"k{n}", chat=f"c{n % LANES}", text=f"{KINDS[n % len(KINDS)]} t{n}") for n in range(MESSAGES)
        ]
        seen = await goes_away(own, how, scene.home, scene.outside, said, for_s=3.0)
        assert seen.acknowledged == 0, "what is not stored is not acknowledged"
        assert asked_of_server(scene.database, inbox.count_open) == 0
        assert complaints(scene, [*said, *seen.late], failing_turns=True, gateway_kills=0) == []
    finally:
        own.stop()
