"""The terminal: commands and shell sessions for trainers, in a sandbox."""

from plugins.terminal.plugin import Terminal

PLUGIN_CLASS = Terminal

__all__ = ["PLUGIN_CLASS", "Terminal"]
