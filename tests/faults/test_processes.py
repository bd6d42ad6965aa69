"""A gateway, two workers and a scheduler on one server, killed and paused at random: as good as one process alone.

The default is small. `REKKU_CHAOS="messages=500 lanes=20 kills=100 seed=7"` plays a larger one, see `test_chaos`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.children import Children
from tests.faults.outside import SENDS, WORLD, Said
from tests.faults.test_chaos import KINDS, planned
from tests.support.database_servers import ServersOfTests

SEATS = {"gateway": ["gateway"], "worker one": ["worker"], "worker two": ["worker"], "scheduler": ["scheduler"]}
LEASE_MS = 900
LIFE_S = (0.8, 2.0)
PAUSE_S = 1.5
PATIENCE_S = 50.0


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
    left = plan["kills"]
    done = {"kill": 0, "pause": 0, "gateway": 0}
    quiet = asyncio.Event()

    async def disturb(pid: int, seat: str) -> None:
        """Let a process live for a while, then pause it for longer than its claims hold, or have it killed."""
        nonlocal left
        while left > 0:
            await asyncio.sleep(choice.uniform(*LIFE_S))
            if left <= 0:
                break
            left -= 1
            if choice.random() < 0.7:
                done["kill"] += 1
                done["gateway"] += seat == "gateway"
                return
            done["pause"] += 1
            done["gateway"] += seat == "gateway"  # what it was sending may be sent by nobody else, but seen twice
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(PAUSE_S)
            os.kill(pid, signal.SIGCONT)
        if seat == "gateway":
            done["gateway"] += 1
            return  # it begins once more, to wait for the end
        await quiet.wait()

    async def sit(seat: str) -> None:
        number = 0
        slow = {"think_s": 0.05, "act_s": 0.05, "send_s": 0.02}
        place = Scene(tmp_path, scene.database, own_home=tmp_path / seat)
        while not quiet.is_set():
            number += 1
            last = seat == "gateway" and left <= 0
            code = await place.run(
                children,
                said,
                duties=SEATS[seat],
                lease_ms=LEASE_MS,
                for_good=not last,
                patience_s=PATIENCE_S,
                while_it_runs=None if last else lambda pid: disturb(pid, seat),
                **({} if last else slow),
            )
            if last:
                quiet.set()
                assert code == 0, scene.log()
            assert number < 100

    async with Children(at_once=len(SEATS)) as children, asyncio.TaskGroup() as group:
        for seat in SEATS:
            group.create_task(sit(seat))

    again = len(scene.outside.read(SENDS)) - len({event["id"] for event in scene.outside.read(SENDS)})
    print(f"{done}, {again} parts sent again, {len(scene.outside.read(WORLD))} actions in the world")
    assert done["kill"] + done["pause"] == plan["kills"]
    assert complaints(scene, said, failing_turns=True, gateway_kills=done["gateway"]) == []
