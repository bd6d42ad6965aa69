"""A plugin with the settings that it has here: what `plugins check`, which starts it without any, cannot see."""

from __future__ import annotations

from pathlib import Path

from core.commands.check import FAILED, OK, WARNING, Check
from core.commands.examination import Known, loaded_in_memory
from core.commands.plugin_examination import plugin_asked
from core.conformance.findings import Finding, Findings
from core.registry.component import ComponentState
from core.services.mask import Masker
from core.settings import Settings

CHECK = "configured"


async def configured_check(settings: Settings, masker: Masker, path: Path) -> list[Finding]:
    """Return what is found of the plugin at `path` with its table of rekku.toml; nothing where it has none."""
    found = Findings()
    async with loaded_in_memory(settings, masker, Known(), lambda one: one.source == str(path)) as app:
        component = next((c for c in app.registry.components("plugin") if c.source == str(path)), None)
        if component is None or not settings.component("plugins", component.name).values:
            return []
        table = f"With [plugins.{component.name}] of rekku.toml"
        if component.state is ComponentState.FAILED:
            found.fail(CHECK, masker.text(f"{table} it does not load: {component.reason}"))
            return found.all
        check = await plugin_asked(app, Check(area="plugin", name=component.name, state=OK, detail="it loads"))
        check = check.masked(masker.text)
    if check.state == FAILED:
        found.fail(CHECK, f"{table}: {check.detail}", check.cure)
    elif check.state == WARNING:
        found.warn(CHECK, f"{table}: {check.detail}", check.cure)
    else:
        found.ok(
            CHECK, f"{table}: {check.detail}. Nothing outside was asked: whether it answers is not known by this."
        )
    return found.all
