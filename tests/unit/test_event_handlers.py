"""Declarations of event handlers, what rekku.toml changes of them, and the bounds of an event's data."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, Event, on, wake_word
from core.contracts.errors import ConfigurationError, DeclarationError
from core.contracts.events import EventStage
from core.contracts.json import compact
from core.event_conditions import always
from core.registry.declared_handlers import configured_handlers, declared_handlers
from core.services.event_data import LONGEST_TEXT, bounded
from core.services.mask import Masker


class Lamp(AIPluginBase):
    @on("lamp.*", stage="filter", priority=5)
    @on("button.single_press", when=wake_word("on"), timeout_s=2)
    async def switch(self, event: Event) -> None: ...

    @on("lamp.**")
    def listen(self, event: Event) -> None: ...


def test_a_method_may_handle_several_events() -> None:
    handlers = declared_handlers("lamp", Lamp())
    told = [(one.pattern, one.method, one.stage, one.priority, one.timeout_s, one.position) for one in handlers]
    assert told == [
        ("lamp.*", "switch", EventStage.FILTER, 5, 5.0, 0),
        ("button.single_press", "switch", EventStage.HANDLE, 100, 2.0, 1),
        ("lamp.**", "listen", EventStage.HANDLE, 100, 5.0, 2),
    ]
    assert handlers[2].when is always


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pattern": "Lamp.*"}, "neither a lower-case word"),
        ({"pattern": "lamp"}, "no dot"),
        ({"stage": "handel"}, "no stage of events. Did you mean handle?"),
        ({"when": "wake_word: hey"}, "cannot be called"),
        ({"priority": "high"}, "no whole number"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"timeout_s": float("inf")}, "timeout_s is inf"),
        ({"timeout_s": True}, "timeout_s is True"),
    ],
)
def test_a_mistake_names_plugin_method_and_cure(arguments: dict[str, Any], said: str) -> None:
    class Wrong(AIPluginBase):
        @on(**{"pattern": "lamp.*", **arguments})
        async def switch(self, event: Event) -> None: ...

    with pytest.raises(DeclarationError) as caught:
        declared_handlers("wrong", Wrong())
    assert caught.value.explain().startswith("wrong.switch (test_event_handlers.py, line 55): ")
    assert said in caught.value.explain()
    assert caught.value.cure


def test_a_handler_takes_the_event_alone() -> None:
    class Wrong(AIPluginBase):
        @on("lamp.*")
        async def switch(self) -> None: ...

    with pytest.raises(DeclarationError, match=r"wrong\.switch \(.*, line 67\): it does not take one event"):
        declared_handlers("wrong", Wrong())


def test_the_configuration_changes_handlers_by_pattern_and_by_method() -> None:
    tables = {
        "lamp.*": {"priority": 50, "when": "regex: x"},
        "switch": {"timeout_s": 9},
        "listen": {"enabled": False},
    }
    handlers = configured_handlers("lamp", declared_handlers("lamp", Lamp()), tables)
    told = [(one.pattern, one.priority, one.timeout_s, str(one.when)) for one in handlers]
    assert told == [("lamp.*", 50, 9.0, "regex: x"), ("button.single_press", 100, 9.0, "wake_word: on")]


def test_the_priority_of_the_plugin_is_that_of_its_handlers() -> None:
    declared = declared_handlers("lamp", Lamp())
    handlers = configured_handlers("lamp", declared, {"lamp.**": {"priority": 1}}, priority=7)
    assert [one.priority for one in handlers] == [7, 7, 1]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"lamps.*": {}}, r"\[plugins.lamp.events\] lamps.\*: lamp has no handler of that pattern or name. Did you"),
        ({"lamp.*": {"prioriy": 1}}, r"lamp.\*.prioriy: there is no such key. Did you mean priority\?"),
        ({"lamp.*": {"when": "wakeword: x"}}, r"did you mean wake_word\? Write"),
        ({"lamp.*": {"enabled": "yes"}}, "must be true or false"),
        ({"lamp.*": {"priority": 1.5}}, "no whole number"),
        ({"switch": {"timeout_s": -1}}, "timeout_s is -1"),
    ],
)
def test_a_mistake_in_the_configuration_names_its_key(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configured_handlers("lamp", declared_handlers("lamp", Lamp()), tables)
    assert re.search(said, caught.value.explain())


def test_data_is_cut_and_masked_in_that_order() -> None:
    masker = Masker()
    secret = "s3cret-" + "x" * 60
    masker.learn("KEY", secret)
    text = "a" * (LONGEST_TEXT - 30) + secret + "b" * 100_000
    [cut] = bounded({"text": text}, masker).values()
    assert "s3cret" not in cut
    assert cut.startswith("a" * 100)
    assert cut.endswith(f"(cut: {len(text)} characters in all)")
    assert bounded({"note": f"it is {secret}"}, masker) == {"note": "it is [KEY]"}


def test_however_large_data_is_little_of_it_is_kept() -> None:
    endless: list[Any] = []
    endless.append(endless)
    wide = {"numbers": list(range(1_000_000)), "texts": ["é" * 3000] * 10_000, "endless": endless}
    assert len(compact(bounded(wide, Masker()))) < 64 * 1024
    deep: dict[str, Any] = {"end": 1}
    for _ in range(10_000):
        deep = {"deep": deep}
    assert "left out" in compact(bounded(deep, Masker()))


def test_half_characters_and_nul_can_be_stored() -> None:
    told = bounded({"a\0": "b\ud800\0"}, Masker())
    assert compact(told).encode()
    assert told == {"a\\x00": "b\\ud800\\x00"}
