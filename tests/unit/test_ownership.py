"""Which processes may share a home, by their roles."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.commands.home_use import process_using
from core.contracts.errors import HomeInUse
from core.ownership import ALL_DUTIES, Duty, Ownership
from core.settings import Settings

GATEWAY, WORKER, SCHEDULER = ({duty} for duty in (Duty.GATEWAY, Duty.WORKER, Duty.SCHEDULER))


def on_server(home: Path) -> Settings:
    return Settings(home=home, database_url=SecretStr("mariadb://user:password@127.0.0.1:1/name"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ALL_DUTIES, ALL_DUTIES),
        (ALL_DUTIES, GATEWAY),
        (GATEWAY, GATEWAY),
        (GATEWAY | WORKER, GATEWAY),
        (SCHEDULER, ALL_DUTIES),
        (SCHEDULER, SCHEDULER | WORKER),
    ],
)
def test_a_home_on_a_server_has_one_process_for_a_role(tmp_path: Path, first: set[Duty], second: set[Duty]) -> None:
    settings = on_server(tmp_path)
    with Ownership(settings, first).held():
        assert process_using(tmp_path) == str(os.getpid())
        with pytest.raises(HomeInUse, match=f"process {os.getpid()}"), Ownership(settings, second).held():
            pass
        with pytest.raises(HomeInUse), Ownership(settings, first).held():
            pass  # the one that was refused has taken nothing away
    assert process_using(tmp_path) == ""
    with Ownership(settings, second).held():
        assert process_using(tmp_path) == str(os.getpid())


def test_each_role_and_as_many_workers_as_one_likes_share_a_home_on_a_server(tmp_path: Path) -> None:
    settings = on_server(tmp_path)
    seats = [Ownership(settings, duties) for duties in (GATEWAY, SCHEDULER, WORKER, WORKER, WORKER)]
    with ExitStack() as stack:
        for seat in seats:
            stack.enter_context(seat.held())
        assert len({seat.owner for seat in seats}) == len(seats)
        # What the first worker left is its successor's; the others have no place of their own.
        assert [seat.predecessors is None for seat in seats] == [False, False, False, True, True]


def test_a_home_on_a_file_has_one_process(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Ownership(settings, ALL_DUTIES).held(), pytest.raises(HomeInUse), Ownership(settings, ALL_DUTIES).held():
        pass
