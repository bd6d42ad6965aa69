"""Which messages have not been answered yet, as far as this run knows: an edit of such a one still counts."""

from __future__ import annotations

from collections import OrderedDict

MOST = 1000

Key = tuple[int, int]
"""A chat and a message in it."""


class Unanswered:
    """Messages that were taken in and whose turns have not ended."""

    def __init__(self) -> None:
        self._inputs: OrderedDict[Key, int] = OrderedDict()

    def add(self, message: Key, input_id: int) -> None:
        """A message was taken in."""
        self._inputs[message] = input_id
        if len(self._inputs) > MOST:
            self._inputs.popitem(last=False)

    def ended(self, input_id: int) -> None:
        """The turn of an input has ended."""
        for message, held in list(self._inputs.items()):
            if held == input_id:
                del self._inputs[message]

    def has(self, message: Key) -> bool:
        """Whether a message waits for its answer."""
        return message in self._inputs
