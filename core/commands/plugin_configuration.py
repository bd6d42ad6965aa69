"""`rekku plugins config`: what a plugin can be set to, what is in force and from where, without its secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from core.app import App
from core.commands.exit_status import FAILED, CommandFailed
from core.commands.loaded import loaded_app
from core.commands.startup import settings_for
from core.commands.table import table
from core.commands.terminal_text import complain, say, say_json
from core.near_names import suggestion
from core.registry.configuration import read_config
from core.registry.loading import Loading
from core.registry.reasons import reason_of
from core.registry.shown_configuration import shown_keys
from core.settings.secrets import looks_secret

if TYPE_CHECKING:
    from core.registry.component import Component


def show_configuration(name: str, *, as_json: bool) -> int:
    """Print a plugin's configuration; the status is 1 when it cannot be used as it is."""
    app = loaded_app(settings_for(), with_wishes=False)
    component = app.registry.get("plugin", name)
    if component is None or component.found is None:
        known = [c.name for c in app.registry.components("plugin")]
        raise CommandFailed(f"There is no plugin {name}. {suggestion(name, known)}".strip())
    settings_table = app.settings.component("plugins", name)
    model, config, error = _read(app, component)
    origins = app.settings.origins("plugins", name)
    rows = [] if model is None else list(shown_keys(model, config, origins, looks_secret))
    error = app.masker.text(error)
    shown: Any = {
        "plugin": name,
        "enabled": settings_table.enabled,
        "priority": settings_table.priority,
        "error": error,
        "keys": [app.masker.value(row.as_json()) for row in rows],
    }
    if as_json:
        say_json(shown)
        return FAILED if error else 0
    if rows:
        headings = ("KEY", "VALUE", "FROM", "TYPE", "DEFAULT", "CONSTRAINT", "DESCRIPTION")
        cells = [
            (
                row["key"],
                "-" if config is None else _cell(row["value"]),
                row["origin"],
                row["type"],
                "required" if row["required"] else _cell(row["default"]),
                row["constraint"],
                row["description"],
            )
            for row in shown["keys"]
        ]
        say(table(headings, cells))
    elif not error:
        say(f"{name} has no settings of its own.")
    if not settings_table.enabled:
        say(f"{name} is disabled in rekku.toml.")
    if error:
        complain(f"{name} cannot be used like this: {error}")
    return FAILED if error else 0


def _read(app: App, component: Component) -> tuple[type[BaseModel] | None, BaseModel | None, str]:
    """Return the plugin's `Config`, what is in force, and what is wrong; also of one that is disabled or broken."""
    found, settings_table = component.found, app.settings.component("plugins", component.name)
    assert found is not None
    instance = component.instance
    if instance is None:
        forced = replace(settings_table, enabled=True, values={}, error="")
        loading = Loading(found=found, config_for=lambda kind, name: forced)
        try:
            loading.run()
        except Exception as error:  # noqa: BLE001 - foreign code; what it raises is what there is to tell
            if loading.instance is None:
                return None, None, reason_of(error, found.folder)
        instance = loading.instance
    model = getattr(instance, "Config", None)
    usable = model if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields else None
    try:
        return usable, read_config("plugin", component.name, instance, settings_table), ""
    except Exception as error:  # noqa: BLE001 - validators of foreign code may raise anything
        return usable, None, reason_of(error, found.folder)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
