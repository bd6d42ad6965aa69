"""MCP over standard input and output, with real processes at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.testing import RunningApp, ScriptedEngine, actions, message, running_app

pytest.importorskip("mcp", reason="pip install 'rekku[mcp]'")

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.flows.test_mcp_servers import configured, plugin, until

ROOT = Path(__file__).parents[2]
SERVER = str(ROOT / "tests/support/mcp_server.py")
LAB = {"command": sys.executable, "args": [SERVER], "permission": "user", "env": {"FLAVOUR": "plum"}}
PARENT = """
import asyncio, os, sys
from plugins.mcp.config import ServerConfig
from plugins.mcp import transports

async def main():
    sleeping = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    config = ServerConfig(command=sys.executable, args=["-c", sleeping])
    async with transports._lines_of(print) as errlog:
        through = ["-I", "-S", str(transports._UNDER_PARENT), str(os.getpid()), config.command, *config.args]
        await asyncio.create_subprocess_exec(sys.executable, *through, stdin=asyncio.subprocess.PIPE)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def ready(kit: RunningApp) -> None:
    """Wait until the program is connected."""
    await until(kit, lambda: "lab_echo" in kit.app.registry.generation, 60.0)


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rekku(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_a_program_is_started_used_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret-of-ours")
    engine = ScriptedEngine(
        actions(("lab_environment", {})), message("done"), actions(("lab_die", {})), message("what a pity")
    )
    async with running_app(engine=engine, **configured(lab=LAB)) as kit:
        await ready(kit)
        await kit.interface.ask("go")
        (row,) = await kit.rows("SELECT output FROM ledger WHERE action = 'lab_environment'")
        seen = json.loads(json.loads(row["output"]))
        assert "FLAVOUR" in seen["names"]
        assert "OPENAI_API_KEY" not in seen["names"]
        assert alive(seen["pid"])
        await kit.interface.ask("go on")
        (row,) = await kit.rows("SELECT status FROM ledger WHERE action = 'lab_die'")
        assert row["status"] == "unknown"
        await until(kit, lambda: plugin(kit)._servers["lab"].connected, 60.0)
    assert not alive(seen["pid"])


def test_a_program_does_not_outlive_a_kill() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    try:
        # Comes to its end when the last process that has it open does: the child does not read, it sleeps.
        assert parent.communicate(timeout=20)[0] == ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


async def test_a_program_that_is_not_there_is_told_of() -> None:
    async with running_app(**configured(lab={"command": "/no/such/program"})) as kit:
        health = await plugin(kit).health()
        assert not health.ok
        assert "/no/such/program: No such file" in health.detail


async def test_a_program_that_speaks_no_mcp_is_told_of() -> None:
    async with running_app(**configured(lab={"command": "/bin/echo", "args": ["garbage"]})) as kit:
        health = await plugin(kit).health()
        assert not health.ok
        assert "on its standard output is not MCP" in health.detail


async def test_rekku_mcp_serves_its_actions(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"REKKU_HOME": str(home), "TRAINER_IDS": "mcp:desk", "REKKU_ENGINE": "offline"}
    parameters = StdioServerParameters(command=sys.executable, args=[str(ROOT / "main.py"), "mcp"], env=environment)
    with (tmp_path / "stderr").open("w+") as stderr:
        async with mcp.Client(stdio_client(parameters, errlog=stderr), cache=None) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert "roll_dice" in names
            assert "mcp_accept" not in names
            rolled = await client.call_tool("roll_dice", {"sides": 6})
            assert not rolled.is_error
            shell: Any = await client.call_tool("terminal_run", {"command": "echo hi"})
            assert shell.is_error
            second = await asyncio.to_thread(rekku, environment, "mcp")
            assert second.returncode == 2
            assert second.stdout == ""
            assert "process" in second.stderr
        stderr.seek(0)
        assert "Traceback" not in stderr.read()
    listed = await asyncio.to_thread(rekku, environment, "ledger", "list", "--json")
    rows = json.loads(listed.stdout)
    assert {row["principal"] for row in rows} == {"mcp:desk"}
    assert {"roll_dice"} <= {row["action"] for row in rows if row["status"] == "done"}


def test_rekku_mcp_reads_a_file_and_does_without_any_input(tmp_path: Path) -> None:
    environment = {"REKKU_HOME": str(tmp_path / "home"), "TRAINER_IDS": "mcp:desk", "REKKU_ENGINE": "offline"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    roll = {"name": "roll_dice", "arguments": {"sides": 6}}
    said = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": roll},
    ]
    (tmp_path / "in").write_text("garbage\n" + "\n".join(json.dumps(message) for message in said))

    def with_input(redirection: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f'exec "$0" main.py mcp {redirection}', sys.executable, str(tmp_path / "in")],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    read = with_input('< "$1"')
    assert read.returncode == 0, read.stderr
    answers = [json.loads(line) for line in read.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [None, 1, 2]
    assert answers[0]["error"]["code"] == -32700
    assert not answers[2]["result"]["isError"]
    closed = with_input("<&-")
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, "", read.stderr)


async def test_rekku_mcp_stops_at_a_signal(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        "mcp",
        cwd=ROOT,
        env={**os.environ, "REKKU_HOME": str(tmp_path), "TRAINER_IDS": "mcp:desk"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    process.stdin.write(json.dumps(request).encode() + b"\n")
    answer = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert answer["result"]["serverInfo"]["name"] == "rekku"
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
