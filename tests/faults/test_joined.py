"""A turn of several messages dies anywhere: it goes on with those that it began with, and each is answered once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene
from tests.faults.child import DIED
from tests.faults.children import Children
from tests.faults.outside import CALLS, WORLD, Said

SAID = [Said(key=f"k{n}", chat="a", text=f"both t{n}") for n in range(1, 6)]
POINTS = ("input claimed", "engine replied", "reply recorded", "action started", "action done", "before commit")


@pytest.mark.parametrize("label", [*POINTS, "after commit", "part sent"])
async def test_a_joined_turn_sees_the_same_after_a_crash(label: str, tmp_path: Path) -> None:
    async with Children() as children:
        scene = Scene(tmp_path)
        first = await scene.run(children, SAID[:4], die_at=label, die_after=2, think_s=0.05, joins=True)
        last = await scene.run(children, SAID, think_s=0.05, joins=True)
    assert (first, last) == (DIED, 0), scene.log()
    assert scene.rows("SELECT id FROM inbox WHERE state <> 'done' OR turn_id = 0") == []
    assert [row["state"] for row in scene.rows("SELECT state FROM turns") if row["state"] != "complete"] == []
    together = defaultdict(set)
    for call in scene.outside.read(CALLS):
        together[call["token"]].add(call["asked"])
    assert all(len(asked) == 1 for asked in together.values()), together
    told = "\n".join(row["text"] for row in scene.rows("SELECT text FROM messages WHERE role = 'user'"))
    assert sorted(word for word in told.split() if word != "both") == [f"t{n}" for n in range(1, 6)]
    assert len(scene.rows("SELECT id FROM turns")) < len(SAID), "some were joined"
    touched = [event["token"] for event in scene.outside.read(WORLD)]
    assert len(touched) == len(set(touched))
