"""Processes that share the work of one server, killed and paused at random: as good as one process alone.

The default is small. `REKKU_CHAOS="messages=500 lanes=20 kills=100 seed=7"` plays a larger one, see `test_chaos`.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.outside import SENDS, WORLD, Said
from tests.faults.sharing import share_the_work
from tests.faults.test_chaos import KINDS, planned
from tests.support.database_servers import ServersOfTests


@pytest.mark.service
@pytest.mark.parametrize("dialect", ["mariadb", "postgresql"])
async def test_processes_that_are_killed_and_paused_share_the_work(
    dialect: str, tmp_path: Path, database_servers: ServersOfTests
) -> None:
    plan = planned({"messages": 40, "lanes": 6, "kills": 12})
    choice = random.Random(plan["seed"])
    said = [
        Said(key=f"k{n}", chat=f"c{n % plan['lanes']}", text=f"{choice.choice(KINDS)} t{n}")
        for n in range(plan["messages"])
    ]
    scene = Scene(tmp_path, database_servers.url(dialect))
    done = await share_the_work(scene, said, plan["kills"], choice)

    again = len(scene.outside.read(SENDS)) - len({event["id"] for event in scene.outside.read(SENDS)})
    print(f"{dict(done)}, {again} parts sent again, {len(scene.outside.read(WORLD))} actions in the world")
    assert done["kill"] + done["pause"] == plan["kills"]
    assert complaints(scene, said, failing_turns=True, gateway_kills=done["gateway"]) == []
