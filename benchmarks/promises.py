"""What is promised about kills, ends and outages, played on each database: `python -m benchmarks.promises`.

- R1: killed at random moments, see `benchmarks.chaos`.
- R2: killed in the middle of external actions: none is repeated, and each end that is not known is told.
- R3: SIGTERM under load: drained or handed over in time, and then as R1.
- R4: the server killed, hanging, or its connections reset, for a minute under load: nothing is acknowledged that is
  not stored, and all is done once it is back, without an exit.
- R14: a gateway, two workers and a scheduler on one server, killed and paused at random: as good as one process.

R2, R3 and R14 are counted at the platform, the model and the world, as R1 is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import chaos
from benchmarks.chaos import given_up
from benchmarks.scenes import (
    BROKEN,
    SLOW,
    add_options,
    finished,
    head,
    is_there,
    load,
    servers_in_a_directory,
    version_of,
    write,
)
from core.app import DRAIN_S
from tests.faults.aftermath import Scene, complaints
from tests.faults.away import goes_away
from tests.faults.child import STUCK
from tests.faults.children import Children
from tests.faults.outside import SENDS, WORLD
from tests.faults.sharing import share_the_work
from tests.support.database_servers import ServersOfTests

ACTING = ("append", "both", "mixed", "twice", "risky", "/append")
"""What the model answers with an action in the world."""

ACT_S = 0.3
SLACK_S = 2.0
"""What an end may take beside draining: connections that are closed, and a machine that does other work."""

OUTAGES = ("killed", "hanging", "reset")
SETTLED_RUNS = 20


async def actions_killed(dialect: str, scene: Scene, servers: ServersOfTests, arguments: Any) -> dict[str, Any]:
    """R2: kill while an action touches the world, again and again."""
    choice = random.Random(arguments.seed)
    said = load(choice, 5 * arguments.r2_kills, 5, ACTING)
    version = await version_of(scene)
    world = scene.directory / WORLD
    kills = 0

    async def in_the_middle(pid: int) -> None:
        size = world.stat().st_size if world.exists() else 0
        for _ in range(20_000):
            if world.exists() and world.stat().st_size > size:
                break
            await asyncio.sleep(0.005)
        await asyncio.sleep(choice.uniform(0, ACT_S))

    async with Children() as children:
        for _ in range(2 * arguments.r2_kills):
            code = await scene.run(children, said, act_s=ACT_S, while_it_runs=in_the_middle)
            if code not in (0, -9):
                raise AssertionError(scene.log())
            kills += code == -9
            if code == 0 or kills == arguments.r2_kills:
                break
        await _settle(children, scene, said)
    touched = [event["token"] for event in scene.outside.read(WORLD)]
    report = head("R2", version, arguments.seed) | {
        "messages": len(said),
        "kills in the middle of an action": kills,
        "actions in the world": len(touched),
        "actions repeated": len(touched) - len(set(touched)),
        "ends that are not known, and told": len(scene.begun),
        "turns given up after more than three interruptions, and told": len(given_up(scene)),
    }
    return finished(report, complaints(scene, said, failing_turns=True), scene, arguments.keep)


async def terminated(dialect: str, scene: Scene, servers: ServersOfTests, arguments: Any) -> dict[str, Any]:
    """R3: SIGTERM under load, each fifth time while model and actions take longer than there is time."""
    choice = random.Random(arguments.seed)
    said = load(choice, 20 * arguments.r3_ends, 20)
    version = await version_of(scene)
    took_s: list[float] = []
    late = 0

    async def terminate(pid: int) -> None:
        await asyncio.sleep(choice.uniform(0.5, 2.0))
        os.kill(pid, signal.SIGTERM)
        asked.append(time.monotonic())
        await asyncio.sleep(DRAIN_S + 2 * SLACK_S)  # then it is killed

    async with Children() as children:
        for number in range(arguments.r3_ends):
            asked: list[float] = []
            how = {"think_s": 2 * DRAIN_S, "act_s": 2 * DRAIN_S} if number % 5 == 4 else SLOW
            code = await scene.run(children, said, for_good=True, drain_s=DRAIN_S, while_it_runs=terminate, **how)
            took_s.append(time.monotonic() - asked[0])
            late += took_s[-1] > DRAIN_S + SLACK_S or code != 0
        left = len(scene.rows("SELECT id FROM inbox WHERE state <> 'done'"))
        await _settle(children, scene, said)
    sends = scene.outside.read(SENDS)
    report = head("R3", version, arguments.seed) | {
        "messages": len(said),
        "SIGTERM under load": len(took_s),
        "of these with more in hand than can end in time": arguments.r3_ends // 5,
        "seconds until ended, median and longest": [
            round(sorted(took_s)[len(took_s) // 2], 1),
            round(max(took_s), 1),
        ],
        "not ended in time": late,
        "inputs left to the next process at the last one": left,
        "parts seen again": len(sends) - len({event["id"] for event in sends}),
        "ends that are not known, and told": len(scene.begun),
    }
    broken = complaints(scene, said, failing_turns=True)
    broken += [f"{late} times it did not end in time"] if late else []
    return finished(report, broken, scene, arguments.keep)


async def away(dialect: str, scene: Scene, servers: ServersOfTests, arguments: Any) -> list[dict[str, Any]]:
    """R4: the server away under load, in each way."""
    return [await _away(dialect, how, scene.directory / how, servers, arguments) for how in arguments.r4_how]


async def _away(dialect: str, how: str, place: Path, servers: ServersOfTests, arguments: Any) -> dict[str, Any]:
    server = await asyncio.to_thread(servers.another, dialect)
    scene = Scene(place, server.url("rekku"))
    scene.directory.mkdir(parents=True)
    said = load(random.Random(arguments.seed), arguments.r4_messages, 50)
    try:
        report = head("R4", await version_of(scene), arguments.seed)
        report |= {"how": how, "seconds away": arguments.r4_seconds, "messages": len(said)}
        try:
            seen = await goes_away(server, how, scene.home, scene.outside, said, for_s=arguments.r4_seconds)
        except AssertionError as error:
            return finished(report, [str(error)], scene, arguments.keep)
        sends = scene.outside.read(SENDS)
        report |= {
            "handed in meanwhile": len(seen.late),
            "acknowledged meanwhile": seen.acknowledged,
            "seconds until /readyz said so": round(seen.told_after_s, 1),
            "seconds from its return until all was done": round(seen.done_after_s, 1),
            "parts seen again": len(sends) - len({event["id"] for event in sends}),
            "exits": 0,
        }
        broken = complaints(scene, [*said, *seen.late], failing_turns=True, gateway_kills=0)
        broken += [f"{seen.acknowledged} inputs were acknowledged meanwhile"] if seen.acknowledged else []
        return finished(report, broken, scene, arguments.keep)
    finally:
        await asyncio.to_thread(server.stop)


async def shared(dialect: str, scene: Scene, servers: ServersOfTests, arguments: Any) -> dict[str, Any]:
    """R14: several processes on one server."""
    choice = random.Random(arguments.seed)
    said = load(choice, arguments.r14_messages, 20)
    version = await version_of(scene)
    began = time.monotonic()
    done = await share_the_work(scene, said, arguments.r14_kills, choice)
    sends = scene.outside.read(SENDS)
    report = head("R14", version, arguments.seed) | {
        "processes": "a gateway, two workers, a scheduler",
        "messages": len(said),
        "kills": done["kill"],
        "pauses": done["pause"],
        "seconds": round(time.monotonic() - began),
        "parts seen again": len(sends) - len({event["id"] for event in sends}),
        "actions in the world": len(scene.outside.read(WORLD)),
    }
    broken = complaints(scene, said, failing_turns=True, gateway_kills=done["gateway"])
    return finished(report, broken, scene, arguments.keep)


async def _settle(children: Children, scene: Scene, said: Any) -> None:
    """Let all come to rest."""
    for _ in range(SETTLED_RUNS):
        if await scene.run(children, said, patience_s=chaos.REST_S) != STUCK:
            return
    raise AssertionError("It does not come to rest.")


Scenario = Callable[[str, Scene, ServersOfTests, Any], Awaitable[dict[str, Any] | list[dict[str, Any]]]]
SCENARIOS: dict[str, Scenario] = {"R2": actions_killed, "R3": terminated, "R4": away, "R14": shared}
ON_SERVERS = ("R4", "R14")


def main() -> None:
    """Play, print, and write the report that was asked for; ends with 1 when a promise was broken."""
    arguments = _arguments()
    reports: list[dict[str, Any]] = []
    with servers_in_a_directory() as (servers, directory):
        for promise in arguments.promise:
            for dialect in arguments.database:
                if is_there(dialect) and not (promise in ON_SERVERS and dialect == "sqlite"):
                    reports += _play(promise, dialect, servers, directory, arguments)
                    write(reports, arguments.json)
    sys.exit(any(report[BROKEN] for report in reports))


def _play(
    promise: str, dialect: str, servers: ServersOfTests, directory: Path, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    if promise == "R1":
        return [chaos.play(dialect, servers, directory, arguments)]
    scene = Scene(directory / f"{promise}-{dialect}", "" if dialect == "sqlite" else servers.url(dialect))
    scene.directory.mkdir()
    try:
        played = asyncio.run(_awaited(SCENARIOS[promise](dialect, scene, servers, arguments)))
    except (AssertionError, ExceptionGroup) as error:
        played = finished(head(promise, dialect, arguments.seed), [repr(error)], scene, arguments.keep)
    return played if isinstance(played, list) else [played]


async def _awaited(playing: Awaitable[Any]) -> Any:
    return await playing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises", description="Play what is promised.")
    add_options(parser)
    choices = ("R1", *SCENARIOS)
    parser.add_argument("--promise", nargs="+", choices=choices, default=choices, help="which ones (all)")
    chaos.add_sizes(parser)
    parser.add_argument("--r2-kills", type=int, default=100)
    parser.add_argument("--r3-ends", type=int, default=20)
    parser.add_argument("--r4-seconds", type=float, default=60.0)
    parser.add_argument("--r4-how", nargs="+", choices=OUTAGES, default=OUTAGES)
    parser.add_argument("--r4-messages", type=int, default=200)
    parser.add_argument("--r14-messages", type=int, default=300)
    parser.add_argument("--r14-kills", type=int, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    main()
