"""`rekku replay`: a recorded turn once more, against the plugins of today."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.commands.exit_status import FAILED, CommandFailed, finish
from core.commands.options import AsJson
from core.counted import counted

if TYPE_CHECKING:
    from core.replay.comparison import Difference, Replay
    from core.replay.recording import Recording
    from core.settings import Settings

TurnNumber = Annotated[
    int, typer.Argument(metavar="TURN", help="The number that `ledger list` shows.", show_default=False)
]
AsTest = Annotated[
    Path | None,
    typer.Option("--pytest", metavar="FILE", help="Write the turn as a test, and run nothing.", show_default=False),
]


def replay(turn: TurnNumber, pytest: AsTest = None, as_json: AsJson = False) -> None:
    """Run a recorded turn again, and show what differs today.

    The model is not asked: its replies are those that it gave then. No action touches the outside and
    nothing is kept: external actions are answered with what became of them then. Works beside a running process. The
    exit status is 0 when all was done as it was, 1 when something differs; what reading actions return may differ.
    """
    finish(lambda: _replay(turn, pytest, as_json))


def _replay(turn: int, pytest: Path | None, as_json: bool) -> int:
    from core.commands.plugin_skeleton import how_to_test
    from core.commands.startup import log_kept, mask_of, settings_for
    from core.commands.terminal_text import say, say_json

    settings = settings_for()
    recording = _recording(settings, turn)
    if pytest is not None:
        _write(pytest, recording, settings)
        say("\n".join([f"{pytest} holds turn {turn}. Run it with:", *(f"  {line}" for line in how_to_test(pytest))]))
        return 0
    with log_kept(settings, mask_of(settings), quiet="ERROR"), contextlib.redirect_stdout(sys.stderr):
        came = asyncio.run(_run(settings, recording))
    differences = came.differences()
    if as_json:
        say_json(
            {
                "turn": turn,
                "state": came.state,
                "actions": len(came.actions),
                "differences": [_as_json(each) for each in differences if not each.returned],
                "returned": [_as_json(each) for each in differences if each.returned],
            }
        )
    else:
        say(told_of(came))
    return FAILED if any(not each.returned for each in differences) else 0


def _as_json(difference: Difference) -> dict[str, str]:
    return {"where": difference.where, "then": difference.then, "now": difference.now}


def told_of(came: Replay) -> str:
    """Return what is printed: what was done differently, apart from it what reading actions returned, and the sum."""
    found = came.differences()
    done = [str(each) for each in found if not each.returned]
    returned = [str(each) for each in found if each.returned]
    lines = [*done, *([""] if done and returned else [])]
    if returned:
        lines += ["What reading actions returned:", "", *returned, ""]
    return "\n".join([*lines, _sentence(came, len(done))])


def _sentence(came: Replay, differences: int) -> str:
    turn = came.recording.turn
    replies = "1 reply" if len(came.recording.replies) == 1 else f"{len(came.recording.replies)} replies"
    what = f"{replies} recorded, {counted(len(came.actions), 'action')}"
    if not differences:
        return f"What was done in turn {turn} came out as it did then: {what}."
    return f"Turn {turn} came out differently in {counted(differences, 'place')}: {what}."


def _recording(settings: Settings, turn: int) -> Recording:
    from core.commands.loaded import loaded_app
    from core.commands.policy_explanation import known_role
    from core.commands.stored import read_stored, stored_roles
    from core.contracts.inputs import Principal
    from core.replay.recording import NoRecording, Recording, read_recording

    try:
        found = Recording.from_json(read_stored(settings, lambda conn: read_recording(conn, turn, "").as_json()))
    except NoRecording as error:
        raise CommandFailed(str(error), cure=error.cure) from error
    role = known_role(loaded_app(settings), Principal.parse(found.principal), stored_roles(settings))
    return Recording.from_json(found.as_json() | {"role": role.value})


async def _run(settings: Settings, recording: Recording) -> Replay:
    from core.replay.copied_home import DATABASE, copy_database
    from core.replay.replayed import replay_turn

    with tempfile.TemporaryDirectory(prefix="rekku-replay-") as name:
        copied = await copy_database(settings, Path(name))
        return await replay_turn(recording, settings, database=Path(name) / DATABASE if copied else None)


def _write(path: Path, recording: Recording, settings: Settings) -> None:
    from core.replay.written_test import written_test

    own = settings.home / "plugins"
    folders = [*settings.plugin_path, *([own] if own.is_dir() else [])]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(written_test(recording, folders))
    except FileExistsError:
        raise CommandFailed(f"{path} is there already.", cure="Name another file.") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error
