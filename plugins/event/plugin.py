"""The plugin: its actions. What a reminder is, and when it is due, is the business of the core's schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.ai_plugin_base import ActionContext, AIPluginBase, TurnContext, action, hook
from core.contracts.actions import ActionSpec, DisplayHints, Untrusted
from core.contracts.errors import ActionFailed, ScheduleError
from core.contracts.inputs import Address, Principal, Role
from core.contracts.json import JsonObject
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import MissedPolicy, Reminder, ReminderMode, ReminderState
from plugins.event.intents import Wish, changed_intent, read_intent, read_length_s
from plugins.event.requests import split_request
from plugins.event.snapshots import restored, snapshot
from plugins.event.wording import coming, instant, line, told
from plugins.event.zones import known_zone, zone_note

OF_REMINDERS = ("update_reminder", "cancel_reminder", "snooze_reminder")
RARE = Field(json_schema_extra={"x-unlisted": True})
"""What most reminders need nothing of; a model that is held to a schema sets it with update_reminder."""

SHOWN_NEXT = 3
MOST_LISTED = 50
TWICE_MS = 60_000
"""Two of the same that come closer to each other than this are one that was asked for twice."""

Mode = Literal["literal", "compose", "task"]
Missed = Literal["coalesce", "deliver", "skip"]
Number = Annotated[int, Field(ge=1)]
When_ = Annotated[str | None, Field(description='"in 45 minutes", "friday 18:30", ISO 8601')]
Repeat_ = Annotated[str | None, Field(description='"every weekday at 8", RRULE')]


class Event(AIPluginBase):
    """Sets, lists, changes and cancels reminders."""

    class Config(BaseModel):
        """`[plugins.event]`, see docs/reminders.md."""

        model_config = ConfigDict(extra="forbid")

        most_reminders: Annotated[int, Field(ge=1)] = 200
        shortest_repeat_s: Annotated[int, Field(ge=1)] = 60
        longest_text: Annotated[int, Field(ge=1, le=16_000)] = 2000

    config: Config

    @hook("filter_actions")
    async def only_what_there_is(self, turn: TurnContext, specs: Sequence[ActionSpec]) -> Sequence[ActionSpec] | None:
        """Keep the actions on reminders out of the prompt of those who have none."""
        if await self.context.schedule.count(turn.principal):
            return None
        return [spec for spec in specs if spec.type not in OF_REMINDERS]

    @action(
        effect="local",
        destination_field="to",
        plants=True,
        compensation="restore_reminder",
        phrases=[
            "remind me {when} to {text}",
            "remind me {when} that {text}",
            "remind me {when}: {text}",
        ],
        display=DisplayHints(verb="sets a reminder"),
    )
    async def create_reminder(
        self,
        ctx: ActionContext,
        text: Annotated[str, Field(min_length=1)],
        when: When_ = None,
        repeat: Repeat_ = None,
        mode: Annotated[Mode, Field(description="compose: you word it; task: you do it then")] = "literal",
        to: Annotated[str | None, RARE] = None,
        until: Annotated[str | None, RARE] = None,
        count: Annotated[int | None, Field(ge=1), RARE] = None,
        timezone: Annotated[str | None, RARE] = None,
        missed: Annotated[Missed, RARE] = "coalesce",
        max_lateness: Annotated[str | None, RARE] = None,
    ) -> str:
        """Set a reminder."""
        self._check_text(text)
        await self._check_room(ctx)
        zone, chosen = await self._zone(ctx.principal, timezone)
        now_ms = self.context.clock.now_ms()
        wish = Wish(when=when, repeat=repeat, until=until, count=count)
        intent, first = await self._first(lambda: read_intent(wish, zone=zone, now_ms=now_ms), now_ms)
        reminder = Reminder(
            principal=ctx.principal,
            number=await self.context.schedule.new_number(),
            address=Address.parse(to) if to else ctx.address,
            asked_in=ctx.address,
            text=text,
            intent=intent,
            next=first,
            mode=ReminderMode(mode),
            missed=MissedPolicy(missed),
            max_lateness_s=None if max_lateness is None else read_length_s(max_lateness),
            tainted=ctx.tainted,
        )
        self._add(ctx, reminder)
        return f"Reminder {reminder.number} is set: {await self._coming(reminder)}.{zone_note(intent, chosen)}"

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

    @action(
        effect="read",
        command="reminders",
        phrases=["my reminders", "list my reminders", "show my reminders", "what are my reminders", "reminders"],
    )
    async def list_reminders(self, ctx: ActionContext) -> str | Untrusted:
        """List the user's reminders."""
        found = await self.context.schedule.reminders(ctx.principal)
        if not found:
            return "You have no reminders."
        lines = [f"- {line(reminder)}" for reminder in found[:MOST_LISTED]]
        if len(found) > MOST_LISTED:
            lines.append(f"- and {len(found) - MOST_LISTED} more, later than these")
        return told("\n".join(lines), *found[:MOST_LISTED])

    @action(effect="local", destination_field="to", plants=True, compensation="restore_reminder")
    async def update_reminder(
        self,
        ctx: ActionContext,
        number: Number,
        text: str | None = None,
        when: str | None = None,
        repeat: Annotated[str | None, Field(description='"none" for once')] = None,
        until: str | None = None,
        count: Annotated[int | None, Field(ge=1)] = None,
        timezone: str | None = None,
        to: str | None = None,
        missed: Missed | None = None,
        max_lateness: str | None = None,
        mode: Mode | None = None,
    ) -> str | Untrusted:
        """Change what is given of a reminder."""
        before = await self._mine(ctx, number)
        now_ms = self.context.clock.now_ms()
        wish = Wish(when=when, repeat=repeat, until=until, count=count)
        intent, first = before.intent, before.next
        if wish != Wish() or timezone is not None:
            zone, _ = await self._zone(ctx.principal, timezone or before.intent.zone)
            intent, first = await self._first(lambda: changed_intent(before, wish, zone, now_ms), now_ms)
        after = replace(
            before,
            text=before.text if text is None else text,
            intent=intent,
            next=first,
            address=before.address if to is None else Address.parse(to),
            missed=before.missed if missed is None else MissedPolicy(missed),
            max_lateness_s=before.max_lateness_s if max_lateness is None else read_length_s(max_lateness),
            mode=before.mode if mode is None else ReminderMode(mode),
            tainted=before.tainted or ctx.tainted,
            state=ReminderState.ACTIVE,
        )
        if first is None:
            raise ActionFailed(f"Reminder {number} is over.", cure="Say when it is to come, or set a new one.")
        self._check_text(after.text)
        ctx.write(lambda conn: self.context.schedule.change(conn, before, after))
        ctx.compensate({"number": number, "before": snapshot(before)})
        return told(f"Reminder {number} is changed: {await self._coming(after)}: {after.text}", after)

    @action(
        effect="local",
        compensation="restore_reminder",
        phrases=["cancel reminder {number}", "delete reminder {number}", "remove reminder {number}"],
    )
    async def cancel_reminder(self, ctx: ActionContext, number: Number) -> str | Untrusted:
        """Cancel a reminder."""
        before = await self._mine(ctx, number)
        if before.state is not ReminderState.ACTIVE:
            raise ActionFailed(f"Reminder {number} is {before.state.value} already.")
        gone = replace(before, state=ReminderState.CANCELLED, next=None)
        ctx.write(lambda conn: self.context.schedule.change(conn, before, gone))
        ctx.compensate({"number": number, "before": snapshot(before)})
        return told(f"Reminder {number} is cancelled: {before.text}", before)

    @action(
        effect="local",
        command="snooze",
        plants=True,
        compensation="restore_reminder",
        phrases=["snooze reminder {number} for {by}", "snooze reminder {number} until {by}"],
    )
    async def snooze_reminder(
        self,
        ctx: ActionContext,
        number: Number,
        by: Annotated[str, Field(description='"10 minutes", "tomorrow at 9"')] = "10 minutes",
    ) -> str | Untrusted:
        """Let a reminder come again later."""
        before = await self._mine(ctx, number)
        zone, _ = await self._zone(ctx.principal, None)
        now_ms = self.context.clock.now_ms()
        when = f"in {by}" if by.strip()[:1].isdigit() and not ("-" in by or ":" in by) else by
        wish = Wish(when=when)
        intent, first = await self._first(lambda: read_intent(wish, zone=zone, now_ms=now_ms), now_ms)
        if before.state is ReminderState.ACTIVE and not before.intent.rule:
            later = replace(before, intent=intent, next=first)
            ctx.write(lambda conn: self.context.schedule.change(conn, before, later))
            ctx.compensate({"number": number, "before": snapshot(before)})
            return told(f"Reminder {number} comes later: {await self._coming(later)}: {later.text}", later)
        there = await self._twin(before, first)
        if there is not None:
            return told(f"It comes again as reminder {there.number} already: {await self._coming(there)}.", there)
        await self._check_room(ctx)
        again = replace(
            before,
            id=0,
            number=await self.context.schedule.new_number(),
            intent=intent,
            next=first,
            state=ReminderState.ACTIVE,
            note="",
            created_at_ms=0,
        )
        ctx.write(lambda conn: self.context.schedule.add(conn, again))
        ctx.compensate({"number": again.number})
        return told(f"It comes again as reminder {again.number}: {await self._coming(again)}: {again.text}", again)

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
        answer = f"Your time zone is {zone}, and {len(moved)} reminders keep their wall-clock time there."
        if stay:
            numbers = ", ".join(str(reminder.number) for reminder in stay)
            answer += f" There it has gone by for {numbers}, which come when they would have come."
        return answer

    @action(effect="local", plants=True, model=False)
    async def restore_reminder(
        self, ctx: ActionContext, number: Number, before: dict[str, object] | None = None
    ) -> str | Untrusted:
        """Take back what was done to a reminder: put back what it was `before`, nothing where it was new."""
        now = await self._mine(ctx, number)
        if before is None and now.state is ReminderState.DONE:
            return told(f"Reminder {number} ({now.text}) has come already; there is nothing to take back.", now)
        if before is None or before["state"] != ReminderState.ACTIVE.value:
            gone = replace(now, state=ReminderState.CANCELLED, next=None)
            ctx.write(lambda conn: self.context.schedule.change(conn, now, gone))
            return told(f"Taken back: reminder {number} ({now.text}) is not set any more.", now)
        back = restored(now, before)
        now_ms = self.context.clock.now_ms()
        found = await asyncio.to_thread(self.context.schedule.upcoming, back.intent, now_ms, 1)
        if not found:
            # That ends it as well: were this a failure, /undo would never come to what was done before.
            return f"Reminder {number} cannot come back: its time has gone by."
        if now.state is not ReminderState.ACTIVE:
            await self._check_room(ctx)
        again = replace(back, next=found[0])
        ctx.write(lambda conn: self.context.schedule.change(conn, now, again))
        return told(f"Taken back: reminder {number} is as it was: {await self._coming(again)}: {again.text}", again)

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Refuse an address that cannot be read, and a zone that there is not."""
        complaints = []
        try:
            if payload.get("to") is not None:
                Address.parse(payload["to"])
        except ValueError as error:
            complaints.append(f"to: {error}.")
        try:
            for field in ("timezone", "zone"):
                if payload.get(field) is not None:
                    known_zone(payload[field])
        except ActionFailed as error:
            complaints.append(f"{field}: {error.explain()}")
        return complaints

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

    def _moved(self, reminder: Reminder, zone: str) -> Reminder | None:
        """Return a reminder at the same wall-clock time of another zone; None where that has gone by."""
        wish = replace(reminder.intent, zone=zone)
        found = self.context.schedule.upcoming(wish, self.context.clock.now_ms(), 1)
        return replace(reminder, intent=wish, next=found[0]) if found else None

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
