"""What a plugin's process asks of Rekku by name, with what it gives read with distrust."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.contracts.actions import ActionSpec, Untrusted
from core.contracts.errors import RekkuError
from core.contracts.inputs import Address, Principal
from core.contracts.services import PluginContext
from core.isolation.acting import Acting

_ASKED = frozenset(("instructions", "principal", "engine", "model", "temperature", "max_output_tokens", "timeout_s"))


class Requests:
    """What one plugin's processes may ask, each in the context of the call of ours inside of which it is asked.

    tell: tells the process. redeclare: takes over other actions.
    """

    def __init__(
        self,
        acting: Acting,
        tell: Callable[..., None],
        redeclare: Callable[[list[ActionSpec]], Awaitable[None]],
    ) -> None:
        self._acting = acting
        self._tell = tell
        self._redeclare = redeclare

    async def serve(self, context: PluginContext, name: str, args: list[Any]) -> Any:
        """Return the answer; raises what the service raises, and RekkuError for what is nothing to ask."""
        match name, args:
            case "events.emit", [str() as event, data, (int() | float()) as timeout_s]:
                return await context.events.emit(event, data, timeout_s=timeout_s)
            case "events.request", [str() as event, data, (int() | float()) as timeout_s]:
                return await context.events.request(event, data, timeout_s=timeout_s)
            case "events.gather", [str() as event, data, (int() | float()) as timeout_s]:
                return await context.events.gather(event, data, timeout_s=timeout_s)
            case "call_plugin", [str() as plugin, str() as action, payload]:
                return await self._telling_taint(self._acting.call(context, plugin, action, payload))
            case "engines.ask", [messages, dict() as asked] if asked.keys() == _ASKED:
                return await self._telling_taint(context.engines.ask(messages, **asked))
            case "messages.show", [Address() as address, text, (int() | float()) as ttl_s]:
                return await context.messages.show(address, text, ttl_s=ttl_s)
            case "messages.note", [Address() as address, (str() | Untrusted()) as text]:
                return await context.messages.note(address, text)
            case "actions_changed", [list() as specs] if all(isinstance(one, ActionSpec) for one in specs):
                return await self._redeclare(specs)
        return await _stored(context, name, args)

    async def _telling_taint(self, asking: Awaitable[Any]) -> Any:
        """Let the process know, before it has the answer, that its action has seen text from outside by it."""
        number = self._acting.now()
        try:
            return await asking
        finally:
            if self._acting.tainted(number):
                self._tell("tainted", number)


async def _stored(context: PluginContext, name: str, args: list[Any]) -> Any:
    match name, args:
        case "kv.get", [str() as key, default]:
            return await context.kv.get(key, default)
        case "kv.set", [str() as key, value]:
            return await context.kv.set(key, value)
        case "kv.delete", [str() as key]:
            return await context.kv.delete(key)
        case "schedule.zone", [Principal() as who]:
            return await context.schedule.zone(who)
        case "schedule.reminders", [Principal() as who, bool() as active_only]:
            return await context.schedule.reminders(who, active_only=active_only)
        case "schedule.count", [Principal() as who]:
            return await context.schedule.count(who)
        case "schedule.find", [Principal() as who, int() as number]:
            return await context.schedule.find(who, number)
    raise RekkuError(f"{name} is nothing that a plugin's process may ask for.")
