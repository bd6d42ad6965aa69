"""The plugin: the actions on reminders, and what is typed and no model is shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from core.ai_plugin_base import ActionContext, action
from core.contracts.actions import Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.schedule import Reminder, ReminderState
from plugins.event.actions import ReminderActions
from plugins.event.keeping import Number
from plugins.event.requests import split_request
from plugins.event.wording import told
from plugins.event.zones import known_zone


class Event(ReminderActions):
    """Sets, lists, changes and cancels reminders; `/remind`, `/done` and `/timezone`."""

    @action(effect="local", plants=True, compensation="restore_reminder", command="remind", model=False)
    async def remind(self, ctx: ActionContext, request: Annotated[str, Field(min_length=1)]) -> str:
        """Set a reminder, as in /remind in 10 minutes to stretch."""
        zone, _ = await self._zone(ctx.principal, None)
        now_ms = self.context.clock.now_ms()
        split = await asyncio.to_thread(split_request, request, zone=zone, now_ms=now_ms)
        if split is None:
            raise ActionFailed(
                "I cannot tell the time from the text there.",
                cure='Write "/remind in 10 minutes to stretch" or "/remind every weekday at 8: take the pills".',
            )
        when, text = split
        return await self.create_reminder(ctx, text=text, when=when)

    @action(effect="read", command="done", model=False)
    async def finish_reminder(self, ctx: ActionContext, number: Number) -> str | Untrusted:
        """Say that what a reminder was about is done."""
        reminder = await self._mine(ctx, number)
        if reminder.next is None or reminder.state is not ReminderState.ACTIVE:
            return told(f"Done: {reminder.text}", reminder)
        return told(f"Done: {reminder.text} It comes again {await self._coming(reminder)}.", reminder)

    @action(effect="local", command="timezone", model=False)
    async def set_timezone(
        self,
        ctx: ActionContext,
        zone: Annotated[str | None, Field(description="An IANA zone.")] = None,
        move_reminders: bool = False,
    ) -> str:
        """Show or set the user's time zone."""
        schedule = self.context.schedule
        if zone is None:
            current, chosen = await self._zone(ctx.principal, None)
            whose = "yours" if chosen else "that of this installation: you have not told me yours"
            return f"Your time zone is {current} ({whose})."
        zone = known_zone(zone)
        ctx.write(lambda conn: schedule.set_zone(conn, ctx.principal, zone))
        found = [r for r in await schedule.reminders(ctx.principal) if not r.intent.elapsed and r.intent.zone != zone]
        if not found:
            return f"Your time zone is {zone}."
        if not move_reminders:
            return (
                f"Your time zone is {zone}. {len(found)} reminders stay at the wall-clock time of the zone in which "
                f"they were set; `/timezone {zone} move_reminders=true` moves them along."
            )
        both = await asyncio.to_thread(lambda: [(reminder, self._moved(reminder, zone)) for reminder in found])
        moved = [(before, after) for before, after in both if after is not None]
        stay = [before for before, after in both if after is None]

        def write(conn: object) -> None:
            for before, after in moved:
                schedule.change(conn, before, after)

        ctx.write(write)
        keep = "1 reminder keeps its" if len(moved) == 1 else f"{len(moved)} reminders keep their"
        answer = f"Your time zone is {zone}, and {keep} wall-clock time there."
        if stay:
            numbers = ", ".join(str(reminder.number) for reminder in stay)
            answer += f" There it has gone by for {numbers}, which come when they would have come."
        return answer

    def _moved(self, reminder: Reminder, zone: str) -> Reminder | None:
        """Return a reminder at the same wall-clock time of another zone; None where that has gone by."""
        wish = replace(reminder.intent, zone=zone)
        found = self.context.schedule.upcoming(wish, self.context.clock.now_ms(), 1)
        return replace(reminder, intent=wish, next=found[0]) if found else None
