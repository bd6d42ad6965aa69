"""Telegram: private chats, groups and topics under one bot, by long polling or a webhook."""

from interfaces.telegram.interface import TelegramInterface

PLUGIN_CLASS = TelegramInterface

__all__ = ["PLUGIN_CLASS", "TelegramInterface"]
