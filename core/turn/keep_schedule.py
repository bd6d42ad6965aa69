"""Firing reminders when they are due: asleep until the next instant, woken when one was set or changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from zoneinfo import ZoneInfo

import structlog

from core.contracts.errors import RekkuError, StorageError
from core.services import reminders
from core.services.occurrences import instant_ms
from core.services.reminders import DueInstant
from core.turn.environment import TurnEnvironment
from core.turn.fire_reminder import fire_reminder

log = structlog.get_logger("rekku.schedule")

AT_ONCE = 500
SIDE_BY_SIDE = 32
RETRY_AFTER_S = 2.0
PAGE = 200


class ScheduleKeeper:
    """Fires what is due. `taken_up()`: called when an input was put into the inbox.

    look_every_s: the longest sleep, how soon a reminder that another process set is noticed, or a wall clock that
    was set forward.
    """

    def __init__(self, env: TurnEnvironment, taken_up: Callable[[], None], *, look_every_s: float) -> None:
        self._env = env
        self._look_every_s = look_every_s
        self._taken_up = taken_up
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look again: a reminder may be due earlier than was known."""
        self._news.set()

    async def run(self) -> None:
        """Fire reminders until cancelled."""
        try:
            await correct_instants(self._env)
        except StorageError as error:
            log.warning("the instants could not be looked through", error=str(error))
        except Exception as error:
            # A row that cannot be read must not keep the others from coming.
            log.exception("the instants could not be looked through", exc_info=error)
        while True:
            self._news.clear()
            try:
                wait_s = await self.fire_due()
            except StorageError as error:
                log.warning("reminders wait for the database", error=str(error))
                wait_s = RETRY_AFTER_S
            except Exception as error:
                # Whatever it is: without this loop no reminder would ever come again, and nobody would know.
                log.exception("reminders could not be looked at", exc_info=error)
                wait_s = RETRY_AFTER_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    async def fire_due(self) -> float:
        """Fire what is due now; return in how many seconds to look again."""
        env = self._env
        now_ms = env.clock.now_ms()
        found = await env.database.read(lambda conn: reminders.due(conn, now_ms, AT_ONCE))
        if found:
            if not await self._fire(found):
                return RETRY_AFTER_S
            if len(found) == AT_ONCE:
                return 0.0
        next_ms = await env.database.read(reminders.next_instant)
        if next_ms is None:
            return self._look_every_s
        return min(max((next_ms - env.clock.now_ms()) / 1000, 0.0), self._look_every_s)

    async def _fire(self, found: list[DueInstant]) -> bool:
        """Fire instants: those of one chat in order, chats side by side. False when the database is away."""
        by_lane: dict[str, list[DueInstant]] = defaultdict(list)
        for instant in found:
            by_lane[instant.lane].append(instant)
        slots = asyncio.Semaphore(SIDE_BY_SIDE)

        async def in_order(instants: list[DueInstant]) -> bool:
            async with slots:
                return all([await self._fire_one(instant) for instant in instants])

        async with asyncio.TaskGroup() as group:
            lanes = [group.create_task(in_order(instants)) for instants in by_lane.values()]
        return all(lane.result() for lane in lanes)

    async def _fire_one(self, instant: DueInstant) -> bool:
        env = self._env
        try:
            if await fire_reminder(env, instant):
                self._taken_up()
        except StorageError as error:
            log.warning("a reminder waits for the database", reminder=instant.reminder_id, error=str(error))
            return False
        except Exception as error:
            # A mistake of our own about one reminder must not hold up the others; it is looked at again later.
            log.exception("a reminder could not be fired", reminder=instant.reminder_id, exc_info=error)
            until_ms = env.clock.now_ms() + 60_000
            try:
                await env.database.transact(lambda conn: reminders.postpone(conn, instant, until_ms))
            except StorageError:
                return False
        return True


async def correct_instants(env: TurnEnvironment) -> int:
    """Compute the next instants of wall-clock reminders anew, for zones whose rules have changed; return how many."""
    ZoneInfo.clear_cache()
    changed = last = 0
    while page := await env.database.read(lambda conn, after=last: reminders.active_after(conn, after, PAGE)):  # type: ignore[misc]
        last = page[-1].id
        for reminder in page:
            if reminder.next is None or reminder.intent.elapsed:
                continue
            try:
                at_ms = instant_ms(reminder.next.local, reminder.intent.zone)
            except RekkuError as error:
                log.warning("a reminder's instant cannot be computed", reminder=reminder.id, error=str(error))
                continue
            if at_ms != reminder.next.at_ms and await _correct(env, reminder.id, at_ms):
                changed += 1
    if changed:
        log.info("the rules of a zone have changed; reminders were moved along", reminders=changed)
    return changed


async def _correct(env: TurnEnvironment, reminder_id: int, at_ms: int) -> bool:
    now_ms = env.clock.now_ms()
    return await env.database.transact(lambda conn: reminders.correct(conn, reminder_id, at_ms, now_ms))
