"""What a client sends on standard input, from a pipe or a file: all of it is answered before the end."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from core.contracts.version import VERSION
from core.settings.components import ComponentTable
from core.testing import RunningApp, running_app
from tests.flows.workshop import Workshop

pytest.importorskip("mcp", reason="pip install 'rekku[mcp]'")

from interfaces.mcp import lines

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
BEGINNING = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)
MCP = {"interfaces": {"mcp": ComponentTable(values={"listen": "127.0.0.1:0", "token": "open-sesame-open-sesame"})}}


def call(id_: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a request to call a tool."""
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params}


def sent(*messages: Any) -> bytes:
    """Return what a client sends; texts as they are."""
    return b"".join((m if isinstance(m, str) else json.dumps(m)).encode() + b"\n" for m in messages)


def running(workshop: Workshop) -> Any:
    """Run an app that has the interface."""
    return running_app(plugins=[workshop], components=MCP, trainer_ids=frozenset({"mcp:desk"}))


async def talk(kit: RunningApp, path: Path, said: bytes | None, *, drain_s: float = 60.0) -> list[Any]:
    """Give the interface a file, or `path` itself when nothing is said; return what it answers until it ends."""
    if said is not None:
        await asyncio.to_thread(path.write_bytes, said)
    out, write_fd = os.pipe()
    door: Any = kit.app.interface("mcp")
    serving = asyncio.create_task(door.run_stdio(os.open(path, os.O_RDONLY), write_fd, drain_s))
    with os.fdopen(out, "rb") as answers:
        read = await asyncio.to_thread(answers.read)
    await serving
    return [json.loads(line) for line in read.splitlines()]


async def test_all_that_a_file_asks_is_answered(tmp_path: Path) -> None:
    workshop = Workshop()
    async with running(workshop) as kit:
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        said = sent(*BEGINNING, listing, call(3, "look", {"at": "the sky"}))
        # The last line has no end.
        answers = {answer["id"]: answer["result"] for answer in await talk(kit, tmp_path / "in", said[:-1])}
        assert list(answers) == [1, 2, 3]
        assert answers[1]["serverInfo"] == {"name": "rekku", "version": VERSION}
        assert "look" in {tool["name"] for tool in answers[2]["tools"]}
        assert answers[3]["content"][0]["text"] == "the sky is blue"
        assert await talk(kit, Path(os.devnull), None) == []
        assert await talk(kit, tmp_path / "empty", b"") == []


async def test_what_takes_longer_than_it_has_is_answered_as_closed(tmp_path: Path) -> None:
    workshop = Workshop()
    async with running(workshop) as kit:
        *_, answer = await talk(kit, tmp_path / "in", sent(*BEGINNING, call(2, "wait", {})), drain_s=0.0)
        assert (answer["id"], answer["error"]["message"]) == (2, "Connection closed")
        workshop.gate.set()


async def test_what_the_client_cancels_is_not_waited_for(tmp_path: Path) -> None:
    workshop = Workshop()
    async with running(workshop) as kit:
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
        answers = await talk(kit, tmp_path / "in", sent(*BEGINNING, call(2, "wait", {}), cancel))
        assert [answer["id"] for answer in answers] == [1]
        workshop.gate.set()


async def test_what_is_no_message_is_answered_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 200_000)
    async with running(Workshop()) as kit:
        said = sent(
            "garbage",
            "",
            "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
            "[" * 5000,
            "[]",
            {"jsonrpc": "2.0", "id": 7, "method": 5},
            {"jsonrpc": "2.0", "id": 8, "result": 5, "error": 5},
            "x" * 200_001,
            "y" * 400_000,
            *BEGINNING,
            call(2, "look", {"at": "the sea"}),
        )
        answers = await talk(kit, tmp_path / "in", said)
        refused = [(answer["id"], answer["error"]["code"]) for answer in answers if "error" in answer]
        parse, invalid = -32700, -32600
        assert refused == [
            (None, parse),
            (None, parse),
            (None, parse),
            (None, invalid),
            (7, invalid),
            (None, invalid),
            (None, invalid),
        ]
        assert [answer["id"] for answer in answers if "result" in answer] == [1, 2]


async def test_a_client_that_has_left_is_not_waited_for(tmp_path: Path) -> None:
    workshop = Workshop()
    async with running(workshop) as kit:
        (tmp_path / "in").write_bytes(sent(*BEGINNING, call(2, "wait", {})))
        out, write_fd = os.pipe()
        os.close(out)
        door: Any = kit.app.interface("mcp")
        await asyncio.wait_for(door.run_stdio(os.open(tmp_path / "in", os.O_RDONLY), write_fd, 600.0), 60)
        workshop.gate.set()


async def test_a_silent_client_does_not_hold_it_up() -> None:
    async with running(Workshop()) as kit:
        silent, said = os.pipe()
        answers, write_fd = os.pipe()
        door: Any = kit.app.interface("mcp")
        serving = asyncio.create_task(door.run_stdio(silent, write_fd, 60.0))
        os.write(said, sent(*BEGINNING))
        assert json.loads(await asyncio.to_thread(os.read, answers, 65536))["id"] == 1
        await door.stop()
        await asyncio.wait_for(serving, 60)
        # The end of input lets go of the thread that reads.
        os.close(said)
        for thread in threading.enumerate():
            if thread.name == "rekku-mcp":
                await asyncio.to_thread(thread.join, 60)
        os.close(silent)
        os.close(answers)
