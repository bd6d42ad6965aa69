"""A Rekku to be measured: all default plugins, the openai engine, and SQLite in a directory on a real disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bare_calls import MODEL
from benchmarks.chats import Chats
from core.app import App
from core.settings import ComponentTable, Settings


def installation(home: Path, base_url: str, chats: Chats, *, mode: str = "json_schema") -> App:
    """Return an app that is not started. mode: how the model is held to the format, see `[engines.openai]`."""
    settings = Settings(
        home=home,
        engine=("openai",),
        openai_base_url=base_url,
        openai_model=MODEL,
        timezone="UTC",
        components={"engines": {"openai": ComponentTable(values={"mode": mode})}},
    )
    return App(settings, interfaces=[chats], serve=())
