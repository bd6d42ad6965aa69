"""Time: what time it is anywhere, and for the model what time it is here."""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field

from core.ai_plugin_base import AIPluginBase, TurnContext, action, hook
from core.contracts.errors import ActionFailed

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_OFFSET_MINUTES = 14 * 60

_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+\-−])\s*(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)

ZONES_BY_PLACE = {
    "America/Chicago": "austin, dallas, houston, new orleans, san antonio, texas, cdt",
    "America/Denver": "colorado, salt lake city, mdt",
    "America/Los_Angeles": (
        "california, las vegas, oakland, pacific time, pdt, portland, pst, san diego, san francisco, san jose, "
        "seattle, silicon valley"
    ),
    "America/New_York": (
        "atlanta, baltimore, boston, charlotte, eastern time, edt, florida, miami, new york city, nyc, orlando, "
        "philadelphia, pittsburgh, usa east coast, washington, washington dc"
    ),
    "America/Argentina/Buenos_Aires": "argentina",
    "America/Bogota": "colombia",
    "America/Lima": "peru",
    "America/Mexico_City": "mexico",
    "America/Santiago": "chile",
    "America/Sao_Paulo": "rio, rio de janeiro",
    "America/Toronto": "ottawa, quebec",
    "Africa/Johannesburg": "cape town, durban, pretoria, south africa",
    "Africa/Lagos": "abuja, nigeria",
    "Africa/Nairobi": "kenya",
    "Africa/Casablanca": "morocco, rabat",
    "Asia/Bangkok": "thailand",
    "Asia/Dhaka": "bangladesh",
    "Asia/Dubai": "abu dhabi, uae, united arab emirates",
    "Asia/Ho_Chi_Minh": "hanoi, vietnam",
    "Asia/Jakarta": "bandung",
    "Asia/Jerusalem": "haifa",
    "Asia/Karachi": "islamabad, lahore, pakistan",
    "Asia/Kathmandu": "nepal",
    "Asia/Kolkata": "bangalore, bengaluru, chennai, delhi, hyderabad, india, mumbai, new delhi, pune",
    "Asia/Kuala_Lumpur": "malaysia",
    "Asia/Manila": "philippines",
    "Asia/Riyadh": "jeddah, saudi arabia",
    "Asia/Seoul": "busan, korea, south korea",
    "Asia/Shanghai": "beijing, chengdu, china, guangzhou, hangzhou, shenzhen, wuhan",
    "Asia/Taipei": "taiwan",
    "Asia/Tokyo": "hiroshima, jst, kyoto, osaka, sapporo, yokohama",
    "Australia/Brisbane": "gold coast",
    "Australia/Sydney": "aedt, aest, canberra",
    "Europe/Amsterdam": "netherlands, rotterdam, the hague",
    "Europe/Athens": "greece",
    "Europe/Berlin": "cologne, dusseldorf, frankfurt, germany, hamburg, munchen, munich, stuttgart",
    "Europe/Brussels": "antwerp, belgium",
    "Europe/Bucharest": "romania",
    "Europe/Budapest": "hungary",
    "Europe/Copenhagen": "denmark",
    "Europe/Dublin": "ireland",
    "Europe/Helsinki": "finland",
    "Europe/Kyiv": "ukraine",
    "Europe/Lisbon": "porto",
    "Europe/London": (
        "birmingham, edinburgh, england, glasgow, liverpool, manchester, scotland, uk, united kingdom, wales"
    ),
    "Europe/Madrid": "barcelona, seville, spain, valencia",
    "Europe/Moscow": "russia, saint petersburg, st petersburg",
    "Europe/Oslo": "norway",
    "Europe/Paris": "bordeaux, france, lyon, marseille, nice, toulouse",
    "Europe/Prague": "czech republic, czechia",
    "Europe/Rome": "bologna, florence, italy, milan, milano, naples, palermo, roma, turin, venice",
    "Europe/Stockholm": "gothenburg, sweden",
    "Europe/Vienna": "austria, salzburg",
    "Europe/Warsaw": "krakow",
    "Europe/Zurich": "basel, bern, geneva, geneve, lausanne, switzerland",
    "Pacific/Auckland": "new zealand, wellington",
    "Pacific/Honolulu": "hawaii",
}
"""Important places that are no zone names, by the zone whose time they keep."""


class Time(AIPluginBase):
    """Tells the time in any zone, and injects what time it is here."""

    @action(
        effect="read",
        permission="anyone",
        command="time",
        phrases=[
            "what time is it",
            "what time is it in {place}",
            "what is the time",
            "what is the time in {place}",
            "what is the current time in {place}",
            "what day is it",
            "what day is it in {place}",
            "what is the date",
            "what is today's date",
            "time in {place}",
            "time",
        ],
    )
    def get_time(
        self,
        place: Annotated[
            str | None,
            Field(
                min_length=1,
                max_length=100,
                description="a city, a country, an IANA zone or UTC+2",
            ),
        ] = None,
    ) -> str:
        """Tell the date and time, here or at a place."""
        # Synchronous on purpose: the first look-up reads the zone database, which belongs in a worker thread.
        if place is None:
            return f"It is {self._now(ZoneInfo(self.context.timezone), self.context.timezone)}."
        zone, name = find_zone(place)
        return f"In {place} it is {self._now(zone, name)}."

    @hook("gather_context")
    async def tell_now(self, turn: TurnContext) -> str:
        """Return the date and time here, to the minute."""
        return f"Now: {self._now(ZoneInfo(self.context.timezone), self.context.timezone)}"

    def _now(self, zone: tzinfo, name: str) -> str:
        now = datetime.fromtimestamp(self.context.clock.now_ms() / 1000, UTC).astimezone(zone)
        return f"{WEEKDAYS[now.weekday()]} {now:%Y-%m-%d %H:%M} ({_with_offset(name, now)})"


def find_zone(place: str) -> tuple[tzinfo, str]:
    """Return the zone of a city, country, IANA name or UTC offset, and its name; raises ActionFailed.

    Of "Paris, France" the whole is looked for first, then the part before the comma.
    """
    offset = _OFFSET.fullmatch(place.strip())
    if offset:
        return _fixed_offset(offset)
    zones = zones_by_name()
    for candidate in (place, place.partition(",")[0]):
        name = zones.get(_plain(candidate))
        if name is not None:
            return ZoneInfo(name), name
    near = [known.title() for known in difflib.get_close_matches(_plain(place), zones, n=3, cutoff=0.75)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "Try a larger city nearby, or an IANA zone name."
    raise ActionFailed(f"No place or time zone named {place!r} is known here. {hint}")


@cache
def zones_by_name() -> dict[str, str]:
    """Return every place and zone that can be named, in plain lower case, with its IANA zone; reads the disk once."""
    zones: dict[str, str] = {}
    names = sorted(available_timezones() - {"Factory", "localtime"})
    # Where a last part stands for several zones, the ones that name a continent come first.
    for name in sorted(names, key=lambda name: name.startswith(("Etc/", "US/", "Canada/", "Mexico/", "Brazil/"))):
        zones.setdefault(_plain(name.rpartition("/")[2]), name)
    for zone, places in ZONES_BY_PLACE.items():
        zones.update((_plain(place), zone) for place in places.split(", "))
    zones.update((_plain(name), name) for name in names)
    return zones


def _plain(text: str) -> str:
    """Lower case without accents, dots and a leading "the"; underscores and runs of spaces are one space."""
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(letters.casefold().replace("_", " ").replace(".", "").split()).removeprefix("the ")


def _fixed_offset(match: re.Match[str]) -> tuple[tzinfo, str]:
    sign, hours, minutes = match.groups()
    total = int(hours) * 60 + int(minutes or 0)
    if total > MAX_OFFSET_MINUTES:
        raise ActionFailed(f"No place on earth keeps {match[0].strip()}: offsets end at UTC+14 and UTC-12.")
    zone = timezone(timedelta(minutes=total if sign == "+" else -total))
    return zone, ""


def _with_offset(name: str, now: datetime) -> str:
    """Return such as "Europe/Rome, UTC+01:00"; the offset alone for a zone without a name."""
    offset = f"UTC{now:%z}"
    offset = f"{offset[:-2]}:{offset[-2:]}"
    return f"{name}, {offset}" if name else offset


PLUGIN_CLASS = Time
