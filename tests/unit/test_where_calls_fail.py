"""Failures of plugins at run time are logged with their place."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from core.contracts.errors import ActionFailed
from core.log import _render_exception
from core.services.foreign import ForeignCalls, Raised
from core.services.hooks import HookBinding, HookRunner
from core.services.periodic import Job, PeriodicJobs
from core.services.sync_or_async import invoke
from tests.unit.test_hooks import TURN


def dive(*args: Any) -> None:
    raise ValueError("too shallow")


HERE = f"test_where_calls_fail.py, line {dive.__code__.co_firstlineno + 1}"


async def test_a_failure_knows_its_place_and_its_traceback_is_for_debug() -> None:
    ended = await ForeignCalls().call("pond.dive", lambda: invoke(dive), 5.0)
    assert isinstance(ended, Raised)
    assert ended.where == HERE
    debug, info = (_render_exception(with_traceback=wanted) for wanted in (True, False))
    shown = debug(None, "warning", {"raised": ended.error})
    assert isinstance(shown, dict)
    assert HERE.rpartition(" ")[2] in shown["traceback"]
    assert info(None, "warning", {"raised": ended.error}) == {}


async def test_what_never_reached_foreign_code_has_no_place() -> None:
    assert Raised(ActionFailed("no")).where == ""


async def test_a_hook_that_fails_is_logged_with_its_place() -> None:
    binding = HookBinding(hook="before_action", plugin="pond", method="dive", call=dive)
    with capture_logs() as logs:
        await HookRunner(lambda: [binding], ForeignCalls()).guard("before_action", TURN)
    assert [entry["where"] for entry in logs] == [HERE]


async def test_a_periodic_job_that_fails_is_logged_with_its_place() -> None:
    jobs = PeriodicJobs(ForeignCalls(), "UTC")
    jobs.add("pond", [Job(name="dive", run=lambda: invoke(dive), seconds=60)])
    with capture_logs() as logs:
        await jobs.run_now("pond", "dive")
    assert [entry["where"] for entry in logs] == [HERE]
