"""The zone that somebody names, and what is said where nobody has named one. Pure."""

from __future__ import annotations

from zoneinfo import available_timezones

from core.contracts.errors import ActionFailed
from core.contracts.reminders import Intent


def known_zone(name: str) -> str:
    """Return the IANA zone of that name, however it is spelled; raises ActionFailed."""
    spelled = name.strip().replace(" ", "_").lower()
    for zone in available_timezones():
        if zone.lower() == spelled:
            return zone
    raise ActionFailed(f"{name!r} is no IANA time zone.", cure="Use one like Europe/Rome or America/New_York.")


def zone_note(intent: Intent, chosen: bool) -> str:
    """Return a sentence about the installation's zone where a wall-clock time was read in it; "" else."""
    if chosen or intent.elapsed:
        return ""
    return (
        f" That is the time of {intent.zone}, the zone of this installation. Should you live by another, "
        "/timezone sets yours."
    )
