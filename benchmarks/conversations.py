"""One long conversation beside bare calls, and many conversations at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sqlalchemy import select

from benchmarks.bare_calls import BareCalls
from benchmarks.chats import Chats
from benchmarks.figures import Figure, percentile
from benchmarks.installation import installation
from core.app import App
from core.storage.tables import replies

WARM_UP = 20
WINDOW = 50
SAID = "This is what I say in turn {number}: tell me something about it, in a sentence or two."


async def one_conversation(app: App, chats: Chats, bare: BareCalls, turns: int) -> list[Figure]:
    """Take `turns` turns in one chat, a bare call with a prompt of the same size after each."""
    whole, alone = [], []
    for number in range(1, turns + 1):
        whole.append(await chats.say("long", SAID.format(number=number)))
        prompt_bytes = await app.database.read(
            lambda conn: conn.execute(select(replies.c.prompt_bytes).order_by(replies.c.id.desc()).limit(1)).scalar()
        )
        began = time.perf_counter()
        await bare.call(prompt_bytes)
        alone.append(time.perf_counter() - began)
    early = _median_over(whole, alone, 50)
    late = _median_over(whole, alone, turns)
    p50, p50_alone = percentile(whole, 0.5), percentile(alone, 0.5)
    p99, p99_alone = percentile(whole, 0.99), percentile(alone, 0.99)
    return [
        Figure(name="turn, p50", value=p50 * 1e3, unit="ms"),
        Figure(name="turn, p99", value=p99 * 1e3, unit="ms"),
        Figure(name="bare SDK call, p50", value=p50_alone * 1e3, unit="ms"),
        Figure(name="bare SDK call, p99", value=p99_alone * 1e3, unit="ms"),
        Figure(name="turn over bare call, p50", value=(p50 - p50_alone) * 1e3, unit="ms", at_most=5),
        Figure(name="turn over bare call, p99", value=(p99 - p99_alone) * 1e3, unit="ms"),
        Figure(name="turn to bare call, p50", value=p50 / p50_alone, unit="times"),
        Figure(name="turn over bare call, around turn 50", value=early[1] * 1e3, unit="ms"),
        Figure(name=f"turn over bare call, around turn {turns}", value=late[1] * 1e3, unit="ms"),
        Figure(name="turn, around turn 50", value=early[0] * 1e3, unit="ms"),
        Figure(name=f"turn, around turn {turns}", value=late[0] * 1e3, unit="ms"),
        Figure(name=f"turn {turns} to turn 50", value=late[0] / early[0], unit="times", at_most=1.2),
        Figure(name=f"prompt of turn {turns}", value=prompt_bytes, unit="bytes"),
    ]


def _median_over(whole: list[float], alone: list[float], around: int) -> tuple[float, float]:
    """Return the medians of a window about turn `around`: of the turns, and of what they take over the bare calls."""
    end = min(around + WINDOW // 2, len(whole))
    chosen = slice(max(end - WINDOW, 0), end)
    turn = percentile(whole[chosen], 0.5)
    return turn, turn - percentile(alone[chosen], 0.5)


async def many_conversations(chats: Chats, bare: BareCalls, at_once: int, turns: int) -> list[Figure]:
    """Hold `at_once` conversations side by side, each saying the next thing as soon as it has its reply."""

    async def conversation(chat: int) -> list[float]:
        return [
            await chats.say(f"side {chat}", SAID.format(number=number), until_ended=False)
            for number in range(1, turns + 1)
        ]

    async def calls() -> None:
        for _ in range(turns):
            await bare.call(4_000)

    began = time.perf_counter()
    seconds = [s for each in await asyncio.gather(*map(conversation, range(at_once))) for s in each]
    elapsed = time.perf_counter() - began
    began = time.perf_counter()
    await asyncio.gather(*(calls() for _ in range(at_once)))
    alone = time.perf_counter() - began
    name = f"{at_once} chats at once"
    return [
        Figure(name=f"{name}, turns a second", value=len(seconds) / elapsed, unit="1/s", at_least=200),
        Figure(name=f"{name}, turn p50", value=percentile(seconds, 0.5) * 1e3, unit="ms"),
        Figure(name=f"{name}, turn p99", value=percentile(seconds, 0.99) * 1e3, unit="ms"),
        Figure(name=f"{name}, bare calls a second", value=at_once * turns / alone, unit="1/s"),
    ]


async def conversations(home: Path, base_url: str, *, turns: int, at_once: int) -> list[Figure]:
    """Measure both on one running app."""
    chats = Chats()
    async with installation(home, base_url, chats) as app, BareCalls(base_url) as bare:
        for number in range(WARM_UP):
            await chats.say("warm up", SAID.format(number=number))
            await bare.call(4_000)
        figures = await one_conversation(app, chats, bare, turns)
        figures += await many_conversations(chats, bare, at_once, max(turns // at_once, 5))
        await app.drained()
    return figures
