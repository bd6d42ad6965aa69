"""The present in a zone, and which times are still to come as it is seen from there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from dateutil.relativedelta import relativedelta

from plugins.event.phrase_error import PhraseError, Refusal, shown

MOST_YEARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A time that was read.

    local: naive, on the wall clock of `zone`, or UTC if `elapsed`, which a delay and an exact instant are.
    understood: the time in words that read_when reads as the same. says_time: a time of day was said, so it is not
    the default.
    """

    local: datetime
    zone: str
    elapsed: bool
    understood: str = ""
    says_time: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Now, in a zone. tz: what the wall clock is read by; `exact` says that it is an offset and not the zone's."""

    utc: datetime
    zone: str
    tz: tzinfo
    exact: bool = False

    @classmethod
    def at(cls, now_ms: int, zone: str, tz: tzinfo, *, exact: bool = False) -> Present:
        """Return the present, rounded up to a second: what is to come in ten seconds comes no sooner."""
        utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=-(-now_ms // 1000))
        return cls(utc=utc, zone=zone, tz=tz, exact=exact)

    @property
    def local(self) -> datetime:
        """The wall clock, naive."""
        return self.utc.astimezone(self.tz).replace(tzinfo=None, fold=0)

    def instant(self, local: datetime) -> datetime:
        """Return the instant, in UTC, at which the wall clock says so.

        The first one where it does so twice; the end of the gap where it never does.
        """
        utc = local.replace(tzinfo=self.tz).astimezone(UTC)
        if utc.astimezone(self.tz).replace(tzinfo=None) == local:
            return utc
        # PEP 495: within a gap fold=1 is before the change of the clock, fold=0 after it.
        before, after = local.replace(tzinfo=self.tz, fold=1).astimezone(UTC), utc
        offset = before.astimezone(self.tz).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) // 2
            middle = middle.replace(microsecond=0)
            if middle.astimezone(self.tz).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after

    def is_to_come(self, local: datetime) -> bool:
        """Whether a wall-clock time has not come yet."""
        return not self.is_out_of_reach(local) and self.instant(local) > self.utc

    def is_out_of_reach(self, naive: datetime) -> bool:
        """Whether a time is so far off that it is not worth converting."""
        return not self.utc.year - 1 <= naive.year <= min(self.utc.year + MOST_YEARS + 1, 9998)

    def on_the_wall(self, local: datetime, text: str, *, says_time: bool) -> When:
        """Return a wall-clock time to come; raises PhraseError."""
        self._check_reach(local, text)
        instant = self.instant(local)
        self._check(instant, text)
        if self.exact:
            return self.exactly(instant, text)
        return When(local=local, zone=self.zone, elapsed=False, understood=self._words(local), says_time=says_time)

    def exactly(self, instant: datetime, text: str) -> When:
        """Return an exact instant to come; raises PhraseError."""
        naive = instant.replace(tzinfo=None)
        self._check_reach(naive, text)
        utc = instant.astimezone(UTC).replace(microsecond=0)
        self._check(utc, text)
        there = utc.astimezone(self.tz)
        return When(
            local=utc.replace(tzinfo=None),
            zone=self.zone,
            elapsed=True,
            understood=f"{there:%A} {there:%Y-%m-%d %H:%M:%S}{_offset(there)} ({self.zone})",
        )

    def _words(self, local: datetime) -> str:
        return f"{local:%A} {local:%Y-%m-%d %H:%M}{f':{local:%S}' if local.second else ''} ({self.zone})"

    def _check_reach(self, naive: datetime, text: str) -> None:
        if not self.is_out_of_reach(naive):
            return
        if naive.year < self.utc.year:
            raise PhraseError(
                f"{shown(text)} is in {naive.year}, which is past. Choose a time to come.", Refusal.PAST
            )
        raise too_far(text)

    def _check(self, instant: datetime, text: str) -> None:
        if instant <= self.utc:
            there = instant.astimezone(self.tz).replace(tzinfo=None)
            raise PhraseError(
                f"{shown(text)} is {self._words(there)}, which is past. Choose a time to come.", Refusal.PAST
            )
        if instant > self.utc + relativedelta(years=MOST_YEARS):
            raise too_far(text)


def too_far(text: str) -> PhraseError:
    """Return the error for what is further off than can be promised."""
    return PhraseError(f"{shown(text)} is too far away; {MOST_YEARS} years ahead are the most.", Refusal.FAR)


def _offset(aware: datetime) -> str:
    return aware.isoformat()[len("2026-12-24T18:00:00") :]
