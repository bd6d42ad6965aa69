"""Serving: the app with every interface that is configured, until a signal."""

from __future__ import annotations

from contextlib import AsyncExitStack

import structlog

from core.app import App
from core.commands.startup import end_starting, tell_failures
from core.commands.stop_signals import StopAsked, StopSignals
from core.contracts.errors import ConfigurationError
from core.health.readiness import Phase
from core.health.server import HealthServer
from core.services.mask import Masker
from core.settings import Settings

log = structlog.get_logger("rekku.app")


async def serve(settings: Settings, masker: Masker) -> int:
    """Serve until SIGTERM or SIGINT and return 0; raises ConfigurationError when no interface runs."""
    with StopSignals() as stop:
        try:
            async with AsyncExitStack() as stack:
                app = App(settings, masker=masker)
                health = await stack.enter_async_context(HealthServer(app, settings.health_address))
                await stop.unless_asked(stack.enter_async_context(app))
                end_starting()
                tell_failures(app)
                if not app.interfaces:
                    raise _nothing_to_serve(app)
                health.is_now(Phase.SERVING)
                log.info("serving", interfaces=sorted(app.interfaces), engines=app.env.engines.default_chain)
                await stop.wait_for()
                health.is_now(Phase.STOPPING)
                log.info("stopping", signal=stop.number)
        except StopAsked:
            log.info("stopped before it had started", signal=stop.number)
    return 0


def _nothing_to_serve(app: App) -> ConfigurationError:
    components = app.registry.components("interface")
    unattended = [c for c in components if c.instance is None or not c.instance.attended]
    why = " ".join(f"{c.name} is {c.state if c.state != 'found' else c.reason or 'off'}." for c in unattended)
    if not unattended:
        why = "This version comes with no interface but the console."
    return ConfigurationError(
        f"There is nothing to serve: no interface runs. {why}",
        cure="`rekku chat` talks to Rekku in this terminal; docs/configuration.md says what can be configured.",
    )
