"""What of other programs' calendars becomes a reminder, and what is told of the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.calendar_entry import Entry
from core.commands.calendar_export import calendar_of
from core.commands.calendar_file import MOST_BYTES, CalendarError, read_calendars
from core.commands.calendar_import import LeftOut, read_entries

NOW_MS = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
START = "DTSTART;TZID=Europe/Rome:20270201T100000"  # a Monday
DAY_BEFORE = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-P1D\nEND:VALARM"
QUARTER_BEFORE = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nEND:VALARM"


def _calendar(*lines: str, name: str = "VEVENT", around: str = "") -> bytes:
    entry = "\n".join((f"BEGIN:{name}", "SUMMARY:stretch", *lines, f"END:{name}"))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{around}{entry}\nEND:VCALENDAR\n".replace("\n", "\r\n").encode()


def _entry(*lines: str, name: str = "VEVENT", around: str = "") -> Entry:
    found, left_out = read_entries(_calendar(*lines, name=name, around=around), "Asia/Tokyo", NOW_MS)
    assert not left_out
    return found[0]


def _left_out(*lines: str, name: str = "VEVENT") -> LeftOut:
    found, left_out = read_entries(_calendar(*lines, name=name), "Asia/Tokyo", NOW_MS)
    assert not found
    return left_out[0]


@pytest.mark.parametrize(
    ("line", "start", "zone", "elapsed"),
    [
        (START, "2027-02-01T10:00:00", "Europe/Rome", False),
        ("DTSTART:20270201T100000", "2027-02-01T10:00:00", "Asia/Tokyo", False),
        ("DTSTART:20270201T100000Z", "2027-02-01T10:00:00", "Asia/Tokyo", True),
        (
            'DTSTART;X-A=1;TZID="W. Europe Standard Time":20270201T100000',
            "2027-02-01T10:00:00",
            "Europe/Berlin",
            False,
        ),
        ("DTSTART;TZID=/example.org/2007_1/Europe/Rome:20270201T100000", "2027-02-01T10:00:00", "Europe/Rome", False),
        ("DTSTART;TZID=mine:20270201T100000", "2027-02-01T10:00:00", "Asia/Kathmandu", False),
        ("DTSTART;TZ\n ID=Europe/Rome:20270201T\n\t100000", "2027-02-01T10:00:00", "Europe/Rome", False),
    ],
)
def test_times(line: str, start: str, zone: str, elapsed: bool) -> None:
    mine = "BEGIN:VTIMEZONE\nTZID:mine\nX-LIC-LOCATION:Asia/Kathmandu\nEND:VTIMEZONE\n"
    entry = _entry(line, around=mine)
    assert (entry.intent.start.isoformat(), entry.intent.zone, entry.intent.elapsed) == (start, zone, elapsed)
    assert entry.lost == ()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["DTSTART;TZID=Nowhere/X:20270201T100000"], "its time zone 'Nowhere/X' is not known here"),
        (["DTSTART:20270230T100000"], "its time '20270230T100000' cannot be read"),
        (["DTSTART:20260201T100000Z"], "it was due 2026-02-01 10:00:00 (UTC), which has gone by"),
        (["DTSTART:20260201T100000Z", "RRULE:FREQ=DAILY;COUNT=3"], "its last occurrence has gone by"),
        ([START, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"], "never comes"),
        ([START, "RRULE:FREQ=DAILY;UNTIL=20260101T000000Z"], "its rule never comes before it ends"),
        ([START, "RRULE:FREQ=SECONDLY"], "it comes every 1 seconds"),
        ([START, "RRULE:FREQ=DAILY;BYSECOND=0,20"], "it comes every 20 seconds"),
        ([START, "RRULE:FREQ=DAILY;RSCALE=GREGORIAN"], "RSCALE"),
        ([START, "RECURRENCE-ID:20270208T090000Z"], "it changes one occurrence (20270208T090000Z)"),
        ([START, "STATUS:CANCELLED"], "it is cancelled"),
        ([START, "STATUS:COMPLETED"], "it is done already"),
        ([], "it has no time"),
    ],
)
def test_what_is_left_out(lines: list[str], reason: str) -> None:
    left_out = _left_out(*lines)
    assert reason in left_out.reason
    assert left_out.name == "VEVENT 'stretch' (line 3)"


def test_what_is_no_entry_is_named() -> None:
    assert _left_out(START, name="VJOURNAL").reason == "it is neither an event nor a to-do"


@pytest.mark.parametrize(
    ("lines", "start", "lost"),
    [
        ([START, "EXDATE:20270208T090000Z"], "2027-02-01T10:00:00", ["EXDATE"]),
        ([START, "RDATE:20270208T090000Z"], "2027-02-01T10:00:00", ["RDATE"]),
        ([START, "ATTENDEE:mailto:a@example.org"], "2027-02-01T10:00:00", ["1 attendee:"]),
        ([START, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"], "2027-02-01T10:00:00", ["2 rules"]),
        ([START, "RRULE:FREQ=WEEKLY;BYDAY=TU"], "2027-02-01T10:00:00", ["comes first at 2027-02-02 10:00:00"]),
        ([START, "no property"], "2027-02-01T10:00:00", ["line 6 cannot be read"]),
        ([START, "X-REKKU-MODE:shout"], "2027-02-01T10:00:00", ["X-REKKU-MODE 'shout'"]),
        ([START, "X-REKKU-ADDRESS:nobody"], "2027-02-01T10:00:00", ["X-REKKU-ADDRESS 'nobody'"]),
        ([START, "X-REKKU-MAX-LATENESS:-5"], "2027-02-01T10:00:00", ["X-REKKU-MAX-LATENESS '-5'"]),
        (["DTSTART;VALUE=DATE:20270201"], "2027-02-01T09:00:00", ["all-day: it comes at 09:00"]),
        (["DTSTART;VALUE=DATE:20270201", DAY_BEFORE], "2027-01-31T00:00:00", []),
        ([START, QUARTER_BEFORE, DAY_BEFORE], "2027-02-01T09:45:00", ["2 alarms: only the one 0:15 before"]),
        ([START, QUARTER_BEFORE.replace("DISPLAY", "EMAIL")], "2027-02-01T09:45:00", ["EMAIL"]),
        ([START, QUARTER_BEFORE.replace("ACTION:", "REPEAT:2\nACTION:")], "2027-02-01T09:45:00", ["it comes once"]),
        ([START, QUARTER_BEFORE.replace("DISPLAY", "NONE")], "2027-02-01T10:00:00", []),
        ([START, QUARTER_BEFORE.replace("-PT15M", "soon")], "2027-02-01T10:00:00", ["'soon' cannot be read"]),
        ([START, "RRULE:FREQ=WEEKLY;BYDAY=MO", DAY_BEFORE], "2027-02-01T10:00:00", ["1 day, 0:00 before its start"]),
        ([START, "RRULE:FREQ=WEEKLY;BYDAY=MO", QUARTER_BEFORE], "2027-02-01T09:45:00", []),
        ([START, "RRULE:FREQ=WEEKLY", DAY_BEFORE], "2027-01-31T10:00:00", []),
    ],
)
def test_what_is_lost_is_told(lines: list[str], start: str, lost: list[str]) -> None:
    entry = _entry(*lines)
    assert entry.intent.start.isoformat() == start
    assert len(entry.lost) == len(lost), entry.lost
    assert all(part in told for part, told in zip(lost, entry.lost, strict=True)), entry.lost


def test_alarms_that_count_from_the_end_or_are_instants() -> None:
    from_end = "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER;RELATED=END:-PT10M\nEND:VALARM"
    assert _entry(START, "DURATION:PT1H", from_end).intent.start == datetime(2027, 2, 1, 10, 50)
    ends = "DTEND;TZID=Europe/Rome:20270201T120000"
    assert _entry(START, ends, from_end).intent.start == datetime(2027, 2, 1, 11, 50)
    due = "DUE;TZID=Europe/Rome:20270201T120000"
    assert _entry(due, from_end, name="VTODO").intent.start == datetime(2027, 2, 1, 11, 50)
    at = "BEGIN:VALARM\nTRIGGER;VALUE=DATE-TIME:20270201T060000Z\nEND:VALARM"
    once = _entry(START, at).intent
    assert (once.start, once.elapsed) == (datetime(2027, 2, 1, 6), True)
    repeated = _entry(START, "RRULE:FREQ=DAILY", at)
    assert repeated.intent.start == datetime(2027, 2, 1, 10)
    assert "it goes off once" in repeated.lost[0]


def test_an_end_moves_with_the_alarm() -> None:
    entry = _entry(START, "RRULE:FREQ=DAILY;UNTIL=20270203T090000Z", QUARTER_BEFORE)
    assert entry.intent.rule == "FREQ=DAILY;UNTIL=20270203T084500Z"


def test_texts() -> None:
    assert _entry(START, "DESCRIPTION:with\\, a\\nfriend\\\\n").text == "stretch\nwith, a\nfriend\\n"
    assert _entry(START, "DESCRIPTION:stretch\\nwell").text == "stretch\nwell"
    long = _entry(START, f"DESCRIPTION:{'a' * 20_000}")
    assert len(long.text) == 16_000
    assert "cut off" in long.lost[0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "It is empty"),
        (b"hello\nworld\n", "It is no iCalendar file: it has 'hello'"),
        (b"<html>", "It is no iCalendar file"),
        (b"BEGIN:VEVENT\nEND:VEVENT\n", "It is no iCalendar file"),
        (_calendar(START)[:60], "It ends in the middle: the VEVENT of line 3 has no end"),
        (_calendar(START).decode().encode("utf-16"), "It is no text in UTF-8"),
        (_calendar("LOCATION:Caff\xe9").decode().encode("latin-1"), "Its line 5 is no text in UTF-8"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VTODO\n", "Its line 3 ends a VTODO that has not begun"),
        (b" " * (MOST_BYTES + 1), "It has more than 10 MB"),
        (b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nEND:VEVENT\n" * 20_001 + b"END:VCALENDAR", "more than 20000 entries"),
    ],
    ids=range(10),
)
def test_files_that_are_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(CalendarError, match=complaint):
        read_entries(content, "UTC", NOW_MS)


def test_a_character_that_is_folded_in_the_middle() -> None:
    content = _calendar(START, "DESCRIPTION:é").replace(b"\xc3\xa9", b"\xc3\r\n \xa9")
    found, _ = read_entries(b"\xef\xbb\xbf" + content, "UTC", NOW_MS)
    assert found[0].text == "stretch\né"


def test_components_may_nest_deeply() -> None:
    depth = 20_000
    content = b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * depth + b"END:X\n" * depth + b"END:VCALENDAR\n"
    assert len(read_calendars(content)) == 1


@given(st.binary(max_size=80), st.integers(0, 400))
def test_whatever_stands_in_a_file_is_read_or_refused(junk: bytes, place: int) -> None:
    content = _calendar(START, "RRULE:FREQ=DAILY;UNTIL=20270203T090000Z", "EXDATE:x", QUARTER_BEFORE)
    try:
        found, left_out = read_entries(content[:place] + junk + content[place:], "UTC", NOW_MS)
    except CalendarError:
        return
    assert len(found) + len(left_out) >= 1


def test_no_reminders_are_a_calendar_too() -> None:
    assert read_entries(calendar_of([], {}, 0), "UTC", NOW_MS) == ([], [])
