"""The command about plugins: an ordinary action that the model does not see, for trainers alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.errors import ActionFailed
from core.registry.component import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginControls:
    """What the command works on.

    plugins: returns all of them. ask: has one enabled, disabled or reloaded, by whom; returns whether it is so now,
    and a sentence. timezone: in which times are told. mask: takes secrets out of a text.
    """

    plugins: Callable[[], list[Component]]
    ask: Callable[[str, str, str], Awaitable[tuple[bool, str]]]
    timezone: str
    mask: Callable[[str], str]


class PluginActions(AIPluginBase):
    """Which plugins there are, and taking them out of use and back."""

    def __init__(self, controls: PluginControls) -> None:
        self._controls = controls

    @action(
        name="core_plugins",
        effect="external",
        permission="trainer",
        command="plugins",
        model=False,
        passes_lanes=True,
        repeatable=True,
        timeout_s=120,
    )
    async def plugins(
        self,
        ctx: ActionContext,
        what: Annotated[
            str, Field(pattern="^(list|enable|disable|reload)$", description="list, enable, disable or reload.")
        ] = "list",
        name: Annotated[str, Field(description="The plugin.", max_length=63)] = "",
    ) -> str:
        """Show all plugins with state and reason, or enable, disable or reload one."""
        if what == "list":
            return "\n".join(self._line(component) for component in self._controls.plugins())
        if not name:
            raise ActionFailed(f"Which plugin? Write /plugins {what} NAME.")
        ok, text = await self._controls.ask(what, name, str(ctx.principal))
        if not ok:
            raise ActionFailed(self._controls.mask(text))
        return text

    def _line(self, component: Component) -> str:
        since = datetime.fromtimestamp(component.since_ms / 1000, ZoneInfo(self._controls.timezone))
        stage = f" ({component.stage})" if component.stage else ""
        reason = f": {self._controls.mask(component.reason)}" if component.reason else ""
        return f"- **{component.name}** {component.state}{stage} since {since:%Y-%m-%d %H:%M:%S}{reason}"
