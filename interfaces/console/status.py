"""The line above the prompt: what Rekku is doing, and for how long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from core.contracts.deliveries import Activity, ActivityKind
from interfaces.console.terminal_text import visible_controls

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_PER_S = 10
_KEPT = 64
_STOP_AGAIN_S = 2.0
_ROOM_FOR_HINT = 50


@dataclass(slots=True, kw_only=True)
class _Turn:
    started_s: float
    text: str = "thinking"


class Status:
    """Knows the turns that run and the inputs that wait for theirs. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.notice = ""
        """A sentence for the user, shown while no turn runs."""
        self._turns: OrderedDict[int, _Turn] = OrderedDict()
        self._waiting: OrderedDict[int, None] = OrderedDict()
        # An input's turn may start, and even end, before we are told that the input was accepted.
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._stop_asked_s: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a turn runs or is about to."""
        return bool(self._turns or self._waiting)

    def accepted(self, input_id: int) -> None:
        """An input is durable; its turn will start."""
        if input_id not in self._seen:
            _keep(self._waiting, input_id)

    def ask_stop(self, now_s: float) -> bool:
        """The user wants the turn to stop; returns False when that was asked a moment ago."""
        if self._stop_asked_s is not None and now_s - self._stop_asked_s < _STOP_AGAIN_S:
            return False
        self._stop_asked_s = now_s
        return True

    def note(self, activity: Activity, now_s: float) -> None:
        """Take note of an activity."""
        id_ = activity.input_id
        self._waiting.pop(id_, None)
        _keep(self._seen, id_)
        if activity.kind is ActivityKind.ENDED:
            self._turns.pop(id_, None)
            if not self._turns:
                self._stop_asked_s = None
            return
        turn = self._turns.get(id_)
        if turn is None:
            turn = self._turns[id_] = _Turn(started_s=now_s)
            if len(self._turns) > _KEPT:
                self._turns.popitem(last=False)
        if text := " ".join(visible_controls(activity.text).split()):
            turn.text = text

    def line(self, now_s: float, columns: int) -> str:
        """Return one line of at most `columns` characters about the turn that runs; "" when none does."""
        if not self._turns:
            return ""
        turn = next(iter(self._turns.values()))
        frame = _FRAMES[int(now_s * _FRAMES_PER_S) % len(_FRAMES)]
        stopping = self._stop_asked_s is not None and turn.started_s <= self._stop_asked_s
        doing = "stopping" if stopping else turn.text
        tail = f" {max(0, int(now_s - turn.started_s))} s"
        if self._waiting:
            tail += f" · {len(self._waiting)} more waiting"
        if not stopping and columns >= _ROOM_FOR_HINT:
            tail += " · Ctrl-C stops"
        room = columns - len(frame) - 1 - len(tail)
        if len(doing) > room:
            doing = doing[: max(0, room - 1)] + "…"
        return f"{frame} {doing}{tail}"[: max(0, columns)]


def _keep(ids: OrderedDict[int, None], id_: int) -> None:
    ids[id_] = None
    if len(ids) > 4 * _KEPT:
        ids.popitem(last=False)
