"""What every action on reminders needs: the user's own, their zone, the bounds, and when it comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from core.ai_plugin_base import ActionContext, AIPluginBase
from core.contracts.errors import ActionFailed, ScheduleError
from core.contracts.inputs import Principal, Role
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from plugins.event.wording import coming, instant
from plugins.event.zones import known_zone

SHOWN_NEXT = 3
TWICE_MS = 60_000
"""Two of the same that come closer to each other than this are one that was asked for twice."""

Number = Annotated[int, Field(ge=1)]


class ReminderKeeping(AIPluginBase):
    """Reads and writes the reminders of whoever asks. It declares nothing itself."""

    class Config(BaseModel):
        """`[plugins.event]`, see docs/reminders.md."""

        model_config = ConfigDict(extra="forbid")

        most_reminders: Annotated[int, Field(ge=1)] = 200
        shortest_repeat_s: Annotated[int, Field(ge=1)] = 60
        longest_text: Annotated[int, Field(ge=1, le=16_000)] = 2000

    config: Config

    async def _mine(self, ctx: ActionContext, number: int) -> Reminder:
        reminder = await self.context.schedule.find(ctx.principal, number)
        if reminder is None:
            raise ActionFailed(f"You have no reminder {number}.", cure="list_reminders lists yours.")
        return reminder

    async def _zone(self, principal: Principal, named: str | None) -> tuple[str, bool]:
        """Return the zone that counts, and whether somebody has chosen it."""
        if named is not None:
            return known_zone(named), True
        chosen = await self.context.schedule.zone(principal)
        return chosen or self.context.timezone, chosen is not None

    async def _twin(self, of: Reminder, at: Occurrence) -> Reminder | None:
        """Return what already repeats a reminder at that time: a button is easily pressed twice."""
        for other in await self.context.schedule.reminders(of.principal):
            same = (other.text, other.address, other.mode) == (of.text, of.address, of.mode)
            near = other.next is not None and abs(other.next.at_ms - at.at_ms) < TWICE_MS
            if same and near and other.number > of.number and not other.intent.rule:
                return other
        return None

    async def _check_room(self, ctx: ActionContext) -> None:
        most = self.config.most_reminders
        if ctx.role is Role.TRAINER:
            most *= 10
        if await self.context.schedule.count(ctx.principal) >= most:
            raise ActionFailed(f"You have {most} reminders, which is the most.", cure="Cancel some first.")

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise ActionFailed("The text of the reminder is empty.", cure="Say what it is to say.")
        if len(text) > self.config.longest_text:
            raise ActionFailed(
                f"The text has {len(text)} characters; {self.config.longest_text} are the most.",
                cure="Make it shorter.",
            )

    async def _first(self, read: Callable[[], Intent], now_ms: int) -> tuple[Intent, Occurrence]:
        """Return what is read in its normal form and its first occurrence to come; raises ActionFailed."""
        schedule = self.context.schedule

        def look() -> tuple[Intent, Sequence[Occurrence], int | None]:
            normal = schedule.checked(read())
            gap_s = schedule.shortest_gap_s(normal) if normal.rule else None
            return normal, schedule.upcoming(normal, now_ms, 1), gap_s

        try:
            # A strange rule may take a second or two.
            intent, found, gap_s = await asyncio.to_thread(look)
        except ScheduleError as error:
            raise ActionFailed(str(error), cure=error.cure) from error
        if not found:
            raise ActionFailed("No time of it is still to come.", cure="Choose a time in the future.")
        if gap_s is not None and gap_s < self.config.shortest_repeat_s:
            raise ActionFailed(
                f"It repeats every {gap_s} s; {self.config.shortest_repeat_s} s is the shortest.",
                cure="Choose a longer interval.",
            )
        return intent, found[0]

    def _add(self, ctx: ActionContext, reminder: Reminder) -> None:
        ctx.write(lambda conn: self.context.schedule.add(conn, reminder))
        ctx.compensate({"number": reminder.number})

    async def _coming(self, reminder: Reminder) -> str:
        assert reminder.next is not None
        zone = reminder.intent.zone
        if not reminder.intent.rule:
            return f"{instant(reminder.next.at_ms, zone)} ({zone})"
        upcoming = self.context.schedule.upcoming
        return coming(await asyncio.to_thread(upcoming, reminder.intent, reminder.next.at_ms, SHOWN_NEXT), zone)
