"""A gateway, two workers and a scheduler on one server, killed and paused at random until all is done."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence

from tests.faults.aftermath import Scene
from tests.faults.child import STUCK
from tests.faults.children import Children
from tests.faults.outside import Said

SEATS = {"gateway": ["gateway"], "worker one": ["worker"], "worker two": ["worker"], "scheduler": ["scheduler"]}
LEASE_MS = 900
LIFE_S = (0.8, 2.0)
PAUSE_S = 1.5
PATIENCE_S = 50.0
RESTS = 8
"""So often the gateway waits for the end: much work, or a busy machine, takes longer than one of them may."""


async def share_the_work(
    scene: Scene, said: Sequence[Said], disturbances: int, choice: random.Random
) -> Counter[str]:
    """Kill and pause so often, then let all come to rest; return how often each was done.

    "gateway" counts those of the gateway, as `complaints` takes them. Raises AssertionError when it does not come to
    rest.
    """
    left = disturbances
    done: Counter[str] = Counter()
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
        number = rests = 0
        slow = {"think_s": 0.05, "act_s": 0.05, "send_s": 0.02}
        place = Scene(scene.directory, scene.database, own_home=scene.directory / seat)
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
            rests += last
            if last and (code != STUCK or rests == RESTS):
                quiet.set()
                assert code == 0, scene.log()
            assert number < 100 + disturbances

    async with Children(at_once=len(SEATS)) as children, asyncio.TaskGroup() as group:
        for seat in SEATS:
            group.create_task(sit(seat))
    return done
