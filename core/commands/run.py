"""`rekku run`: serve every configured interface."""

from __future__ import annotations

from core.commands.exit_status import finish


def run() -> None:
    """Serve every configured interface until SIGTERM.

    Then intake stops, what runs has up to 10 seconds to end, and the rest goes on at the next start. The log goes to
    stderr. The exit status is 0, or 2 when there is nothing to serve.
    """
    finish(_run)


def _run() -> int:
    from core.commands.startup import begin_starting, log_kept, mask_of, settings_for, tell_warnings

    begin_starting()

    from core.commands.event_loop import run_to_the_end
    from core.commands.serving import serve

    settings = settings_for()
    masker = mask_of(settings)
    with log_kept(settings, masker):
        tell_warnings(settings)
        return run_to_the_end(serve(settings, masker))
