"""The periodic jobs of the core, which the process with the scheduler's duty runs."""

from __future__ import annotations

from core.services.periodic import Job
from core.services.scheduled_backup import ScheduledBackup
from core.settings import Settings
from core.turn.environment import TurnEnvironment
from core.turn.housekeeping import keep_house

HOUSEKEEPING_S = 30.0


def core_jobs(env: TurnEnvironment, settings: Settings) -> list[Job]:
    """Return the jobs of a started app."""
    house = Job(name="housekeeping", run=lambda: keep_house(env), seconds=HOUSEKEEPING_S, at_once=True)
    return [house, *ScheduledBackup(settings, env.clock, env.masker).jobs()]
