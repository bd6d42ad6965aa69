"""Objects that plugins offer each other by name, withdrawn with the plugin that offered them."""

from __future__ import annotations

from typing import Any, Protocol, cast

from core.ai_plugin_base import current_action
from core.contracts.errors import ActionFailed, DeclarationError, ServiceMissing
from core.contracts.json import Json, JsonObject
from core.near_names import suggestion


class _CallingAction(Protocol):
    async def call_action(self, caller: str, plugin: str, action: str, payload: JsonObject) -> Json: ...


class SharedServices:
    """All services of one app."""

    def __init__(self) -> None:
        self._offered: dict[str, tuple[str, object]] = {}
        self._views: dict[str, ServicesOfPlugin] = {}

    def view(self, plugin: str) -> ServicesOfPlugin:
        """Return what one plugin gets as `self.context.services` for one start of it."""
        view = self._views[plugin] = ServicesOfPlugin(self, plugin)
        return view

    def provide(self, plugin: str, name: str, service: object) -> None:
        """Offer `service` in the name of `plugin`; raises DeclarationError if another one offers that name."""
        owner = self._offered.get(name, (plugin, None))[0]
        if owner != plugin:
            raise DeclarationError(
                f"{plugin} provides the service {name}, which {owner} already provides.",
                cure="Give it another name, or disable one of the two.",
            )
        self._offered[name] = (plugin, service)

    def require(self, plugin: str, name: str) -> Any:
        """Return a service; raises ServiceMissing."""
        if name not in self._offered:
            cure = f'Name the plugin that provides it in requires = ("…",). {suggestion(name, self._offered)}'
            raise ServiceMissing(f"{plugin} asks for the service {name}, which nobody provides.", cure=cure.strip())
        return self._offered[name][1]

    def withdraw(self, plugin: str) -> None:
        """Take back everything that a plugin offered; what still runs of it can offer nothing more."""
        if plugin in self._views:
            self._views.pop(plugin).closed = True
        self._offered = {name: offer for name, offer in self._offered.items() if offer[0] != plugin}


class ServicesOfPlugin:
    """The `Services` of one plugin."""

    def __init__(self, shared: SharedServices, plugin: str) -> None:
        self._shared, self._plugin = shared, plugin
        self.closed = False

    def provide(self, name: str, service: object) -> None:
        """Offer `service` until this plugin stops; raises DeclarationError if another plugin offers that name."""
        if self.closed:
            raise DeclarationError(f"{self._plugin} has been stopped: it can provide {name} no more.")
        self._shared.provide(self._plugin, name, service)

    def require(self, name: str) -> Any:
        """Return what a plugin offers; raises ServiceMissing."""
        return self._shared.require(self._plugin, name)

    async def call_plugin(self, name: str, action: str, payload: JsonObject) -> Json:
        """Run an action of another plugin inside of the one that is running; raises ActionFailed."""
        running = current_action.get(None)
        if not hasattr(running, "call_action"):
            raise ActionFailed(
                f"{self._plugin} calls {name}.{action} outside of an action: there is nobody on whose behalf.",
                cure="Call it in the handler of an action.",
            )
        return await cast(_CallingAction, running).call_action(self._plugin, name, action, payload)
