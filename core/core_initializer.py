"""The registration facade: what a component calls to make itself known to the app that is loading it.

Outside a loading app (a unit test that constructs a plugin) every call is harmless.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class RegistrationScope(Protocol):
    """What the registry sets while it loads a module: where registrations of that module go."""

    def register(self, kind: str, name: str, instance: object | None) -> None:
        """Note a registration; `kind` is "plugin", "interface" or "engine"."""


current_scope: ContextVar[RegistrationScope | None] = ContextVar("rekku_registration_scope", default=None)


def _register(kind: str, name: str, instance: object | None) -> None:
    scope = current_scope.get()
    if scope is not None:
        scope.register(kind, name, instance)


def register_plugin(name: str, instance: object) -> None:
    """Register `instance` under `name` instead of its module's name."""
    _register("plugin", name, instance)


def register_interface(name: str, instance: object) -> None:
    """Register an interface under `name` instead of its module's name."""
    _register("interface", name, instance)


def register_engine(name: str, instance: object) -> None:
    """Register an engine under `name` instead of its module's name."""
    _register("engine", name, instance)


class CoreInitializer:
    """Tells the loading app that a component of this name is there; optional and idempotent."""

    def register_plugin(self, name: str) -> None:
        """Announce a plugin by name."""
        _register("plugin", name, None)

    def register_interface(self, name: str) -> None:
        """Announce an interface by name."""
        _register("interface", name, None)

    def register_engine(self, name: str) -> None:
        """Announce an engine by name."""
        _register("engine", name, None)


core_initializer = CoreInitializer()
