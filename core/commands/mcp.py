"""`rekku mcp`: serve Rekku's actions to an MCP client, on standard input and output or over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from core.commands.exit_status import finish

Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Serve over HTTP here, in place of standard input and output; the token is [interfaces.mcp] token.",
        show_default=False,
    ),
]


def mcp(listen: Listen = None) -> None:
    """Serve Rekku's actions to an MCP client.

    It calls them as the principal of [interfaces.mcp]. The client starts this and speaks to it on standard input and
    output; the log goes to stderr. It ends when the client closes its end, or at SIGTERM. Every call passes the same
    gate as anybody's and stands in the ledger.
    """
    finish(lambda: _mcp(listen or ""))


def _mcp(listen: str) -> int:
    from core.commands.startup import begin_starting, log_kept, mask_of, settings_for

    begin_starting()

    from core.commands.action_service import serve_actions, with_listen
    from core.commands.event_loop import run_to_the_end
    from core.settings import ensure_home

    settings = with_listen(settings_for(), listen)
    masker = mask_of(settings)
    ensure_home(settings)
    with log_kept(settings, masker, quiet="WARNING"):
        return run_to_the_end(serve_actions(settings, masker, over_http=bool(listen)))
