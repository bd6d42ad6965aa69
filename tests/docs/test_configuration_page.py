"""docs/configuration.md names every setting there is, with its default, and its examples can be loaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from core.services.policy import KEYS as RULE_KEYS
from core.services.policy import read_rules
from core.settings import (
    KEYS,
    BackupSettings,
    BudgetSettings,
    EventSettings,
    PromptSettings,
    RetentionSettings,
    Settings,
    WatchdogSettings,
    load_settings,
)

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (.*?) \| .+ \|$", PAGE, re.MULTILINE))
RULE_ROWS = re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
EXAMPLES: list[str] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
COMPONENT_KEYS = {"enabled", "priority", "isolation", "process_memory_mb", "process_cpu_s"}
RETENTION = {f"retention.{key}": bound for key, bound in RetentionSettings()}
BUDGETS = {f"budgets.{role}.{key}": bound for role, budget in BudgetSettings() for key, bound in budget}
OF_THIS_MACHINE = {"REKKU_HOME": "`~/.rekku`", "REKKU_TIMEZONE": "the system's"}


def test_the_page_and_the_settings_name_the_same() -> None:
    prompt = {f"prompt.{key}" for key in PromptSettings.model_fields}
    backup = {f"backup.{key}" for key in BackupSettings.model_fields}
    events = {f"events.{key}" for key in EventSettings.model_fields}
    watchdog = {f"watchdog.{key}" for key in WatchdogSettings.model_fields}
    named = set(KEYS.values()) | prompt | backup | events | watchdog | BUDGETS.keys() | RETENTION.keys()
    assert ROWS.keys() - COMPONENT_KEYS == named
    assert ROWS.keys() >= COMPONENT_KEYS


def _written(value: object) -> str:
    if value is None or value == () or value == frozenset():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"


@pytest.mark.parametrize("key", WatchdogSettings.model_fields)
def test_the_defaults_of_the_watchdog_are_true(key: str) -> None:
    assert ROWS[f"watchdog.{key}"] == _written(WatchdogSettings.model_fields[key].default)


@pytest.mark.parametrize(("attribute", "key"), KEYS.items())
def test_the_defaults_are_true(attribute: str, key: str) -> None:
    default = Settings.model_fields[attribute].default
    assert ROWS[key] == OF_THIS_MACHINE.get(key, _written(default))


@pytest.mark.parametrize("key", PromptSettings.model_fields)
def test_the_defaults_of_the_prompt_are_true(key: str) -> None:
    assert ROWS[f"prompt.{key}"] == _written(PromptSettings.model_fields[key].default)


@pytest.mark.parametrize("key", BackupSettings.model_fields)
def test_the_defaults_of_the_backups_are_true(key: str) -> None:
    assert ROWS[f"backup.{key}"] == _written(BackupSettings.model_fields[key].default)


@pytest.mark.parametrize("key", EventSettings.model_fields)
def test_the_defaults_of_the_events_are_true(key: str) -> None:
    assert ROWS[f"events.{key}"] == _written(EventSettings.model_fields[key].default)


@pytest.mark.parametrize(("key", "bound"), (BUDGETS | RETENTION).items())
def test_the_defaults_of_the_bounds_are_true(key: str, bound: int | None) -> None:
    assert ROWS[key] == ("unlimited" if bound is None else str(bound))


def test_the_page_and_the_rules_name_the_same() -> None:
    assert sorted(RULE_ROWS) == sorted(RULE_KEYS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_can_be_loaded(tmp_path: Path, example: str) -> None:
    (tmp_path / "rekku.toml").write_text(example, encoding="utf-8")
    settings = load_settings({"MAIL_PASSWORD": "correct horse"}, home=tmp_path)
    errors = [table.error for tables in settings.components.values() for table in tables.values() if table.error]
    assert errors == []
    assert len(read_rules(settings.policy_rules)) == len(settings.policy_rules)


def test_there_are_examples_of_everything() -> None:
    together = [tomllib.loads(example) for example in EXAMPLES]
    assert {key for example in together for key in example} >= {
        "prompt",
        "retention",
        "backup",
        "events",
        "plugins",
        "engines",
        "policy",
    }
    rules = [rule for example in together for rule in example.get("policy", {}).get("rules", [])]
    assert {key for rule in rules for key in rule} == set(RULE_KEYS)
