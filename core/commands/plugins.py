"""`rekku plugins`: which components there are, why some do not work, and what authors of new ones need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.commands.exit_status import finish
from core.commands.options import AsJson

if TYPE_CHECKING:
    from core.conformance.findings import Finding
    from core.settings import Settings

group = typer.Typer(no_args_is_help=True, help="Look at plugins, engines and interfaces; change and write plugins.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The plugin.", show_default=False)]


@group.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all plugins, engines and interfaces, with state and reason.

    They are loaded, not started: "ok" means that one loads cleanly; `plugins check NAME` starts it. Where events are
    kept, the state of the last run is shown, too. Works beside a running process.
    """
    finish(lambda: _list(as_json))


@group.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: a-z, 0-9 and _.", show_default=False)],
    folder: Annotated[bool, typer.Option("--folder", help="A folder instead of one file.")] = False,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Where to; REKKU_HOME/plugins if it is left out.")
    ] = None,
) -> None:
    """Write a plugin that runs as it is, with its test and README.

    It has a configuration, an action and a hook, to be changed into what you want. What exists is never
    overwritten.
    """
    finish(lambda: _new(name, folder, into))


@group.command("check")
def check(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, a folder, or an installed name.", show_default=False)
    ],
    run_reads: Annotated[bool, typer.Option("--run", help="Run actions that only read, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check whether a plugin keeps to the rules, and how to mend it.

    It is imported, started and stopped twice in a process of its own, with an empty home that is thrown away, and
    without the environment's secrets. Actions are not run, but with --run those whose effect is "read". Where
    rekku.toml configures it, it is then asked, without being started, whether it would work so.
    """
    finish(lambda: _check(path, run_reads, as_json))


@group.command()
def enable(name: Name) -> None:
    """Use a plugin again that was disabled or quarantined."""
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("enable", name))


@group.command()
def disable(name: Name) -> None:
    """Take a plugin out of use, until it is enabled again.

    What requires it is stopped with it. A process that runs is told and need not be restarted.
    """
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("disable", name))


@group.command()
def reload(name: Name) -> None:
    """Have a running process load a plugin anew.

    When the new one cannot be loaded or started, the old one goes on, and the reason is told.
    """
    from core.commands.plugin_wish import wish_for

    finish(lambda: wish_for("reload", name))


@group.command()
def config(name: Name, as_json: AsJson = False) -> None:
    """Show what a plugin can be set to, and what is in force."""
    from core.commands.plugin_configuration import show_configuration

    finish(lambda: show_configuration(name, as_json=as_json))


@group.command()
def commands(as_json: AsJson = False) -> None:
    """List the commands of their own that plugins bring: `rekku NAME …`."""
    finish(lambda: _commands(as_json))


def _commands(as_json: bool) -> int:
    from core.commands.loaded import loaded_app
    from core.commands.plugin_commands import groups_of
    from core.commands.startup import settings_for
    from core.commands.table import table
    from core.commands.terminal_text import say, say_json

    rows = [
        (group.name, component.name, group.description) for component, group in groups_of(loaded_app(settings_for()))
    ]
    if as_json:
        say_json([dict(zip(("name", "plugin", "description"), row, strict=True)) for row in rows])
    else:
        say(table(("NAME", "PLUGIN", "DESCRIPTION"), rows))
    return 0


def _list(as_json: bool) -> int:
    from core.commands.last_states import last_states
    from core.commands.loaded import loaded_app, standings
    from core.commands.shown_progress import shown_waiting
    from core.commands.startup import settings_for, tables_of_nobody
    from core.commands.table import table
    from core.commands.terminal_text import complain, say, say_json, typed

    settings = settings_for()
    with shown_waiting("loading what there is"):
        app = loaded_app(settings)
        rows = standings(app, last_states(settings))
    if as_json:
        say_json([row.as_json() for row in rows])
    else:
        headings = ("KIND", "NAME", "STATE", "STAGE", "REASON", "SOURCE")
        say(table(headings, [(r.kind, r.name, r.state, r.stage, r.reason, r.source) for r in rows]))
        say(f"\nThey were loaded, not started. `{typed('plugins', 'check')} NAME` starts one and says what is wrong.")
    for sentence in tables_of_nobody(app):
        complain(sentence)
    return 0


def _new(name: str, folder: bool, into: Path | None) -> int:
    from core.commands.plugin_skeleton import how_to_test, write_skeleton
    from core.commands.startup import settings_for
    from core.commands.terminal_text import say, typed

    home = settings_for().home
    usual = home / "plugins"
    made = write_skeleton(name, into or usual, folder=folder, home=home)
    say(f"Written: {made.plugin}\n         {made.test}\n         {made.readme}\n")
    if into is not None and into.resolve() != usual.resolve():
        say(f"To have it found: REKKU_PLUGIN_PATH={into.resolve()}, or move it to {usual}.")
    phrase = f"{name.replace('_', ' ')} greet Ada"
    say(f"Try it:    {typed('chat', '--once', phrase)}")
    first, *more = how_to_test(made.test)
    say(f"Test it:   {first}")
    for line in more:
        say(f"           {line}")
    say(f"Check it:  {typed('plugins', 'check', str(made.plugin))}")
    return 0


def _configured(settings: Settings, path: Path) -> list[Finding]:
    from core.commands.configured_check import configured_check
    from core.commands.event_loop import run_and_leave
    from core.commands.startup import log_kept, mask_of

    masker = mask_of(settings)
    with log_kept(settings, masker, quiet="ERROR"):
        return run_and_leave(configured_check(settings, masker, path))


def _check(path: str, run_reads: bool, as_json: bool) -> int:
    import os

    from core.commands.exit_status import FAILED, CommandFailed
    from core.commands.shown_progress import shown_waiting
    from core.commands.startup import settings_for
    from core.commands.terminal_text import on_one_line, say, say_json
    from core.conformance import findings
    from core.conformance.separate_process import check
    from core.conformance.target import target_of
    from core.contracts.errors import DeclarationError

    settings = settings_for()
    try:
        target = target_of(path, settings.home, os.pathsep.join(map(str, settings.plugin_path)))
    except DeclarationError as error:
        raise CommandFailed(str(error), cure=error.cure) from error
    with shown_waiting(f"checking {target.path.name} in a process of its own"):
        found = check(target, run_reads=run_reads)
        if findings.worst(found) != findings.FAILED:
            found = [*found, *_configured(settings, target.path)]
    if as_json:
        say_json([finding.as_json() for finding in found])
    else:
        for finding in found:
            where = f" ({finding.where})" if finding.where else ""
            say(on_one_line(f"{finding.state:8} {finding.check}: {finding.detail}{where}"))
            if finding.cure:
                say(on_one_line(f"{'':8} {finding.cure}"))
    return FAILED if findings.worst(found) == findings.FAILED else 0
