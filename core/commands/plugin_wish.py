"""What the command line wants of a plugin: written into the database, where a running process finds it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from core.commands.exit_status import FAILED, CommandFailed
from core.commands.home_use import process_using
from core.commands.startup import mask_of, settings_for
from core.commands.stored import read_stored, stored_wishes, write_stored
from core.commands.terminal_text import complain, say
from core.near_names import suggestion
from core.registry.component import OWN
from core.services import plugin_wishes
from core.services.plugin_wishes import DISABLE, RELOAD, Wish

if TYPE_CHECKING:
    from core.settings import Settings

BY = "command line"
ANSWER_S = 20.0
BETWEEN_LOOKS_S = 0.3
_NEXT_START = {
    "enable": "The next start uses {name}.",
    "disable": "{name} is left out from the next start on, until it is enabled.",
}


def wish_for(what: str, name: str) -> int:
    """Write a wish (`enable`, `disable` or `reload`), wait for what a running process makes of it, and say so."""
    settings = settings_for()
    _refuse_unknown(settings, name)
    if what != DISABLE and not settings.component("plugins", name).enabled:
        raise CommandFailed(f"{name} is disabled in rekku.toml.", cure="Remove enabled = false there.")
    shared = settings.database_server is not None
    process = process_using(settings.home)
    if what == RELOAD and not process and not shared:
        if stored_wishes(settings).get(name, Wish()).disabled:
            raise CommandFailed(
                f"{name} is disabled, and no process runs.", cure=f"`rekku plugins enable {name}` enables it."
            )
        say(f"No process runs: the next start loads {name} anyway.")
        return 0
    now_ms = time.time_ns() // 1_000_000
    wish: Wish = write_stored(settings, lambda conn: plugin_wishes.ask(conn, name, what, BY, now_ms))
    if not process and not shared:
        say(_NEXT_START[what].format(name=name))
        return 0
    answered = _answer(settings, name, wish.asked)
    if answered is None:
        who = f"Process {process}" if process else "No process"
        say(f"{who} has not answered within {ANSWER_S:g} s; it takes this up as soon as it can.")
        return 0
    text = mask_of(settings).text(answered.answer)
    if answered.answered > wish.asked and answered.what != what:
        complain(f"Somebody has asked to {answered.what} {name} meanwhile: {text}")
        return FAILED
    if answered.ok:
        say(text)
        return 0
    complain(text)
    return FAILED


def _answer(settings: Settings, name: str, number: int) -> Wish | None:
    def read(conn: Any) -> dict[str, Any]:
        found = plugin_wishes.find(conn, name)
        return {"what": found.what, "answered": found.answered, "ok": found.ok, "answer": found.answer}

    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        time.sleep(BETWEEN_LOOKS_S)
        found = read_stored(settings, read)
        if found["answered"] >= number:
            return Wish(**found)
    return None


def _refuse_unknown(settings: Settings, name: str) -> None:
    """Raise CommandFailed for what is no plugin that can be changed; one that hangs need not be imported for that."""
    from core.app import App
    from core.commands.loaded import loaded_app

    app = App(settings)
    if name in {found.name for found in app.plugins.find()}:
        return
    plugins = loaded_app(settings, with_wishes=False).registry.components("plugin")
    if any(c.name == name and c.source == OWN for c in plugins):
        raise CommandFailed(f"{name} belongs to the core: it cannot be changed.")
    known = [c.name for c in plugins if c.source != OWN]
    if name not in known:
        raise CommandFailed(f"There is no plugin {name}. {suggestion(name, known)}".strip())
