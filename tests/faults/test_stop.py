"""Leaving in good order with work in hand: it ends within the time to drain, or is handed over to the next start."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.children import Children
from tests.faults.outside import CALLS, SENDS, WORLD, Said

SLACK_S = 18.0
"""Less than what is cut off would take (20 s), and much for a machine that is busy."""
"""What a child may take beside draining: its start, and the grace for what is cancelled."""


async def _stopped(children: Children, scene: Scene, said: list[Said], **how: object) -> float:
    began = time.monotonic()
    assert await scene.run(children, said, **how) == 0, scene.log()
    return time.monotonic() - began


async def test_a_slow_model_is_left_and_asked_again(tmp_path: Path) -> None:
    scene, said = Scene(tmp_path), [Said(key=f"k{n}", chat="a", text=f"both t{n}") for n in (1, 2)]
    async with Children() as children:
        took_s = await _stopped(children, scene, said, stop_at="input claimed", think_s=20.0, drain_s=0.2)
        waiting = scene.rows("SELECT state, resumed FROM inbox ORDER BY id")
        assert await scene.run(children, said) == 0, scene.log()

    assert took_s < SLACK_S
    assert waiting[0] == {"state": "waiting", "resumed": 0}
    assert complaints(scene, said) == []
    assert [(call["token"], call["step"]) for call in scene.outside.read(CALLS)][:2] == [("t1", 0), ("t1", 0)]


async def test_what_can_end_in_time_ends(tmp_path: Path) -> None:
    scene, said = Scene(tmp_path), [Said(key="k1", chat="a", text="both t1")]
    async with Children() as children:
        await _stopped(children, scene, said, stop_at="input claimed", think_s=0.1, act_s=0.1, drain_s=10.0)

    assert complaints(scene, said) == []


async def test_a_slow_action_is_cancelled_and_its_end_unknown(tmp_path: Path) -> None:
    scene, said = Scene(tmp_path), [Said(key="k1", chat="a", text="both t1"), Said(key="k2", chat="a", text="say t2")]
    async with Children() as children:
        took_s = await _stopped(children, scene, said, stop_at="action started", act_s=20.0, drain_s=0.2)
        [row] = scene.rows("SELECT status, reason FROM ledger WHERE action = 'append'")
        scene.begun.add("t1")
        assert await scene.run(children, said) == 0, scene.log()

    assert took_s < SLACK_S
    assert row["status"] == "unknown"
    assert "stopped while it ran" in row["reason"]
    assert len(scene.outside.read(WORLD)) == 1
    assert complaints(scene, said) == []


async def test_a_part_at_the_platform_is_waited_for(tmp_path: Path) -> None:
    """A send that was cancelled would have to be sent again: the platform had it already."""
    scene, said = Scene(tmp_path), [Said(key=f"k{n}", chat="a", text=f"say t{n}") for n in (1, 2, 3)]
    async with Children() as children:
        took_s = await _stopped(children, scene, said, stop_at="part claimed", send_s=0.5, drain_s=0.0)
        assert await scene.run(children, said) == 0, scene.log()

    assert took_s < SLACK_S
    assert complaints(scene, said) == []
    ids = [event["id"] for event in scene.outside.read(SENDS)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("label", ["reply recorded", "before commit", "after commit", "pending written"])
async def test_stopped_anywhere(label: str, tmp_path: Path) -> None:
    scene, said = Scene(tmp_path), [Said(key=f"k{n}", chat=f"c{n}", text=f"mixed t{n}") for n in (1, 2, 3)]
    async with Children() as children:
        await _stopped(children, scene, said, stop_at=label, drain_s=0.0)
        scene.begun.update(_unknown(scene))
        assert await scene.run(children, said) == 0, scene.log()

    assert complaints(scene, said) == []


def _unknown(scene: Scene) -> set[str]:
    """Tokens whose action was cancelled: with nothing to drain, that may meet any of them."""
    rows = scene.rows("SELECT json_extract(payload, '$.token') AS token FROM ledger WHERE status = 'unknown'")
    return {row["token"] for row in rows}
