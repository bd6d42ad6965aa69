"""What every test shares: database servers, and that with REKKU_REQUIRE_SERVICES=1 no service test may be skipped."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.database_servers import ServersOfTests

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


_LONG = {
    "tests/architecture/test_imports.py": "a process for each thing that is imported",
    "tests/architecture/test_layers.py": "the linter, on a tree with each breach; `make check` runs it on ours",
    "tests/docs/test_examples.py::test_it_keeps_to_the_rules": "a process for each example",
    "tests/faults": "processes that are killed, and servers",
    "tests/contracts/test_database_backup.py": "the servers' own tools",
    "tests/flows/test_authority_matrix.py": "every way in and every impostor",
    "tests/flows/test_canaries.py": "a real process, made to fail in many ways",
    "tests/flows/test_erasure.py": "interrupted everywhere",
    "tests/flows/test_isolated_crossing.py": "processes of plugins",
    "tests/flows/test_isolated_forgery.py": "processes of plugins",
    "tests/flows/test_isolation.py": "processes of plugins",
    "tests/flows/test_health.py": "processes that serve",
    "tests/flows/test_malformed_texts.py": "every malformed text on every way",
    "tests/flows/test_plugin_commands.py": "commands that wait for a process",
    "tests/flows/test_plugin_processes.py::test_nothing_that_one_has_started_is_left": "a process that is killed",
    "tests/flows/test_mcp_programs.py": "processes at both ends, and a library that takes seconds to import",
    "tests/flows/test_people_command.py": "every cell of every table",
    "tests/flows/test_reminder_sequences.py": "sequences that are played",
    "tests/flows/test_reminders_command.py": "many commands",
    "tests/flows/test_scheduled_backup.py": "the servers' own tools",
    "tests/flows/test_telegram_kill.py": "processes that are killed under load",
    "tests/flows/test_terminal_kill.py": "processes that are killed",
    "tests/unit/test_console_prompt.py": "terminals",
    "tests/unit/test_reply_properties.py": "thousands of malformed replies",
    "tests/unit/test_telegram_page.py": "whole pages of markup",
    "tests/unit/test_terminal_escapes.py": "ways out of the sandboxes",
    "tests/unit/test_terminal_sandbox.py": "what cannot be done in a sandbox",
    "tests/unit/test_terminal_sessions.py": "shells that are waited for",
}
"""What takes long, by its beginning, and why. These tests are marked `long`: see CONTRIBUTING.md."""

_EXHAUSTIVE = {
    "tests/contracts/test_database_copy.py": "six directions",
    "tests/faults/test_database_not_writable.py": "disks that fill up and servers that end of it",
    "tests/faults/test_processes.py": "processes that share the work of a server, killed and paused",
    "tests/flows/test_database_commands.py": "servers, their tools, and kills",
    "tests/flows/test_generated_plugins.py": "types of whole plugins, and processes",
    "tests/flows/test_long_history.py": "a hundred thousand messages",
    "tests/unit/test_conformance_zoo.py": "a process for each plugin",
}
"""What takes so long that it is run before a release and after work on it, in place of at each change; marked
`exhaustive`."""


_SLOW = (
    "tests/contracts/test_storage.py",
    "tests/flows/test_command_line.py",
    "tests/flows/test_policy_commands.py",
    "tests/contracts/test_schema.py",
    "tests/unit/test_terminal_commands.py",
    "tests/flows/test_access.py",
    "tests/flows/test_replay.py",
    "tests/flows/test_effects.py",
    "tests/flows/test_reminders.py",
)
"""Files that start servers and processes, the slowest first. Workers take whole files in this order: one of these
that came last would keep one worker busy while the others have nothing left to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long, and put the slow files first."""
    for item in items:
        if item.nodeid.startswith(tuple(_EXHAUSTIVE)):
            item.add_marker(pytest.mark.exhaustive)
        elif item.nodeid.startswith(tuple(_LONG)):
            item.add_marker(pytest.mark.long)
    place = {file: number for number, file in enumerate(_SLOW)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))  # stable for all others


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of garbage collections: looking through it takes long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@pytest.fixture(scope="session")
def database_servers() -> Iterator[ServersOfTests]:
    """Start database servers when a test asks for one; they end with the test run."""
    # Not below pytest's own directory, which PostgreSQL, as another user than root, may not enter.
    with tempfile.TemporaryDirectory(prefix="rekku-servers-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        servers = ServersOfTests(directory)
        try:
            yield servers
        finally:
            servers.stop()
