"""The tables of single components, whose mistakes concern these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.contracts.json import Json, JsonObject
from core.settings.expansion import Expansion
from core.settings.problems import did_you_mean
from core.settings.secrets import SHORTEST_SECRET, secret_values

ISOLATIONS = ("process", "none")
LEAST_MEMORY_MB = 128
COMPONENT_KINDS = ("plugins", "interfaces", "engines")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentTable:
    """One `[plugins.NAME]`, `[interfaces.NAME]` or `[engines.NAME]`.

    values: its own keys, expanded, to be checked against its `Config`. error: why the table cannot be used, which
    concerns that component alone; "" when it can. enabled: `enabled`. priority: `priority`, where the hooks of a
    plugin stand among those of others (lower first); None leaves it to the plugin. events: `events` of a plugin, by
    the pattern or the method of a handler: what holds in place of what the plugin says, checked as it is loaded.
    origins: where each of the values came from, by key: "rekku.toml", or which variables were put in there.
    isolation: "process" or "none", whether a plugin runs in a process of its own; None leaves it to the plugin.
    process_memory_mb (MiB) and process_cpu_s (seconds in any minute) are what that process may use; None: the
    defaults.
    """

    values: JsonObject = field(default_factory=dict, repr=False)
    error: str = ""
    enabled: bool = True
    priority: int | None = None
    events: JsonObject = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    isolation: str | None = None
    process_memory_mb: int | None = None
    process_cpu_s: float | None = None


def read_component(place: str, table: Json, expansion: Expansion) -> ComponentTable:
    """Read one component's table; what is wrong with it becomes its `error`."""
    if not isinstance(table, dict):
        return ComponentTable(error=f"[{place}]: must be a table.")
    try:
        values: JsonObject = expansion.value(table)
    except ValueError as error:
        return ComponentTable(error=f"[{place}]: {error}", enabled=table.get("enabled") is not False)
    errors = [
        f"{name}: a secret of {len(value)} characters is too short; it needs {SHORTEST_SECRET} at least."
        for name, value in secret_values(place, values)
        if len(value) < SHORTEST_SECRET
    ]
    enabled = values.pop("enabled", True)
    if not isinstance(enabled, bool):
        errors.append(f"[{place}]: enabled must be true or false, without quotes.")
        enabled = True
    priority = values.pop("priority", None)
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int)):
        errors.append(f"[{place}]: priority must be a whole number, without quotes.")
        priority = None
    events = values.pop("events", {}) if place.startswith("plugins.") else {}
    if not isinstance(events, dict) or not all(isinstance(one, dict) for one in events.values()):
        errors.append(f'[{place}.events]: must hold tables, as "conversation.*" = {{priority = 50}}.')
        events = {}
    isolation = _isolation(place, values, errors) if place.startswith("plugins.") else {}
    origins = {key: _origin(expansion.variables_in(table[key])) for key in values}
    return ComponentTable(
        values=values,
        error=" ".join(errors),
        enabled=enabled,
        priority=priority,
        events=events,
        origins=origins,
        **isolation,
    )


def _origin(variables: list[str]) -> str:
    return f"rekku.toml, with {', '.join(variables)}" if variables else "rekku.toml"


def _isolation(place: str, values: JsonObject, errors: list[str]) -> JsonObject:
    """Take what is said of a plugin's own process out of the table; what is wrong with it is added to `errors`."""
    isolation = values.pop("isolation", None)
    if isolation is not None and isolation not in ISOLATIONS:
        cure = did_you_mean(str(isolation), ISOLATIONS) or f"Write one of {', '.join(ISOLATIONS)}."
        errors.append(f"[{place}]: isolation cannot be {isolation!r}. {cure}")
        isolation = None
    found: JsonObject = {"isolation": isolation}
    for key, least, kinds in (("process_memory_mb", LEAST_MEMORY_MB, int), ("process_cpu_s", 1, (int, float))):
        value = values.pop(key, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not value >= least):
            errors.append(f"[{place}]: {key} must be a number from {least} up, without quotes.")
            value = None
        found[key] = value
    return found
