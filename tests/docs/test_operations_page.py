"""docs/operations.md names every figure there is, with its labels, and its JSON has the form of the answers."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from core.contracts.engine import Usage
from core.contracts.errors import EngineTimeout
from core.health.metrics import Metrics
from core.health.readiness import Part, as_json
from core.services.database_watch import DatabaseWatch
from core.services.loop_lag import LoopLag
from core.testing import running_app

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(rekku_[a-z_]+)` \|([^|]*)\|", PAGE, re.MULTILINE))


async def test_the_page_and_the_metrics_name_the_same() -> None:
    async with running_app() as kit:
        app = kit.app
        app.figures.engine_answered("scripted", 1.0, Usage(prompt_tokens=1))
        app.figures.engine_failed("scripted", 1.0, EngineTimeout("late"))
        app.figures.turn_ended("complete")
        app.figures.reminder_fired("done", 1.0)
        metrics = Metrics(app, DatabaseWatch(app.database, app.clock), LoopLag(app.clock))
        text = (await metrics.text()).decode()
    found = {
        family.name + ("_total" if family.type == "counter" else ""): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in text_string_to_metric_families(text)
        if family.name.startswith("rekku_")
    }
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROWS.items()} == found


def test_the_example_has_the_form_of_an_answer() -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    told = json.loads(example)
    assert told.keys() == as_json([]).keys()
    assert all(part.keys() == {field.name for field in fields(Part)} for part in told["parts"])
    assert as_json([Part(**part) for part in told["parts"]]) | {"process": told["process"]} == told
