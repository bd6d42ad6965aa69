"""Reading `repeat`: a recurrence rule of RFC 5545, or the words for one. Pure; English only.

"every 2 hours" counts hours that pass, whatever the clock does; everything from days on is on the wall clock. The
last days of a month are meant as such: "monthly on the 31st" is the last day of shorter months.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from plugins.event.clock_words import PARTS, Clock, in_part, read_clock
from plugins.event.given_rules import PASSING, first_of, parse
from plugins.event.phrase_error import PhraseError, Refusal, shown
from plugins.event.present import Present, When
from plugins.event.rule_words import Rule, monthly_on, read_rule, yearly_on
from plugins.event.when import LONGEST_PHRASE, cuts, read_when, simplified
from plugins.event.zones import load, zone_at_end

EXAMPLES = 'Write "daily at 9", "every weekday at 8", "every 2 hours", "monthly on the 31st at 10" or an RRULE.'
LONGEST_REPEAT = 700
_UNDERSTOOD = re.compile(r"(?P<rule>\S+)\s+from\s+(?P<start>.+)", re.IGNORECASE)
_MOVED = "; the first that fits after "
_PART = re.compile(rf"(?P<rest>.+?)\s+(?:in\s+the\s+)?(?P<part>{'|'.join(PARTS)})")
_DAY_PARTS = ("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO")
_LENGTHS = {"SECONDLY": timedelta(seconds=1), "MINUTELY": timedelta(minutes=1), "HOURLY": timedelta(hours=1)}
_MOST_STEPS = 1500
"""The minutes of a day, for the longest hour that any clock went through twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A repetition that was read.

    rule: the value of an RRULE, without its name. start: its first occurrence that is to come. elapsed: the rule is
    counted in UTC, as hours and minutes that pass are. understood: words that read_repeat reads as the same.
    """

    rule: str
    start: When
    elapsed: bool
    understood: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A rule and the time of day that was said with it."""

    rule: str
    at: time | None
    names_day: bool
    passing: bool
    given: bool = False


def read_repeat(text: str, *, zone: str, now_ms: int, start: When | None) -> Repeat:
    """Read a repetition that begins at `start`, or at the first of its times to come; raises PhraseError.

    It has to say its days and its time of day, or `start` does. zone, now_ms: as in read_when.
    """
    if len(text) > LONGEST_REPEAT:
        raise PhraseError(f"A repetition has at most {LONGEST_REPEAT} characters. {EXAMPLES}")
    bare = text.strip()
    if "FREQ=" in bare.upper():
        if understood := _UNDERSTOOD.fullmatch(bare):
            bare = understood["rule"]
            named = read_when(understood["start"].split(_MOVED)[0], zone=zone, now_ms=now_ms)
            if start is not None and (start.local, start.elapsed) != (named.local, named.elapsed):
                raise PhraseError(f"It begins {named.understood} by repeat, and {start.understood} by when. Say one.")
            start = named
        said, named_zone = _given(bare), None
    else:
        if len(text) > LONGEST_PHRASE:
            raise PhraseError(f"A repetition has at most {LONGEST_PHRASE} characters. {EXAMPLES}")
        bare, named_zone = zone_at_end(bare)
        said = _in_words(simplified(bare), text)
    if named_zone is not None and start is not None and not start.elapsed and start.zone != named_zone:
        raise PhraseError(f"The zone is {start.zone} by when, and {named_zone} by repeat. Say it once.")
    where = named_zone or (zone if start is None else start.zone)
    present = Present.at(now_ms, where, load(where))
    return _as_it_passes(said, text, present, start) if said.passing else _on_the_wall(said, text, present, start)


def _given(bare: str) -> _Said:
    parts = parse(bare)
    if parts["FREQ"] in PASSING and not any(name.startswith("BY") for name in parts):
        return _Said(rule=_joined(parts), at=None, names_day=True, passing=True, given=True)
    names_day = parts["FREQ"] in (*PASSING, "DAILY") or any(name in parts for name in _DAY_PARTS)
    return _Said(rule=_joined(parts), at=None, names_day=names_day, passing=False, given=True)


def _in_words(phrase: str, text: str) -> _Said:
    read: dict[tuple[str, time | None], _Said] = {}
    refused: list[PhraseError] = []
    for rule_text, clock_text in cuts(phrase):
        try:
            said = _rule_and_clock(rule_text, clock_text)
        except PhraseError as error:
            refused.append(error)
            continue
        if said is not None:
            read[said.rule, said.at] = said
    if len(read) > 1:
        raise PhraseError(f"{shown(text)} can be read in two ways. {EXAMPLES}", Refusal.AMBIGUOUS)
    if read:
        return next(iter(read.values()))
    if refused:
        raise refused[0]
    raise PhraseError(f"{shown(text)} is not understood as a repetition. {EXAMPLES}")


def _rule_and_clock(rule_text: str, clock_text: str) -> _Said | None:
    """Read a rule, a time of day beside it, and a part of the day at the end of the rule."""
    if not rule_text:
        return None
    clock = read_clock(clock_text) if clock_text else None
    if clock_text and clock is None:
        return None
    part = clock.part if clock else None
    rule = read_rule(rule_text)
    if rule is None and part is None and (found := _PART.fullmatch(rule_text)):
        rest, part = found["rest"], found["part"]
        rule = read_rule("daily" if rest in ("every", "each") else rest)
    if rule is None or (rule.passing and (clock is not None or part is not None)):
        return None
    at = _time_of(rule, clock, part, rule_text)
    return _Said(rule=str(rule), at=at, names_day=rule.names_day, passing=rule.passing)


def _time_of(rule: Rule, clock: Clock | None, part: str | None, rule_text: str) -> time | None:
    if clock is None:
        return PARTS[part].default if part else None
    if clock.midnight:
        if str(rule) != "FREQ=DAILY":
            raise PhraseError(
                f"{shown(f'{rule_text} {clock.text}')} may be where those days begin or where they end. "
                "Write 00:00 for where they begin, or 23:59.",
                Refusal.AMBIGUOUS,
            )
        return time(0)
    return in_part(clock, part) if part else clock.at


def _as_it_passes(said: _Said, text: str, present: Present, start: When | None) -> Repeat:
    parts = parse(said.rule)
    if start is not None:
        first = start.local.replace(tzinfo=UTC) if start.elapsed else _elsewhere(start, present).instant(start.local)
    else:
        try:
            first = present.utc + _LENGTHS[parts["FREQ"]] * int(parts.get("INTERVAL", "1"))
        except OverflowError as error:
            raise PhraseError(f"{shown(text)} is too long.", Refusal.FAR) from error
    begin = present.exactly(first, text)
    _check_end(parts, begin.local, begin.local, text)
    return Repeat(rule=said.rule, start=begin, elapsed=True, understood=f"{said.rule} from {begin.understood}")


def _on_the_wall(said: _Said, text: str, present: Present, start: When | None) -> Repeat:
    """Give a rule of the wall clock its first occurrence, at or after `start`."""
    named = None if start is None else _wall_time(start, present)
    parts = _with_day(parse(said.rule), None if said.given else named)
    if named is None and not said.names_day:
        raise PhraseError(
            f'{shown(text)} does not say on which day. Write "weekly on monday at 9", "monthly on the 1st at 9", '
            "or when it begins.",
            Refusal.INCOMPLETE,
        )
    says_time = start is not None and start.says_time
    if named is None and said.at is None and "BYHOUR" not in parts and parts["FREQ"] not in PASSING:
        add = "Add BYHOUR and BYMINUTE to the rule" if said.given else 'Add a time, as in "daily at 9"'
        raise PhraseError(
            f"{shown(text)} does not say at what time. {add}, or say when it begins.", Refusal.INCOMPLETE
        )
    if said.at is not None and named is not None and says_time and named.time() != said.at:
        raise _two_times(named, said.at)
    begin = named or present.local.replace(minute=0, second=0)
    if said.at is not None:
        begin = datetime.combine(begin.date(), said.at)
    elif named is not None and not says_time and "BYHOUR" in parts:
        begin = datetime.combine(named.date(), time(0))
    first = _first_to_come(parts, begin, present)
    if first is None:
        raise PhraseError(f"{shown(text)} never comes.", Refusal.IMPOSSIBLE)
    if (
        said.given
        and named is not None
        and says_time
        and parts["FREQ"] not in PASSING
        and first.time() != named.time()
    ):
        raise _two_times(named, first.time())
    _check_end(parts, present.instant(first), first, text)
    when = present.on_the_wall(first, text, says_time=True)
    moved = f"{_MOVED}{start.understood}" if start is not None and named is not None and first > begin else ""
    rule = _joined(parts)
    return Repeat(rule=rule, start=when, elapsed=False, understood=f"{rule} from {when.understood}{moved}")


def _with_day(parts: dict[str, str], named: datetime | None) -> dict[str, str]:
    """Say in a rule in words that begins on one of the last days of a month what it means in shorter ones."""
    if named is None or named.day <= 28 or any(name in parts for name in _DAY_PARTS):
        return parts
    by: tuple[str, ...] = ()
    if parts["FREQ"] == "MONTHLY":
        by = monthly_on(named.day)
    elif parts["FREQ"] == "YEARLY" and (named.month, named.day) == (2, 29):
        by = yearly_on(2, 29)
    return {**parts, **dict(part.split("=") for part in by)}


def _first_to_come(parts: dict[str, str], begin: datetime, present: Present) -> datetime | None:
    """Return the first occurrence at or after `begin` that is to come, None when there is none."""
    after = present.local
    for _ in range(_MOST_STEPS):
        first = first_of(parts, begin, after)
        if first is None or present.is_out_of_reach(first):
            return None
        if present.is_to_come(first):
            return first
        # It is now, or in an hour that the clock goes through for the second time.
        after = (
            first.replace(second=0) + timedelta(minutes=1) if present.local < first else first + timedelta(seconds=1)
        )
    return None


def _check_end(parts: dict[str, str], utc: datetime, local: datetime, text: str) -> None:
    """Raise PhraseError when UNTIL, in UTC with a Z and on the wall clock without, is before the first occurrence."""
    until = parts.get("UNTIL", "")
    first = f"{utc if until.endswith('Z') else local:%Y%m%dT%H%M%S}Z"
    if until and until < first[: len(until)]:
        raise PhraseError(f"{shown(text)} ends before it first comes, {local:%Y-%m-%d %H:%M}.", Refusal.IMPOSSIBLE)


def _wall_time(start: When, present: Present) -> datetime:
    if not start.elapsed:
        return start.local
    return start.local.replace(tzinfo=UTC).astimezone(present.tz).replace(tzinfo=None)


def _elsewhere(start: When, present: Present) -> Present:
    return Present(utc=present.utc, zone=start.zone, tz=load(start.zone))


def _two_times(named: datetime, at: time) -> PhraseError:
    return PhraseError(
        f"The time is {named:%H:%M} by when, and {at:%H:%M} by repeat. Say it once.", Refusal.AMBIGUOUS
    )


def _joined(parts: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())
