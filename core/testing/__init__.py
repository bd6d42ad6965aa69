"""What plugin authors test with: fakes that are real implementations of the contracts, and an app around them."""

from core.testing.clock import FakeClock
from core.testing.engine import Answer, ScriptedEngine, actions, message
from core.testing.interface import HANG, RecordingInterface
from core.testing.running import RunningApp, running_app

__all__ = [
    "HANG",
    "Answer",
    "FakeClock",
    "RecordingInterface",
    "RunningApp",
    "ScriptedEngine",
    "actions",
    "message",
    "running_app",
]
