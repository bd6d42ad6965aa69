"""Serving: the app with every interface that is configured, until a signal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog

from core.app import App
from core.commands.startup import end_starting, settings_for, tell_failures
from core.commands.stop_signals import StopAsked, StopSignals
from core.contracts.errors import ConfigurationError, StorageUnavailable
from core.health.readiness import Phase
from core.health.server import HealthServer
from core.ownership import ALL_DUTIES, Duty
from core.services.mask import Masker
from core.settings import Settings
from core.storage.opening import StoredDatabase

log = structlog.get_logger("rekku.app")

DATABASE_RETRY_S = 3.0


async def serve(settings: Settings, masker: Masker, duties: frozenset[Duty], *, watch: bool = False) -> int:
    """Serve until SIGTERM or SIGINT and return 0; raises ConfigurationError when no interface runs."""
    if duties != ALL_DUTIES and settings.database_server is None:
        raise ConfigurationError(
            "Only a database server can be shared by processes with roles of their own; this one is a SQLite file.",
            cure="Set DATABASE_URL or DB_HOST, or leave --role away.",
        )
    with StopSignals() as stop:
        try:
            async with AsyncExitStack() as stack:
                log.info("starting", home=str(settings.home), roles=sorted(duties))
                app = App(settings, masker=masker, duties=duties, reread=settings_for, watch=watch)
                health = await stack.enter_async_context(HealthServer(app, settings.health_address))
                if settings.database_server is not None:
                    stack.push_async_callback(app.database.stop)
                    await stop.unless_asked(_started(app.database))
                await stop.unless_asked(stack.enter_async_context(app))
                end_starting()
                tell_failures(app)
                if not app.interfaces and Duty.GATEWAY in duties:
                    raise _nothing_to_serve(app, watch=watch)
                health.is_now(Phase.SERVING)
                log.info(
                    "serving",
                    roles=sorted(duties),
                    interfaces=sorted(app.interfaces),
                    engines=app.env.engines.default_chain,
                    database=app.database.dialect,
                )
                await stop.wait_for()
                health.is_now(Phase.STOPPING)
                log.info("stopping", signal=stop.number)
        except StopAsked:
            log.info("stopped before it had started", signal=stop.number)
    return 0


async def _started(database: StoredDatabase) -> None:
    """Start a database server's database, and wait for a server that is away: it may start later than we do."""
    while True:
        try:
            await database.start()
        except StorageUnavailable as error:
            log.warning("waiting for the database", error=str(error))
            await asyncio.sleep(DATABASE_RETRY_S)
        else:
            return


def _nothing_to_serve(app: App, *, watch: bool) -> ConfigurationError:
    components = app.registry.components("interface")
    unattended = [c for c in components if c.instance is None or not c.instance.attended]
    why = " ".join(f"{c.name} is {c.state if c.state != 'found' else c.reason or 'off'}." for c in unattended)
    if not unattended:
        why = "This version comes with no interface but the console."
    return ConfigurationError(
        f"There is nothing to serve: no interface runs. {why}",
        cure=f"`rekku chat{' --watch' if watch else ''}` talks to Rekku in this terminal"
        f"{', and reloads plugins as you edit them' if watch else ''}; "
        "docs/configuration.md says what can be configured.",
    )
