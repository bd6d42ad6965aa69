"""Completion of slash commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from interfaces.console.terminal_text import visible_controls

_DESCRIPTION_CHARACTERS = 70


class CommandCompleter(Completer):
    """Completes the first word of a line that starts with "/"."""

    def __init__(self, commands: Callable[[], Mapping[str, str]]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the commands that begin with what stands before the cursor."""
        typed = document.text_before_cursor
        if not is_command_word(typed):
            return
        for name, description in sorted(self._commands().items()):
            command = "/" + name.removeprefix("/")
            if command.startswith(typed.lower()):
                summary = visible_controls(description).partition("\n")[0][:_DESCRIPTION_CHARACTERS]
                yield Completion(command, start_position=-len(typed), display_meta=summary)


def is_command_word(text: str) -> bool:
    """Whether `text` is the beginning of a slash command's name."""
    return text.startswith("/") and not any(character.isspace() for character in text)
