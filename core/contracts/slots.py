"""Slots: places of Rekku that plugins can fill, each with a form of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from core.contracts.actions import Permission, Untrusted
from core.contracts.deliveries import Health
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSegment:
    """A line for `/status`. text: makes it, with or without async, within 2 seconds; "" for nothing to say."""

    text: Callable[[], str | Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """What `@name` in somebody's words stands for.

    name: without the @: letters, digits, - and _. description: for `/help`. resolve: called with the turn and the
    name; what it returns goes with the message to the model, None is nothing. Text from outside is `Untrusted`.
    permission: who may use it; of anybody else it is words like any other.
    """

    name: str
    description: str
    resolve: Callable[[TurnContext, str], str | Untrusted | Awaitable[str | Untrusted | None] | None]
    permission: Permission = Permission.USER

    def is_for(self, role: Role) -> bool:
        """Whether somebody of this role may use it."""
        return role.rank >= Permission(self.permission).least_role.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A check of its own that a plugin adds to `/readyz`. name: a-z, 0-9 and _.

    check: tells how it is, with or without async, within 10 seconds; its answer stands for half a minute.
    critical: while it is not ok, Rekku is not ready.
    """

    name: str
    check: Callable[[], Health | Awaitable[Health]]
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A number at /metrics, as `rekku_plugin_PLUGIN_NAME`. read: tells it, with or without async, within a second."""

    name: str
    description: str
    read: Callable[[], float | Awaitable[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRenderer:
    """How a fenced block of a message is shown: one that begins with ```` ```NAME ````.

    name: the word after the fence: a-z, 0-9 and _. render: called with the turn and what stands in the block, with or
    without async, within 5 seconds; what it returns, CommonMark of 32,768 characters at most, is sent in place of the
    block; None leaves it as it is. interfaces: the names of those where it is done; none are all.
    """

    name: str
    render: Callable[[TurnContext, str], str | Awaitable[str | None] | None]
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGroup:
    """Commands of a plugin's own, `rekku NAME …`, which `AIPluginBase.command_groups` returns.

    name: a-z, 0-9 and -. description: one line. run: a function, functions by the word that follows the name, or a
    `typer.Typer`. A function is given what was typed, by its parameters, as typer reads them; it may be written with
    `async`. An int that it returns is the exit status.
    """

    name: str
    description: str
    run: Callable[..., object] | Mapping[str, Callable[..., object]]


SlotSpec: TypeAlias = StatusSegment | Mention | HealthCheck | Gauge | MessageRenderer

SLOTS: Mapping[str, type] = {
    "status": StatusSegment,
    "mentions": Mention,
    "health": HealthCheck,
    "metrics": Gauge,
    "renderers": MessageRenderer,
}
"""Every slot that `contribute` fills, and the form of what fills it."""
