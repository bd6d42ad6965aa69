"""Time: places, zones and offsets, and the line of context."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.contracts.errors import ActionFailed
from plugins.time import ZONES_BY_PLACE, Time, find_zone, zones_by_name
from tests.support.plugin_context import FakePluginContext, equip, turn


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("Europe/Berlin", "Friday 2026-11-20 18:37 (Europe/Berlin, UTC+01:00)"),
        ("asia/tokyo", "Saturday 2026-11-21 02:37 (Asia/Tokyo, UTC+09:00)"),
        ("UTC", "Friday 2026-11-20 17:37 (UTC, UTC+00:00)"),
        ("UTC+2", "Friday 2026-11-20 19:37 (UTC+02:00)"),
        ("gmt -3:30", "Friday 2026-11-20 14:07 (UTC-03:30)"),
        ("+0545", "Friday 2026-11-20 23:22 (UTC+05:45)"),
        ("New York", "Friday 2026-11-20 12:37 (America/New_York, UTC-05:00)"),
    ],
)
async def test_zones_cities_and_offsets_are_told(place: str, told: str) -> None:
    assert await equip(Time()).handle_custom_action("get_time", {"place": place}) == f"In {place} it is {told}."


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("são paulo", "America/Sao_Paulo"),
        ("San Francisco", "America/Los_Angeles"),
        ("SEATTLE", "America/Los_Angeles"),
        ("Washington, D.C.", "America/New_York"),
        ("Washington D.C.", "America/New_York"),
        ("Boston", "America/New_York"),
        ("California", "America/Los_Angeles"),
        ("Beijing", "Asia/Shanghai"),
        ("China", "Asia/Shanghai"),
        ("New Delhi", "Asia/Kolkata"),
        ("India", "Asia/Kolkata"),
        ("Munich", "Europe/Berlin"),
        ("München", "Europe/Berlin"),
        ("Germany", "Europe/Berlin"),
        ("Milan", "Europe/Rome"),
        ("Italy", "Europe/Rome"),
        ("Genève", "Europe/Zurich"),
        ("Zürich", "Europe/Zurich"),
        ("Paris, France", "Europe/Paris"),
        ("Spain", "Europe/Madrid"),
        ("the UK", "Europe/London"),
        ("U.K.", "Europe/London"),
        ("Japan", "Japan"),
        ("New Zealand", "Pacific/Auckland"),
        ("Buenos Aires", "America/Argentina/Buenos_Aires"),
        ("CET", "CET"),
    ],
)
def test_places_have_their_zone(place: str, zone: str) -> None:
    assert find_zone(place)[1] == zone


def test_every_alias_leads_to_a_zone_that_exists() -> None:
    known = zones_by_name()
    assert len(known) > 500
    for zone, places in ZONES_BY_PLACE.items():
        for place in (zone, *places.split(", ")):
            find_zone(place)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ("Tokio", "Did you mean Tokyo"),
        ("Atlantis-on-Sea", "IANA"),
        ("UTC+15", "UTC+14"),
        ("  ", "IANA"),
        ("../etc", "IANA"),
    ],
)
async def test_an_unknown_place_fails_with_a_hint(place: str, hint: str) -> None:
    with pytest.raises(ActionFailed) as raised:
        await equip(Time()).handle_custom_action("get_time", {"place": place})
    assert hint in str(raised.value)


async def test_here_is_the_zone_of_the_installation() -> None:
    time = equip(Time(), FakePluginContext(timezone="Asia/Kolkata"))
    assert await time.handle_custom_action("get_time", {}) == (
        "It is Friday 2026-11-20 23:07 (Asia/Kolkata, UTC+05:30)."
    )


async def test_the_line_of_context_tells_now_to_the_minute() -> None:
    context = FakePluginContext()
    time = equip(Time(), context)
    assert await time.tell_now(turn()) == "Now: Friday 2026-11-20 18:37 (Europe/Rome, UTC+01:00)"
    context.clock.advance(minutes=0.5)
    assert await time.tell_now(turn()) == "Now: Friday 2026-11-20 18:37 (Europe/Rome, UTC+01:00)"
    context.clock.advance(minutes=0.5)
    assert await time.tell_now(turn()) == "Now: Friday 2026-11-20 18:38 (Europe/Rome, UTC+01:00)"


def test_the_module_of_the_standard_library_is_still_there() -> None:
    code = "import plugins.time, time; print(time.monotonic() > 0, plugins.time.PLUGIN_CLASS.__name__)"
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.split() == ["True", "Time"]
