"""What plugin authors test with: fakes that are real implementations of the contracts, and an app around them."""

from core.replay.recording import Recording
from core.replay.replayed import Replay, replay_turn
from core.testing.clock import FakeClock
from core.testing.engine import Answer, ScriptedEngine, actions, message
from core.testing.interface import HANG, RecordingInterface
from core.testing.running import RunningApp, running_app

__all__ = [
    "HANG",
    "Answer",
    "FakeClock",
    "Recording",
    "RecordingInterface",
    "Replay",
    "RunningApp",
    "ScriptedEngine",
    "actions",
    "message",
    "replay_turn",
    "running_app",
]
