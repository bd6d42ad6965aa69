"""What commands do first: read the settings, set up the log, and tell what will not work."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.commands.terminal_text import complain, on_one_line
from core.contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from core.app import App
    from core.services.mask import Masker
    from core.settings import Settings

LOG_FILE = "rekku.log"
LARGEST_LOG = 5 * 1024 * 1024
"""Bytes. A larger log becomes rekku.log.1 at the next start, in place of the one before."""

_LEVEL = "REKKU_LOG_LEVEL"
_TOLD = ("rekku.registry", "a component does not work")


def begin_starting() -> None:
    """Put garbage collection off: importing makes many objects that stay, and looking through them takes 50 ms."""
    gc.disable()


def end_starting() -> None:
    """Collect garbage again, without what the start has made: that stays, and a full collection is a pause."""
    gc.freeze()
    gc.enable()


def mask_of(settings: Settings) -> Masker:
    """Return what masks every secret of the settings."""
    from core.services.mask import Masker

    masker = Masker()
    for name, value in settings.secrets().items():
        masker.learn(name, value)
    return masker


def settings_for(engine: str | None = None) -> Settings:
    """Read the settings; `engine` stands for REKKU_ENGINE unless it is None. Raises ConfigurationError."""
    from core.settings import load_settings

    home = Path(os.environ.get("REKKU_HOME", "").strip() or "~/.rekku").expanduser()
    if home.exists() and not home.is_dir():  # or each file in it would be told to be unreadable
        raise ConfigurationError(
            f"REKKU_HOME: {home} is not a directory.",
            cure="Set REKKU_HOME to a directory that this user may write to.",
        )
    return load_settings({**os.environ, "REKKU_ENGINE": engine} if engine is not None else None)


@contextlib.contextmanager
def log_kept(settings: Settings, masker: Masker, *, quiet: str = "", path: Path | None = None) -> Iterator[None]:
    """Log to `path`, or to stderr when it is None.

    quiet: the level where REKKU_LOG_LEVEL is not set, for a command whose stderr is for its user: components that
    do not work are not logged then, since the command tells of them itself. Raises ConfigurationError when the file
    cannot be written.
    """
    from core.log import configure_log

    is_quiet = bool(quiet) and _LEVEL not in settings.sources
    processor = _without_told(masker) if is_quiet else masker.processor
    try:
        if path is not None:
            _set_aside(path)
        undo = configure_log(quiet if is_quiet else settings.log_level, settings.log_format, path, processor)
    except OSError as error:
        raise ConfigurationError(
            f"The log {path} cannot be written ({error.strerror}).", cure="Make it a file that this user may write."
        ) from error
    try:
        yield
    finally:
        undo()


def tell_failures(app: App) -> None:
    """Say on stderr which components do not work and which tables of rekku.toml are nobody's, a line each."""
    tell_broken(app)
    for sentence in tables_of_nobody(app):
        complain(on_one_line(sentence))


def tell_broken(app: App) -> None:
    """Say on stderr which components do not work, a line each."""
    for component in app.registry.components():
        if component.state == "failed":
            stage = f" ({component.stage})" if component.stage else ""
            reason = app.masker.text(component.reason)
            complain(on_one_line(f"The {component.kind} {component.name} does not work{stage}: {reason}"))


def tables_of_nobody(app: App) -> list[str]:
    """Return a sentence for each table of rekku.toml that names a component which is not there."""
    from core.near_names import suggestion

    sentences = []
    for kind, tables in app.settings.components.items():
        known = {component.name for component in app.registry.components(kind.removesuffix("s"))}
        for name in tables.keys() - known:
            cure = suggestion(name, known)
            sentences.append(f"[{kind}.{name}] has no effect: there is no such {kind.removesuffix('s')}. {cure}")
    return sorted(sentence.strip() for sentence in sentences)


def _set_aside(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LARGEST_LOG:
            path.replace(path.with_name(f"{path.name}.1"))


def _without_told(masker: Masker) -> Any:
    def process(logger: Any, method: str, event: Any) -> Any:
        if (event.get("logger"), event.get("event")) == _TOLD:
            from structlog import DropEvent

            raise DropEvent
        return masker.processor(logger, method, event)

    return process
