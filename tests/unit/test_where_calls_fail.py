"""Failures of plugins at run time are logged with their place."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.ai_plugin_base import AIPluginBase
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed
from core.contracts.slots import HealthCheck
from core.log import _render_exception
from core.services.foreign import ForeignCalls, Raised
from core.services.hooks import HookBinding, HookRunner
from core.services.periodic import Job, PeriodicJobs
from core.services.strategies import Strategies, StrategyBinding
from core.services.sync_or_async import invoke
from core.testing import running_app
from tests.unit.test_hooks import TURN


def dive(*args: Any) -> Any:
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


async def test_a_turn_strategy_that_fails_is_logged_with_its_place() -> None:
    binding = StrategyBinding(name="dive", plugin="pond", method="dive", call=dive, timeout_s=1.0)
    with capture_logs() as logs:
        await Strategies(lambda: [binding], ForeignCalls()).next_step("dive", TURN, [])
    assert [entry["where"] for entry in logs] == [HERE]


async def test_a_check_that_fails_is_logged_with_its_place() -> None:
    class Pond(AIPluginBase):
        async def start(self) -> None:
            self.context.contribute("health", HealthCheck(name="depth", check=dive))

        async def health(self) -> Health:
            raise ValueError("too shallow")

    async with running_app(plugins=[Pond()]) as kit:
        with capture_logs() as logs:
            await kit.app.env.checks.answers()
            await kit.app.plugins.health.look()
        assert [entry["where"] for entry in logs if "where" in entry] == [HERE]
        (ill,) = (entry for entry in logs if entry["event"] == "a plugin is not well")
        assert "ValueError: too shallow (test_where_calls_fail.py, line " in ill["reason"]


@pytest.mark.parametrize(("package", "known"), [("pond_plugin", True), ("pond_library", False)])
def test_an_installed_package_that_brings_plugins_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, known: bool
) -> None:
    site = tmp_path / "lib" / "site-packages"
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text("def dive():\n    raise ValueError('too shallow')\n")
    info = site / "pond-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pond\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rekku.plugins]\npond = pond_plugin:Pond\n")
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(ValueError, match="shallow") as caught:
        importlib.import_module(package).dive()
    place = Raised(caught.value.with_traceback(caught.value.__traceback__.tb_next)).where  # type: ignore[union-attr]
    assert place == ("__init__.py, line 2" if known else "")
