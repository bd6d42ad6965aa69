"""A real MCP client calls Rekku's actions over HTTP: as a principal, through the gate, into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from core.settings.components import ComponentTable
from core.testing import RunningApp, running_app
from tests.flows.workshop import Workshop

pytest.importorskip("mcp", reason="pip install 'rekku[mcp]'")

import mcp
from mcp.client.streamable_http import streamable_http_client

TOKEN = "open-sesame-open-sesame"
USER: dict[str, Any] = {"trainer_ids": frozenset({"test:trainer"}), "access": "open"}
TRAINER: dict[str, Any] = {"trainer_ids": frozenset({"test:trainer", "mcp:desk"})}


@asynccontextmanager
async def serving(workshop: Workshop, *, config: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Any]:
    """Run an app that serves MCP over HTTP; gives it and a client that is connected."""
    values = {"listen": "127.0.0.1:0", "token": TOKEN, **(config or {})}
    components = {"interfaces": {"mcp": ComponentTable(values=values)}}
    async with (
        running_app(plugins=[workshop], components=components, **settings) as kit,
        connected(kit) as client,
    ):
        yield kit, client


@asynccontextmanager
async def connected(kit: RunningApp, token: str = TOKEN) -> AsyncIterator[Any]:
    """Give a client of an app that serves MCP."""
    url = kit.app.interface("mcp").url  # type: ignore[attr-defined]
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        mcp.Client(streamable_http_client(url, http_client=http), cache=None) as client,
    ):
        yield client


def text(result: Any) -> str:
    """Return what a result says."""
    return "\n".join(block.text for block in result.content)


async def ledger(kit: RunningApp) -> list[dict[str, Any]]:
    """Return what the ledger has."""
    return await kit.rows("SELECT action, status, principal FROM ledger ORDER BY id")


async def test_a_call_is_an_input_with_an_outcome() -> None:
    workshop = Workshop()
    async with serving(workshop, **USER, policy_rules=({"action": "press", "verdict": "allow"},)) as (kit, client):
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"look", "press"} <= names
        assert not names & {"wipe", "message", "core_approve", "ring"}
        seen = await client.call_tool("look", {"at": "the sky"})
        assert (text(seen), seen.is_error) == ("the sky is blue", False)
        assert text(await client.call_tool("press", {"button": "green"})) == "green pressed"
        assert workshop.done == ["look the sky", "press green"]
        assert await ledger(kit) == [
            {"action": "look", "status": "done", "principal": "mcp:desk"},
            {"action": "press", "status": "done", "principal": "mcp:desk"},
        ]
        rows = await kit.rows("SELECT kind, state, principal FROM inbox")
        assert rows == [{"kind": "call", "state": "done", "principal": "mcp:desk"}] * 2
        assert kit.engine.requests == []


async def test_what_is_not_allowed_is_denied_and_what_is_wrong_says_so() -> None:
    workshop = Workshop()
    async with serving(workshop, **USER) as (kit, client):
        for name, arguments, said in (
            ("wipe", {"path": "/"}, "is for a trainer"),
            ("press", {"button": "green"}, "is for a user"),
            ("look", {"from": "here"}, "at"),
            ("core_approve", {"id": "x"}, "There is no action"),
            ("nothing", {}, "There is no action"),
            ("crash", {}, "a bug"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error, name
            assert said in text(result), text(result)
        assert workshop.done == []
        statuses = [row["status"] for row in await ledger(kit)]
        assert statuses == ["denied", "denied", "failed"]


async def test_what_asks_waits_for_a_trainer_and_never_for_the_client() -> None:
    workshop = Workshop()
    async with serving(workshop, **TRAINER) as (kit, client):
        result = await client.call_tool("wipe", {"path": "/tmp/x"})
        assert result.is_error
        assert result.meta["rekku/status"] == "awaiting_approval"
        assert workshop.done == []
        (question,) = await kit.interface.replies()
        (row,) = await kit.rows("SELECT id FROM approvals")
        assert row["id"] in question
        assert row["id"] in text(result)
        # The client's principal is a trainer, and may all the same not give it.
        assert (await client.call_tool("core_approve", {"id": row["id"]})).is_error
        assert workshop.done == []
        await kit.interface.ask(f"/approve {row['id']}")
        await kit.app.drained()
        assert workshop.done == ["wipe /tmp/x"]


async def test_a_trusted_client_of_a_trainer_is_not_asked_about() -> None:
    workshop = Workshop()
    async with serving(workshop, config={"trusted": True}, **TRAINER) as (_, client):
        assert text(await client.call_tool("wipe", {"path": "/tmp/x"})) == "/tmp/x wiped"


async def test_calls_run_side_by_side() -> None:
    workshop = Workshop()
    async with serving(workshop, **TRAINER) as (_, client):
        slow = asyncio.create_task(client.call_tool("wait", {}))
        await asyncio.wait_for(workshop.waiting.wait(), 10)
        assert text(await client.call_tool("look", {"at": "it"})) == "it is blue"
        workshop.gate.set()
        assert text(await slow) == "waited"


async def test_a_stranger_is_given_a_code_and_nothing_else() -> None:
    workshop = Workshop()
    async with serving(workshop) as (kit, client):
        assert [tool.name for tool in (await client.list_tools()).tools] == ["introduce"]
        result = await client.call_tool("look", {"at": "it"})
        assert result.is_error
        assert "pairing code" in text(result)
        (row,) = await kit.rows("SELECT code FROM pairings")
        await kit.interface.ask(f"/pair {row['code']}")
        assert text(await client.call_tool("look", {"at": "it"})) == "it is blue"


async def test_nobody_is_let_in_without_the_token() -> None:
    async with serving(Workshop(), **TRAINER) as (kit, _):
        url = kit.app.interface("mcp").url
        async with httpx2.AsyncClient() as http:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
                answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
                assert answer.status_code == 401


async def test_it_is_off_without_a_token() -> None:
    components = {"interfaces": {"mcp": ComponentTable(values={"listen": "127.0.0.1:0"})}}
    async with running_app(components=components) as kit:
        assert "mcp" not in kit.app.interfaces
        assert kit.app.registry.get("interface", "mcp").reason == "off: token is not set"  # type: ignore[union-attr]
