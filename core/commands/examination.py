"""What `rekku doctor` examines. Nothing is changed, nothing is created, and no lock is taken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.app import App
from core.commands.backup_examination import backup_check
from core.commands.check import FAILED, OFF, OK, WARNING, Check
from core.commands.database_state import database_state, why_not_writable
from core.commands.last_states import LastState
from core.commands.loaded import standings
from core.commands.plugin_examination import plugin_asked
from core.commands.running_checks import running_checks
from core.commands.startup import tables_of_nobody
from core.commands.stored import may_exist, opened
from core.commands.terminal_text import typed
from core.contracts.deliveries import Health
from core.contracts.errors import EngineError, RekkuError
from core.counted import counted
from core.registry.discovery import Found
from core.services.engines import EngineHandle, Engines
from core.services.foreign import Raised, Returned
from core.services.mask import Masker
from core.services.plugin_wishes import Wish
from core.services.policy import read_rules
from core.services.told_health import told_health
from core.settings import Settings, on_loopback
from core.storage import schema
from core.storage.opening import database_of
from core.storage.sqlite import SqliteDatabase

HEALTH_S = 5.0
INTERFACE_HEALTH_S = 10.0
"""What is imported for it takes its time."""

TOLD_AFTER_S = 1.5
"""How long a part may take before it is told that it is waited for."""

MOST_READABLE = 0o077
"""Permissions of others that a home with secrets in it should not give."""


Waiting = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database says of plugins: what is wanted of them, and how components stood when they last ran."""

    wishes: Mapping[str, Wish] = field(default_factory=dict)
    last: Mapping[tuple[str, str], LastState] = field(default_factory=dict)


async def examine(
    settings: Settings,
    masker: Masker,
    process: str,
    waiting: Waiting = lambda what: None,
    known: Known | None = None,
) -> list[Check]:
    """Examine everything. Secrets are not masked.

    process: the id of the one that runs on this home, or "". waiting: called with what is waited for, once it takes
    a while. known: what the database says of plugins.
    """
    known = known or Known()
    checks = [*_home(settings.home, process)]
    with _waited_for("the database", waiting):
        checks.append(await _database(settings))
        checks.append(await backup_check(settings))
    checks.append(_policy(settings))
    checks.append(_health(settings))
    checks += await running_checks(settings, process)
    async with loaded_in_memory(settings, masker, known) as app:
        checks += [
            Check(area="settings", name="rekku.toml", state=WARNING, detail=sentence)
            for sentence in tables_of_nobody(app)
        ]
        checks += [check async for check in _engines(app, waiting)]
        for check in _components(app, known):
            with _waited_for(f"the {check.area} {check.name}", waiting):
                checks.append(await _interface_asked(app, await plugin_asked(app, check)))
    return checks


@contextlib.contextmanager
def _waited_for(what: str, waiting: Waiting) -> Iterator[None]:
    timer = asyncio.get_running_loop().call_later(TOLD_AFTER_S, waiting, what)
    try:
        yield
    finally:
        timer.cancel()


def _home(home: Path, process: str) -> Iterator[Check]:
    cure = "Set REKKU_HOME to a directory that this user may write to."
    at = next((path for path in (home, *home.parents) if path.exists()), home)
    state, detail = OK, f"{home}" if at == home else f"{home} will be created"
    if not at.is_dir():
        state, detail = FAILED, f"{at} is not a directory"
    elif not os.access(at, os.R_OK | os.W_OK | os.X_OK):
        state, detail = FAILED, f"{at} cannot be written to"
    if process:
        detail += f", in use by process {process}"
    yield Check(area="home", name="home", state=state, detail=f"{detail}.", cure=cure if state == FAILED else "")
    secrets = home / ".env"
    with contextlib.suppress(OSError):
        if secrets.stat().st_mode & MOST_READABLE:
            detail = f"{secrets} can be read by other users of this machine."
            yield Check(area="home", name=".env", state=WARNING, detail=detail, cure=f"chmod 600 {secrets}")


async def _database(settings: Settings) -> Check:
    path = settings.database_path
    if not may_exist(settings):
        return Check(area="database", name="sqlite", state=OK, detail=f"{path} will be created at the first start.")
    kind = database_of(settings).dialect
    try:
        async with opened(settings) as database:
            state = await database_state(database)
            no = await why_not_writable(database) if state.current and not state.damage else None
    except RekkuError as error:
        return Check(area="database", name=kind, state=FAILED, detail=str(error), cure=error.cure)
    detail = f"{state.where}, {state.size} bytes, schema {state.schema or 'none'}"
    if state.damage:
        cure = "Stop Rekku and restore a backup; keep the damaged file."
        return Check(area="database", name=kind, state=FAILED, detail=f"{detail}: {state.damage}", cure=cure)
    if not state.usable:
        refusal = schema.refusal(state.schema)
        return Check(area="database", name=kind, state=FAILED, detail=f"{detail}. {refusal}", cure=refusal.cure)
    if no is not None:
        return Check(area="database", name=kind, state=FAILED, detail=f"{detail}. {no}", cure=no.cure)
    if not state.current:
        detail += f"; the next start upgrades it to {schema.HEAD}"
    return Check(area="database", name=kind, state=OK, detail=f"{detail}.")


def _policy(settings: Settings) -> Check:
    try:
        count = len(read_rules(settings.policy_rules))
    except RekkuError as error:
        return Check(area="policy", name="rules", state=FAILED, detail=str(error), cure=error.cure)
    return Check(area="policy", name="rules", state=OK, detail=f"{counted(count, 'rule')} of your own.")


def _health(settings: Settings) -> Check:
    address = settings.health_address
    if address is None:
        return Check(area="health", name="http", state=OFF, detail="REKKU_HEALTH_LISTEN is empty.")
    detail = f"`rekku run` tells on {settings.health_listen} how it is."
    if on_loopback(address[0]):
        return Check(area="health", name="http", state=OK, detail=detail)
    detail += " Whoever reaches that address is told, and is not asked who they are."
    cure = "Let a firewall keep strangers from it, or use 127.0.0.1."
    return Check(area="health", name="http", state=WARNING, detail=detail, cure=cure)


@contextlib.asynccontextmanager
async def loaded_in_memory(
    settings: Settings, masker: Masker, known: Known, only: Callable[[Found], bool] = lambda found: True
) -> AsyncIterator[App]:
    """Load the components on a database in memory, for what engines keep in theirs."""
    database = SqliteDatabase(None)
    await database.start()
    try:
        await schema.upgrade(database)
        app = App(settings, masker=masker, database=database)
        app.plugins.control.wishes = dict(known.wishes)
        with contextlib.redirect_stdout(sys.stderr):  # what plugins print when they are imported is no answer
            await app.load(only)
        yield app
    finally:
        await database.stop()


async def _engines(app: App, waiting: Waiting) -> AsyncIterator[Check]:
    key = "REKKU_ENGINE"
    try:
        engines = app.choose_engines()
    except RekkuError as error:
        yield Check(area="engine", name=key, state=FAILED, detail=str(error), cure=error.cure)
        engines = Engines([], [])
    else:
        wanted, chain = ", ".join(app.settings.engine), ", then ".join(engines.default_chain)
        if chain:
            yield Check(area="engine", name=key, state=OK, detail=chain if wanted == chain else f"{wanted}: {chain}")
        else:
            yield Check(area="engine", name=key, state=FAILED, detail="No engine works.", cure="See below.")
    try:
        for name in engines.names:
            handle = engines.get(name)
            if handle is not None:
                with _waited_for(f"the engine {name}", waiting):
                    check = await _engine(app, handle)
                yield check
    finally:
        await engines.stop()


async def _engine(app: App, handle: EngineHandle) -> Check:
    try:
        await handle.ready()
    except EngineError as error:
        return Check(area="engine", name=handle.name, state=FAILED, detail=str(error), cure=error.cure)
    answer = await app.foreign.call(f"health of engine {handle.name}", handle.engine.health, HEALTH_S)
    return _answered(Check(area="engine", name=handle.name, state=OK), answer)


def _components(app: App, known: Known) -> Iterator[Check]:
    """Yield the checks of all but the engines that are configured, which were asked themselves."""
    states = {"ok": OK, "off": OFF, "disabled": OFF, "quarantined": WARNING, "failed": FAILED}
    for standing in standings(app, known.last):
        if standing.kind == "engine" and standing.state == "ok":
            continue
        detail = standing.reason
        if standing.stage:
            detail = f"{standing.stage}: {detail}"
        if standing.state == "disabled":
            detail = detail or "disabled in rekku.toml."
        state, cure = states[standing.state] if standing.well else WARNING, ""
        if not standing.well:
            cure = f"`{typed('plugins', 'check', standing.name)}` starts it and says what is wrong."
        elif standing.state == "quarantined":
            cure = f"`{typed('plugins', 'enable', standing.name)}` uses it again."
        yield Check(area=standing.kind, name=standing.name, state=state, detail=detail, cure=cure)


async def _interface_asked(app: App, check: Check) -> Check:
    """Return the check of an interface that loads cleanly with what its platform says; else the check as it is."""
    component = app.registry.get("interface", check.name)
    if check.area != "interface" or check.state != OK or component is None:
        return check
    answer = await app.foreign.call(
        f"health of interface {check.name}", component.instance.health, INTERFACE_HEALTH_S
    )
    return _answered(check, answer)


def _answered(check: Check, answer: Returned[Health] | Raised) -> Check:
    """Return a check with the health that a component has told."""
    if isinstance(answer, Raised):
        return replace(check, state=FAILED, detail=answer.sentence)
    health = told_health(answer.value)
    return replace(check, state=OK if health.ok else FAILED, detail=health.detail, cure=health.cure)
