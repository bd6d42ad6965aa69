"""What an external action's end is called, and what a write that fails takes with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.errors import ActionFailed
from core.contracts.json import JsonObject
from core.testing import running_app


class RemoteProtocolError(Exception):
    """A library's own error for a connection that was lost."""


def _wrapped() -> None:
    try:
        raise ConnectionResetError("reset by peer")
    except ConnectionResetError as error:
        raise RemoteProtocolError("server disconnected") from error


def _raise(error: BaseException) -> None:
    raise error


class Machine(AIPluginBase):
    """`push` touches the world and ends as `ending` says."""

    def __init__(self) -> None:
        self.ending: Callable[[], None] = lambda: None
        self.pushed: list[str] = []

    @action(effect="external", timeout_s=0.2)
    async def push(self, what: str) -> None:
        """Push."""
        self.pushed.append(what)
        self.ending()
        if what == "slow":
            await asyncio.sleep(30.0)

    @action(effect="local")
    async def write(self, ctx: ActionContext, what: str) -> None:
        """Write."""
        ctx.write(lambda conn: conn.execute(text("INSERT INTO no_such_table VALUES (1)")))


def call(type_: str, what: str) -> JsonObject:
    return {"type": type_, "payload": {"what": what}}


async def outcomes(machine: Machine, *actions: JsonObject) -> list[JsonObject]:
    """Run actions as one reply; return their ledger rows."""
    async with running_app(plugins=[machine]) as running:
        running.engine.then(json.dumps({"actions": list(actions)}), '{"actions": []}')
        await running.interface.say("go")
        await running.app.drained()
        return await running.rows("SELECT action, status, reason FROM ledger WHERE step = 0 ORDER BY position")


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (lambda: None, "done"),
        (lambda: _raise(ValueError("no")), "failed"),
        (lambda: _raise(ActionFailed("no")), "failed"),
        (lambda: _raise(ConnectionResetError("reset by peer")), "unknown"),
        (lambda: _raise(TimeoutError("took too long")), "unknown"),
        (lambda: _raise(asyncio.CancelledError()), "unknown"),
        (_wrapped, "unknown"),
    ],
    ids=["done", "error", "refusal", "connection", "deadline", "cancelled inside", "connection inside an error"],
)
async def test_the_end_of_an_external_action(ending: Callable[[], Any], status: str) -> None:
    machine = Machine()
    machine.ending = ending
    [row] = await outcomes(machine, call("push", "once"))
    assert row["status"] == status, row["reason"]
    assert machine.pushed == ["once"]


async def test_a_deadline_that_passed() -> None:
    machine = Machine()
    [row, behind] = await outcomes(machine, call("push", "slow"), call("push", "behind it"))
    assert row["status"] == "unknown"
    assert behind["status"] == "skipped"
    assert machine.pushed == ["slow"]


async def test_what_stands_behind_a_write_that_fails_is_not_done() -> None:
    """The write fails when the second action is about to begin: neither that one nor the third is."""
    machine = Machine()
    rows = await outcomes(machine, call("write", "a"), call("push", "second"), call("push", "third"))
    assert [row["status"] for row in rows] == ["failed", "skipped", "skipped"]
    assert machine.pushed == []
