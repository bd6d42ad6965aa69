"""A recorded turn as a test that runs by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from core.replay.recording import Recording

_TEST = '''"""Turn {turn} as it was recorded: what was said was {said}."""

import json
from pathlib import Path

import pytest
from core.testing import Recording, replay_turn

RECORDING = Recording.from_json(
    json.loads(
        r"""
{recording}
"""
    )
)
PLUGINS = [{plugins}]


@pytest.mark.asyncio
async def test_turn_{turn}() -> None:
    replayed = await replay_turn(RECORDING, plugin_path=PLUGINS)
    # Which actions came of it, and what became of each; what they returned may change with the time of day.
    assert replayed.differences(outputs=False) == []
'''
SHOWN = 60


def written_test(recording: Recording, plugin_path: Sequence[Path]) -> str:
    """Return the text of the test. plugin_path: the directories of the plugins that the turn had beside the usual."""
    # Not a quote is left of what somebody said: it must not end the literal that it stands in.
    text = json.dumps(recording.as_json(), indent=2).replace('"""', '""\\u0022')
    said = ascii(recording.text[:SHOWN]).replace('"', "'").replace("\\", "/")
    paths = ", ".join(f"Path({str(path)!r})" for path in plugin_path)
    return _TEST.format(turn=recording.turn, said=said, recording=text, plugins=paths)
