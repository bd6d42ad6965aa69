"""Death at every point of the path, for every effect: nothing is lost, nothing outside is done twice.

Each case is a home of its own. A child dies at the n-th passing of a label; another one takes over and runs until
nothing is left to do; then the platform, the model, the world and the database are looked at.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.aftermath import Scene, complaints
from tests.faults.child import DIED
from tests.faults.children import Children
from tests.faults.outside import Said

TAKEN_IN = ("input committed", "input claimed")
ASKED = ("engine replied", "reply recorded")
DONE = ("action done", "before commit", "after commit")
TOUCHED = ("action started", "action done", "pending written")
DELIVERED = ("part claimed", "part sent", "part committed")

SAID = {
    "look": "look {}",
    "keep": "keep {}",
    "append": "append {}",
    "say": "say {}",
    "both": "both {}",
    "mixed": "mixed {}",
    "twice": "twice {}",
    "once": "once {}",
    "risky": "risky {}",
    "/look": "/look {}",
    "/keep": "/keep {}",
    "/append": "/append {}",
}
PASSED = {
    "look": {*TAKEN_IN, *ASKED, *DONE, *DELIVERED},
    "keep": {*TAKEN_IN, *ASKED, *DONE, *DELIVERED},
    "append": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "say": {*TAKEN_IN, *ASKED, *DONE, *DELIVERED},
    "both": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "mixed": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "twice": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "once": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "risky": {*TAKEN_IN, *ASKED, *DONE, *TOUCHED, *DELIVERED},
    "/look": {*TAKEN_IN, *DONE, *DELIVERED},
    "/keep": {*TAKEN_IN, *DONE, *DELIVERED},
    "/append": {*TAKEN_IN, *DONE, *TOUCHED, *DELIVERED},
}
"""Which points an input passes. What `keep` writes alone is written with its step."""


MEANS = {
    "input committed": "inbox",
    "input claimed": "inbox WHERE turn_id > 0",
    "reply recorded": "replies",
    "action started": "ledger WHERE effect = 'external'",
    "after commit": "steps",
    "part claimed": "outbox WHERE state <> 'waiting'",
    "part committed": "outbox WHERE state = 'sent'",
}
"""What stands in the database, once each time that a label is passed."""


@dataclass(frozen=True, slots=True)
class Case:
    """Two inputs of one kind in one chat, and where the first child dies."""

    kind: str
    label: str
    times: int

    def __str__(self) -> str:
        kind = self.kind.replace("/", "command ")
        return f"{kind}-{self.label}-{self.times}".replace(" ", "_")

    @property
    def said(self) -> list[Said]:
        return [Said(key=f"k{n}", chat="a", text=SAID[self.kind].format(f"t{n}")) for n in (1, 2)]


EVERY_CASE = [Case(kind, label, n) for kind in SAID for label in sorted(PASSED[kind]) for n in (1, 2)]
# Every point of half the kinds of turn, at its first passing or its second; REKKU_EVERY_CASE=1 takes all.
CASES = EVERY_CASE if os.environ.get("REKKU_EVERY_CASE") else EVERY_CASE[0::8] + EVERY_CASE[5::8]
# An approval is two more inputs and turns: the answer, and the continuation.
CASES += [Case("risky", label, n) for label in (*TAKEN_IN, "before commit", "after commit") for n in (3, 4)]


@dataclass(frozen=True, slots=True)
class Result:
    """The exit codes of the two children, and what was wrong afterwards."""

    codes: tuple[int, int]
    complaints: list[str]
    log: str


async def _play(case: Case, directory: Path, children: Children) -> Result:
    scene = Scene(directory)
    first = await scene.run(children, case.said, die_at=case.label, die_after=case.times)
    means = MEANS.get(case.label, "")
    stand = scene.rows(f"SELECT count(*) AS n FROM {means}")[0]["n"] if means else case.times
    second = await scene.run(children, case.said)
    wrong = complaints(scene, case.said)
    if stand < case.times:
        wrong.append(f"{case.times} times {case.label}, but {stand} rows of {means}")
    return Result((first, second), wrong, scene.log())


async def _play_all(cases: list[Case], directory: Path) -> dict[Case, Result]:
    async with Children() as children:
        results = await asyncio.gather(*(_play(case, directory / str(case), children) for case in cases))
    return dict(zip(cases, results, strict=True))


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Result]:
    """What became of every case that was selected; they run side by side."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = (item.callspec.params["case"] for item in items if item.function is test_death)
    selected = [case for case in chosen if isinstance(case, Case)]
    return asyncio.run(_play_all(selected, tmp_path_factory.mktemp("matrix")))


async def test_the_table_names_every_point(tmp_path: Path) -> None:
    async def passed(kind: str, place: Path) -> set[str]:
        scene = Scene(place)
        await scene.run(children, Case(kind, "", 1).said)
        return {event["label"] for event in scene.outside.read("passed")}

    async with Children() as children:
        found = await asyncio.gather(*(passed(kind, tmp_path / str(n)) for n, kind in enumerate(SAID)))
    assert dict(zip(SAID, found, strict=True)) == PASSED


@pytest.mark.parametrize("case", CASES, ids=str)
def test_death(case: Case, results: dict[Case, Result]) -> None:
    result = results[case]
    assert result.codes == (DIED, 0), result.log
    assert result.complaints == [], result.log
