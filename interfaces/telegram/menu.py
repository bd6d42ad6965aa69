"""The menu of commands that Telegram shows: one for everybody, and a longer one where trainers are alone with it.

Source: https://core.telegram.org/bots/api#setmycommands
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from aiogram.exceptions import TelegramAPIError
from aiogram.methods import SetMyCommands
from aiogram.types import BotCommand, BotCommandScopeChat, BotCommandScopeDefault

from interfaces.telegram.client import Client

MOST_COMMANDS = 100
LONGEST_DESCRIPTION = 256
_NAME = re.compile(r"[a-z0-9_]{1,32}")


def menu(commands: Mapping[str, str]) -> list[BotCommand]:
    """Return what Telegram takes of the commands (name, with or without "/", to description), by name."""
    listed = sorted((name.removeprefix("/").lower(), " ".join(text.split())) for name, text in commands.items())
    fitting = [(name, text[:LONGEST_DESCRIPTION] or name) for name, text in listed if _NAME.fullmatch(name)]
    return [BotCommand(command=name, description=text) for name, text in fitting[:MOST_COMMANDS]]


async def set_menus(
    client: Client, everybody: Mapping[str, str], trainers: Mapping[str, str], trainer_ids: Collection[str]
) -> list[str]:
    """Set the menus; return what was refused (a trainer who has never written to the bot has no chat with it)."""
    refused: list[str] = []
    scopes: list[tuple[BotCommandScopeDefault | BotCommandScopeChat, list[BotCommand]]] = []
    if everybody:
        scopes.append((BotCommandScopeDefault(), menu(everybody)))
    if trainers:
        scopes += [
            (BotCommandScopeChat(chat_id=int(trainer)), menu(trainers))
            for trainer in sorted(trainer_ids)
            if trainer.isdecimal()
        ]
    for scope, commands in scopes:
        try:
            await client(SetMyCommands(commands=commands, scope=scope))
        except TelegramAPIError as error:
            refused.append(str(error))
    return refused
