"""The actions on reminders. What a reminder is, and when it is due, is the business of the core's schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from core.ai_plugin_base import ActionContext, TurnContext, action, hook
from core.contracts.actions import ActionSpec, DisplayHints, Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Address
from core.contracts.json import JsonObject
from core.contracts.schedule import MissedPolicy, Reminder, ReminderMode, ReminderState
from plugins.event.intents import Wish, changed_intent, read_intent, read_length_s
from plugins.event.keeping import Number, ReminderKeeping
from plugins.event.snapshots import restored, snapshot
from plugins.event.wording import line, told
from plugins.event.zones import known_zone, zone_note

OF_REMINDERS = ("update_reminder", "cancel_reminder", "snooze_reminder")
RARE = Field(json_schema_extra={"x-unlisted": True})
"""What most reminders need nothing of; a model that is held to a schema sets it with update_reminder."""

MOST_LISTED = 50

Mode = Literal["literal", "compose", "task"]
Missed = Literal["coalesce", "deliver", "skip"]
When_ = Annotated[str | None, Field(description='"in 45 minutes", "friday 18:30", ISO 8601')]
Repeat_ = Annotated[str | None, Field(description='"every weekday at 8", RRULE')]


class ReminderActions(ReminderKeeping):
    """Sets, lists, changes and cancels reminders."""

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
        if intent.rule:
            cure = 'Say "10 minutes" or "tomorrow at 9"; update_reminder changes when it repeats.'
            raise ActionFailed(f"{by!r} comes again and again, and to snooze is for once.", cure=cure)
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
