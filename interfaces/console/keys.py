"""What the keys do that prompt_toolkit would do otherwise."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def key_bindings(interrupt: Callable[[], None]) -> KeyBindings:
    """Return the bindings: Ctrl-C interrupts, Enter on a blank line does nothing, Alt-Enter starts a new line."""
    keys = KeyBindings()
    blank = Condition(lambda: not get_app().current_buffer.text.strip())

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _interrupt(event: KeyPressEvent) -> None:
        interrupt()

    @keys.add("enter", filter=blank)
    def _nothing(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
