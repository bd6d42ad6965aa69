"""Which occurrence of a due reminder is delivered, which are left out, and what comes after. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.contracts.reminders import Occurrence
from core.contracts.schedule import MissedPolicy, Reminder, ReminderState
from core.services import occurrences

MOST_DELIVERED = 20
"""How many missed occurrences of one reminder are delivered each on its own."""

SKIP_AFTER_S = 60
"""What is later than this counts as missed, where a reminder that skips names no largest lateness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done for an instant.

    occurrence: the one that is delivered. left_out: how many before it are not. over: whether it is too late for
    it. after: the reminder as it is afterwards.
    """

    occurrence: Occurrence
    left_out: int
    over: bool
    late_s: int
    after: Reminder


def what_is_due(reminder: Reminder, now_ms: int) -> Due:
    """Decide which occurrence of a due reminder is delivered, and what comes after it. Pure."""
    assert reminder.next is not None
    missed = occurrences.missed(reminder.intent, reminder.next, now_ms)
    occurrence, left_out, following = missed.newest, missed.count - 1, missed.next
    if reminder.missed is MissedPolicy.DELIVER and 0 < left_out < MOST_DELIVERED:
        occurrence, left_out = reminder.next, 0
        following = occurrences.following(reminder.intent, occurrence)
    late_s = max((now_ms - occurrence.at_ms) // 1000, 0)
    largest = reminder.max_lateness_s
    if largest is None and reminder.missed is MissedPolicy.SKIP:
        largest = SKIP_AFTER_S
    state = ReminderState.DONE if following is None else ReminderState.ACTIVE
    after = replace(reminder, next=following, state=state)
    return Due(
        occurrence=occurrence,
        left_out=left_out,
        over=largest is not None and late_s > largest,
        late_s=late_s,
        after=after,
    )
