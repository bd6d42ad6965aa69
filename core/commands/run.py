"""`rekku run`: serve every configured interface."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from core.commands.exit_status import finish
from core.commands.options import Watch


class RoleOption(StrEnum):
    """The names of `core.ownership.Duty`, which is not imported just to show the help."""

    GATEWAY = "gateway"
    WORKER = "worker"
    SCHEDULER = "scheduler"


Roles = Annotated[
    list[RoleOption] | None,
    typer.Option(
        "--role",
        metavar="ROLE",
        help="Do only this, where several processes share one database server; may be given more than once.",
        show_default=False,
    ),
]


def run(role: Roles = None, watch: Watch = False) -> None:
    """Serve every configured interface until SIGTERM.

    Then intake stops, what runs has up to 8 seconds to end, and the rest goes on at the next start. The log goes to
    stderr. A database server that is away is waited for. The exit status is 0, or 2 when there is nothing to serve.
    """
    finish(lambda: _run(role or [], watch=watch))


def _run(roles: list[RoleOption], *, watch: bool) -> int:
    from core.commands.startup import begin_starting, log_kept, mask_of, settings_for

    begin_starting()

    from core.commands.event_loop import run_to_the_end
    from core.commands.serving import serve
    from core.ownership import ALL_DUTIES, Duty

    settings = settings_for()
    masker = mask_of(settings)
    with log_kept(settings, masker):
        return run_to_the_end(serve(settings, masker, frozenset(map(Duty, roles)) or ALL_DUTIES, watch=watch))
