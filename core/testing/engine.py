"""An engine that answers what a test has written down, and keeps what it was asked."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest
from core.contracts.errors import EngineUnavailable
from core.contracts.json import JsonObject, compact
from core.engine_base import EngineBase

Action: TypeAlias = tuple[str, JsonObject]
Given: TypeAlias = str | Action | Sequence[Action] | EngineReply | BaseException
Answer: TypeAlias = Given | Callable[[EngineRequest], Given | Awaitable[Given]]
"""The raw text of a reply, an action or several as (type, payload), a whole reply, an error that is raised, or a
function that makes one of these of the request; it may be async, and wait as long as a test likes."""


def actions(*pairs: Action) -> str:
    """Return the reply that asks for these actions, given as (type, payload)."""
    return compact({"actions": [{"type": type_, "payload": payload} for type_, payload in pairs]})


def message(text: str) -> str:
    """Return the reply that sends one message."""
    return actions(("message", {"text": text}))


class ScriptedEngine(EngineBase):
    """Answers its calls in order; `otherwise` answers those that no answer is left for.

    Without `otherwise` such a call is an error that says so. requests: what it was asked, oldest first.
    """

    name = "scripted"

    def __init__(
        self, *answers: Answer, otherwise: Answer | None = None, capabilities: EngineCapabilities | None = None
    ) -> None:
        self.answers: list[Answer] = list(answers)
        self.otherwise = otherwise
        self.requests: list[EngineRequest] = []
        self._capabilities = capabilities or EngineCapabilities()

    @property
    def capabilities(self) -> EngineCapabilities:
        """What was given, else the defaults of any engine."""
        return self._capabilities

    @property
    def model(self) -> str:
        """The name that its replies carry."""
        return "scripted-1"

    def then(self, *answers: Answer) -> None:
        """Add answers for the next calls."""
        self.answers += answers

    @property
    def last(self) -> EngineRequest:
        """The newest request; raises IndexError when there was none."""
        return self.requests[-1]

    async def complete(self, request: EngineRequest) -> EngineReply:
        """Give the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if answer is None:
            raise EngineUnavailable(
                f"The script has no answer to call {len(self.requests)}.",
                cure="Give ScriptedEngine one more answer, or otherwise=….",
                retryable=False,
            )
        if callable(answer):
            made = answer(request)
            answer = await made if inspect.isawaitable(made) else made
        return self._reply(answer, request)

    def _reply(self, given: Given, request: EngineRequest) -> EngineReply:
        if isinstance(given, BaseException):
            raise given
        if isinstance(given, EngineReply):
            return given
        if isinstance(given, str):
            text = given
        elif len(given) == 2 and isinstance(given[0], str):
            text = actions(given)  # type: ignore[arg-type]
        else:
            text = actions(*given)
        sent = json.dumps(request.chat(schema_enforced=False), ensure_ascii=False)
        return EngineReply(text=text, model=self.model, prompt_bytes=len(sent.encode("utf-8", "replace")))
