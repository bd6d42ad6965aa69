"""`rekku doctor`: what works and what does not, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.commands.exit_status import FAILED, finish
from core.commands.options import AsJson

if TYPE_CHECKING:
    from core.commands.check import Check


NOT_RUNNING = "No process runs here: the health checks that plugins add can be asked only beside `rekku run`."
NONE_TOLD = "Health checks that plugins add are told by `rekku run` alone; this process told of none."


def doctor(as_json: AsJson = False) -> None:
    """Show what works and what does not, and the cure.

    Every setting is shown, and whether home, database, engines, interfaces and plugins work. Nothing is changed, and
    a process that runs need not be stopped. The exit status is 0 when all that is configured works, else 1.
    """
    finish(lambda: _doctor(as_json))


def _doctor(as_json: bool) -> int:
    from core.commands.check import FAILED as BROKEN
    from core.commands.check import Check
    from core.commands.event_loop import run_and_leave
    from core.commands.examination import Known, examine
    from core.commands.home_use import process_using
    from core.commands.last_states import last_states
    from core.commands.shown_progress import shown_waiting
    from core.commands.startup import log_kept, mask_of, settings_for
    from core.commands.stored import stored_wishes
    from core.commands.terminal_text import complain, say, say_json
    from core.contracts.errors import ConfigurationError

    rows: list[tuple[str, str, str]] = []
    process = ""
    try:
        settings = settings_for()
    except ConfigurationError as error:
        checks = [Check(area="settings", name="settings", state=BROKEN, detail=str(error), cure=error.cure)]
    else:
        rows = settings.describe()
        process = process_using(settings.home)
        masker = mask_of(settings)
        with log_kept(settings, masker, quiet="ERROR"), shown_waiting("looking at everything"):
            known = Known(wishes=stored_wishes(settings), last=last_states(settings))
            examined = run_and_leave(
                examine(settings, masker, process, lambda what: complain(f"waiting for {what} …"), known)
            )
            checks = [check.masked(masker.text) for check in examined]
    works = all(check.state != BROKEN for check in checks)
    if as_json:
        named = [{"key": key, "value": value, "source": source} for key, value, source in rows]
        say_json({"ok": works, "process": process, "settings": named, "checks": [c.as_json() for c in checks]})
    else:
        say(_report(rows, checks, works, process))
    return 0 if works else FAILED


def _report(settings: list[tuple[str, str, str]], checks: list[Check], works: bool, process: str) -> str:
    from core.commands.table import table
    from core.commands.terminal_text import typed
    from core.health.readiness import CHECK

    lines = []
    if settings:
        lines += [table(("SETTING", "VALUE", "FROM"), settings), ""]
    area, name = (max(len(getattr(check, key)) for check in checks) for key in ("area", "name"))
    for check in checks:
        lines.append(f"{check.state:<8}{check.area:<{area}}  {check.name:<{name}}  {check.detail}".rstrip())
        if check.cure:
            lines.append(f"{'':8}{'':{area}}  {'':{name}}  -> {check.cure}")
    return "\n".join(
        [
            *lines,
            "",
            "All that was examined works." if works else "Something does not work; see above.",
            f"Plugins were loaded, not started: `{typed('plugins', 'check')} NAME` starts one.",
            *([] if any(check.area == CHECK for check in checks) else [NONE_TOLD if process else NOT_RUNNING]),
        ]
    )
