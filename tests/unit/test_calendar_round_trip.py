"""What is exported and imported again is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from core.commands.calendar_export import calendar_of, uid_of
from core.commands.calendar_import import read_entries
from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import MissedPolicy, Reminder, ReminderMode
from core.services import occurrences

ANN = Principal("telegram", "5")
ZONES = ("Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")
PATTERNS = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYHOUR=2,9;BYMINUTE=30",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=SU",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1,20;BYDAY=TU",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=MINUTELY;INTERVAL=90",
)
starts = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(lambda start: start.replace(microsecond=0))
rules = st.builds(
    "{}{}".format,
    st.sampled_from(PATTERNS),
    st.one_of(st.just(""), st.integers(1, 12).map(";COUNT={}".format), st.just(";UNTIL=20310203T040506Z")),
)
intents = st.builds(
    Intent, start=starts, zone=st.sampled_from(ZONES), rule=st.just("") | rules, elapsed=st.booleans()
).map(occurrences.checked)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


def _reminder(intent: Intent, text: str = "stretch", passed: int = 0) -> Reminder:
    """Return a reminder of which some occurrences are over; at its last one it stays."""
    following = occurrences.first(intent, 0)
    assert following is not None
    for _ in range(passed):
        following = occurrences.following(intent, following) or following
    address = Address("telegram", "-100,5;a", "7")
    return Reminder(
        principal=ANN, number=3, address=address, asked_in=address, text=text, intent=intent, next=following
    )


def _coming(intent: Intent, following: Occurrence | None) -> list[tuple[int, int | None]]:
    def walk() -> Iterator[tuple[int, int | None]]:
        now = following
        while now is not None:
            yield now.at_ms, now.remaining
            now = occurrences.following(intent, now)

    return list(islice(walk(), 15))


@settings(max_examples=150, deadline=None)
@given(intent=intents, passed=st.integers(0, 7))
def test_every_occurrence_that_was_to_come_still_is(intent: Intent, passed: int) -> None:
    reminder = _reminder(intent, passed=passed)
    assert reminder.next is not None
    now_ms = reminder.next.at_ms - 1000
    (entry,), left_out = read_entries(calendar_of([reminder], {}, now_ms), "Asia/Tokyo", now_ms)
    before, after = _coming(intent, reminder.next), _coming(entry.intent, entry.first)
    assert [at_ms for at_ms, _ in after] == [at_ms for at_ms, _ in before]
    if "BYSETPOS" not in intent.rule:  # there a COUNT may have become an UNTIL
        assert after == before
    assert (entry.intent.zone, entry.intent.elapsed) == (intent.zone, intent.elapsed)
    assert not left_out
    # A weekly BYSETPOS keeps its start, which may be none of its times.
    assert all("its start is no time of its rule" in lost and "BYSETPOS" in intent.rule for lost in entry.lost)


@settings(max_examples=150, deadline=None)
@given(
    text=texts.filter(lambda text: bool(text.strip())),
    mode=st.sampled_from(ReminderMode),
    missed=st.sampled_from(MissedPolicy),
    lateness_s=st.none() | st.integers(0, 10**6),
)
def test_whatever_else_a_reminder_has_is_kept(
    text: str, mode: ReminderMode, missed: MissedPolicy, lateness_s: int | None
) -> None:
    intent = Intent(start=datetime(2027, 3, 28, 2, 30), zone="Europe/Rome")
    plain = _reminder(intent, text)
    reminder = Reminder(
        principal=ANN,
        number=3,
        address=plain.address,
        asked_in=plain.address,
        text=text,
        intent=intent,
        next=plain.next,
        mode=mode,
        missed=missed,
        max_lateness_s=lateness_s,
    )
    (entry,), _ = read_entries(calendar_of([reminder], {}, 0), "UTC", 0)
    assert (entry.text, entry.mode, entry.missed) == (text, mode, missed)
    assert (entry.max_lateness_s, entry.address) == (lateness_s, reminder.address)
    assert (entry.intent, entry.uid, entry.lost) == (intent, uid_of(reminder), ())


def test_what_another_calendar_reads() -> None:
    counted = _reminder(
        Intent(start=datetime(2027, 3, 1, 9), zone="Europe/Rome", rule="FREQ=DAILY;COUNT=9"), passed=4
    )
    elapsed = _reminder(Intent(start=datetime(2027, 3, 1, 9), zone="Europe/Rome", elapsed=True))
    calendar = Calendar.from_ical(calendar_of([counted, elapsed], {}, 0))
    first, second = calendar.walk("VEVENT")
    assert first["dtstart"].params["TZID"] == "Europe/Rome"
    assert first["rrule"].to_ical() == b"FREQ=DAILY;COUNT=5"
    assert first.decoded("dtstart").astimezone(UTC) == datetime(2027, 3, 5, 8, tzinfo=UTC)
    assert second["dtstart"].to_ical() == b"20270301T090000Z"
    assert [alarm.decoded("trigger") for alarm in calendar.walk("VALARM")] == [timedelta(0)] * 2
    assert [zone["tzid"] for zone in calendar.walk("VTIMEZONE")] == ["Europe/Rome"]


def test_a_uid_is_one_reminders_and_an_imported_one_is_kept() -> None:
    one = _reminder(Intent(start=datetime(2027, 3, 1, 9), zone="UTC"))
    assert b"UID:from-elsewhere\r\n" in calendar_of([one], {3: "from-elsewhere"}, 0)
    assert f"UID:{uid_of(one)}\r\n".encode() in calendar_of([one], {4: "from-elsewhere"}, 0)
    other = Reminder(
        principal=ANN,
        number=3,
        address=one.address,
        asked_in=one.address,
        text="",
        intent=one.intent,
        next=None,
        created_at_ms=1,
    )
    assert uid_of(other) != uid_of(one)
