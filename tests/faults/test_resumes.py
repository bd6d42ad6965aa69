"""A turn that is interrupted again and again ends as failed, and its user is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.child import DIED
from tests.faults.children import Children
from tests.faults.outside import SENDS, WORLD, Said

SAID = [Said(key="k1", chat="a", text="both t1"), Said(key="k2", chat="a", text="say t2")]
RUNS = 4
"""The first run, and the three times that it is resumed."""


async def _die_always(label: str, directory: Path, children: Children) -> tuple[list[int], Scene]:
    scene = Scene(directory)
    codes = [await scene.run(children, SAID, die_at=label) for _ in range(RUNS)]
    codes.append(await scene.run(children, SAID))
    return codes, scene


@pytest.mark.parametrize("label", ["input claimed", "before commit", "action done"])
async def test_a_turn_that_always_dies(label: str, tmp_path: Path) -> None:
    async with Children() as children:
        codes, scene = await _die_always(label, tmp_path, children)

    assert codes == [DIED] * RUNS + [0], scene.log()
    assert complaints(scene, SAID, failing_turns=True) == []
    first, second = scene.rows("SELECT state, reason FROM turns ORDER BY id")
    texts = [event["text"] for event in scene.outside.read(SENDS)]
    assert first["state"] == "error"
    assert any("interrupted 4 times" in text for text in texts)
    assert second["state"] == "complete"
    assert "answer t2" in texts


async def test_an_action_that_kills_the_process_is_not_done_again(tmp_path: Path) -> None:
    """It dies each time at the same action: the second run knows that, and goes on without it."""
    async with Children() as children:
        scene = Scene(tmp_path)
        codes = [await scene.run(children, SAID, die_at="action started") for _ in range(2)]

    assert codes == [DIED, 0], scene.log()
    assert complaints(scene, SAID) == []


async def test_the_trainers_are_told_of_what_others_did(tmp_path: Path) -> None:
    """A guest's action with an unknown end: the guest hears of it from the model, the trainer in private."""
    said = [Said(key="k1", chat="a", text="wave t1", user="7")]
    async with Children() as children:
        scene = Scene(tmp_path)
        codes = [await scene.run(children, said, die_at="action started") for _ in range(2)]

    assert codes == [DIED, 0], scene.log()
    assert complaints(scene, said) == []
    sends = scene.outside.read(SENDS)
    assert [event["text"] for event in sends if event["address"] == "fake:a"] == ["answer t1: unknown"]
    [notice] = [event["text"] for event in sends if event["address"] == "fake:1"]
    assert "fake:7 asked for it in fake:a" in notice


async def test_what_was_begun_when_it_is_given_up_is_told(tmp_path: Path) -> None:
    """The end of an action is unknown, and the turn dies before it can tell: whoever ends it tells."""
    async with Children() as children:
        scene = Scene(tmp_path)
        codes = [await scene.run(children, SAID, die_at="action started")]
        codes += [await scene.run(children, SAID, die_at="before commit") for _ in range(RUNS - 1)]
        codes.append(await scene.run(children, SAID))

    assert codes == [DIED] * RUNS + [0], scene.log()
    texts = [event["text"] for event in scene.outside.read(SENDS)]
    assert any("interrupted" in text and "It is not known whether this was done: append" in text for text in texts)
    [history] = scene.rows(
        "SELECT text FROM messages WHERE turn_id = 1 AND role = 'actions' AND text LIKE '%append%'"
    )
    assert "unknown" in history["text"]


async def test_resumes_are_counted_a_turn(tmp_path: Path) -> None:
    """Another turn of the lane begins to count anew."""
    said = [Said(key=f"k{n}", chat="a", text=f"say t{n}") for n in range(1, 4)]
    async with Children() as children:
        scene = Scene(tmp_path)
        codes = [await scene.run(children, said, die_at="after commit") for _ in said]
        codes.append(await scene.run(children, said))

    assert codes == [DIED] * 3 + [0], scene.log()
    assert complaints(scene, said) == []


async def test_an_approval_can_be_given_after_its_press_was_given_up(tmp_path: Path) -> None:
    """The turn of the press dies each time: who pressed is told, and may say it once more."""
    said = [Said(key="k1", chat="a", text="risky t1")]
    async with Children() as children:
        scene = Scene(tmp_path)
        codes = [await scene.run(children, said, die_at="after commit")]
        codes += [await scene.run(children, said, die_at="input claimed") for _ in range(RUNS)]
        codes.append(await scene.run(children, said))
        [approval] = scene.rows("SELECT id, state FROM approvals")
        left = scene.rows("SELECT state FROM turns ORDER BY id")
        in_between = complaints(scene, said, failing_turns=True)
        strictly = complaints(scene, said)
        again = Said(key="k2", chat="a", text=f"/approve {approval['id']}")
        codes.append(await scene.run(children, [*said, again]))

    assert codes == [DIED] * (1 + RUNS) + [0, 0], scene.log()
    assert approval["state"] == "waiting"
    assert [row["state"] for row in left] == ["awaiting_approval", "error"]
    assert in_between == []
    assert len(strictly) == 3, "where no turn may fail, neither is the press lost, nor the answer"
    assert complaints(scene, said, failing_turns=True) == []
    assert [event["text"] for event in scene.outside.read(SENDS)][-1] == "answer t1: done"
    assert len(scene.outside.read(WORLD)) == 1


async def test_a_press_that_nobody_was_told_of_is_complained_about(tmp_path: Path) -> None:
    said = [Said(key="k1", chat="a", text="risky t1")]
    async with Children() as children:
        scene = Scene(tmp_path)
        await scene.run(children, said, die_at="after commit")
        for _ in range(RUNS):
            await scene.run(children, said, die_at="input claimed")
        await scene.run(children, said)
    assert complaints(scene, said, failing_turns=True) == []
    sends = scene.directory / SENDS
    kept = [line for line in sends.read_text().splitlines(keepends=True) if "interrupted" not in line]
    sends.write_text("".join(kept))
    assert any("awaiting_approval" in each for each in complaints(scene, said, failing_turns=True))
