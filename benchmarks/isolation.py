"""What a plugin costs in a process of its own: an action's round trip beside the same one inside, in the same run.

`python -m benchmarks.isolation`; `--calls N` and `--json FILE` as for the other benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from core.app import App
from core.contracts.json import JsonObject
from core.isolation.standin import IsolatedPlugin
from core.isolation.usage import memory_below
from core.settings import ComponentTable, Settings

PLUGIN = '''
from core.ai_plugin_base import AIPluginBase, action, hook


class {cls}(AIPluginBase):
    @action(effect="read")
    async def {name}(self, text: str) -> str:
        """Return a text."""
        return text

    @hook("extend_system_prompt")
    async def extend(self, turn, prompt):
        return None


PLUGIN_CLASS = {cls}
'''


async def measured(home: Path, calls: int) -> JsonObject:
    """Return the figures: milliseconds at p50 of a check and a call, inside and outside, and what a start takes."""
    folder = home / "plugins"
    folder.mkdir()
    for name in ("inside", "outside"):
        (folder / f"{name}.py").write_text(PLUGIN.format(cls=name.title(), name=f"{name}_echo"))
    components = {"plugins": {"outside": ComponentTable(isolation="process")}}
    async with App(Settings(home=home, engine=("offline",), timezone="UTC", components=components)) as app:
        outside = app.registry.get("plugin", "outside")
        inside = app.registry.get("plugin", "inside")
        assert outside is not None
        assert inside is not None
        assert isinstance(outside.instance, IsolatedPlugin)
        figures: JsonObject = {"calls": calls}
        for size in (10, 10_000, 1_000_000):
            payload = {"text": "x" * size}
            taken: dict[str, list[float]] = {"inside": [], "outside": []}
            for _ in range(max(calls // (1 if size < 100_000 else 20), 10)):
                # In turns, so that both see the same machine.
                for name, component in (("inside", inside), ("outside", outside)):
                    (entry,) = component.entries
                    ctx = _Context()
                    began = time.perf_counter()
                    await entry.check(payload)
                    await entry.run(ctx, payload)  # type: ignore[arg-type] # of the parts that are asked for
                    taken[name].append((time.perf_counter() - began) * 1000)
            p50 = {name: statistics.median(times) for name, times in taken.items()}
            figures[f"{size}_characters"] = {
                **{f"{name}_ms": round(value, 3) for name, value in p50.items()},
                "ratio": round(p50["outside"] / p50["inside"], 1),
            }
        child = outside.instance._child
        assert child is not None
        figures["memory_mb"] = round(memory_below(child.process.pid) / 1024 / 1024, 1)
        began = time.perf_counter()
        await outside.instance.stop()
        await outside.instance.start()
        figures["stop_and_start_s"] = round(time.perf_counter() - began, 2)
        return figures


class _Context:
    """The parts of an action's context that cross."""

    principal = role = address = origin = None
    turn_id, action_id, tainted = 0, "0.0.0", False


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rekku-isolation-") as home:
        figures = asyncio.run(measured(Path(home), options.calls))
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
