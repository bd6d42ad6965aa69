"""What a plugin in a process of its own declares, as Rekku is told of it."""

from __future__ import annotations

from core.contracts.json import JsonObject
from core.event_conditions import condition_as_data
from core.isolation.peer import VERSION
from core.registry.configuration import secrets_of
from core.registry.discovery import PACKAGES
from core.registry.loading import Loading
from core.services.periodic import jobs_of


def declarations_of(loading: Loading) -> JsonObject:
    """Return what was loaded as plain data; functions are known by their places in it."""
    config = loading.config
    return {
        "specs": [entry.spec for entry in loading.entries],
        "hooks": [[b.hook, b.method, b.priority, b.injects] for b in loading.hooks],
        "handlers": [
            [b.pattern, b.method, condition_as_data(b.when), b.stage.value, b.priority, b.timeout_s]
            for b in loading.handlers
        ],
        "strategies": [[b.name, b.method, b.timeout_s] for b in loading.strategies],
        "jobs": [[j.name, j.seconds, j.cron, j.skip_late, j.timeout_s] for j in jobs_of(loading.instance)],
        "requires": list(loading.requires),
        "secrets": [list(one) for one in secrets_of(config, f"{PACKAGES['plugin']}.{loading.name}")],
        "config_schema": None if config is None else type(config).model_json_schema(),
        "version": VERSION,
    }
