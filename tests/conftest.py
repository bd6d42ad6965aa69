"""What every test shares: with REKKU_REQUIRE_SERVICES=1 a service test that skips itself has failed."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

_SERVICES_ARE_REQUIRED = os.environ.get("REKKU_REQUIRE_SERVICES") == "1"


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: {reason}. Nothing may be skipped here: REKKU_REQUIRE_SERVICES=1."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test marked `service` into a failure where services are required."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if _SERVICES_ARE_REQUIRED and skipped and item.get_closest_marker("service"):
        _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Likewise for a file that skips itself whole: its tests, and so their marks, are never seen."""
    report = yield
    if _SERVICES_ARE_REQUIRED and report.skipped:
        _as_failure(report)
    return report
