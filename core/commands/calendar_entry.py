"""From an entry of a calendar to what a reminder is made of, and what is lost on the way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote

from core.commands.calendar_alarm import Alarm, length_of, read_alarm, shifted, told
from core.commands.calendar_export import WALL, plain, summary_of
from core.commands.calendar_file import Component
from core.commands.calendar_times import CalendarTime, NotCarriedOver, is_zone, read_time
from core.contracts.errors import ScheduleError
from core.contracts.inputs import Address
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import MissedPolicy, ReminderMode
from core.counted import counted
from core.services import occurrences

ALL_DAY_AT_H = 9
SHORTEST_REPEAT_S = 60
LONGEST_TEXT = 16_000
MOST_LATENESS_S = 10 * 366 * 86_400

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a reminder is made of. name: for people. lost: what could not be carried over, and why."""

    name: str
    uid: str
    text: str
    intent: Intent
    first: Occurrence
    mode: ReminderMode
    missed: MissedPolicy
    max_lateness_s: int | None
    address: Address | None
    lost: tuple[str, ...]


def name_of(component: Component) -> str:
    """Return how an entry is called in what is told about it."""
    called = component.text("SUMMARY") or component.text("UID")
    named = f" {summary_of(called)[:60]!r}" if called.strip() else ""
    return f"{component.name}{named} (line {component.line})"


def read_entry(component: Component, own_zone: str, zones: Mapping[str, str], now_ms: int) -> Entry:
    """Read a VEVENT or VTODO; raises NotCarriedOver. own_zone: of whoever it is for."""
    lost = [f"its line {number} cannot be read" for number in component.broken[:3]]
    _check_state(component)
    text = _text(component)
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT]
        lost.append(f"its text is longer than {LONGEST_TEXT} characters: the rest is cut off")
    intent = _intent(component, own_zone, zones, lost)
    try:
        intent = occurrences.checked(intent)
        first = _first(intent, now_ms, lost)
    except ScheduleError as error:
        raise NotCarriedOver(str(error).rstrip(".")) from None
    lost += _left_behind(component)
    return Entry(
        name=name_of(component),
        uid=component.text("UID").strip(),
        text=text,
        intent=intent,
        first=first,
        mode=_chosen(component, "X-REKKU-MODE", ReminderMode.LITERAL, lost),
        missed=_chosen(component, "X-REKKU-MISSED", MissedPolicy.COALESCE, lost),
        max_lateness_s=_lateness(component, lost),
        address=_address(component, lost),
        lost=tuple(lost),
    )


def _check_state(component: Component) -> None:
    if component.first("RECURRENCE-ID") is not None:
        raise NotCarriedOver(
            f"it changes one occurrence ({component.text('RECURRENCE-ID')[:40]}) of a repeated entry: "
            "that one comes as its rule says"
        )
    state = component.text("STATUS").upper()
    if state == "CANCELLED":
        raise NotCarriedOver("it is cancelled")
    if state == "COMPLETED" or component.first("COMPLETED") is not None:
        raise NotCarriedOver("it is done already")


def _text(component: Component) -> str:
    summary, description = component.text("SUMMARY"), component.text("DESCRIPTION")
    exact = unquote(component.text("X-REKKU-TEXT"))
    if exact and plain(exact) == description:
        return exact
    if not description or summary in ("", summary_of(description)):
        text = description or summary
    else:
        text = f"{summary}\n{description}"
    if not text.strip():
        raise NotCarriedOver("it has no text")
    return text


def _intent(component: Component, own_zone: str, zones: Mapping[str, str], lost: list[str]) -> Intent:
    shown = component.text("X-REKKU-ZONE")
    start, length = _start_and_length(component, shown if is_zone(shown) else own_zone, zones)
    rules = component.lines.get("RRULE", [])
    if len(rules) > 1:
        lost.append(f"it has {len(rules)} rules: only the first of them was taken")
    rule = rules[0].value.strip() if rules else ""
    alarm, of_alarms = read_alarm(component, length)
    lost += of_alarms
    at_start = Intent(start=start.local, zone=start.zone, rule=rule, elapsed=start.instant)
    if start.instant and component.text("X-REKKU-CLOCK") == WALL:
        at_start = replace(at_start, zone="UTC", elapsed=False)
    if alarm is not None:
        try:
            return _at_alarm(at_start, alarm)
        except NotCarriedOver as reason:
            lost.append(f"its alarm is left out, it comes at its start: {reason}")
    if start.all_day:
        lost.append(f"it is all-day: it comes at {ALL_DAY_AT_H:02}:00 in {start.zone}")
        at_start = replace(at_start, start=at_start.start.replace(hour=ALL_DAY_AT_H))
    return at_start


def _at_alarm(intent: Intent, alarm: Alarm) -> Intent:
    if alarm.at is not None:
        if intent.rule:
            raise NotCarriedOver("it goes off once, and the entry is repeated")
        return replace(intent, start=alarm.at, elapsed=True)
    try:
        rule = shifted(intent.rule, intent.start, alarm.after)
        return replace(intent, start=intent.start + alarm.after, rule=rule)
    except OverflowError:
        raise NotCarriedOver(f"{told(alarm.after)} is out of range") from None
    except ScheduleError as error:
        raise NotCarriedOver(str(error)) from None


def _start_and_length(
    component: Component, own_zone: str, zones: Mapping[str, str]
) -> tuple[CalendarTime, timedelta | None]:
    begins, ends = component.first("DTSTART"), component.first("DTEND") or component.first("DUE")
    if begins is None and component.name == "VTODO":
        begins = ends
    if begins is None:
        raise NotCarriedOver("it has no time")
    start = read_time(begins, own_zone, zones)
    length: timedelta | None = None
    try:
        if ends is not None:
            end = read_time(ends, own_zone, zones)
            if (end.zone, end.instant) == (start.zone, start.instant):
                length = end.local - start.local
        elif (lasts := component.first("DURATION")) is not None:
            length = length_of(lasts)
        else:
            length = timedelta(days=1 if start.all_day else 0)
    except NotCarriedOver:
        pass  # An end matters to an alarm that counts from it, and to nothing else.
    return start, length


def _first(intent: Intent, now_ms: int, lost: list[str]) -> Occurrence:
    clock = "UTC" if intent.elapsed else intent.zone
    begins = occurrences.first(intent, 0)
    first = occurrences.first(intent, now_ms)
    if begins is None:
        raise NotCarriedOver("its rule never comes before it ends")
    if first is None:
        last = "its last occurrence" if intent.rule else f"it was due {intent.start} ({clock}), which"
        raise NotCarriedOver(f"{last} has gone by")
    # To look at hundreds of occurrences takes a while; only seconds can be so close.
    close = "SECOND" in intent.rule
    gap_s = occurrences.shortest_gap_s(intent) if close else None
    if gap_s is not None and gap_s < SHORTEST_REPEAT_S:
        raise NotCarriedOver(f"it comes every {gap_s} seconds; {SHORTEST_REPEAT_S} are the least")
    if begins.local != intent.start:
        lost.append(f"its start is no time of its rule: it comes first at {begins.local} ({clock})")
    return first


def _left_behind(component: Component) -> list[str]:
    lost = []
    if component.first("RDATE") is not None:
        lost.append("it has further dates of its own (RDATE): it does not come on them")
    if component.first("EXDATE") is not None or component.first("EXRULE") is not None:
        lost.append("it leaves dates out (EXDATE): it comes on them all the same")
    if guests := len(component.lines.get("ATTENDEE", [])):
        lost.append(f"it has {counted(guests, 'attendee')}: they are told nothing")
    return lost


def _chosen(component: Component, name: str, default: E, lost: list[str]) -> E:
    given = component.text(name).strip().lower()
    if not given:
        return default
    try:
        return type(default)(given)
    except ValueError:
        lost.append(f"its {name} {given[:40]!r} is not known: it is {default.value}")
        return default


def _lateness(component: Component, lost: list[str]) -> int | None:
    given = component.text("X-REKKU-MAX-LATENESS").strip()
    if not given:
        return None
    if given.isascii() and given.isdecimal() and len(given) < 12 and int(given) <= MOST_LATENESS_S:
        return int(given)
    lost.append(f"its X-REKKU-MAX-LATENESS {given[:40]!r} cannot be read: it has none")
    return None


def _address(component: Component, lost: list[str]) -> Address | None:
    given = component.text("X-REKKU-ADDRESS")
    if not given:
        return None
    try:
        return Address.parse(given)
    except ValueError:
        lost.append(f"its X-REKKU-ADDRESS {given[:60]!r} is no address")
        return None
