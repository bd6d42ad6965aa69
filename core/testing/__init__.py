"""What plugin authors test with: fakes that are real implementations of the contracts, and an app around them."""

from core.contracts.errors import ActionFailed
from core.replay.comparison import Replay
from core.replay.recording import Recording
from core.replay.replayed import replay_turn
from core.testing.action_context import SOMEBODY, RecordedAction
from core.testing.clock import FakeClock
from core.testing.conformance import check_plugin
from core.testing.engine import Answer, ScriptedEngine, actions, message
from core.testing.interface import HANG, RecordingInterface
from core.testing.plugin import PluginAlone, alone, turn
from core.testing.running import Acted, RunningApp, running_app

__all__ = [
    "HANG",
    "SOMEBODY",
    "Acted",
    "ActionFailed",
    "Answer",
    "FakeClock",
    "PluginAlone",
    "RecordedAction",
    "Recording",
    "RecordingInterface",
    "Replay",
    "RunningApp",
    "ScriptedEngine",
    "actions",
    "alone",
    "check_plugin",
    "message",
    "replay_turn",
    "running_app",
    "turn",
]
