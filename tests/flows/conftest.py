"""On which databases the flows run.

Those of `ON_ALL` run on each, the others on SQLite. `REKKU_TEST_DATABASE=mariadb` or `postgresql` runs every flow on
that server, but those that are marked `sqlite`: they look at the file, or start a process beside the app.
"""

from __future__ import annotations

import os

import pytest
from pydantic import SecretStr

from core.settings import Settings
from tests.support.database_servers import DIALECTS, ServersOfTests

ON_ALL = ("test_effects", "test_lanes", "test_long_history")
_TIERS = {"mariadb": pytest.mark.long, "postgresql": pytest.mark.exhaustive}
CHOSEN = os.environ.get("REKKU_TEST_DATABASE", "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take the tests of some files once for each database."""
    kinds = [CHOSEN] if CHOSEN else DIALECTS if metafunc.module.__name__.rpartition(".")[2] in ON_ALL else ["sqlite"]
    if metafunc.definition.get_closest_marker("sqlite"):
        kinds = ["sqlite"]
    if kinds != ["sqlite"]:
        params = [
            pytest.param(kind, marks=[] if kind == "sqlite" else [pytest.mark.service, _TIERS[kind]], id=kind)
            for kind in kinds
        ]
        metafunc.fixturenames.append("database_kind")
        metafunc.parametrize("database_kind", params, indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put every app of a test on a database of this kind: those of one home on the same."""
    kind: str = request.param
    if kind != "sqlite":
        servers: ServersOfTests = request.getfixturevalue("database_servers")
        urls: dict[object, SecretStr] = {}

        def server(settings: Settings) -> SecretStr | None:
            if settings.home not in urls:
                urls[settings.home] = SecretStr(servers.url(kind))
            return urls[settings.home]

        monkeypatch.setattr(Settings, "database_server", property(server))
    return kind
