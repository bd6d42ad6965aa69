"""Completion of slash commands, and of names behind an @."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from interfaces.console.terminal_text import visible_controls

_DESCRIPTION_CHARACTERS = 70


class NameCompleter(Completer):
    """Completes the first word of a line that starts with "/", and any word that starts with "@"."""

    def __init__(self, commands: Callable[[], Mapping[str, str]], mentions: Callable[[], Mapping[str, str]]) -> None:
        self._commands = commands
        self._mentions = mentions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the commands or names that begin with what stands before the cursor."""
        typed = document.text_before_cursor
        if is_command_word(typed):
            yield from _beginning_with(typed, "/", self._commands())
        elif (word := mentioning_word(typed)) is not None:
            yield from _beginning_with(word, "@", self._mentions())


def _beginning_with(typed: str, sign: str, offered: Mapping[str, str]) -> Iterable[Completion]:
    for name, description in sorted(offered.items()):
        word = sign + name.removeprefix(sign)
        if word.casefold().startswith(typed.casefold()):
            summary = visible_controls(description).partition("\n")[0][:_DESCRIPTION_CHARACTERS]
            yield Completion(word, start_position=-len(typed), display_meta=summary)


def completes_itself(text: str) -> bool:
    """Whether completions are offered while `text` is typed, without a key for it."""
    return is_command_word(text) or mentioning_word(text) is not None


def is_command_word(text: str) -> bool:
    """Whether `text` is the beginning of a slash command's name."""
    return text.startswith("/") and not any(character.isspace() for character in text)


def mentioning_word(text: str) -> str | None:
    """Return the word with an @ in front that the text ends with, or None."""
    word = text.split()[-1] if text and not text[-1].isspace() else ""
    return word if word.startswith("@") else None
