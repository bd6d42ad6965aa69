"""The console: a conversation in this terminal, one message a line from a pipe, or a single message."""

from interfaces.console.interface import ConsoleInterface

PLUGIN_CLASS = ConsoleInterface

__all__ = ["PLUGIN_CLASS", "ConsoleInterface"]
