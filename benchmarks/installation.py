"""A Rekku to be measured: all default plugins, the openai engine, and SQLite in a directory on a real disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.bare_calls import MODEL
from benchmarks.chats import Chats
from core.app import App
from core.settings import ComponentTable, Settings
from core.storage.opening import StoredDatabase


def settings_of(home: Path, base_url: str, *, mode: str = "json_schema", **more: Any) -> Settings:
    """Return the settings. mode: how the model is held to the format, see `[engines.openai]`."""
    return Settings(
        home=home,
        engine=("openai",),
        openai_base_url=base_url,
        openai_model=MODEL,
        timezone="UTC",
        components={"engines": {"openai": ComponentTable(values={"mode": mode})}},
        **more,
    )


def installation(
    home: Path,
    base_url: str,
    chats: Chats,
    *,
    mode: str = "json_schema",
    database: StoredDatabase | None = None,
    plugins: Iterable[object] = (),
) -> App:
    """Return an app that is not started, with an interface that has no platform."""
    return App(
        settings_of(home, base_url, mode=mode), interfaces=[chats], plugins=plugins, serve=(), database=database
    )
