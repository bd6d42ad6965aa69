"""The record of one component, and the states that it can be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.contracts.slots import CommandGroup
from core.registry.catalogue import CatalogueEntry
from core.registry.discovery import Found
from core.services.event_handlers import HandlerBinding
from core.services.hooks import HookBinding
from core.services.strategies import StrategyBinding

OWN = "core"
"""The source of the plugins that belong to the core; they cannot be left out."""


class ComponentState(StrEnum):
    """Where a component stands. Only one that is ACTIVE is called.

    FOUND: loaded, not started. DEGRADED: its health check failed; it is stopped and started again until it is well.
    QUARANTINED: it did harm; it stays out until somebody enables it.
    """

    FOUND = "found"
    DISABLED = "disabled"
    FAILED = "failed"
    ACTIVE = "active"
    DEGRADED = "degraded"
    QUARANTINED = "quarantined"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Held:
    """Why a plugin is not to be loaded: DISABLED or QUARANTINED, and a sentence."""

    state: ComponentState
    reason: str


class Stage(StrEnum):
    """At which step a component failed."""

    IMPORT = "import"
    DECLARATION = "declaration"
    CONFIGURATION = "configuration"
    REQUIREMENT = "requirement"
    START = "start"


@dataclass(slots=True, kw_only=True, eq=False)
class Component:
    """The record of one component; the registry alone changes it.

    source: where it was found; folder: its files are below this. reason, stage: why and where it failed.
    since_ms: when it came into its state, UTC milliseconds. found: how it is loaded again. waits_for: the plugin
    with which it was stopped and with which it comes back, or "".
    instance: what was constructed; None unless it was loaded. config, requires, entries, hooks, strategies, handlers,
    groups: what it declared. guards: it has a guard (`before_action`), also when it works no more.
    """

    kind: str
    name: str
    source: str
    state: ComponentState = ComponentState.FOUND
    reason: str = ""
    stage: Stage | None = None
    since_ms: int = 0
    folder: Path | None = None
    found: Found | None = None
    waits_for: str = ""
    instance: Any = None
    config: Any = None
    guards: bool = False
    requires: tuple[str, ...] = ()
    entries: list[CatalogueEntry] = field(default_factory=list)
    hooks: list[HookBinding] = field(default_factory=list)
    handlers: list[HandlerBinding] = field(default_factory=list)
    strategies: list[StrategyBinding] = field(default_factory=list)
    groups: tuple[CommandGroup, ...] = ()

    def failed(self, stage: Stage, reason: str) -> None:
        """Note that it does not work: nothing of what it declared is left."""
        self.state, self.stage, self.reason = ComponentState.FAILED, stage, reason
        self.instance = self.config = None
        self.entries, self.hooks, self.strategies, self.handlers = [], [], [], []
        self.groups = ()
