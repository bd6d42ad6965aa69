"""The commands that plugins bring, `rekku NAME …`: of plugins that are loaded, and not started."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from core.commands.exit_status import CANNOT_START, CommandFailed, finish
from core.commands.terminal_text import complain
from core.contracts.errors import RekkuError

if TYPE_CHECKING:
    from core.app import App
    from core.contracts.slots import CommandGroup
    from core.registry.component import Component

_OF_TYPER: tuple[type[Exception], ...] = tuple(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException" and issubclass(base, Exception)
)
"""What typer itself tells its user: a wrong option, a missing argument."""


class WithPlugins(TyperGroup):
    """The tree of commands, in which a name that it does not have is looked for in the plugins."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None where nobody has it."""
        return super().get_command(ctx, cmd_name) or plugin_command(cmd_name)


def plugin_command(name: str) -> Any:
    """Return the command of a plugin, None when none has one of that name; only plugins that have some load."""
    from core.commands.startup import settings_for, tell_broken
    from core.commands.wanted_plugins import plugins_that_say

    try:
        settings = settings_for()
        wanted = plugins_that_say(settings, "command_groups")
        if not wanted:
            return None
        from core.commands.loaded import loaded_app

        app = loaded_app(settings, only=lambda found: found.source in wanted)
    except RekkuError as error:
        complain(error.explain())
        raise typer.Exit(CANNOT_START) from None
    for component, group in groups_of(app):
        if group.name == name:
            return _command(app, component, group)
    _refuse_absent(app, name)
    tell_broken(app)  # one of them may be the one that has it
    return None


def _refuse_absent(app: App, name: str) -> None:
    """Say which plugin out of use has a command and what to do; the command line ends with that."""
    from core.registry.out_of_use import condition, owner_of_group

    component = owner_of_group(app.registry.components("plugin"), name)
    if component is None:
        return
    cure = f"`rekku plugins enable {component.name}` brings it back."
    if component.state == "failed":
        at = f" ({component.stage})" if component.stage else ""
        complain(app.masker.text(f"The plugin {component.name} does not work{at}: {component.reason}"))
        cure = f"`rekku {name}` is there once that is mended; `rekku plugins check` says more."
    else:
        if not component.reason:
            cure = f"Remove `enabled = false` of [plugins.{component.name}] in rekku.toml."
        complain(
            app.masker.text(f"`rekku {name}`: the plugin {component.name} is out of use: {condition(component)}.")
        )
    complain(cure)
    raise typer.Exit(CANNOT_START)


def groups_of(app: App) -> list[tuple[Component, CommandGroup]]:
    """Return the commands of the plugins that load cleanly."""
    return [(component, group) for component in app.registry.components("plugin") for group in component.groups]


def _command(app: App, component: Component, group: CommandGroup) -> Any:
    command = typer.main.get_command(_tree(app, component, group))
    invoke = command.invoke

    @functools.wraps(invoke)
    def invoked(ctx: Any) -> Any:
        from core.commands.startup import log_kept

        try:
            with log_kept(app.settings, app.masker, quiet="ERROR"):
                if not app.registry.prepare(component):
                    raise CommandFailed(f"The plugin {component.name} cannot be used: {component.reason}")
                status = invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except _OF_TYPER:
            raise
        except Exception as error:  # noqa: BLE001 - foreign code: its user is told in a line
            finish(functools.partial(_failed, app, component, error))
        finish(lambda: status if isinstance(status, int) and not isinstance(status, bool) else 0)

    command.invoke = invoked  # type: ignore[method-assign] # around all that is below it
    return command


def _failed(app: App, component: Component, error: Exception) -> int:
    from core.services.foreign import Raised

    if isinstance(error, CommandFailed | BrokenPipeError):
        raise error
    raise CommandFailed(app.masker.text(f"The plugin {component.name}: {Raised(error).sentence}"))


def _tree(app: App, component: Component, group: CommandGroup) -> typer.Typer:
    if isinstance(group.run, typer.Typer):
        return group.run
    tree = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=isinstance(group.run, Mapping))
    if isinstance(group.run, Mapping):
        tree.callback(help=group.description)(lambda: None)  # or one with a single word would do without it
        for word, function in group.run.items():
            tree.command(word)(_awaited(app, component, function))
    else:
        tree.command(help=group.description)(_awaited(app, component, group.run))
    return tree


def _awaited(app: App, component: Component, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function so that typer can call it: one that is written with async, with the database open."""
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(_with_database(app, component, functools.partial(function, *args, **kwargs)))

    return run


async def _with_database(app: App, component: Component, work: Callable[[], Any]) -> Any:
    from core.commands.stored import may_exist, require_current

    there = may_exist(app.settings)
    if there:
        await app.database.start()
    try:
        if there:
            await require_current(app.database)
        return await work()
    finally:
        await component.instance.context.release()
        if there:
            await app.database.stop()
