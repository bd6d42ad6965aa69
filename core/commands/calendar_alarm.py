"""When the alarm of an entry goes off, seen from its start. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.commands.calendar_file import Component, Line
from core.commands.calendar_times import NotCarriedOver, read_time
from core.services.recurrence import read_until

_OFTEN = ("HOURLY", "MINUTELY", "SECONDLY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """after: how long after the start it goes off, negative before. at: or the instant, naive of UTC."""

    after: timedelta = timedelta(0)
    at: datetime | None = None


def read_alarm(entry: Component, length: timedelta | None) -> tuple[Alarm | None, list[str]]:
    """Return the alarm that counts, and what is lost of the alarms of an entry. length: from its start to its end."""
    alarms = [inner for inner in entry.inner if inner.name == "VALARM" and inner.text("ACTION").upper() != "NONE"]
    lost: list[str] = []
    for alarm in alarms:
        try:
            read = _read(alarm, length)
        except NotCarriedOver as reason:
            lost.append(f"an alarm is left out: {reason}")
            continue
        if alarm.text("ACTION").upper() in ("EMAIL", "PROCEDURE"):
            lost.append(f"its alarm was to be {alarm.text('ACTION').upper()}: it is a message here")
        if alarm.first("REPEAT") is not None:
            lost.append("its alarm was to be repeated: it comes once")
        if alarm is not alarms[-1]:
            lost.append(f"it has {len(alarms)} alarms: only the one {_place(read)} was taken")
        return read, lost
    return None, lost


def length_of(line: Line) -> timedelta:
    """Read a DURATION; raises NotCarriedOver."""
    from icalendar.prop import vDuration

    value = line.value.strip()
    try:
        length: timedelta = vDuration.from_ical(value)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError):
        raise NotCarriedOver(f"the length {value[:40]!r} cannot be read") from None
    return length


def shifted(rule: str, start: datetime, by: timedelta) -> str:
    """Return the rule for what comes `by` after each occurrence of a rule; raises NotCarriedOver if none says it."""
    if not rule or not by:
        return rule
    parts = dict(part.partition("=")[::2] for part in rule.upper().removeprefix("RRULE:").split(";"))
    chosen = [name for name in parts if name.startswith("BY")]
    by_length = not chosen and parts.get("FREQ") in (*_OFTEN, "DAILY", "WEEKLY")
    same_day = (start + by).date() == start.date() and parts.get("FREQ") not in _OFTEN
    if not by_length and (not same_day or {"BYHOUR", "BYMINUTE", "BYSECOND"} & parts.keys()):
        raise NotCarriedOver(f"{told(by)} cannot be said by its rule")
    if "UNTIL" in parts:
        until = read_until(parts["UNTIL"])
        parts["UNTIL"] = f"{until + by:%Y%m%dT%H%M%S}{'' if until.tzinfo is None else 'Z'}"
    return ";".join(f"{name}={value}" for name, value in parts.items())


def told(after: timedelta) -> str:
    """Return how long before or after in words."""
    if not after:
        return "at its start"
    words: Sequence[str] = str(abs(after)).removesuffix(":00").split(", ")
    return f"{', '.join(words)} {'before' if after < timedelta(0) else 'after'} its start"


def _place(alarm: Alarm) -> str:
    return told(alarm.after) if alarm.at is None else f"of {alarm.at} (UTC)"


def _read(alarm: Component, length: timedelta | None) -> Alarm:
    trigger = alarm.first("TRIGGER")
    if trigger is None:
        raise NotCarriedOver("it does not say when it goes off")
    if trigger.parameters.get("VALUE", "").upper() == "DATE-TIME":
        at = read_time(trigger, "UTC", {})
        if not at.instant:
            raise NotCarriedOver("its instant is not in UTC")
        return Alarm(at=at.local)
    after = length_of(trigger)
    if trigger.parameters.get("RELATED", "").upper() == "END":
        if length is None:
            raise NotCarriedOver("it counts from an end that is not told")
        after += length
    return Alarm(after=after)
