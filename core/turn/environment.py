"""What a turn works with: handed from the composition root to every module of the path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from core.contracts.deliveries import Activity
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Role
from core.contracts.policy import Rule
from core.contracts.prompts import Budget, CatalogueBudget
from core.contracts.services import Clock, Database
from core.registry.catalogue import CatalogueEntry as Entry
from core.registry.catalogue import Generation
from core.registry.component import Component
from core.registry.missing_guards import missing_guards
from core.services.budgets import RoleBudget
from core.services.engines import Engines
from core.services.events import EventBus
from core.services.figures import Figures
from core.services.foreign import ForeignCalls
from core.services.hooks import HookRunner
from core.services.mask import Masker
from core.services.observers import Observers
from core.services.people import People
from core.services.plugin_checks import PluginChecks
from core.services.retention import Retention
from core.services.schedule import StoredSchedule
from core.services.slots import Slots
from core.services.strategies import Strategies
from core.services.tokens import TokenEstimate
from core.turn.close_session import ClosedSessions
from core.turn.outgoing import Outgoing
from core.turn.rehearse import Rehearsal

__all__ = ["Entry", "Generation", "Limits", "TurnEnvironment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a turn. engine_deadline_s: for one step, retries, corrections and fallbacks included."""

    corrector_retries: int = 2
    engine_deadline_s: float = 120.0
    max_steps: int = 8
    most_resumes: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnvironment:
    """The services of a turn.

    owner: this process's name on leases. reached: called with the label of each point of the path that is passed,
    so that tests can stop the process there. show: shows an ephemeral sign of life. figures: what is counted.
    rehearsal: what external actions are answered with where nothing outside may be touched.
    events: takes in what is told of the turn. closed_sessions: conversations that are told of once they have ended.
    slots: what plugins have filled. checks: those that they add to our health. plugins: all, with their states.
    """

    owner: str
    database: Database
    clock: Clock
    foreign: ForeignCalls
    hooks: HookRunner
    strategies: Strategies
    generation: Callable[[], Generation]
    engines: Engines
    rules: tuple[Rule, ...]
    people: People
    masker: Masker
    outgoing: Outgoing
    tokens: TokenEstimate
    budget_tokens: Budget
    catalogue: CatalogueBudget
    limits: Limits
    budgets: Mapping[Role, RoleBudget]
    show: Callable[[Activity], Awaitable[None]]
    wake_outbox: Callable[[list[tuple[int, str]]], None]
    retention: Retention
    schedule: StoredSchedule
    wake_schedule: Callable[[], None]
    summarize: Callable[[TurnContext], None]
    observers: Observers
    reached: Callable[[str], None]
    figures: Figures
    events: EventBus
    slots: Slots
    checks: PluginChecks
    closed_sessions: ClosedSessions
    plugins: Callable[[], Sequence[Component]]
    rehearsal: Rehearsal | None = None

    def missing_guards(self, plugin: str) -> Sequence[tuple[str, str]]:
        """Return those that are to check the actions of a plugin and are out of use, and why."""
        return missing_guards(self.plugins(), plugin)

    def committed(self, rows: list[tuple[int, str]]) -> None:
        """Tell those who wait for what a transaction has written: the outbox, reminders, ends of conversations."""
        self.wake_outbox(rows)
        self.closed_sessions.committed()
        if self.schedule.touched:
            self.schedule.touched = False
            self.wake_schedule()
