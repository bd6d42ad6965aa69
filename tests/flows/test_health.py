"""Health over HTTP as whoever watches meets it: real requests on loopback to an app that runs, hangs or is away."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from core.commands.health import health
from core.contracts.deliveries import Health
from core.contracts.engine import EngineReply, Usage
from core.contracts.errors import CannotDeliver, EngineUnavailable
from core.contracts.json import JsonObject
from core.health import server as http
from core.health.readiness import Phase
from core.health.server import HealthServer
from core.services.clock import SystemClock
from core.settings import Access
from core.testing import RecordingInterface, RunningApp, ScriptedEngine, message, running_app
from tests.flows.test_command_line import ROOT, TIMEOUT_S, command, environment

LOOPBACK = ("127.0.0.1", 0)
SECRET = "correct-horse-battery"

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """Somebody who asks a health server."""

    def __init__(self, server: HealthServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.base = f"http://127.0.0.1:{server.port}"

    async def json(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.base + path) as response:
            assert response.headers["Cache-Control"] == "no-store"
            return response.status, json.loads(await response.text())

    async def ready(self) -> tuple[int, dict[tuple[str, str], JsonObject]]:
        status, told = await self.json("/readyz")
        assert told["ready"] == (status == 200)
        return status, {(part["kind"], part["name"]): part for part in told["parts"]}

    async def text(self) -> str:
        async with self.session.get(f"{self.base}/metrics") as response:
            assert response.status == 200
            assert response.content_type == "text/plain"
            return await response.text()

    async def figures(self) -> Figures:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(await self.text())
            for sample in family.samples
        }


def of(figures: Figures, name: str, **labels: str) -> float | None:
    return figures.get((name, frozenset(labels.items())))


@asynccontextmanager
async def watched(kit: RunningApp, phase: Phase = Phase.SERVING) -> AsyncIterator[Watched]:
    async with HealthServer(kit.app, LOOPBACK) as server, aiohttp.ClientSession() as session:
        server.is_now(phase)
        yield Watched(server, session)


class Platform(RecordingInterface):
    """An interface that tells how it is as a test says."""

    def __init__(self, health: Health | None = None, *, starts: bool = True) -> None:
        super().__init__("platform")
        self.told = health
        self.starts = starts
        self.asked = 0

    async def start(self, receive: Any) -> None:
        if not self.starts:
            raise RuntimeError(f"the token {SECRET} is refused")
        await super().start(receive)

    async def health(self) -> Health:
        self.asked += 1
        if self.told is None:
            await asyncio.get_running_loop().create_future()
        assert self.told is not None
        return self.told


class Model(ScriptedEngine):
    """An engine that cannot be reached."""

    name = "model"

    async def health(self) -> Health:
        return Health(ok=False, detail="There is no such host.", cure="Set another.")


class Broken(ScriptedEngine):
    """An engine that cannot even start."""

    name = "broken"

    async def start(self) -> None:
        raise EngineUnavailable(f"The key {SECRET} is wrong.", cure="Get another.")


async def test_all_is_well() -> None:
    async with running_app(clock=SystemClock()) as kit, watched(kit) as watch:
        status, told = await watch.json("/healthz")
        assert (status, told["alive"]) == (200, True)
        status, parts = await watch.ready()
        assert status == 200
        required = {key for key, part in parts.items() if part["required"]}
        assert required == {
            ("process", "app"),
            ("process", "event loop"),
            ("database", "sqlite"),
            ("interface", "test"),
        }
        assert parts["engine", "scripted"]["state"] == "ok"
        assert parts["interface", "console"]["state"] == "off"
        assert parts["plugin", "dice"]["state"] == "ok"


async def test_the_figures_of_turns_and_engines() -> None:
    usage = Usage(prompt_tokens=100, cached_tokens=60, completion_tokens=7)
    engine = ScriptedEngine(EngineReply(text=message("hello"), usage=usage), "x", "y", "z")
    async with running_app(engine=engine) as kit, watched(kit) as watch:
        before = await watch.figures()
        assert of(before, "rekku_turns_total", result="complete") == 0
        await kit.interface.ask("hello")
        engine.answers = [EngineUnavailable("away", retryable=False)]
        await kit.interface.ask("and again")
        figures = await watch.figures()
    assert of(figures, "rekku_turns_total", result="complete") == 1
    assert of(figures, "rekku_turns_total", result="error") == 1
    assert of(figures, "rekku_engine_calls_total", engine="scripted", result="ok") == 1
    assert of(figures, "rekku_engine_calls_total", engine="scripted", result="engine_unavailable") == 1
    assert of(figures, "rekku_engine_call_seconds_count", engine="scripted") == 2
    assert of(figures, "rekku_engine_call_seconds_bucket", engine="scripted", le="+Inf") == 2
    assert of(figures, "rekku_engine_tokens_total", engine="scripted", kind="prompt") == 100
    assert of(figures, "rekku_engine_tokens_total", engine="scripted", kind="cached") == 60
    assert of(figures, "rekku_engine_tokens_total", engine="scripted", kind="completion") == 7
    assert of(figures, "rekku_outbox_parts", state="sent") == 2
    assert of(figures, "rekku_turns_running") == of(figures, "rekku_lanes_busy") == 0
    assert of(figures, "rekku_database_up") == of(figures, "rekku_database_info", dialect="sqlite") == 1
    assert of(figures, "rekku_database_last_good_answer_seconds") == 0
    assert of(figures, "rekku_event_loop_lag_seconds") == 0
    assert (of(figures, "process_open_fds") or 0) > 0
    assert (of(figures, "process_resident_memory_bytes") or 0) > 0


async def test_the_figures_of_what_waits() -> None:
    async def think(request: object) -> str:
        thinking.set()
        await go_on.wait()
        return message("done")

    thinking, go_on = asyncio.Event(), asyncio.Event()
    engine = ScriptedEngine(think, otherwise=message("more"))
    async with running_app(engine=engine) as kit, watched(kit) as watch:
        await kit.interface.say("one", chat_id="x")
        await thinking.wait()
        accepted = await kit.interface.say("two", chat_id="x")
        await kit.clock.advance(12)
        figures = await watch.figures()
        assert of(figures, "rekku_turns_running") == of(figures, "rekku_lanes_busy") == 1
        assert of(figures, "rekku_inbox_inputs", state="running") == 1
        assert of(figures, "rekku_inbox_inputs", state="waiting") == 1
        assert of(figures, "rekku_lanes") == 1
        assert of(figures, "rekku_lane_depth_max") == 2
        assert of(figures, "rekku_inbox_oldest_waiting_seconds") == 12
        kit.interface.fail(CannotDeliver("gone"), chat_id="x")
        go_on.set()
        await kit.interface.ended(accepted)
        figures = await watch.figures()
        assert of(figures, "rekku_inbox_inputs", state="waiting") == 0
        assert of(figures, "rekku_dead_letters") == of(figures, "rekku_outbox_parts", state="dead") == 1


async def test_the_figures_of_reminders() -> None:
    engine = ScriptedEngine(("create_reminder", {"text": "stretch", "when": "in 1 hour"}), otherwise=message("set"))
    async with running_app(engine=engine) as kit, watched(kit) as watch:
        await kit.interface.ask("remind me")
        figures = await watch.figures()
        assert of(figures, "rekku_reminders_pending") == 1
        assert of(figures, "rekku_reminder_lateness_seconds_count") == 0
        sent = len(kit.interface.sent)
        await kit.advance(3603)
        await kit.interface.until(lambda: len(kit.interface.sent) > sent, "the reminder")
        figures = await watch.figures()
    assert of(figures, "rekku_reminders_pending") == of(figures, "rekku_reminders_overdue_seconds") == 0
    assert of(figures, "rekku_reminders_total", result="done") == 1
    assert of(figures, "rekku_reminder_lateness_seconds_count") == 1
    assert of(figures, "rekku_reminder_last_lateness_seconds") is not None


async def test_nobody_and_nothing_that_was_said_can_be_read_from_it() -> None:
    engine = ScriptedEngine(otherwise=message("it is a word-of-mine"))
    async with running_app(engine=engine, access=Access.OPEN) as kit, watched(kit) as watch:
        for number in range(5):
            await kit.interface.ask("a word-of-theirs", user_id=f"person-{number}", chat_id=f"place-{number}")
        told = await watch.text() + str(await watch.json("/readyz")) + str(await watch.json("/healthz"))
        families = list(text_string_to_metric_families(await watch.text()))
    assert not re.search("person|place-|word-of|trainer", told)
    own = [family for family in families if family.name.startswith("rekku_")]
    assert {label for family in own for sample in family.samples for label in sample.labels} == {
        *("dialect", "engine", "kind", "le", "result", "state")
    }
    assert all(family.documentation and len(family.samples) <= 30 for family in own)


class Hung:
    """Holds the threads of a database: what is asked of it waits until `release`."""

    def __init__(self, kit: RunningApp) -> None:
        self._go_on = threading.Event()
        wait = self._go_on.wait
        database = kit.app.database
        self._held = asyncio.gather(
            database.transact(lambda conn: wait(60), durable=False), database.read(lambda conn: wait(60))
        )

    async def release(self) -> None:
        self._go_on.set()
        await self._held


async def test_the_truth_is_told_while_the_database_hangs() -> None:
    async with running_app() as kit, watched(kit) as watch:
        assert (await watch.ready())[0] == 200
        hung = Hung(kit)
        try:
            assert (await watch.json("/healthz"))[0] == 200
            status, parts = await watch.ready()
            assert status == 503
            database = parts["database", "sqlite"]
            assert database["state"] == "down"
            assert database["reason"] == "It does not answer within 2 s. It last did 0 s ago."
            assert parts["interface", "test"]["state"] == "ok"
            figures = await watch.figures()
            assert of(figures, "rekku_database_up") == 0
            assert of(figures, "rekku_database_last_good_answer_seconds") == 0
            assert not any(name.startswith(("rekku_inbox", "rekku_outbox")) for name, _ in figures)
        finally:
            await hung.release()
        status, parts = await watch.ready()
        assert (status, parts["database", "sqlite"]["state"]) == (200, "ok")
        assert of(await watch.figures(), "rekku_inbox_inputs", state="waiting") == 0


async def test_a_database_that_is_away() -> None:
    async with running_app() as kit, watched(kit) as watch:
        await kit.app.database.stop()
        status, parts = await watch.ready()
        assert status == 503
        assert parts["database", "sqlite"]["reason"] == "The database is closed."
        assert of(await watch.figures(), "rekku_database_up") == 0
        assert (await watch.json("/healthz"))[0] == 200


async def test_an_interface_that_does_not_work_is_named() -> None:
    platform = Platform(Health(ok=False, detail=f"It refuses {SECRET}.", cure="Look at it."))
    async with running_app(interfaces=[platform]) as kit:
        kit.app.masker.learn("TOKEN", SECRET)
        async with watched(kit) as watch:
            for _ in range(3):
                status, parts = await watch.ready()
                assert status == 503
            assert parts["interface", "platform"] == {
                "kind": "interface",
                "name": "platform",
                "state": "failed",
                "reason": "It refuses [TOKEN]. Look at it.",
                "required": True,
            }
            assert platform.asked == 1, "whoever watches often does not make us ask the platform often"
            platform.told = Health(ok=True)
            await kit.clock.advance(31)
            assert (await watch.ready())[0] == 200


async def test_an_interface_that_did_not_start_or_does_not_answer() -> None:
    silent, dead = Platform(None), Platform(starts=False)
    dead.name = "dead"
    async with running_app(interfaces=[silent, dead]) as kit, watched(kit) as watch:
        kit.app.masker.learn("TOKEN", SECRET)
        status, parts = await watch.ready()
        assert status == 503
        assert parts["interface", "platform"]["reason"] == "It does not answer within 2 s."
        assert parts["interface", "dead"]["state"] == "failed"
        assert "[TOKEN] is refused" in str(parts["interface", "dead"]["reason"])


async def test_one_engine_of_a_chain_is_enough() -> None:
    chain = ["model", "broken", "scripted"]
    async with running_app(engines=[Model(), Broken()], chain=chain) as kit, watched(kit) as watch:
        status, parts = await watch.ready()
        assert status == 200
        assert (parts["engine", "model"]["state"], parts["engine", "model"]["required"]) == ("failed", False)
        assert parts["engine", "model"]["reason"] == "There is no such host. Set another."
    async with running_app(engines=[Model(), Broken()], chain=["model", "broken"]) as kit:
        kit.app.masker.learn("KEY", SECRET)
        async with watched(kit) as watch:
            status, parts = await watch.ready()
            assert status == 503
            assert all(parts["engine", name]["required"] for name in ("model", "broken"))
            assert "[KEY] is wrong" in str(parts["engine", "broken"]["reason"])


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
async def test_an_app_that_starts_or_stops_lives_and_is_not_ready(phase: Phase) -> None:
    async with running_app() as kit, watched(kit, phase) as watch:
        assert (await watch.json("/healthz"))[0] == 200
        status, parts = await watch.ready()
        assert status == 503
        assert parts["process", "app"]["state"] == phase.value
        assert of(await watch.figures(), "rekku_database_up") == 1


async def test_a_loop_that_stood_still_is_told() -> None:
    async with running_app() as kit, watched(kit) as watch:
        assert (await watch.json("/healthz"))[0] == 200
        kit.clock._ms += 60_000  # nobody is woken
        status, told = await watch.json("/healthz")
        assert (status, told["alive"]) == (503, False)
        status, parts = await watch.ready()
        assert status == 503
        assert parts["process", "event loop"]["state"] == "failed"


async def test_a_port_that_is_taken_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with running_app() as kit:
            with capture_logs() as lines:
                async with HealthServer(kit.app, ("127.0.0.1", port)) as server:
                    assert server.port is None
                    assert await kit.interface.ask("/help")
    [warning] = [line for line in lines if line["event"] == "health is not told over HTTP"]
    assert warning["log_level"] == "warning"
    assert warning["address"] == f"127.0.0.1:{port}"
    assert "REKKU_HEALTH_LISTEN" in warning["cure"]


async def test_nothing_is_served_where_it_is_switched_off() -> None:
    async with running_app() as kit, HealthServer(kit.app, None) as server:
        assert server.port is None


async def test_only_looking_is_allowed() -> None:
    async with running_app() as kit, watched(kit) as watch:
        async with watch.session.head(f"{watch.base}/readyz") as response:
            assert (response.status, await response.read()) == (200, b"")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            async with watch.session.request(method, f"{watch.base}/healthz") as response:
                assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert (await watch.json("/"))[0] == 404
        assert (await watch.json("/metrics/../secret"))[0] == 404
        async with watch.session.get(f"{watch.base}/healthz", data=b"x" * 100_000) as response:
            assert response.status == 413


async def _raw(port: int | None, sent: bytes) -> bytes:
    """Send bytes and return everything that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"\x16\x03\x01 this is TLS\r\n\r\n",
    ],
    ids=["line", "header", "headers", "tls"],
)
async def test_what_is_too_large_or_no_request_is_refused(sent: bytes) -> None:
    async with running_app() as kit, watched(kit) as watch:
        answer = await _raw(watch.server.port, sent)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        assert (await watch.json("/healthz"))[0] == 200


async def test_malformed_requests_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running_app() as kit, watched(kit) as watch:
        before = len(caplog.records)
        for minute in (1, 2):
            for _ in range(5):
                assert b"400" in await _raw(watch.server.port, b"GET / HTTP/1.1\r\nnonsense\r\n\r\n")
            assert len([r for r in caplog.records[before:] if "malformed" in r.getMessage()]) == minute
            await kit.clock.advance(http.TOLD_EVERY_S)
        assert [r.levelname for r in caplog.records[before:] if r.name.startswith(("rekku.health", "aiohttp"))] == [
            "WARNING",
            "WARNING",
        ]


async def test_a_connection_takes_one_request() -> None:
    async with running_app() as kit, watched(kit) as watch:
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await _raw(watch.server.port, one * 3)).count(b"HTTP/1.1 200") == 1


async def test_whoever_connects_and_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENCE_S", 0.05)
    async with running_app() as kit, watched(kit) as watch:
        assert await _raw(watch.server.port, b"GET /healthz HTT") == b""


async def test_connections_beyond_the_bound_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 3)
    async with running_app() as kit, watched(kit) as watch:
        idle = [await asyncio.open_connection("127.0.0.1", watch.server.port) for _ in range(3)]
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await _raw(watch.server.port, request) == b""
        idle[0][1].write(request)
        assert b"200 OK" in await idle[0][0].read()
        for _, writer in idle:
            writer.close()


SERVING = """
import functools
import core.commands.serving as serving
from core.commands.tree import command_line
from core.interface_base import InterfaceBase

class Radio(InterfaceBase):
    name = "radio"
    async def start(self, receive):
        pass
    async def stop(self):
        pass

serving.App = functools.partial(serving.App, interfaces=[Radio()])
command_line(["run"])
"""


def test_rekku_health_asks_the_process_that_serves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    variables = environment(home, {"REKKU_HEALTH_LISTEN": "127.0.0.1:0", "REKKU_ENGINE": "offline"})

    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("health", *arguments),
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    process = subprocess.Popen(
        [sys.executable, "-c", SERVING], cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        port = ""
        for line in process.stderr:
            if found := re.search(r"health is told over HTTP.*port=(\d+)", line):
                port = found[1]
            if re.search(r"INFO +serving", line):
                break
        assert port
        url = f"http://127.0.0.1:{port}"
        ended = asked("--url", url)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Ready.\n", "")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
    ended = asked("--url", url)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"rekku: Nobody answers on {url}")
    for wrong in ("https://127.0.0.1:1", "127.0.0.1", "http://[", "http://"):
        ended = asked("--url", wrong)
        assert (ended.returncode, "is no URL of the form" in ended.stderr) == (1, True)


async def test_rekku_health_tells_what_does_not_work(capsys: pytest.CaptureFixture[str]) -> None:
    platform = Platform(Health(ok=False, detail="It is away."))
    async with running_app(interfaces=[platform]) as kit, watched(kit) as watch:
        with pytest.raises(BaseException) as ended:
            await asyncio.to_thread(health, watch.base)
    assert getattr(ended.value, "exit_code", None) == 1
    told = capsys.readouterr().out
    assert "Not ready." in told.splitlines()
    assert re.search(r"interface +platform +failed +It is away\.", told)


async def test_rekku_health_where_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REKKU_HOME", str(tmp_path))
    monkeypatch.setenv("REKKU_HEALTH_LISTEN", "")
    with pytest.raises(BaseException) as ended:
        health("")
    assert getattr(ended.value, "exit_code", None) == 1
    assert "REKKU_HEALTH_LISTEN is empty" in capsys.readouterr().err
