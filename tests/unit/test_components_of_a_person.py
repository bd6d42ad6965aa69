"""What the components that come along keep of a person themselves: exported and erased, and nobody else's."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import cast

from prompt_toolkit.history import FileHistory

from core.contracts.inputs import Principal
from core.contracts.services import PluginContext
from interfaces.console import PLUGIN_CLASS as CONSOLE
from interfaces.telegram import TelegramInterface
from interfaces.telegram.kept_of_person import HELD, REACTIONS
from plugins.terminal import PLUGIN_CLASS as TERMINAL
from plugins.terminal.sessions import REMEMBERED
from tests.support.telegram_bot import TelegramContext

ANN, BOB = Principal("telegram", "5"), Principal("telegram", "55")


async def test_telegram_keeps_how_long_a_chat_is_left_alone_and_reactions() -> None:
    interface = TelegramInterface()
    values = {
        HELD: {"5": [1000, 3.5], "55": [1000, 4], "-100": [1, 1]},
        REACTIONS: {"1": [5, 71], "2": [55, 72], "3": [5, 73]},
    }
    context = TelegramContext(values=values)
    interface.context = cast(PluginContext, context)
    assert await interface.export_person(ANN) == {HELD: [1000, 3.5], REACTIONS: [[5, 71], [5, 73]]}
    assert await interface.export_person(Principal("telegram", "6")) is None
    assert await interface.export_person(Principal("discord", "5")) is None
    assert await interface.erase_person(Principal("discord", "5")) == 0
    assert await interface.erase_person(ANN) == 3
    assert context.values == {HELD: {"55": [1000, 4], "-100": [1, 1]}, REACTIONS: {"2": [55, 72]}}
    assert await interface.erase_person(ANN) == 0
    assert await interface.export_person(BOB) == {HELD: [1000, 4], REACTIONS: [[55, 72]]}


async def test_the_terminal_keeps_the_names_of_sessions() -> None:
    plugin = TERMINAL()
    values = {REMEMBERED: [[str(ANN), "build", "lost when Rekku restarted"], [str(BOB), "main", ""]]}
    context = TelegramContext(values=dict(values))
    plugin.context = cast(PluginContext, context)
    assert await plugin.export_person(ANN) == [{"session": "build", "gone": "lost when Rekku restarted"}]
    assert await plugin.export_person(Principal("telegram", "6")) is None
    assert await plugin.erase_person(ANN) == 1
    assert context.values == {REMEMBERED: [[str(BOB), "main", ""]]}
    assert await plugin.erase_person(ANN) == 0


async def test_the_console_keeps_what_was_typed(tmp_path: Path) -> None:
    interface = CONSOLE()
    interface.context = cast(PluginContext, TelegramContext(data_directory=tmp_path))
    here, other = Principal("console", getpass.getuser()), Principal("console", "somebody-else")
    assert await interface.export_person(here) is None
    assert await interface.erase_person(here) == 0
    file = FileHistory(str(tmp_path / "history"))
    typed = ["hello", "two\nlines", "+ not a mark", "# no comment"]
    for line in typed:
        file.store_string(line)
    assert await interface.export_person(here) == typed
    assert await interface.export_person(other) is None
    assert await interface.erase_person(other) == 0
    assert await interface.erase_person(here) == 4
    assert not (tmp_path / "history").exists()
