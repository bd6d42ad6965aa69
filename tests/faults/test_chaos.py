"""Random SIGKILLs: at the platform nothing is lost, and only what was in flight is seen twice.

The default is small. `REKKU_CHAOS="messages=500 lanes=20 kills=100 seed=7"` plays a larger one; what is left out has
its default, and the seed is printed, so that a run that failed can be played again.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.child import STUCK
from tests.faults.children import Children
from tests.faults.outside import SENDS, WORLD, Said
from tests.support.database_servers import ServersOfTests

KINDS = ("look", "keep", "append", "say", "both", "mixed", "twice", "risky", "/append", "/keep")
SMALL = {"messages": 30, "lanes": 5, "kills": 10}
RUN_S = {"sqlite": (0.03, 0.2), "mariadb": (0.1, 0.6), "postgresql": (0.1, 0.6)}
"""The shortest and the longest time before a kill. A child takes about 0.04 s to start, on a server 0.2 s."""


def planned(small: dict[str, int]) -> dict[str, int]:
    """Return what is to be played, with its seed; `small` where REKKU_CHAOS says nothing else."""
    given = dict(pair.split("=") for pair in os.environ.get("REKKU_CHAOS", "").split())
    plan = {name: int(given.pop(name, default)) for name, default in small.items()}
    plan["seed"] = int(given.pop("seed", random.SystemRandom().randrange(10**6)))
    assert not given, f"REKKU_CHAOS knows no {', '.join(given)}"
    print(f"REKKU_CHAOS={' '.join(f'{name}={value}' for name, value in plan.items())!r}")
    return plan


@pytest.mark.parametrize(
    "dialect",
    [
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.service),
        pytest.param("postgresql", marks=pytest.mark.service),
    ],
)
async def test_random_kills(dialect: str, tmp_path: Path, database_servers: ServersOfTests) -> None:
    plan = planned(SMALL)
    choice = random.Random(plan["seed"])
    said = [
        Said(key=f"k{n}", chat=f"c{n % plan['lanes']}", text=f"{choice.choice(KINDS)} t{n}")
        for n in range(plan["messages"])
    ]
    scene = Scene(tmp_path, "" if dialect == "sqlite" else database_servers.url(dialect))
    kills = 0
    async with Children() as children:
        slow = {"think_s": 0.05, "act_s": 0.05, "send_s": 0.02}
        for _ in range(plan["kills"]):
            code = await scene.run(children, said, kill_after_s=choice.uniform(*RUN_S[dialect]), **slow)
            assert code in (0, -9), scene.log()
            kills += code == -9
        for _ in range(1 + plan["messages"] // 100):
            code = await scene.run(children, said)
            if code != STUCK:  # a large plan may need more than one child's patience
                break

    again = len(scene.outside.read(SENDS)) - len({event["id"] for event in scene.outside.read(SENDS)})
    print(
        f"{kills} kills, {again} parts sent again, {len(scene.begun)} ends not seen, "
        f"{len(scene.outside.read(WORLD))} actions in the world"
    )
    assert code == 0, scene.log()
    assert kills >= plan["kills"] // 2
    assert complaints(scene, said, failing_turns=True) == []
