"""The checks that plugins add to what is told of our health."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from core.contracts.deliveries import Health
from core.contracts.services import Clock
from core.contracts.slots import HealthCheck
from core.services.foreign import ForeignCalls, Raised
from core.services.question import Question
from core.services.slots import Slots
from core.services.sync_or_async import invoke
from core.services.told_health import told_health

log = structlog.get_logger("rekku.plugins")

LONGEST_ANSWER_S = 10.0
KEPT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer:
    """What a check told. name: the plugin's and its own. critical: see `HealthCheck`."""

    name: str
    health: Health
    critical: bool


class PluginChecks:
    """Asks the checks of the plugins in use, each once at a time and not more often than twice a minute."""

    def __init__(self, slots: Slots, foreign: ForeignCalls, clock: Clock, patience_s: float = 2.0) -> None:
        """patience_s: how long one who wants to know waits, in seconds."""
        self._slots = slots
        self._foreign = foreign
        self._clock = clock
        self._patience_s = patience_s
        self._questions: dict[tuple[str, str], tuple[HealthCheck, Question[Health]]] = {}

    async def answers(self) -> list[CheckAnswer]:
        """Return what each says, in the order in which they came; what fails or is late is not well."""
        checks = self._slots.of("health", HealthCheck)
        there = {(plugin, check.name): check for plugin, check in checks}
        # What was withdrawn, or comes from a plugin that was loaded anew, is not asked any more.
        self._questions = {key: one for key, one in self._questions.items() if there.get(key) is one[0]}
        return list(await asyncio.gather(*(self._answer(plugin, check) for plugin, check in checks)))

    def close(self) -> None:
        """Ask no longer."""
        for _, question in self._questions.values():
            question.close()

    async def _answer(self, plugin: str, check: HealthCheck) -> CheckAnswer:
        key = (plugin, check.name)
        if key not in self._questions:
            self._questions[key] = (check, self._question(plugin, check))
        _, question = self._questions[key]
        health = await question.answer()
        if health is None:
            health = Health(ok=False, detail=f"It does not answer within {self._patience_s:g} s.")
        return CheckAnswer(name=f"{plugin}.{check.name}", health=health, critical=check.critical is True)

    def _question(self, plugin: str, check: HealthCheck) -> Question[Health]:
        async def ask() -> Health:
            label = f"check {check.name} of {plugin}"
            answer = await self._foreign.call(label, lambda: invoke(check.check), LONGEST_ANSWER_S, plugin)
            if isinstance(answer, Raised):
                about = {"where": answer.where, "raised": answer.error}
                log.warning("a check did not work", plugin=plugin, check=check.name, error=answer.sentence, **about)
                return Health(ok=False, detail=answer.sentence)
            return told_health(answer.value)

        return Question(ask, clock=self._clock, patience_s=self._patience_s, kept_s=KEPT_S)
